//! The text of a message, and the verdicts on it.

use std::{sync::Arc, time::Duration};

use super::{
    Act, Breach, Deed, Envelope, Mode, Moment, Peer, Taken, TakenRecipient,
    dialogue::{Told, enhanced},
    temper::fate,
};

/// The reply to QUIT.
const CLOSING: u16 = 221;

impl Peer {
    pub(super) fn text_line(&mut self, line: &[u8], more: bool) {
        let begins = |mail: &Envelope| mail.text.is_empty() && !mail.begun;
        if line == b".\r\n" {
            // After a refusal in the middle of the text the client may well go on.
            let refused = self.mail.as_ref().is_some_and(|mail| mail.refused);
            if more && !refused && !self.temper.pipelining {
                self.breach(Breach::Pipelined("end of data".to_owned()));
            }
            return self.end_of_text();
        }
        if self.mail.as_ref().is_some_and(begins) {
            if let Some(mail) = &mut self.mail {
                mail.begun = true;
            }
            self.interrupt();
        }
        let Some(mail) = &mut self.mail else {
            return;
        };
        let is_unannounced = !line.is_ascii() && !mail.eight_bit;
        let line = line.strip_prefix(b".").unwrap_or(line);
        // Only CRLF ends a line; an LF alone is data.
        match line.strip_suffix(b"\r\n") {
            Some(content) => {
                mail.text.extend_from_slice(content);
                mail.text.extend_from_slice(b"\n");
            }
            None => {
                mail.text.extend_from_slice(line);
                let shown = String::from_utf8_lossy(line).into_owned();
                self.breach(Breach::BareLineEnd(shown));
            }
        }
        if is_unannounced {
            self.breach(Breach::EightBit);
        }
    }

    /// Goes wrong at the first line of a text.
    fn interrupt(&mut self) {
        match self.fault(Moment::Text) {
            Some(Act::Code(code)) => {
                // Whoever accepts what has not come yet cannot be taken at their word.
                self.ledger.out_of_step |= code / 100 == 2;
                self.ledger.refused |= code / 100 == 3;
                let _ = self.say(&format!("{code} 4.3.0 enough\r\n"), Duration::ZERO);
                if let Some(mail) = &mut self.mail {
                    mail.refused = true;
                }
            }
            Some(Act::Leave) => {
                let _ = self.say("421 4.3.2 going down\r\n", Duration::ZERO);
                self.end(Deed::Close);
            }
            Some(Act::Drop | Act::Crash) => self.end(Deed::Close),
            Some(Act::Reset) => self.end(Deed::Reset),
            Some(Act::Mute) => self.mute = true,
            Some(Act::Flood(count)) => self.flood(count),
            _ => {}
        }
    }

    fn end_of_text(&mut self) {
        self.mode = Mode::Command;
        let Some(mail) = self.mail.take() else {
            return;
        };
        let nobody = mail.recipients.is_empty();
        let mut verdicts: Vec<Told> = Vec::new();
        if mail.refused {
            verdicts.push(Told {
                code: 451,
                at: None,
            });
        } else if self.temper.lmtp && !nobody {
            verdicts = self.verdicts(&mail.recipients);
        } else {
            let code = match nobody {
                true => 554,
                false => fate(&self.temper.verdicts, &mail.sender),
            };
            verdicts.push(self.answer(Moment::End, code, "message"));
        }
        let last = verdicts.last().copied();
        if self.temper.trails && verdicts.iter().all(|told| told.at.is_some()) {
            self.trail();
        }
        let mut each = verdicts.into_iter();
        // A verdict of LMTP that reads 221 could be the reply to QUIT. Nobody hears it as a
        // verdict, nor what follows.
        let (lmtp, mut is_heard) = (self.temper.lmtp, true);
        let recipients = mail.recipients.into_iter().filter_map(|address| {
            let told = each.next().or(last)?;
            is_heard &= !(lmtp && told.code == CLOSING);
            Some(TakenRecipient {
                address,
                accepted: told.class() == 2,
                told: told.at.filter(|_| is_heard),
            })
        });
        let taken = Taken {
            at: self.now,
            sender: mail.sender,
            recipients: recipients.collect(),
            text: mail.text,
        };
        self.ledger.taken.push(taken);
    }

    /// The verdicts of LMTP, one for each recipient (RFC 2033 section 4.2).
    fn verdicts(&mut self, recipients: &[String]) -> Vec<Told> {
        let temper = Arc::clone(&self.temper);
        let codes = recipients.iter().map(|to| fate(&temper.verdicts, to));
        let mut verdicts = Vec::new();
        let fewer = match self.peek(Moment::End) {
            Some(Act::Fewer) => 1,
            _ => 0,
        };
        for (index, code) in codes.enumerate() {
            let told = if index + fewer == recipients.len() {
                Told { code, at: None }
            } else if index == 0 {
                self.answer(Moment::End, code, "message")
            } else {
                let at = self.say(&format!("{code} {}\r\n", enhanced(code)), Duration::ZERO);
                Told { code, at }
            };
            // Who is gone has decided nothing about the others.
            verdicts.push(told);
        }
        verdicts
    }
}
