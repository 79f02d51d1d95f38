//! A delivery status notification as mail: a multipart/report message (RFC 3462,
//! RFC 3464; RFC 6533 where addresses are not ASCII) made of a
//! [`Report`], the request and the original message. In Postfix this is the work
//! of bounce(8), not of its client; nothing here is sent, and no clock is read.
//!
//! ```
//! use smtp_policy::report::{DsnContext, DsnKind, Original, dsn_message};
//! # use smtp_policy::{Protocol, report::Report, request::Request};
//! # use smtp_proto::address::ReversePath;
//! # let sender = ReversePath::parse("sender@example.org")?;
//! # let request = Request::new(Protocol::Smtp, "example.com".parse()?, sender, vec![]);
//! # let report = Report::new(vec![]);
//! let context = DsnContext {
//!     reporting_mta: "client.example",
//!     from: "MAILER-DAEMON@client.example",
//!     mail_name: "Outpost",
//!     date: "Mon, 1 Jan 2024 00:00:00 +0000",
//!     arrival_date: None,
//!     last_attempt_date: None,
//!     retry_until: None,
//!     message_id: "20240101.1@client.example",
//!     boundary: "4fzyo82",
//! };
//! let original = Original::Message(b"Subject: hello\n\nHow do you do?\n");
//! match dsn_message(DsnKind::Failure, &request, &report, &context, original) {
//!     Some(mail) => println!("MAIL FROM:<> RCPT TO:<{}>", mail.recipient.quoted_821()),
//!     None => println!("nobody failed, or nobody wants to know"),
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use std::fmt::Write;

use smtp_proto::{
    address::{Address, ReversePath},
    dsn::{Notify, Ret},
};

use super::{Action, Outcome, Report, text::wrap};
use crate::{
    printable::printable,
    request::{Recipient, Request, TlsWish},
};

/// The columns of a line that is made here, and by how much a line that goes on is
/// indented.
const WIDTH: usize = 76;
const INDENT: usize = 4;
/// The most characters that are taken over from [`DsnContext::boundary`]: RFC 2046
/// section 5.1.1 allows 70 in all.
const BOUNDARY_LENGTH: usize = 48;
/// The longest Message-ID that is taken over.
const MESSAGE_ID_LENGTH: usize = 500;

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnKind {
    /// The recipients that were given up. They hear of it unless NOTIFY says
    /// otherwise.
    Failure,
    /// The recipients that will be tried again. Likewise; it is the caller's
    /// business not to send one after every attempt.
    Delay,
    /// The recipients that a server took, as far as NOTIFY asks for it and the
    /// server does not report success itself.
    Success,
}

/// What a notification says besides the verdicts.
#[derive(Clone, Copy, Debug)]
pub struct DsnContext<'a> {
    /// The name of this machine (`myhostname`).
    pub reporting_mta: &'a str,
    /// The address for the From header field, without angle brackets.
    pub from: &'a str,
    /// The name of the mail system (`mail_name`).
    pub mail_name: &'a str,
    /// The time of the notification (RFC 5322 section 3.3).
    pub date: &'a str,
    /// When the original message came, if known.
    pub arrival_date: Option<&'a str>,
    /// When the recipients were last tried, if known.
    pub last_attempt_date: Option<&'a str>,
    /// When the message will be given up, for [`DsnKind::Delay`], if known.
    pub retry_until: Option<&'a str>,
    /// The identifier of the notification, without angle brackets.
    pub message_id: &'a str,
    /// What the boundary between the parts is made of: letters and digits, different
    /// in each notification. It is changed if the original message contains it.
    pub boundary: &'a str,
}

/// The message that the notification is about, with lines that end in LF.
#[derive(Clone, Copy, Debug)]
pub enum Original<'a> {
    /// Nothing of it is returned.
    Absent,
    /// Its header is at hand.
    Header(&'a [u8]),
    /// The whole message is at hand. How much of it is returned depends on RET and
    /// on the kind of the notification.
    Message(&'a [u8]),
}

/// A notification that is ready to be sent, with the null reverse-path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnMessage {
    /// Who gets it: the sender of the original message.
    pub recipient: Address,
    /// Whether it needs SMTPUTF8 on its way.
    pub smtputf8: bool,
    /// The message, with lines that end in LF.
    pub text: Vec<u8>,
}

