//! The consequences of a verdict: reports, log, marks, and the reply.

use postfix_ipc::{
    attr::Value,
    queue_file::{Record, RecordKind},
    request::{NotifyFlags, Stamp},
};

use super::{
    neighbours::line,
    server::{CLOSE, Script, Server},
    world::{Mail, Manner, World},
};

const UNKNOWN: Script = &[("RCPT TO:<bad", "550 5.1.1 no such user")];
const BUSY: Script = &[("RCPT TO:<bad", "450 4.2.1 busy")];

fn asks_for_success(mail: &mut Mail) {
    for recipient in &mut mail.request.recipients {
        recipient.notify = NotifyFlags::SUCCESS;
    }
}

#[test]
fn a_delivery_is_logged_marked_and_answered() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
    let served = world.serve(&mail);
    assert_eq!((served.status(), served.bytes), (0, 77));
    assert_eq!(mail.marks(), "DD");
    let heard = server.heard();
    assert!(
        heard.contains(&"TEXT Subject: test||Hello.".to_owned()),
        "{heard:?}"
    );
    assert_eq!(
        world.verdicts(),
        [
            "a@test 2.0.0 sent (250 2.0.0 taken)",
            "b@test 2.0.0 sent (250 2.0.0 taken)"
        ]
    );
    // Nobody asked to be told.
    assert_eq!(world.journal().len(), 2);
}

#[test]
fn a_delivery_is_traced_before_it_is_logged() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mut mail = world.mail(&server.nexthop(), &["a@test"]);
    asks_for_success(&mut mail);
    assert_eq!(world.serve(&mail).status(), 0);
    let journal = world.journal();
    assert_eq!(journal.len(), 2, "{journal:?}");
    assert!(journal[0].starts_with(&format!("trace nrequest 0 flags 0 queue_id {}", mail.id)));
    assert!(
        journal[0].contains("notify_flags 2 status 2.0.0"),
        "{journal:?}"
    );
    assert!(journal[0].contains("action relayed reason delivery via 127.0.0.1[127.0.0.1]:"));
    assert!(journal[1].contains("status=sent"));
    assert_eq!(mail.marks(), "D");
}

#[test]
fn a_recipient_is_marked_only_after_the_reports_and_the_line_in_the_log() {
    let (world, server) = (World::new(""), Server::start(UNKNOWN));
    let mut mail = world.mail(&server.nexthop(), &["bad@test"]);
    // It cannot be marked there.
    mail.request.recipients[0].offset = 0;
    assert_eq!(world.serve(&mail).status(), -1);
    let journal = world.journal();
    assert_eq!(journal.len(), 3, "{journal:?}");
    assert!(journal[0].starts_with("bounce nrequest 0"));
    assert!(journal[1].contains("status=bounced"));
    let text = format!(
        "log error: update active/{}: recipient at offset 0 of the queue file",
        mail.id
    );
    assert_eq!(journal[2], text);
}

#[test]
fn a_recipient_without_a_record_is_not_marked() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mut mail = world.mail(&server.nexthop(), &["a@test"]);
    let before = std::fs::read(mail.path()).unwrap();
    mail.request.recipients[0].offset = -1;
    assert_eq!(world.serve(&mail).status(), 0);
    assert_eq!(std::fs::read(mail.path()).unwrap(), before);
}

#[test]
fn a_delivery_without_the_flag_is_not_marked_and_a_bounce_is() {
    let (world, server) = (World::new(""), Server::start(UNKNOWN));
    let mail = world
        .mail(&server.nexthop(), &["a@test", "bad@test"])
        .with_flags(2);
    assert_eq!(world.serve(&mail).status(), 0);
    assert_eq!(mail.marks(), "RD");
}

