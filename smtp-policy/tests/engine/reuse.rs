use std::time::Duration;

use smtp_policy::{
    Protocol,
    request::{CacheHints, Recipient, Request},
};
use smtp_proto::{
    Address, ReversePath,
    session::{Place, TRANSITIONS},
};

use crate::{MINUTE, Rules, World, brief};

const KEEP: &str = "smtp_connection_cache_destinations = example.com\n\
    smtp_connection_cache_time_limit = 30s\nsmtp_connection_reuse_time_limit = 300s\n";

fn request(cache: CacheHints, sender: &str) -> Request {
    let to = vec![Recipient::new(Address::parse("a@example.com").unwrap())];
    let sender = ReversePath::parse(sender).unwrap();
    let mut request = Request::new(Protocol::Smtp, "example.com".parse().unwrap(), sender, to);
    request.cache = cache;
    request
}

fn quits(world: &World) -> usize {
    world.heard.iter().filter(|line| *line == "QUIT").count()
}

#[test]
fn a_kept_connection_serves_the_next_message() {
    let mut world = World::new();
    for _ in 0..3 {
        assert_eq!(
            brief(&world.deliver(KEEP, &["a@example.com"])),
            ["sent 2.0.0"]
        );
    }
    assert_eq!((world.connects, quits(&world)), (1, 0));
    assert_eq!(world.heard.iter().filter(|line| *line == "RSET").count(), 2);
}

#[test]
fn a_kept_connection_that_died_loses_nothing_and_sends_nothing_twice() {
    let mut world = World::new();
    world.deliver(KEEP, &["a@example.com"]);
    world.cut_after = Some("RSET");
    assert_eq!(
        brief(&world.deliver(KEEP, &["b@example.com"])),
        ["sent 2.0.0"]
    );
    assert_eq!(world.connects, 2);
    let to_b = world
        .heard
        .iter()
        .filter(|line| line.starts_with("RCPT TO:<b@"))
        .count();
    assert_eq!(to_b, 1);
}

#[test]
fn a_connection_past_its_time_in_the_cache_is_not_used() {
    let mut world = World::new();
    world.deliver(KEEP, &["a@example.com"]);
    assert_eq!(world.cache.len(), 1);
    world.now = world.now + MINUTE;
    world.deliver(KEEP, &["a@example.com"]);
    assert_eq!(world.connects, 2);
    // The one past its time, and the one that took its place.
    assert_eq!(world.cache.expire(world.now + MINUTE).len(), 2);
    assert!(world.cache.is_empty());
}

#[test]
fn a_connection_is_kept_only_so_often_and_only_if_wished() {
    let mut world = World::new();
    let twice = format!("{KEEP}smtp_connection_reuse_count_limit = 1\n");
    for _ in 0..2 {
        world.deliver(&twice, &["a@example.com"]);
    }
    assert_eq!((world.connects, quits(&world)), (1, 1));
    let mut world = World::new();
    world.deliver("", &["a@example.com"]);
    assert_eq!((world.cache.len(), quits(&world)), (0, 1));
}

#[test]
fn rejected_recipients_do_not_end_a_connection_but_nonsense_does() {
    let mut world = World::new().with_server("192.0.2.1", &[("RCPT", "550 5.1.1 no")]);
    world.deliver(KEEP, &["a@example.com"]);
    assert_eq!(world.cache.len(), 1);
    let mut world = World::new().with_server("192.0.2.1", &[("RCPT", "500 5.5.1 what")]);
    world.deliver(KEEP, &["a@example.com"]);
    assert_eq!(world.cache.len(), 0);
    // The last command was written before the reply came, and no QUIT with it.
    assert_eq!(
        (world.heard.last().unwrap().as_str(), quits(&world)),
        (".", 0)
    );
}

#[test]
fn a_message_that_may_only_take_a_kept_connection_puts_it_back() {
    let mut world = World::new();
    let mut request = letter_to("a@example.com");
    (request.cache.load, request.cache.store) = (false, true);
    world.run("", request);
    for _ in 0..2 {
        let mut request = letter_to("b@example.com");
        (request.cache.load, request.cache.store) = (true, false);
        world.run("", request);
    }
    assert_eq!(
        (world.connects, quits(&world), world.cache.len()),
        (1, 0, 1)
    );
}

#[test]
fn a_connection_found_by_its_address_goes_by_the_name_that_led_there() {
    let mut world = World::new();
    world.deliver(KEEP, &["a@example.com"]);
    let mut request = letter_to("a@example.com");
    request.nexthop = "[192.0.2.1]".parse().unwrap();
    request.cache.load = true;
    let outcomes = world.run("", request);
    assert_eq!(world.connects, 1);
    assert_eq!(outcomes[0].relay.to_string(), "192.0.2.1[192.0.2.1]:25");
}

fn letter_to(address: &str) -> Request {
    let recipient = Recipient::new(Address::parse(address).unwrap());
    let sender = ReversePath::parse("from@example.org").unwrap();
    Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        sender,
        vec![recipient],
    )
}

#[test]
fn a_kept_connection_may_be_kept_again_without_leave_to_keep_new_ones() {
    let mut world = World::new();
    let hints = |load, store| CacheHints { load, store };
    for (cache, uses) in [
        (hints(false, true), 1),
        (hints(true, false), 2),
        (hints(true, false), 3),
        (hints(false, false), 1),
    ] {
        let outcomes = world.run("", request(cache, "from@example.org"));
        assert_eq!(outcomes[0].connection_uses, uses);
    }
    assert_eq!(
        (world.connects, quits(&world), world.cache.len()),
        (2, 1, 1)
    );
}

