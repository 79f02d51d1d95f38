//! Operations in any order, by workers of all kinds, on a store that fails: the queue never contradicts itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use outpost_queue::{
    model::{Kind, MessageId, Timestamp, WorkerName},
    operation::{
        Addressee, Admit, Change, Check, Claim, Claimed, Conclude, Concluded, Conclusion, Manage,
        Mark, Purge, Reap, Release, Renew, Right, Submission, Submit, Submitted,
    },
    rules::{DoubtPolicy, Rules},
    store::{
        Operation, Store,
        memory::{Fault, MemoryStore},
    },
};
use proptest::{collection, prelude::*};
use smtp_policy::{
    report::{HopStatus, Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

/// A queue, what workers think that they have, and a clock.
struct World {
    store: MemoryStore,
    clock: Arc<AtomicI64>,
    rules: Rules,
    held: Vec<Claimed>,
    messages: Vec<MessageId>,
}

/// One step: what, and three numbers that say how.
type Step = (u8, u8, u8, u8);

impl World {
    fn new(rules: Rules) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000_000));
        let time = Arc::clone(&clock);
        Self {
            store: MemoryStore::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed))),
            clock,
            rules,
            held: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Runs an operation on a store that may fail.
    fn run<O: Operation>(&self, fault: u8, operation: O) -> Option<O::Output> {
        let fault = match fault % 16 {
            0 => Some(Fault::Away),
            1 => Some(Fault::Unanswered),
            2 => Some(Fault::Twice),
            within @ 3..=7 => Some(Fault::Within(u32::from(within))),
            _ => None,
        };
        let store = self.store.clone().with_faults(move |_| fault);
        store.run(operation).now_or_never().unwrap().ok()
    }

    fn check(&self) -> Vec<String> {
        let rules = self.rules.clone();
        let found = self
            .store
            .run(Check { rules })
            .now_or_never()
            .unwrap()
            .unwrap();
        let now = Timestamp::from_micros(self.clock.load(Ordering::Relaxed));
        let mut more = self.store.rows().contradictions(&self.rules, now);
        more.extend(found);
        more
    }

    fn step(&mut self, (what, a, b, fault): Step) {
        let rules = self.rules.clone();
        let worker = WorkerName(format!("worker {}", a % 3).into());
        let want = usize::from(b % 8);
        match what % 13 {
            0 | 1 => self.submit(a, b, fault),
            2 => {
                let look = usize::from(a % 5);
                let admit = Admit {
                    worker,
                    want,
                    look,
                    rules,
                };
                self.held
                    .extend(self.run(fault, admit).unwrap_or_default().1);
            }
            3 | 4 => {
                let claim = Claim {
                    worker,
                    want,
                    rules,
                };
                self.held.extend(self.run(fault, claim).unwrap_or_default());
            }
            5 => {
                let rights = self.rights(a, b);
                self.run(fault, Mark { rights });
            }
            6 => {
                let rights = self.rights(a, b);
                self.run(
                    fault,
                    Renew {
                        rights,
                        worker,
                        rules,
                    },
                );
            }
            7 => {
                let rights = self.rights(a, b);
                self.run(fault, Release { rights, rules });
            }
            8 | 9 => self.conclude(a, b, fault),
            10 => {
                self.run(
                    fault,
                    Reap {
                        limit: want + 1,
                        rules,
                    },
                );
            }
            11 => {
                let change = [Change::Hold, Change::Release, Change::Retry, Change::Cancel];
                let messages = self.some_messages(a, b);
                let change = change[usize::from(a % 4)];
                self.run(
                    fault,
                    Manage {
                        messages,
                        change,
                        rules,
                    },
                );
            }
            _ => self.pass(a, b, fault),
        }
    }

    fn pass(&mut self, a: u8, b: u8, fault: u8) {
        match a % 8 {
            0 => self.store.crash(),
            1 => {
                let finished = Duration::from_secs(600);
                self.run(
                    fault,
                    Purge {
                        finished,
                        arriving: finished,
                        limit: 5,
                    },
                );
            }
            // Workers forget what they had.
            2 => self.held.truncate(usize::from(b % 4)),
            _ => {
                let seconds = [1, 20, 61, 301, 4001][usize::from(b % 5)];
                self.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
            }
        }
    }

    fn submit(&mut self, a: u8, b: u8, fault: u8) {
        let addressee = |place: u8| Addressee {
            recipient: Recipient::new(Address::parse(&format!("r{place}@example.com")).unwrap()),
            destination: format!("smtp:site{}", place.wrapping_mul(b) % 3)
                .parse()
                .unwrap(),
        };
        let sender = if b.is_multiple_of(5) {
            ""
        } else {
            "s@example.org"
        };
        let submission = Submission {
            kind: Kind::Mail,
            sender: sender.to_owned(),
            envelope: format!("{{\"sender\":\"{sender}\"}}"),
            recipients: (0..1 + a % 4).map(addressee).collect(),
            recipient_limit: u32::from(b % 3),
            text: Submitted::Text("Subject: hi\n\nhello\n".into()),
        };
        let ids = self.run(fault, Submit::new(vec![submission]));
        self.messages.extend(ids.unwrap_or_default());
    }

    fn some_messages(&self, a: u8, b: u8) -> Vec<MessageId> {
        let all = self.messages.iter().skip(usize::from(a % 16));
        all.take(usize::from(b % 4)).copied().collect()
    }

    /// Rights that somebody has, or had.
    fn rights(&self, a: u8, b: u8) -> Vec<Right> {
        let all = self.held.iter().rev().skip(usize::from(a % 8));
        all.take(usize::from(b % 5)).map(Claimed::right).collect()
    }

    fn conclude(&mut self, a: u8, b: u8, fault: u8) {
        let some = self
            .held
            .iter()
            .rev()
            .skip(usize::from(a % 8))
            .take(usize::from(b % 5));
        let conclusions = some.map(|one| {
            let outcomes = one.recipients.iter().enumerate();
            let outcomes = outcomes.filter_map(|(place, recipient)| {
                let throw = usize::from(a / 8) + usize::from(b) * (place + 1);
                Some((recipient.number, outcome(throw)?))
            });
            Conclusion {
                right: one.right(),
                outcomes: outcomes.collect::<BTreeMap<_, _>>(),
            }
        });
        let conclusions = conclusions.collect();
        let rules = self.rules.clone();
        self.run(fault, Conclude { conclusions, rules });
    }
}

