//! What a caller can watch while a delivery runs.

use crate::{
    event::Note,
    report::Outcome,
    request::{RcptIndex, Recipient},
};

/// Receives events of a running delivery from a driver. Every method does
/// nothing unless it is written; `()` watches nothing.
pub trait Observer: Send {
    /// A recipient was settled: the one at `index` in the request. Called once for each
    /// recipient.
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        let _ = (index, recipient, outcome);
    }

    /// Whose message may have been accepted although there is no verdict yet: the whole
    /// text is sent, or about to be, and not answered; or a server before this one left
    /// it open. Called with everybody in doubt, in order, before anything is written
    /// that brings others into doubt, and when that is over; who is settled since is not
    /// in doubt any more.
    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        let _ = recipients;
    }

    /// Something has happened that is worth a line in a log, or counting.
    fn note(&mut self, note: &Note) {
        let _ = note;
    }

    /// The message text was handed to the connection up to this offset. The
    /// offset goes back to zero when the next host is tried, and for the next part of
    /// the recipients.
    fn progress(&mut self, text_bytes: u64) {
        let _ = text_bytes;
    }
}

impl Observer for () {}
