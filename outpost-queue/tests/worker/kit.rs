//! A store in memory with the clock of tokio, and a courier that does what a test says.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::poll_fn;
use outpost_queue::{
    model::{Kind, Timestamp, WorkerName},
    operation::{Addressee, Submission, Submitted},
    store::{
        Store,
        memory::{MemoryStore, Rows},
    },
    worker::{Courier, Options, QueueEvent, Worker},
};
use smtp_policy::{
    delivery::Observer,
    report::{Outcome, Report, Status},
    request::{Recipient, Request},
    text::TextSource,
};
use smtp_proto::{Address, EnhancedStatus};
use tokio::{task::AbortHandle, time::Instant};

/// The text of a delivery, as a script reads it.
pub(crate) type Text = Box<dyn TextSource>;
type Script = dyn Fn(Attempt) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// The input of a script: a request and its text.
pub(crate) struct Attempt {
    pub(crate) request: Request,
    pub(crate) text: Text,
    /// Resolves when deliveries are to end.
    pub(crate) cancelled: tokio::sync::watch::Receiver<bool>,
}

impl Attempt {
    /// Reads the text to its end.
    pub(crate) async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let offset = all.len() as u64;
            let piece = poll_fn(|cx| self.text.poll_read(cx, offset, 60_000)).await?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&piece);
        }
    }
}

/// A courier that does what a test says.
#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Script>,
    delivered: Arc<AtomicUsize>,
    cancel: Arc<tokio::sync::watch::Sender<bool>>,
    /// The tasks that run beside the worker.
    beside: Arc<Mutex<Vec<AbortHandle>>>,
    /// The length of a second of this machine, in seconds of the store: its clock is wrong where that is not one.
    pub(crate) pace: f64,
}

impl Scripted {
    /// All that runs ends where it is, as in a process that is killed.
    pub(crate) fn kill(&self) {
        let beside = std::mem::take(&mut *self.beside.lock().unwrap());
        beside.iter().for_each(AbortHandle::abort);
    }
}

impl Courier for Scripted {
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        mut observer: O,
    ) -> impl Future<Output = Report> + Send + 'static {
        let recipients = request.recipients.clone();
        let attempt = Attempt {
            request,
            text: Box::new(text),
            cancelled: self.cancel.subscribe(),
        };
        let outcome = (self.script)(attempt);
        let delivered = Arc::clone(&self.delivered);
        async move {
            let outcome = outcome.await;
            delivered.fetch_add(1, Ordering::Relaxed);
            let settle = |(index, recipient): (usize, Recipient)| {
                observer.settled(index, &recipient, &outcome);
                (recipient, outcome.clone())
            };
            Report::new(recipients.into_iter().enumerate().map(settle).collect())
        }
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(time.mul_f64(self.pace))
    }

    fn detach(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task).abort_handle();
        let mut beside = self.beside.lock().unwrap();
        beside.retain(|one| !one.is_finished());
        beside.push(handle);
    }

    fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

/// Everything that a worker needs.
pub(crate) struct Kit {
    pub(crate) store: MemoryStore,
    pub(crate) courier: Scripted,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
}

impl Kit {
    /// With a script for each delivery.
    pub(crate) fn new<F>(script: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let start = Instant::now();
        let clock =
            move || Timestamp::since_epoch(Duration::from_secs(1_000_000) + start.elapsed());
        Self {
            store: MemoryStore::new(clock),
            courier: Scripted {
                script: Arc::new(move |attempt| Box::pin(script(attempt))),
                delivered: Arc::default(),
                cancel: Arc::new(tokio::sync::watch::channel(false).0),
                beside: Arc::default(),
                pace: 1.0,
            },
            events: Arc::default(),
        }
    }

    pub(crate) fn options(&self, name: &str) -> Options {
        let mut options = Options::default();
        options.name = WorkerName(name.into());
        options
    }

    pub(crate) fn worker(&self, name: &str) -> Worker<MemoryStore, Scripted> {
        self.worker_on(self.store.clone(), self.options(name))
    }

    pub(crate) fn worker_on<S: Store>(&self, store: S, options: Options) -> Worker<S, Scripted> {
        let events = Arc::clone(&self.events);
        let listener = move |event: &QueueEvent<'_>| events.lock().unwrap().push(event.to_string());
        Worker::with_listener(store, self.courier.clone(), options, listener)
    }

    /// The number of deliveries that have ended.
    pub(crate) fn delivered(&self) -> usize {
        self.courier.delivered.load(Ordering::Relaxed)
    }

    /// Returns whether an event with these words was told.
    pub(crate) fn heard(&self, words: &str) -> bool {
        self.events
            .lock()
            .unwrap()
            .iter()
            .any(|one| one.contains(words))
    }

    /// Waits until the rows are so, for a day of virtual time at most.
    pub(crate) async fn until(&self, are_so: impl Fn(&Rows) -> bool) {
        let begun = Instant::now();
        while !are_so(&self.store.rows()) {
            assert!(
                begun.elapsed() < Duration::from_secs(86_400),
                "{:#?}",
                self.store.rows()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn sent() -> Outcome {
    Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), "ok")
}

pub(crate) fn deferred() -> Outcome {
    Outcome::new(Status::Deferred, EnhancedStatus::new(4, 0, 0), "later")
}

/// A message with these recipients.
pub(crate) fn submission(to: &[&str]) -> Submission {
    with_text(to, b"Subject: hi\n\nhello\n".to_vec())
}

/// The same with a text of one's own.
pub(crate) fn with_text(to: &[&str], text: Vec<u8>) -> Submission {
    let addressee = |to: &&str| {
        let address = Address::parse(to).unwrap();
        let domain = address.domain().unwrap().to_owned();
        Addressee {
            recipient: Recipient::new(address),
            destination: format!("smtp:{domain}").parse().unwrap(),
        }
    };
    Submission {
        kind: Kind::Mail,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        recipients: to.iter().map(addressee).collect(),
        recipient_limit: 50,
        text: Submitted::Text(text.into()),
    }
}
