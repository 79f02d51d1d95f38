//! Tests of `outpost sendmail` as programs call it, against the sink.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::common::{Run, Sink, folder, outpost, run, run_with_input, write};
use tempfile::TempDir;

/// A sink, and an accounts file that leads there.
struct Post {
    sink: Sink,
    file: String,
    folder: TempDir,
}

impl Post {
    fn start(faults: &[&str]) -> Self {
        Self::with(faults, "")
    }

    /// With more in the accounts file.
    fn with(faults: &[&str], more: &str) -> Self {
        let faults: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        let sink = Sink::start(&faults);
        let folder = folder();
        let port = sink.address.port();
        let accounts = format!(
            "[accounts.here]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\ninsecure = true\n\
             from = \"me@home.example\"\nfrom_patterns = [\"*@lists.example\"]\n\
             local_hostname = \"box.example\"\nfull_name = \"Me\"\n{more}"
        );
        let file = write(&folder, "config.toml", accounts);
        Self { sink, file, folder }
    }

    /// Calls sendmail with these options and this message.
    fn send(&self, options: &[&str], message: &str) -> Run {
        let args = [&["sendmail", "--file", &self.file], options].concat();
        run_with_input(&args, message.as_bytes())
    }

    /// The words of the sink about the next message.
    fn line(&mut self) -> String {
        self.sink.line()
    }

    /// The last message, without what the sink puts before it.
    fn message(&self) -> String {
        let messages = self.sink.messages();
        let text = String::from_utf8(messages.last().unwrap().clone()).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with("X-Sink-"));
        kept.map(|line| format!("{line}\n")).collect()
    }
}

const MESSAGE: &str = "From: Ann <ann@lists.example>\nTo: Bob <bob@x.example>, \"two words\"@x.example\n\
    Cc: friends: carol@x.example;\nBcc: secret@x.example\nDate: then\nMessage-ID: <1@x>\n\
    Subject: hello\n\nA line.\n.\n..\nThe end.\n";

#[test]
fn a_message_goes_to_whom_its_header_names_and_bcc_does_not_go_out() {
    let mut post = Post::start(&[]);
    let done = post.send(&["-t", "-i", "dave@x.example"], MESSAGE).exits(0);
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("", ""),
        "nothing to tell"
    );
    let line = post.line();
    assert!(line.contains("<ann@lists.example>"), "{line}");
    for to in ["dave@", "bob@", "two words", "carol@", "secret@"] {
        assert!(line.contains(to), "{to}: {line}");
    }
    let message = post.message();
    assert!(!message.contains("secret"), "{message}");
    assert!(
        message.ends_with("Subject: hello\n\nA line.\n.\n..\nThe end.\n"),
        "{message}"
    );
    assert!(
        !message.contains("box.example"),
        "nothing is added: {message}"
    );
}

#[test]
fn a_message_without_a_header_gets_one_and_the_sender_of_the_account() {
    let mut post = Post::start(&[]);
    post.send(
        &["-i", "-oem", "-FCron Daemon", "bob@x.example"],
        "Just text\r\n.\r\n",
    )
    .exits(0);
    assert!(post.line().contains("<me@home.example>"));
    let message = post.message();
    assert!(
        message.contains("\nFrom: Cron Daemon <me@home.example>\n"),
        "{message}"
    );
    assert!(
        message.contains("@box.example>\n") && message.contains("\nDate: "),
        "{message}"
    );
    assert!(message.ends_with("\n\nJust text\n.\n"), "{message}");
}

#[test]
fn a_lone_dot_ends_the_message_unless_it_is_told_not_to() {
    let post = Post::start(&[]);
    post.send(&["bob@x.example"], "Subject: x\n\none\n.\ntwo\n")
        .exits(0);
    assert!(post.message().ends_with("one\n"), "{}", post.message());
    for option in ["-i", "-oi"] {
        post.send(&[option, "bob@x.example"], "Subject: x\n\none\n.\ntwo\n")
            .exits(0);
        assert!(
            post.message().ends_with("one\n.\ntwo\n"),
            "{}",
            post.message()
        );
    }
}

#[test]
fn names_without_a_domain_are_found_among_the_aliases() {
    let mut post = Post::with(&[], "[aliases]\nroot = \"admin@home.example\"\n");
    post.send(&["-f", "root", "-i", "root"], "To: root\n\nx\n")
        .exits(0);
    let line = post.line();
    assert!(
        line.contains("<me@home.example>") && line.contains("admin@home.example"),
        "{line}"
    );
    post.send(&["joe"], "x\n")
        .exits(67)
        .complains("recipient 'joe': it has no domain");
    assert_eq!(post.sink.messages().len(), 1);
}

