//! What is to be delivered: one message, one next hop, its recipients.
//!
//! A [`Request`] is a plain value, not a queue file: it holds everything that
//! the queue manager tells smtp(8) about one delivery except the message text,
//! which the engine asks for piece by piece
//! ([`Ask::Text`](crate::delivery::Ask::Text)).
//!
//! ```
//! use smtp_policy::{Protocol, request::{Recipient, Request}};
//! use smtp_proto::{address::{Address, ReversePath}};
//!
//! let request = Request::new(
//!     Protocol::Smtp,
//!     "example.com".parse()?,
//!     ReversePath::parse("sender@example.org")?,
//!     vec![Recipient::new(Address::parse("user@example.com")?)],
//! );
//! assert_eq!(request.recipients.len(), 1);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Its texts are types of their own that no line end and no other control character fits
//! into: whoever sends a message has a say in some of them.

mod survey;
mod text;

use core::time::Duration;

use smtp_proto::{
    address::{Address, ReversePath},
    dsn::{Notify, Ret},
};

pub use self::survey::Survey;
pub use self::text::{
    ClientValue, EnvelopeId, Nexthop, Orcpt, OriginalRecipient, QueueId, ServiceName, TextError,
};
use crate::{Protocol, line_ends::StrayCr};

/// The position of a recipient in [`Request::recipients`], counted from zero.
pub type RcptIndex = usize;

/// One message for one next hop (Postfix: the delivery request of
/// `src/global/deliver_request.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The name of the message in log lines (Postfix's queue id). May be empty.
    pub id: QueueId,
    /// Which of the two clients delivers, and so which parameters apply.
    pub protocol: Protocol,
    /// The destination.
    pub nexthop: Nexthop,
    /// The envelope sender.
    pub sender: ReversePath,
    /// The recipients in the order in which they are sent and reported.
    pub recipients: Vec<Recipient>,
    /// The DSN envelope identifier, decoded (RFC 3461 section 4.4).
    pub envid: Option<EnvelopeId>,
    /// How much of the message a failure report returns (RFC 3461 section 4.3).
    pub ret: Option<Ret>,
    /// Whether the sender asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether a header of the message holds a byte above 127. Together with
    /// `smtputf8` it makes the server's SMTPUTF8 support a requirement.
    pub header_utf8: bool,
    /// What is known about the bytes of the message text.
    pub encoding: Encoding,
    /// The fate of a CR in the message text that no LF follows. With
    /// [`StrayCr::Pass`] every CR is data, also one before LF, as smtp(8) takes the
    /// text from a queue whose cleanup(8) has seen it; otherwise CR LF ends a line too.
    pub stray_cr: StrayCr,
    /// The message size in bytes for `SIZE=` and for the check against the
    /// server's limit; `None` leaves both out.
    pub size: Option<u64>,
    /// Where the message came from, for XFORWARD.
    pub client: Option<ClientInfo>,
    /// The `flags=` attribute of the transport in master.cf.
    pub flags: DeliveryFlags,
    /// The service of master.cf that delivers, which verdicts of the delivery itself name; `None`
    /// outside of a mail system. With it, mail for `best_mx_transport` is left to whoever delivers
    /// ([`Outcome::pass_to`](crate::report::Outcome::pass_to)).
    pub service: Option<ServiceName>,
    /// An address verification probe instead of a delivery: the dialogue stops
    /// at `smtp_address_verify_target`.
    pub probe: bool,
    /// No delivery but a look at the servers. There are no recipients then.
    pub survey: Option<Survey>,
    /// The queue manager's hints for on-demand connection caching.
    pub cache: CacheHints,
    /// What the sender says about TLS on the way.
    pub tls: TlsWish,
    /// How long the message had been queued before this attempt; zero for
    /// fresh mail.
    pub age: Duration,
}

impl Request {
    /// A request with the given envelope; everything else is absent or off.
    pub fn new(
        protocol: Protocol,
        nexthop: Nexthop,
        sender: ReversePath,
        recipients: Vec<Recipient>,
    ) -> Self {
        Self {
            id: QueueId::default(),
            protocol,
            nexthop,
            sender,
            recipients,
            envid: None,
            ret: None,
            smtputf8: false,
            header_utf8: false,
            encoding: Encoding::Unknown,
            stray_cr: StrayCr::default(),
            size: None,
            client: None,
            flags: DeliveryFlags::default(),
            service: None,
            probe: false,
            survey: None,
            cache: CacheHints::default(),
            tls: TlsWish::default(),
            age: Duration::ZERO,
        }
    }

    /// A look at the servers that a message for this next hop would meet, as the null
    /// sender. See [`survey`](crate::survey).
    pub fn survey(protocol: Protocol, nexthop: Nexthop, survey: Survey) -> Self {
        Self {
            survey: Some(survey),
            ..Self::new(protocol, nexthop, ReversePath::Null, Vec::new())
        }
    }

    /// The service that delivers; that of the client's name if nothing was said.
    pub(crate) fn service_name(&self) -> ServiceName {
        let service = self.service.clone();
        service.unwrap_or_else(|| self.protocol.into())
    }

