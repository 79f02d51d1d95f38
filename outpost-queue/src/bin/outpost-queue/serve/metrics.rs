//! Metrics in the text format of Prometheus: what the queue holds, from the store at each look, and what this worker has
//! done since it began.

use std::{any, fmt, sync::Mutex, sync::PoisonError, time::Instant};

use outpost::Status;
use outpost_queue::{
    model::Timestamp,
    operation::State,
    store::{Operation, Store, StoreError},
    worker::{Listener, QueueEvent},
};
use prometheus_client::{
    encoding::prometheus_text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// One label and its value.
type Label = [(&'static str, String); 1];
type Counters = Family<Label, Counter>;

/// The media type of what [`Metrics::render`] gives.
pub(crate) const MEDIA_TYPE: &str = prometheus_text::CONTENT_TYPE;
/// The prefix of all names.
const PREFIX: &str = "outpost_queue";

/// The counts that are kept while the program runs. Clones are the same.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: std::sync::Arc<Mutex<Registry>>,
    claims: Counter,
    concluded: Counter,
    verdicts: Counters,
    lost: Counters,
    reaped: Counters,
    set_aside: Counter,
    panicked: Counter,
    store_errors: Counters,
    duty_errors: Counters,
    store_seconds: Family<Label, Histogram>,
}

impl Metrics {
    /// Counters at zero.
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram =
            || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        let metrics = Self {
            registry: std::sync::Arc::default(),
            claims: Counter::default(),
            concluded: Counter::default(),
            verdicts: Family::default(),
            lost: Family::default(),
            reaped: Family::default(),
            set_aside: Counter::default(),
            panicked: Counter::default(),
            store_errors: Family::default(),
            duty_errors: Family::default(),
            store_seconds: Family::new_with_constructor(histogram),
        };
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "claims",
            "Attempts that this worker has begun",
            metrics.claims.clone(),
        );
        registry.register(
            "attempts",
            "Attempts whose verdicts were taken down",
            metrics.concluded.clone(),
        );
        registry.register(
            "verdicts",
            "Verdicts on recipients by status",
            metrics.verdicts.clone(),
        );
        registry.register("lost", "Attempts whose task was somebody else's at their end; ended: the end of the text was out", metrics.lost.clone());
        registry.register("reaped", "Tasks taken back from workers that died; in_doubt: their recipients may have the message", metrics.reaped.clone());
        registry.register(
            "set_aside",
            "Tasks that cannot be read",
            metrics.set_aside.clone(),
        );
        registry.register(
            "panics",
            "Deliveries that panicked",
            metrics.panicked.clone(),
        );
        registry.register(
            "store_errors",
            "What the store did not do, by kind",
            metrics.store_errors.clone(),
        );
        registry.register(
            "duty_errors",
            "Duties that failed",
            metrics.duty_errors.clone(),
        );
        registry.register_with_unit(
            "operation",
            "Duration of operations on the store",
            Unit::Seconds,
            metrics.store_seconds.clone(),
        );
        *lock(&metrics.registry) = registry;
        metrics
    }

    /// The text of all metrics; `state` is what the store says now.
    pub(crate) fn render(&self, state: Option<&State>) -> Result<String, fmt::Error> {
        let mut out = String::new();
        prometheus_text::encode(&mut out, &lock(&self.registry))?;
        prometheus_text::encode(&mut out, &of_store(state))?;
        Ok(out)
    }

    /// Recipients by status, for people.
    pub(crate) fn verdicts(&self) -> [(&'static str, u64); 3] {
        [Status::Sent, Status::Deferred, Status::Bounced].map(|status| {
            let word = status.as_str();
            (
                word,
                self.verdicts.get_or_create(&label("status", word)).get(),
            )
        })
    }
}

fn label(name: &'static str, value: impl fmt::Display) -> Label {
    [(name, value.to_string())]
}

fn lock(registry: &Mutex<Registry>) -> std::sync::MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener for Metrics {
    fn hear(&self, event: &QueueEvent<'_>) {
        match event {
            QueueEvent::Claimed { .. } => _ = self.claims.inc(),
            QueueEvent::Concluded { .. } => _ = self.concluded.inc(),
            QueueEvent::Settled { verdict, .. } => {
                let status = label("status", verdict.outcome.status);
                self.verdicts.get_or_create(&status).inc();
            }
            QueueEvent::Lost { ended, .. } => {
                self.lost.get_or_create(&label("ended", ended)).inc();
            }
            QueueEvent::Reaped { in_doubt, .. } => {
                self.reaped
                    .get_or_create(&label("in_doubt", in_doubt))
                    .inc();
            }
            QueueEvent::SetAside { .. } => _ = self.set_aside.inc(),
            QueueEvent::Panicked { .. } => _ = self.panicked.inc(),
            QueueEvent::StoreFailed { error, .. } => {
                let kind = label("kind", kind(error));
                self.store_errors.get_or_create(&kind).inc();
            }
            QueueEvent::DutyFailed { duty, .. } => {
                self.duty_errors.get_or_create(&label("duty", duty)).inc();
            }
            _ => {}
        }
    }
}

const fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Conflict(_) => "conflict",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Full(_) => "full",
        StoreError::ReadOnly(_) => "read_only",
        StoreError::Version { .. } => "version",
        StoreError::Damaged(_) => "damaged",
        StoreError::Unusable(_) => "unusable",
        _ => "other",
    }
}

