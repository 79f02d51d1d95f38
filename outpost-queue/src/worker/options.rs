//! The things that a worker depends on besides its store.

use core::time::Duration;
use std::{
    hash::{BuildHasher, RandomState},
    process,
};

use crate::{model::WorkerName, rules::Rules};

/// The settings of a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Its name, which no other has had: by default host, process id and a random number.
    pub name: WorkerName,
    /// The deliveries at a time (`default_process_limit`): 100. Zero counts as one.
    pub slots: usize,
    /// The rules. All workers of a store should have the same.
    pub rules: Rules,
    /// The longest time between two looks for tasks while there are none: half a second. What comes into the queue by
    /// this process is seen at once.
    pub poll: Duration,
    /// The time for which deliveries may go on after somebody wants the worker to stop: 30 seconds. The same
    /// time is given to those that are then ended politely.
    pub grace: Duration,
    /// The time between two looks for tasks of dead workers: 5 seconds.
    pub reap: Duration,
    /// The time for which a delivery waits at the end of its text until the store has written that down: 30 seconds.
    pub mark: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: own_name(),
            slots: 100,
            rules: Rules::default(),
            poll: Duration::from_millis(500),
            grace: Duration::from_secs(30),
            reap: Duration::from_secs(5),
            mark: Duration::from_secs(30),
        }
    }
}

/// A name that no other worker has.
fn own_name() -> WorkerName {
    let host = outpost::machine::name();
    let random = RandomState::new().hash_one(process::id());
    let name = format!("{}/{}/{random:016x}", host.as_str(), process::id());
    WorkerName(name.into())
}
