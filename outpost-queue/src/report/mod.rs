//! Reports to senders and postmasters: delivery status notifications (RFC 3464), and notices about mail that was set aside.
//! In Postfix this is the work of bounce(8). Here they are messages of the null sender in the same queue; what calls this
//! is the worker's loop.
//!
//! | who hears | of what | when |
//! |---|---|---|
//! | the sender | recipients that were given up | when the round of the message is over (below) |
//! | the sender | recipients that wait for [`delay_warning_time`](crate::rules::Schedule::delay_warning) | once |
//! | the sender | recipients that were sent, if NOTIFY=SUCCESS asks for it and the server does not report itself | as for those given up |
//! | the postmaster | a task that has killed its workers; on demand one that is held because of a doubt | once |
//!
//! What was told and what is told are one transaction ([`MakeReports`], [`Look`]): whatever
//! crashes, each report is made once.
//!
//! Mail of the null sender and reports themselves cause no report, as with Postfix's default `notify_classes = resource,
//! software`: there are no double bounces (`2bounce_notice_recipient`) and no copies for the postmaster
//! (`bounce_notice_recipient`, `delay_notice_recipient`). Notices are of the null sender too, not of
//! `double_bounce_sender`: what comes back would come to a machine that takes no mail.
//!
//! A sender gets one report for all recipients that fail in one round, as from bounce(8). [`gather`] says for how long a
//! report waits for the others.

mod duty;
mod letter;
mod notice;
mod original;

use core::{fmt, time::Duration};
use std::sync::Arc;

use smtp_policy::report::DsnKind;
use smtp_proto::Address;

pub use self::duty::duties;
pub(crate) use self::{letter::Letter, notice::Notice, original::original};
use crate::{
    model::{DestinationName, Message, MessageId, Task, TaskState, Timestamp},
    operation::{Look, Looked, MakeReports},
    rules::{Rules, Schedule, schedule::is_null},
    store::{Store, StoreError},
    worker::QueueEvent,
};

/// The destination of an address: that of its domain, unless somebody has set up another one.
pub type ReportRoute = Arc<dyn Fn(&Address) -> DestinationName + Send + Sync>;

/// The contents of reports besides the verdicts, and those who get them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Context {
    /// The name of this machine (`myhostname`).
    pub myhostname: String,
    /// The name of the mail system (`mail_name`): `Outpost`.
    pub mail_name: String,
    /// The address in the From header field, without angle brackets (`empty_address_recipient`, with the name of this
    /// machine): `MAILER-DAEMON@` and that name.
    pub from: String,
    /// The size in bytes up to which a message that failed is returned as a whole (`bounce_size_limit`): 50,000. Of a
    /// larger one the header is returned. Zero: always the header, while it is no limit for Postfix.
    pub size_limit: u64,
    /// The most recipients that one report tells of: 5,000, which makes about 2 MB. There are as many reports as it takes.
    /// Postfix knows no such limit but that of a message, beyond which nobody hears anything. Zero is one.
    pub recipient_limit: usize,
    /// The postmaster, who hears of mail that was set aside (`error_notice_recipient`); none: nobody does.
    pub postmaster: Option<Address>,
    /// The postmaster also hears of tasks that are held since a server may have the message
    /// ([`DoubtPolicy::Hold`](crate::rules::DoubtPolicy::Hold)).
    pub doubt_notices: bool,
    /// The destination of each report.
    pub route: ReportRoute,
}

impl Context {
    /// The context for a machine of this name.
    pub fn new(
        myhostname: impl Into<String>,
        route: impl Fn(&Address) -> DestinationName + Send + Sync + 'static,
    ) -> Self {
        let myhostname = myhostname.into();
        Self {
            mail_name: "Outpost".to_owned(),
            from: format!("MAILER-DAEMON@{myhostname}"),
            myhostname,
            size_limit: 50_000,
            recipient_limit: 5000,
            postmaster: None,
            doubt_notices: false,
            route: Arc::new(route),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("myhostname", &self.myhostname)
            .field("postmaster", &self.postmaster)
            .finish_non_exhaustive()
    }
}

/// The result of making the reports that were due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Made {
    /// The reports.
    pub reports: Vec<MadeReport>,
    /// The parts that could not be read of messages that owed a report. The reports were made without them, as far as
    /// that goes.
    pub damaged: Vec<(MessageId, String)>,
    /// There may be others that are due: call again.
    pub more: bool,
}

