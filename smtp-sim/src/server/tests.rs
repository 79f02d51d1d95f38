#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;

const HOLD: Duration = Duration::from_millis(40);

/// A client that plays prepared writes against a server in virtual time.
struct Bench {
    server: ServerConnection,
    now: Time,
    sent: Vec<u8>,
    last: Option<ServerStep>,
}

impl Bench {
    fn new(protocol: Protocol, script: &str) -> Bench {
        let config = ServerConfig {
            endpoint: "127.0.0.11:10025".into(),
            script: serde_json::from_str(script).unwrap(),
            protocol,
            hold: HOLD,
            epoch: Duration::ZERO,
        };
        let server = ServerConnection::new(Arc::new(config), 1, "127.0.0.1", Time::ZERO);
        Bench {
            server,
            now: Time::ZERO,
            sent: Vec::new(),
            last: None,
        }
    }

    /// Lets time pass, at most this long, or until the server is at its end.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            match self.server.poll(self.now) {
                ServerStep::Send(bytes) => self.sent.extend_from_slice(&bytes),
                ServerStep::Wait { until } | ServerStep::Stall { until } if until <= end => {
                    self.now = until;
                }
                step @ ServerStep::Shutdown => self.last = Some(step),
                step => {
                    self.last = Some(step);
                    self.now = end;
                    return;
                }
            }
        }
    }

    fn client(&mut self, text: &str) {
        self.run(Duration::ZERO);
        self.server.receive(self.now, text.as_bytes());
        self.run(HOLD * 2);
    }

    fn hang_up(&mut self) {
        self.server.disconnected();
        self.run(HOLD);
    }

    fn transcript(&self) -> String {
        let entries = &self.server.record().transcript;
        entries
            .iter()
            .map(|(kind, text)| format!("{kind} {text}\n"))
            .collect()
    }
}

#[test]
fn a_plain_delivery_is_answered_with_the_defaults_and_written_down() {
    let mut bench = Bench::new(
        Protocol::Smtp,
        r#"{"name": "s", "extensions": ["PIPELINING", "SIZE"]}"#,
    );
    bench.client("EHLO c\r\n");
    bench.client("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n");
    bench.client("a\r\n..\r\n.\r\nQUIT\r\n");
    bench.hang_up();
    assert_eq!(
        bench.transcript(),
        "S 220 s ESMTP\nC EHLO c\nS 250-s\nS 250-PIPELINING\nS 250 SIZE\nC MAIL FROM:<>\n\
         S 250 2.1.0 Ok\nC RCPT TO:<a@b>\nS 250 2.1.5 Ok\nC DATA\n\
         S 354 End data with <CR><LF>.<CR><LF>\nC .\nS 250 2.0.0 Ok: queued\nC QUIT\nX client\n"
    );
    let record = bench.server.record();
    let groups: Vec<String> = record.pipeline_groups.iter().map(|g| g.join(" ")).collect();
    assert_eq!(groups, ["EHLO", "MAIL RCPT DATA", ". QUIT"]);
    assert_eq!(record.data_base64, ["YQ0KLi4NCg=="]);
    assert_eq!(bench.last, Some(ServerStep::Close));
}

