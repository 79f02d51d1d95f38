//! Header fields that a delivery adds (`flags=DOR` in master.cf), and the mail
//! loop that one of them shows (Postfix: `smtp_out_add_headers` in
//! `src/smtp/smtp_proto.c`; `src/global/delivered_hdr.c`).

use std::collections::BTreeSet;

use bytes::Bytes;
use smtp_proto::{
    address::{Address, ReversePath},
    mime::{Record, RecordEnd, RecordReader, header_name_len},
};

use super::{raw::RawText, tokens::quote};
use crate::{
    line_ends::{LineEnds, StrayCr},
    request::{DeliveryFlags, OriginalRecipient},
};

/// The addresses of a message as they go into header fields: in internal form,
/// after the generic maps. None of them can end a line.
#[derive(Clone, Debug)]
pub(crate) struct TraceAddresses {
    /// The sender.
    pub(crate) sender: ReversePath,
    /// The recipient as it was first known, if that is known.
    pub(crate) original: Option<OriginalRecipient>,
    /// The recipient.
    pub(crate) recipient: Option<Address>,
}

/// The fields that the flags ask for, in Postfix's order.
pub(crate) fn inserted_fields(flags: DeliveryFlags, addresses: &TraceAddresses) -> Vec<Bytes> {
    let TraceAddresses {
        sender,
        original,
        recipient,
    } = addresses;
    let sender = sender.address().map(Address::as_str);
    let original = original.as_ref().map(OriginalRecipient::as_str);
    let recipient = recipient.as_ref().map(Address::as_str);
    let quoted = |address: Option<&str>| address.map(quote).unwrap_or_default();
    let fields = [
        flags
            .return_path
            .then(|| format!("Return-Path: <{}>", quoted(sender))),
        flags
            .original_to
            .then(|| format!("X-Original-To: {}", quoted(original))),
        flags
            .delivered_to
            .then(|| format!("Delivered-To: {}", quoted(recipient))),
    ];
    fields.into_iter().flatten().map(Bytes::from).collect()
}

/// How many different Delivered-To fields are looked at.
const LIMIT: usize = 1000;

/// Looks through the header of a message for a recipient in a Delivered-To field:
/// it was here before.
#[derive(Debug)]
pub(crate) struct LoopCheck {
    wanted: String,
    fold: Fold,
    seen: BTreeSet<String>,
    line_ends: Option<LineEnds>,
    records: RecordReader,
    previous: RecordEnd,
    offset: u64,
    state: LoopState,
}

/// How far a [`LoopCheck`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopState {
    /// The header goes on.
    Reading,
    /// The recipient is in none of the fields.
    Clear,
    /// It is in one.
    Loop,
}

/// How addresses are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// ASCII letters are the same in both cases.
    Ascii,
    /// All letters are (`smtputf8_enable`).
    Unicode,
}

impl Fold {
    fn fold(self, text: &str) -> String {
        match self {
            Self::Ascii => text.to_ascii_lowercase(),
            Self::Unicode => text.to_lowercase(),
        }
    }
}

impl LoopCheck {
    /// Begins to look for a recipient, in internal form and after the generic maps.
    pub(crate) fn new(recipient: &str, fold: Fold, stray_cr: StrayCr) -> Self {
        Self {
            wanted: fold.fold(&quote(recipient)),
            fold,
            seen: BTreeSet::new(),
            line_ends: LineEnds::unless_passed(stray_cr),
            records: RecordReader::new(),
            previous: RecordEnd::Line,
            offset: 0,
            state: LoopState::Reading,
        }
    }

    /// How far it has come.
    pub(crate) fn state(&self) -> LoopState {
        self.state
    }