    /// The request in parts of at most `limit` recipients
    /// (`transport_destination_recipient_limit`), in their order; zero is no limit.
    /// All else is the same in each part.
    pub fn split(mut self, limit: u32) -> Vec<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit == 0 || self.recipients.len() <= limit {
            return vec![self];
        }
        let recipients = core::mem::take(&mut self.recipients);
        let part = |recipients: &[Recipient]| Self {
            recipients: recipients.to_vec(),
            ..self.clone()
        };
        recipients.chunks(limit).map(part).collect()
    }

    /// Whether the message cannot do without a server that offers SMTPUTF8:
    /// the sender asked for it, and a header or an address is not ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        let sender_utf8 = match &self.sender {
            ReversePath::Null => false,
            ReversePath::Mailbox(address) => !address.is_ascii(),
        };
        self.smtputf8
            && (self.header_utf8
                || sender_utf8
                || self.recipients.iter().any(|r| !r.address.is_ascii()))
    }
}

/// One recipient of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The address that goes into `RCPT TO`.
    pub address: Address,
    /// The address before aliasing and rewriting, when known.
    pub original: Option<OriginalRecipient>,
    /// The original recipient that the sender gave (RFC 3461 section 4.2).
    pub orcpt: Option<Orcpt>,
    /// Which reports the sender wants.
    pub notify: Notify,
}

impl Recipient {
    /// A recipient without any delivery status notification data.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            original: None,
            orcpt: None,
            notify: Notify::default(),
        }
    }
}

impl From<Address> for Recipient {
    fn from(address: Address) -> Self {
        Self::new(address)
    }
}

/// What the sender of a message says about TLS (RFC 8689).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsWish {
    /// Nothing: what is configured decides.
    #[default]
    Unsaid,
    /// `REQUIRETLS` in MAIL FROM: only a server that is verified and offers REQUIRETLS
    /// itself may have the message, unless the [policy](crate::tls::RequireTlsPolicy) for its destination demands less. If
    /// there is none, it bounces.
    Required,
    /// `TLS-Required: No` in the header, for which whoever makes the request looks: what the domain of the recipient publishes,
    /// TLSA records and MTA-STS, does not keep the message back. What is configured
    /// here does.
    Waived,
}

/// What the queue says about the message text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing: no BODY parameter is sent, and conversion to 7bit is possible.
    #[default]
    Unknown,
    /// Seven-bit text.
    SevenBit,
    /// Text with bytes above 127.
    EightBit,
}

/// The origin of a message, as XFORWARD passes it on. Empty texts are unknown
/// values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// Host name of the client that handed the message in.
    pub name: ClientValue,
    /// Its address.
    pub address: ClientValue,
    /// Its TCP port.
    pub port: ClientValue,
    /// The protocol it spoke: `SMTP`, `ESMTP`, ….
    pub proto: ClientValue,
    /// The name it gave in HELO or EHLO.
    pub helo: ClientValue,
    /// The message's queue id at the first hop.
    pub ident: ClientValue,
    /// The rewriting context, if that is known.
    pub source: Option<ClientSource>,
}

/// The rewriting context of a message: how its addresses were completed at the first hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSource {
    /// It came from a client that belongs to the house.
    Local,
    /// It came from anybody else.
    Remote,
}

/// The letters of `flags=` in master.cf that this client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFlags {
    /// `D`: prepend Delivered-To, and refuse a recipient that stands in one already.
    pub delivered_to: bool,
    /// `O`: prepend X-Original-To.
    pub original_to: bool,
    /// `R`: prepend Return-Path.
    pub return_path: bool,
    /// `X`: LMTP delivery is final, so success is reported as `delivered`.
    pub final_delivery: bool,
}

/// What the queue manager says about connection reuse for this request
/// (`smtp_connection_cache_on_demand`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheHints {
    /// A kept connection may be taken.
    pub load: bool,
    /// The connection may be kept afterwards.
    pub store: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_split_in_the_order_of_its_recipients() {
        let to = |n: u32| Recipient::new(Address::parse(&format!("u{n}@x")).unwrap());
        let parts = |count: u32, limit| -> Vec<String> {
            let sender = ReversePath::parse("from@x").unwrap();
            let recipients = (0..count).map(to).collect();
            let request = Request::new(Protocol::Smtp, "hop".parse().unwrap(), sender, recipients);
            let names = |part: Request| {
                assert_eq!(part.nexthop, "hop");
                part.recipients.iter().map(|r| r.address.as_str()).collect()
            };
            request.split(limit).into_iter().map(names).collect()
        };
        assert_eq!(parts(5, 2), ["u0@xu1@x", "u2@xu3@x", "u4@x"]);
        assert_eq!(parts(4, 2), ["u0@xu1@x", "u2@xu3@x"]);
        assert_eq!(parts(2, 2), ["u0@xu1@x"]);
        assert_eq!(parts(3, 0), ["u0@xu1@xu2@x"]);
        assert_eq!(parts(0, 2), [""]);
    }
}
