//! The retry logic of the example `retry`.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

use smtp_sim::check::fates;

#[path = "../examples/retry.rs"]
mod retry;

#[test]
fn who_is_deferred_gets_the_message_later_and_nobody_gets_it_twice() {
    let mut world = retry::world().unwrap();
    let left = retry::deliver_with_retries(&mut world, retry::letter().unwrap(), 4);
    assert!(left.is_empty());
    assert_eq!(world.deliveries().len(), 3);
    assert!(world.now().as_duration().as_secs() >= 300 + 600);
    let fates = fates(&world);
    for to in ["a@d.example", "b@d.example"] {
        assert_eq!(fates.get(to).unwrap().known, 1, "{to}");
    }
}

#[test]
fn who_is_still_deferred_after_the_last_attempt_is_left() {
    let mut world = retry::world().unwrap();
    let left = retry::deliver_with_retries(&mut world, retry::letter().unwrap(), 1);
    let left: Vec<&str> = left.iter().map(|to| to.address.as_str()).collect();
    assert_eq!(left, ["a@d.example"]);
}
