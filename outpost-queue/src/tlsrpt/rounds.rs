//! A worker's duties for reports.

use core::time::Duration;
use std::sync::Arc;

use super::{Made, Outside, Reporter, Tally, make_due};
use crate::{
    model::WorkerName,
    store::{Store, StoreError},
    worker::{Duty, Listener, Progress, QueueEvent},
};

/// The time between two flushes: that which a worker that is killed takes with it.
const FLUSHES: Duration = Duration::from_secs(5);
/// The time between two looks for reports that are due.
const LOOKS: Duration = Duration::from_secs(60);
const NAME: &str = "tlsrpt";

/// The duties of a worker that counts results of TLS and makes reports. The tally is to listen to the worker, and to be
/// flushed once more when that has ended. Any number of workers may have these duties: a report is made by one.
pub fn duties<S: Store, O: Outside + Clone + 'static, L: Listener>(
    store: &S,
    tally: &Arc<Tally>,
    outside: &O,
    reporter: &Reporter,
    worker: &WorkerName,
    listener: &Arc<L>,
) -> [Duty; 2] {
    let (flushed, tally) = (store.clone(), Arc::clone(tally));
    let (store, outside, reporter) = (store.clone(), outside.clone(), reporter.clone());
    let (worker, listener) = (worker.clone(), Arc::clone(listener));
    [
        Duty::new("tlsrpt-flush", FLUSHES, move || {
            let (store, tally) = (flushed.clone(), Arc::clone(&tally));
            async move {
                tally.flush(&store).await?;
                Ok::<_, StoreError>(Progress::Done)
            }
        }),
        Duty::new(NAME, LOOKS, move || {
            let (store, outside, reporter) = (store.clone(), outside.clone(), reporter.clone());
            let (worker, listener) = (worker.clone(), Arc::clone(&listener));
            async move {
                let made = make_due(&store, &outside, &reporter, &worker).await?;
                hear(&*listener, &made);
                let progress = match made.more {
                    true => Progress::More,
                    false => Progress::Done,
                };
                Ok::<_, StoreError>(progress)
            }
        }),
    ]
}

/// Tells what did not go out.
fn hear<L: Listener>(listener: &L, made: &Made) {
    let failed = |why: &str| listener.hear(&QueueEvent::DutyFailed { duty: NAME, why });
    for (domain, why) in &made.waiting {
        failed(&format!("the report on {domain} waits: {why}"));
    }
    for domain in &made.given_up {
        failed(&format!("the report on {domain} is given up"));
    }
}
