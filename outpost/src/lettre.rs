//! Mailers in the place of lettre's transports, and its messages and envelopes as ours.
//!
//! A program that sends with lettre gets kept connections, DANE and a verdict for each recipient by
//! another transport:
//!
//! ```no_run
//! use lettre::{AsyncTransport, Message};
//! use outpost::{Mailer, lettre::LettreTransport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mailer = Mailer::submission("smtp.example.com").credentials("me", "secret").build()?;
//! let mailer = LettreTransport::new(mailer);
//!
//! let email = Message::builder()
//!     .from("Me <me@example.org>".parse()?)
//!     .to("you@example.com".parse()?)
//!     .subject("hello")
//!     .body("Hi there.\n".to_owned())?;
//! mailer.send(email).await?;
//! # Ok(())
//! # }
//! ```

use std::{error, fmt};

use lettre::{Message as Email, address::Envelope as Addresses};
use smtp_policy::report::{Report, Status, printable};

use crate::{Envelope, EnvelopeError, Message};

/// The message as it goes out, without its `Bcc`.
impl From<&Email> for Message {
    fn from(email: &Email) -> Self {
        Self::from(email.formatted())
    }
}

/// The message as it goes out, without its `Bcc`.
impl From<Email> for Message {
    fn from(email: Email) -> Self {
        Self::from(&email)
    }
}

impl TryFrom<&Addresses> for Envelope {
    type Error = EnvelopeError;

    fn try_from(addresses: &Addresses) -> Result<Self, EnvelopeError> {
        let from = addresses.from().map(ToString::to_string);
        let to = addresses.to().iter().map(ToString::to_string);
        Self::new(from.unwrap_or_default(), to)
    }
}

/// A mailer as lettre's `Transport` or `AsyncTransport`.
#[derive(Clone, Debug)]
pub struct LettreTransport<M>(M);

impl<M> LettreTransport<M> {
    /// Takes a mailer.
    pub const fn new(mailer: M) -> Self {
        Self(mailer)
    }

    /// The mailer.
    pub const fn mailer(&self) -> &M {
        &self.0
    }
}

/// A message that was not sent to everybody.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LettreError {
    /// An address was not understood; nothing was sent.
    Envelope(EnvelopeError),
    /// Not all recipients were sent. The report says who was.
    NotSent(Report),
}

impl LettreError {
    fn unless_sent(report: Report) -> Result<Report, Self> {
        match report.all(Status::Sent) {
            true => Ok(report),
            false => Err(Self::NotSent(report)),
        }
    }
}

impl From<EnvelopeError> for LettreError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl fmt::Display for LettreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = match self {
            Self::Envelope(error) => return error.fmt(f),
            Self::NotSent(report) => report,
        };
        let left = report.recipients.iter();
        let left = left.filter(|(_, outcome)| outcome.status != Status::Sent);
        for (index, (recipient, outcome)) in left.enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            write!(
                f,
                "{}: {} ({})",
                printable(recipient.address.as_str()),
                outcome.word,
                outcome.text
            )?;
        }
        Ok(())
    }
}

impl error::Error for LettreError {}

#[cfg(feature = "blocking")]
impl lettre::Transport for LettreTransport<crate::blocking::Mailer> {
    type Ok = Report;
    type Error = LettreError;

    fn send_raw(&self, addresses: &Addresses, email: &[u8]) -> Result<Report, LettreError> {
        let envelope = Envelope::try_from(addresses)?;
        LettreError::unless_sent(self.0.send(envelope, email))
    }
}

#[cfg(any(feature = "tokio", feature = "smol"))]
#[async_trait::async_trait]
impl<R: runtime_common::Runtime> lettre::AsyncTransport
    for LettreTransport<crate::mailer::Mailer<R>>
{
    type Ok = Report;
    type Error = LettreError;

    async fn send_raw(&self, addresses: &Addresses, email: &[u8]) -> Result<Report, LettreError> {
        let envelope = Envelope::try_from(addresses)?;
        LettreError::unless_sent(self.0.send(envelope, email).await)
    }

    async fn shutdown(&self) {
        self.0.close().await;
    }
}
