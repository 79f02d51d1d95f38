//! What an input of the `session` target says: steering bytes, then what the peer says.

use std::time::Duration;

use arbitrary::Arbitrary;
use smtp_proto::{
    Address, HelloName, MailFrom, RcptTo, ReversePath, Secret, Time, Xforward, XforwardName,
    session::{
        DeadlineRule, HelloChoice, MechanismName, PixWorkarounds, Profile, Protocol, Stop,
        Transaction,
    },
};

/// Ends a burst of the peer. A byte behind it says after how many times
/// [`UNIT`] the next one comes. It is in no text that a server could mean.
const MARK: u8 = 0xff;
/// Pauses of up to 17 minutes, longer than any time limit.
const UNIT: Duration = Duration::from_secs(4);
/// Bytes of the peer that are looked at. More would be a flood, and where one is
/// noticed depends on the cuts.
const PEER: usize = 32 * 1024;

/// Lines with everything that matters in a text. None begins with a blank, so that
/// the breaking of long lines can be undone.
const LINES: [&str; 9] = [
    "Subject: x",
    "",
    ".",
    "..",
    "end",
    "QUIT",
    ".x",
    "\r.\r",
    "x",
];
/// How often the last of them is repeated in its line.
const LONG: usize = 5000;
/// Bytes that are easy to find in base64, for they are whole groups of three.
const SECRET: &[u8; 12] = b"\0user\0secret";
/// The same in base64.
pub(super) const SECRET_BASE64: &[u8] = b"AHVzZXIAc2VjcmV0";

/// A peer, and what is decided on this side. All zeros are a plain SMTP session.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Bits: LMTP; wrapper mode; the reply to QUIT is handled in the other way; early replies to MAIL
    /// block; two of the hello; time limits are for the whole request; a journal
    /// is kept.
    profile: u8,
    /// The lengths of chunks, in turn.
    pub(super) lengths: [u8; 3],
    /// Bits: PIX without ESMTP; two of its delay; two of the line length limit; XFORWARD.
    options: u8,
    recipients: u8,
    /// Pairs of bits: whether to say STARTTLS, whether to log in, when to leave.
    negotiation: u8,
    /// Two bits of the outcome, the others how long it takes.
    handshake: u8,
    initial: u8,
    /// Pairs of bits for the challenges, in turn.
    sasl: u8,
    /// How many lines it has. If odd, the last one has no end.
    text: u8,
    /// Bit: records rather than chunks; the others their size.
    pieces: u8,
    /// Two bits: where the first transaction stops; the others before which piece of a text the session is
    /// abandoned.
    stop: u8,
    /// Two bits: how many follow the first; a probe comes before; the last one
    /// keeps the connection too; the others how long it rests.
    messages: u8,
    /// Two bits: how the peer reads; the others so many bytes.
    reading: u8,
    /// Bit: the peer does not close at the end but stays silent.
    end: u8,
    peer: &'a [u8],
}

/// What is decided when the capabilities are known, or a challenge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Never,
    /// Once, if it is offered.
    Offered,
    /// Once, offered or not.
    Once,
    /// Offered or not, and again.
    Again,
}

/// How a handshake ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Established,
    Failed,
    Quit,
}

/// What is done with a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something is made of the challenge.
    Echo,
    /// The secret.
    Secret,
    Cancel,
    Quit,
}

/// How the peer takes what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    All,
    /// So many bytes at a time.
    Slowly(usize),
    /// So many bytes, then nothing.
    Deaf(usize),
    /// So many bytes, then it is gone.
    Gone(usize),
}

/// Some bits of a byte as a number.
fn bits(byte: u8, at: u8, count: u8) -> u8 {
    byte >> at & ((1 << count) - 1)
}

fn wish(number: u8) -> Wish {
    match number {
        0 => Wish::Offered,
        1 => Wish::Never,
        2 => Wish::Once,
        _ => Wish::Again,
    }
}

impl<'a> Case<'a> {
    pub(super) fn profile(&self) -> Option<Profile> {
        let flag = |at| bits(self.profile, at, 1) == 1;
        let protocol = if flag(0) {
            Protocol::Lmtp
        } else {
            Protocol::Smtp
        };
        let mut profile = Profile::new(protocol, HelloName::parse("client.example").ok()?);
        profile.own_name = "client.example".into();
        profile.skip_quit_response ^= flag(2);
        profile.block_early_mail_reply = flag(3);
        profile.hello = match bits(self.profile, 4, 2) {
            0 | 3 => HelloChoice::Ehlo,
            1 => HelloChoice::AsGreeted,
            _ => HelloChoice::Helo,
        };
        if flag(6) {
            profile.deadline = DeadlineRule::PerRequest { min_data_rate: 500 };
        }
        profile.journal = flag(7);
        // No delay is of no time: Postfix's least is one second.
        let delay = [None, Some(1), Some(10), Some(1000)];
        profile.pix = PixWorkarounds {
            disable_esmtp: bits(self.options, 0, 1) == 1,
            delay_dotcrlf: pick(&delay, bits(self.options, 1, 2))?.map(Duration::from_secs),
        };
        profile.line_length_limit = pick(&[998, 0, 80, 5000], bits(self.options, 3, 2))?;
        Some(profile)
    }

    pub(super) fn is_wrapped(&self) -> bool {
        bits(self.profile, 1, 1) == 1
    }

