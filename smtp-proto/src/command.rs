//! Commands as checked values and their bytes on the wire, CRLF included. It
//! is not a general command builder: only what the client sends exists, and
//! nothing that holds a CR, LF or NUL can be built, so no value can start
//! a command of its own.
//!
//! Which extension allows which parameter is for the session to know; here
//! a given parameter is written.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::{Address, ReversePath};
use crate::dsn::{Notify, Ret, utf8_xtext, xforward_text, xtext};

/// Asks for leave to send the message text.
pub const DATA: &[u8] = b"DATA\r\n";
/// Gives up the transaction.
pub const RSET: &[u8] = b"RSET\r\n";
/// Ends the session.
pub const QUIT: &[u8] = b"QUIT\r\n";
/// Asks for a TLS handshake (RFC 3207).
pub const STARTTLS: &[u8] = b"STARTTLS\r\n";
/// The line that ends the message text; the text before it must end in CRLF.
pub const END_OF_DATA: &[u8] = b".\r\n";

/// The room in bytes that most commands need besides an address.
const TYPICAL: usize = 64;

/// The command that opens a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// SMTP with extensions.
    Ehlo,
    /// SMTP without extensions.
    Helo,
    /// LMTP (RFC 2033).
    Lhlo,
}

impl Verb {
    /// The verb as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Ehlo => "EHLO",
            Verb::Helo => "HELO",
            Verb::Lhlo => "LHLO",
        }
    }
}

/// The client's own name for EHLO, HELO and LHLO (`smtp_helo_name`): a domain or an address
/// literal. It is not empty and has no white space, CR, LF or NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HelloName(String);

/// Why a text is no [`HelloName`]: it is empty, or has white space or a control character in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloNameError;

impl HelloName {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<HelloName, HelloNameError> {
        let bad = |c: char| c.is_whitespace() || c.is_ascii_control();
        match text.is_empty() || text.contains(bad) {
            true => Err(HelloNameError),
            false => Ok(HelloName(String::from(text))),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for HelloName {
    type Err = HelloNameError;

    /// As [`HelloName::parse`].
    fn from_str(text: &str) -> Result<Self, HelloNameError> {
        HelloName::parse(text)
    }
}

impl fmt::Display for HelloNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name for EHLO is empty or has white space or control characters in it")
    }
}

impl core::error::Error for HelloNameError {}

/// Appends `EHLO name`, `HELO name` or `LHLO name`.
pub fn hello(verb: Verb, name: &HelloName, out: &mut Vec<u8>) {
    out.reserve(name.as_str().len() + TYPICAL);
    push(out, &[verb.as_str(), " ", name.as_str(), "\r\n"]);
}

/// What BODY declares of the message text (RFC 6152).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// No byte above 127.
    SevenBit,
    /// Bytes above 127 may occur.
    EightBitMime,
}

/// MAIL FROM with its parameters.
///
/// ```
/// use smtp_proto::{MailFrom, ReversePath};
///
/// let mut out = Vec::new();
/// let mut mail = MailFrom::new(ReversePath::Null);
/// mail.size = Some(95);
/// mail.encode(&mut out);
/// assert_eq!(out, b"MAIL FROM:<> SIZE=95\r\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// The sender.
    pub sender: ReversePath,
    /// Whether the local part is quoted where RFC 5321 wants it (`smtp_quote_rfc821_envelope`).
    /// One that could end the path is quoted in any case.
    pub quote: bool,
    /// `SIZE=`: the size of the message in bytes (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152).
    pub body: Option<BodyType>,
    /// `ENVID=`: the envelope identifier in plain text; it is encoded as xtext. Empty: not sent.
    pub envid: Option<String>,
    /// `RET=` (RFC 3461).
    pub ret: Option<Ret>,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
    /// `AUTH=<>`: the sender is not vouched for (RFC 4954).
    pub auth_null: bool,
}

impl MailFrom {
    /// MAIL FROM for `sender`, quoted as needed, without parameters.
    pub fn new(sender: ReversePath) -> MailFrom {
        MailFrom {
            sender,
            quote: true,
            size: None,
            body: None,
            envid: None,
            ret: None,
            smtputf8: false,
            require_tls: false,
            auth_null: false,
        }
    }

