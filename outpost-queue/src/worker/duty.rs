//! The things that a worker does now and then besides deliveries: reports, expiry, cleaning up.

use core::{fmt, time::Duration};
use std::pin::Pin;

/// The future of one round of a duty.
pub type Round = Pin<Box<dyn Future<Output = Result<Progress, String>> + Send>>;

/// A thing that a worker does now and then. Rounds of one worker do not overlap; those of several workers may.
///
/// ```
/// use std::time::Duration;
/// use outpost_queue::worker::{Duty, Progress};
///
/// let duty = Duty::new("sweep", Duration::from_secs(60), || async { Ok::<_, String>(Progress::Done) });
/// ```
pub struct Duty {
    pub(super) name: &'static str,
    pub(super) every: Duration,
    pub(super) round: Box<dyn Fn() -> Round + Send + Sync>,
}

/// The work that a round has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: the next round is when it is time.
    Done,
    /// There may be more to do: the next round follows at once.
    More,
}

impl Progress {
    /// That of a round that has done `done` things, `limit` at most.
    pub const fn of(done: usize, limit: usize) -> Self {
        match done < limit || limit == 0 {
            true => Self::Done,
            false => Self::More,
        }
    }
}

impl Duty {
    /// A duty by its name in events, the time between two rounds, and what is done in one. The first round is at once.
    pub fn new<F, E>(
        name: &'static str,
        every: Duration,
        round: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Progress, E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        Self {
            name,
            every,
            round: Box::new(move || {
                let round = round();
                Box::pin(async move { round.await.map_err(|why| why.to_string()) })
            }),
        }
    }
}

impl fmt::Debug for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duty")
            .field("name", &self.name)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
