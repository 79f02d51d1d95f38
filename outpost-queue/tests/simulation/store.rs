//! The store of a world: it is as far away as a network, fails as the weather is, and is looked at after each step.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use outpost_queue::{
    model::{DestinationName, TaskState, Timestamp},
    rules::Rules,
    store::{
        Operation, Store, StoreError,
        memory::{Fault, MemoryStore},
    },
};

use super::{chance::Chance, exec::Exec};

/// The fortune of the store.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// It is away until then.
    pub(crate) away_until: i64,
    /// An operation fails once in so many; zero: never.
    pub(crate) fails: u64,
    /// Since when it has not failed.
    pub(crate) fair_since: i64,
    pub(crate) steps: u64,
    /// The latest time that its clock has shown. When that was set back, destinations are looked at later by as much.
    pub(crate) latest: Timestamp,
    pub(crate) faults: u64,
    pub(crate) wrong: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct SimStore {
    pub(crate) exec: Exec,
    pub(crate) chance: Chance,
    pub(crate) memory: MemoryStore,
    pub(crate) weather: Arc<Mutex<Weather>>,
    pub(crate) rules: Rules,
    /// Contradictions are looked for after so many steps.
    pub(crate) check_every: u64,
    /// The time by which the clock of the store is ahead.
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl SimStore {
    pub(crate) fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap()
    }

    /// The fate of the next operation.
    fn fault(&self) -> Option<Fault> {
        let now = self.exec.now();
        let mut weather = self.weather();
        let fault = match now < weather.away_until {
            true => Some(Fault::Away),
            false if self.chance.once_in(weather.fails) => Some(match self.chance.below(4) {
                0 => Fault::Away,
                1 => Fault::Within(u32::try_from(self.chance.below(12)).unwrap()),
                2 => Fault::Unanswered,
                _ => Fault::Twice,
            }),
            false => None,
        };
        if fault.is_some() {
            weather.faults += 1;
            weather.fair_since = now;
        }
        fault
    }

    fn running(&self) -> BTreeMap<DestinationName, u32> {
        let rows = self.memory.rows();
        let running = rows.destinations.values();
        running.map(|one| (one.name.clone(), one.running)).collect()
    }

    /// Looks at what a step has done.
    fn look(&self, name: &str, before: &BTreeMap<DestinationName, u32>) {
        let now = (self.clock)();
        let mut wrong = Vec::new();
        let rows = self.memory.rows();
        for one in rows.destinations.values() {
            let more = one.running > before.get(&one.name).copied().unwrap_or(0);
            if more && one.running > one.window {
                wrong.push(format!(
                    "{} has {} of {} turns out",
                    one.name, one.running, one.window
                ));
            }
        }
        let mut weather = self.weather();
        weather.steps += 1;
        weather.latest = weather.latest.max(now);
        if self.check_every > 0 && weather.steps.is_multiple_of(self.check_every) {
            wrong.append(&mut rows.contradictions(&self.rules, weather.latest));
        }
        let named = wrong
            .into_iter()
            .map(|what| format!("{now} after {name}: {what}"));
        weather.wrong.extend(named.take(5));
    }

    /// Tasks whose lease has run out so long ago that somebody should have taken them back.
    pub(crate) fn overdue(&self, slack: std::time::Duration) -> Vec<String> {
        let now = (self.clock)();
        let rows = self.memory.rows();
        let overdue = rows.tasks.values().filter_map(|task| match &task.state {
            TaskState::Leased(lease) if lease.until.after(slack) < now => Some(format!(
                "task {} of {} until {}",
                task.id, lease.worker, lease.until
            )),
            _ => None,
        });
        overdue.collect()
    }
}

impl Store for SimStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.exec.sleep(self.chance.millis(0, 20)).await;
        let fault = self.fault();
        let name = std::any::type_name::<O>();
        let before = self.running();
        let memory = self.memory.clone().with_faults(move |_| fault);
        let result = memory.run(operation).await;
        self.look(name, &before);
        self.exec.sleep(self.chance.millis(0, 20)).await;
        result
    }
}
