use bytes::Bytes;
use smtp_policy::{
    Protocol,
    report::{Relay, Scope, Status},
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath, session::Stage};

use crate::{Rules, Then, World, brief};

#[test]
fn each_recipient_has_a_verdict_of_its_own() {
    let mut world = World::new()
        .with_server(
            "192.0.2.1",
            &[
                ("RCPT TO:<b@", "550 5.1.1 no such user"),
                ("RCPT TO:<c@", "452 4.2.2 full"),
            ],
        )
        .with_backup("192.0.2.2", &[("RCPT TO:<c@", "451 4.7.1 later")]);
    let outcomes = world.deliver("", &["a@example.com", "b@example.com", "c@example.com"]);
    assert_eq!(
        brief(&outcomes),
        ["sent 2.0.0", "bounced 5.1.1", "deferred 4.7.1"]
    );
    assert_eq!(outcomes[2].relay.to_string(), "mx2.example[192.0.2.2]:25");
    assert_eq!(outcomes[2].scope, Scope::Recipient);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("452 4.2.2 full"))
    );
}

#[test]
fn a_server_that_leaves_once_it_has_refused_everybody_is_told_if_another_follows() {
    let lost = "lost connection with mx1.example[192.0.2.1] while sending DATA command";
    let cases: &[(Rules, bool, bool)] = &[
        (&[("RCPT", "421 bye"), ("DATA", "CLOSE")], true, true),
        (&[("RCPT", "550 no"), ("DATA", "CLOSE")], true, true),
        (&[("RCPT", "421 bye"), ("DATA", "CLOSE")], false, false),
        // What the server says to a DATA that nobody is left for is no news.
        (&[("RCPT", "450 no"), ("DATA", "503 no")], true, false),
        (
            &[("EHLO", "250 mx"), ("RCPT", "421 bye"), ("RSET", "CLOSE")],
            true,
            false,
        ),
    ];
    for (rules, backup, told) in cases {
        let mut world = World::new().with_server("192.0.2.1", rules);
        if *backup {
            world = world.with_backup("192.0.2.2", &[]);
        }
        world.deliver("", &["a@example.com"]);
        assert_eq!(
            world.notes.iter().any(|note| note == lost),
            *told,
            "{rules:?}"
        );
        let count = world
            .notes
            .iter()
            .filter(|note| note.contains("mx1.example"))
            .count();
        let refused = usize::from(*backup && rules[0].1 != "550 no");
        assert_eq!(
            count,
            refused + usize::from(*told),
            "{rules:?} {:?}",
            world.notes
        );
    }
}

#[test]
fn a_refused_connection_leads_to_the_backup_and_its_reason_is_the_last_resort() {
    let mut world = World::new().with_backup("192.0.2.2", &[]);
    world.servers.remove("192.0.2.1");
    assert_eq!(
        brief(&world.deliver("", &["a@example.com"])),
        ["sent 2.0.0"]
    );

    world.servers.clear();
    let outcomes = world.deliver("", &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["deferred 4.4.1"]);
    assert_eq!(
        outcomes[0].text,
        "connect to mx2.example[192.0.2.2]:25: Connection refused"
    );
    assert_eq!(outcomes[0].relay, Relay::None);
}

#[test]
fn a_doubt_outlasts_the_next_server_and_is_about_one_recipient() {
    let to = ["a@example.com", "b@example.com"];
    let mut world = World::new()
        .with_server("192.0.2.1", &[("RCPT TO:<b@", "450 later"), (".", "CLOSE")])
        .with_backup("192.0.2.2", &[("RCPT", "550 no")]);
    let outcomes = world.deliver("", &to);
    assert_eq!(brief(&outcomes), ["bounced 5.0.0", "bounced 5.0.0"]);
    assert!(outcomes[0].uncertain && !outcomes[1].uncertain);

    world = World::new().with_server("192.0.2.1", &[("RCPT TO:<b@", "450 later"), (".", "CLOSE")]);
    world.exchangers.push((20, "mx2.example", "192.0.2.2"));
    let outcomes = world.deliver("", &to);
    assert_eq!(brief(&outcomes), ["deferred 4.4.1", "deferred 4.4.1"]);
    assert!(outcomes[0].uncertain && !outcomes[1].uncertain);
}

