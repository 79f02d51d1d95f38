//! The decisions before any server is looked for: the addresses that the
//! servers will see, and whether the message was here before
//! (`src/smtp/smtp.c`, deliver_message; `src/smtp/smtp_misc.c`).

use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{
    address::{Address, ReversePath},
    session::Transaction,
    status::EnhancedStatus,
    time::Time,
};

use super::{
    Ask,
    choosing::{Choosing, count_destinations},
    context::Context,
    phase::{Next, Phase, Stop},
    roll::Batch,
    settle::Origin,
    wanted::Wanted,
};
use crate::{
    content::{
        AddressMapping, Fold, Generic, Lookup, LoopCheck, LoopState, STEPS_AT_ONCE, TraceAddresses,
        inserted_fields,
    },
    event::Event,
    report::{Scope, trouble::Reason},
    request::{OriginalRecipient, Request},
    tables::TableFailure,
};

/// The text that is asked for at a time to find the end of the header, in bytes.
const HEADER_ROOM: usize = 16 * 1024;

/// The envelope as the servers see it, where generic maps may have changed it.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) sender: ReversePath,
    pub(super) recipients: Vec<Address>,
    /// The original recipient, for X-Original-To.
    original: Option<OriginalRecipient>,
}

/// The beginning of a delivery.
#[derive(Debug)]
pub(super) struct Start;

/// The phase in which a delivery is prepared.
#[derive(Debug)]
pub(super) struct Preparing {
    /// The addresses to be mapped: the sender, the original recipient, the recipients.
    addresses: Vec<String>,
    /// The mapped addresses, in the same order.
    mapped: Vec<String>,
    mapping: Option<AddressMapping>,
    /// The steps of looking up since the driver looked at the clock.
    taken: u64,
    /// The question about a table that is out.
    question: Option<u32>,
    loop_check: Option<LoopCheck>,
    wanted: Wanted,
}

impl Start {
    /// Begins to prepare, if there is anything to prepare.
    pub(super) fn poll(self, cx: &mut Context) -> Next {
        if cx.is_survey() {
            return prepared(cx);
        }
        let flags = cx.request.flags;
        let several = cx.request.recipients.len() > 1;
        for (wanted, letter) in [(flags.delivered_to, 'D'), (flags.original_to, 'O')] {
            if wanted && several {
                cx.note(Event::FlagNeedsOneRecipient {
                    flag: letter,
                    service: cx.request.service_name(),
                });
                let status = EnhancedStatus::new(4, 3, 5);
                return reject(cx, status, "mail system configuration error");
            }
        }
        if cx.settings.content_rules.generic.is_none() && !flags.delivered_to {
            return prepared(cx);
        }
        Next::Go(Phase::Preparing(Box::new(Preparing {
            addresses: addresses(&cx.request),
            mapped: Vec::new(),
            mapping: None,
            taken: 0,
            question: None,
            loop_check: None,
            wanted: Wanted::Nothing,
        })))
    }
}

impl Preparing {
    /// Returns whether this is the ticket of the question that is out.
    pub(super) fn asked(&self, serial: u32) -> bool {
        self.question == Some(serial)
    }

    /// Returns whether text is asked for.
    pub(super) const fn wants_text(&self) -> bool {
        self.loop_check.is_some() && self.wanted.is_something()
    }

    /// The text that was asked for is not there yet.
    pub(super) const fn wait_for_text(&mut self, until: Time) {
        self.wanted.wait_until(until);
    }

    /// The answer to the question about a table.
    pub(super) fn looked_up(&mut self, value: Result<Option<String>, TableFailure>) {
        self.question = None;
        if let Some(mapping) = &mut self.mapping {
            mapping.answered(value);
        }
    }

    /// A piece of the text.
    pub(super) fn text(&mut self, chunk: Bytes) {
        self.wanted = Wanted::Nothing;
        if let Some(check) = &mut self.loop_check {
            check.push(chunk);
        }
    }

