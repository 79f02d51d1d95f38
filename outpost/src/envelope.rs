//! Envelopes: who sends a message, and who is to get it.

use std::{error, fmt};

use smtp_policy::{
    line_ends::StrayCr,
    request::{CacheHints, EnvelopeId, Nexthop, Recipient, Request, TlsWish},
};
use smtp_proto::{
    Address, Protocol, ReversePath,
    dsn::{Notify, Ret},
};

use crate::{
    address::{self, AddressError},
    message::Facts,
};

/// Sender and recipients of one message, and what the sender asks for.
///
/// ```
/// use outpost::Envelope;
///
/// let envelope = Envelope::new("me@example.org", ["Ann <ann@example.com>", "bob@example.net"])?;
/// assert_eq!(envelope.recipients.len(), 2);
///
/// let error = Envelope::new("me@example.org", ["ann@"]).unwrap_err();
/// assert_eq!(error.to_string(), "recipient 'ann@': there is nothing after the @");
/// # Ok::<(), outpost::EnvelopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The envelope sender, which bounces go to.
    pub sender: ReversePath,
    /// The recipients, in the order of their reports.
    pub recipients: Vec<Recipient>,
    /// The DSN envelope identifier (RFC 3461 section 4.4).
    pub envid: Option<EnvelopeId>,
    /// The part of the message that a failure report returns (RFC 3461 section 4.3).
    pub ret: Option<Ret>,
    /// The sender's word on TLS (RFC 8689).
    pub tls: TlsWish,
}

impl Envelope {
    /// An envelope with these addresses, written as people write them. An empty sender, or `<>`, is the
    /// null sender. An address that is given twice gets one copy, as in Postfix
    /// (`duplicate_filter_limit`).
    ///
    /// # Errors
    /// A text that is not one address; a recipient without a domain.
    pub fn new<T: AsRef<str>>(
        from: impl AsRef<str>,
        to: impl IntoIterator<Item = T>,
    ) -> Result<Self, EnvelopeError> {
        let from = from.as_ref().trim();
        let sender = match from {
            "" | "<>" => ReversePath::Null,
            written => {
                let sender = address::parse(written);
                ReversePath::Mailbox(sender.map_err(|why| wrong("sender", written, Some(why)))?)
            }
        };
        let mut envelope = Self::from_parts(sender, Vec::new());
        for to in to {
            envelope = envelope.to(to)?;
        }
        Ok(envelope)
    }

    /// An envelope of what was understood already. Nothing in it is checked or left out.
    pub fn from_parts(sender: ReversePath, recipients: Vec<Recipient>) -> Self {
        Self {
            sender,
            recipients,
            envid: None,
            ret: None,
            tls: TlsWish::default(),
        }
    }

    /// Adds a recipient, unless it is there already.
    ///
    /// # Errors
    /// The text is not one address, or one without a domain.
    pub fn to(mut self, to: impl AsRef<str>) -> Result<Self, EnvelopeError> {
        let written = to.as_ref();
        let to = address::parse(written).map_err(|why| wrong("recipient", written, Some(why)))?;
        if to.domain().is_none_or(str::is_empty) {
            return Err(wrong("recipient", written, None));
        }
        let mut recipients = self.recipients.iter();
        if !recipients.any(|recipient| is_same(&recipient.address, &to)) {
            self.recipients.push(to.into());
        }
        Ok(self)
    }

    /// The request for a delivery of a message with these facts to one next hop, for a client of one of
    /// the runtimes or of the test kit. It is what a mailer asks for.
    ///
    /// ```
    /// use outpost::{Envelope, Message, smtp_proto::Protocol};
    ///
    /// let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    /// let message = Message::from("Subject: hello\n\nHi there.\n");
    /// let request = envelope.request(Protocol::Smtp, "example.com".parse()?, message.facts());
    /// assert_eq!(request.size, Some(29));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request(self, protocol: Protocol, nexthop: Nexthop, facts: &Facts) -> Request {
        let mut request = Request::new(protocol, nexthop, self.sender, self.recipients);
        request.envid = self.envid;
        request.ret = self.ret;
        request.tls = self.tls;
        facts.describe(&mut request);
        // The line ends have been read already.
        request.stray_cr = StrayCr::Pass;
        // Mail of a program seldom comes alone.
        request.cache = CacheHints {
            load: true,
            store: true,
        };
        // As for mail from sendmail(1): smtputf8_autodetect_classes.
        request.smtputf8 = true;
        request.smtputf8 = request.needs_smtputf8();
        request
    }

    /// Asks for these reports about every recipient (RFC 3461 section 4.1).
    #[must_use]
    pub fn notify(mut self, notify: Notify) -> Self {
        for recipient in &mut self.recipients {
            recipient.notify = notify;
        }
        self
    }

    /// Names the envelope, so that reports can be told apart.
    #[must_use]
    pub fn envid(mut self, envid: EnvelopeId) -> Self {
        self.envid = Some(envid);
        self
    }

    /// Says how much of the message a failure report returns.
    #[must_use]
    pub fn ret(mut self, ret: Ret) -> Self {
        self.ret = Some(ret);
        self
    }

    /// Lets only servers have the message that are verified and promise the same of the next one (RFC
    /// 8689). If there is none, it bounces.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        self.tls = TlsWish::Required;
        self
    }
}

/// Returns whether two addresses surely are one: domains have no case, local parts may.
pub fn is_same(one: &Address, other: &Address) -> bool {
    let folded = |address: &Address| address.domain().map(str::to_lowercase);
    one.local_part() == other.local_part() && folded(one) == folded(other)
}

fn wrong(role: &'static str, written: &str, why: Option<AddressError>) -> EnvelopeError {
    EnvelopeError {
        role,
        written: written.to_owned(),
        why,
    }
}

/// An address that an envelope cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeError {
    role: &'static str,
    written: String,
    why: Option<AddressError>,
}

impl EnvelopeError {
    /// The address as it was written.
    pub fn address(&self) -> &str {
        &self.written
    }
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, written, why } = self;
        write!(f, "{role} '{}': ", written.escape_debug())?;
        match why {
            Some(why) => why.fmt(f),
            None => f.write_str("there is no domain"),
        }
    }
}

impl error::Error for EnvelopeError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_given_twice_counts_once() {
        let to = ["a@x.example", "A@x.example", "a@X.EXAMPLE", "<a@x.example>"];
        let envelope = Envelope::new("<>", to).unwrap();
        let kept: Vec<_> = envelope
            .recipients
            .iter()
            .map(|to| to.address.as_str())
            .collect();
        assert_eq!(kept, ["a@x.example", "A@x.example"]);
        assert!(envelope.sender.is_null());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |from: &str, to: &[&str]| Envelope::new(from, to).unwrap_err().to_string();
        assert!(said("a b@x", &[]).starts_with("sender 'a b@x': a ' ' is outside"));
        assert_eq!(
            said("", &["a@x", "joe"]),
            "recipient 'joe': there is no domain"
        );
        assert!(said("", &["a@x\r\nRCPT TO:<b@y>"]).starts_with("recipient 'a@x\\r\\nRCPT"));
    }
}
