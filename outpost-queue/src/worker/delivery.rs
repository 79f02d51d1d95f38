//! One delivery: from the claim to the end that is written down.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use smtp_policy::{
    delivery::Observer,
    event::Note,
    report::{Outcome, Report, Status},
    request::{RcptIndex, Recipient, Request},
    schema::Verdict,
};
use smtp_proto::EnhancedStatus;

use crate::{
    batch::Group,
    model::{MessageId, TaskId},
    operation::{Claimed, Conclude, Concluded, Conclusion, SetAside},
    rules::Rules,
    store::{Store, StoreError},
};

use super::{
    Courier, QueueEvent, Shared,
    event::Listener,
    gate::{Ended, GatedText},
    pause::Pauses,
    rights::Holding,
};

/// Ends of several attempts are taken down together.
pub(super) struct Conclusions(pub(super) Rules);

impl Group for Conclusions {
    type Item = Conclusion;
    type Answer = Concluded;
    type Operation = Conclude;
    const NAME: &'static str = "take down how deliveries have ended";
    /// The second time, the task is gone, as if it were somebody else's.
    const CAN_REPEAT: bool = false;

    fn operation(&self, conclusions: Vec<Conclusion>) -> Conclude {
        Conclude {
            conclusions,
            rules: self.0.clone(),
        }
    }

    fn items(operation: Conclude) -> Vec<Conclusion> {
        operation.conclusions
    }

    fn answers(_: &Conclude, output: Vec<Concluded>) -> Vec<Concluded> {
        output
    }
}

/// The bytes that a verdict counts for in a batch.
const VERDICT: usize = 1024;

/// The end of an attempt.
enum End {
    /// Each recipient has a verdict.
    Report(Report),
    /// The delivery has panicked, with these words.
    Panic(String),
    /// The right was lost, and the delivery dropped.
    Lost,
}

/// Delivers a task, and takes down how that ended. What others do wrong ends here.
pub(super) async fn deliver<S: Store, C: Courier>(
    shared: Arc<Shared<S, C>>,
    claimed: Claimed,
    holding: Holding,
) {
    let (message, task) = (claimed.message.id, claimed.task.id);
    shared.hear(&QueueEvent::Claimed {
        message,
        task,
        destination: &claimed.task.destination,
        recipients: claimed.recipients.len(),
        attempts: claimed.task.attempts,
    });
    let request = match claimed.request() {
        Ok(request) => request,
        Err(error) => return shared.set_aside(&claimed, &error.to_string()).await,
    };
    let books = Arc::new(Books::new(message, Arc::clone(&shared.listener)));
    let ended = Ended::default();
    let mut holding = holding;
    let end = attempt(&shared, &claimed, request, &books, &ended, &mut holding).await;
    let outcomes = match end {
        End::Report(report) => report.recipients.into_iter().map(|(_, one)| one).collect(),
        End::Panic(why) => {
            let why = &why;
            shared.hear(&QueueEvent::Panicked { message, task, why });
            books.close(claimed.recipients.len(), why)
        }
        End::Lost => {
            let ended = ended.get();
            return shared.lost(message, task, ended);
        }
    };
    shared.conclude(&claimed, outcomes, ended.get()).await;
    drop(holding);
}

/// Makes the attempt.
async fn attempt<S: Store, C: Courier>(
    shared: &Arc<Shared<S, C>>,
    claimed: &Claimed,
    request: Request,
    books: &Arc<Books>,
    ended: &Ended,
    holding: &mut Holding,
) -> End {
    let text = GatedText::new(
        shared.store.clone(),
        shared.courier.clone(),
        shared.marks.clone(),
        claimed,
        shared.options.mark,
        ended.clone(),
    );
    let observer = Watch(Arc::clone(books));
    let delivery = shared.courier.deliver(request, text, observer);
    let delivery = pin!(AssertUnwindSafe(delivery).catch_unwind());
    let delivered = match select(delivery, &mut holding.lost).await {
        Either::Left((delivered, _)) => delivered,
        // Somebody else has the task. A message whose end is out already is worth knowing about.
        Either::Right((_, delivery)) if ended.get() => delivery.await,
        Either::Right(_) => return End::Lost,
    };
    match delivered {
        Ok(report) => End::Report(report),
        Err(panic) => End::Panic(words(&*panic)),
    }
}

