//! Facts that workers share.

use core::slice::from_ref;

use outpost_queue::{
    model::{Shared, Timestamp},
    store::Transaction,
};

use super::{
    Fixture,
    rows::{NONE, at},
    script,
};

fn thing(topic: &str, key: &str, number: i64, until: Timestamp) -> Shared {
    Shared {
        topic: topic.into(),
        key: key.into(),
        value: format!("value of {key}"),
        number,
        until,
    }
}

fn put(on: &impl Fixture, things: &[Shared]) {
    let things = things.to_vec();
    on.run(script!(tx [things: Vec<Shared>] -> () { tx.put_shared(things).await }));
}

fn find(on: &impl Fixture, topic: &str, keys: &[&str], now: i64) -> Vec<Shared> {
    let (topic, now) = (topic.to_owned(), at(now));
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    on.run(
        script!(tx [topic: String, keys: Vec<String>, now: Timestamp] -> Vec<Shared> {
            tx.shared(topic, keys, *now).await
        }),
    )
}

pub(crate) fn put_and_found_until_they_are_over(on: &impl Fixture) {
    let all = [
        thing("a", "", 0, at(11)),
        thing("a", "b 'ü' \u{1F4E8}", i64::MIN + 1, Timestamp::NEVER),
        thing("a", "z", i64::MAX, at(10)),
        thing("b", "z", 4, at(99)),
    ];
    put(on, &all);
    let keys = ["", "b 'ü' \u{1F4E8}", "c", "z"];
    assert_eq!(find(on, "a", &keys, 9), all[..3]);
    assert_eq!(find(on, "a", &keys, 10), all[..2]);
    assert_eq!(find(on, "b", &keys, 10), all[3..]);
    assert_eq!(find(on, "c", &keys, 10), []);
    assert_eq!(find(on, "a", &[], 10), []);
    let new = Shared {
        value: String::new(),
        ..thing("a", "z", 5, Timestamp::NEVER)
    };
    put(on, from_ref(&new));
    assert_eq!(find(on, "a", &["z"], 10), [new]);
}

pub(crate) fn scanned_in_order(on: &impl Fixture) {
    let all = [
        thing("a", "", 1, Timestamp::NEVER),
        thing("a", "A", 2, Timestamp::NEVER),
        thing("a", "a", 3, at(5)),
        thing("a", "b", 4, at(6)),
        thing("a", "é", 5, Timestamp::NEVER),
        thing("b", "c", 6, Timestamp::NEVER),
    ];
    put(on, &all);
    let ask = |after: &str, limit: usize| {
        let after = after.to_owned();
        let found = on.run(script!(tx [after: String, limit: usize] -> Vec<Shared> {
            tx.scan_shared("a", after, *limit, at(5)).await
        }));
        found.iter().map(|one| one.number).collect::<Vec<_>>()
    };
    assert_eq!(ask("", 10), [2, 4, 5]);
    assert_eq!(ask("", 2), [2, 4]);
    assert_eq!(ask("A", 10), [4, 5]);
    assert_eq!(ask("b", 10), [5]);
    assert_eq!(ask("", 0), NONE);
}

pub(crate) fn claimed_by_the_first(on: &impl Fixture) {
    let claim = |things: &[Shared], now: i64| {
        let (things, now) = (things.to_vec(), at(now));
        on.run(
            script!(tx [things: Vec<Shared>, now: Timestamp] -> Vec<String> {
                let mut claimed = tx.claim_shared(things, *now).await?;
                claimed.sort();
                Ok(claimed)
            }),
        )
    };
    let first = thing("a", "x", 1, at(10));
    assert_eq!(
        claim(&[first.clone(), thing("a", "y", 1, Timestamp::NEVER)], 5),
        ["x", "y"]
    );
    let second = thing("a", "x", 2, at(20));
    assert_eq!(
        claim(&[second.clone(), thing("a", "y", 2, at(20))], 9),
        [""; 0]
    );
    assert_eq!(find(on, "a", &["x"], 9), [first]);
    // What is over may be claimed again.
    assert_eq!(
        claim(&[second.clone(), thing("a", "y", 2, at(20))], 10),
        ["x"]
    );
    assert_eq!(find(on, "a", &["x"], 10), [second]);
    assert_eq!(claim(&[], 10), [""; 0]);
}

pub(crate) fn added_up(on: &impl Fixture) {
    let add = |things: &[Shared]| {
        let things = things.to_vec();
        on.run(script!(tx [things: Vec<Shared>] -> () { tx.add_shared(things).await }));
    };
    let first = thing("a", "x", 3, at(10));
    add(from_ref(&first));
    assert_eq!(find(on, "a", &["x"], 0), *from_ref(&first));
    let more = Shared {
        value: "another".into(),
        number: 4,
        until: Timestamp::NEVER,
        ..first.clone()
    };
    add(&[more.clone(), thing("a", "y", -1, Timestamp::NEVER)]);
    // All but the number stays.
    let sum = Shared { number: 7, ..first };
    assert_eq!(find(on, "a", &["x"], 0), [sum]);
    assert_eq!(find(on, "a", &["y"], 0)[0].number, -1);
    add(&[Shared {
        number: -10,
        ..more
    }]);
    assert_eq!(find(on, "a", &["x"], 0)[0].number, -3);
    add(&[]);
}

pub(crate) fn deleted_by_name(on: &impl Fixture) {
    put(
        on,
        &[
            thing("a", "x", 1, Timestamp::NEVER),
            thing("a", "y", 2, Timestamp::NEVER),
            thing("b", "x", 3, Timestamp::NEVER),
        ],
    );
    let keys = vec!["nothing".to_owned(), "x".to_owned()];
    on.run(script!(tx [keys: Vec<String>] -> () { tx.delete_shared("a", keys).await }));
    assert_eq!(find(on, "a", &["x", "y"], 0)[0].number, 2);
    assert_eq!(find(on, "b", &["x"], 0).len(), 1);
}

pub(crate) fn purged_when_they_are_over(on: &impl Fixture) {
    let never = Timestamp::NEVER;
    let times = [("a", at(10)), ("b", at(11)), ("c", at(5)), ("d", never)];
    put(on, &times.map(|(key, until)| thing("t", key, 0, until)));
    let purge = |limit: usize| {
        on.run(script!(tx [limit: usize] -> () { tx.purge_shared(at(10), *limit).await }));
        let keys = ["a", "b", "c", "d"];
        let left = find(on, "t", &keys, 0);
        left.into_iter().map(|one| one.key).collect::<String>()
    };
    assert_eq!(purge(0).len(), 4);
    assert_eq!(purge(1).len(), 3);
    assert_eq!(purge(10), "bd");
}