    /// Goes on preparing.
    pub(super) fn poll(mut self: Box<Self>, cx: &mut Context) -> Next {
        if self.question.is_some() {
            return Next::Await(self.into());
        }
        if let Some(address) = self.addresses.get(self.mapped.len()) {
            let rules = Arc::clone(&cx.settings.content_rules);
            return match &rules.generic {
                // Maps may take their time, whether or not they ask anybody.
                Some(_) if cx.is_overdue() => Next::Await(self.into()),
                Some(generic) => self.map_next(cx, generic),
                None => {
                    self.mapped.push(address.clone());
                    Next::Go(self.into())
                }
            };
        }
        let Some(check) = &self.loop_check else {
            return self.end_mapping(cx);
        };
        match check.state() {
            LoopState::Reading if self.wanted.is_overdue(cx) => {
                let why = Stop::Starved(cx.source_limit());
                cx.settle_left(why.reason().without_blame(), &Origin::default());
                Next::Go(Phase::Choosing(Choosing))
            }
            LoopState::Reading if self.wanted.waits() => {
                let until = self.wanted.until();
                Next::Ask(self.into(), Ask::Wait { until })
            }
            LoopState::Reading => {
                let (offset, room) = (check.offset(), HEADER_ROOM);
                self.wanted = Wanted::Piece;
                Next::Ask(self.into(), Ask::Text { offset, room })
            }
            LoopState::Clear => prepared(cx),
            LoopState::Loop => {
                let recipient = cx.request.recipients.first().map(|first| &first.address);
                let name = recipient.map_or("", Address::as_str);
                let text = format!("mail forwarding loop for {name}");
                reject(cx, EnhancedStatus::new(5, 4, 6), text)
            }
        }
    }

    fn map_next(mut self: Box<Self>, cx: &mut Context, generic: &Generic) -> Next {
        let address = self.addresses.get(self.mapped.len());
        let address = address.cloned().unwrap_or_default();
        let mapping = self
            .mapping
            .get_or_insert_with(|| AddressMapping::new(generic, &address));
        let mut warnings = Vec::new();
        let next = match mapping.step(generic, &mut warnings) {
            Lookup::Done(mapped) => {
                self.taken = self.taken.saturating_add(mapping.taken());
                self.mapping = None;
                self.mapped.push(mapped.unwrap_or(address));
                if self.taken < STEPS_AT_ONCE {
                    Next::Go(self.into())
                } else {
                    // The driver looks at the clock and comes again at once.
                    self.taken = 0;
                    Next::Ask(self.into(), Ask::Wait { until: cx.now })
                }
            }
            Lookup::Ask(query) => {
                let ticket = cx.ticket();
                self.question = Some(ticket.serial());
                Next::Ask(self.into(), Ask::LookUp(ticket, query))
            }
            Lookup::Failed(why) => {
                warnings.push(why.clone());
                fail(cx, why)
            }
        };
        for warning in warnings {
            let text = warning.into();
            cx.note(Event::ContentWarning { text });
        }
        next
    }

    /// All addresses are mapped: keeps them, and goes on to the loop check, if
    /// there is to be one.
    fn end_mapping(mut self: Box<Self>, cx: &mut Context) -> Next {
        self.addresses.clear();
        match envelope(&self.mapped) {
            Ok(envelope) => cx.envelope = Some(Box::new(envelope)),
            Err(why) => return fail(cx, why),
        }
        if !cx.request.flags.delivered_to {
            return prepared(cx);
        }
        let recipient = self.mapped.get(2).map_or("", String::as_str);
        let utf8 = cx.settings.content.smtputf8;
        let fold = if utf8 { Fold::Unicode } else { Fold::Ascii };
        self.loop_check = Some(LoopCheck::new(recipient, fold, cx.request.stray_cr));
        Next::Go(self.into())
    }
}

/// Everything is prepared.
fn prepared(cx: &mut Context) -> Next {
    count_destinations(cx);
    Next::Go(Phase::Choosing(Choosing))
}

/// A table cannot say what the servers are to see. Postfix ends the process
/// here, and the message is tried again later.
fn fail(cx: &mut Context, why: String) -> Next {
    let reason = Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Message, why);
    cx.settle_left(reason, &Origin::default());
    Next::Go(Phase::Choosing(Choosing))
}

/// Nothing is delivered: the verdict for all recipients. It has the name of
/// the service instead of a server's.
fn reject(cx: &mut Context, status: EnhancedStatus, text: impl Into<String>) -> Next {
    cx.settle_by_service(&Reason::local(status, Scope::Message, text));
    Next::Go(Phase::Choosing(Choosing))
}

/// Puts the addresses into a transaction as the servers are to see them.
pub(super) fn readdress(cx: &Context, transaction: &mut Transaction, recipients: &Batch) {
    let Some(envelope) = &cx.envelope else {
        // They are as in the request.
        return;
    };
    transaction.mail.sender = envelope.sender.clone();
    for (rcpt, index) in transaction.recipients.iter_mut().zip(recipients.iter()) {
        if let Some(address) = envelope.recipients.get(index.0) {
            rcpt.recipient = address.clone();
        }
    }
}