#[test]
fn a_connection_lost_behind_the_text_is_deferred_and_uncertain() {
    let mut world = World::new().with_server("192.0.2.1", &[(".", "CLOSE")]);
    let outcomes = world.deliver("", &["a@example.com", "b@example.com"]);
    assert_eq!(brief(&outcomes), ["deferred 4.4.2", "deferred 4.4.2"]);
    assert!(outcomes.iter().all(|outcome| outcome.uncertain));
    let mut world = World::new().with_server("192.0.2.1", &[("DATA", "CLOSE")]);
    assert!(!world.deliver("", &["a@example.com"])[0].uncertain);
}

#[test]
fn whoever_may_have_the_message_is_in_doubt_until_the_verdict_is_told() {
    let to = ["a@example.com", "b@example.com", "c@example.com"];
    let rules: Rules = &[("RCPT TO:<b@", "550 no")];
    let mut world = World::new().with_server("192.0.2.1", rules);
    world.deliver("", &to);
    assert_eq!(world.doubts, [vec![0, 2], vec![]]);

    // The verdict is there, and waits for a table.
    let mut world = World::new();
    world.deliver("smtp_delivery_status_filter = external:filter", &to[..1]);
    assert_eq!(world.doubts, [vec![0], vec![0], vec![]]);

    // The next server does not know of it.
    let mut world = World::new()
        .with_server("192.0.2.1", &[("RCPT TO:<b@", "450 later"), (".", "CLOSE")])
        .with_backup("192.0.2.2", &[("MAIL", "550 no")]);
    world.deliver("", &to[..2]);
    assert_eq!(world.doubts, [vec![0], vec![]]);
    assert_eq!(world.connects, 2);

    let mut world = World::new().with_server("192.0.2.1", &[("DATA", "CLOSE")]);
    world.deliver("", &to);
    assert!(world.doubts.is_empty());
}

/// QUIT has gone out behind the text, and its reply comes where one for the second
/// recipient should be.
#[test]
fn the_reply_to_quit_accepts_no_mail() {
    let to = ["a@example.com", "b@example.com"]
        .map(|to| Recipient::new(Address::parse(to).unwrap()))
        .to_vec();
    let request = Request::new(
        Protocol::Lmtp,
        "[192.0.2.1]".parse().unwrap(),
        ReversePath::Null,
        to,
    );
    let rules: Rules = &[
        ("LHLO", "250-mx\r\n250 PIPELINING"),
        (".", "250 2.0.0 one is in\r\n221 2.0.0 bye"),
    ];
    let mut world = World::new().with_server("192.0.2.1", rules);
    let outcomes = world.run("", request);
    assert_eq!(brief(&outcomes), ["sent 2.0.0", "deferred 4.4.2"]);
    assert!(!outcomes[0].uncertain && outcomes[1].uncertain);
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let mut world =
        World::new().with_server("192.0.2.1", &[("EHLO", "250 mx"), ("MAIL", "SILENCE")]);
    let outcomes = world.deliver("smtp_mail_timeout = 7s", &["a@example.com"]);
    assert_eq!(outcomes[0].stage, Some(Stage::Mail));
    assert!(
        outcomes[0]
            .text
            .ends_with("timed out while sending MAIL FROM")
    );
    assert_eq!(world.now.as_duration().as_secs(), 7);
}

#[test]
fn each_reply_has_its_own_time_limit() {
    for (silent, limit) in [
        ("RCPT", "smtp_rcpt_timeout"),
        ("DATA", "smtp_data_init_timeout"),
        (".", "smtp_data_done_timeout"),
    ] {
        let rules = [("EHLO", "250 mx"), (silent, "SILENCE")];
        let mut world = World::new().with_server("192.0.2.1", Box::leak(Box::new(rules)));
        let outcomes = world.deliver(&format!("{limit} = 7s"), &["a@example.com"]);
        assert!(outcomes[0].text.contains("timed out while"), "{silent}");
        assert_eq!(world.now.as_duration().as_secs(), 7, "{silent}");
    }
}

#[test]
fn no_dialogue_outlasts_the_delivery() {
    for (silent, uncertain) in [("MAIL", false), (".", true)] {
        let rules = [("EHLO", "250 mx"), (silent, "SILENCE")];
        let mut world = World::new().with_server("192.0.2.1", Box::leak(Box::new(rules)));
        let outcomes = world.deliver("daemon_timeout = 7s", &["a@example.com"]);
        assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
        let text = outcomes[0].text.as_str();
        let (says, more) = text.split_at("delivery took longer than daemon_timeout".len());
        assert_eq!(says, "delivery took longer than daemon_timeout");
        assert_eq!(outcomes[0].uncertain, uncertain, "{silent}");
        let doubt = " while sending end of data -- message may be sent more than once";
        assert_eq!(more, if uncertain { doubt } else { "" });
        assert_eq!(world.now.as_duration().as_secs(), 7);
    }
}

