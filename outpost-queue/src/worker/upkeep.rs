//! The work beside deliveries: leases are renewed, tasks of dead workers come back, duties are done.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};

use crate::{
    operation::{Reap, Reaped, Renew},
    store::Store,
};

use super::{Courier, Duty, Progress, QueueEvent, Shared, pause::Pauses};

/// The most tasks that are taken back in one transaction.
const REAPED: usize = 100;

impl<S: Store, C: Courier> Shared<S, C> {
    /// Goes on for ever.
    pub(super) async fn upkeep(self: &Arc<Self>, duties: &[Duty]) {
        let duties = join_all(duties.iter().map(|duty| self.tend(duty)));
        join(join(self.renew(), self.reap()), duties).await;
    }

    /// Renews all leases, three times in the life of each.
    async fn renew(&self) {
        let pause = self.options.rules.lease / 3;
        loop {
            self.courier.sleep(pause).await;
            let mut pauses = Pauses::new();
            while !self.renew_all().await {
                self.courier.sleep(pauses.next().min(pause)).await;
            }
        }
    }

    /// Returns whether the store was there.
    async fn renew_all(&self) -> bool {
        let rights = self.rights.to_renew();
        if rights.is_empty() {
            return true;
        }
        let renew = Renew {
            rights: rights.clone(),
            worker: self.options.name.clone(),
            rules: self.options.rules.clone(),
        };
        match self.store.run(renew).await {
            Ok(renewed) => {
                let lost = rights.into_iter().filter(|right| !renewed.contains(right));
                lost.for_each(|right| self.rights.lose(right));
                true
            }
            Err(error) => {
                self.failed("renew leases", &error);
                false
            }
        }
    }

    /// Takes the tasks of dead workers back.
    async fn reap(&self) {
        // Somebody has to look several times in each lease.
        let pause = self.options.reap.min(self.options.rules.lease / 4);
        let mut pauses = Pauses::new();
        loop {
            let reap = Reap {
                limit: REAPED,
                rules: self.options.rules.clone(),
            };
            match self.store.run(reap).await {
                Ok(reaped) => {
                    pauses = Pauses::new();
                    reaped.iter().for_each(|one| self.tell_reaped(one));
                    if !reaped.is_empty() {
                        self.bell.ring();
                    }
                    if reaped.len() < REAPED {
                        self.courier.sleep(pause).await;
                    }
                }
                Err(error) => {
                    self.failed("take back the tasks of dead workers", &error);
                    self.courier.sleep(pauses.next().min(pause)).await;
                }
            }
        }
    }

    fn tell_reaped(&self, reaped: &Reaped) {
        self.hear(&QueueEvent::Reaped {
            message: reaped.task.message,
            task: reaped.task.id,
            in_doubt: reaped.aftermath.doubtful,
            poisoned: reaped.aftermath.poisoned,
        });
    }

    /// Does a duty now and then.
    async fn tend(&self, duty: &Duty) {
        let mut pauses = Pauses::new();
        loop {
            let round = AssertUnwindSafe((duty.round)()).catch_unwind();
            let done = round
                .await
                .unwrap_or_else(|_| Err("it panicked".to_owned()));
            match done {
                Ok(Progress::Done) => {
                    pauses = Pauses::new();
                    self.courier.sleep(duty.every).await;
                }
                Ok(Progress::More) => pauses = Pauses::new(),
                Err(why) => {
                    let (duty, why) = (duty.name, &*why);
                    self.hear(&QueueEvent::DutyFailed { duty, why });
                    self.courier.sleep(pauses.next()).await;
                }
            }
        }
    }
}
