//! A delivery status notification as a message of the queue.

use core::time::Duration;

use bytes::Bytes;
use smtp_policy::{
    report::{DsnContext, DsnKind, Outcome, Report, Status, dsn_message},
    request::{Encoding, Recipient, Request, TlsWish},
};
use smtp_proto::{Address, EnhancedStatus, ReversePath, dsn::Ret};

use super::{Context, date, original::Returned};
use crate::{
    model::{DestinationName, Kind, Message, QueuedRecipient, Timestamp},
    operation::{Addressee, Submission, Submitted},
    rules::Schedule,
    store::StoreError,
};

/// A message of which its sender is to hear.
pub(crate) struct Letter<'a> {
    context: &'a Context,
    message: &'a Message,
    sender: Address,
    destination: DestinationName,
    request: Request,
    /// The parts that could not be read, and why.
    pub(crate) damage: Vec<String>,
}

impl<'a> Letter<'a> {
    /// The letter to the sender of a message.
    ///
    /// # Errors
    /// Its sender is no address, or its destination none.
    pub(crate) fn new(
        context: &'a Context,
        message: &'a Message,
        about: &QueuedRecipient,
    ) -> Result<Self, StoreError> {
        let id = message.id;
        let damaged = |what: &str, why: &dyn core::fmt::Display| {
            StoreError::Damaged(format!("messages, {id}, {what}: {why}"))
        };
        let sender = Address::parse(&message.sender).map_err(|why| damaged("sender", &why))?;
        let destination = (context.route)(&sender);
        let mut damage = Vec::new();
        let read =
            |message: &Message| message.request(&destination, &[&about.recipient], Duration::ZERO);
        let mut request = match read(message) {
            Ok(request) => request,
            Err(why) => {
                damage.push(format!("envelope: {why}"));
                let bare = Message {
                    envelope: "{}".to_owned(),
                    ..message.clone()
                };
                read(&bare).map_err(|why| damaged("envelope", &why))?
            }
        };
        request.sender = ReversePath::Mailbox(sender.clone());
        Ok(Self {
            context,
            message,
            sender,
            destination,
            request,
            damage,
        })
    }

    /// Returns whether a report of this kind returns the whole message, if it is not too large: failures do, unless RET=HDRS
    /// or REQUIRETLS (RFC 8689 section 5) is against it.
    pub(crate) fn wants_whole(&self, kind: DsnKind) -> bool {
        kind == DsnKind::Failure
            && self.request.ret != Some(Ret::Hdrs)
            && self.request.tls != TlsWish::Required
    }

    /// The report of this kind on recipients; `None` if it would be about nobody.
    pub(crate) fn write(
        &mut self,
        kind: DsnKind,
        recipients: &[&QueuedRecipient],
        returned: &Returned,
        schedule: &Schedule,
        now: Timestamp,
    ) -> Option<Submission> {
        let first = recipients.first()?;
        let verdicts = recipients.iter().map(|one| self.verdict(one)).collect();
        let report = Report::new(verdicts);
        let (message, context) = (self.message, self.context);
        let name = format!("{}.{}.{}", message.id, letter(kind), first.number);
        // Rust 1.88 does not keep for longer what is made within `Some`.
        let (arrival, expiry) = (
            date(message.arrived),
            date(schedule.expires(false, message.arrived)),
        );
        let context = DsnContext {
            reporting_mta: &context.myhostname,
            from: &context.from,
            mail_name: &context.mail_name,
            date: &date(now),
            arrival_date: Some(&arrival),
            last_attempt_date: None,
            retry_until: Some(&expiry),
            message_id: &format!("{}.{name}@{}", now.micros(), context.myhostname),
            boundary: &format!("{name}.{}", now.micros()),
        };
        let original = returned.as_original();
        let mail = dsn_message(kind, &self.request, &report, &context, original)?;
        let addressee = Addressee {
            recipient: Recipient::new(mail.recipient),
            destination: self.destination.clone(),
        };
        Some(submission(
            mail.text.into(),
            mail.smtputf8,
            self.request.tls,
            addressee,
        ))
    }

    fn verdict(&mut self, one: &QueuedRecipient) -> (Recipient, Outcome) {
        let outcome = one.outcome().unwrap_or_else(|why| {
            let number = one.number;
            self.damage
                .push(format!("verdict of recipient {number}: {why}"));
            None
        });
        let mut outcome = outcome.unwrap_or_else(|| unknown(one.owed));
        outcome.uncertain |= one.doubtful;
        (one.recipient.clone(), outcome)
    }

    /// The sender, who gets the report.
    pub(crate) fn into_sender(self) -> Address {
        self.sender
    }
}

fn letter(kind: DsnKind) -> char {
    match kind {
        DsnKind::Failure => 'F',
        DsnKind::Delay => 'D',
        DsnKind::Success => 'S',
    }
}

/// The verdict where what was kept cannot be read.
fn unknown(owed: Option<DsnKind>) -> Outcome {
    let (status, class) = match owed {
        Some(DsnKind::Success) => (Status::Sent, 2),
        Some(DsnKind::Delay) => (Status::Deferred, 4),
        Some(DsnKind::Failure) | None => (Status::Bounced, 5),
    };
    let text = "the reason is not known any more";
    Outcome::new(status, EnhancedStatus::new(class, 0, 0), text)
}

/// A report as a message of the null sender. A wish that TLS be waived goes along; a demand for it does not, so that the sender
/// hears at all (RFC 8689 section 5).
pub(super) fn submission(
    text: Bytes,
    smtputf8: bool,
    tls: TlsWish,
    addressee: Addressee,
) -> Submission {
    Submission {
        kind: Kind::Report,
        sender: String::new(),
        envelope: envelope(&text, smtputf8, tls),
        recipients: vec![addressee],
        recipient_limit: 0,
        text: Submitted::Text(text),
    }
}

/// The envelope of a text that was made here.
fn envelope(text: &[u8], smtputf8: bool, tls: TlsWish) -> String {
    let header = text.windows(2).position(|pair| pair == b"\n\n");
    let header = text.get(..header.unwrap_or(text.len())).unwrap_or(text);
    let encoding = match text.is_ascii() {
        true => Encoding::SevenBit,
        false => Encoding::EightBit,
    };
    let mut form = serde_json::json!({
        "sender": "",
        "encoding": if encoding == Encoding::SevenBit { "7bit" } else { "8bit" },
        "size": text.len(),
    });
    let flags = [
        ("smtputf8", smtputf8),
        ("header_utf8", !header.is_ascii()),
        ("waive_tls", tls == TlsWish::Waived),
    ];
    for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        if let Some(form) = form.as_object_mut() {
            form.insert(name.to_owned(), true.into());
        }
    }
    form.to_string()
}