#[test]
fn soft_bounce_turns_bounces_into_deferrals() {
    let mut world = World::new().with_server("192.0.2.1", &[("RCPT", "550 5.1.1 no")]);
    let outcomes = world.deliver("soft_bounce = yes", &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["SOFTBOUNCE 4.1.1"]);
    assert_eq!(outcomes[0].status, Status::Deferred);
}

#[test]
fn a_refusal_in_the_middle_of_a_long_text_is_the_verdict() {
    // The toy server answers whenever a line of the text begins with this.
    let mut world = World::new();
    world.text = Bytes::from(b"line of text\n".repeat(1_000_000));
    world.servers.insert(
        "192.0.2.1",
        &[("EHLO", "250 mx"), ("DATA", "354 go\r\n552 5.3.4 too big")],
    );
    let outcomes = world.deliver("", &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["bounced 5.3.4"]);
    assert!(
        world.heard.len() < 20_000,
        "{} lines were sent",
        world.heard.len()
    );
    assert!(!world.heard.contains(&".".to_owned()));
}

#[test]
fn a_next_hop_that_makes_no_sense_is_a_verdict() {
    for nexthop in [
        "",
        " , ",
        "[host",
        "[host]x",
        "host:0",
        "host:no-such-service",
    ] {
        let to = Recipient::new(Address::parse("a@example.com").unwrap());
        let request = Request::new(
            Protocol::Smtp,
            nexthop.parse().unwrap(),
            ReversePath::Null,
            vec![to],
        );
        let outcomes = World::new().run("", request);
        assert_eq!(brief(&outcomes), ["deferred 4.3.5"], "{nexthop:?}");
    }
}

#[test]
fn a_request_without_recipients_is_done_at_once() {
    let request = Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        ReversePath::Null,
        Vec::new(),
    );
    let mut world = World::new();
    assert!(world.run("", request).is_empty());
    assert_eq!(world.connects, 0);
}

#[test]
fn the_message_is_sent_from_its_beginning_to_the_next_server() {
    let mut world = World::new()
        .with_server("192.0.2.1", &[(".", "451 4.3.0 disk full")])
        .with_backup("192.0.2.2", &[]);
    assert_eq!(
        brief(&world.deliver("", &["a@example.com"])),
        ["sent 2.0.0"]
    );
    assert_eq!(
        world
            .heard
            .iter()
            .filter(|line| *line == "Subject: hi")
            .count(),
        2
    );
}

#[test]
fn a_message_over_the_announced_size_is_not_even_tried() {
    let mut world = World::new().with_server("192.0.2.1", &[("EHLO", "250-mx\r\n250 SIZE 100")]);
    let to = Recipient::new(Address::parse("a@example.com").unwrap());
    let mut request = Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        ReversePath::Null,
        vec![to],
    );
    request.size = Some(101);
    let outcomes = world.run("", request.clone());
    assert_eq!(brief(&outcomes), ["bounced 5.3.4"]);
    assert_eq!(world.heard, ["EHLO client.example"]);
    request.size = Some(100);
    assert_eq!(brief(&world.run("", request)), ["sent 2.0.0"]);
}

#[test]
fn mail_that_loops_can_be_passed_to_another_client() {
    let mut world = World::new().with_server("192.0.2.9", &[("EHLO", "250 other")]);
    let loops = "inet_interfaces = 192.0.2.1\n";
    assert_eq!(
        brief(&world.deliver(loops, &["a@example.com"])),
        ["bounced 5.4.6"]
    );
    let pass = format!("{loops}best_mx_transport = smtp:[192.0.2.9]:2525\n");
    assert_eq!(
        brief(&world.deliver(&pass, &["a@example.com"])),
        ["sent 2.0.0"]
    );
    let local = format!("{loops}best_mx_transport = local\n");
    assert_eq!(
        brief(&world.deliver(&local, &["a@example.com"])),
        ["deferred 4.3.0"]
    );
}

#[test]
fn mail_that_is_passed_on_has_the_envelope_that_the_other_client_would_give_it() {
    let mut world = World::new().with_server("192.0.2.9", &[]);
    let loops = "inet_interfaces = 192.0.2.1\nbest_mx_transport = lmtp:inet:[192.0.2.9]:2525\n\
                 smtp_generic_maps = inline:{@example.org=public@smtp.example}\n";
    let own = "lmtp_generic_maps = inline:{@example.org=public@lmtp.example}\n";
    for (more, expected) in [("", "from@example.org"), (own, "public@lmtp.example")] {
        world.heard.clear();
        let outcomes = world.deliver(&format!("{loops}{more}"), &["a@example.com"]);
        assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
        let mail = world.heard.iter().find(|line| line.starts_with("MAIL"));
        let wanted = format!("<{expected}>");
        assert!(mail.is_some_and(|line| line.contains(&wanted)), "{mail:?}");
    }
}

