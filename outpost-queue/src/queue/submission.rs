//! From an envelope to what the store keeps of it.

use std::{error, fmt, io};

use bytes::Bytes;
use outpost::{Envelope, message::Facts};
use smtp_policy::{
    Protocol,
    request::{Nexthop, Recipient, Request},
};
use smtp_proto::ReversePath;

use crate::{
    model::{DestinationName, Kind},
    operation::{Addressee, Submission, Submitted},
    store::StoreError,
};

/// The way of messages out of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the mail exchangers of each recipient's domain, by SMTP.
    Direct,
    /// To one next hop: a relay, or a mailbox server that speaks LMTP.
    Via(Protocol, Nexthop),
}

impl Route {
    /// The destination that takes mail for a recipient.
    fn destination(&self, recipient: &Recipient) -> Result<DestinationName, SubmitError> {
        let address = &recipient.address;
        let (protocol, nexthop) = match self {
            Self::Via(protocol, nexthop) => return Ok(DestinationName::new(*protocol, nexthop)),
            Self::Direct => {
                let domain = address.domain().filter(|domain| !domain.is_empty());
                let nexthop = domain.and_then(|domain| Nexthop::parse(domain).ok());
                let none = || SubmitError::NoDestination(address.as_str().to_owned());
                (Protocol::Smtp, nexthop.ok_or_else(none)?)
            }
        };
        Ok(DestinationName::new(protocol, &nexthop))
    }

    /// A message with this envelope and these facts, whose text is still missing.
    pub(super) fn submission(
        &self,
        envelope: Envelope,
        facts: &Facts,
        recipient_limit: u32,
    ) -> Result<Submission, SubmitError> {
        if envelope.recipients.is_empty() {
            return Err(SubmitError::NoRecipient);
        }
        let addressee = |recipient: &Recipient| {
            Ok(Addressee {
                destination: self.destination(recipient)?,
                recipient: recipient.clone(),
            })
        };
        let recipients = envelope.recipients.iter().map(addressee);
        let recipients = recipients.collect::<Result<Vec<_>, SubmitError>>()?;
        let protocol = match self {
            Self::Direct => Protocol::Smtp,
            Self::Via(protocol, _) => *protocol,
        };
        // It is that of a task, later on.
        let nexthop = Nexthop::parse("-").map_err(|why| SubmitError::Envelope(why.to_string()))?;
        Submission::of_request(
            &envelope.request(protocol, nexthop, facts),
            recipients,
            recipient_limit,
        )
    }
}

impl Submission {
    /// A message that is delivered as this request says, to these recipients at their destinations; those of the request,
    /// its next hop, name and age are of no account. The text is empty, and to be set.
    ///
    /// # Errors
    /// A request that has no serialized form.
    pub fn of_request(
        request: &Request,
        recipients: Vec<Addressee>,
        recipient_limit: u32,
    ) -> Result<Self, SubmitError> {
        let envelope = envelope(request).map_err(|why| SubmitError::Envelope(why.to_string()))?;
        Ok(Self {
            kind: Kind::Mail,
            sender: match &request.sender {
                ReversePath::Null => String::new(),
                ReversePath::Mailbox(address) => address.as_str().to_owned(),
            },
            envelope,
            recipients,
            recipient_limit,
            text: Submitted::Text(Bytes::new()),
        })
    }
}

/// The serialized form of a request without what belongs to a task.
fn envelope(request: &Request) -> Result<String, serde_json::Error> {
    let mut form = serde_json::to_value(request)?;
    if let Some(form) = form.as_object_mut() {
        for field in ["id", "protocol", "nexthop", "recipients", "age"] {
            form.remove(field);
        }
    }
    serde_json::to_string(&form)
}

/// A reason for which a message does not get into the queue.
#[derive(Debug)]
#[non_exhaustive]
pub enum SubmitError {
    /// The envelope has no recipient.
    NoRecipient,
    /// There is no way to this recipient: the address has no domain that could be a next hop.
    NoDestination(String),
    /// The envelope cannot be kept.
    Envelope(String),
    /// The text cannot be read.
    Text(io::Error),
    /// The store does not take it.
    Store(StoreError),
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for SubmitError {
    fn from(error: io::Error) -> Self {
        Self::Text(error)
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipient => f.write_str("the envelope has no recipient"),
            Self::NoDestination(address) => write!(
                f,
                "recipient '{}': there is no domain to deliver to",
                address.escape_debug()
            ),
            Self::Envelope(why) => write!(f, "the envelope cannot be kept: {why}"),
            Self::Text(_) => f.write_str("the text cannot be read"),
            Self::Store(_) => f.write_str("the queue does not take the message"),
        }
    }
}

impl error::Error for SubmitError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Text(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::NoRecipient | Self::NoDestination(_) | Self::Envelope(_) => None,
        }
    }
}
