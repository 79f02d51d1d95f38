//! The events of a worker, of which operators hear. Nothing depends on anybody listening.

use core::{fmt, time::Duration};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use smtp_policy::{
    event::Note,
    report::{LogStyle, printable},
    schema::Verdict,
};

use crate::{
    model::{DestinationName, MessageId, TaskId},
    operation::Finding,
    store::StoreError,
};

/// Hears what happens in a worker. It is called where it happens, and should not take long.
pub trait Listener: Send + Sync + 'static {
    /// Something has happened.
    fn hear(&self, event: &QueueEvent<'_>);
}

/// Nobody listens.
impl Listener for () {
    fn hear(&self, _: &QueueEvent<'_>) {}
}

impl<F: Fn(&QueueEvent<'_>) + Send + Sync + 'static> Listener for F {
    fn hear(&self, event: &QueueEvent<'_>) {
        self(event);
    }
}

impl<L: Listener + ?Sized> Listener for Arc<L> {
    fn hear(&self, event: &QueueEvent<'_>) {
        (**self).hear(event);
    }
}

/// One listens, if there is one.
impl<L: Listener> Listener for Option<L> {
    fn hear(&self, event: &QueueEvent<'_>) {
        if let Some(listener) = self {
            listener.hear(event);
        }
    }
}

/// Both listen.
impl<A: Listener, B: Listener> Listener for (A, B) {
    fn hear(&self, event: &QueueEvent<'_>) {
        self.0.hear(event);
        self.1.hear(event);
    }
}

/// Something that has happened in a worker. Its `Display` is a line for a log; its serialized form has its name in `kind`,
/// in lower case with underscores.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueEvent<'a> {
    /// A delivery begins.
    Claimed {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// The destination.
        #[serde(serialize_with = "text")]
        destination: &'a DestinationName,
        /// The recipients who are left.
        recipients: usize,
        /// Attempts before this one.
        attempts: u32,
    },
    /// Something is worth a line in the log of a delivery, or counting.
    Note {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The note.
        #[serde(flatten)]
        note: &'a Note,
    },
    /// An attempt has a verdict on a recipient. It is not taken down yet.
    Settled {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The recipient and the verdict.
        #[serde(flatten)]
        verdict: Verdict<'a>,
    },
    /// The verdicts of an attempt are taken down.
    Concluded {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
    },
    /// A task belongs to somebody else by now: its lease has run out, or an operator has taken it. Where the end of the text
    /// was out already, its recipients may get the message twice.
    Lost {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// The end of the text was out.
        ended: bool,
    },
    /// A delivery has panicked. It counts as a deferral.
    Panicked {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// The words of the panic.
        why: &'a str,
    },
    /// A task cannot be read as it is kept, and is held.
    SetAside {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// The reason.
        why: &'a str,
    },
    /// A worker has died with a task, which is taken back.
    Reaped {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// Its recipients may have the message.
        in_doubt: bool,
        /// It has killed its workers, and is held.
        poisoned: bool,
    },
    /// The store has not done something. It is tried again.
    StoreFailed {
        /// The work that it was for.
        doing: &'a str,
        /// The store's error.
        #[serde(serialize_with = "text")]
        error: &'a StoreError,
    },
    /// A report for the sender of a message was made.
    Reported {
        /// The message that it is about.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The report.
        #[serde(serialize_with = "text")]
        report: MessageId,
        /// The subject: `failure`, `delay` or `success`.
        about: &'static str,
        /// The number of recipients that it tells of.
        recipients: usize,
    },
    /// A part that a report is made of could not be read. The report was made without it, as far as that goes.
    ReportDamaged {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The part that could not be read, and why.
        why: &'a str,
    },
    /// A task that nobody tries was looked at.
    Looked {
        /// The message.
        #[serde(serialize_with = "text")]
        message: MessageId,
        /// The task.
        #[serde(serialize_with = "text")]
        task: TaskId,
        /// The destination.
        #[serde(serialize_with = "text")]
        destination: &'a DestinationName,
        /// The result of the look.
        #[serde(serialize_with = "text")]
        finding: Finding,
        /// The recipients concerned.
        recipients: u32,
    },
    /// A duty has failed. It is tried again.
    DutyFailed {
        /// The duty.
        duty: &'a str,
        /// The reason, as the duty gives it.
        why: &'a str,
    },
    /// A step of the end of a worker.
    Stopping {
        /// Deliveries that run.
        running: usize,
        /// The time for which they may go on, in seconds.
        #[serde(serialize_with = "seconds")]
        grace: Duration,
    },
}

/// Writes a value as its text.
fn text<T: fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

impl fmt::Display for QueueEvent<'_> {
    // A table of kinds and their lines. Texts from outside may hold anything, and go through `printable`.
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed { message, task, destination, recipients, attempts } =>
                write!(f, "{message}: task {task} begins: destination={destination}, recipients={recipients}, attempts={attempts}"),
            Self::Note { message, note } => write!(f, "{message}: {note}"),
            Self::Settled { message, verdict } =>
                write!(f, "{message}: {}", LogStyle::default().line(verdict.recipient, verdict.outcome)),
            Self::Concluded { message, task } => write!(f, "{message}: task {task} is over"),
            Self::Lost { message, task, ended } => {
                let doubt = said(*ended, "; its recipients may get the message twice");
                write!(f, "{message}: task {task} is somebody else's{doubt}")
            }
            Self::Panicked { message, task, why } =>
                write!(f, "{message}: the delivery of task {task} panicked: {}", printable(why)),
            Self::SetAside { message, task, why } =>
                write!(f, "{message}: task {task} cannot be read and is held: {}", printable(why)),
            Self::Reaped { message, task, in_doubt, poisoned } => {
                let doubt = said(*in_doubt, "; its recipients may have the message");
                let poison = said(*poisoned, "; it is held, since it has killed its workers");
                write!(f, "{message}: a worker died with task {task}{doubt}{poison}")
            }
            Self::StoreFailed { doing, error } => write!(f, "cannot {doing}: {}", printable(&error.to_string())),
            Self::Reported { message, report, about, .. } =>
                write!(f, "{message}: sender {} notification: {report}", kind(about)),
            Self::ReportDamaged { message, why } =>
                write!(f, "{message}: a report lacks what cannot be read: {}", printable(why)),
            Self::Looked { message, task, destination, finding, recipients } =>
                write!(f, "{message}: task {task} {finding}: destination={destination}, recipients={recipients}"),
            Self::DutyFailed { duty, why } => write!(f, "{duty}: {}", printable(why)),
            Self::Stopping { running, grace } =>
                write!(f, "stopping: {running} deliveries may go on for {} seconds", grace.as_secs()),
        }
    }
}

/// The words, where they are true.
const fn said(is: bool, words: &str) -> &str {
    match is {
        true => words,
        false => "",
    }
}

/// The kind of a notification in Postfix's log, by its subject.
fn kind(about: &str) -> &str {
    match about {
        "failure" => "non-delivery",
        "success" => "delivery status",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_end_no_line_of_a_log() {
        let (message, task) = (MessageId(1), TaskId(2));
        let why = "one\ntwo\x1b[2J";
        let error = &StoreError::Other(why.to_owned());
        let (doing, duty) = ("claim tasks", "reports");
        let events = [
            QueueEvent::Panicked { message, task, why },
            QueueEvent::SetAside { message, task, why },
            QueueEvent::StoreFailed { doing, error },
            QueueEvent::ReportDamaged { message, why },
            QueueEvent::DutyFailed { duty, why },
        ];
        for event in events {
            let line = event.to_string();
            assert!(line.contains("one?two?[2J"), "{line:?}");
        }
    }
}