/// The notification of this kind that the sender is owed. `None` if there is no
/// sender, or no recipient that it would be about.
pub fn dsn_message(
    kind: DsnKind,
    request: &Request,
    report: &Report,
    context: &DsnContext<'_>,
    original: Original<'_>,
) -> Option<DsnMessage> {
    // RFC 3461 section 6.1: never about a message that came from nowhere.
    let ReversePath::Mailbox(sender) = &request.sender else {
        return None;
    };
    let concerned: Vec<(&Recipient, &Outcome)> = report
        .recipients
        .iter()
        .filter(|(recipient, outcome)| kind.concerns(recipient, outcome))
        .map(|(recipient, outcome)| (recipient, outcome))
        .collect();
    if concerned.is_empty() {
        return None;
    }
    let returned = Returned::of(kind, request, original);
    let writer = Writer {
        kind,
        request,
        context,
        sender,
        international: is_international(request, sender, &concerned),
        boundary: boundary(context.boundary, returned.bytes()),
        concerned,
    };
    Some(DsnMessage {
        recipient: sender.clone(),
        smtputf8: writer.international,
        text: writer.message(&returned),
    })
}

impl DsnKind {
    /// Whether a recipient belongs into a notification of this kind
    /// (RFC 3461 section 4.1).
    fn concerns(self, recipient: &Recipient, outcome: &Outcome) -> bool {
        let wished = |word| recipient.notify.is_none() || recipient.notify.contains(word);
        match (self, outcome.action) {
            (Self::Failure, Action::Failed) => wished(Notify::FAILURE),
            (Self::Delay, Action::Delayed) => wished(Notify::DELAY),
            (Self::Success, Action::Relayed | Action::Delivered) => {
                outcome.owes_success_report(recipient)
            }
            _ => false,
        }
    }

    /// The words for people about a recipient besides the verdict.
    fn notes(self, outcome: &Outcome) -> impl Iterator<Item = &'static str> {
        let given_up = self == Self::Failure && outcome.code.class() == 4;
        let uncertain = self != Self::Success && outcome.uncertain;
        let notes = [(given_up, TOO_OLD), (uncertain, UNCERTAIN)];
        notes
            .into_iter()
            .filter_map(|(holds, note)| holds.then_some(note))
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failure => "Undelivered Mail Returned to Sender",
            Self::Delay => "Delayed Mail (still being retried)",
            Self::Success => "Successful Mail Delivery Report",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Failure => {
                "Your message could not be delivered to the recipients below. It will not be\n\
                 tried again."
            }
            Self::Delay => {
                "Your message could not be delivered yet to the recipients below. It will be\n\
                 tried again; you need not send it once more."
            }
            Self::Success => {
                "Your message was delivered to the recipients below, or handed to a server\n\
                 that does not report any further."
            }
        }
    }
}

/// A sentence about a recipient that was given up although nobody refused it for good.
const TOO_OLD: &str = "It could not be delivered before the message became too old.";
/// A sentence about a recipient that may have the message.
const UNCERTAIN: &str = "It may have been delivered all the same: a server had all of\n    the message when the connection broke, before it answered.";

/// Whether the notification cannot be told in ASCII: an address is not.
fn is_international(
    request: &Request,
    sender: &Address,
    concerned: &[(&Recipient, &Outcome)],
) -> bool {
    let given = |recipient: &Recipient| {
        recipient
            .orcpt
            .as_ref()
            .is_some_and(|orcpt| !orcpt.address().is_ascii())
    };
    (request.smtputf8 && request.header_utf8)
        || !sender.is_ascii()
        || concerned
            .iter()
            .any(|(recipient, _)| !recipient.address.is_ascii() || given(recipient))
}

/// A boundary that does not occur in the text.
fn boundary(seed: &str, text: &[u8]) -> String {
    let seed: String = seed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(BOUNDARY_LENGTH)
        .collect();
    let mut number = 0_u64;
    loop {
        let boundary = format!("=_{seed}_{number}");
        let taken = memchr::memmem::find(text, boundary.as_bytes()).is_some();
        if !taken {
            return boundary;
        }
        number += 1;
    }
}

/// The part of the original message that goes back.
#[derive(Clone, Copy, Debug)]
enum Returned<'a> {
    Nothing,
    Header(&'a [u8]),
    Message(&'a [u8]),
}

impl<'a> Returned<'a> {
    /// RFC 3461 section 4.3: RET is about failures; otherwise the header is enough.
    fn of(kind: DsnKind, request: &Request, original: Original<'a>) -> Self {
        let whole = kind == DsnKind::Failure && request.ret != Some(Ret::Hdrs);
        match original {
            Original::Absent => Self::Nothing,
            Original::Message(text) if whole => Self::Message(text),
            Original::Message(text) | Original::Header(text) => Self::Header(header(text)),
        }
    }

    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Nothing => &[],
            Self::Header(text) | Self::Message(text) => text,
        }
    }
}

