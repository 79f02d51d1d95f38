//! The tasks that a dead worker leaves: their lease has run out.
//!
//! Which of its tasks has killed a worker nobody knows. A death counts for each, and an attempt that ends takes all deaths
//! of its task away. Those that one more death would set aside are tried again one after another, so that the one that
//! kills does not take its neighbours along.

use core::time::Duration;

use crate::model::{Hold, Task, TaskState, Timestamp};

use super::{DoubtPolicy, Rules};

/// The consequences for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// Its recipients may have the message.
    pub doubtful: bool,
    /// It was set aside: an operator hears of it.
    pub poisoned: bool,
}

/// Takes a task back from a worker whose lease has run out.
pub fn take_back(task: &mut Task, rules: &Rules, now: Timestamp) -> Aftermath {
    task.deaths = task.deaths.saturating_add(1);
    let doubtful = task.doubt.take().is_some();
    let poisoned = task.deaths >= rules.deaths.max(1);
    task.state = match (poisoned, doubtful, rules.doubt) {
        (true, _, _) => TaskState::Held(Hold::Poison),
        (false, true, DoubtPolicy::Hold) => TaskState::Held(Hold::Doubt),
        (false, ..) => TaskState::Ready,
    };
    task.due = now;
    if let TaskState::Held(_) = task.state {
        // Somebody has to look at it: the postmaster hears of it.
        task.watch = now;
    }
    Aftermath { doubtful, poisoned }
}

/// Sets tasks apart that were taken back at the same time: each that is on its last chance is due a twelfth of a lease
/// after the one before.
pub fn set_apart<'a>(tasks: impl IntoIterator<Item = &'a mut Task>, rules: &Rules) {
    let last_chance = |task: &&mut Task| {
        task.state == TaskState::Ready && task.deaths.saturating_add(1) >= rules.deaths
    };
    let mut wait = Duration::ZERO;
    for task in tasks.into_iter().filter(last_chance) {
        task.due = task.due.after(wait);
        wait = wait.saturating_add(rules.lease / 12);
    }
}

/// A sign that somebody has been there to see leases renewed: the last look for those that had run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vigil {
    /// The time of that look.
    pub seen: Timestamp,
    /// The time until which nothing is taken back, since workers could not renew.
    pub wait: Option<Timestamp>,
}

impl Vigil {
    /// Looks again. Returns whether leases that have run out may be taken back.
    ///
    /// Where nobody has looked for half a lease, the store was away, the machine slept, or the clock was set forward: leases
    /// of workers that live may have run out without any fault of theirs. They get half a lease to renew, once, before their
    /// tasks are taken for abandoned. Otherwise everything that was under way would be delivered twice whenever a database is
    /// away, and what is hit three times would be set aside. Less than half a lease does no harm: a lease is renewed when
    /// a third of it is over.
    pub fn look(before: Option<Self>, lease: Duration, now: Timestamp) -> (Self, bool) {
        let asleep = before.is_some_and(|before| now.since(before.seen) > lease / 2);
        let wait = match before.and_then(|before| before.wait) {
            // Not for longer, where the clock was set back meanwhile.
            Some(until) if now < until => Some(until.min(now.after(lease / 2))),
            Some(_) => None,
            None => asleep.then(|| now.after(lease / 2)),
        };
        (Self { seen: now, wait }, wait.is_none())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::{Fence, Lease, MessageId, TaskId, WorkerName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn leased(id: i64, deaths: u32, doubt: Option<Fence>) -> Task {
        Task {
            id: TaskId(id),
            message: MessageId(1),
            destination: "smtp:example.com".parse().unwrap(),
            state: TaskState::Leased(Lease {
                worker: WorkerName("one".into()),
                until: at(5),
            }),
            due: at(0),
            fence: Fence(1),
            attempts: 0,
            deaths,
            doubt,
            arrived: at(0),
            watch: Timestamp::NEVER,
            warned: false,
        }
    }

    #[test]
    fn the_third_death_sets_aside_and_a_doubt_is_told() {
        let (sure, doubt) = (None, Some(Fence(1)));
        let (ready, hold) = (TaskState::Ready, |why| TaskState::Held(why));
        let (retry, ask) = (DoubtPolicy::Retry, DoubtPolicy::Hold);
        for (deaths, doubt, policy, state, doubtful, poisoned) in [
            (0, sure, retry, ready.clone(), false, false),
            (0, sure, ask, ready.clone(), false, false),
            (0, doubt, retry, ready.clone(), true, false),
            (1, doubt, ask, hold(Hold::Doubt), true, false),
            (1, sure, retry, ready, false, false),
            (2, sure, retry, hold(Hold::Poison), false, true),
            (2, doubt, ask, hold(Hold::Poison), true, true),
        ] {
            let rules = Rules {
                doubt: policy,
                ..Rules::default()
            };
            let mut task = leased(1, deaths, doubt);
            let aftermath = take_back(&mut task, &rules, at(9));
            let row = (deaths, doubt, policy);
            assert_eq!(aftermath, Aftermath { doubtful, poisoned }, "{row:?}");
            assert_eq!((task.state, task.due), (state, at(9)), "{row:?}");
            assert_eq!((task.deaths, task.doubt), (deaths + 1, None), "{row:?}");
        }
    }

    #[test]
    fn tasks_on_their_last_chance_are_tried_one_after_another() {
        let rules = Rules::default();
        let mut tasks = [0, 1, 0, 1, 1].map(|deaths| leased(1, deaths, None));
        for task in &mut tasks {
            take_back(task, &rules, at(100));
        }
        set_apart(&mut tasks, &rules);
        assert_eq!(
            tasks.map(|task| task.due),
            [100, 100, 100, 105, 110].map(at)
        );
    }

    #[test]
    fn nothing_is_taken_back_just_after_nobody_could_renew() {
        let lease = Duration::from_secs(60);
        let mut vigil = None;
        // Seconds, and whether leases may be taken back: the store is away from 40 to 200, and from 280 to 311; then the looks
        // are rare.
        for (second, may) in [
            (0, true),
            (20, true),
            (40, true),
            (200, false),
            (229, false),
            (230, true),
            (250, true),
            (280, true),
            (311, false),
            (340, false),
            (341, true),
            (400, false),
            (600, true),
            (800, false),
            (1000, true),
            // The clock is set back while they wait.
            (2000, false),
            (1500, false),
            (1529, false),
            (1530, true),
        ] {
            let (now, takes) = Vigil::look(vigil, lease, at(second));
            assert_eq!(takes, may, "{second}");
            vigil = Some(now);
        }
    }
}
