//! Workers, stores and servers in trouble, for virtual days: nobody is lost, and who is doubled is marked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "simulation/mod.rs"]
mod simulation;

use simulation::{
    judge::Figures,
    world::{Size, World},
};

fn play(seeds: std::ops::Range<u64>, size: Size) -> Figures {
    let mut all = Figures::default();
    for seed in seeds {
        let verdict = World::new(seed, size).run();
        assert!(
            verdict.wrong.is_empty(),
            "{:#?}",
            &verdict.wrong[..verdict.wrong.len().min(10)]
        );
        all.add(&verdict.figures);
    }
    all
}

#[test]
fn nobody_is_lost_and_who_is_doubled_is_marked() {
    let size = Size {
        messages: 60,
        check_every: 1,
    };
    let figures = play(0..12, size);
    println!("{figures:?}");
}
