//! Notifications made of what the engine reports, held against files and read
//! back with a parser that is not ours.

use std::path::Path;

use mail_parser::{MessageParser, MimeHeaders};
use smtp_policy::{
    Protocol,
    report::{Action, DsnContext, DsnKind, DsnMessage, Original, Report, dsn_message},
    request::{Recipient, Request, TlsWish},
};
use smtp_proto::{
    Address, ReversePath,
    dsn::{Notify, Ret},
};

use crate::{Rules, World};

const MESSAGE: &[u8] =
    b"From: from@example.org\nTo: somebody\nSubject: hello\n\nHow do you do?\n.\n";

const RULES: Rules = &[
    (
        "RCPT TO:<no@",
        "550-5.1.1 There is\r\n550 5.1.1 nobody of that name, and there was never anybody of that name",
    ),
    ("RCPT TO:<never@", "550 5.1.1 no"),
    ("RCPT TO:<later@", "450 4.2.1 later"),
    ("RCPT TO:<silent@", "450 4.2.1 later"),
];

fn request() -> Request {
    let to = |address: &str, notify: &str| {
        let mut to = Recipient::new(Address::parse(address).unwrap());
        to.notify = Notify::parse(notify).unwrap_or_default();
        to
    };
    let mut recipients = vec![
        to("yes@example.com", "SUCCESS,FAILURE"),
        to("quiet@example.com", "FAILURE"),
        to("no@example.com", ""),
        to("never@example.com", "NEVER"),
        to("later@example.com", "DELAY"),
        to("silent@example.com", "SUCCESS"),
    ];
    recipients[2].original = Some("list@example.org".parse().unwrap());
    recipients[2].orcpt = Some("rfc822;list+a@example.org".parse().unwrap());
    let sender = ReversePath::parse("from@example.org").unwrap();
    let mut request = Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        sender,
        recipients,
    );
    request.envid = Some("QQ314159".parse().unwrap());
    request
}

fn report(request: &Request, rules: Rules) -> Report {
    let mut world = World::new().with_server("192.0.2.1", rules);
    let outcomes = world.run("smtputf8_enable = yes\n", request.clone());
    Report::new(request.recipients.iter().cloned().zip(outcomes).collect())
}

const CONTEXT: DsnContext<'_> = DsnContext {
    reporting_mta: "client.example",
    from: "MAILER-DAEMON@client.example",
    mail_name: "Outpost",
    date: "Mon, 1 Jan 2024 00:00:00 +0000",
    arrival_date: Some("Sun, 31 Dec 2023 23:59:59 +0000"),
    last_attempt_date: Some("Mon, 1 Jan 2024 00:00:00 +0000"),
    retry_until: None,
    message_id: "20240101.1@client.example",
    boundary: "4fzyo82",
};

/// Holds a notification against its file; with `OUTPOST_UPDATE` set, the file is
/// written anew.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether the file is to be written"
)]
fn check(name: &str, mail: &DsnMessage) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/engine/dsn")
        .join(name);
    if std::env::var_os("OUTPOST_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &mail.text).unwrap();
    }
    let expected = std::fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&mail.text).into_owned();
    assert_eq!(text, String::from_utf8_lossy(&expected), "{name}");
}

/// The content types of the parts, and the text of each.
fn parts(mail: &DsnMessage) -> Vec<(String, String)> {
    let message = MessageParser::new().parse(&mail.text).unwrap();
    let kind = message.content_type().unwrap();
    assert_eq!(
        (kind.ctype(), kind.subtype()),
        ("multipart", Some("report"))
    );
    assert_eq!(kind.attribute("report-type"), Some("delivery-status"));
    message
        .parts
        .iter()
        .skip(1)
        .map(|part| {
            let kind = part.content_type().unwrap();
            let raw = &mail.text[part.raw_body_offset() as usize..part.raw_end_offset() as usize];
            (
                format!("{}/{}", kind.ctype(), kind.subtype().unwrap()),
                String::from_utf8_lossy(raw).into_owned(),
            )
        })
        .collect()
}

#[test]
fn each_kind_of_notification_is_as_in_its_file() {
    let request = request();
    let report = report(&request, RULES);
    for (kind, name) in [
        (DsnKind::Failure, "failure.eml"),
        (DsnKind::Delay, "delay.eml"),
        (DsnKind::Success, "success.eml"),
    ] {
        let original = Original::Message(MESSAGE);
        let mail = dsn_message(kind, &request, &report, &CONTEXT, original).unwrap();
        assert_eq!(mail.recipient.as_str(), "from@example.org");
        assert!(!mail.smtputf8);
        check(name, &mail);
    }
}