#[test]
fn no_connection_is_idle_for_longer_than_the_common_limit() {
    let mut world = World::new();
    world.deliver(KEEP, &["a@example.com"]);
    let limit = |seconds| Some(world.now + Duration::from_secs(seconds));
    assert_eq!(world.cache.deadline(), limit(2));
    let mut world = World::new();
    let longer = format!("{KEEP}connection_cache_ttl_limit = 1m\n");
    world.deliver(&longer, &["a@example.com"]);
    assert_eq!(world.cache.deadline(), limit(30));
}

#[test]
fn with_sender_dependent_login_a_connection_serves_one_sender() {
    const LOGIN: &str = "smtp_sender_dependent_authentication = yes\n\
        smtp_sasl_password_maps = inline:{nobody@x=u:p}\n";
    let mut world = World::new();
    let both = CacheHints {
        load: true,
        store: true,
    };
    for (sender, connects) in [
        ("from@example.org", 1),
        ("from@example.org", 1),
        ("other@example.org", 2),
        ("", 3),
        ("", 3),
    ] {
        world.run(LOGIN, request(both, sender));
        assert_eq!(world.connects, connects, "{sender}");
    }
}

#[test]
fn a_fallback_relay_is_not_tried_where_a_kept_connection_led() {
    let mut world = World::new();
    let config = format!("{KEEP}smtp_fallback_relay = example.net\n");
    world.deliver(&config, &["a@example.com"]);
    world.servers.insert("192.0.2.1", &[]);
    world.cut_after = Some("MAIL");
    let outcomes = world.deliver(&config, &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
    assert_eq!(
        outcomes[0].text,
        "server unavailable or unable to receive mail"
    );
    assert_eq!(world.connects, 1);
}

#[test]
fn the_last_moves_of_a_session_are_told_when_its_connection_is_closed_or_kept() {
    let mut world = World::new();
    let has = |world: &World, from, to| {
        let row = TRANSITIONS
            .iter()
            .position(|row| (row.from, row.to) == (from, to));
        world.taken.contains(row.unwrap())
    };
    world.deliver(KEEP, &["a@example.com"]);
    assert!(has(&world, Place::Verdict, Place::Idle));
    assert!(!has(&world, Place::Verdict, Place::Leaving));
    // The kept connection turns out to be dead, and another is made.
    world.cut_after = Some("RSET");
    world.deliver(KEEP, &["b@example.com"]);
    assert!(has(&world, Place::Probing, Place::Lost));
    world.deliver("", &["c@example.com"]);
    assert!(has(&world, Place::Leaving, Place::Quit));
    assert!(!has(&world, Place::Probing, Place::Lost));
    assert_eq!(world.taken.strays().count(), 0);
}

#[test]
fn a_reply_too_many_is_forgotten_with_a_note_and_not_the_next_messages() {
    let twice = &[(".", "250 2.0.0 ok\r\n250 2.0.0 once more")];
    let mut world = World::new().with_server("192.0.2.1", twice);
    for _ in 0..2 {
        let outcomes = world.deliver(KEEP, &["a@example.com"]);
        assert_eq!(outcomes[0].text, "250 2.0.0 ok");
    }
    assert_eq!(world.connects, 1);
    let told = "host mx1.example[192.0.2.1] said more than it was asked: 21 bytes are forgotten";
    let told = world.notes.iter().filter(|note| *note == told);
    assert_eq!(told.count(), 2, "{:?}", world.notes);
}

#[test]
fn a_kept_connection_that_is_no_more_is_told_as_that() {
    let relay = "mx1.example[192.0.2.1]:25";
    let over = "the connection that was kept from an earlier message is over";
    let ends = "the server ends the connection that was kept from an earlier message";
    let rows: [(Rules, String); 3] = [
        (
            &[("RSET", "421 4.4.2 idle")],
            format!("{over}: 421 4.4.2 idle"),
        ),
        (&[("RSET", "502 5.5.1 no")], format!("{over}: 502 5.5.1 no")),
        (
            &[("MAIL", "421 4.3.2 bye")],
            format!("{ends}: 421 4.3.2 bye"),
        ),
    ];
    for (rules, told) in rows {
        let mut world = World::new();
        world.deliver(KEEP, &["a@example.com"]);
        assert!(
            !world
                .notes
                .iter()
                .any(|note| note.contains("was kept from"))
        );
        world.on_reuse = Some(rules);
        world.deliver(KEEP, &["b@example.com"]);
        let told = format!("{relay}: {told}");
        let notes = world.notes.iter().filter(|note| **note == told);
        assert_eq!(notes.count(), 1, "{:?}", world.notes);
    }
    let mut world = World::new();
    world.deliver(KEEP, &["a@example.com"]);
    world.cut_after = Some("RSET");
    world.deliver(KEEP, &["b@example.com"]);
    let told = format!("{relay}: {over}: lost connection");
    assert!(world.notes.contains(&told), "{:?}", world.notes);
}

/// A server that has answered is not passed over next time, even if it was lost when nothing more was wanted of it.
#[test]
fn the_next_hop_is_not_bound_to_a_backup_behind_a_server_that_has_answered() {
    for (rules, connects) in [
        (
            &[("EHLO", "250 mx"), ("MAIL", "421 bye"), ("RSET", "CLOSE")] as Rules,
            3,
        ),
        (&[("EHLO", "250 mx"), ("MAIL", "CLOSE")], 2),
    ] {
        let mut world = World::new()
            .with_server("192.0.2.1", rules)
            .with_backup("192.0.2.2", &[]);
        for _ in 0..2 {
            let outcomes = world.deliver(
                "smtp_connection_cache_destinations = example.com\n",
                &["a@example.com"],
            );
            assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
        }
        assert_eq!(world.connects, connects, "{rules:?}");
    }
}