#[test]
fn flags_stay_with_the_service_that_they_were_given_to() {
    let mut world = World::new().with_server("192.0.2.9", &[]);
    for (transport, kept) in [("smtp:", true), ("relay:", false), ("lmtp:inet:", false)] {
        let main_cf = format!(
            "inet_interfaces = 192.0.2.1\nbest_mx_transport = {transport}[192.0.2.9]:2525\n"
        );
        let recipients = vec![Recipient::new(Address::parse("a@example.com").unwrap())];
        let sender = ReversePath::parse("from@example.org").unwrap();
        let mut request = Request::new(
            Protocol::Smtp,
            "example.com".parse().unwrap(),
            sender,
            recipients,
        );
        request.flags.return_path = true;
        world.heard.clear();
        assert_eq!(brief(&world.run(&main_cf, request)), ["sent 2.0.0"]);
        let added = world
            .heard
            .iter()
            .any(|line| line.starts_with("Return-Path:"));
        assert_eq!(added, kept, "{transport}");
    }
}

#[test]
fn a_server_may_end_at_any_byte_and_each_recipient_has_its_verdict() {
    let to = ["a@example.com", "b@example.com"];
    let refuse: crate::Rules = &[("RCPT TO:<b@", "550 5.1.1 no")];
    let mut whole = World::new().with_server("192.0.2.1", refuse);
    whole.budget = 10_000;
    assert_eq!(
        brief(&whole.deliver("", &to)),
        ["sent 2.0.0", "bounced 5.1.1"]
    );
    let said = 10_000 - whole.budget;

    let mut uncertain = 0;
    for budget in 0..said {
        for then in [Then::Close, Then::Stall, Then::Reset] {
            let mut world = World::new().with_server("192.0.2.1", refuse);
            (world.budget, world.then) = (budget, then);
            // Each recipient is settled exactly once, or `deliver` fails.
            let outcomes = world.deliver("", &to);
            let [first, second] = &outcomes[..] else {
                panic!()
            };
            assert_eq!(first.status, Status::Deferred, "{budget} {then:?}");
            assert_ne!(second.status, Status::Sent, "{budget} {then:?}");
            uncertain += usize::from(first.uncertain);
        }
    }
    assert!(uncertain > 0);
}

#[test]
fn any_address_beyond_ascii_makes_original_recipients_utf8() {
    for (second, orcpt) in [
        ("ü@example.com", "ORCPT=utf-8;\\x{F6}@example.net"),
        ("b@example.com", "ORCPT=rfc822;+C3+B6@example.net"),
    ] {
        let mut world = World::new().with_server("192.0.2.1", &[("EHLO", "250-mx\r\n250 DSN")]);
        let sender = smtp_proto::ReversePath::parse("from@example.org").unwrap();
        let mut recipients = ["a@example.com", second].map(|address| {
            smtp_policy::request::Recipient::new(smtp_proto::Address::parse(address).unwrap())
        });
        recipients[0].original = Some("ö@example.net".parse().unwrap());
        let protocol = smtp_policy::Protocol::Smtp;
        world.run(
            "",
            smtp_policy::request::Request::new(
                protocol,
                "example.com".parse().unwrap(),
                sender,
                recipients.into(),
            ),
        );
        let rcpt = format!("RCPT TO:<a@example.com> {orcpt}");
        assert!(world.heard.contains(&rcpt), "{:?}", world.heard);
    }
}

#[test]
fn only_2xx_behind_the_text_is_acceptance() {
    let rows: [(Rules, &str); 4] = [
        (&[(".", "250 ok")], "sent 2.0.0"),
        (&[(".", "354 more")], "bounced 5.5.0"),
        (&[(".", "199 what")], "bounced 5.5.0"),
        (&[("DATA", "250 ok")], "bounced 5.5.0"),
    ];
    for (rules, expected) in rows {
        let mut world = World::new().with_server("192.0.2.1", rules);
        let outcomes = world.deliver("", &["a@example.com"]);
        assert_eq!(brief(&outcomes), [expected], "{rules:?}");
    }
}