#[test]
fn the_exit_status_says_what_became_of_the_message() {
    let faults = [
        "RCPT unknown@=550 5.1.1 no such user",
        "RCPT refused@=550 5.7.1 not for you",
        "RCPT later@=450 4.2.1 later",
        "MAIL too@big=552 5.3.4 too big",
    ];
    let post = Post::start(&faults);
    for (options, exit, said) in [
        (&["unknown@x"][..], 67, "<unknown@x>: bounced (5.1.1): "),
        (
            &["refused@x", "unknown@x"],
            69,
            "<refused@x>: bounced (5.7.1): ",
        ),
        (
            &["later@x", "unknown@x"],
            75,
            "<later@x>: deferred (4.2.1): ",
        ),
        (&["-f", "too@big", "a@x"], 65, "<a@x>: bounced (5.3.4): "),
        (&["good@x", "unknown@x"], 67, "<good@x>: sent (2.0.0): "),
    ] {
        let done = post
            .send(options, "Subject: x\n\nx\n")
            .exits(exit)
            .complains(said);
        assert_eq!(done.stdout, "");
    }
    assert_eq!(post.sink.messages().len(), 1);
    // Nobody is there.
    let closed = post.file.clone();
    drop(post.sink);
    run_with_input(&["sendmail", "--file", &closed, "a@x"], b"x\n")
        .exits(75)
        .complains("refused");
}

#[test]
fn what_cannot_be_understood_is_not_sent() {
    let post = Post::start(&[]);
    for (options, message, exit, said) in [
        (
            &["-t"][..],
            "Subject: x\n\nTo: a@x\n",
            64,
            "no recipient addresses found",
        ),
        (
            &["-t"],
            "To: John Doe\nCc: a@x\n\nx\n",
            65,
            "To: 'John Doe': ",
        ),
        (&["-Z", "a@x"], "x\n", 64, "'-Z'"),
        (&[], "To: a@x\n\nx\n", 64, "must be specified"),
        (
            &["--account", "there", "a@x"],
            "x\n",
            78,
            "no account 'there'",
        ),
        (&["-bd"], "", 69, "no mail server"),
    ] {
        post.send(options, message).exits(exit).complains(said);
    }
    let wrong = write(
        &post.folder,
        "wrong.toml",
        "[accounts.a]\nhost = \"h\"\ncolour = 1\n",
    );
    let done = run_with_input(&["sendmail", "--file", &wrong, "a@x"], b"x\n").exits(78);
    done.complains("wrong.toml:3: unknown field `colour`");
    assert_eq!(post.sink.messages().len(), 0);
}

#[test]
fn wishes_about_reports_reach_the_server_and_the_dialogue_can_be_seen() {
    let post = Post::start(&[]);
    let options = [
        "-v",
        "-N",
        "success,delay",
        "-R",
        "hdrs",
        "-V",
        "a+b",
        "bob@x",
    ];
    let done = post.send(&options, "Subject: x\n\nx\n").exits(0);
    for said in [
        "ENVID=a+2Bb RET=HDRS",
        "RCPT TO:<bob@x> NOTIFY=SUCCESS,DELAY",
        "<bob@x>: sent (2.0.0)",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done:#?}");
    }
    assert_eq!(done.stdout, "");
}

#[test]
fn the_dialogue_hands_each_message_on_before_it_is_taken() {
    let mut post = Post::start(&["RCPT later@=450 4.2.1 later", "RCPT unknown@=550 5.1.1 who"]);
    let input = "EHLO me\r\nMAIL FROM:<a@lists.example> SIZE=10\r\nRCPT TO:<bob@x>\r\nDATA\r\n\
        Subject: one\r\nBcc: c@x\r\n\r\n..x\r\n.\r\n\
        MAIL FROM:<a@lists.example>\r\nRCPT TO:<later@x>\r\nDATA\r\nx\r\n.\r\n\
        MAIL FROM:<a@lists.example>\r\nRCPT TO:<unknown@x>\r\nDATA\r\nx\r\n.\r\n\
        MAIL FROM:<a@lists.example>\r\nRCPT TO:<joe>\r\nDATA\r\nx\r\n.\r\nRSET\r\nQUIT\r\nNOOP\r\n";
    let done = post.send(&["-bs"], input).exits(0);
    let replies: Vec<&str> = done
        .stdout
        .split("\r\n")
        .filter(|line| line.get(3..4) != Some("-"))
        .collect();
    let expected = [
        "220 ",
        "250 DSN",
        "250 2.1.0",
        "250 2.1.5",
        "354",
        "250 2.0.0 Ok: sent to 1",
        "250",
        "250",
        "354",
        "451 4.2.1 <later@x>: deferred",
        "250",
        "250",
        "354",
        "550 5.1.1 <unknown@x>: bounced",
        "250",
        "250",
        "354",
        "550 5.1.1 recipient 'joe'",
        "250 2.0.0",
        "221 2.0.0",
        "",
    ];
    assert_eq!(replies.len(), expected.len(), "{replies:#?}");
    for (reply, expected) in replies.iter().zip(expected) {
        assert!(
            reply.starts_with(expected),
            "{reply}, not {expected}: {replies:#?}"
        );
    }
    assert!(post.line().contains("<a@lists.example>"));
    let message = post.message();
    assert!(
        message.contains("\nFrom: Me <a@lists.example>\n"),
        "{message}"
    );
    assert!(
        message.ends_with("\n\n.x\n") && !message.contains("Bcc"),
        "{message}"
    );
}

