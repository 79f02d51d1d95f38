//! `outpost probe` against the program's own server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::TcpListener;

use crate::common::{RUNTIMES, Sink, run};

#[cfg(unix)]
#[test]
fn the_first_ctrl_c_ends_politely() {
    use std::{
        io::{BufRead, BufReader, Write},
        process::Stdio,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    for runtime in RUNTIMES {
        let child = crate::common::outpost()
            .args(["probe", "--runtime", runtime, &nexthop])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The server never answers EHLO.
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mx.example\r\n").unwrap();
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line).unwrap();
        assert!(line.starts_with("EHLO "), "{line}");
        crate::common::signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(75), "{runtime}: {text}");
        assert!(text.contains("(4.3.2): delivery was cancelled"), "{text}");
        assert!(text.ends_with("\nThe server cannot be used.\n"), "{text}");
    }
}

#[test]
fn a_server_is_shown_and_gets_no_mail() {
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    for runtime in RUNTIMES {
        let run = run(&["probe", "--runtime", runtime, &nexthop]).exits(0);
        let port = sink.address.port();
        for line in [
            format!("Destination {nexthop}\n"),
            format!("\n127.0.0.1[127.0.0.1]:{port}\n"),
            "  verdict      usable: mail goes there in plaintext\n".into(),
            "  greeting     220 ".into(),
            "  EHLO         250-".into(),
            "  TLS level    none, by the parameters\n".into(),
            "\nThe server can be used.\n".into(),
        ] {
            assert!(run.stdout.contains(&line), "no {line:?} in {run:#?}");
        }
    }
    assert!(sink.messages().is_empty());
}

#[test]
fn json_has_the_fields_that_help_names() {
    let sink = Sink::start(&[
        "--fault",
        "EHLO=250-a.example\\n250-AUTH PLAIN\\n250 SIZE 1000",
    ]);
    let nexthop = sink.nexthop();
    let report = run(&["probe", "--json", &nexthop]).exits(0).report();
    assert_eq!(report["verdict"], "usable");
    assert_eq!(report["servers"], 1);
    let host = &report["hosts"][0];
    assert_eq!(host["hello"]["auth"][0], "PLAIN");
    assert_eq!(host["hello"]["size"], 1000);
    assert_eq!(host["hello"]["name"], "a.example");
    assert_eq!(host["logs_in"], false);
    assert_eq!(host["policy"]["source"], "parameter");

    let help = run(&["probe", "--help"]).exits(0).stdout;
    let mut unnamed = Vec::new();
    crate::common::field_names(&report, &mut |name| {
        let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        if !words.into_iter().any(|word| word == name) {
            unnamed.push(name.to_owned());
        }
    });
    assert_eq!(unnamed, [""; 0]);
}

#[test]
fn a_server_without_tls_is_of_no_use_where_tls_is_demanded() {
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    let encrypt = "smtp_tls_security_level=encrypt";
    let run = run(&["probe", "-o", encrypt, &nexthop]).exits(75);
    let text = "mail is deferred unless another server takes it (4.7.4): TLS is required, but was \
                not offered by host 127.0.0.1[127.0.0.1]";
    assert!(run.stdout.contains(text), "{run:#?}");
    assert!(run.stdout.ends_with("\nThe server cannot be used.\n"));
}

#[test]
fn several_destinations_are_shown_each() {
    let sink = Sink::start(&[]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("[127.0.0.1]:{}", free.local_addr().unwrap().port());
    drop(free);
    let both = format!("{dead}, {}", sink.nexthop());
    let run = run(&["probe", &both]).exits(75);
    assert!(run.stdout.contains("Connection refused"), "{run:#?}");
    assert!(
        run.stdout.ends_with("1 of 2 servers can be used.\n"),
        "{run:#?}"
    );
}

#[test]
fn a_server_that_returns_mail_is_69() {
    let sink = Sink::start(&["--fault", "CONNECT=554 5.7.1 go away\\x1b[2J"]);
    let args = ["-o", "smtp_skip_5xx_greeting=no", "--dns", "127.0.0.1:9"];
    let nexthop = sink.nexthop();
    let mut all = vec!["probe"];
    all.extend(args);
    all.push(&nexthop);
    let run = run(&all).exits(69);
    assert!(
        run.stdout.contains("mail is returned (5.7.1): host"),
        "{run:#?}"
    );
    assert!(!run.stdout.contains('\x1b'));
}

#[test]
fn lmtp_is_spoken_where_it_is_asked_for() {
    let sink = Sink::start(&["--lmtp"]);
    let nexthop = format!("inet:127.0.0.1:{}", sink.address.port());
    let run = run(&["probe", "--protocol", "lmtp", &nexthop]).exits(0);
    assert!(run.stdout.contains("  LHLO         250-"), "{run:#?}");
}

#[test]
fn a_socket_that_is_not_there_is_said_so() {
    let run = run(&["probe", "--protocol", "lmtp", "unix:/nowhere/at/all"]).exits(75);
    assert!(run.stdout.contains("No such file or directory"), "{run:#?}");
}

#[test]
fn nobody_listens_on_a_socket_without_a_name() {
    for runtime in RUNTIMES {
        let args = ["probe", "--runtime", runtime, "--protocol", "lmtp", "unix:"];
        let run = run(&args).exits(75);
        assert!(run.stdout.contains("[]: Connection refused"), "{run:#?}");
    }
}

#[test]
fn the_mechanisms_for_a_login_are_named() {
    let sink = Sink::start(&["--fault", "EHLO=250-a.example\\n250 AUTH PLAIN LOGIN"]);
    let nexthop = sink.nexthop();
    let row = |settings: &[&str]| {
        let mut args = vec!["probe"];
        args.extend(settings);
        args.push(&nexthop);
        let run = run(&args).exits(0);
        let row = run.stdout.lines().find(|line| line.starts_with("  AUTH "));
        row.unwrap().to_owned()
    };
    assert_eq!(
        row(&[]),
        "  AUTH         PLAIN LOGIN; a delivery would not log in"
    );
    let login = [
        "-o",
        "smtp_sasl_auth_enable=yes",
        "-o",
        "smtp_sasl_security_options=",
        "-o",
        "smtp_sasl_password_maps=inline:{ { 127.0.0.1 = me:secret } }",
    ];
    assert_eq!(
        row(&login),
        "  AUTH         PLAIN LOGIN; a delivery would log in (not tried)"
    );
}

#[test]
fn an_address_that_no_server_has_is_said_so() {
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    run(&["probe", "--address", "192.0.2.1", &nexthop])
        .exits(69)
        .complains("no server has the address 192.0.2.1");
}

#[test]
fn mistakes_on_the_command_line_are_64_and_in_the_configuration_78() {
    run(&["probe"]).exits(64).complains("DESTINATION");
    run(&["probe", "--from", "a@example.org", "example.com"]).exits(64);
    run(&["probe", "--address", "nonsense", "example.com"]).exits(64);
    run(&["probe", "--config", "/nowhere/main.cf", "example.com"])
        .exits(78)
        .complains("/nowhere/main.cf");
    run(&[
        "probe",
        "-o",
        "smtp_tls_security_level=nonsense",
        "example.com",
    ])
    .exits(78);
}
