use bytes::Bytes;
use smtp_policy::{
    config::Protocol,
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

use crate::{Interruption, Rules, World, brief};

/// Cancels when the server has heard a line that begins with `after`.
fn cancelled(after: &'static str, text: &[u8]) -> (World, Vec<String>) {
    let mut world = World::new();
    world.text = Bytes::copy_from_slice(text);
    world.cancel_after = Some(after);
    let outcomes = world.deliver("", &["a@example.com", "b@example.com"]);
    let brief = brief(&outcomes);
    (world, brief)
}

#[test]
fn what_is_cancelled_early_is_deferred() {
    let (world, outcomes) = cancelled("EHLO", b"hello\n");
    assert_eq!(outcomes, ["deferred 4.3.2", "deferred 4.3.2"]);
    assert!(!world.heard.iter().any(|line| line.starts_with("MAIL")));
}

#[test]
fn a_text_that_is_cut_short_is_not_ended_with_a_dot() {
    let (world, outcomes) = cancelled("line", &b"line\n".repeat(1_000_000));
    assert_eq!(outcomes, ["deferred 4.3.2", "deferred 4.3.2"]);
    assert!(!world.heard.contains(&".".to_owned()));
}

#[test]
fn a_verdict_that_is_on_its_way_is_waited_for() {
    let (_, outcomes) = cancelled(".", b"hello\n");
    assert_eq!(outcomes, ["sent 2.0.0", "sent 2.0.0"]);
}

/// Both verdicts of an LMTP server come at once; between the first and the second the
/// delivery is ended from outside.
#[test]
fn a_verdict_that_is_here_already_counts() {
    let rules: Rules = &[
        ("LHLO", "250-mx\r\n250 PIPELINING"),
        (".", "250 2.0.0 one is in\r\n250 2.0.0 and the other"),
    ];
    for interruption in [Interruption::Cancel, Interruption::Overdue] {
        let to = ["a@example.com", "b@example.com"]
            .map(|to| Recipient::new(Address::parse(to).unwrap()))
            .to_vec();
        let request = Request::new(
            Protocol::Lmtp,
            "[192.0.2.1]".parse().unwrap(),
            ReversePath::Null,
            to,
        );
        let mut world = World::new().with_server("192.0.2.1", rules);
        world.then_verdict = Some(interruption);
        let outcomes = world.run("", request);
        let words = brief(&outcomes);
        assert_eq!(words, ["sent 2.0.0", "sent 2.0.0"], "{interruption:?}");
    }
}

#[test]
fn a_delivery_that_is_cancelled_before_it_begins_connects_nowhere() {
    let mut world = World::new();
    world.heard.push("already".into());
    world.cancel_after = Some("already");
    let outcomes = world.deliver("", &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["deferred 4.3.2"]);
    assert_eq!(world.connects, 0);
}

#[test]
fn a_text_that_cannot_be_read_to_its_end_is_not_ended_with_a_dot() {
    for at in [0, 5] {
        let mut world = World::new().with_server("192.0.2.1", &[]);
        world.unreadable_from = Some(at);
        let outcomes = world.deliver("", &["a@example.com", "b@example.com"]);
        assert_eq!(brief(&outcomes), ["deferred 4.3.0"; 2]);
        assert!(!world.heard.iter().any(|line| line == "."), "{at}");
    }
}
