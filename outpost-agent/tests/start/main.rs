//! The start of the program, from outside: what is wrong with its configuration or its surroundings is one line in the
//! log and exit status 1, after which master(8) waits before it starts another; and `--check` says it before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod check;
mod installation;

use std::fs;

use installation::{Installation, is_root};

/// The number of the first line of main.cf that a test writes.
const FIRST: usize = 7;

/// Expects one fatal line, and the exit status of smtp(8).
fn assert_fatal((lines, status): (Vec<String>, i32), why: &str) {
    assert_eq!((lines, status), (vec![format!("fatal: {why}")], 1));
}

#[test]
fn an_agent_that_nothing_keeps_from_running_says_nothing() {
    let installation = Installation::new("", "smtp unix - - n - - smtp\n");
    for words in [
        &[][..],
        &["-o", "smtp_helo_timeout=5s", "flags=DR"],
        // As smtp(8): whoever reads main.cf may have use for it.
        &["-o", "my_own_name=1"],
        &["mode=shared"],
    ] {
        assert_eq!(installation.start(words), (vec![], 0), "{words:?}");
    }
}

#[test]
fn a_line_of_main_cf_that_is_no_setting_is_named() {
    let installation = Installation::new("# comment\nnonsense\n", "");
    let line = FIRST + 1;
    let why = format!("ROOT/main.cf: line {line}: missing '=' after attribute name: \"nonsense\"");
    assert_fatal(installation.start(&[]), &why);
    assert_fatal(installation.start(&["mode=shared"]), &why);
}

#[test]
fn all_wrong_values_are_named_with_their_lines() {
    let installation = Installation::new(
        "smtp_helo_timeout = 5x\n\nsoft_bounce = 1\nlmtp_rcpt_timeout = x\n",
        "",
    );
    let why = format!(
        "ROOT/main.cf: line {FIRST}: smtp_helo_timeout: bad time unit in \"5x\"; \
         ROOT/main.cf: line {}: soft_bounce: \"1\" is neither yes nor no",
        FIRST + 2
    );
    let (lines, status) = installation.start(&[]);
    let parts: Vec<&str> = lines[0]
        .strip_prefix("fatal: ")
        .unwrap()
        .split("; ")
        .collect();
    assert_eq!((lines.len(), status, parts.len()), (1, 1, 2), "{lines:?}");
    for part in why.split("; ") {
        assert!(parts.contains(&part), "{part}: {lines:?}");
    }
    // What the service sets for itself takes their place.
    let words = ["-o", "smtp_helo_timeout=5s", "-o", "soft_bounce=no"];
    assert_eq!(installation.start(&words), (vec![], 0));
}

#[test]
fn wrong_words_of_master_cf_are_named() {
    let installation = Installation::new("", "");
    for (words, why) in [
        (
            &["-o", "soft_bounce=1"][..],
            "parameter override: soft_bounce: \"1\" is neither yes nor no",
        ),
        (
            &["-o", "soft_bounce"],
            "invalid \"-o soft_bounce\" option value: missing '=' after attribute name",
        ),
        (&["-x"], "invalid option: x"),
        (&["flags=DZ"], "unknown flags=DZ value \"Z\" in \"DZ\""),
        (&["size=1"], "unknown attribute name: size=1"),
    ] {
        assert_fatal(installation.start(words), why);
    }
}

#[test]
fn a_table_that_cannot_be_opened_is_named() {
    let installation =
        Installation::new("smtp_generic_maps = texthash:$queue_directory/gone\n", "");
    let why = format!(
        "ROOT/main.cf: line {FIRST}: smtp_generic_maps: texthash:ROOT/queue/gone: \
         open ROOT/queue/gone: No such file or directory"
    );
    assert_fatal(installation.start(&[]), &why);
}

#[test]
fn files_and_folders_that_are_missing_are_named() {
    let installation = Installation::new("", "");
    fs::remove_dir(installation.path("queue/pid")).unwrap();
    let why = "open lock file ROOT/queue/pid/unix.smtp: No such file or directory";
    assert_fatal(installation.start(&[]), why);
    let words = ["-o", "queue_directory=/nonexistent", "-o", "maillog_file="];
    let early = installation.start(&[words.as_slice(), &["mode=shared"]].concat());
    assert_fatal(
        early,
        "queue_directory: /nonexistent: No such file or directory",
    );
    fs::remove_file(installation.path("main.cf")).unwrap();
    assert_fatal(
        installation.start(&[]),
        "ROOT/main.cf: cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn shared_needs_to_know_how_many_requests_it_may_serve() {
    let installation = Installation::new("", "");
    fs::remove_file(installation.path("master.cf")).unwrap();
    assert_eq!(installation.start(&[]), (vec![], 0));
    assert_eq!(installation.start(&["-z", "mode=shared"]), (vec![], 0));
    let (lines, status) = installation.run(&["mode=shared"]);
    let why = "fatal: open ROOT/master.cf: No such file or directory";
    assert_eq!(lines, [why, "fatal: worker: exit status: 1"]);
    assert_eq!(status, 1);
}

#[test]
fn whoever_is_to_own_the_process_has_to_be_somebody_without_rights() {
    if !is_root() {
        return;
    }
    let installation = Installation::new("", "");
    for (owner, why) in [
        (
            "nosuchuser",
            "mail_owner: unknown user name value: nosuchuser",
        ),
        ("root", "mail_owner: the user root has the rights of root"),
    ] {
        let setting = format!("mail_owner={owner}");
        for words in [&["-u", "-o", &setting][..], &["-u", "-c", "-o", &setting]] {
            assert_fatal(installation.start(words), why);
        }
    }
    assert_eq!(installation.start(&["-u"]), (vec![], 0));
    assert_eq!(installation.start(&["-u", "-c"]), (vec![], 0));
}

#[test]
fn rights_that_are_not_there_cannot_be_given_up() {
    if !is_root() {
        return;
    }
    let installation = Installation::new("", "");
    let why = "not started by root, which is needed to become mail_owner and to chroot";
    for words in [&["-u"][..], &["-c"], &["-u", "mode=shared"]] {
        assert_fatal(installation.start_as_nobody(words), why);
    }
    let main_cf = installation.path("main.cf");
    let none = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(main_cf, none).unwrap();
    assert_fatal(
        installation.start_as_nobody(&[]),
        "ROOT/main.cf: cannot be read: Permission denied (os error 13)",
    );
}
