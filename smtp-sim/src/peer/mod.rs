//! A server of a simulated world: a state machine from well-behaved to hostile, and
//! a strict observer of its client. It is not a mail server and has no socket.
//!
//! [`Temper`] says how it behaves, [`Ledger`] what it saw. The text of a message, the
//! reply to RCPT TO and the faults depend on what the client says only, never on when
//! it says it.

mod dialogue;
mod ledger;
pub mod null_tls;
mod secure;
mod temper;
mod text;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use smtp_proto::Time;

use self::secure::Layer;
pub use self::{
    ledger::{Breach, Ledger, Login, Taken, TakenRecipient},
    null_tls::{Identity, NullTls},
    temper::{Act, Fault, MOMENTS, Moment, Temper},
};

/// What a server does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Sends bytes.
    Say(Vec<u8>),
    /// Sends nothing more, and goes on reading.
    Shutdown,
    /// Closes the connection.
    Close,
    /// Breaks the connection.
    Reset,
}

/// A line of the dialogue, for a person to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether the server said it.
    pub from_server: bool,
    /// Whether it was inside TLS.
    pub secure: bool,
    /// What was said.
    pub text: String,
}

/// What the next line is.
#[derive(Debug)]
enum Mode {
    Command,
    /// A response of a login, with how many are still to come.
    Login(u32),
    Text,
    /// After QUIT.
    Parted,
}

#[derive(Debug, Default)]
struct Envelope {
    sender: String,
    recipients: Vec<String>,
    text: Vec<u8>,
    /// MAIL FROM announced 8-bit text.
    eight_bit: bool,
    /// The text was refused while it came.
    refused: bool,
    begun: bool,
}

/// One connection of a server.
#[derive(Debug)]
pub struct Peer {
    temper: Arc<Temper>,
    connection: u32,
    now: Time,
    layer: Layer,
    /// What is in `input` came inside TLS, whatever has come behind it.
    secure: bool,
    mode: Mode,
    input: Vec<u8>,
    /// How much of `input` is known to hold no line end.
    scanned: usize,
    outbox: VecDeque<(Time, Deed)>,
    /// When the last thing in the outbox is due.
    last: Time,
    /// When the last reply is due.
    answered: Time,
    /// The bytes that were said or are about to be.
    said: u64,
    seen: [u32; MOMENTS.len()],
    greeted: bool,
    logged_in: bool,
    mail: Option<Envelope>,
    /// Says nothing more.
    mute: bool,
    /// Has said what nobody has to read.
    unreadable: bool,
    ended: bool,
    ledger: Ledger,
    lines: Option<Vec<Line>>,
}

impl Peer {
    /// A server that has just accepted its connection number `connection`, counted
    /// from zero. With `traced` it takes down the dialogue.
    pub fn new(temper: Arc<Temper>, connection: u32, now: Time, traced: bool) -> Self {
        let mut peer = Self {
            temper,
            connection,
            now,
            layer: Layer::Plain,
            secure: false,
            mode: Mode::Command,
            input: Vec::new(),
            scanned: 0,
            outbox: VecDeque::new(),
            last: now,
            answered: now,
            said: 0,
            seen: [0; MOMENTS.len()],
            greeted: false,
            logged_in: false,
            mail: None,
            mute: false,
            unreadable: false,
            ended: false,
            ledger: Ledger::default(),
            lines: traced.then(Vec::new),
        };
        match peer.temper.wrapped {
            true => peer.expect_handshake(),
            false => peer.greet(),
        }
        peer
    }

    /// What the server saw so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How it behaves.
    pub fn temper(&self) -> &Temper {
        &self.temper
    }

    /// The lines since the last call.
    pub fn take_lines(&mut self) -> Vec<Line> {
        match &mut self.lines {
            Some(lines) => std::mem::take(lines),
            None => Vec::new(),
        }
    }

    /// Takes bytes from the wire.
    pub fn receive(&mut self, wire: &[u8], now: Time) {
        self.now = now;
        if self.ended || wire.is_empty() {
            return;
        }
        match self.layer {
            Layer::Plain => self.input.extend_from_slice(wire),
            Layer::Handshake(_) | Layer::Secure(_) => self.unveil(wire),
            Layer::Over => return,
        }
        self.read_lines();
    }

    /// The client sends nothing more.
    pub fn disconnected(&mut self, now: Time) {
        self.now = now;
        self.end(Deed::Close);
    }

    /// The next thing to do, if it is due.
    pub fn poll(&mut self, now: Time) -> Option<Deed> {
        let (due, _) = self.outbox.front()?;
        if *due > now {
            return None;
        }
        self.outbox.pop_front().map(|(_, deed)| deed)
    }

    /// When the next thing is due.
    pub fn due(&self) -> Option<Time> {
        self.outbox.front().map(|(due, _)| *due)
    }

    /// Whether the server will never do anything again.
    pub fn is_over(&self) -> bool {
        self.ended && self.outbox.is_empty()
    }

    const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Counts a moment, and finds the fault that belongs to it.
    fn fault(&mut self, moment: Moment) -> Option<Act> {
        let at = MOMENTS.iter().position(|other| *other == moment)?;
        let seen = self.seen.get_mut(at)?;
        let nth = std::mem::replace(seen, seen.saturating_add(1));
        self.temper.fault(moment, nth, self.connection)
    }

    /// Puts wire bytes into the outbox.
    fn put(&mut self, wire: Vec<u8>, pause: Duration) {
        if self.mute || self.ended || wire.is_empty() {
            return;
        }
        self.last = self.last.max(self.now + self.temper.thinks + pause);
        self.said += wire.len() as u64;
        self.outbox.push_back((self.last, Deed::Say(wire)));
    }

    /// Says plain text. Returns where it ends in what the server says.
    fn say(&mut self, text: &str, pause: Duration) -> Option<u64> {
        if self.mute || self.ended {
            return None;
        }
        let secure = self.is_secure();
        self.ledger.refused |= text.starts_with('5');
        if let Some(lines) = &mut self.lines {
            lines.extend(text.lines().take(40).map(|line| Line {
                from_server: true,
                secure,
                text: line.chars().take(200).collect(),
            }));
        }
        let wire = self.veil(text);
        self.put(wire, pause);
        self.answered = self.last;
        (!self.unreadable).then_some(self.said)
    }

    /// Adds a reply that nobody asked for to what is said last, so that it arrives with
    /// it: whoever keeps the connection can know that it answers nothing.
    fn trail(&mut self) {
        if !matches!(self.outbox.back(), Some((_, Deed::Say(_)))) {
            return;
        }
        let wire = self.veil("250 2.0.0 and another one\r\n");
        if let Some((_, Deed::Say(bytes))) = self.outbox.back_mut() {
            self.said += wire.len() as u64;
            bytes.extend(wire);
        }
    }

    /// Ends the connection after what is in the outbox.
    fn end(&mut self, deed: Deed) {
        if !self.ended {
            self.ended = true;
            self.last = self.last.max(self.now);
            self.outbox.push_back((self.last, deed));
        }
    }

    fn breach(&mut self, breach: Breach) {
        // Whoever was told the wrong number of replies cannot know better.
        if !self.ledger.out_of_step {
            self.ledger.breaches.push(breach);
        }
    }
}
