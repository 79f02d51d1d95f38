//! What is decided before any server is looked for: the addresses that the
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

use super::{Ask, Delivery, Note, hosts::Phase};
use crate::{
    content::{
        AddressMapping, Fold, Generic, Lookup, LoopCheck, LoopState, STEPS_AT_ONCE, TraceAddresses,
        inserted_fields,
    },
    report::{Scope, trouble::Reason},
    request::{OriginalRecipient, RcptIndex, Request},
    tables::TableFailure,
};

/// How much text is asked for at a time to find the end of the header, in bytes.
const HEADER_ROOM: usize = 16 * 1024;

/// The envelope as the servers see it, where generic maps may have changed it.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) sender: ReversePath,
    pub(super) recipients: Vec<Address>,
    /// The original recipient, for X-Original-To.
    original: Option<OriginalRecipient>,
}

/// The preparation of a delivery, as far as it has come.
#[derive(Debug)]
pub(super) struct Preparation {
    /// What is to be mapped: the sender, the original recipient, the recipients.
    addresses: Vec<String>,
    /// What was mapped, in the same order.
    mapped: Vec<String>,
    mapping: Option<AddressMapping>,
    /// The steps of looking up since the driver looked at the clock.
    taken: u64,
    /// The question about a table that is out.
    question: Option<u32>,
    loop_check: Option<LoopCheck>,
}

impl Preparation {
    pub(super) fn answer(&mut self, serial: u32, value: Result<Option<String>, TableFailure>) {
        if self.question == Some(serial)
            && let Some(mapping) = &mut self.mapping
        {
            self.question = None;
            mapping.answered(value);
        }
    }

    pub(super) fn text(&mut self, chunk: Bytes) {
        if let Some(check) = &mut self.loop_check {
            check.push(chunk);
        }
    }
}

impl Delivery {
    /// Begins to prepare, if there is anything to prepare.
    pub(super) fn begin(&mut self) {
        if self.is_survey() {
            return self.start();
        }
        let flags = self.request.flags;
        let several = self.request.recipients.len() > 1;
        let service = self.request.protocol.as_str();
        for (wanted, letter) in [(flags.delivered_to, 'D'), (flags.original_to, 'O')] {
            if wanted && several {
                self.note(Note::warning(format!(
                    "flag `{letter}' requires {service}_destination_recipient_limit = 1"
                )));
                let status = EnhancedStatus::new(4, 3, 5);
                return self.reject(status, "mail system configuration error");
            }
        }
        let rules = &self.policy.settings(self.request.protocol).content_rules;
        if rules.generic.is_none() && !flags.delivered_to {
            return self.start();
        }
        self.phase = Phase::Preparing(Box::new(Preparation {
            addresses: addresses(&self.request),
            mapped: Vec::new(),
            mapping: None,
            taken: 0,
            question: None,
            loop_check: None,
        }));
    }

    /// Goes on preparing. `None`: look again.
    pub(super) fn prepare(&mut self, give_up: Time) -> Option<Ask> {
        let rules = Arc::clone(&self.policy.settings(self.request.protocol).content_rules);
        let Phase::Preparing(preparation) = &mut self.phase else {
            return None;
        };
        if preparation.question.is_some() {
            return self.wait_for_answer(give_up);
        }
        if let Some(address) = preparation.addresses.get(preparation.mapped.len()) {
            match &rules.generic {
                Some(_) if self.now >= give_up => {
                    self.settle_overdue();
                    return None;
                }
                Some(generic) => return self.map_next(generic),
                None => preparation.mapped.push(address.clone()),
            }
            return None;
        }
        let Some(check) = &preparation.loop_check else {
            self.end_mapping();
            return None;
        };
        match check.state() {
            LoopState::Reading => {
                return Some(Ask::Text {
                    offset: check.offset(),
                    room: HEADER_ROOM,
                });
            }
            LoopState::Clear => self.start(),
            LoopState::Loop => {
                let recipient = self.request.recipients.first().map(|first| &first.address);
                let name = recipient.map_or("", Address::as_str);
                let text = format!("mail forwarding loop for {name}");
                self.reject(EnhancedStatus::new(5, 4, 6), text);
            }
        }
        None
    }

