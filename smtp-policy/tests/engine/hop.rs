//! The word to the queue manager about the destination (`src/smtp/smtp_trouble.c`, smtp_bulk_fail): which failures speak
//! against it, and that none does once a session has come to a good end.

use smtp_policy::{
    Protocol,
    report::Outcome,
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

use crate::{Interruption, Rules, World, brief};

const DEAD: &str = "4.4.1 connect to mx2.example[192.0.2.2]:25: Connection refused";

/// The word to the queue manager about the destination.
fn hop(outcome: &Outcome) -> String {
    let hop = outcome.hop.as_deref();
    hop.map_or(String::new(), |hop| format!("{} {}", hop.code, hop.text))
}

fn request(to: &[&str]) -> Request {
    let recipient = |to: &&str| Recipient::new(Address::parse(to).unwrap());
    let (next, sender) = ("example.com", ReversePath::parse("from@example.org"));
    Request::new(
        Protocol::Smtp,
        next.parse().unwrap(),
        sender.unwrap(),
        to.iter().map(recipient).collect(),
    )
}

/// A server, and a second one at which nobody listens.
fn before_a_dead_one(rules: Rules) -> World {
    let mut world = World::new().with_server("192.0.2.1", rules);
    world.exchangers.push((20, "mx2.example", "192.0.2.2"));
    world
}

#[test]
fn a_dead_server_behind_a_session_that_ended_well_is_no_dead_destination() {
    let soft = "soft_bounce = yes\n";
    let checks = "soft_bounce = yes\nsmtp_body_checks = external:checks\n";
    let cases: &[(&str, Rules, &str, &str)] = &[
        ("a refused RCPT", &[("RCPT", "450 later")], "", ""),
        ("a refused MAIL", &[("MAIL", "451 later")], "", ""),
        ("a refused DATA", &[("DATA", "451 later")], "", ""),
        ("a refused text", &[(".", "451 later")], "", ""),
        (
            "a text that is too large",
            &[("EHLO", "250-mx\r\n250 SIZE 10")],
            soft,
            "",
        ),
        ("no greeting", &[("CONNECT", "421 later")], "", DEAD),
        ("a server that is lost", &[("RCPT", "CLOSE")], "", DEAD),
        (
            "a server that is lost behind the text",
            &[(".", "CLOSE")],
            "",
            DEAD,
        ),
        (
            "a refused RCPT, and the server lost",
            &[("EHLO", "250 mx"), ("RCPT", "450 later"), ("RSET", "CLOSE")],
            "",
            DEAD,
        ),
        (
            "a server that falls silent",
            &[
                ("RCPT", "450 later"),
                ("EHLO", "250 mx"),
                ("RSET", "SILENCE"),
            ],
            "",
            DEAD,
        ),
        ("a table that fails", &[], checks, DEAD),
    ];
    for (what, rules, main_cf, expected) in cases {
        let mut world = before_a_dead_one(rules);
        world.tables.insert("checks", Err("on fire"));
        let mut request = request(&["a@example.com"]);
        request.size = Some(1000);
        let outcomes = world.run(main_cf, request);
        assert_eq!(brief(&outcomes), ["deferred 4.4.1"], "{what}");
        assert_eq!(hop(&outcomes[0]), *expected, "{what}");
    }
}

#[test]
fn a_kept_connection_counts_as_well() {
    let mut world = before_a_dead_one(&[]);
    world.on_reuse = Some(&[("RCPT", "450 later")]);
    let main_cf = "smtp_connection_cache_destinations = example.com\n";
    let sent = world.deliver(main_cf, &["a@example.com"]);
    assert_eq!(brief(&sent), ["sent 2.0.0"]);
    let outcomes = world.deliver(main_cf, &["a@example.com"]);
    assert_eq!(
        (brief(&outcomes), hop(&outcomes[0])),
        (vec!["deferred 4.4.1".into()], String::new())
    );
    assert_eq!(world.connects, 2);
}

#[test]
fn only_what_speaks_against_the_destination_is_told() {
    let hello = "host mx1.example[192.0.2.1] refused to talk to me: ";
    let lost = "4.4.2 lost connection with mx1.example[192.0.2.1] while ";
    let required = "smtp_tls_security_level = encrypt\n";
    let may = "smtp_tls_security_level = may\n";
    let starts: Rules = &[("EHLO", "250-mx\r\n250 STARTTLS"), ("STARTTLS", "220 go")];
    let cases: &[(Rules, &str, String)] = &[
        (&[("RCPT", "450 later")], "", String::new()),
        (&[("MAIL", "450 later")], "", String::new()),
        (&[(".", "450 later")], "", String::new()),
        (
            &[("CONNECT", "421 later")],
            "",
            format!("4.0.0 {hello}421 later"),
        ),
        (
            &[("DATA", "CLOSE")],
            "",
            format!("{lost}sending DATA command"),
        ),
        (
            starts,
            required,
            "4.7.5 Cannot start TLS: handshake failure".into(),
        ),
        // Where TLS is a mere offer, plaintext is tried some day.
        (starts, may, String::new()),
    ];
    for (rules, main_cf, expected) in cases {
        let mut world = World::new().with_server("192.0.2.1", rules);
        let outcomes = world.deliver(main_cf, &["a@example.com"]);
        assert!(brief(&outcomes)[0].starts_with("deferred"), "{rules:?}");
        assert_eq!(hop(&outcomes[0]), *expected, "{rules:?}");
    }
}

#[test]
fn the_failure_is_told_as_it_was() {
    let refuses: Rules = &[("CONNECT", "554 5.7.1 no")];
    let text = "5.7.1 host mx1.example[192.0.2.1] refused to talk to me: 554 5.7.1 no";
    let mut world = World::new().with_server("192.0.2.1", refuses);
    world.tables.insert("dsf", Ok("4.9.9 wait"));
    for (main_cf, verdict) in [
        ("soft_bounce = yes\n", "SOFTBOUNCE 4.7.1"),
        (
            "smtp_delivery_status_filter = external:dsf\n",
            "deferred 4.9.9",
        ),
    ] {
        let main_cf = format!("smtp_skip_5xx_greeting = no\n{main_cf}");
        let outcomes = world.deliver(&main_cf, &["a@example.com"]);
        assert_eq!(
            (brief(&outcomes), hop(&outcomes[0])),
            (vec![verdict.into()], text.into())
        );
    }
}

#[test]
fn a_message_that_needs_smtputf8_says_nothing_of_the_destination() {
    let mut request = request(&["a@example.com"]);
    (request.smtputf8, request.header_utf8) = (true, true);
    let outcomes = World::new().run("soft_bounce = yes\n", request);
    assert_eq!(
        (brief(&outcomes), hop(&outcomes[0])),
        (vec!["SOFTBOUNCE 4.6.7".into()], String::new())
    );
}

#[test]
fn a_delivery_that_is_ended_from_outside_says_nothing_of_the_destination() {
    for why in [Interruption::Cancel, Interruption::Overdue] {
        let rules: Rules = &[("RCPT TO:<a@", "550 no"), ("DATA", "SILENCE")];
        let mut world = World::new().with_server("192.0.2.1", rules);
        world.then_verdict = Some(why);
        let outcomes = world.deliver("", &["a@example.com", "b@example.com"]);
        assert_eq!(
            (outcomes[1].word, hop(&outcomes[1])),
            ("deferred", String::new())
        );
    }
}

#[test]
fn a_service_passes_mail_on_by_another_agent() {
    let mut world = World::new();
    let main_cf = "inet_interfaces = 192.0.2.1\nbest_mx_transport = lmtp:inet:[192.0.2.9]:2525\n";
    let mut request = request(&["a@example.com", "b@example.com"]);
    request.service = Some("relay".parse().unwrap());
    let outcomes = world.run(main_cf, request);
    assert_eq!(brief(&outcomes), ["deferred 4.3.0", "deferred 4.3.0"]);
    assert_eq!((world.connects, world.notes.len()), (0, 0));
    for outcome in &outcomes {
        let to = outcome.pass_to.as_deref().unwrap();
        let nexthop = to.nexthop.as_deref();
        assert_eq!(
            (to.transport.as_str(), nexthop),
            ("lmtp", Some("inet:[192.0.2.9]:2525"))
        );
        assert_eq!(hop(outcome), "");
    }
}