#[test]
fn a_failure_is_bounced_and_marked() {
    let (world, server) = (World::new(""), Server::start(UNKNOWN));
    let mail = world.mail(&server.nexthop(), &["bad@test", "a@test"]);
    let served = world.serve(&mail);
    assert_eq!((served.status(), served.bytes), (0, 77));
    assert_eq!(mail.marks(), "DD");
    let records = world.told("bounce ");
    let reply = "550 5.1.1 no such user";
    let reason = format!("host 127.0.0.1[127.0.0.1] said: {reply} (in reply to RCPT TO command)");
    let offset = mail.request.recipients[0].offset;
    assert_eq!(
        records,
        [format!(
            "nrequest 0 flags 0 queue_id {} original_recipient bad@test recipient bad@test offset {offset} \
             dsn_orig_rcpt  notify_flags 0 status 5.1.1 diag_type smtp diag_text {reply} mta_type dns \
             mta_mname 127.0.0.1 action failed reason {reason}",
            mail.id
        )]
    );
    assert_eq!(world.told("defer ").len(), 0);
}

#[test]
fn a_failure_that_may_pass_is_deferred_and_not_marked() {
    let (world, server) = (World::new(""), Server::start(BUSY));
    let mail = world.mail(&server.nexthop(), &["bad@test", "a@test"]);
    let served = world.serve(&mail);
    assert_eq!(served.status(), -1);
    // Others are welcome there.
    assert_eq!(served.hop(), (String::new(), String::new()));
    assert_eq!(mail.marks(), "RD");
    let records = world.told("defer ");
    assert_eq!(records.len(), 1);
    assert!(records[0].contains("status 4.2.1 diag_type smtp diag_text 450 4.2.1 busy"));
    assert!(records[0].contains("action delayed reason host 127.0.0.1[127.0.0.1] said: 450"));
    assert_eq!(world.told("flush ").len(), 0);
}

#[test]
fn the_queue_manager_hears_of_a_host_that_cannot_be_reached() {
    let world = World::new("");
    let nexthop = Server::nobody();
    let mail = world.mail(&nexthop, &["a@test", "b@test"]);
    let served = world.serve(&mail);
    assert_eq!(served.status(), -1);
    let port = nexthop.rsplit_once(':').unwrap().1;
    let reason = format!("connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused");
    assert_eq!(served.hop(), ("4.4.1".to_owned(), reason));
    assert!(served.reply.unwrap().hop.action.is_empty());
    assert_eq!(
        (world.told("defer ").len(), mail.marks().as_str()),
        (2, "RR")
    );
}

#[test]
fn a_dead_server_behind_one_that_has_answered_is_not_told() {
    let relay = Server::nobody();
    let world = World::new(&format!("smtp_fallback_relay = {relay}\n"));
    for (script, status) in [(BUSY, ""), (&[("RCPT", "close")] as Script, "4.4.1")] {
        let server = Server::start(script);
        let served = world.serve(&world.mail(&server.nexthop(), &["bad@test"]));
        assert_eq!((served.status(), served.hop().0.as_str()), (-1, status));
    }
    let line = "bad@test 4.4.1 deferred (connect to 127.0.0.1[127.0.0.1]:1: Connection refused)";
    assert_eq!(world.verdicts(), [line, line]);
}

#[test]
fn the_log_says_that_a_message_may_have_arrived() {
    let lost = "lost connection with 127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than once";
    let relay = format!("smtp_fallback_relay = {}\n", Server::nobody());
    for (main_cf, last) in [
        ("", lost),
        (
            relay.as_str(),
            "connect to 127.0.0.1[127.0.0.1]:1: Connection refused",
        ),
    ] {
        let (world, server) = (World::new(main_cf), Server::start(&[("DOT", "close")]));
        let mail = world.mail(&server.nexthop(), &["a@test"]);
        assert_eq!(
            (world.serve(&mail).status(), mail.marks().as_str()),
            (-1, "R")
        );
        assert_eq!(world.verdicts().len(), 1);
        assert!(world.verdicts()[0].ends_with(&format!(" deferred ({last})")));
        // Where the verdict is another, a line of its own has said so before, as with smtp(8).
        let line = format!("log {}: {lost}", mail.id);
        assert_eq!(world.journal().contains(&line), last != lost);
    }
}