    fn map_next(&mut self, generic: &Generic) -> Option<Ask> {
        let ticket = self.ticket();
        let Phase::Preparing(preparation) = &mut self.phase else {
            return None;
        };
        let address = preparation.addresses.get(preparation.mapped.len())?;
        let mapping = preparation
            .mapping
            .get_or_insert_with(|| AddressMapping::new(generic, address));
        let mut warnings = Vec::new();
        let step = mapping.step(generic, &mut warnings);
        let mut ask = None;
        match step {
            Lookup::Done(mapped) => {
                let mapped = mapped.unwrap_or_else(|| address.clone());
                preparation.mapped.push(mapped);
                preparation.taken = preparation.taken.saturating_add(mapping.taken());
                preparation.mapping = None;
                if preparation.taken >= STEPS_AT_ONCE {
                    // The driver looks at the clock and comes again at once.
                    preparation.taken = 0;
                    ask = Some(Ask::Wait { until: self.now });
                }
            }
            Lookup::Ask(query) => {
                preparation.question = Some(ticket.serial());
                ask = Some(Ask::LookUp(ticket, query));
            }
            Lookup::Failed(why) => {
                warnings.push(why.clone());
                self.fail_preparation(why);
            }
        }
        for warning in warnings {
            self.note(Note::warning(warning));
        }
        ask
    }

    /// All addresses are mapped: keeps them, and goes on to the loop check, if
    /// there is to be one.
    fn end_mapping(&mut self) {
        let Phase::Preparing(preparation) = &mut self.phase else {
            return;
        };
        let mapped = std::mem::take(&mut preparation.mapped);
        preparation.addresses.clear();
        let recipient = mapped.get(2).cloned().unwrap_or_default();
        match envelope(&mapped) {
            Ok(envelope) => self.envelope = Some(Box::new(envelope)),
            Err(why) => return self.fail_preparation(why),
        }
        if !self.request.flags.delivered_to {
            return self.start();
        }
        let utf8 = self.settings.content.smtputf8;
        let fold = if utf8 { Fold::Unicode } else { Fold::Ascii };
        preparation.loop_check = Some(LoopCheck::new(&recipient, fold, self.request.stray_cr));
    }

    /// A table cannot say what the servers are to see. Postfix ends the process
    /// here, and the message is tried again later.
    fn fail_preparation(&mut self, why: String) {
        self.settle_left(&Reason::local(
            EnhancedStatus::new(4, 3, 0),
            Scope::Message,
            why,
        ));
        self.phase = Phase::Next;
    }

    /// Nothing is delivered: the verdict for all recipients. It has the name of
    /// the service instead of a server's.
    fn reject(&mut self, status: EnhancedStatus, text: impl Into<String>) {
        let reason = Reason::local(status, Scope::Message, text);
        self.settle_by_service(&reason);
        self.phase = Phase::Next;
    }

    /// Puts the addresses into a transaction as the servers are to see them.
    pub(super) fn readdress(&self, transaction: &mut Transaction, recipients: &[RcptIndex]) {
        if self.envelope.is_none() {
            return;
        }
        transaction.mail.sender = self.mapped_sender().clone();
        for (rcpt, index) in transaction.recipients.iter_mut().zip(recipients) {
            if let Some(address) = self.mapped_recipient(*index) {
                rcpt.recipient = address.clone();
            }
        }
    }

    /// The sender as the servers see it.
    fn mapped_sender(&self) -> &ReversePath {
        self.envelope
            .as_ref()
            .map_or(&self.request.sender, |envelope| &envelope.sender)
    }

    /// A recipient as the servers see it.
    fn mapped_recipient(&self, index: RcptIndex) -> Option<&Address> {
        match &self.envelope {
            Some(envelope) => envelope.recipients.get(index),
            None => self
                .request
                .recipients
                .get(index)
                .map(|recipient| &recipient.address),
        }
    }

    /// The header fields that go before the text.
    pub(super) fn inserted_fields(&self) -> Vec<Bytes> {
        let original = match &self.envelope {
            Some(envelope) => envelope.original.clone(),
            None => original(&self.request).cloned(),
        };
        let addresses = TraceAddresses {
            sender: self.mapped_sender().clone(),
            original,
            recipient: self.mapped_recipient(0).cloned(),
        };
        inserted_fields(self.request.flags, &addresses)
    }
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
