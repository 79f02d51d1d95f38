//! Destinations.

use outpost_queue::{
    model::{Dead, Destination, DestinationName, Timestamp},
    rules::Concurrency,
    store::Transaction,
};

use super::{
    Fixture,
    rows::{at, place},
    script,
};

fn new(name: &DestinationName) -> Destination {
    Destination::new(name.clone(), &Concurrency::default())
}

fn lock(on: &impl Fixture, hosts: &[&str]) -> Vec<Destination> {
    let names: Vec<DestinationName> = hosts.iter().copied().map(place).collect();
    on.run(
        script!(tx [names: Vec<DestinationName>] -> Vec<Destination> {
            tx.lock_destinations(names, new).await
        }),
    )
}

fn save(on: &impl Fixture, destinations: &[Destination]) {
    let new = destinations.to_vec();
    on.run(script!(tx [new: Vec<Destination>] -> () { tx.save_destinations(new).await }));
}

pub(crate) fn locked_in_their_order_and_made_once(on: &impl Fixture) {
    let made = lock(on, &["a.example", "c.example"]);
    assert_eq!(
        made,
        ["a.example", "c.example"].map(|host| new(&place(host)))
    );
    let mut changed = made[1].clone();
    changed.window = 17;
    save(on, &[changed.clone()]);
    let again = lock(on, &["a.example", "b.example", "c.example"]);
    assert_eq!(again, [made[0].clone(), new(&place("b.example")), changed]);
    assert_eq!(lock(on, &[]), []);
}

pub(crate) fn every_field_comes_back(on: &impl Fixture) {
    let mut all = lock(on, &["a.example", "b.example"]);
    all[0] = Destination {
        running: 7,
        window: 20,
        success: 0.1 + 0.2,
        failure: -1.0 / 3.0,
        fail_cohorts: f64::MIN_POSITIVE,
        dead: Some(Dead {
            until: at(99),
            why: "host mx.a.example said: 421 später 'ü'".into(),
        }),
        next_start: at(5),
        ready_at: at(6),
        ..all[0].clone()
    };
    all[1].next_start = Timestamp::NEVER;
    all[1].dead = Some(Dead {
        until: Timestamp::NEVER,
        why: String::new(),
    });
    save(on, &all);
    assert_eq!(lock(on, &["a.example", "b.example"]), all);
    let fresh = ["a.example", "b.example"].map(|host| new(&place(host)));
    save(on, &fresh);
    assert_eq!(lock(on, &["a.example", "b.example"]), fresh);
}

pub(crate) fn the_ready_ones_come_earliest_first(on: &impl Fixture) {
    let times = [at(30), at(10), Timestamp::NEVER, at(20), at(31)];
    let hosts = [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
    ];
    let mut all = lock(on, &hosts);
    for (destination, time) in all.iter_mut().zip(times) {
        destination.ready_at = time;
    }
    save(on, &all);
    let ask = |limit: usize| {
        on.run(script!(tx [limit: usize] -> Vec<Destination> {
            tx.lock_ready(at(30), *limit).await
        }))
    };
    assert_eq!(ask(10), [all[1].clone(), all[3].clone(), all[0].clone()]);
    assert_eq!(ask(1), [all[1].clone()]);
    assert_eq!(ask(0), []);
}