    /// Where the text that is needed next begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next chunk of text; an empty one is the end.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.offset += chunk.len() as u64;
        let ended = chunk.is_empty();
        let read = match &mut self.line_ends {
            Some(line_ends) => line_ends.push(chunk),
            None => Ok(chunk),
        };
        let Ok(text) = read else {
            // Whoever sends the text refuses it.
            self.state = LoopState::Clear;
            return;
        };
        self.records.push(text);
        while self.state == LoopState::Reading {
            let next = self.records.next_record();
            match next.or_else(|| if ended { self.records.finish() } else { None }) {
                Some(record) => self.record(&record),
                None if ended => self.state = LoopState::Clear,
                None => return,
            }
        }
    }

    /// Only the beginning of a line is looked at, and only the first line of a
    /// field.
    fn record(&mut self, record: &Record) {
        let continues = std::mem::replace(&mut self.previous, record.end) == RecordEnd::Fragment;
        let folded = record.text.first().is_some_and(u8::is_ascii_whitespace);
        if continues || folded {
            return;
        }
        let Some(name_len) = header_name_len(&record.text) else {
            self.state = LoopState::Clear;
            return;
        };
        const NAME: &[u8] = b"Delivered-To";
        if !record
            .text
            .get(..name_len)
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        {
            return;
        }
        let value = RawText::new(record.text.get(NAME.len() + 1..).unwrap_or_default());
        let value = self.fold.fold(
            value
                .key()
                .trim_start_matches(|c: char| c.is_ascii_whitespace()),
        );
        if value == self.wanted {
            self.state = LoopState::Loop;
        } else if self.seen.insert(value) && self.seen.len() >= LIMIT {
            self.state = LoopState::Clear;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], recipient: &str) -> LoopState {
        let mut check = LoopCheck::new(recipient, Fold::Unicode, StrayCr::Pass);
        for chunk in chunks {
            check.push(Bytes::copy_from_slice(chunk.as_bytes()));
        }
        check.push(Bytes::new());
        check.state()
    }

    #[test]
    fn a_recipient_that_was_here_before_is_found() {
        for (text, recipient, want) in [
            (
                "Delivered-To: User@Example.COM\n\nx\n",
                "user@example.com",
                LoopState::Loop,
            ),
            (
                "X: y\n folded\nDELIVERED-TO:user@example.com\n",
                "user@example.com",
                LoopState::Loop,
            ),
            (
                "Delivered-To: user@example.com",
                "user@example.com",
                LoopState::Loop,
            ),
            (
                "Delivered-To: \"a b\"@example.com\n",
                "a b@example.com",
                LoopState::Loop,
            ),
            (
                "Delivered-To: b@example.com\n\n",
                "a@example.com",
                LoopState::Clear,
            ),
            (
                "X-Delivered-To: a@example.com\n\n",
                "a@example.com",
                LoopState::Clear,
            ),
            (
                "\nDelivered-To: a@example.com\n",
                "a@example.com",
                LoopState::Clear,
            ),
            (
                "no header\nDelivered-To: a@example.com\n",
                "a@example.com",
                LoopState::Clear,
            ),
            (
                "X: y\n Delivered-To: a@example.com\n",
                "a@example.com",
                LoopState::Clear,
            ),
            ("", "a@example.com", LoopState::Clear),
        ] {
            assert_eq!(check(&[text], recipient), want, "{text}");
            let pieces: Vec<String> = text.chars().map(String::from).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(check(&pieces, recipient), want, "{text}");
        }
    }

    #[test]
    fn a_header_of_nothing_else_is_not_kept_for_ever() {
        let mut check = LoopCheck::new("a@b", Fold::Ascii, StrayCr::Pass);
        for number in 0..2 * LIMIT {
            check.push(Bytes::from(format!("Delivered-To: {number}\n")));
        }
        assert_eq!((check.state(), check.seen.len()), (LoopState::Clear, LIMIT));
    }

    #[test]
    fn fields_come_in_the_order_of_postfix() {
        let flags = DeliveryFlags {
            delivered_to: true,
            original_to: true,
            return_path: true,
            final_delivery: false,
        };
        let addresses = TraceAddresses {
            sender: ReversePath::Null,
            original: OriginalRecipient::parse("two words@b").ok(),
            recipient: Address::parse("c@d").ok(),
        };
        let fields = inserted_fields(flags, &addresses);
        let want = [
            "Return-Path: <>",
            "X-Original-To: \"two words\"@b",
            "Delivered-To: c@d",
        ];
        assert_eq!(fields, want);
        assert!(inserted_fields(DeliveryFlags::default(), &addresses).is_empty());
    }
}
