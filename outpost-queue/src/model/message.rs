//! Messages.

use super::{MessageId, Timestamp};

/// What a message is for the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Mail that somebody handed in.
    #[default]
    Mail,
    /// A report of the queue itself: a delivery status notification, a report about TLS.
    Report,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageState {
    /// Its text is being written. It has no task yet.
    #[default]
    Arriving,
    /// Recipients wait for their verdict.
    Queued,
    /// Every recipient is settled, and every report made. The text is gone.
    Finished,
}

/// A message without its text and its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Mail, or a report.
    pub kind: Kind,
    /// How far it has come.
    pub state: MessageState,
    /// The envelope sender, unquoted; empty for the null sender.
    pub sender: String,
    /// What is to be delivered, without recipients and next hop: the serialized form of
    /// [`Request`](smtp_policy::request::Request), in JSON.
    pub envelope: String,
    /// The number of bytes of its text.
    pub size: u64,
    /// When it came.
    pub arrived: Timestamp,
    /// The recipients without a last verdict.
    pub unsettled: u32,
    /// When reports are due that its sender is owed; [`Timestamp::NEVER`] where none is.
    pub report_at: Timestamp,
    /// When it was finished; [`Timestamp::NEVER`] before that.
    pub finished: Timestamp,
}
