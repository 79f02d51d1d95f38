//! Each report once, whatever fails.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use outpost_queue::{
    model::{Kind, MessageId},
    operation::{Admit, Claim, Conclude, Conclusion, Reap, Right},
    report,
    rules::Suppression,
    store::{Operation, Store, StoreError, memory::Fault},
};
use smtp_policy::report::Outcome;

use super::{DAY, HOUR, MINUTE, World, bounced, deferred, sent};

type Script = Arc<Mutex<Box<dyn FnMut(&'static str) -> Option<Fault> + Send>>>;

/// A world whose store fails as the script says.
fn world(script: &Script) -> World {
    let mut world = World::new();
    let script = Arc::clone(script);
    world.store = world
        .store
        .with_faults(move |name| script.lock().unwrap()(name));
    world
}

fn calm() -> Script {
    Arc::new(Mutex::new(Box::new(|_| None)))
}

fn outcome(address: &str) -> Outcome {
    match address.split('@').next().unwrap_or_default() {
        "no" => bounced(),
        "later" => deferred(),
        _ => sent(),
    }
}

/// The reports that were ever seen, with their texts.
#[derive(Default)]
struct Seen(BTreeMap<MessageId, String>);

impl Seen {
    fn look(&mut self, world: &World) {
        let reports: Vec<MessageId> = {
            let rows = world.store.rows();
            let reports = rows
                .messages
                .values()
                .filter(|one| one.kind == Kind::Report);
            reports.map(|one| one.id).collect()
        };
        for id in reports {
            self.0.entry(id).or_insert_with(|| world.text(id));
        }
    }

    /// The number of times that each recipient was told of with this action.
    fn told(&self, address: &str, action: &str) -> usize {
        let entry = format!("\nFinal-Recipient: rfc822; {address}\nAction: {action}\n");
        self.0
            .values()
            .map(|text| text.matches(&entry).count())
            .sum()
    }
}

#[test]
fn a_report_is_made_once_wherever_the_store_fails() {
    let faults = (0..40).map(Fault::Within);
    for fault in faults.chain([Fault::Away, Fault::Unanswered, Fault::Twice]) {
        let script = calm();
        let world = world(&script);
        let to = [("no@example.com", ""), ("yes@example.com", "SUCCESS")];
        let id = world.submit("me@example.org", &to, "");
        world.attempt(outcome);
        let mut fault = Some(fault);
        *script.lock().unwrap() = Box::new(move |name| match name.contains("MakeReports") {
            true => fault.take(),
            false => None,
        });
        for _ in 0..2 {
            let made = report::make_due(&world.store, &world.context, &world.rules, 100);
            let _ = made.now_or_never().unwrap();
        }
        let mut seen = Seen::default();
        seen.look(&world);
        assert_eq!(seen.0.len(), 2, "{fault:?}");
        assert_eq!(seen.told("no@example.com", "failed"), 1);
        assert_eq!(seen.told("yes@example.com", "relayed"), 1);
        assert!(world.is_finished(id), "{fault:?}");
    }
}

/// Dice that fall the same way in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// A queue with workers that die, in a store that fails.
struct Storm {
    world: World,
    dice: Dice,
    seen: Seen,
}

impl Storm {
    fn run<O: Operation>(&mut self, operation: O) -> Result<O::Output, StoreError> {
        self.world.store.run(operation).now_or_never().unwrap()
    }

    fn round(&mut self, calm: bool) {
        let (worker, rules) = (
            outpost_queue::model::WorkerName("w".into()),
            self.world.rules.clone(),
        );
        let mut claimed = Vec::new();
        let admit = Admit {
            worker: worker.clone(),
            want: 100,
            look: 100,
            rules: rules.clone(),
        };
        claimed.extend(
            self.run(admit)
                .map(|(_, claimed)| claimed)
                .unwrap_or_default(),
        );
        let claim = Claim {
            worker,
            want: 100,
            rules: rules.clone(),
        };
        claimed.extend(self.run(claim).unwrap_or_default());
        for one in claimed {
            if !calm && self.dice.below(5) == 0 {
                // Its worker dies.
                continue;
            }
            let outcomes = one.recipients.iter().map(|recipient| {
                let address = recipient.recipient.address.as_str();
                (recipient.number, outcome(address))
            });
            let right = Right {
                task: one.task.id,
                fence: one.task.fence,
            };
            let conclusion = Conclusion {
                right,
                outcomes: outcomes.collect(),
            };
            let conclude = Conclude {
                conclusions: vec![conclusion],
                rules: rules.clone(),
            };
            let _ = self.run(conclude);
        }
        if !calm && self.dice.below(10) == 0 {
            self.world.store.crash();
        }
        let world = &self.world;
        let made = report::make_due(&world.store, &world.context, &world.rules, 2);
        let _ = made.now_or_never().unwrap();
        self.seen.look(&self.world);
        let world = &self.world;
        let looked = report::look(&world.store, &world.context, &world.rules, 3);
        let _ = looked.now_or_never().unwrap();
        for _ in 0..6 {
            self.world.pass(MINUTE / 4);
            let _ = self.run(Reap {
                limit: 100,
                rules: rules.clone(),
            });
        }
    }
}

#[test]
fn in_a_storm_everybody_hears_once() {
    for seed in 1..=30 {
        let script = calm();
        let mut world = world(&script);
        world.rules.schedule.delay_warning = Some(HOUR * 2);
        world.rules.schedule.maximal_lifetime = HOUR * 12;
        world.rules.deaths = u32::MAX;
        world.rules.suppression = (seed % 2 == 0).then(Suppression::default);
        let to = [
            ("no@a.example", ""),
            ("later@a.example", ""),
            ("yes@b.example", "SUCCESS"),
            ("no@b.example", "NEVER"),
            ("later@c.example", "FAILURE"),
        ];
        let ids: Vec<MessageId> = (0..4)
            .map(|n| world.submit(&format!("me{n}@example.org"), &to, ""))
            .collect();
        let mut dice = Dice(seed * 0x9e37_79b9);
        *script.lock().unwrap() = Box::new(move |_| match dice.below(12) {
            0 => Some(Fault::Away),
            1 => Some(Fault::Unanswered),
            2 => Some(Fault::Twice),
            3 => Some(Fault::Within(u32::try_from(dice.below(20)).unwrap())),
            _ => None,
        });
        let mut storm = Storm {
            world,
            dice: Dice(seed),
            seen: Seen::default(),
        };
        for _ in 0..150 {
            storm.round(false);
            storm.world.pass(MINUTE * 5);
        }
        *script.lock().unwrap() = Box::new(|_| None);
        for _ in 0..100 {
            storm.round(true);
            storm.world.pass(DAY / 48);
        }
        for id in ids {
            assert!(storm.world.is_finished(id), "seed {seed}");
        }
        let told = |address, action| storm.seen.told(address, action);
        assert_eq!(told("no@a.example", "failed"), 4, "seed {seed}");
        assert_eq!(told("later@a.example", "failed"), 4, "seed {seed}");
        assert_eq!(told("later@a.example", "delayed"), 4, "seed {seed}");
        assert_eq!(told("yes@b.example", "relayed"), 4, "seed {seed}");
        assert_eq!(told("no@b.example", "failed"), 0, "seed {seed}");
        assert_eq!(told("later@c.example", "failed"), 4, "seed {seed}");
        assert_eq!(told("later@c.example", "delayed"), 0, "seed {seed}");
        let rows = storm.world.store.rows();
        assert!(
            rows.tasks.is_empty() && rows.chunks.is_empty(),
            "seed {seed}"
        );
        let now = rows
            .messages
            .values()
            .map(|one| one.finished)
            .max()
            .unwrap();
        let wrong = rows.contradictions(&storm.world.rules, now);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
    }
}
