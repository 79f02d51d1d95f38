//! Tests of headers.
#![allow(clippy::unwrap_used)]

use std::io::Read;

use super::{super::input::Dots, *};

fn head(text: &str) -> (Head, String) {
    let mut text = Text::new(text.as_bytes(), Dots::Text);
    let head = Head::read(&mut text).unwrap();
    let mut rest = String::new();
    text.read_to_string(&mut rest).unwrap();
    (head, rest)
}

/// The message as it goes out from `ann@x.example`.
fn finished(text: &str, full_name: Option<&str>) -> String {
    finished_from(text, full_name, "ann@x.example")
}

fn finished_from(text: &str, full_name: Option<&str>, sender: &str) -> String {
    let (head, rest) = head(text);
    let bytes = head.finish(&Origin {
        sender: &ReversePath::parse(sender).unwrap(),
        full_name,
        host: "box.example",
        now: "2026-11-30T14:05:06+01:00[+01:00]".parse().unwrap(),
    });
    String::from_utf8(bytes).unwrap() + &rest
}

const ALL: &str = "From: a@x\nDate: then\nMessage-ID: <1@x>\n";

#[test]
fn a_whole_message_stays_as_it_is() {
    for rest in [
        "\nBody\n\nBcc: no field\n",
        "\n",
        "\nno line end",
        "X: gr\u{fc}n\n\tmore\r\n\ny",
    ] {
        let text = format!("{ALL}{rest}");
        assert_eq!(finished(&text, None), text);
    }
}

#[test]
fn fields_that_no_message_takes_along_are_left_out_with_their_continuations() {
    let text = format!(
        "Return-Path: <x@y>\nBCC : b@x,\n c@x\nTo: d@x\nResent-From: r@x\nResent-Bcc: e@x\nResent-Date: d\n\
         Resent-Message-ID: <i>\nContent-Length: 7\n{ALL}X-Bcc: stays\n\ntext\n"
    );
    let expected = format!(
        "To: d@x\nResent-From: r@x\nResent-Date: d\nResent-Message-ID: <i>\n{ALL}X-Bcc: stays\n\ntext\n"
    );
    assert_eq!(finished(&text, None), expected);
}

#[test]
fn fields_that_are_missing_are_added_behind_the_others() {
    let added = finished("Subject: x\n\ny\n", Some("Ann Lee"));
    let lines: Vec<&str> = added.lines().collect();
    let [subject, id, date, from, empty, body] = lines.as_slice() else {
        panic!("{added}")
    };
    assert_eq!((*subject, *empty, *body), ("Subject: x", "", "y"));
    let id = id.strip_prefix("Message-Id: <20261130130506.").unwrap();
    assert!(id.ends_with("@box.example>"), "{id}");
    assert_eq!(*date, "Date: Mon, 30 Nov 2026 14:05:06 +0100");
    assert_eq!(*from, "From: Ann Lee <ann@x.example>");
    assert_ne!(
        finished("", None),
        finished("", None),
        "each has an identifier of its own"
    );
}

#[test]
fn a_message_that_is_sent_again_gets_the_fields_of_this_time() {
    let added = finished(&format!("{ALL}Resent-To: b@x\n\ny\n"), None);
    assert!(
        added.starts_with(&format!("{ALL}Resent-To: b@x\nResent-Message-Id: <")),
        "{added}"
    );
    assert!(added.contains("\nResent-From: ann@x.example\n"), "{added}");
    assert_eq!(added.matches("From: ").count(), 2, "{added}");
}

