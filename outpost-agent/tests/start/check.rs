//! `--check` and the other questions of people.

use std::fs;

use crate::installation::Installation;

/// The lines of the part with this title, without their indentation.
fn part(text: &str, title: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<String> = lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.trim_start().to_owned())
        .collect();
    assert!(!lines.is_empty(), "no {title}: {text}");
    lines
}

#[test]
fn questions_are_answered_and_others_refused() {
    let installation = Installation::new("", "");
    let (text, status) = installation.ask(&["--version"]);
    assert_eq!(
        (text.trim_end(), status),
        (concat!("outpost-agent ", env!("CARGO_PKG_VERSION")), 0)
    );
    let (text, status) = installation.ask(&["--help"]);
    assert!(text.contains("--check") && status == 0, "{text}");
    for words in [&["--nonsense"][..], &["--check", "x"]] {
        let (text, status) = installation.ask(words);
        assert!(text.contains("--check") && status == 64, "{text}");
    }
}

#[test]
fn a_service_is_described_as_it_would_run() {
    let installation = Installation::new(
        "smtp_tls_loglevel_maps = static:1\n",
        "# comment\n\
         smtp      inet  n       -       y       -       -       smtpd\n\
         smtp      unix  -       -       y       -       -       smtp\n\
         relay     unix  -       -       n       -       7       smtp\n\
         \x20       -o { smtp_helo_name = a b }\n\
         # between\n\
         \x20       -o smtp_fallback_relay= mode=shared flags=DR\n\
         box       unix  -       n       n       -       1       smtp protocol=lmtp\n\
         pickup    unix  n       -       y       60      1       pickup\n",
    );
    let (text, status) = installation.ask(&["--check"]);
    assert_eq!(status, 78, "{text}");
    assert_eq!(
        part(&text, "ROOT/main.cf"),
        [
            "compatibility_level: 3.6",
            "warning: ROOT/main.cf: line 7: no effect: smtp_tls_loglevel_maps=static:1 \
          (the level of TLS logging is the same for all servers)"
        ]
    );
    assert_eq!(
        part(&text, "ROOT/master.cf"),
        [
            "services that run this program: smtp, relay, box",
            "services that run Postfix's own: none"
        ]
    );
    assert_eq!(
        part(&text, "service smtp (line 3 of master.cf)"),
        [
            "program: ROOT/sbin/smtp",
            "protocol: SMTP",
            "mode: classic, a process for each request, at most 100",
            "runs as: nobody",
            "chroot: ROOT/queue, where it needs nothing besides the queue",
            "TLS: none",
        ]
    );
    assert_eq!(
        part(&text, "service relay (line 4 of master.cf)"),
        [
            "program: ROOT/sbin/smtp",
            "override: smtp_helo_name = a b",
            "override: smtp_fallback_relay = ",
            "refused: parameter override: smtp_helo_name: \"a b\" is empty or has white space or \
             control characters in it",
        ]
    );
    assert_eq!(
        part(&text, "service box (line 8 of master.cf)")[1..5],
        [
            "protocol: LMTP",
            "mode: classic, a process for each request, at most 1",
            "runs as: root (column 4 of its line)",
            "chroot: no",
        ]
    );
    let verdict = text.lines().last().unwrap();
    assert_eq!(verdict, "verdict: 1 of 3 services would not run, 1 warning");
}

#[test]
fn a_trial_is_proposed_where_no_service_runs_the_program() {
    let installation = Installation::new(
        "",
        "smtp unix - - - - - smtp -o syslog_name=x\nbox unix - n y - 3 lmtp\n",
    );
    for name in ["smtp", "lmtp"] {
        let _ = fs::remove_file(installation.path("sbin").join(name));
        installation.write(&format!("sbin/{name}"), "");
    }
    let (text, status) = installation.ask(&["--check"]);
    assert_eq!(
        part(&text, "ROOT/master.cf"),
        [
            "services that run this program: none",
            "services that run Postfix's own: smtp, box",
            "to try this program, add: outpost  unix  -  -  y  -  -  outpost-agent",
        ]
    );
    let smtp = part(&text, "service smtp (line 1 of master.cf)");
    assert_eq!(
        smtp[0],
        "would run as: smtp  unix  -  -  -  -  -  outpost-agent"
    );
    assert_eq!(smtp[1], "override: syslog_name = x");
    let lmtp = part(&text, "service box (line 2 of master.cf)");
    assert_eq!(
        lmtp[0],
        "would run as: box  unix  -  n  y  -  3  outpost-agent protocol=lmtp"
    );
    assert_eq!(
        (text.lines().last(), status),
        (Some("verdict: 2 services would run, 0 warnings"), 0)
    );
}