#[test]
fn a_parser_finds_the_three_parts_and_the_fields_in_them() {
    let request = request();
    let report = report(&request, RULES);
    let original = Original::Message(MESSAGE);
    let mail = dsn_message(DsnKind::Failure, &request, &report, &CONTEXT, original).unwrap();
    let parts = parts(&mail);
    let kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["text/plain", "message/delivery-status", "message/rfc822"]
    );
    assert_eq!(parts[2].1.trim_end().as_bytes(), MESSAGE.trim_ascii_end());

    let mut groups = parts[1].1.split("\n\n");
    let fields = MessageParser::new().parse(groups.next().unwrap()).unwrap();
    let field = |name: &str| fields.header_raw(name).unwrap().trim().to_owned();
    assert_eq!(field("Original-Envelope-Id"), "QQ314159");
    assert_eq!(field("Reporting-MTA"), "dns; client.example");
    let fields = MessageParser::new().parse(groups.next().unwrap()).unwrap();
    let field = |name: &str| fields.header_raw(name).unwrap().trim().to_owned();
    assert_eq!(field("Original-Recipient"), "rfc822; list+a@example.org");
    assert_eq!(field("Final-Recipient"), "rfc822; no@example.com");
    assert_eq!(
        (field("Action"), field("Status")),
        ("failed".into(), "5.1.1".into())
    );
    assert_eq!(field("Remote-MTA"), "dns; mx1.example");
    assert!(field("Diagnostic-Code").starts_with("smtp; 550-5.1.1 There is 550 5.1.1"));
    assert_eq!(groups.next().map(str::trim), None);
}

#[test]
fn ret_decides_how_much_of_a_failed_message_comes_back() {
    let mut request = request();
    let report = report(&request, RULES);
    let header = "From: from@example.org\nTo: somebody\nSubject: hello\n";
    let whole = "message/rfc822";
    let rows = [
        (
            DsnKind::Failure,
            None,
            Original::Message(MESSAGE),
            Some(whole),
        ),
        (
            DsnKind::Failure,
            Some(Ret::Full),
            Original::Message(MESSAGE),
            Some(whole),
        ),
        (
            DsnKind::Failure,
            Some(Ret::Hdrs),
            Original::Message(MESSAGE),
            Some("text/rfc822-headers"),
        ),
        (
            DsnKind::Failure,
            Some(Ret::Full),
            Original::Header(MESSAGE),
            Some("text/rfc822-headers"),
        ),
        (
            DsnKind::Delay,
            Some(Ret::Full),
            Original::Message(MESSAGE),
            Some("text/rfc822-headers"),
        ),
        (
            DsnKind::Success,
            None,
            Original::Message(MESSAGE),
            Some("text/rfc822-headers"),
        ),
        (DsnKind::Failure, None, Original::Absent, None),
    ];
    for (kind, ret, original, expected) in rows {
        request.ret = ret;
        let mail = dsn_message(kind, &request, &report, &CONTEXT, original).unwrap();
        let parts = parts(&mail);
        let third = parts.get(2).map(|(kind, _)| kind.as_str());
        assert_eq!(third, expected, "{kind:?} {ret:?}");
        if third == Some("text/rfc822-headers") {
            assert_eq!(parts[2].1.trim(), header.trim());
        }
    }
}

#[test]
fn nobody_is_told_who_is_not_there_or_does_not_want_to_know() {
    let made = |request: &Request, rules, kind| {
        let report = report(request, rules);
        dsn_message(kind, request, &report, &CONTEXT, Original::Absent)
    };
    let mut nobody = request();
    nobody.sender = ReversePath::Null;
    let all_well: Rules = &[];
    let server_reports: Rules = &[("EHLO", "250-mx\r\n250 DSN")];
    assert_eq!(made(&nobody, RULES, DsnKind::Failure), None);
    assert_eq!(made(&request(), all_well, DsnKind::Failure), None);
    assert_eq!(made(&request(), all_well, DsnKind::Delay), None);
    assert!(made(&request(), all_well, DsnKind::Success).is_some());
    assert_eq!(made(&request(), server_reports, DsnKind::Success), None);
    let mut one = request();
    one.recipients
        .retain(|to| to.address.as_str() == "never@example.com");
    assert_eq!(made(&one, RULES, DsnKind::Failure), None);
}

