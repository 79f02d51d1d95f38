//! Plays many worlds of the simulation, and says what has come of them: `simulate [FIRST [WORLDS [MESSAGES [CHECK_EVERY]]]]`.
//!
//! A million deliveries: `cargo run --release -p outpost-queue --example simulate -- 1 500 500 50`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::{
    env,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use simulation::{
    judge::Figures,
    world::{Size, World},
};

fn main() -> ExitCode {
    let given: Vec<u64> = env::args()
        .skip(1)
        .map(|one| one.parse().unwrap())
        .collect();
    let argument = |place: usize, default| given.get(place).copied().unwrap_or(default);
    let (first, worlds) = (argument(0, 1), argument(1, 100));
    let size = Size {
        messages: argument(2, 300),
        check_every: argument(3, 50),
    };
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(first));
    let all = Arc::new(Mutex::new((Figures::default(), 0_u64)));
    let threads: Vec<_> = (0..thread::available_parallelism().unwrap().get())
        .map(|_| {
            let (next, all) = (Arc::clone(&next), Arc::clone(&all));
            thread::spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds {
                        return;
                    }
                    let verdict = World::new(seed, size).run();
                    let mut all = all.lock().unwrap();
                    for wrong in verdict.wrong.iter().take(5) {
                        println!("{wrong}");
                    }
                    all.1 += u64::from(!verdict.wrong.is_empty());
                    all.0.add(&verdict.figures);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let (figures, wrong) = *all.lock().unwrap();
    println!("{figures:#?}");
    println!(
        "{wrong} worlds with something wrong, in {:?}",
        begun.elapsed()
    );
    ExitCode::from(u8::from(wrong > 0))
}