/// A report that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MadeReport {
    /// The subject of the report.
    pub kind: DsnKind,
    /// The message that it is about.
    pub about: MessageId,
    /// The report itself.
    pub report: MessageId,
    /// The address that gets it.
    pub recipient: Address,
    /// The number of recipients that it tells of.
    pub recipients: usize,
}

impl MadeReport {
    /// The event for whoever watches the worker.
    pub const fn event(&self) -> QueueEvent<'static> {
        QueueEvent::Reported {
            message: self.about,
            report: self.report,
            about: match self.kind {
                DsnKind::Failure => "failure",
                DsnKind::Delay => "delay",
                DsnKind::Success => "success",
            },
            recipients: self.recipients,
        }
    }
}

/// Makes reports that are due, of at most `limit` messages.
///
/// # Errors
/// Those of the store.
pub async fn make_due<S: Store>(
    store: &S,
    context: &Context,
    rules: &Rules,
    limit: usize,
) -> Result<Made, StoreError> {
    let operation = MakeReports {
        context: context.clone(),
        rules: rules.clone(),
        limit,
    };
    store.run(operation).await
}

/// Looks at tasks that nobody tries and whose time has come, at most `limit`: gives them up, or has their senders told.
///
/// # Errors
/// Those of the store.
pub async fn look<S: Store>(
    store: &S,
    context: &Context,
    rules: &Rules,
    limit: usize,
) -> Result<Looked, StoreError> {
    let operation = Look {
        context: context.clone(),
        rules: rules.clone(),
        limit,
    };
    store.run(operation).await
}

/// The longest time after the arrival of a message for which the failures of its first round wait for each other: 5
/// minutes. A round of Postfix lasts as long as its slowest delivery, which is about that.
const FIRST_ROUND: Duration = Duration::from_secs(300);

/// The pause before a report that waits is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The time for which a warning about a delay waits for the other tasks of the message.
pub(crate) const DELAY_ROUND: Duration = Duration::from_secs(300);

/// The pause before a task is looked at again that is too old and has its attempt to come.
pub(crate) const NOT_TRIED: Duration = Duration::from_secs(300);

/// The time at which a report that is due now is to be looked at again, since others of the same message are about to
/// fail too; `None`: it is to be made. `tasks` are those that the message has left.
///
/// Postfix reports when all recipients were tried, so that a message makes one report a round. A round here ends when
/// nobody is left; in the first one also when each task was tried, or after five minutes; in the last one, in which
/// tasks become too old one after the other, after the longest pause between two attempts. In between there are few failures,
/// and they are told at once.
pub fn gather(
    message: &Message,
    tasks: &[Task],
    schedule: &Schedule,
    now: Timestamp,
) -> Option<Timestamp> {
    if message.unsettled == 0 {
        return None;
    }
    let untried = |task: &Task| match task.state {
        TaskState::New => true,
        TaskState::Ready | TaskState::Leased(_) => task.attempts == 0,
        TaskState::Held(_) => false,
    };
    let first = message.arrived.after(FIRST_ROUND);
    if now < first && tasks.iter().any(untried) {
        return Some(first.min(now.after(LOOK_AGAIN)));
    }
    let expires = schedule.expires(is_null(message.kind, &message.sender), message.arrived);
    let last = expires.after(schedule.maximal_backoff).after(NOT_TRIED * 2);
    (expires <= now && now < last).then_some(last)
}

/// A moment as header fields have it (RFC 5322 section 3.3), in UTC.
pub(crate) fn date(time: Timestamp) -> String {
    let known = jiff::Timestamp::from_microsecond(time.micros()).unwrap_or_default();
    let zoned = known.to_zoned(jiff::tz::TimeZone::UTC);
    zoned.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