#[test]
fn a_destination_that_refuses_to_talk_is_told_as_it_was() {
    let server = Server::start(&[("GREETING", "554 5.7.1 no")]);
    let reason = "host 127.0.0.1[127.0.0.1] refused to talk to me: 554 5.7.1 no";
    for (main_cf, manners, status) in [
        ("soft_bounce = yes\n", &[][..], "5.7.1"),
        // Nobody is to be tried again.
        ("", &[], ""),
        ("", &[("bounce", Manner::Absent)], "5.7.1"),
    ] {
        let main_cf = format!("smtp_skip_5xx_greeting = no\n{main_cf}");
        let world = World::with(&main_cf, manners, &[], |_| {});
        let served = world.serve(&world.mail(&server.nexthop(), &["a@test"]));
        let (code, text) = served.hop();
        let expected = if status.is_empty() { "" } else { reason };
        assert_eq!((code.as_str(), text.as_str()), (status, expected));
    }
}

#[test]
fn what_is_odd_about_a_list_of_domains_is_in_the_log() {
    let world = World::new("fast_flush_domains = relay.test #them\n");
    let warning = "#comment after other text is not allowed: #them: ignoring the rest";
    assert_eq!(world.told("log warning: "), [warning]);
}

#[test]
fn flush_hears_of_what_waits_for_its_domains() {
    let world = World::new("fast_flush_domains = $relay_domains\n");
    let mail = world.mail(
        &Server::nobody(),
        &["a@relay.test", "b@other.test", "c@sub.relay.test"],
    );
    assert_eq!(world.serve(&mail).status(), -1);
    let add = |site: &str| format!("request add site {site} queue_id {}", mail.id);
    // Subdomains are for parent_domain_matches_subdomains, which names this parameter unless it is told otherwise.
    assert_eq!(
        world.told("flush "),
        [add("relay.test"), add("sub.relay.test")]
    );
    let probe = world
        .mail(&Server::nobody(), &["a@relay.test"])
        .with_flags(259);
    assert_eq!(world.serve(&probe).status(), 0);
    assert_eq!(world.told("flush ").len(), 2);
}

#[test]
fn a_bounce_that_is_softened_is_recorded_with_the_deferred() {
    let (world, server) = (World::new("soft_bounce = yes\n"), Server::start(UNKNOWN));
    let mail = world.mail(&server.nexthop(), &["bad@relay.test"]);
    assert_eq!(world.serve(&mail).status(), -1);
    assert_eq!(mail.marks(), "R");
    assert_eq!(
        (world.told("bounce ").len(), world.told("flush ").len()),
        (0, 0)
    );
    let records = world.told("defer ");
    assert!(records[0].contains("status 4.1.1"), "{records:?}");
    assert!(world.verdicts()[0].contains("SOFTBOUNCE"));
}

#[test]
fn verify_hears_of_a_probe_whatever_it_finds() {
    let (world, server) = (World::new(""), Server::start(UNKNOWN));
    for (to, nexthop, finding, word) in [
        ("a@test", server.nexthop(), 0, "deliverable"),
        ("a@test", Server::nobody(), 1, "undeliverable"),
        ("bad@test", server.nexthop(), 2, "undeliverable"),
    ] {
        let mut mail = world.mail(&nexthop, &[to]).with_flags(259);
        mail.request.recipients[0].original = Value::new("alias@test").unwrap();
        let (updates, lines) = (world.told("verify ").len(), world.verdicts().len());
        let served = world.serve(&mail);
        assert_eq!(
            (served.status(), served.bytes, mail.marks().as_str()),
            (0, 77, "D")
        );
        let told = world.told("verify ").split_off(updates);
        let start = |address| {
            format!("request update address {address} recipient_status {finding} reason ")
        };
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with(&start("alias@test")), "{told:?}");
        assert!(told[1].starts_with(&start(to)), "{told:?}");
        let line = world.verdicts().split_off(lines);
        assert!(
            line.len() == 1 && line[0].contains(&format!(" {word} (")),
            "{line:?}"
        );
    }
    assert_eq!(
        (world.told("defer ").len(), world.told("bounce ").len()),
        (0, 0)
    );
    assert_eq!(server.count("DATA"), 0);
}

#[test]
fn verify_does_not_hear_of_failures_that_are_not_kept() {
    let world = World::new("address_verify_negative_cache = no\n");
    let server = Server::start(UNKNOWN);
    let mail = world
        .mail(&server.nexthop(), &["a@test", "bad@test"])
        .with_flags(259);
    assert_eq!(world.serve(&mail).status(), 0);
    assert_eq!(mail.marks(), "DD");
    let told = world.told("verify ");
    assert!(
        told.len() == 1 && told[0].contains("address a@test"),
        "{told:?}"
    );
    let verdicts = world.verdicts();
    assert!(
        verdicts
            .iter()
            .any(|line| line.contains("undeliverable-but-not-cached (")),
        "{verdicts:?}"
    );
}