/// The header of a message: the lines before the first empty one.
fn header(text: &[u8]) -> &[u8] {
    if text.first() == Some(&b'\n') {
        return &[];
    }
    let end = memchr::memmem::find(text, b"\n\n").map_or(text.len(), |at| at + 1);
    text.get(..end).unwrap_or(text)
}

/// The Message-ID of a message, by which programs find it again, if it looks like one.
fn message_id(header: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"message-id:";
    let mut lines = header.split(|byte| *byte == b'\n');
    let named = |line: &&[u8]| {
        let name = line.get(..NAME.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    let line = lines.find(named)?;
    let mut value = line.get(NAME.len()..)?.trim_ascii();
    if value.is_empty() {
        // It was folded behind the name.
        value = lines
            .next()
            .filter(|line| line.starts_with(b" "))?
            .trim_ascii();
    }
    let value = core::str::from_utf8(value).ok()?;
    let is_whole =
        value.starts_with('<') && value.ends_with('>') && value.len() <= MESSAGE_ID_LENGTH;
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic());
    (is_whole && is_plain).then_some(value)
}

/// What all parts of one notification need to know.
struct Writer<'a> {
    kind: DsnKind,
    request: &'a Request,
    context: &'a DsnContext<'a>,
    sender: &'a Address,
    concerned: Vec<(&'a Recipient, &'a Outcome)>,
    international: bool,
    boundary: String,
}

