//! Tasks are claimed while slots are free.

use core::time::Duration;
use std::{pin::pin, sync::Arc};

use futures_util::future::select;

use crate::{
    operation::{Admit, Claim, Claimed, Right},
    store::{Store, StoreError},
};

use super::{Courier, Shared, delivery::deliver, pause::Pauses};

/// The shortest time between two looks for tasks.
const SHORTEST: Duration = Duration::from_millis(20);
/// The most new tasks that are looked at in one transaction.
const LOOK: usize = 1000;

/// The plan for what is claimed next, and how eagerly.
struct Course {
    /// New tasks come first, and those that have waited second. They take turns.
    new_first: bool,
    /// The number of new tasks that are looked at, where more are there than can be begun.
    look: usize,
    /// The time until the next look, if nobody rings.
    pause: Duration,
}

/// A look for tasks.
#[derive(Default)]
struct Found {
    tasks: Vec<Claimed>,
    /// There may be more.
    more: bool,
}

impl<S: Store, C: Courier> Shared<S, C> {
    /// Claims tasks until somebody wants it to stop. Returns those that are not to be begun any more.
    pub(super) async fn claim(self: &Arc<Self>) -> Vec<Right> {
        let mut course = Course {
            new_first: false,
            look: 0,
            pause: SHORTEST,
        };
        let mut pauses = Pauses::new();
        while !self.stop.is_asked() {
            let slots = self.options.slots.max(1);
            let free = slots.saturating_sub(self.rights.count());
            if free == 0 {
                self.rest(self.options.poll).await;
                continue;
            }
            let mut found = Found::default();
            let looked = self.look(&mut course, free, &mut found).await;
            if self.stop.is_asked() {
                return found.tasks.iter().map(Claimed::right).collect();
            }
            course.pause = match found.tasks.is_empty() {
                true => (course.pause * 2).min(self.options.poll).max(SHORTEST),
                false => SHORTEST,
            };
            self.begin(found.tasks);
            match looked {
                Ok(()) => {
                    pauses = Pauses::new();
                    if !found.more {
                        self.rest(course.pause).await;
                    }
                }
                Err(error) => {
                    self.failed("claim tasks", &error);
                    self.nap(pauses.next()).await;
                }
            }
        }
        Vec::new()
    }

    /// Waits for the bell, for so long at most.
    async fn rest(&self, time: Duration) {
        let bell = pin!(self.bell.heard());
        select(bell, pin!(self.nap(time))).await;
    }

    /// Looks for tasks of both kinds. Neither keeps the other back. What was found stays, also where the store fails then.
    async fn look(
        &self,
        course: &mut Course,
        free: usize,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        course.new_first = !course.new_first;
        let half = free.div_ceil(2);
        if course.new_first {
            self.look_for_new(course, half, found).await?;
            let left = free - found.tasks.len().min(free);
            self.look_for_ready(left, found).await
        } else {
            self.look_for_ready(half, found).await?;
            let left = free - found.tasks.len().min(free);
            self.look_for_new(course, left, found).await
        }
    }

    async fn look_for_ready(&self, want: usize, found: &mut Found) -> Result<(), StoreError> {
        if want == 0 {
            found.more = true;
            return Ok(());
        }
        let claim = Claim {
            worker: self.options.name.clone(),
            want,
            rules: self.options.rules.clone(),
        };
        let tasks = self.store.run(claim).await?;
        found.more |= tasks.len() >= want;
        found.tasks.extend(tasks);
        Ok(())
    }

    async fn look_for_new(
        &self,
        course: &mut Course,
        want: usize,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        if want == 0 {
            found.more = true;
            return Ok(());
        }
        let look = want.max(course.look);
        let admit = Admit {
            worker: self.options.name.clone(),
            want,
            look,
            rules: self.options.rules.clone(),
        };
        let (seen, tasks) = self.store.run(admit).await?;
        found.more |= seen >= look;
        // Those in front are of destinations that take nothing now: looks behind them.
        course.look = match seen >= look && tasks.is_empty() {
            true => (look * 2).min(LOOK),
            false => 0,
        };
        found.tasks.extend(tasks);
        Ok(())
    }

    /// Begins to deliver tasks.
    fn begin(self: &Arc<Self>, tasks: Vec<Claimed>) {
        for claimed in tasks {
            let holding = self.rights.hold(claimed.right());
            self.count(|sum| sum.deliveries += 1);
            self.courier
                .detach(deliver(Arc::clone(self), claimed, holding));
        }
    }
}