#[test]
fn two_recipients_are_too_many_for_a_header_field_of_one() {
    for flags in ["flags=D", "flags=O"] {
        let world = World::with("", &[], &["-n", "relay", flags], |_| {});
        let server = Server::start(&[]);
        let mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
        assert_eq!(world.serve(&mail).status(), -1);
        let text = "4.3.5 deferred (mail system configuration error)";
        assert_eq!(
            world.verdicts(),
            [format!("a@test {text}"), format!("b@test {text}")]
        );
        assert_eq!((mail.marks().as_str(), server.heard().len()), ("RR", 0));
        assert_eq!(world.told("defer ").len(), 2);
        let letter = &flags[6..];
        let warning = format!("flag `{letter}' requires relay_destination_recipient_limit = 1");
        assert_eq!(world.told("log warning: "), [warning]);
        let lines = world.told(&format!("log {}: to=", mail.id));
        assert!(
            lines.iter().all(|line| line.contains(", relay=relay, ")),
            "{lines:?}"
        );
    }
}

#[test]
fn mail_that_was_here_before_is_returned_in_the_name_of_the_service() {
    let server = Server::start(&[]);
    let text = "mail forwarding loop for a@test";
    for (main_cf, book, status, verdict, mark) in [
        ("", "bounce ", 0, "5.4.6 bounced", "D"),
        ("soft_bounce = yes\n", "defer ", -1, "4.4.6 SOFTBOUNCE", "R"),
    ] {
        let world = World::with(main_cf, &[], &["-n", "relay", "flags=D"], |_| {});
        let mail = world.mail_of(&server.nexthop(), &["a@test"], |file| {
            line(file, "Delivered-To: a@test");
            Record::write(RecordKind::EXTRACTED, b"", file);
        });
        let mail = mail.with_flags(1027);
        let served = world.serve(&mail);
        assert_eq!((served.status(), served.hop().0.as_str()), (status, ""));
        assert_eq!(mail.marks(), mark);
        assert_eq!(world.verdicts(), [format!("a@test {verdict} ({text})")]);
        assert_eq!((world.told(book).len(), server.heard().len()), (1, 0));
        let trace = world.told("trace ").pop().unwrap();
        assert!(
            trace.ends_with(&format!("reason delivery via relay: {text}")),
            "{trace}"
        );
    }
}

#[test]
fn a_message_that_may_have_arrived_is_deferred() {
    let (world, server) = (World::new(""), Server::start(&[("DOT", CLOSE)]));
    let mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
    assert_eq!(world.serve(&mail).status(), -1);
    assert_eq!((mail.marks().as_str(), server.count("TEXT")), ("RR", 1));
    let verdicts = world.verdicts();
    assert_eq!((verdicts.len(), world.told("defer ").len()), (2, 2));
    let end = "while sending end of data -- message may be sent more than once)";
    assert!(
        verdicts
            .iter()
            .all(|line| line.contains(" 4.4.2 deferred (lost connection") && line.ends_with(end)),
        "{verdicts:?}"
    );
}

#[test]
fn a_clock_that_was_wrong_makes_a_time_zero_and_no_more() {
    let (world, server) = (World::new(""), Server::start(&[]));
    for seconds in [1, 4_000_000_000, i64::MAX, i64::MIN, -1] {
        let mut mail = world.mail(&server.nexthop(), &["a@test"]);
        let stamp = Stamp {
            seconds,
            micros: i64::MAX,
        };
        let stats = &mut mail.request.head.stats;
        (stats.incoming_arrival, stats.active_arrival) = (stamp, stamp);
        assert_eq!(
            (world.serve(&mail).status(), mail.marks().as_str()),
            (0, "D"),
            "{seconds}"
        );
    }
    let lines = world.told("log ");
    assert_eq!(lines.len(), 5);
    // Those whose arrival is to come.
    for line in &lines[1..3] {
        assert!(line.contains(", delays=0/0/"), "{line}");
    }
}
