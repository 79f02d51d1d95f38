//! The questions to verify(8), flush(8), trivial-rewrite(8) and cleanup(8), and their answers
//! (`src/global/verify_clnt.c`, `flush_clnt.c`, `rewrite_clnt.c`, `cleanup_user.h`).

use smtp_policy::report::{Outcome, Status};

use super::StatusReply;
use crate::{
    attr::{Attribute, Malformed, Value, attributes},
    request::Recipient,
};

/// The finding of a probe of an address (`DEL_RCPT_STAT_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It takes mail.
    Deliverable,
    /// It cannot be said for now.
    Deferred,
    /// It takes no mail.
    Undeliverable,
}

impl Verified {
    const ALL: [Self; 3] = [Self::Deliverable, Self::Deferred, Self::Undeliverable];
}

impl From<Status> for Verified {
    fn from(status: Status) -> Self {
        match status {
            Status::Sent => Self::Deliverable,
            Status::Deferred => Self::Deferred,
            Status::Bounced => Self::Undeliverable,
        }
    }
}

/// The numbers 0, 1 and 2.
impl Attribute for Verified {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let number = usize::try_from(u32::read(text)?).map_err(|_| Malformed::Number)?;
        Self::ALL.get(number).copied().ok_or(Malformed::Number)
    }

    fn write(&self, to: &mut Vec<u8>) {
        let number: u32 = match self {
            Self::Deliverable => 0,
            Self::Deferred => 1,
            Self::Undeliverable => 2,
        };
        Attribute::write(&number, to);
    }
}

attributes! {
    /// The result of a probe, for verify(8).
    pub struct VerifyUpdate ["request" = "update"] {
        /// The address.
        address: Value => "address",
        /// The finding.
        status: Verified => "recipient_status",
        /// The reason, as it is logged.
        reason: Value => "reason",
    }
}

impl VerifyUpdate {
    /// The updates for a recipient, in their order: for the address before aliasing, if
    /// there is one, and for the address, if it is another.
    pub fn of(recipient: &Recipient, outcome: &Outcome) -> Vec<Self> {
        let update = |address: &Value| Self {
            address: address.clone(),
            status: outcome.status.into(),
            reason: Value::from(&outcome.text),
        };
        let Recipient {
            original, address, ..
        } = recipient;
        let before = (!original.is_empty()).then(|| update(original));
        let now = (address != original).then(|| update(address));
        before.into_iter().chain(now).collect()
    }
}

attributes! {
    /// A message for a site that may ask for it (ETRN), for flush(8).
    pub struct FlushAdd ["request" = "add"] {
        /// The domain of the recipient.
        site: Value => "site",
        /// The message.
        queue_id: Value => "queue_id",
    }
}

/// The answer of flush(8). None keeps mail back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushStatus {
    /// Noted.
    Done,
    /// Not for this site.
    Denied,
    /// Anything else, which is worth a warning.
    Failed,
}

impl From<StatusReply> for FlushStatus {
    fn from(reply: StatusReply) -> Self {
        match reply.status {
            0 => Self::Done,
            4 => Self::Denied,
            _ => Self::Failed,
        }
    }
}

attributes! {
    /// An address to be completed as local mail's addresses are, for trivial-rewrite(8).
    pub struct RewriteRequest ["request" = "rewrite"] ["rule" = "local"] {
        /// The address in external form.
        address: Value => "address",
    }
}

attributes! {
    /// The answer of trivial-rewrite(8).
    pub struct RewriteReply {
        /// Other than zero, if the server is about to leave: the next request wants a new connection.
        flags: i32 => "flags",
        /// The address, completed.
        address: Value => "address",
    }
}

attributes! {
    /// The wishes to cleanup(8) about a message, whose records follow.
    #[derive(Copy)]
    pub struct CleanupFlags {
        /// The bits (`CLEANUP_FLAG_…`): 32 for mail that is made here, 2 and 64 more if it
        /// is to be filtered, 512 if its need of SMTPUTF8 is to be found out.
        bits: u32 => "flags",
    }
}

attributes! {
    /// The answer of cleanup(8) to a message.
    pub struct CleanupReply {
        /// Zero if the message is in the queue.
        status: i32 => "status",
        /// The reason, if it is not.
        reason: Value => "reason",
    }
}