    /// Appends the command line. The order of the parameters is Postfix's (`smtp_loop`).
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.sender.as_str().len() + TYPICAL);
        out.extend_from_slice(b"MAIL FROM:<");
        if let ReversePath::Mailbox(address) = &self.sender {
            push_address(out, address, self.quote);
        }
        out.extend_from_slice(b">");
        if let Some(size) = self.size {
            out.extend_from_slice(b" SIZE=");
            push_number(out, size);
        }
        match self.body {
            Some(BodyType::SevenBit) => out.extend_from_slice(b" BODY=7BIT"),
            Some(BodyType::EightBitMime) => out.extend_from_slice(b" BODY=8BITMIME"),
            None => {}
        }
        if let Some(envid) = self.envid.as_deref().filter(|envid| !envid.is_empty()) {
            push(out, &[" ENVID=", &xtext(envid)]);
        }
        if let Some(ret) = self.ret {
            push(out, &[" RET=", ret.as_str()]);
        }
        if self.smtputf8 {
            out.extend_from_slice(b" SMTPUTF8");
        }
        if self.require_tls {
            out.extend_from_slice(b" REQUIRETLS");
        }
        if self.auth_null {
            out.extend_from_slice(b" AUTH=<>");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// RCPT TO with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcptTo {
    /// The recipient.
    pub recipient: Address,
    /// Whether the local part is quoted where RFC 5321 wants it (`smtp_quote_rfc821_envelope`).
    /// One that could end the path is quoted in any case.
    pub quote: bool,
    /// `ORCPT=`: address type and original address in plain text (for `rfc822` in quoted form).
    /// The type `utf-8` is encoded as utf-8-addr-xtext, any other as xtext.
    pub orcpt: Option<(String, String)>,
    /// `NOTIFY=`; not sent if no wish was given.
    pub notify: Notify,
}

impl RcptTo {
    /// RCPT TO for `recipient`, quoted as needed, without parameters.
    pub fn new(recipient: Address) -> RcptTo {
        RcptTo {
            recipient,
            quote: true,
            orcpt: None,
            notify: Notify::NONE,
        }
    }

    /// Appends the command line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.recipient.as_str().len() + TYPICAL);
        out.extend_from_slice(b"RCPT TO:<");
        push_address(out, &self.recipient, self.quote);
        out.extend_from_slice(b">");
        if let Some((kind, address)) = &self.orcpt {
            let encode = match kind.eq_ignore_ascii_case("utf-8") {
                true => utf8_xtext,
                false => xtext,
            };
            push(out, &[" ORCPT=", &encode(kind), ";", &encode(address)]);
        }
        if !self.notify.is_none() {
            push(out, &[" NOTIFY=", &alloc::format!("{}", self.notify)]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// An attribute of the XFORWARD command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XforwardName {
    /// Name of the original client.
    Name,
    /// Its address.
    Addr,
    /// Its port.
    Port,
    /// The protocol it spoke.
    Proto,
    /// The name it gave in HELO or EHLO.
    Helo,
    /// The queue identifier of the first hop.
    Ident,
    /// `LOCAL` or `REMOTE`: where the message came from.
    Source,
}

impl XforwardName {
    /// All attributes, in the order in which they are sent.
    pub const ALL: [XforwardName; 7] = [
        XforwardName::Name,
        XforwardName::Addr,
        XforwardName::Port,
        XforwardName::Proto,
        XforwardName::Helo,
        XforwardName::Ident,
        XforwardName::Source,
    ];

    /// The name as it is announced and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            XforwardName::Name => "NAME",
            XforwardName::Addr => "ADDR",
            XforwardName::Port => "PORT",
            XforwardName::Proto => "PROTO",
            XforwardName::Helo => "HELO",
            XforwardName::Ident => "IDENT",
            XforwardName::Source => "SOURCE",
        }
    }
}

/// One XFORWARD command: attributes and their values in plain text, in the order of sending.
///
/// Postfix sends up to two: NAME, ADDR, PORT in the first, the others in the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xforward(pub Vec<(XforwardName, String)>);

impl Xforward {
    /// Appends the command line; values are encoded as xtext. Without attributes nothing is written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        out.extend_from_slice(b"XFORWARD");
        for (name, value) in &self.0 {
            push(out, &[" ", name.as_str(), "=", &xforward_text(value)]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends a number in decimal.
fn push_number(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.get_mut(start..).unwrap_or_default().reverse();
}

fn push_address(out: &mut Vec<u8>, address: &Address, quote: bool) {
    match quote {
        true => push(out, &[&address.quoted_821()]),
        false => push(out, &[&address.bare_821()]),
    }
}
