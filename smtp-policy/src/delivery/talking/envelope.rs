//! From a request and what the server offers to the commands of a transaction
//! (`src/smtp/smtp_proto.c`, smtp_xfer and the command part of smtp_loop).

use smtp_proto::{
    address::ReversePath,
    command::{BodyType, MailFrom, RcptTo, Xforward, XforwardName},
    reply::Capabilities,
    session::{Stop, Transaction},
    time::Time,
};

use crate::{
    config::{Config, ProbeTarget},
    delivery::roll::Batch,
    request::{ClientInfo, ClientSource, Encoding, Recipient, Request, TlsWish},
};

/// Whether the text has to be converted to 7bit: the server does not take 8-bit
/// text, and the text is not known to be 7bit.
pub(super) fn needs_downgrade(request: &Request, config: &Config, offered: &Capabilities) -> bool {
    !config.content.disable_mime_output_conversion
        && !takes_eight_bit(offered)
        && request.encoding != Encoding::SevenBit
}

/// SMTPUTF8 implies 8BITMIME (RFC 6531 section 3.1), even where a server forgets
/// to say so.
fn takes_eight_bit(offered: &Capabilities) -> bool {
    offered.eight_bit_mime || offered.smtputf8
}

/// The transaction for the recipients that are left.
pub(super) fn transaction(
    request: &Request,
    config: &Config,
    offered: &Capabilities,
    recipients: &Batch,
    keep_until: Option<Time>,
) -> Transaction {
    let quote = config.content.quote_rfc821_envelope;
    let recipients = recipients
        .iter()
        .filter_map(|rcpt| request.recipients.get(rcpt.0))
        .map(|recipient| rcpt_to(request, recipient, quote, offered))
        .collect();
    let mut transaction = Transaction::new(mail_from(request, config, quote, offered), recipients);
    transaction.stop = match (request.probe, config.verdict.address_verify_target) {
        (false, _) => Stop::Never,
        (true, ProbeTarget::Rcpt) => Stop::AfterRcpt,
        (true, ProbeTarget::Data) => Stop::AtText,
    };
    transaction.keep_until = keep_until;
    if config.helo.send_xforward_command
        && let Some(client) = &request.client
    {
        use XforwardName::{Addr, Helo, Ident, Name, Port, Proto, Source};
        transaction.forward_name_addr = xforward(client, offered, &[Name, Addr, Port]);
        transaction.forward_proto_helo = xforward(client, offered, &[Proto, Helo, Ident, Source]);
    }
    transaction
}

fn mail_from(request: &Request, config: &Config, quote: bool, offered: &Capabilities) -> MailFrom {
    let mut mail = MailFrom::new(request.sender.clone());
    mail.quote = quote;
    if offered.size.is_some() && !needs_downgrade(request, config, offered) {
        mail.size = request.size;
    }
    if takes_eight_bit(offered) {
        mail.body = match request.encoding {
            Encoding::Unknown => None,
            Encoding::SevenBit => Some(BodyType::SevenBit),
            Encoding::EightBit => Some(BodyType::EightBitMime),
        };
    }
    if offered.dsn {
        mail.envid = request.envid.clone().map(String::from);
        mail.ret = request.ret;
    }
    mail.require_tls = offered.require_tls && request.tls == TlsWish::Required;
    mail.smtputf8 = offered.smtputf8 && request.smtputf8;
    mail
}

fn rcpt_to(
    request: &Request,
    recipient: &Recipient,
    quote: bool,
    offered: &Capabilities,
) -> RcptTo {
    let mut rcpt = RcptTo::new(recipient.address.clone());
    rcpt.quote = quote;
    if offered.dsn {
        rcpt.orcpt = recipient
            .orcpt
            .as_ref()
            .map(|orcpt| (orcpt.kind().to_owned(), orcpt.address().to_owned()))
            .or_else(|| original_recipient(request, recipient));
        rcpt.notify = recipient.notify;
    }
    rcpt
}

/// The original recipient as ORCPT names it, when the sender gave none.
fn original_recipient(request: &Request, recipient: &Recipient) -> Option<(String, String)> {
    let original = recipient.original.as_ref()?;
    let quoted = smtp_proto::address::quoted_822(original).into_owned();
    let utf8 = request.smtputf8 || request.header_utf8 || has_utf8_address(request);
    let kind = if utf8 && !quoted.is_ascii() {
        "utf-8"
    } else {
        "rfc822"
    };
    Some((kind.into(), quoted))
}

/// Returns whether the sender or a recipient needs UTF-8, which marks a message as one for
/// SMTPUTF8 even if nobody has asked for that (`src/cleanup/cleanup_addr.c`).
fn has_utf8_address(request: &Request) -> bool {
    let sender = match &request.sender {
        ReversePath::Null => None,
        ReversePath::Mailbox(address) => Some(address),
    };
    let recipients = request.recipients.iter();
    let addresses = recipients.map(|recipient| &recipient.address).chain(sender);
    addresses.into_iter().any(|address| !address.is_ascii())
}

/// One XFORWARD command with the attributes that are known and wanted; `None` if
/// there are none.
fn xforward(
    client: &ClientInfo,
    offered: &Capabilities,
    names: &[XforwardName],
) -> Option<Xforward> {
    let attributes: Vec<(XforwardName, String)> = names
        .iter()
        .filter(|name| offered.xforward.contains(**name))
        .filter_map(|name| xforward_value(client, *name).map(|value| (*name, value)))
        .collect();
    (!attributes.is_empty()).then_some(Xforward(attributes))
}

fn xforward_value(client: &ClientInfo, name: XforwardName) -> Option<String> {
    let (value, may_be_unknown) = match name {
        XforwardName::Name => (client.name.as_str(), true),
        XforwardName::Addr => (client.address.as_str(), true),
        XforwardName::Port => (client.port.as_str(), true),
        XforwardName::Proto => (client.proto.as_str(), true),
        XforwardName::Helo => (client.helo.as_str(), false),
        XforwardName::Ident => (client.ident.as_str(), false),
        XforwardName::Source => match client.source? {
            ClientSource::Local => ("LOCAL", false),
            ClientSource::Remote => ("REMOTE", false),
        },
    };
    let unknown = value.is_empty() || (may_be_unknown && value.eq_ignore_ascii_case("unknown"));
    (!unknown).then(|| value.to_owned())
}
