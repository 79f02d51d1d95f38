//! Reports on a delivery to bounce(8), verify(8), flush(8) and others.
//!
//! To bounce(8) each record goes over a connection of its own: the announcement comes,
//! the record goes, a [`StatusReply`] comes. [`Filing`] says what is to be told to whom, and
//! what follows from the answers; [`StatusRecord`] is what is told.
//!
//! ```
//! use postfix_ipc::{attr::{List, Value}, report::{Book, StatusRecord}, request::{Recipient, RequestHead}};
//! use smtp_policy::report::{Outcome, Status};
//! use smtp_proto::EnhancedStatus;
//!
//! let head = RequestHead { queue_id: Value::new("8A4EB6F")?, ..RequestHead::default() };
//! let recipient = Recipient { address: Value::new("user@example.com")?, ..Recipient::default() };
//! let outcome = Outcome::new(Status::Deferred, EnhancedStatus::new(4, 4, 1), "connect to mx: refused");
//! let record = StatusRecord::new(Book::Defer, &head, &recipient, &outcome);
//! assert_eq!(record.dsn.action, "delayed");
//! assert!(record.encode().starts_with(b"nrequest\x000\0flags\x000\0queue_id\x008A4EB6F\0"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod filing;
mod notice;
mod record;
mod services;

pub use filing::{Failed, Filing, Report};
pub use notice::Submission;
pub use record::{Book, StatusRecord};
pub use services::{
    CleanupFlags, CleanupReply, FlushAdd, FlushStatus, RewriteReply, RewriteRequest, Verified,
    VerifyUpdate,
};

use crate::attr::attributes;

attributes! {
    /// The answer of bounce(8), verify(8), flush(8) and others.
    #[derive(Copy)]
    pub struct StatusReply {
        /// Zero if it is done.
        status: i32 => "status",
    }
}

impl StatusReply {
    /// True if it is done.
    pub fn is_done(self) -> bool {
        self.status == 0
    }
}
