//! A listener at the client's end of a connection: what the client has asked and was
//! not told yet, hence what it waits for and since when. It reads what goes over the
//! wire, and knows nothing of the engine.

use std::{collections::VecDeque, time::Duration};

use smtp_proto::Time;

use crate::peer::{
    MOMENTS, Moment, Temper,
    null_tls::{Records, kind},
};

/// How long a client has waited for one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// Since something was last read or written.
    pub quiet: Duration,
    /// Since the wait began, whatever was read or written meanwhile.
    pub whole: Duration,
}

/// What a client has waited for on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// The longest waits, in the order of [`MOMENTS`].
    pub longest: [Wait; MOMENTS.len()],
    /// What the client still waited for when it closed the connection, although the
    /// server had not ended it.
    pub last: Option<(Moment, Wait)>,
    /// The dialogue was not understood, so that nothing of this means anything.
    pub is_askew: bool,
}

/// The listener.
#[derive(Debug)]
pub(super) struct Tap {
    lmtp: bool,
    wrapped: bool,
    up: Side,
    down: Side,
    /// What was asked, oldest first.
    awaited: VecDeque<Moment>,
    /// The server has refused STARTTLS, whose time limit also holds for a login after it.
    refused_tls: bool,
    /// The server asked for a response of a login.
    challenged: bool,
    /// The text goes out.
    text: bool,
    /// How many recipients of the transaction were accepted.
    accepted: usize,
    /// What is or was waited for last.
    last: Moment,
    /// When that wait began.
    since: Time,
    now: Time,
    pub(super) waits: Waits,
}

/// One direction as lines, with or without TLS.
#[derive(Debug, Default)]
struct Side {
    records: Option<Records>,
    line: Vec<u8>,
}

impl Tap {
    /// On a connection that was just made to a server of this temper: its greeting is
    /// awaited, or the end of a handshake.
    pub(super) fn new(temper: &Temper, now: Time) -> Self {
        let first = match temper.wrapped {
            true => Moment::Handshake,
            false => Moment::Banner,
        };
        let side = || Side {
            records: temper.wrapped.then(Records::default),
            line: Vec::new(),
        };
        Self {
            lmtp: temper.lmtp,
            wrapped: temper.wrapped,
            up: side(),
            down: side(),
            awaited: VecDeque::from([first]),
            refused_tls: false,
            challenged: false,
            text: false,
            accepted: 0,
            last: first,
            since: now,
            now,
            waits: Waits::default(),
        }
    }

    /// What the client waits for, if anything.
    fn awaits(&self) -> Option<Moment> {
        let asked = self.awaited.front().copied();
        asked.or_else(|| self.text.then_some(Moment::Text))
    }

    /// Notes that nothing was read or written for so long.
    pub(super) fn waited(&mut self, quiet: Duration, now: Time) -> Wait {
        let whole = now.since(self.since);
        if let Some(moment) = self.awaits()
            && let Some(longest) = self.waits.longest.get_mut(moment as usize)
        {
            longest.quiet = longest.quiet.max(quiet);
            longest.whole = longest.whole.max(whole);
        }
        Wait { quiet, whole }
    }

    /// The client closes before the server does.
    pub(super) fn left(&mut self, quiet: Duration, now: Time) {
        let wait = self.waited(quiet, now);
        self.waits.last = self.awaits().map(|moment| (moment, wait));
    }

    /// The client has written something.
    pub(super) fn said(&mut self, wire: &[u8], now: Time) {
        self.listen(true, wire, now);
    }

    /// The client has read something.
    pub(super) fn heard(&mut self, wire: &[u8], now: Time) {
        self.listen(false, wire, now);
    }

    fn listen(&mut self, up: bool, wire: &[u8], now: Time) {
        if self.waits.is_askew {
            return;
        }
        self.now = now;
        let side = if up { &mut self.up } else { &mut self.down };
        let Some(records) = &mut side.records else {
            return self.lines(up, wire);
        };
        records.push(wire);
        while !self.waits.is_askew
            && let Some(record) = self.record(up)
        {
            match record {
                Ok((kind::DATA, payload)) => self.lines(up, &payload),
                Ok((kind::SERVER_HELLO, _)) => {
                    self.awaited.clear();
                    if self.wrapped {
                        self.await_one(Moment::Banner);
                    }
                }
                Ok(_) => {}
                Err(()) => self.waits.is_askew = true,
            }
        }
    }

