//! Reports to senders and postmasters, with a store in memory and time that is set.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use core::time::Duration;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::FutureExt;
use outpost_queue::{
    model::{DestinationName, Kind, Message, MessageId, MessageState, Timestamp, WorkerName},
    operation::{
        Addressee, Admit, Claim, Claimed, Conclude, Conclusion, Looked, Right, Submission, Submit,
        Submitted,
    },
    report::{self, Context, Made},
    rules::Rules,
    store::{Operation, Store, memory::MemoryStore},
};
use smtp_policy::{
    report::{HopStatus, Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus, dsn::Notify};

mod dsn;
mod faults;
mod postmaster;
mod suppress;
mod watch;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Monday, 1 January 2024.
const START: i64 = 1_704_067_200_000_000;

/// A queue with a clock.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) rules: Rules,
    pub(crate) context: Context,
    clock: Arc<AtomicI64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let store = MemoryStore::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed)));
        let context = Context::new("mail.example.net", |address: &Address| {
            destination(address.domain().unwrap_or("localhost"))
        });
        Self {
            store,
            rules: Rules::default(),
            context,
            clock,
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn run<O: Operation>(&self, operation: O) -> O::Output {
        self.store.run(operation).now_or_never().unwrap().unwrap()
    }

    /// A message from this sender to these addresses, with the NOTIFY of each, of which those of one domain are a task.
    pub(crate) fn submit(&self, sender: &str, to: &[(&str, &str)], more: &str) -> MessageId {
        self.submit_text(sender, to, more, "Subject: hello\n\nHow do you do?\n")
    }

    pub(crate) fn submit_text(
        &self,
        sender: &str,
        to: &[(&str, &str)],
        more: &str,
        text: impl Into<Bytes>,
    ) -> MessageId {
        let addressee = |(address, notify): &(&str, &str)| {
            let address = Address::parse(address).unwrap();
            let destination = destination(address.domain().unwrap());
            let mut recipient = Recipient::new(address);
            recipient.notify = Notify::parse(notify).unwrap_or_default();
            Addressee {
                recipient,
                destination,
            }
        };
        let submission = Submission {
            kind: Kind::Mail,
            sender: sender.to_owned(),
            envelope: format!("{{\"sender\":\"{sender}\"{more}}}"),
            recipients: to.iter().map(addressee).collect(),
            recipient_limit: 0,
            text: Submitted::Text(text.into()),
        };
        self.run(Submit::new(vec![submission]))[0]
    }

    /// Claims what is new or due.
    pub(crate) fn claim(&self) -> Vec<Claimed> {
        let worker = WorkerName("one".into());
        let (rules, want) = (self.rules.clone(), 1000);
        let (_, mut claimed) = self.run(Admit {
            worker: worker.clone(),
            want,
            look: 1000,
            rules: rules.clone(),
        });
        claimed.extend(self.run(Claim {
            worker,
            want,
            rules,
        }));
        claimed
    }

    /// Tries what was claimed: each address has its outcome.
    pub(crate) fn conclude(&self, claimed: &[Claimed], outcome: impl Fn(&str) -> Outcome) {
        for one in claimed {
            let outcomes = one.recipients.iter().map(|recipient| {
                let address = recipient.recipient.address.as_str();
                (recipient.number, outcome(address))
            });
            let right = Right {
                task: one.task.id,
                fence: one.task.fence,
            };
            self.run(Conclude {
                conclusions: vec![Conclusion {
                    right,
                    outcomes: outcomes.collect::<BTreeMap<_, _>>(),
                }],
                rules: self.rules.clone(),
            });
        }
    }

    /// Tries all that is due.
    pub(crate) fn attempt(&self, outcome: impl Fn(&str) -> Outcome) -> usize {
        let claimed = self.claim();
        self.conclude(&claimed, outcome);
        claimed.len()
    }

    pub(crate) fn make_due(&self) -> Made {
        let made = report::make_due(&self.store, &self.context, &self.rules, 100);
        made.now_or_never().unwrap().unwrap()
    }

    pub(crate) fn look(&self) -> Looked {
        let looked = report::look(&self.store, &self.context, &self.rules, 100);
        looked.now_or_never().unwrap().unwrap()
    }

    pub(crate) fn message(&self, id: MessageId) -> Message {
        self.store.rows().messages[&id].clone()
    }

    pub(crate) fn is_finished(&self, id: MessageId) -> bool {
        self.message(id).state == MessageState::Finished
    }

    /// The text of a message that is in the queue.
    pub(crate) fn text(&self, id: MessageId) -> String {
        let rows = self.store.rows();
        let pieces = rows.chunks.range((id, 0)..=(id, u32::MAX));
        let text: Vec<u8> = pieces.flat_map(|(_, bytes)| bytes.to_vec()).collect();
        String::from_utf8(text).unwrap()
    }

    /// The text of the only report that was made.
    pub(crate) fn only(&self, made: &Made) -> String {
        assert_eq!(made.reports.len(), 1, "{made:?}");
        self.text(made.reports[0].report)
    }
}

pub(crate) fn destination(domain: &str) -> DestinationName {
    format!("smtp:{domain}").parse().unwrap()
}

pub(crate) fn sent() -> Outcome {
    Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), "250 2.0.0 Ok")
}

pub(crate) fn bounced() -> Outcome {
    let code = EnhancedStatus::new(5, 1, 1);
    Outcome::new(
        Status::Bounced,
        code,
        "host mx said: 550 5.1.1 no such user",
    )
}

pub(crate) fn deferred() -> Outcome {
    let code = EnhancedStatus::new(4, 2, 1);
    Outcome::new(Status::Deferred, code, "host mx said: 450 4.2.1 later")
}

/// A destination that does not answer.
pub(crate) fn unreachable() -> Outcome {
    let code = EnhancedStatus::new(4, 4, 1);
    let text = "connect to mx.example.com[192.0.2.1]:25: Connection timed out";
    let mut outcome = Outcome::new(Status::Deferred, code, text);
    outcome.hop = Some(Box::new(HopStatus {
        code,
        text: text.into(),
    }));
    outcome
}