#[test]
fn a_name_in_from_is_quoted_or_encoded() {
    let long = "Ängström ".repeat(9);
    for (name, sender, from) in [
        (None, "ann@x", "ann@x"),
        (Some(" "), "ann@x", "ann@x"),
        (Some("Ann"), "two words@x", "Ann <\"two words\"@x>"),
        (
            Some("Lee, Ann \"A\""),
            "ann@x",
            "\"Lee, Ann \\\"A\\\"\" <ann@x>",
        ),
        (Some("Ann O. Lee"), "ann@x", "\"Ann O. Lee\" <ann@x>"),
        (Some("=?utf-8?q?x?="), "ann@x", "\"=?utf-8?q?x?=\" <ann@x>"),
        (Some("Jürgen"), "j@x", "=?utf-8?B?SsO8cmdlbg==?= <j@x>"),
        (Some("a\r\nBcc: b@x"), "a@x", "\"a  Bcc: b@x\" <a@x>"),
        (Some("Ann"), "", "MAILER-DAEMON@box.example"),
    ] {
        let text = finished_from("", name, sender);
        assert!(
            text.contains(&format!("\nFrom: {from}\n")),
            "{name:?}: {text}"
        );
    }
    let text = finished("", Some(&long));
    assert!(text.lines().all(|line| line.len() < 100), "{text}");
    assert_eq!(text.matches("=?utf-8?B?").count(), 3, "{text}");
}

#[test]
fn a_header_ends_where_a_line_is_no_field() {
    for (text, rest) in [
        ("no field\nTo: b@x\n", "\nno field\nTo: b@x\n"),
        (" indented\n", "\n indented\n"),
        ("\nTo: b@x\n", "\nTo: b@x\n"),
        (": b\n", "\n: b\n"),
        ("gr\u{fc}n: b\n", "\ngr\u{fc}n: b\n"),
    ] {
        let finished = finished(&format!("{ALL}{text}"), None);
        assert_eq!(
            finished,
            format!("{ALL}{}", if text.starts_with(' ') { text } else { rest })
                + if text.starts_with(' ') { "\n" } else { "" },
            "{text:?}"
        );
    }
    assert!(finished(" indented\n", None).ends_with("\n\n indented\n"));
}

#[test]
fn recipients_stand_in_their_fields() {
    for (text, recipients) in [
        (
            "To: a@x, B <b@x>\nCC: c@x\nbcc:\n d@x\n\nTo: no@x\n",
            &["a@x", "b@x", "c@x", "d@x"][..],
        ),
        ("To: a@x\nTo: b@x\n", &["a@x", "b@x"]),
        ("To: undisclosed-recipients:;\n", &[]),
        ("Reply-To: a@x\nApparently-To: b@x\n", &[]),
        (
            "To: a@x\nResent-To: b@x\nBcc: c@x\nResent-Bcc: d@x\n",
            &["b@x", "d@x"],
        ),
        ("To: a@x\nResent-From: b@x\n", &["a@x"]),
        ("Resent-To:\nTo: a@x\n", &[]),
        (
            "To: =?utf-8?Q?J=C3=BCrgen?=\r\n =?utf-8?Q?_x?= <j@x>\r\n\r\n",
            &["j@x"],
        ),
    ] {
        let found = head(text).0.recipients().unwrap();
        let found: Vec<&str> = found.iter().map(Address::as_str).collect();
        assert_eq!(found, recipients, "{text:?}");
    }
    let error = head("To: a@x\nCc: John Doe\n").0.recipients().unwrap_err();
    assert!(error.starts_with("Cc: 'John Doe': "), "{error}");
}

#[test]
fn the_sender_is_whom_from_names_first() {
    for (text, from) in [
        ("From: Ann <a@x>, b@x\nFrom: c@x\n", Some("a@x")),
        ("From: a@x\nResent-From: b@x\n", Some("b@x")),
        ("From: a@x\nResent-To: b@x\n", None),
        ("From: Ann\n", Some("Ann")),
        ("From: Ann Lee\n", None),
        ("", None),
    ] {
        let found = head(text).0.from();
        assert_eq!(found.as_ref().map(Address::as_str), from, "{text:?}");
    }
}

#[test]
fn tls_is_waived_by_its_field_only() {
    assert!(head("TLS-Required: No\n").0.waives_tls());
    assert!(!head("TLS-Required: Nothing\n").0.waives_tls());
    assert!(!head("\nTLS-Required: No\n").0.waives_tls());
}

#[test]
fn a_header_has_a_limit() {
    let text = format!("A: {}\n", "x".repeat(LIMIT));
    let error = Head::read(&mut Text::new(text.as_bytes(), Dots::Text)).unwrap_err();
    assert!(
        error.to_string().contains("larger than 1048576 bytes"),
        "{error}"
    );
}
