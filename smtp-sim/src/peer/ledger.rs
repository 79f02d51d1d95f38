//! What a simulated server saw: the truth that verdicts are held against.

use smtp_proto::Time;

/// Everything worth knowing about one connection, from the server's side.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The messages whose end was received.
    pub taken: Vec<Taken>,
    /// What the client did that no client may do.
    pub breaches: Vec<Breach>,
    /// The logins that were begun.
    pub logins: Vec<Login>,
    /// Whether an envelope was heard outside of TLS, and whose it was.
    pub plain_senders: Vec<String>,
    /// The recipients that were named.
    pub named: Vec<String>,
    /// How many of them in each transaction.
    pub transactions: Vec<usize>,
    /// Whether the server said anything that may be a refusal for good.
    pub refused: bool,
    /// Whether the server has sent replies that nobody asked for, or before they
    /// were asked for, so that the client may have taken one for another.
    pub out_of_step: bool,
    /// Whether the client said QUIT.
    pub quit: bool,
}

/// A message whose end was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Time,
    /// The envelope sender.
    pub sender: String,
    /// The recipients that RCPT TO was answered well for.
    pub recipients: Vec<TakenRecipient>,
    /// The text with LF line ends and without dot-stuffing.
    pub text: Vec<u8>,
}

/// A recipient of a [`Taken`] message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenRecipient {
    /// The address.
    pub address: String,
    /// Whether the server has taken responsibility.
    pub accepted: bool,
    /// Where in what the server says its verdict ends, in bytes; `None` if it never
    /// said it.
    pub told: Option<u64>,
}

/// The beginning of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The mechanism.
    pub mechanism: String,
    /// Whether it was inside TLS.
    pub secure: bool,
}

/// Something that no client may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A command before the reply to the one before, without PIPELINING.
    Pipelined(String),
    /// Bytes after QUIT.
    AfterQuit,
    /// A line that does not end in CRLF.
    BareLineEnd(String),
    /// 8-bit text that was not announced.
    EightBit,
    /// A command that there is not.
    Unknown(String),
    /// A command where it makes no sense.
    OutOfOrder(String),
    /// Something other than a TLS handshake after STARTTLS.
    NoHandshake,
}