/// The header fields that go before the text.
pub(super) fn fields_to_insert(cx: &Context) -> Vec<Bytes> {
    let flags = cx.request.flags;
    if !(flags.return_path || flags.original_to || flags.delivered_to) {
        return Vec::new();
    }
    let addresses = match &cx.envelope {
        Some(envelope) => TraceAddresses {
            sender: envelope.sender.clone(),
            original: envelope.original.clone(),
            recipient: envelope.recipients.first().cloned(),
        },
        None => TraceAddresses {
            sender: cx.request.sender.clone(),
            original: original(&cx.request).cloned(),
            recipient: first_recipient(&cx.request).cloned(),
        },
    };
    inserted_fields(flags, &addresses)
}

fn first_recipient(request: &Request) -> Option<&Address> {
    request.recipients.first().map(|first| &first.address)
}

fn original(request: &Request) -> Option<&OriginalRecipient> {
    let first = request.recipients.first();
    first.and_then(|first| first.original.as_ref())
}

fn addresses(request: &Request) -> Vec<String> {
    let original = original(request).filter(|_| request.flags.original_to);
    let original = original.map_or("", OriginalRecipient::as_str);
    let first = [request.sender.as_str(), original];
    let recipients = request
        .recipients
        .iter()
        .map(|recipient| recipient.address.as_str());
    first
        .into_iter()
        .chain(recipients)
        .map(str::to_owned)
        .collect()
}

/// The addresses as an envelope has them. A table can have given something that
/// cannot go into one.
fn envelope(mapped: &[String]) -> Result<Envelope, String> {
    let bad = |address: &str, why: &dyn std::fmt::Display| {
        format!("generic maps give \"{}\": {why}", address.escape_debug())
    };
    let [sender, original, recipients @ ..] = mapped else {
        return Err("generic maps give no envelope".into());
    };
    let recipients = recipients
        .iter()
        .map(|address| Address::parse(address).map_err(|why| bad(address, &why)))
        .collect::<Result<_, _>>()?;
    let sender = ReversePath::parse(sender).map_err(|why| bad(sender, &why))?;
    let original = match original.as_str() {
        "" => None,
        text => Some(OriginalRecipient::parse(text).map_err(|why| bad(text, &why))?),
    };
    Ok(Envelope {
        sender,
        recipients,
        original,
    })
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::delivery::testing::{asked, context, go};

    #[test]
    fn where_there_is_nothing_to_prepare_the_next_hop_is_looked_at() {
        let mut cx = context(2);
        assert!(matches!(go(Start.poll(&mut cx)), Phase::Choosing(_)));
        assert_eq!(cx.hosts.destinations, 1);
        assert!(cx.envelope.is_none());
    }

    #[test]
    fn a_flag_for_one_recipient_refuses_several() {
        let mut cx = context(2);
        cx.request.flags.delivered_to = true;
        assert!(matches!(go(Start.poll(&mut cx)), Phase::Choosing(_)));
        let expected = [
            "Warning: flag `D' requires smtp_destination_recipient_limit = 1",
            "0 deferred 4.3.5 (mail system configuration error)",
            "1 deferred 4.3.5 (mail system configuration error)",
        ];
        assert_eq!(asked(&mut cx), expected);
    }

    /// Looks through a header for a loop, and returns the phase after that.
    fn after_header(cx: &mut Context, header: &'static [u8]) -> Phase {
        cx.request.flags.delivered_to = true;
        let mut phase = go(Start.poll(cx));
        loop {
            let Phase::Preparing(preparing) = phase else {
                return phase;
            };
            phase = match preparing.poll(cx) {
                Next::Go(phase) => phase,
                Next::Ask(Phase::Preparing(mut preparing), Ask::Text { offset, .. }) => {
                    assert!(preparing.wants_text());
                    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                    let chunk = header.get(offset..).unwrap_or_default();
                    preparing.text(Bytes::from_static(chunk));
                    preparing.into()
                }
                other => panic!("{other:?}"),
            };
        }
    }

    #[test]
    fn a_message_that_was_here_before_is_returned() {
        let mut cx = context(1);
        let header = b"Delivered-To: user0@example.com\n\nText\n";
        assert!(matches!(after_header(&mut cx, header), Phase::Choosing(_)));
        let expected = "0 bounced 5.4.6 (mail forwarding loop for user0@example.com)";
        assert_eq!(asked(&mut cx), [expected]);
    }

    #[test]
    fn a_message_that_was_elsewhere_goes_on() {
        let mut cx = context(1);
        let header = b"Delivered-To: other@example.com\n\nText\n";
        assert!(matches!(after_header(&mut cx, header), Phase::Choosing(_)));
        assert!(asked(&mut cx).is_empty());
        assert_eq!(fields_to_insert(&cx), ["Delivered-To: user0@example.com"]);
    }
}