/// The gauges of what the store says of the queue. They are made anew each time, so that nothing of the past is left.
fn of_store(state: Option<&State>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let up = Gauge::<i64>::default();
    up.set(i64::from(state.is_some()));
    registry.register("store_up", "Whether the store answers", up);
    let Some(State { now, counts, loads }) = state else {
        return registry;
    };
    let mut one = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    one(
        "messages",
        "Messages that are not finished",
        counts.messages,
    );
    one(
        "in_doubt",
        "Attempts whose text's end may have gone out, and whose answer is not known",
        counts.in_doubt,
    );
    one("dead_destinations", "Destinations that rest", counts.dead);
    let oldest = age(*now, counts.oldest);
    one("oldest_age_seconds", "Age of the oldest task", oldest);
    let tasks = Family::<Label, Gauge>::default();
    for (state, number) in [
        ("new", counts.new),
        ("due", counts.due),
        ("deferred", counts.deferred),
        ("leased", counts.leased),
        ("held", counts.held),
    ] {
        let gauge = tasks.get_or_create(&label("state", state));
        gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
    registry.register("tasks", "Tasks by state", tasks);
    let families = [
        (
            "destination_tasks",
            "Tasks at the destinations with most of them",
        ),
        ("destination_running", "Attempts under way there"),
        (
            "destination_concurrency",
            "Attempts that it seems to bear at a time",
        ),
        ("destination_oldest_age_seconds", "Age of its oldest task"),
        ("destination_dead", "Whether it rests"),
    ]
    .map(|(name, help)| {
        let family = Family::<Label, Gauge>::default();
        registry.register(name, help, family.clone());
        family
    });
    for load in loads {
        let destination = &load.destination;
        let rests = destination
            .dead
            .as_ref()
            .is_some_and(|dead| dead.until > *now);
        let values = [
            load.tasks,
            destination.running.into(),
            destination.window.into(),
            age(*now, load.oldest),
            rests.into(),
        ];
        for (family, value) in families.iter().zip(values) {
            let gauge = family.get_or_create(&label("destination", &destination.name));
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
    registry
}

fn age(now: Timestamp, oldest: Timestamp) -> u64 {
    now.since(oldest).as_secs()
}

/// A store whose operations are timed.
#[derive(Clone)]
pub(crate) struct Timed<S> {
    pub(crate) store: S,
    pub(crate) metrics: Metrics,
}

impl<S: Store> Store for Timed<S> {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let start = Instant::now();
        let result = self.store.run(operation).await;
        let seconds = start.elapsed().as_secs_f64();
        let name = label("operation", name::<O>());
        self.metrics
            .store_seconds
            .get_or_create(&name)
            .observe(seconds);
        result
    }
}

/// The name of an operation: that of its type, in lower case, without the path. One that is shared is the same.
fn name<O>() -> String {
    let path = any::type_name::<O>().trim_end_matches('>');
    let last = path.rsplit([':', '<']).next();
    last.unwrap_or_default().to_lowercase()
}