#[test]
fn tables_and_what_is_questionable_are_shown_with_the_service() {
    let installation = Installation::new(
        "smtp_generic_maps = texthash:$queue_directory/../generic, proxy:mysql:names\n\
         smtp_pix_workaround_maps = hash:$queue_directory/../names\nsmtp_host_lookup = native\n\
         smtp_tls_security_level = may\nsmtp_tls_CAfile = /nonexistent/ca\n",
        "smtp unix - - y - 0 smtp -o smtp_helo_timeut=5s -D\n",
    );
    installation.write("generic", "a b\nnonsense\n");
    installation.write("names", "a b\n");
    installation.write("names.db", "");
    let (text, status) = installation.ask(&["--check"]);
    let service = part(&text, "service smtp (line 1 of master.cf)");
    for line in [
        "mode: classic, a process for each request, as many as there are",
        "table: texthash:ROOT/queue/../generic, from ROOT/queue/../generic",
        "table: hash:ROOT/queue/../names, from ROOT/queue/../names",
        "table of proxymap(8): mysql:names",
        "TLS: may",
        "warning: parameter override: unused parameter: smtp_helo_timeut=5s (did you mean \
         smtp_helo_timeout?)",
        "warning: ROOT/queue/etc/resolv.conf is missing for that",
        "warning: -D: no debugger is started",
    ] {
        assert!(service.contains(&line.to_owned()), "{line}: {text}");
    }
    for start in [
        "warning: ROOT/queue/../generic",
        "warning: smtp_tls_CAfile: /nonexistent/ca",
    ] {
        assert!(
            service.iter().any(|line| line.starts_with(start)),
            "{start}: {text}"
        );
    }
    assert_eq!(status, 0, "{text}");
}

#[test]
fn what_keeps_a_service_from_running_is_refused() {
    for (main_cf, master_cf, why, verdict) in [
        (
            "",
            "smtp unix - - n - - smtp flags=Z\n",
            "unknown flags=Z value",
            "1 of 1 service would",
        ),
        (
            "",
            "smtp unix - - n - - smtp -S\n",
            "-S: there is no service",
            "1 of 1 service would",
        ),
        (
            "",
            "x inet n - n - - smtp\n",
            "a socket of type inet",
            "1 of 1 service would",
        ),
        (
            "",
            "x unix - - n - - outpost-agent\n",
            "ROOT/sbin/outpost-agent: No",
            "1 of 1 service",
        ),
        (
            "",
            "smtp unix - - n - x smtp\n",
            "ROOT/master.cf: line 1: field \"max_proc\"",
            "no service",
        ),
        (
            "soft_bounce = 1\n",
            "",
            "ROOT/main.cf: line 7: soft_bounce",
            "no service",
        ),
        (
            "nonsense\n",
            "",
            "ROOT/main.cf: line 7: missing '='",
            "no service",
        ),
        (
            "mail_owner = nosuchuser\n",
            "",
            "mail_owner: unknown user",
            "no service",
        ),
        (
            "queue_directory = /nonexistent\n",
            "",
            "queue_directory: /nonexistent: No",
            "no service",
        ),
        (
            "use_srv_lookup = smtp\n",
            "",
            "ROOT/main.cf: line 7: use_srv_lookup",
            "no service",
        ),
        (
            "smtp_generic_maps = hash:/nonexistent\n",
            "smtp unix - - n - - smtp\n",
            "ROOT/main.cf: line 7: smtp_generic_maps: hash:/nonexistent: open",
            "1 of 1 service would",
        ),
    ] {
        let installation = Installation::new(main_cf, master_cf);
        let (text, status) =
            installation.ask(&["--check", "-c", installation.root().to_str().unwrap()]);
        assert_eq!(status, 78, "{main_cf}{master_cf}: {text}");
        let found = |line: &str| line.starts_with(&format!("  refused: {why}"));
        assert!(text.lines().any(found), "{why}: {text}");
        assert!(
            text.lines()
                .last()
                .unwrap()
                .starts_with(&format!("verdict: {verdict}")),
            "{text}"
        );
    }
    let installation = Installation::new("", "");
    fs::remove_file(installation.path("master.cf")).unwrap();
    let (text, status) = installation.ask(&["--check"]);
    assert!(
        text.contains("refused: open ROOT/master.cf: No such file or directory"),
        "{text}"
    );
    assert_eq!(status, 78);
    fs::remove_file(installation.path("main.cf")).unwrap();
    let (text, status) = installation.ask(&["--check"]);
    assert!(
        text.contains("refused: ROOT/main.cf: cannot be read: No such file"),
        "{text}"
    );
    assert_eq!(status, 78);
}
