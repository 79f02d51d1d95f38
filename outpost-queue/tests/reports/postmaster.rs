//! Notices to the postmaster.

use outpost_queue::{
    model::{Hold, Kind},
    operation::{Change, Finding, Manage, Mark, Reap, Right},
    rules::DoubtPolicy,
};
use smtp_proto::Address;

use super::{DAY, MINUTE, World, sent};

/// Lets workers die with all that they have claimed.
fn die(world: &World, mark: bool) {
    let claimed = world.claim();
    let rights = claimed.iter().map(|one| Right {
        task: one.task.id,
        fence: one.task.fence,
    });
    let rights: Vec<Right> = rights.collect();
    if mark {
        world.run(Mark { rights });
    }
    // Somebody looks all the time: after a pause, the store itself may have been away.
    for _ in 0..8 {
        world.pass(MINUTE / 4);
        world.run(Reap {
            limit: 10,
            rules: world.rules.clone(),
        });
    }
}

#[test]
fn a_message_that_kills_its_workers_is_told_of_once() {
    let mut world = World::new();
    world.context.postmaster = Some(Address::parse("postmaster@example.net").unwrap());
    let id = world.submit(
        "me@example.org",
        &[("a@example.com", ""), ("b@example.com", "")],
        "",
    );
    for _ in 0..3 {
        assert!(world.look().notices.is_empty());
        die(&world, false);
    }
    assert!(world.claim().is_empty());
    let looked = world.look();
    assert_eq!(looked.tasks[0].finding, Finding::SetAside(Hold::Poison));
    assert_eq!(looked.notices.len(), 1);
    let notice = world.message(looked.notices[0]);
    assert_eq!((notice.kind, notice.sender.as_str()), (Kind::Report, ""));
    let text = world.text(notice.id);
    for part in [
        "To: Postmaster <postmaster@example.net>\n",
        &format!("Queue id:    {id}\n"),
        "Sender:      <me@example.org>\n",
        "  <a@example.com>\n  <b@example.com>\n",
        "died, one after the other",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(world.claim().len(), 1, "the notice alone");
    world.pass(DAY * 30);
    assert!(world.look().tasks.is_empty());
    let manage = Manage {
        messages: vec![id],
        change: Change::Release,
        rules: world.rules.clone(),
    };
    world.run(manage);
    let claimed = world.claim();
    world.conclude(&claimed, |_| sent());
    assert!(world.is_finished(id));
}

#[test]
fn without_a_postmaster_it_is_seen_all_the_same() {
    let world = World::new();
    world.submit("me@example.org", &[("a@example.com", "")], "");
    for _ in 0..3 {
        die(&world, false);
    }
    let looked = world.look();
    assert_eq!(looked.tasks[0].finding, Finding::SetAside(Hold::Poison));
    assert!(looked.notices.is_empty());
    assert!(world.look().tasks.is_empty());
}

#[test]
fn a_doubt_that_is_held_is_told_of_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut world = World::new();
        world.rules.doubt = DoubtPolicy::Hold;
        world.context.postmaster = Some(Address::parse("postmaster@example.net").unwrap());
        world.context.doubt_notices = wanted;
        world.submit("me@example.org", &[("a@example.com", "")], "");
        die(&world, true);
        let looked = world.look();
        assert_eq!(looked.tasks[0].finding, Finding::SetAside(Hold::Doubt));
        assert_eq!(looked.notices.len(), usize::from(wanted));
        if let Some(notice) = looked.notices.first() {
            let text = world.text(*notice);
            assert!(text.contains("  <a@example.com> (may have it)\n"), "{text}");
        }
    }
}