/// The words of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}

impl<S: Store, C: Courier> Shared<S, C> {
    /// Takes down how an attempt has ended, however long the store is away.
    async fn conclude(&self, claimed: &Claimed, outcomes: Vec<Outcome>, ended: bool) {
        let (message, task) = (claimed.message.id, claimed.task.id);
        let places = claimed.recipients.iter().map(|one| one.number);
        let outcomes: BTreeMap<u32, Outcome> = places.zip(outcomes).collect();
        self.count(|sum| sum.add(outcomes.values()));
        let bytes = VERDICT * outcomes.len();
        let right = claimed.right();
        let mut conclusion = Conclusion { right, outcomes };
        let mut pauses = Pauses::new();
        let mut uncertain = false;
        loop {
            match self.conclusions.push(conclusion, bytes).await {
                Ok(Concluded::Done) => {
                    return self.hear(&QueueEvent::Concluded { message, task });
                }
                // It was taken down the time before, as far as anybody can tell.
                Ok(Concluded::Lost) if uncertain => {
                    return self.hear(&QueueEvent::Concluded { message, task });
                }
                Ok(Concluded::Lost) => return self.lost(message, task, ended),
                Err((_, StoreError::Damaged(why))) => return self.set_aside(claimed, &why).await,
                // The transaction was dropped: the runtime ends.
                Err((None, _)) => return,
                Err((Some(back), error)) => {
                    uncertain |= matches!(error, StoreError::Uncertain(_));
                    conclusion = back;
                }
            }
            let pause = pin!(self.courier.sleep(pauses.next()));
            if let Either::Right(_) = select(pause, pin!(self.stop.at_once())).await {
                return;
            }
        }
    }

    fn lost(&self, message: MessageId, task: TaskId, ended: bool) {
        self.count(|sum| sum.lost += 1);
        self.hear(&QueueEvent::Lost {
            message,
            task,
            ended,
        });
    }

    /// Holds a task that makes no sense. Where that fails, too, its lease runs out.
    async fn set_aside(&self, claimed: &Claimed, why: &str) {
        let (message, task) = (claimed.message.id, claimed.task.id);
        self.hear(&QueueEvent::SetAside { message, task, why });
        let operation = SetAside {
            rights: vec![claimed.right()],
            rules: self.options.rules.clone(),
        };
        if let Err(error) = self.store.run(operation).await {
            self.failed("hold a task that cannot be read", &error);
        }
    }
}

/// The books of a delivery: what is known of its recipients, should it end without a report.
struct Books {
    message: MessageId,
    listener: Arc<dyn Listener>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    outcomes: BTreeMap<RcptIndex, Outcome>,
    doubtful: BTreeSet<RcptIndex>,
}

impl Books {
    fn new(message: MessageId, listener: Arc<dyn Listener>) -> Self {
        Self {
            message,
            listener,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The verdicts on all recipients of a delivery that has panicked.
    fn close(&self, recipients: usize, why: &str) -> Vec<Outcome> {
        let mut known = self.lock();
        let Known { outcomes, doubtful } = &mut *known;
        let verdict = |index| {
            outcomes.remove(&index).unwrap_or_else(|| {
                let code = EnhancedStatus::new(4, 3, 0);
                let text = format!("the delivery panicked: {why}");
                let mut outcome = Outcome::new(Status::Deferred, code, text);
                outcome.uncertain = doubtful.contains(&index);
                outcome
            })
        };
        (0..recipients).map(verdict).collect()
    }
}

/// Watches a delivery.
struct Watch(Arc<Books>);

impl Observer for Watch {
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        self.0.lock().outcomes.insert(index, outcome.clone());
        let message = self.0.message;
        let verdict = Verdict { recipient, outcome };
        self.0
            .listener
            .hear(&QueueEvent::Settled { message, verdict });
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        self.0.lock().doubtful = recipients.iter().copied().collect();
    }

    fn note(&mut self, note: &Note) {
        let message = self.0.message;
        self.0.listener.hear(&QueueEvent::Note { message, note });
    }
}
