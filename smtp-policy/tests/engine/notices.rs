use std::sync::Arc;

use smtp_policy::{
    Protocol,
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

use crate::{Rules, World, policy};

const WORLD: &str =
    "myhostname = mx.client.example\nmyorigin = origin.example\nnotify_classes = protocol, data\n";

fn world(rules: Rules) -> World {
    World::new().with_server("192.0.2.1", rules)
}

#[test]
fn a_server_that_does_not_understand_us_is_shown_to_the_postmaster() {
    let mut world = world(&[("RCPT", "500 5.5.1 what")]);
    world.deliver(WORLD, &["a@example.com"]);
    let [notice] = world.notices.as_slice() else {
        panic!("{:?}", world.notices)
    };
    assert_eq!(notice.relay, "mx1.example[192.0.2.1]:25");
    assert_eq!(notice.sender, "double-bounce@mx.client.example");
    assert_eq!(notice.from, "MAILER-DAEMON@mx.client.example");
    assert_eq!(notice.recipient, "postmaster");
    let expected = [
        "In:  220 mx ESMTP",
        "Out: EHLO mx.client.example",
        "In:  250-mx",
        "In:  250 PIPELINING",
        "Out: MAIL FROM:<from@example.org>",
        "Out: RCPT TO:<a@example.com>",
        "Out: DATA",
        "In:  250 2.1.0 ok",
        "In:  500 5.5.1 what",
        "In:  354 go",
        "Out: .",
        "Out: QUIT",
    ];
    let shown: Vec<&str> = notice.transcript.iter().map(String::as_str).collect();
    assert_eq!(shown.get(..9), expected.get(..9), "{shown:#?}");
}

#[test]
fn only_what_the_postmaster_asked_for_becomes_a_notice() {
    const STRANGE: Rules = &[("RCPT", "500 5.5.1 what")];
    const DATA_ERROR: &str = "smtp_reply_filter = fail:x\n";
    let rows: &[(Rules, &str, usize)] = &[
        (&[("RCPT", "550 5.1.1 no")], WORLD, 0),
        (&[("RCPT", "450 4.1.1 later")], WORLD, 0),
        (&[("RCPT", "555 5.5.4 unknown parameter")], WORLD, 1),
        (&[("DATA", "250 2.0.0 fine")], WORLD, 1),
        (&[("MAIL", "250 2.1.0 ok")], WORLD, 0),
        (&[("MAIL", "what?\r\n250 2.1.0 ok")], WORLD, 1),
        (STRANGE, "", 0),
        (STRANGE, "notify_classes = data\n", 0),
        (STRANGE, "notify_classes = protocol\n", 1),
        (
            &[],
            "notify_classes = protocol\nsmtp_reply_filter = fail:x\n",
            0,
        ),
        (
            &[],
            "notify_classes = data\nsmtp_reply_filter = fail:x\n",
            1,
        ),
        (&[], DATA_ERROR, 0),
    ];
    for (number, (rules, config, notices)) in rows.iter().enumerate() {
        let mut world = world(rules);
        world.deliver(config, &["a@example.com"]);
        assert_eq!(
            world.notices.len(),
            *notices,
            "row {number}: {:?}",
            world.notes
        );
    }
}

#[test]
fn there_is_no_notice_about_a_notice() {
    for sender in ["", "double-bounce@mx.client.example"] {
        let mut world = world(&[("RCPT", "500 5.5.1 what")]);
        let to = vec![Recipient::new(Address::parse("a@example.com").unwrap())];
        let sender = ReversePath::parse(sender).unwrap();
        world.run(
            WORLD,
            Request::new(Protocol::Smtp, "example.com".parse().unwrap(), sender, to),
        );
        assert!(world.notices.is_empty());
    }
}

#[test]
fn the_dialogue_with_a_debug_peer_goes_to_the_log() {
    let long = "x".repeat(200);
    let reply: &'static str = Box::leak(format!("250 2.1.5 {long}").into_boxed_str());
    let rules: Rules = Box::leak(vec![("RCPT", reply)].into_boxed_slice());
    for (list, shown) in [
        ("", false),
        ("mx1.example", true),
        ("example", true),
        ("192.0.2.0/24", true),
        ("192.0.2.1", true),
        ("mx2.example", false),
        ("!mx1.example, example", false),
    ] {
        let mut world = world(rules);
        world.deliver(&format!("debug_peer_list = {list}\n"), &["a@example.com"]);
        let has = |line: &str| world.notes.iter().any(|note| note == line);
        assert_eq!(
            has("> mx1.example[192.0.2.1]:25: RCPT TO:<a@example.com>"),
            shown,
            "{list}"
        );
        let reply = format!("< mx1.example[192.0.2.1]:25: {}", &reply[..100]);
        assert_eq!(has(&reply), shown, "{list}");
    }
}

#[test]
fn the_dialogue_of_everybody_goes_to_the_log_when_it_is_asked_for() {
    let mut world = world(&[]);
    let to = vec![Recipient::new(Address::parse("a@example.com").unwrap())];
    let request = Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        ReversePath::Null,
        to,
    );
    let policy = Arc::into_inner(policy("")).unwrap().with_dialogue();
    world.run_under(Arc::new(policy), request);
    let peer = "> mx1.example[192.0.2.1]:25: ";
    let said: Vec<&str> = world
        .notes
        .iter()
        .filter_map(|note| note.strip_prefix(peer))
        .collect();
    let text = format!("[message text of {} bytes]", crate::LETTER.len());
    let expected = ["DATA", &text, ".", "QUIT"];
    assert_eq!(said[said.len() - 4..], expected, "{said:?}");
}
