//! Nothing that comes from outside can say anything of its own: no command on the wire,
//! no header field that was not asked for, no line of the log. The texts of a request
//! cannot hold a line end; what tables answer is not believed.

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    report::Outcome,
    request::{
        ClientInfo, ClientSource, ClientValue, DeliveryFlags, EnvelopeId, Nexthop, Orcpt,
        OriginalRecipient, QueueId, Recipient, Request,
    },
};
use smtp_proto::{Address, ReversePath};

use crate::{Rules, World};

/// The end of a text, another transaction, and what commands a terminal.
const EVIL: &str = "x\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.net>\r\n\
    DATA\r\nSubject: forged\r\n\r\n.\r\n\u{1b}[2J\u{9b}2J";
/// All that there is.
const OFFERS: Rules = &[(
    "EHLO",
    "250-mx\r\n250-DSN\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n\
     250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
)];

fn request() -> Request {
    let mut to = Recipient::new(Address::parse("to@example.com").unwrap());
    to.original = Some("first@example.com".parse().unwrap());
    to.orcpt = Some("rfc822;first@example.com".parse().unwrap());
    let from = ReversePath::parse("from@example.org").unwrap();
    let nexthop = "example.com".parse().unwrap();
    let mut request = Request::new(Protocol::Smtp, nexthop, from, vec![to]);
    request.id = "QID".parse().unwrap();
    request.envid = Some("envid".parse().unwrap());
    request.flags = DeliveryFlags {
        delivered_to: true,
        original_to: true,
        return_path: true,
        final_delivery: false,
    };
    let value = |text: &str| ClientValue::parse(text).unwrap();
    request.client = Some(ClientInfo {
        name: value("client.example"),
        address: value("192.0.2.9"),
        port: value("25"),
        proto: value("ESMTP"),
        helo: value("client.example"),
        ident: value("ID"),
        source: Some(ClientSource::Remote),
    });
    request
}

/// Delivers, and looks at all that was said: one transaction, the fields that were asked
/// for, the text, and no line of the log or the report that is more than one.
fn one_message(main_cf: &str, answer: &'static str, rules: Rules) -> (World, Vec<Outcome>) {
    let mut world = World::new().with_server("192.0.2.1", rules);
    world.tables.insert("t", Ok(answer));
    world.text = Bytes::from_static(b"From: from@example.org\nSubject: hi\n\nhello\n");
    let main_cf = format!("smtp_send_xforward_command = yes\n{main_cf}");
    let outcomes = world.run(&main_cf, request());
    let heard = &world.heard;
    let count = |word: &str| heard.iter().filter(|line| line.starts_with(word)).count();
    for word in ["MAIL FROM:", "RCPT TO:", "DATA", "."] {
        assert!(count(word) <= 1, "{word}: {heard:#?}");
    }
    let text = heard.iter().skip_while(|line| *line != "DATA").skip(1);
    let header: Vec<&str> = text
        .take_while(|line| !matches!(line.as_str(), "" | "." | "RSET"))
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let asked = [
        "Return-Path",
        "X-Original-To",
        "Delivered-To",
        "From",
        "Subject",
    ];
    assert!(header.is_empty() || header == asked, "{heard:#?}");
    let is_one_line = |text: &str| !text.contains(char::is_control);
    for line in heard {
        assert!(!line.contains(['\r', '\n']), "{line:?}");
    }
    for note in &world.notes {
        assert!(is_one_line(note), "{note:?}");
    }
    for outcome in &outcomes {
        assert!(is_one_line(&outcome.text), "{outcome:?}");
        assert!(is_one_line(&outcome.relay.to_string()), "{outcome:?}");
    }
    (world, outcomes)
}

#[test]
fn no_text_of_a_request_ends_a_line() {
    for evil in [EVIL, "a\r", "a\nb", "\0", "\u{1b}[2J", "\u{9b}2J", "\u{85}"] {
        assert!(QueueId::parse(evil).is_err(), "{evil:?}");
        assert!(Nexthop::parse(evil).is_err(), "{evil:?}");
        assert!(OriginalRecipient::parse(evil).is_err(), "{evil:?}");
        assert!(EnvelopeId::parse(evil).is_err(), "{evil:?}");
        assert!(ClientValue::parse(evil).is_err(), "{evil:?}");
        assert!(Orcpt::new("rfc822", evil).is_err(), "{evil:?}");
        assert!(Orcpt::new(evil, "a@b").is_err(), "{evil:?}");
    }
    assert!(Address::parse(EVIL).is_err() && ReversePath::parse(EVIL).is_err());
}

