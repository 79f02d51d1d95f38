//! The decisions about tasks, destinations and recipients. Nothing here waits, reads a clock or knows a database.
//!
//! | question | in | Postfix |
//! |---|---|---|
//! | when is it tried again, when is it too late? | [`schedule`] | qmgr(8): `qmgr_active.c` |
//! | how many deliveries does a destination bear? | [`feedback`] | qmgr(8): `qmgr_queue.c`, `qmgr_feedback.c` |
//! | what does a verdict leave? | [`settle`] | bounce(8), defer(8), qmgr(8): `qmgr_deliver.c` |
//! | what does a worker leave that died? | [`death`] | (none) |
//! | which addresses get no more mail? | [`suppression`] | (none) |

mod checked;
pub mod death;
pub mod feedback;
pub mod schedule;
pub mod settle;
pub mod suppression;

use core::time::Duration;

pub use self::{
    checked::RulesError,
    feedback::{Concurrency, Feedback, FeedbackError},
    schedule::Schedule,
    suppression::Suppression,
};

/// Everything that the rules depend on. The defaults are Postfix's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// The schedule by which tasks are tried again.
    pub schedule: Schedule,
    /// The rules for the number of deliveries that a destination gets at a time.
    pub concurrency: Concurrency,
    /// The treatment of recipients who may have the message already.
    pub doubt: DoubtPolicy,
    /// The time for which a task belongs to a worker that does not renew it: one minute.
    pub lease: Duration,
    /// The workers in a row that a task may kill before it is set aside: 3.
    pub deaths: u32,
    /// The time for which addresses that bounced hard get no mail; none: each message is tried.
    pub suppression: Option<Suppression>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            concurrency: Concurrency::default(),
            doubt: DoubtPolicy::default(),
            lease: Duration::from_secs(60),
            deaths: 3,
            suppression: None,
        }
    }
}

/// The treatment of recipients who may have the message already: the end of the text went out, and the answer is not
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoubtPolicy {
    /// They are tried again, as Postfix does, and may get the message twice. They are marked.
    #[default]
    Retry,
    /// Their task is held until an operator decides.
    Hold,
}
