//! The way from a request of the queue manager to one of [`smtp_policy`], and what cannot
//! go it.

use core::fmt;

use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    request::{
        self as policy, ClientInfo, ClientSource, ClientValue, DeliveryFlags, Encoding, TextError,
    },
};
use smtp_proto::{
    Address, ReversePath,
    address::AddressError,
    dsn::{Notify, Ret},
};

use super::{ClientAttributes, Recipient, RequestHead, SendFlags};
use crate::attr::Value;

/// The reason for which a request cannot be served, or not for one recipient.
///
/// A request is then answered with [`FinalReply::deferred`](super::FinalReply::deferred), with
/// the `Display` as a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unservable {
    /// The destination is empty, for which smtp(8) ends with a fatal error.
    EmptyNexthop,
    /// A value is not UTF-8.
    NotText {
        /// The name of the attribute.
        name: &'static str,
        /// The value.
        value: Value,
    },
    /// A value breaks the rule for its text.
    Text {
        /// The name of the attribute.
        name: &'static str,
        /// The rule.
        error: TextError,
    },
    /// A value is no address.
    Address {
        /// The name of the attribute.
        name: &'static str,
        /// The reason.
        error: AddressError,
    },
    /// `ret_flags` is neither 0, 1 nor 2.
    Ret(i32),
    /// `offset` can be that of no text.
    Offset(i64),
}

impl RequestHead {
    /// The request for these recipients, who come from
    /// [`Recipient::to_policy`]. The text is that of a queue file: its CR are data. Its age
    /// counts up to [`stamp`](Self::stamp).
    ///
    /// # Errors
    /// Something in it cannot be understood.
    pub fn to_policy(
        &self,
        protocol: Protocol,
        flags: DeliveryFlags,
        recipients: Vec<policy::Recipient>,
    ) -> Result<policy::Request, Unservable> {
        if self.nexthop.is_empty() {
            return Err(Unservable::EmptyNexthop);
        }
        let nexthop = text("nexthop", &self.nexthop)?;
        let sender = ReversePath::parse(utf8("sender", &self.sender)?);
        let sender = sender.map_err(|error| Unservable::Address {
            name: "sender",
            error,
        })?;
        let options = self.options.bits;
        let mut request = policy::Request::new(protocol, nexthop, sender, recipients);
        request.id = text("queue_id", &self.queue_id)?;
        request.envid = optional("envelope_id", &self.envelope_id)?;
        request.ret = match self.ret_flags {
            0 => None,
            1 => Some(Ret::Full),
            2 => Some(Ret::Hdrs),
            other => return Err(Unservable::Ret(other)),
        };
        request.smtputf8 = options.contains(SendFlags::UTF8_REQUESTED);
        request.header_utf8 = options.contains(SendFlags::UTF8_HEADER);
        request.encoding = match self.encoding.as_bytes() {
            b"8bit" => Encoding::EightBit,
            b"7bit" => Encoding::SevenBit,
            _ => Encoding::Unknown,
        };
        request.stray_cr = StrayCr::Pass;
        request.size = u64::try_from(self.size).ok();
        request.client = Some(self.client_info()?);
        request.flags = flags;
        request.probe = self.flags.is_probe();
        request.cache = self.flags.cache_hints();
        request.tls = options.tls_wish();
        request.age = self.stats.age();
        Ok(request)
    }

    /// The offset in the queue file of the first record of the text.
    ///
    /// # Errors
    /// No text can begin there.
    pub fn text_offset(&self) -> Result<u64, Unservable> {
        match u64::try_from(self.offset) {
            Ok(offset @ 1..) => Ok(offset),
            _ => Err(Unservable::Offset(self.offset)),
        }
    }

    fn client_info(&self) -> Result<ClientInfo, Unservable> {
        let ClientAttributes {
            name,
            address,
            port,
            protocol,
            helo,
        } = &self.client;
        let value = |name, value| text::<ClientValue>(name, value);
        Ok(ClientInfo {
            name: value("log_client_name", name)?,
            address: value("log_client_address", address)?,
            port: value("log_client_port", port)?,
            proto: value("log_protocol_name", protocol)?,
            helo: value("log_helo_name", helo)?,
            ident: value("log_ident", &self.log_ident)?,
            source: match self.rewrite_context.as_bytes() {
                b"" => None,
                b"local" => Some(ClientSource::Local),
                _ => Some(ClientSource::Remote),
            },
        })
    }
}

impl Recipient {
    /// The recipient as a delivery takes it.
    ///
    /// # Errors
    /// Its address, or what the sender gave for reports, is none.
    pub fn to_policy(&self) -> Result<policy::Recipient, Unservable> {
        let address = Address::parse(utf8("recipient", &self.address)?);
        let address = address.map_err(|error| Unservable::Address {
            name: "recipient",
            error,
        })?;
        let mut recipient = policy::Recipient::new(address);
        recipient.original = optional("original_recipient", &self.original)?;
        recipient.orcpt = optional("dsn_orig_rcpt", &self.dsn_original)?;
        recipient.notify = Notify::from(self.notify);
        Ok(recipient)
    }
}

fn utf8<'a>(name: &'static str, value: &'a Value) -> Result<&'a str, Unservable> {
    let not_text = || Unservable::NotText {
        name,
        value: value.clone(),
    };
    value.to_str().ok_or_else(not_text)
}

fn text<T: core::str::FromStr<Err = TextError>>(
    name: &'static str,
    value: &Value,
) -> Result<T, Unservable> {
    let text = utf8(name, value)?;
    text.parse()
        .map_err(|error| Unservable::Text { name, error })
}

/// A text, or `None` where there is nothing.
fn optional<T: core::str::FromStr<Err = TextError>>(
    name: &'static str,
    value: &Value,
) -> Result<Option<T>, Unservable> {
    match value.is_empty() {
        true => Ok(None),
        false => text(name, value).map(Some),
    }
}

impl fmt::Display for Unservable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyNexthop => f.write_str("empty nexthop hostname"),
            Self::NotText { name, value } => {
                write!(
                    f,
                    "attribute {name} of the delivery request is not UTF-8: {value:.100}"
                )
            }
            Self::Text { name, error } => {
                write!(f, "attribute {name} of the delivery request: {error}")
            }
            Self::Address { name, error } => {
                write!(f, "attribute {name} of the delivery request: {error}")
            }
            Self::Ret(flags) => {
                write!(f, "attribute ret_flags of the delivery request is {flags}")
            }
            Self::Offset(offset) => {
                write!(f, "attribute offset of the delivery request is {offset}")
            }
        }
    }
}

impl core::error::Error for Unservable {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Text { error, .. } => Some(error),
            Self::Address { error, .. } => Some(error),
            _ => None,
        }
    }
}