#[test]
fn people_hear_of_age_of_doubt_and_of_what_comes() {
    let mut request = request();
    request.id = "1F".parse().unwrap();
    let mut report = report(&request, RULES);
    let context = DsnContext {
        last_attempt_date: None,
        retry_until: Some("Sat, 6 Jan 2024 00:00:00 +0000"),
        ..CONTEXT
    };
    let made = |kind, report: &Report| {
        let mail = dsn_message(kind, &request, report, &context, Original::Absent).unwrap();
        String::from_utf8(mail.text).unwrap()
    };
    let delay = made(DsnKind::Delay, &report);
    assert!(delay.contains("\nWill-Retry-Until: Sat, 6 Jan 2024 00:00:00 +0000\n"));
    assert!(delay.contains("\nX-Outpost-Queue-ID: 1F\n"));
    assert!(!delay.contains("Last-Attempt-Date") && !delay.contains("may have been"));
    report.recipients[4].1.uncertain = true;
    assert!(
        made(DsnKind::Delay, &report).contains("\n    It may have been delivered all the same")
    );
    report.recipients[4].1.action = Action::Failed;
    report.recipients[4].0.notify = Notify::FAILURE;
    let failure = made(DsnKind::Failure, &report);
    assert!(failure.contains("450 4.2.1 later"), "{failure}");
    assert_eq!(
        failure.matches("before the message became too old").count(),
        1
    );
    assert_eq!(failure.matches("may have been delivered").count(), 1);
    assert!(!failure.contains("Will-Retry-Until"));
}

#[test]
fn it_answers_the_message_and_passes_its_wish_on() {
    let mut request = request();
    let report = report(&request, RULES);
    let rows: &[(&str, Option<&str>)] = &[
        ("Subject: x\nMessage-ID: <a@b>\n\n", Some("<a@b>")),
        ("message-id:\n <a@b>\n\n", Some("<a@b>")),
        ("Message-ID: a@b\n\n", None),
        ("Message-ID: <a@b> <c@d>\n\n", None),
        ("Message-ID: <\u{e9}@b>\n\n", None),
        ("Message-ID:\nX: <a@b>\n\n", None),
        ("Message-ID:", None),
        ("Subject: x\n\nMessage-ID: <a@b>\n", None),
    ];
    for (text, expected) in rows {
        let original = Original::Message(text.as_bytes());
        let mail = dsn_message(DsnKind::Failure, &request, &report, &CONTEXT, original).unwrap();
        let message = MessageParser::new().parse(&mail.text).unwrap();
        for name in ["In-Reply-To", "References"] {
            let found = message.header_raw(name).map(str::trim);
            assert_eq!(found, *expected, "{name} of {text:?}");
        }
        assert_eq!(message.header_raw("TLS-Required"), None);
    }
    request.tls = TlsWish::Waived;
    let mail = dsn_message(
        DsnKind::Failure,
        &request,
        &report,
        &CONTEXT,
        Original::Absent,
    );
    let text = String::from_utf8(mail.unwrap().text).unwrap();
    assert!(
        text.contains("\nTLS-Required: No\nAuto-Submitted"),
        "{text}"
    );
}

#[test]
fn addresses_beyond_ascii_make_it_a_global_notification() {
    let mut request = request();
    request.smtputf8 = true;
    request.header_utf8 = true;
    request.recipients.truncate(1);
    request.recipients[0] = Recipient::new(Address::parse("пример@example.com").unwrap());
    request.recipients[0].orcpt = Some("utf-8;другой@example.com".parse().unwrap());
    let rules: Rules = &[
        ("EHLO", "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8"),
        ("RCPT", "550 5.1.1 nein, öh"),
    ];
    let report = report(&request, rules);
    let text = "Subject: привет\n\nпривет\n".as_bytes();
    let original = Original::Message(text);
    let mail = dsn_message(DsnKind::Failure, &request, &report, &CONTEXT, original).unwrap();
    assert!(mail.smtputf8);
    check("global.eml", &mail);
    let parts = parts(&mail);
    let kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "text/plain",
            "message/global-delivery-status",
            "message/global"
        ]
    );
    assert!(
        parts[1]
            .1
            .contains("\nFinal-Recipient: utf-8; пример@example.com\n")
    );
    assert!(
        parts[1]
            .1
            .contains("\nOriginal-Recipient: utf-8; другой@example.com\n")
    );
}

#[test]
fn strangers_cannot_write_fields_or_end_a_part() {
    let mut request = request();
    request.recipients[2].address = Address::parse("c\u{b}\u{1b}[2J@example.com").unwrap();
    let rules: Rules = &[("RCPT", "550 5.1.1 no\u{b}\u{1b}[2J --=_4fzyo82_0--")];
    let report = report(&request, rules);
    let evil = b"Subject: x\n\n--=_4fzyo82_0--\n--=_4fzyo82_1\nContent-Type: text/html\n\n";
    let original = Original::Message(evil);
    let mail = dsn_message(DsnKind::Failure, &request, &report, &CONTEXT, original).unwrap();
    let parts = parts(&mail);
    assert_eq!(parts.len(), 3, "{parts:#?}");
    let text = String::from_utf8_lossy(&mail.text);
    assert!(
        !text.contains("\nBcc") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert!(parts[2].1.contains("--=_4fzyo82_1\n"));
}