#[test]
fn default_answers_follow_the_table() {
    let cases = [
        (Protocol::Smtp, "HELO c", "250 s"),
        (Protocol::Smtp, "LHLO c", "500 5.5.1 Command unrecognized"),
        (Protocol::Lmtp, "EHLO c", "500 5.5.1 Command unrecognized"),
        (Protocol::Lmtp, "lhlo c", "250 s"),
        (
            Protocol::Smtp,
            "DATA",
            "554 5.5.1 Error: no valid recipients",
        ),
        (
            Protocol::Smtp,
            "STARTTLS",
            "502 5.5.1 Error: command not implemented",
        ),
        (
            Protocol::Smtp,
            "AUTH PLAIN",
            "535 5.7.8 Error: authentication failed",
        ),
        (Protocol::Smtp, "XFORWARD NAME=a", "250 2.0.0 Ok"),
        (
            Protocol::Smtp,
            "",
            "502 5.5.2 Error: command not recognized",
        ),
        (Protocol::Smtp, "QUIT", "221 2.0.0 Bye"),
    ];
    for (protocol, command, answer) in cases {
        let mut bench = Bench::new(protocol, r#"{"name": "s"}"#);
        bench.client(&format!("{command}\r\n"));
        bench.run(HOLD * 3);
        let expected = format!("{answer}\r\n");
        assert!(
            bench.sent.ends_with(expected.as_bytes()),
            "{command}: {}",
            bench.transcript()
        );
    }
}

#[test]
fn lmtp_answers_once_for_each_accepted_recipient() {
    let rules = r#"{"rules": [{"on": "RCPT", "nth": 2, "reply": ["550 no"]}]}"#;
    let mut bench = Bench::new(Protocol::Lmtp, rules);
    bench.client("MAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nDATA\r\n");
    bench.client(".\r\n");
    let text = bench.transcript();
    assert_eq!(text.matches("S 250 2.1.5 Ok").count(), 4, "{text}");
    assert!(text.contains("S 550 no"), "{text}");
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let cases = [
        (r#""on": "rcpt""#, true),
        (r#""on": "RCPT", "nth": 1"#, true),
        (r#""on": "RCPT", "nth": 2"#, false),
        (r#""on": "RCPT", "session": 1"#, true),
        (r#""on": "RCPT", "session": 2"#, false),
        (r#""on": "RCPT", "line": "RCPT TO:<a@b>""#, true),
        (r#""on": "RCPT", "line": "RCPT TO:<A@b>""#, false),
        (r#""on": "RCPT", "contains": "A@B""#, true),
        (r#""on": "RCPT", "contains": "c""#, true),
        (r#""on": "RCPT", "contains": "x""#, false),
        (r#""on": "RCPT", "tls": false"#, true),
        (r#""on": "RCPT", "tls": true"#, false),
        (r#""on": "MAIL""#, false),
    ];
    for (conditions, fits) in cases {
        let mut bench = Bench::new(
            Protocol::Smtp,
            &format!(r#"{{"rules": [{{{conditions}, "reply": ["450 rule"]}}]}}"#),
        );
        bench.client("RCPT TO:<a@b>\r\n");
        assert_eq!(
            bench.transcript().contains("S 450 rule"),
            fits,
            "{conditions}"
        );
    }
}

#[test]
fn a_reply_is_delayed_cut_and_followed_by_raw_bytes() {
    let mut bench = Bench::new(
        Protocol::Smtp,
        r#"{"rules": [{"on": "CONNECT", "reply": ["220 s"], "raw_base64": "eA==", "delay_ms": 1000,
            "chunks": [2, 5], "chunk_gap_ms": 100}]}"#,
    );
    let steps = [(900, ""), (100, "22"), (100, "220 s"), (100, "220 s\r\nx")];
    for (time, sent) in steps {
        bench.run(Duration::from_millis(time));
        assert_eq!(String::from_utf8_lossy(&bench.sent), sent);
    }
    assert_eq!(bench.transcript(), "S 220 s\nR eA==\n");
}

#[test]
fn the_end_of_a_connection_says_who_ended_it() {
    let cases = [
        ("close", "S 421 x\nX server\n", ServerStep::Close),
        ("reset", "S 421 x\nX server\n", ServerStep::Reset),
        ("silent", "S 421 x\nX client\n", ServerStep::Close),
    ];
    for (then, transcript, last) in cases {
        let script =
            format!(r#"{{"rules": [{{"on": "CONNECT", "reply": ["421 x"], "then": "{then}"}}]}}"#);
        let mut bench = Bench::new(Protocol::Smtp, &script);
        bench.client("EHLO c\r\n");
        bench.hang_up();
        assert_eq!(bench.transcript(), transcript, "{then}");
        assert_eq!(bench.last, Some(last), "{then}");
    }
}

#[test]
fn content_can_be_cut_off_and_refused() {
    let script = r#"{"rules": [{"on": "DATA", "reply": ["354 go"],
        "stop_data": {"after_bytes": 4, "reply": ["452 full"]}}]}"#;
    let mut bench = Bench::new(Protocol::Smtp, script);
    bench.client("DATA\r\n");
    bench.client("abc");
    assert!(!bench.transcript().contains("452"));
    bench.client("d");
    assert!(
        bench.transcript().ends_with("S 452 full\nX server\n"),
        "{}",
        bench.transcript()
    );

    let script = r#"{"rules": [{"on": "DATA", "reply": ["354 go"], "stop_reading": true}]}"#;
    let mut bench = Bench::new(Protocol::Smtp, script);
    bench.client("DATA\r\n");
    assert!(matches!(bench.last, Some(ServerStep::Stall { .. })));
    bench.hang_up();
    assert!(bench.transcript().ends_with("S 354 go\nX client\n"));
}

#[test]
fn content_ends_at_the_dot_line_in_any_chunking() {
    for size in 1..8 {
        let script = r#"{"rules": [{"on": "DATA", "reply": ["354 go"]}]}"#;
        let mut bench = Bench::new(Protocol::Smtp, script);
        bench.client("DATA\r\n");
        for piece in b"a\r\n.b\r\n\r\n.\r\nRSET\r\n".chunks(size) {
            bench.server.receive(bench.now, piece);
            bench.run(Duration::ZERO);
        }
        bench.run(HOLD * 2);
        let record = bench.server.record();
        assert_eq!(record.data_base64, ["YQ0KLmINCg0K"], "{size}");
        assert_eq!(
            record.pipeline_groups.last().unwrap().join(" "),
            ". RSET",
            "{size}"
        );
    }
}

#[test]
fn a_pause_before_the_final_dot_is_noted_where_the_script_asks_for_it() {
    for (note, shown) in [("true", true), ("false", false)] {
        let script = format!(
            r#"{{"note_pause": {note}, "rules": [{{"on": "DATA", "reply": ["354 go"]}}]}}"#
        );
        let mut bench = Bench::new(Protocol::Smtp, &script);
        bench.client("DATA\r\n");
        bench.client("a\r\n");
        bench.run(Duration::from_secs(1));
        bench.client(".\r\n");
        assert_eq!(
            bench.transcript().contains("D pause before the final dot"),
            shown
        );
    }
}

#[test]
fn a_334_reply_makes_the_next_line_a_response() {
    let script = r#"{"rules": [{"on": "AUTH", "reply": ["334 VXNlcg=="]},
        {"on": "RESPONSE", "reply": ["235 ok"]}]}"#;
    let mut bench = Bench::new(Protocol::Smtp, script);
    bench.client("AUTH LOGIN\r\n");
    bench.client("MAIL\r\n");
    assert!(
        bench.transcript().ends_with("C MAIL\nS 235 ok\n"),
        "{}",
        bench.transcript()
    );
    assert_eq!(bench.server.record().pipeline_groups[1], ["RESPONSE"]);
}

#[test]
fn text_in_the_place_of_a_handshake_is_noted() {
    let script = r#"{"rules": [{"on": "STARTTLS", "reply": ["220 go"], "then": "garbage"}]}"#;
    let mut bench = Bench::new(Protocol::Smtp, script);
    bench.client("STARTTLS\r\n");
    bench.client("\u{16}\u{3}");
    bench.hang_up();
    let text = bench.transcript();
    assert!(
        text.ends_with("S 220 go\nT answered without TLS\nX server\n"),
        "{text}"
    );
    assert!(bench.sent.ends_with(b"500 this is not a TLS record\r\n"));
}

#[test]
fn odd_input_is_written_down_readably() {
    let mut bench = Bench::new(Protocol::Smtp, r#"{"record_peer": true}"#);
    bench.run(Duration::ZERO);
    bench.server.receive(bench.now, b"NOOP \xff\n");
    bench.run(HOLD * 2);
    bench.server.receive(bench.now, b"half");
    bench.hang_up();
    let text = bench.transcript();
    assert!(text.starts_with("P 127.0.0.1\n"), "{text}");
    assert!(text.contains("C NOOP \\xff<bare LF>\n"), "{text}");
    assert!(text.ends_with("C half<no newline>\nX client\n"), "{text}");
}

/// The certificate and key of a recording, in a script with these other entries.
#[cfg(feature = "tls")]
fn script_with_tls(recording: &str, others: serde_json::Value) -> String {
    let path = crate::scenario::folder().join(format!("{recording}.json"));
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let server = recorded["servers"].as_object().unwrap().values().next();
    let mut script = others;
    for name in ["certificate", "key"] {
        script["tls"][name] = server.unwrap()["tls"][name].clone();
    }
    script.to_string()
}

#[test]
#[cfg(feature = "tls")]
fn a_server_that_knows_only_what_rustls_does_not_answers_the_first_record_with_an_alert() {
    let table = [
        (
            serde_json::json!({"max_version": "TLSv1.1"}),
            [21, 3, 1, 0, 2, 2, 70],
        ),
        (
            serde_json::json!({"max_version": "TLSv1.2", "ciphers": "AES128-SHA:ADH"}),
            [21, 3, 3, 0, 2, 2, 40],
        ),
    ];
    for (tls, alert) in table {
        let script = script_with_tls("tls-encrypt", serde_json::json!({ "tls": tls }));
        let mut bench = Bench::new(Protocol::Smtp, &script);
        bench.client("STARTTLS\r\n");
        let before = bench.sent.len();
        bench.client("\u{16}\u{3}\u{1}");
        assert_eq!(bench.sent.len(), before);
        bench.client("\u{1}\u{0}hello");
        assert_eq!(bench.sent[before..], alert);
        assert!(
            bench
                .transcript()
                .ends_with("T handshake failed\nX client\n")
        );
    }
}

#[test]
#[cfg(feature = "tls")]
fn plaintext_behind_starttls_is_thrown_away_and_an_early_handshake_is_not() {
    let others = serde_json::json!({
        "tls": {"max_version": "TLSv1"},
        "rules": [{"on": "STARTTLS", "reply": ["220 go", "250 more"], "chunks": [8]}],
    });
    let mut bench = Bench::new(Protocol::Smtp, &script_with_tls("tls-encrypt", others));
    bench.run(Duration::ZERO);
    bench.server.receive(bench.now, b"STARTTLS\r\nNOOP\r\n");
    // The first part of the reply is out, the second is not.
    bench.run(HOLD);
    assert!(bench.sent.ends_with(b"220 go\r\n"));
    bench.server.receive(bench.now, b"\x16\x03\x01\x01\x00");
    bench.run(HOLD);
    assert!(bench.sent.ends_with(&[21, 3, 1, 0, 2, 2, 70]));
    assert!(!bench.transcript().contains("NOOP"));
}

#[test]
#[cfg(feature = "tls")]
fn a_handshake_has_a_time_limit_and_a_script_without_a_good_key_has_none() {
    let mut bench = Bench::new(
        Protocol::Smtp,
        &script_with_tls("tls-encrypt", serde_json::json!({"wrapper_tls": true})),
    );
    bench.run(Duration::from_millis(9_999));
    assert_eq!(bench.transcript(), "");
    bench.run(Duration::from_millis(1));
    assert_eq!(bench.transcript(), "T handshake failed\nX client\n");

    let script = r#"{"wrapper_tls": true, "tls": {"certificate": "", "key": "x"}}"#;
    let mut bench = Bench::new(Protocol::Smtp, script);
    bench.run(Duration::ZERO);
    assert!(bench.transcript().starts_with("T no handshake: "));
}

#[test]
#[cfg(all(feature = "tls", feature = "sasl"))]
fn a_client_certificate_may_be_demanded() {
    let path = crate::scenario::folder().join("tls-client-cert.json");
    let mut scenario = crate::scenario::load(&path).unwrap();
    for server in scenario.servers.values_mut() {
        server.tls.as_mut().unwrap().client_certificate = Some("require".to_owned());
    }
    let play = |scenario: &crate::Scenario| {
        let seen = crate::World::run(scenario, 0);
        let transcript = seen.picture.sessions[0].transcript.clone();
        let handshake = transcript.into_iter().find(|(kind, _)| kind == "T");
        let status = seen.picture.recipients[0][0].status.clone();
        (handshake.unwrap().1, status)
    };
    let shown = "handshake ok sni=none client_certificate=client.example.org";
    assert_eq!(play(&scenario), (shown.to_owned(), "sent".to_owned()));
    scenario.params.retain(|name, _| !name.contains("_file"));
    let failed = "handshake failed".to_owned();
    assert_eq!(play(&scenario), (failed, "deferred".to_owned()));
}

#[test]
#[cfg(all(feature = "tls", feature = "sasl"))]
fn a_server_may_close_inside_tls() {
    let path = crate::scenario::folder().join("tls-encrypt.json");
    let mut scenario = crate::scenario::load(&path).unwrap();
    for server in scenario.servers.values_mut() {
        let rule = r#"{"on": "MAIL", "tls": true, "reply": ["421 4.3.2 bye"], "then": "close"}"#;
        server.rules.push(serde_json::from_str(rule).unwrap());
    }
    let seen = crate::World::run(&scenario, 0);
    let result = &seen.picture.recipients[0][0];
    assert_eq!(result.status, "deferred");
    assert!(result.text.contains("421 4.3.2 bye"), "{}", result.text);
    let last = seen.picture.sessions[0].transcript.last();
    assert_eq!(last, Some(&("X".to_owned(), "server".to_owned())));
}