impl Writer<'_> {
    fn message(&self, returned: &Returned<'_>) -> Vec<u8> {
        let mut text = self.header(returned);
        self.explain(&mut text);
        self.report(&mut text);
        let mut text = text.into_bytes();
        self.give_back(returned, &mut text);
        text.extend_from_slice(format!("\n--{}--\n", self.boundary).as_bytes());
        text
    }

    fn header(&self, returned: &Returned<'_>) -> String {
        let context = self.context;
        let mut text = String::new();
        let to = format!("<{}>", self.sender.quoted_822());
        let from = format!("Mail Delivery System <{}>", context.from);
        self.field(&mut text, "Date", context.date);
        self.field(&mut text, "From", &from);
        self.field(&mut text, "To", &to);
        self.field(&mut text, "Subject", self.kind.subject());
        self.field(
            &mut text,
            "Message-ID",
            &format!("<{}>", context.message_id),
        );
        if let Some(original) = message_id(header(returned.bytes())) {
            self.field(&mut text, "In-Reply-To", original);
            self.field(&mut text, "References", original);
        }
        if self.request.tls == TlsWish::Waived {
            // The report is not to be kept back for want of TLS either (`src/bounce/bounce_notify_util.c`).
            text.push_str("TLS-Required: No\n");
        }
        // RFC 3834 section 5.2: nobody is to answer this automatically.
        self.field(&mut text, "Auto-Submitted", "auto-replied");
        self.field(&mut text, "MIME-Version", "1.0");
        let _ = write!(
            text,
            "Content-Type: multipart/report; report-type=delivery-status;\n    boundary=\"{}\"\n",
            self.boundary
        );
        if self.international || !returned.bytes().is_ascii() {
            text.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        text.push_str("\nThis is a MIME-encapsulated message.\n");
        text
    }

    /// The part for people.
    fn explain(&self, text: &mut String) {
        let charset = if self.international {
            "utf-8"
        } else {
            "us-ascii"
        };
        self.begin_part(
            text,
            "Notification",
            &format!("text/plain; charset={charset}"),
        );
        let host = self.shown(self.context.reporting_mta);
        let name = self.shown(self.context.mail_name);
        let _ = write!(
            text,
            "This is the {name} mail system at host {host}.\n\n{}\n",
            self.kind.explanation()
        );
        for (recipient, outcome) in &self.concerned {
            let mut line = format!("<{}>", recipient.address.quoted_822());
            if let Some(before) = &recipient.original
                && !before.eq_ignore_ascii_case(recipient.address.as_str())
            {
                let _ = write!(line, " (expanded from <{before}>)");
            }
            let _ = write!(line, ": {}", outcome.text);
            text.push('\n');
            for piece in wrap(&self.shown(&line), WIDTH, INDENT) {
                let _ = writeln!(text, "{piece}");
            }
            for note in self.kind.notes(outcome) {
                let _ = writeln!(text, "{:INDENT$}{note}", "");
            }
        }
    }

    /// The part for programs (RFC 3464 section 2).
    fn report(&self, text: &mut String) {
        let kind = if self.international {
            "message/global-delivery-status"
        } else {
            "message/delivery-status"
        };
        self.begin_part(text, "Delivery report", kind);
        if let Some(envid) = &self.request.envid {
            self.field(text, "Original-Envelope-Id", envid);
        }
        let mta = format!("dns; {}", self.context.reporting_mta);
        self.field(text, "Reporting-MTA", &mta);
        if !self.request.id.is_empty() {
            self.field(text, "X-Outpost-Queue-ID", &self.request.id);
        }
        if let Some(date) = self.context.arrival_date {
            self.field(text, "Arrival-Date", date);
        }
        for (recipient, outcome) in &self.concerned {
            text.push('\n');
            self.report_recipient(text, recipient, outcome);
        }
    }

    fn report_recipient(&self, text: &mut String, recipient: &Recipient, outcome: &Outcome) {
        if let Some(orcpt) = &recipient.orcpt {
            let (kind, address) = (orcpt.kind(), orcpt.address());
            self.field(text, "Original-Recipient", &format!("{kind}; {address}"));
        }
        let address = recipient.address.quoted_822();
        // RFC 6533 section 3: other addresses have a type of their own.
        let kind = if address.is_ascii() {
            "rfc822"
        } else {
            "utf-8"
        };
        self.field(text, "Final-Recipient", &format!("{kind}; {address}"));
        self.field(text, "Action", outcome.action.as_str());
        self.field(text, "Status", &outcome.code.to_string());
        match &outcome.reply {
            Some(reply) => {
                if let Some(host) = outcome.relay.host().filter(|host| !host.is_empty()) {
                    self.field(text, "Remote-MTA", &format!("dns; {host}"));
                }
                let diagnostic = format!("smtp; {}", reply.one_line());
                self.field(text, "Diagnostic-Code", &diagnostic);
            }
            None => {
                self.field(
                    text,
                    "Diagnostic-Code",
                    &format!("X-Outpost; {}", outcome.text),
                );
            }
        }
        if let Some(date) = self.context.last_attempt_date {
            self.field(text, "Last-Attempt-Date", date);
        }
        if let (DsnKind::Delay, Some(date)) = (self.kind, self.context.retry_until) {
            self.field(text, "Will-Retry-Until", date);
        }
    }

    /// The original message, or its header.
    fn give_back(&self, returned: &Returned<'_>, text: &mut Vec<u8>) {
        let (description, kind) = match (returned, self.international) {
            (Returned::Nothing, _) => return,
            (Returned::Message(_), false) => ("Undelivered Message", "message/rfc822"),
            (Returned::Message(_), true) => ("Undelivered Message", "message/global"),
            (Returned::Header(_), false) => ("Message Headers", "text/rfc822-headers"),
            (Returned::Header(_), true) => ("Message Headers", "message/global-headers"),
        };
        let mut heading = String::new();
        let kind = match returned {
            Returned::Header(text) if !self.international && !text.is_ascii() => {
                format!("{kind}; charset=utf-8")
            }
            _ => kind.to_owned(),
        };
        self.open_part(&mut heading, description, &kind);
        if !returned.bytes().is_ascii() {
            heading.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        heading.push('\n');
        text.extend_from_slice(heading.as_bytes());
        text.extend_from_slice(returned.bytes());
    }

    fn begin_part(&self, text: &mut String, description: &str, kind: &str) {
        self.open_part(text, description, kind);
        if self.international {
            text.push_str("Content-Transfer-Encoding: 8bit\n");
        }
        text.push('\n');
    }

    fn open_part(&self, text: &mut String, description: &str, kind: &str) {
        let _ = writeln!(text, "\n--{}", self.boundary);
        self.field(text, "Content-Description", description);
        self.field(text, "Content-Type", kind);
    }

    /// A header field, folded where it is long.
    fn field(&self, text: &mut String, name: &str, value: &str) {
        let line = format!("{name}: {}", self.shown(value));
        for piece in wrap(&line, WIDTH, INDENT) {
            let _ = writeln!(text, "{piece}");
        }
    }

    /// The text without line ends, and in ASCII unless that would spoil an address.
    fn shown(&self, text: &str) -> String {
        let text = printable(text);
        if self.international {
            text.into_owned()
        } else {
            let show = |c: char| if c.is_ascii() { c } else { '?' };
            text.chars().map(show).collect()
        }
    }
}