    fn record(&mut self, up: bool) -> Option<Result<(u8, Vec<u8>), ()>> {
        let side = if up { &mut self.up } else { &mut self.down };
        side.records.as_mut()?.next()
    }

    /// Waits for something more, behind what is waited for already.
    fn await_one(&mut self, moment: Moment) {
        self.awaited.push_back(moment);
        if self.awaited.len() == 1 {
            self.begin(moment);
        }
    }

    /// Whose time limit holds for a login.
    fn login(&self) -> Moment {
        match self.refused_tls {
            true => Moment::StartTls,
            false => Moment::Auth,
        }
    }

    /// Begins a wait, unless it shares its limit with the one before.
    fn begin(&mut self, moment: Moment) {
        let is_hello = |moment| matches!(moment, Moment::Banner | Moment::Hello | Moment::Auth);
        let shares = |moment: Moment, next| match moment {
            Moment::StartTls => next == Moment::StartTls,
            moment => is_hello(moment) && is_hello(next),
        };
        if !shares(self.last, moment) {
            self.since = self.now;
        }
        self.last = moment;
    }

    fn lines(&mut self, up: bool, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let side = if up { &mut self.up } else { &mut self.down };
            let is_secure = side.records.is_some();
            let mut begun = std::mem::take(&mut side.line);
            let line = match begun.is_empty() {
                true => line,
                false => {
                    begun.extend_from_slice(line);
                    &begun
                }
            };
            match up {
                true => self.command(line),
                false => self.reply(line),
            }
            if self.down.records.is_some() && !is_secure {
                // What comes behind the reply to STARTTLS is none of the dialogue.
                return;
            }
        }
        let side = if up { &mut self.up } else { &mut self.down };
        side.line.extend_from_slice(bytes);
    }

    fn command(&mut self, line: &[u8]) {
        if self.text {
            if line == b".\r\n" {
                self.text = false;
                let replies = if self.lmtp { self.accepted.max(1) } else { 1 };
                (0..replies).for_each(|_| self.await_one(Moment::End));
            }
            return;
        }
        // Who has no response may also take leave.
        if std::mem::take(&mut self.challenged) && line != b"QUIT\r\n" {
            return self.await_one(self.login());
        }
        let verb = line.split(|byte| b" \r\n".contains(byte)).next();
        let moment = match verb.unwrap_or_default() {
            b"EHLO" | b"HELO" | b"LHLO" => Moment::Hello,
            b"STARTTLS" => Moment::StartTls,
            b"AUTH" => self.login(),
            b"XFORWARD" => Moment::Forward,
            b"MAIL" => {
                self.accepted = 0;
                Moment::Mail
            }
            b"RCPT" => Moment::Rcpt,
            b"DATA" => Moment::Data,
            b"RSET" => Moment::Rset,
            b"QUIT" => Moment::Quit,
            _ => {
                self.waits.is_askew = true;
                return;
            }
        };
        self.await_one(moment);
    }

    fn reply(&mut self, line: &[u8]) {
        let [class @ b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..] = line else {
            return;
        };
        if rest.first() == Some(&b'-') {
            return;
        }
        match (self.awaited.pop_front(), class) {
            (Some(Moment::StartTls), b'2') if !self.refused_tls => {
                self.await_one(Moment::Handshake);
                self.up.records = Some(Records::default());
                self.down.records = Some(Records::default());
            }
            (Some(Moment::StartTls), _) if !self.refused_tls => self.refused_tls = true,
            (Some(Moment::Auth | Moment::StartTls), b'3') => self.challenged = true,
            (Some(Moment::Rcpt), b'2') => self.accepted += 1,
            (Some(Moment::Data), b'3') => self.text = true,
            (Some(_), _) => {}
            // Something that nobody asked for.
            (None, _) => self.waits.is_askew = true,
        }
        if let Some(next) = self.awaits() {
            self.begin(next);
        }
    }
}