    /// The message with this number. There is always a recipient: a session without
    /// one is nothing that a caller may ask for.
    pub(super) fn transaction(&self, number: u8) -> Option<Transaction> {
        let sender = ReversePath::parse("from@example.org").ok()?;
        let address = |index| Address::parse(&format!("{index}@example.com")).ok();
        let recipients = (0..=self.recipients % 12).filter_map(address);
        let recipients = recipients.map(RcptTo::new).collect();
        let mut transaction = Transaction::new(MailFrom::new(sender), recipients);
        if bits(self.options, 5, 1) == 1 {
            let forward = |name| Some(Xforward(vec![(name, "x y".into())]));
            transaction.forward_name_addr = forward(XforwardName::Name);
            transaction.forward_proto_helo = forward(XforwardName::Helo);
        }
        if number == 0 {
            transaction.stop = match bits(self.stop, 0, 2) {
                1 => Stop::AfterRcpt,
                2 => Stop::AtText,
                _ => Stop::Never,
            };
        }
        let keep = number + 1 < self.messages() || bits(self.messages, 3, 1) == 1;
        transaction.keep_until = keep.then_some(Time::at(UNIT * 250));
        Some(transaction)
    }

    pub(super) fn messages(&self) -> u8 {
        bits(self.messages, 0, 2) + 1
    }

    pub(super) fn probes(&self) -> bool {
        bits(self.messages, 2, 1) == 1
    }

    pub(super) fn rest(&self) -> Duration {
        UNIT * 8 * u32::from(bits(self.messages, 4, 4))
    }

    pub(super) fn starttls(&self) -> Wish {
        wish(bits(self.negotiation, 0, 2))
    }

    pub(super) fn login(&self) -> Wish {
        wish(bits(self.negotiation, 2, 2))
    }

    /// Whether to leave instead of negotiating for this time.
    pub(super) fn leaves(&self, time: u8) -> bool {
        bits(self.negotiation, 4, 2) == time + 1
    }

    pub(super) fn mechanism(&self) -> Option<MechanismName> {
        MechanismName::parse("PLAIN").ok()
    }

    /// The initial response, of up to a thousand bytes, if there is one.
    pub(super) fn initial(&self) -> Option<Secret> {
        match self.initial {
            0 => None,
            u8::MAX => Some(Secret::default()),
            _ => Some(self.secret()),
        }
    }

    pub(super) fn secret(&self) -> Secret {
        let length = usize::from(self.initial) * 4;
        Secret::new(
            SECRET
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect::<Vec<u8>>(),
        )
    }

    pub(super) fn turn(&self, round: u32) -> Turn {
        match self.sasl >> (round % 4 * 2) & 3 {
            0 => Turn::Echo,
            1 => Turn::Secret,
            2 => Turn::Cancel,
            _ => Turn::Quit,
        }
    }

    pub(super) fn handshake(&self) -> (Handshake, Duration) {
        let outcome = match bits(self.handshake, 0, 2) {
            0 | 3 => Handshake::Established,
            1 => Handshake::Failed,
            _ => Handshake::Quit,
        };
        (outcome, UNIT * 2 * u32::from(bits(self.handshake, 2, 6)))
    }

    /// The text that each message has.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for line in LINES.iter().cycle().take(self.text.into()) {
            let count = if *line == "x" { LONG } else { 1 };
            text.extend_from_slice(line.repeat(count).as_bytes());
            text.push(b'\n');
        }
        if bits(self.text, 0, 1) == 1 {
            text.pop();
        }
        text
    }

    pub(super) fn in_records(&self) -> bool {
        bits(self.pieces, 0, 1) == 1
    }

    /// The size of the pieces in which a text comes; no text takes more than some
    /// hundred.
    pub(super) fn piece(&self, text: usize) -> usize {
        match usize::from(bits(self.pieces, 1, 7)) {
            0 => text,
            size => (size * size).max(text / 256),
        }
    }

    pub(super) fn abandons(&self, piece: usize) -> bool {
        usize::from(bits(self.stop, 2, 6)) == piece + 1
    }

    pub(super) fn reading(&self) -> Reading {
        let bytes = usize::from(bits(self.reading, 2, 6)) * 8;
        match bits(self.reading, 0, 2) {
            0 => Reading::All,
            1 => Reading::Slowly(bytes + self.text().len() / 256 + 1),
            2 => Reading::Deaf(bytes),
            _ => Reading::Gone(bytes),
        }
    }

    pub(super) fn closes(&self) -> bool {
        bits(self.end, 0, 1) == 0
    }

    /// Whether the peer knows what nobody but this side should say.
    pub(super) fn knows_secret(&self) -> bool {
        let mut places = self.peer.windows(SECRET_BASE64.len());
        places.any(|window| window == SECRET_BASE64)
    }

    /// What the peer says, and how long it is silent afterwards.
    pub(super) fn bursts(&self) -> impl Iterator<Item = (&'a [u8], Duration)> + use<'a> {
        let mut rest = self.peer.get(..PEER).unwrap_or(self.peer);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = rest.iter().position(|byte| *byte == MARK);
            let (burst, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let pause = behind.get(1).copied().unwrap_or_default();
            rest = behind.get(2..).unwrap_or_default();
            Some((burst, UNIT * u32::from(pause)))
        })
    }
}

fn pick<T: Copy>(table: &[T], number: u8) -> Option<T> {
    table.get(usize::from(number)).copied()
}