#[test]
fn a_request_of_odd_texts_is_one_message_still() {
    let (world, outcomes) = one_message("", "", OFFERS);
    assert_eq!(outcomes[0].word, "sent");
    assert!(
        world
            .heard
            .contains(&"X-Original-To: first@example.com".to_owned())
    );

    let mut odd = request();
    odd.recipients[0].original = Some(".\u{2028}MAIL FROM:<x> é@example.com".parse().unwrap());
    let mut world = World::new().with_server("192.0.2.1", OFFERS);
    world.run("", odd);
    let mails = world.heard.iter().filter(|line| line.starts_with("MAIL"));
    assert_eq!(mails.count(), 1);
}

#[test]
fn a_long_original_recipient_is_broken_as_any_line_of_the_text() {
    let mut request = request();
    let long = format!("{}@example.com", "x".repeat(1500));
    request.recipients[0].original = Some(long.parse().unwrap());
    request.recipients[0].orcpt = None;
    let mut world = World::new();
    world.run("", request);
    let field = world
        .heard
        .iter()
        .position(|line| line.starts_with("X-Original-To"));
    let lines: Vec<usize> = world.heard[field.unwrap()..]
        .iter()
        .map(String::len)
        .collect();
    assert_eq!(
        lines[..2],
        [998, "X-Original-To: ".len() + long.len() - 998 + 1]
    );
    assert!(world.heard.iter().any(|line| line == "hello"));
}

#[test]
fn an_address_of_a_table_cannot_end_a_command_or_a_field() {
    for evil in [
        EVIL,
        "\"x\r\n.\r\nMAIL FROM:<a@b>\"@c",
        "a@b(\r\n.\r\n)",
        "@c\r\n.\r\n",
    ] {
        one_message("smtp_generic_maps = external:t\n", evil, OFFERS);
    }
}

#[test]
fn a_status_of_a_table_is_one_line_of_the_report() {
    let main_cf = "smtp_delivery_status_filter = external:t\n";
    let evil = "4.0.0 x\r\nMAIL FROM:<a@b>\u{1b}[2J\u{9b}2J";
    let rules = &[("DATA", "451 no")];
    let (_, outcomes) = one_message(main_cf, evil, rules);
    assert_eq!(outcomes[0].text, "x??MAIL FROM:<a@b>?[2J?2J");
    let evil = "2.0.0 x\r\nMAIL FROM:<a@b>";
    let (_, outcomes) = one_message(main_cf, evil, OFFERS);
    assert_eq!(outcomes[0].text, "x??MAIL FROM:<a@b>");
    one_message(main_cf, EVIL, OFFERS);
}

#[test]
fn a_check_cannot_end_a_field_a_line_or_the_text() {
    for parameter in ["smtp_header_checks", "smtp_body_checks"] {
        for evil in [
            "PREPEND X: y\r\n.\r\nMAIL FROM:<a@b>\u{1b}[2J",
            "REPLACE Subject: y\r\n.\r\nMAIL FROM:<a@b>\u{1b}[2J",
            "WARN \r\nforged\u{9b}",
            "INFO \nforged\u{1b}",
            "FORGED\nline\u{85}",
        ] {
            one_message(&format!("{parameter} = external:t\n"), evil, OFFERS);
        }
    }
}

#[test]
fn other_tables_only_choose() {
    let tls = &[("EHLO", "250-mx\r\n250 STARTTLS")];
    for parameter in [
        "smtp_tls_policy_maps",
        "smtp_discard_ehlo_keyword_address_maps",
        "smtp_pix_workaround_maps",
    ] {
        for evil in [
            EVIL,
            "encrypt servername=a\r\nQUIT",
            "may match=a\u{1b}:b",
            "IGNORE \u{9b}",
        ] {
            let tables = format!("{parameter} = external:t\nsmtp_tls_security_level = may\n");
            one_message(&tables, evil, tls);
        }
    }
}

#[test]
fn credentials_are_encoded_whatever_is_in_them() {
    let main_cf = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = external:t\n\
        smtp_sasl_security_options =\n";
    for mechanism in ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256"] {
        let hello = format!("250-mx\r\n250 AUTH {mechanism}").leak();
        let rules: Rules = vec![
            ("EHLO", &*hello),
            ("AUTH LOGIN", "334 VXNlcg=="),
            ("AUTH", "235 in"),
            // What it says to a name, and to a password.
            ("eA0K", "334 UGFzcw=="),
            ("bG9n", "235 in"),
        ]
        .leak();
        one_message(main_cf, "x\r\nRSET\r\n:log\r\nRSET", rules);
        one_message(main_cf, EVIL, rules);
    }
}
