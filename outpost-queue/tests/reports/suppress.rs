//! Addresses that get no mail.

use core::time::Duration;

use outpost_queue::{
    model::{Fate, Timestamp},
    operation::{ListSuppressed, Suppress, Suppressed, Unsuppress},
    rules::Suppression,
};
use smtp_policy::report::Outcome;
use smtp_proto::Address;

use super::{DAY, MINUTE, World, bounced, deferred, sent};

fn world() -> World {
    let mut world = World::new();
    world.rules.suppression = Some(Suppression::default());
    world
}

fn list(world: &World) -> Vec<Suppressed> {
    world.run(ListSuppressed {
        after: String::new(),
        limit: 100,
    })
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Nobody may be tried.
fn nobody(address: &str) -> Outcome {
    panic!("{address} is tried")
}

#[test]
fn an_address_that_bounced_hard_is_not_tried_for_a_time() {
    let world = world();
    world.submit("me@example.org", &[("No@Example.com", "")], "");
    world.attempt(|_| bounced());
    world.make_due();
    world.attempt(|_| sent());
    world.pass(DAY);
    let id = world.submit(
        "you@example.org",
        &[("no@example.com", ""), ("yes@example.com", "")],
        "",
    );
    let claimed = world.claim();
    let left: Vec<_> = claimed[0].recipients.iter().map(|one| one.number).collect();
    assert_eq!(left, [1]);
    world.conclude(&claimed, |_| sent());
    let text = world.only(&world.make_due());
    let told = "<no@example.com>: not tried: this address has got no mail from here since\n    \
                Mon, 01 Jan 2024 00:00:00 +0000: there is no such mailbox (5.1.1 host mx\n    \
                said: 550 5.1.1 no such user)\n";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("\nStatus: 5.1.1\n"));
    assert!(world.is_finished(id));

    world.pass(DAY * 13);
    world.submit("you@example.org", &[("no@example.com", "")], "");
    assert_eq!(world.attempt(|_| deferred()), 2, "and the report");
}

#[test]
fn a_task_without_anybody_left_takes_no_turn() {
    let world = world();
    let why = "it complained";
    world.run(Suppress {
        addresses: vec![address("a@example.com"), address("A@example.com")],
        why: why.to_owned(),
        time: Duration::MAX,
    });
    let entries = list(&world);
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].why.as_str(), entries[0].until),
        (why, Timestamp::NEVER)
    );
    for sender in ["me@example.org", ""] {
        let id = world.submit(sender, &[("a@example.com", "")], "");
        assert_eq!(world.attempt(nobody), 0);
        assert_eq!(world.store.rows().recipients[&(id, 0)].fate, Fate::Bounced);
        let reports = world.make_due().reports;
        assert_eq!(reports.len(), usize::from(!sender.is_empty()));
        world.attempt(|_| sent());
        assert!(world.is_finished(id));
    }
    let rows = world.store.rows();
    assert!(rows.tasks.is_empty() && rows.chunks.is_empty());
    assert!(rows.destinations.values().all(|one| one.running == 0));
}

#[test]
fn mail_that_waits_is_looked_at_too() {
    let world = world();
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    world.run(Suppress {
        addresses: vec![address("a@example.com")],
        why: "it complained".to_owned(),
        time: DAY,
    });
    world.pass(MINUTE * 6);
    assert_eq!(world.attempt(nobody), 0);
    assert_eq!(world.make_due().reports.len(), 1);
    assert!(world.is_finished(id));
}

#[test]
fn an_operator_lets_an_address_get_mail_again() {
    let world = world();
    world.submit("me@example.org", &[("no@example.com", "")], "");
    world.attempt(|_| bounced());
    assert_eq!(list(&world).len(), 1);
    let addresses = vec![address("NO@example.com"), address("other@example.com")];
    assert_eq!(world.run(Unsuppress { addresses }), 1);
    assert!(list(&world).is_empty());
}

#[test]
fn it_is_off_unless_somebody_wants_it() {
    let world = World::new();
    world.submit("me@example.org", &[("no@example.com", "")], "");
    world.attempt(|_| bounced());
    assert!(list(&world).is_empty());
    world.run(Suppress {
        addresses: vec![address("no@example.com")],
        why: String::new(),
        time: DAY,
    });
    world.submit("me@example.org", &[("no@example.com", "")], "");
    assert_eq!(world.attempt(|_| deferred()), 1);
}
