//! Tasks that nobody tries.

use outpost_queue::{
    model::{Dead, Fate, Hold, TaskState, Timestamp},
    operation::{Change, Finding, Manage},
};
use smtp_policy::report::DsnKind;

use super::{DAY, HOUR, MINUTE, World, bounced, deferred, destination, sent, unreachable};

/// Makes a destination rest for good. Another message has met its failure.
fn kill(world: &World, domain: &str) {
    let address = format!("other@{domain}");
    world.submit("you@example.org", &[(&address, "")], "");
    world.attempt(|_| unreachable());
    let mut rows = world.store.rows();
    let row = rows.destinations.get_mut(&destination(domain)).unwrap();
    row.dead = Some(Dead {
        until: Timestamp::NEVER,
        why: "connect to mx[192.0.2.1]:25: Connection timed out".into(),
    });
}

#[test]
fn mail_for_a_dead_destination_becomes_too_old_though_nobody_tries_it() {
    let world = World::new();
    kill(&world, "example.com");
    let id = world.submit(
        "me@example.org",
        &[("a@example.com", ""), ("b@example.com", "NEVER")],
        "",
    );
    assert!(world.claim().is_empty());
    world.pass(DAY * 5 - MINUTE);
    assert!(world.look().tasks.is_empty());
    world.pass(MINUTE);
    let looked = world.look();
    let seen = looked.tasks.iter().find(|one| one.message == id).unwrap();
    assert_eq!((seen.finding, seen.recipients), (Finding::Expired, 2));
    let made = world.make_due();
    let report = made.reports.iter().find(|one| one.about == id).unwrap();
    let text = world.text(report.report);
    let told = "<a@example.com>: delivery temporarily suspended: connect to";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("\nAction: failed\nStatus: 4.4.1\n"));
    assert!(!text.contains("b@example.com"));
    assert!(world.is_finished(id));
    assert_eq!(world.store.rows().recipients[&(id, 1)].fate, Fate::Bounced);
}

#[test]
fn what_waits_for_workers_has_its_attempt_first() {
    let world = World::new();
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    // Nobody is there for a week.
    world.pass(DAY * 7);
    assert!(world.look().tasks.is_empty());
    assert!(world.look().tasks.is_empty());
    assert_eq!(world.attempt(|_| sent()), 1);
    assert!(world.is_finished(id));
}

#[test]
fn the_last_verdict_is_the_reason_where_there_is_one() {
    let world = World::new();
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    kill(&world, "example.com");
    world.pass(DAY * 5);
    world.look();
    let made = world.make_due();
    let report = made.reports.iter().find(|one| one.about == id).unwrap();
    let text = world.text(report.report);
    assert!(
        text.contains("<a@example.com>: host mx said: 450 4.2.1 later"),
        "{text}"
    );
    assert!(!text.contains("suspended"), "{text}");
}

#[test]
fn what_is_held_never_becomes_too_old() {
    let world = World::new();
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    let manage = |change| Manage {
        messages: vec![id],
        change,
        rules: world.rules.clone(),
    };
    world.run(manage(Change::Hold));
    world.pass(DAY * 30);
    assert!(world.look().tasks.is_empty());
    let tasks = world.store.rows().tasks.clone();
    let task = tasks.values().next().unwrap();
    assert_eq!(task.state, TaskState::Held(Hold::Operator));
    world.run(manage(Change::Release));
    assert!(world.look().tasks.is_empty());
    assert_eq!(world.attempt(|_| sent()), 1);
    assert!(world.is_finished(id));
}

#[test]
fn senders_hear_once_that_it_takes_long() {
    let mut world = World::new();
    world.rules.schedule.delay_warning = Some(HOUR * 4);
    let to = [
        ("later@a.example", ""),
        ("later@b.example", "DELAY"),
        ("later@c.example", "FAILURE"),
        ("later@d.example", "NEVER"),
        ("yes@e.example", "DELAY"),
    ];
    let id = world.submit("me@example.org", &to, "");
    let outcome = |address: &str| match address.starts_with("yes") {
        true => sent(),
        false => deferred(),
    };
    let mut reports = Vec::new();
    for _ in 0..20 {
        world.attempt(outcome);
        world.look();
        reports.extend(world.make_due().reports);
        world.pass(HOUR);
    }
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(
        (reports[0].kind, reports[0].recipients),
        (DsnKind::Delay, 2)
    );
    let text = world.text(reports[0].report);
    assert!(
        text.contains("\nSubject: Delayed Mail (still being retried)\n"),
        "{text}"
    );
    assert!(
        text.contains("\nWill-Retry-Until: Sat, 06 Jan 2024 00:00:00 +0000\n"),
        "{text}"
    );
    assert!(text.contains("\nAction: delayed\n"));
    assert!(!world.is_finished(id));
}

#[test]
fn who_was_reached_in_the_meantime_is_in_no_warning() {
    let mut world = World::new();
    world.rules.schedule.delay_warning = Some(HOUR);
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    world.pass(HOUR);
    assert_eq!(world.look().tasks[0].finding, Finding::Delayed);
    assert_eq!(world.attempt(|_| sent()), 1);
    assert!(world.make_due().reports.is_empty());
    assert!(world.is_finished(id));
}

#[test]
fn a_warning_names_a_destination_that_was_never_tried() {
    let mut world = World::new();
    world.rules.schedule.delay_warning = Some(HOUR);
    kill(&world, "example.com");
    let id = world.submit("me@example.org", &[("a@example.com", "")], "");
    assert!(world.claim().is_empty());
    world.pass(HOUR);
    world.look();
    world.pass(MINUTE * 5);
    let made = world.make_due();
    let report = made.reports.iter().find(|one| one.about == id).unwrap();
    let text = world.text(report.report);
    assert!(
        text.contains("delivery temporarily suspended: connect to"),
        "{text}"
    );
}

#[test]
fn a_failure_after_a_warning_is_told_too() {
    let mut world = World::new();
    world.rules.schedule.delay_warning = Some(HOUR);
    world.submit("me@example.org", &[("a@example.com", "")], "");
    world.attempt(|_| deferred());
    world.pass(HOUR);
    world.look();
    world.pass(MINUTE * 5);
    assert_eq!(world.make_due().reports[0].kind, DsnKind::Delay);
    world.pass(HOUR);
    let claimed = world.claim();
    world.conclude(&claimed, |_| bounced());
    assert_eq!(world.make_due().reports[0].kind, DsnKind::Failure);
}
