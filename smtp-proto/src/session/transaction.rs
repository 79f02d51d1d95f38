//! One message transaction as a value: what goes into MAIL, RCPT and XFORWARD,
//! and where it stops.

use alloc::vec::Vec;

use crate::{
    command::{MailFrom, RcptTo, Xforward},
    time::Time,
};

/// How far a transaction goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// To its end.
    #[default]
    Never,
    /// RSET after the replies to RCPT: an address probe
    /// (`smtp_address_verify_target = rcpt`).
    AfterRcpt,
    /// Leave without a word where the text would begin: an address probe
    /// (`smtp_address_verify_target = data`).
    AtText,
}

/// A message transaction, ready to be sent. The text follows through
/// [`Session::body`](super::Session::body).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transaction {
    /// XFORWARD with NAME, ADDR, PORT, if it is to be sent.
    pub forward_name_addr: Option<Xforward>,
    /// XFORWARD with PROTO, HELO, IDENT, SOURCE, if it is to be sent.
    pub forward_proto_helo: Option<Xforward>,
    /// MAIL FROM.
    pub mail: MailFrom,
    /// RCPT TO for each recipient, at least one. [`Stage::Rcpt`](super::Stage::Rcpt)
    /// counts in this order.
    pub recipients: Vec<RcptTo>,
    /// Where to stop.
    pub stop: Stop,
    /// Until when the connection may be kept for another message; `None` says
    /// QUIT right behind the text. Decided when the end of the text is written.
    pub keep_until: Option<Time>,
}

impl Transaction {
    /// A transaction that goes to its end and says QUIT.
    pub fn new(mail: MailFrom, recipients: Vec<RcptTo>) -> Self {
        Self {
            forward_name_addr: None,
            forward_proto_helo: None,
            mail,
            recipients,
            stop: Stop::default(),
            keep_until: None,
        }
    }
}
