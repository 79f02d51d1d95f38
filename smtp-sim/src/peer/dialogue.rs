//! The dialogue of a simulated server: lines in, replies out.

use std::fmt::Write as _;
use std::time::Duration;

use super::{
    Act, Breach, Deed, Envelope, Line, Login, Mode, Moment, Peer, secure::Layer, temper::fate,
};

/// So many lines of a reply no client has to read.
const MOST_LINES: u16 = 10_000;

/// What a client was told.
#[derive(Clone, Copy)]
pub(super) struct Told {
    /// The code that the server stands by.
    pub(super) code: u16,
    /// Where the reply ends in what the server says; `None`: it never said it.
    pub(super) at: Option<u64>,
}

impl Told {
    pub(super) const fn class(self) -> u16 {
        self.code / 100
    }
}

impl Peer {
    pub(super) fn greet(&mut self) {
        let text = match self.temper.pix {
            true => "**************",
            false => "mx.example ESMTP",
        };
        let _ = self.answer(Moment::Banner, 220, text);
    }

    pub(super) fn read_lines(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let (mut at, mut known) = (0, std::mem::take(&mut self.scanned));
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            if matches!(self.mode, Mode::Parted) {
                self.breach(Breach::AfterQuit);
                at = input.len();
                break;
            }
            if self.ended {
                at = input.len();
                break;
            }
            let fresh = rest.get(known..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', fresh) else {
                self.scanned = rest.len();
                break;
            };
            let end = std::mem::take(&mut known) + end;
            let line = rest.get(..=end).unwrap_or_default();
            let more = rest.len() > line.len();
            at += line.len();
            // Whatever comes behind STARTTLS belongs to TLS.
            let was_plain = matches!(self.layer, Layer::Plain);
            self.line(line, more);
            if was_plain && matches!(self.layer, Layer::Handshake(_)) {
                if more {
                    self.breach(Breach::Pipelined("STARTTLS".to_owned()));
                }
                at = input.len();
                break;
            }
        }
        input.drain(..at);
        // Nothing was put there meanwhile.
        self.input = input;
    }

    fn line(&mut self, line: &[u8], more: bool) {
        if matches!(self.mode, Mode::Text) {
            return self.text_line(line, more);
        }
        let Some(content) = line.strip_suffix(b"\r\n") else {
            let shown = String::from_utf8_lossy(line).into_owned();
            return self.breach(Breach::BareLineEnd(shown));
        };
        let content = String::from_utf8_lossy(content).into_owned();
        let secure = self.is_secure();
        if let Some(lines) = &mut self.lines {
            lines.push(Line {
                from_server: false,
                secure,
                text: content.clone(),
            });
        }
        // Who does not trust a server may take leave before it has greeted.
        let leaves = content == "QUIT" && self.temper.wrapped;
        let waits = (more || self.answered > self.now) && !leaves;
        if waits && !(self.temper.pipelining && self.greeted) && !self.mute {
            self.breach(Breach::Pipelined(content.clone()));
        }
        match self.mode {
            Mode::Login(left) => self.login_response(&content, left),
            _ => self.command(&content),
        }
    }

    fn command(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" | "HELO" => self.hello(verb),
            "STARTTLS" => self.start_tls(),
            "AUTH" => self.auth(rest),
            "XFORWARD" => self.forward(),
            "MAIL" => self.mail(line),
            "RCPT" => self.rcpt(line),
            "DATA" => self.data(),
            "RSET" => {
                self.mail = None;
                let _ = self.answer(Moment::Rset, 250, "2.0.0 forgotten");
            }
            "QUIT" => {
                self.ledger.quit = true;
                let told = self.answer(Moment::Quit, 221, "2.0.0 bye");
                // Where a verdict is missing, only 221 cannot be taken for it.
                let mut recipients = self.ledger.taken.iter().flat_map(|taken| &taken.recipients);
                let missing = recipients.any(|recipient| recipient.told.is_none());
                self.ledger.out_of_step |= missing && told.code != 221;
                self.mode = Mode::Parted;
            }
            "NOOP" => {
                let _ = self.say("250 2.0.0 well\r\n", Duration::ZERO);
            }
            _ => {
                self.breach(Breach::Unknown(line.to_owned()));
                let _ = self.say("500 5.5.1 what?\r\n", Duration::ZERO);
            }
        }
    }

    fn hello(&mut self, verb: &str) {
        let helo = verb.eq_ignore_ascii_case("HELO");
        if verb.eq_ignore_ascii_case("LHLO") != self.temper.lmtp {
            self.breach(Breach::OutOfOrder(verb.to_owned()));
        }
        self.mail = None;
        let (code, text) = match (self.temper.esmtp, helo) {
            (true, false) => (250, self.offers()),
            (_, true) => (250, "mx.example".to_owned()),
            (false, false) => (502, "5.5.1 no such command".to_owned()),
        };
        self.greeted = self.answer(Moment::Hello, code, &text).class() == 2 && !helo;
    }

    /// The lines of the reply to EHLO, joined by LF.
    fn offers(&self) -> String {
        let temper = &self.temper;
        let secure = self.is_secure();
        let mut text = "mx.example".to_owned();
        let words = [
            (temper.pipelining, "PIPELINING"),
            (temper.eight_bit, "8BITMIME"),
            (temper.dsn, "DSN"),
            (temper.tls.is_some() && !secure, "STARTTLS"),
            (true, "ENHANCEDSTATUSCODES"),
            (
                temper.xforward,
                "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
            ),
        ];
        for (_, word) in words.iter().filter(|(offered, _)| *offered) {
            let _ = write!(text, "\n{word}");
        }
        if let Some(limit) = temper.size {
            let _ = write!(text, "\nSIZE {limit}");
        }
        let auth = if secure { temper.auth_tls } else { temper.auth };
        if !auth.is_empty() {
            let _ = write!(text, "\nAUTH {auth}");
        }
        text
    }

    fn start_tls(&mut self) {
        if self.temper.tls.is_none() || self.is_secure() || !self.greeted {
            self.breach(Breach::OutOfOrder("STARTTLS".to_owned()));
        }
        if self.answer(Moment::StartTls, 220, "2.0.0 ready").class() == 2 {
            self.expect_handshake();
            self.mail = None;
        }
    }

    fn auth(&mut self, rest: &str) {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !self.greeted || self.logged_in || self.mail.is_some() {
            self.breach(Breach::OutOfOrder("AUTH".to_owned()));
        }
        self.ledger.logins.push(Login {
            mechanism: mechanism.to_owned(),
            secure: self.is_secure(),
        });
        let responses = match mechanism {
            "LOGIN" => 2,
            _ => 1,
        };
        let left = responses - u32::from(!initial.is_empty());
        self.challenge(left);
    }

    fn login_response(&mut self, line: &str, left: u32) {
        self.mode = Mode::Command;
        if line == "*" {
            let _ = self.say("501 5.7.0 as you like\r\n", Duration::ZERO);
        } else {
            self.challenge(left.saturating_sub(1));
        }
    }

    fn challenge(&mut self, left: u32) {
        let told = match left {
            0 => self.answer(Moment::Auth, 235, "2.7.0 welcome"),
            _ => self.answer(Moment::Auth, 334, "PDEuMkBteC5leGFtcGxlPg=="),
        };
        match told.class() {
            3 => self.mode = Mode::Login(left.max(1)),
            2 if left == 0 => self.logged_in = true,
            _ => {}
        }
    }

    fn forward(&mut self) {
        if !self.temper.xforward || !self.greeted || self.mail.is_some() {
            self.breach(Breach::OutOfOrder("XFORWARD".to_owned()));
        }
        let _ = self.answer(Moment::Forward, 250, "2.0.0 noted");
    }

    fn mail(&mut self, line: &str) {
        let sender = address(line).to_owned();
        self.ledger.transactions.push(0);
        if !self.is_secure() {
            self.ledger.plain_senders.push(sender.clone());
        }
        if self.mail.is_some() {
            self.breach(Breach::OutOfOrder(line.to_owned()));
        }
        if line.contains(" BODY=8BITMIME") && !(self.temper.eight_bit && self.greeted) {
            self.breach(Breach::OutOfOrder(line.to_owned()));
        }
        let code = match self.temper.wants_login && !self.logged_in {
            true => 530,
            false => 250,
        };
        if self.answer(Moment::Mail, code, "2.1.0 sender").class() == 2 {
            self.mail = Some(Envelope {
                sender,
                eight_bit: line.contains(" BODY=8BITMIME"),
                ..Envelope::default()
            });
        }
    }

    fn rcpt(&mut self, line: &str) {
        let recipient = address(line).to_owned();
        self.ledger.named.push(recipient.clone());
        if let Some(count) = self.ledger.transactions.last_mut() {
            *count += 1;
        }
        if self.mail.is_none() {
            if !self.temper.pipelining {
                self.breach(Breach::OutOfOrder(line.to_owned()));
            }
            let _ = self.answer(Moment::Rcpt, 503, "5.5.1 MAIL first");
            return;
        }
        let code = fate(&self.temper.recipients, &recipient);
        let told = self.answer(Moment::Rcpt, code, "recipient");
        if told.class() == 2
            && let Some(mail) = &mut self.mail
        {
            mail.recipients.push(recipient);
        }
    }

    fn data(&mut self) {
        let anybody = self
            .mail
            .as_ref()
            .is_some_and(|mail| !mail.recipients.is_empty());
        if !anybody && !self.temper.pipelining {
            self.breach(Breach::OutOfOrder("DATA".to_owned()));
        }
        let code = if anybody { 354 } else { 554 };
        let told = self.answer(Moment::Data, code, "go ahead");
        if told.class() == 3 {
            self.mode = Mode::Text;
            self.mail.get_or_insert_default();
        }
    }

    pub(super) fn peek(&self, moment: Moment) -> Option<Act> {
        let at = super::MOMENTS.iter().position(|other| *other == moment)?;
        let nth = self.seen.get(at)?;
        self.temper.fault(moment, *nth, self.connection)
    }

    /// Answers as is proper, or as the fault has it that belongs here.
    pub(super) fn answer(&mut self, moment: Moment, proper: u16, text: &str) -> Told {
        let act = self.fault(moment);
        let told = self.perform(act, moment, proper, text);
        // What is neither an answer nor a temporary refusal is given up at, as in Postfix.
        let fits = told.class() == 4 || moment.is_answered_by(told.class());
        self.ledger.refused |= told.at.is_some() && !fits;
        if let Some(next) = following(moment)
            && self.peek(next) == Some(Act::Early)
        {
            self.ledger.out_of_step = true;
            let code = if next == Moment::Data { 354 } else { 250 };
            let _ = self.say(
                &format!("{code} {} early\r\n", enhanced(code)),
                Duration::ZERO,
            );
        }
        told
    }

    fn perform(&mut self, act: Option<Act>, moment: Moment, proper: u16, text: &str) -> Told {
        let now = Duration::ZERO;
        let unsaid = Told {
            code: proper,
            at: None,
        };
        let Some(act) = act else {
            return self.reply(proper, text, now);
        };
        match act {
            Act::Code(code) => self.reply(code, "so be it", now),
            Act::Late(time) => self.reply(proper, text, time),
            Act::Lines(count) => {
                let lines = "more\n".repeat(usize::from(count)) + text;
                // What nobody reads to its end tells nobody anything, nor does what follows.
                self.unreadable |= count >= MOST_LINES;
                self.reply(proper, &lines, now)
            }
            Act::Long(length) => self.reply(proper, &"x".repeat(usize::from(length)), now),
            Act::Rubbish => {
                let _ = self.say("what a fine day\r\n", now);
                self.reply(proper, text, now)
            }
            Act::TwoCodes => {
                let _ = self.say(&format!("{}-first\r\n", 799 - proper % 600), now);
                self.reply(proper, text, now)
            }
            Act::HalfClose => {
                let told = self.reply(proper, text, now);
                self.outbox.push_back((self.last, Deed::Shutdown));
                self.mute = true;
                told
            }
            Act::Leave => {
                let told = self.reply(421, "4.3.2 going down", now);
                self.end(Deed::Close);
                told
            }
            Act::Mute => {
                self.mute = true;
                unsaid
            }
            Act::Crash => {
                self.end(Deed::Close);
                unsaid
            }
            Act::Reset => {
                self.end(Deed::Reset);
                unsaid
            }
            Act::Drop => {
                self.end(Deed::Close);
                Told { code: 0, at: None }
            }
            Act::Early => {
                // Where it did not come early, it never comes.
                self.ledger.out_of_step = true;
                let code = if moment == Moment::Data { 354 } else { 250 };
                Told { code, at: None }
            }
            Act::Inject => self.inject(moment, proper, text),
            Act::Flood(count) => {
                let told = self.reply(proper, text, now);
                self.flood(count);
                told
            }
            Act::Fewer | Act::Alert => self.reply(proper, text, now),
        }
    }

    /// Says a reply whose lines are joined by LF.
    fn reply(&mut self, code: u16, text: &str, pause: Duration) -> Told {
        let code_text = code.to_string();
        let mut said = String::with_capacity(2 * text.len() + 16);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { "-" } else { " " };
            said.extend([&code_text, mark, line, "\r\n"]);
        }
        let at = self.say(&said, pause);
        Told { code, at }
    }

    /// A reply with plaintext behind it in the same segment.
    fn inject(&mut self, moment: Moment, proper: u16, text: &str) -> Told {
        if moment != Moment::StartTls {
            self.ledger.out_of_step = true;
        }
        let said = format!("{proper} {text}\r\n250 2.0.0 injected\r\n250 2.0.0 injected\r\n");
        let at = self.say(&said, Duration::ZERO);
        Told { code: proper, at }
    }

    pub(super) fn flood(&mut self, count: u32) {
        self.ledger.out_of_step = true;
        let replies = "250 2.0.0 and again\r\n".repeat(500);
        for _ in 0..count.div_ceil(500) {
            let _ = self.say(&replies, Duration::ZERO);
        }
    }
}

/// The moment before which an early reply to the next one is given.
const fn following(moment: Moment) -> Option<Moment> {
    match moment {
        Moment::Banner => Some(Moment::Hello),
        Moment::Hello => Some(Moment::Mail),
        Moment::Mail => Some(Moment::Rcpt),
        Moment::Rcpt => Some(Moment::Data),
        Moment::Data => Some(Moment::End),
        _ => None,
    }
}

pub(super) fn enhanced(code: u16) -> &'static str {
    match code / 100 {
        2 => "2.0.0",
        4 => "4.3.0",
        _ => "5.3.0",
    }
}

/// The address between the angle brackets of a command.
fn address(line: &str) -> &str {
    let rest = line.split_once('<').map_or("", |(_, rest)| rest);
    rest.split_once('>').map_or(rest, |(address, _)| address)
}