fn outcome(throw: usize) -> Option<Outcome> {
    let (status, class) = match throw % 7 {
        0 => return None,
        1 | 2 => (Status::Sent, 2),
        3 => (Status::Bounced, 5),
        _ => (Status::Deferred, 4),
    };
    let mut outcome = Outcome::new(status, EnhancedStatus::new(class, 0, 0), "so it is");
    outcome.uncertain = throw % 7 == 4;
    if throw % 7 == 5 {
        let code = EnhancedStatus::new(4, 4, 1);
        let text = "refused".into();
        outcome.hop = Some(Box::new(HopStatus { code, text }));
    }
    Some(outcome)
}

fn some_rules() -> impl Strategy<Value = Rules> {
    (0_u8..64, 1_u32..4).prop_map(|(bits, initial)| {
        let mut rules = Rules::default();
        rules.concurrency.initial = initial;
        rules.concurrency.limit = u32::from(bits % 4) * 2;
        if bits & 4 != 0 {
            rules.concurrency.rate_delay = Duration::from_secs(10);
        }
        if bits & 8 != 0 {
            rules.doubt = DoubtPolicy::Hold;
        }
        if bits & 16 != 0 {
            rules.schedule.maximal_lifetime = Duration::from_secs(1800);
        }
        if bits & 32 != 0 {
            rules.schedule.maximal_lifetime = Duration::ZERO;
        }
        rules
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_never_contradicts_itself(
        rules in some_rules(),
        steps in collection::vec(any::<Step>(), 1..150),
    ) {
        let mut world = World::new(rules);
        for step in steps {
            world.step(step);
            let wrong = world.check();
            prop_assert!(wrong.is_empty(), "after {step:?}: {wrong:#?}");
        }
    }
}

/// A queue with one task, which a first worker has and has marked, whose lease runs out, and which a second one has then.
fn taken_over() -> (World, Right, Right) {
    let mut world = World::new(Rules::default());
    world.submit(0, 1, 15);
    let rules = world.rules.clone();
    let worker = WorkerName("worker".into());
    let admit = Admit {
        worker: worker.clone(),
        want: 1,
        look: 1,
        rules: rules.clone(),
    };
    let first = world.run(15, admit).unwrap().1[0].right();
    let rights = vec![first];
    assert!(world.run(15, Mark { rights }).unwrap().contains(&first));
    for _ in 0..3 {
        world.clock.fetch_add(25_000_000, Ordering::Relaxed);
        let rules = rules.clone();
        world.run(15, Reap { limit: 10, rules }).unwrap();
    }
    let want = 1;
    let claim = Claim {
        worker,
        want,
        rules,
    };
    let second = world.run(15, claim).unwrap()[0].right();
    (world, first, second)
}

#[test]
fn who_may_have_the_message_of_a_dead_worker_is_marked() {
    let (world, ..) = taken_over();
    let rows = world.store.rows();
    assert!(rows.recipients.values().all(|one| one.doubtful));
}

#[test]
fn a_worker_that_was_thought_dead_changes_nothing() {
    let (world, first, second) = taken_over();
    let before = world.store.rows().tasks.clone();
    let end = |right| Conclude {
        conclusions: vec![Conclusion {
            right,
            outcomes: BTreeMap::from([(0, outcome(1).unwrap())]),
        }],
        rules: Rules::default(),
    };
    let rights = vec![first];
    assert!(world.run(15, Mark { rights }).unwrap().is_empty());
    assert_eq!(world.run(15, end(first)).unwrap(), [Concluded::Lost]);
    assert_eq!(world.store.rows().tasks, before);
    assert_eq!(world.run(15, end(second)).unwrap(), [Concluded::Done]);
    assert!(world.store.rows().tasks.is_empty());
}