#[test]
fn a_dialogue_that_breaks_off_in_a_message_sends_nothing() {
    let post = Post::start(&[]);
    let input = "EHLO me\nMAIL FROM:<a@lists.example>\nRCPT TO:<bob@x>\nDATA\nSubject: one\n\nx\n";
    post.send(&["-bs"], input)
        .exits(65)
        .complains("in the middle of a message");
    assert_eq!(post.sink.messages().len(), 0);
    post.send(&["-bs"], &format!("{input}.\n")).exits(0);
    assert_eq!(post.sink.messages().len(), 1);
}

#[test]
fn there_is_no_queue_and_that_is_said() {
    for (option, said) in [
        ("-bp", "Mail queue is empty"),
        ("-q", "Nothing to send"),
        ("-bi", "Nothing to build"),
    ] {
        let done = run(&["sendmail", option]).exits(0);
        assert!(done.stdout.starts_with(said), "{done:#?}");
    }
}

#[test]
#[cfg(unix)]
fn a_link_named_sendmail_is_sendmail() {
    let mut post = Post::start(&[]);
    for name in ["sendmail", "outpost-sendmail"] {
        let link = post.folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_outpost"), &link).unwrap();
        let mut child = Command::new(&link)
            .args(["-ti", "-fbox@lists.example"])
            .env("OUTPOST_CONFIG", &post.file)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"From ann Mon Nov 30\nTo: bob@x\n\nx\n")
            .unwrap();
        assert!(child.wait().unwrap().success());
        assert!(post.line().contains("<box@lists.example>"));
        assert!(!post.message().contains("From ann"));
    }
    let link = post.folder.path().join("mailq");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_outpost"), &link).unwrap();
    let done = Command::new(&link).output().unwrap();
    assert!(done.stdout.starts_with(b"Mail queue is empty"), "{done:?}");
}

#[test]
fn the_accounts_file_is_the_users_or_else_the_one_that_is_named() {
    let post = Post::start(&[]);
    let home = folder();
    let send = |envs: &[(&str, &str)]| {
        let mut command = outpost();
        command.args(["sendmail", "bob@x"]).env("HOME", home.path());
        command
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("OUTPOST_CONFIG");
        Run::of(command.envs(envs.iter().copied()).output().unwrap())
    };
    send(&[]).exits(78).complains("there is no accounts file");
    send(&[("OUTPOST_CONFIG", "/no/such/file")])
        .exits(78)
        .complains("/no/such/file");
    send(&[("OUTPOST_CONFIG", &post.file)]).exits(0);
    let config = home.path().join(".config/outpost");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::copy(&post.file, config.join("config.toml")).unwrap();
    send(&[]).exits(0);
    assert_eq!(post.sink.messages().len(), 2);
}

#[test]
fn mail_goes_straight_to_the_mail_exchangers_where_the_account_says_so() {
    let folder = folder();
    let file = write(
        &folder,
        "c.toml",
        "[accounts.a]\ndirect = true\ndns = [\"127.0.0.1:9\"]\n",
    );
    // Nobody answers there.
    let args = [
        "sendmail",
        "--file",
        &file,
        "-f",
        "me@x.example",
        "b@two.example",
    ];
    let done = run_with_input(&args, b"x\n").exits(75);
    done.complains("<b@two.example>: deferred (4.4.3)");
}

#[test]
fn a_check_says_what_the_file_would_do() {
    let post = Post::start(&["RCPT no@=550 5.7.1 not you"]);
    let check = ["account", "check", "--file", &post.file];
    let done = run(&check).exits(0);
    for row in [
        "1 account(s)\n",
        "here\n",
        "server     127.0.0.1, port ",
        "TLS        none",
        "login      none",
    ] {
        assert!(done.stdout.contains(row), "{row}: {done:#?}");
    }
    let done = run(&[&check[..], &["--login", "here"]].concat()).exits(0);
    assert!(
        done.stdout
            .contains("mail from and to <me@home.example> is taken"),
        "{done:#?}"
    );
    assert_eq!(post.sink.messages().len(), 0);
    run(&[&check[..], &["there"]].concat())
        .exits(78)
        .complains("no account 'there'");
}
