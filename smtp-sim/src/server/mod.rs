//! The scripted SMTP or LMTP server: one connection as a state machine. It has
//! no socket and no clock: bytes and times go in, bytes and waiting times come
//! out. It is not a mail server; it plays a [`ServerScript`] and writes down
//! what it sees.
//!
//! The driver calls [`ServerConnection::poll`] and does what the step says. Bytes
//! from the client go in through [`ServerConnection::receive`] at any time.
//!
//! The server handles one command at a time. Before it answers the first of the
//! commands that have arrived it waits until the client has been quiet for the
//! *hold*; all commands that are there by then form one pipeline group.

mod data;
mod dialogue;
mod reply;
mod rules;
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smtp_proto::{Protocol, Time};

use crate::scenario::{Rule, ServerScript, SessionRecord};
use data::Content;
use reply::{After, Job};
use rules::EventCounts;
pub(crate) use tls::TlsServer;

/// After this time without a byte from the client the server closes.
const IDLE: Duration = Duration::from_secs(60);
/// How long a server that has closed its side waits for the client to close.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the server waits for the client to close after the reply to QUIT.
const QUIT_LINGER: Duration = Duration::from_secs(3);

/// What all connections to one endpoint have in common.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The endpoint as the scenario names it; it goes into the record.
    pub endpoint: String,
    /// What the server does.
    pub script: ServerScript,
    /// The protocol of the scenario; the script may name another one.
    pub protocol: Protocol,
    /// How long the client must be quiet before the server answers. Zero: the
    /// server answers at once, and groups mean little.
    pub hold: Duration,
    /// The time of day at [`Time::ZERO`], in Unix time. It decides which certificates
    /// of clients are valid.
    pub epoch: Duration,
}

/// What the driver of a [`ServerConnection`] has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ServerStep {
    /// Write these bytes in one piece, then poll again. A failure is ignored.
    Send(Bytes),
    /// Read from the client until `until`; poll again after bytes came in, after
    /// the end of the input, or at that time.
    Wait {
        /// When to poll at the latest.
        until: Time,
    },
    /// Do not read. Poll again at `until`, or after
    /// [`ServerConnection::disconnected`] once the client is known to be gone.
    Stall {
        /// When to poll at the latest.
        until: Time,
    },
    /// Close the sending side (FIN), then poll again.
    Shutdown,
    /// Drop the connection with a TCP reset. The connection is over.
    Reset,
    /// Close the connection. It is over.
    Close,
}

/// What the server is doing.
#[derive(Debug)]
enum State {
    /// Nothing yet: the greeting is to be sent.
    Start,
    /// Waiting for a whole line.
    Line,
    /// Waiting for the client to be quiet; then the group is written down.
    Hold(Group),
    /// A line of the current group is to be handled.
    Ready,
    /// The reply waits for its time.
    Delay { until: Time, job: Job },
    /// The reply is being sent piece by piece.
    Reply {
        at: Time,
        parts: VecDeque<Bytes>,
        job: Job,
    },
    /// Taking message content.
    Content(Content),
    /// Taking no content, until the client gives up.
    StopReading,
    /// Answering nothing, until the client gives up.
    Silent,
    /// QUIT came; does the client wait for the reply?
    Quit { until: Time, rule: Option<Rule> },
    /// The reply to QUIT is out (or left out, if `mute`); the client should close.
    QuitLinger { until: Time, mute: bool },
    /// Taking part in a TLS handshake; if not `greeted`, the greeting follows.
    Handshake { until: Time, greeted: bool },
    /// Waiting for TLS bytes that will be answered with text.
    Garbage { until: Time },
    /// The server is about to close its side.
    Farewell,
    /// The server has closed its side.
    Drain { until: Time },
    /// Reset instead of closing.
    Aborted,
    /// Over.
    Ended,
}

/// Which kind of group is being collected.
#[derive(Debug)]
enum Group {
    /// It begins with a command.
    Command,
    /// It begins with the response to a 334 reply.
    Response,
    /// It begins with the end of the content, held here.
    EndOfData(Vec<u8>),
}

/// One connection to a scripted server.
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<ServerConfig>,
    number: u32,
    record: SessionRecord,
    input: BytesMut,
    eof: bool,
    last_input: Time,
    counts: EventCounts,
    /// The TLS of this connection, from the beginning of the handshake on.
    tls: Option<Box<TlsServer>>,
    accepted: usize,
    group_left: usize,
    awaiting_response: bool,
    state: State,
}

impl ServerConnection {
    /// A connection that has just been accepted. `number` counts the connections
    /// to this endpoint from 1; `peer` is the client's address for scripts that
    /// record it.
    pub fn new(config: Arc<ServerConfig>, number: u32, peer: &str, now: Time) -> Self {
        let record = SessionRecord {
            server: config.endpoint.clone(),
            ..SessionRecord::default()
        };
        let mut connection = Self {
            config,
            number,
            record,
            input: BytesMut::new(),
            eof: false,
            last_input: now,
            counts: EventCounts::default(),
            tls: None,
            accepted: 0,
            group_left: 0,
            awaiting_response: false,
            state: State::Start,
        };
        if connection.config.script.record_peer {
            connection.note("P", peer);
        }
        connection
    }

    /// Takes bytes that the client sent. After the end of the input, or while
    /// nothing is read any more, they are dropped.
    pub fn receive(&mut self, now: Time, bytes: &[u8]) {
        if self.eof || bytes.is_empty() {
            return;
        }
        let plain = self.unseal(bytes);
        let bytes = plain.as_deref().unwrap_or(bytes);
        if bytes.is_empty() {
            return;
        }
        if let State::Content(content) = &mut self.state {
            content.note_arrival(now.since(self.last_input), &self.input);
        }
        self.last_input = now;
        match self.state {
            State::Silent | State::Drain { .. } | State::Ended | State::Aborted => {}
            _ => self.input.extend_from_slice(bytes),
        }
    }

    /// The client has closed the connection, or reading failed.
    pub fn disconnected(&mut self) {
        self.eof = true;
    }

    /// What was seen so far.
    pub fn record(&self) -> &SessionRecord {
        &self.record
    }

    /// Whether the connection is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended | State::Aborted)
    }

    /// What to do next. The time must not go backwards.
    pub fn poll(&mut self, now: Time) -> ServerStep {
        loop {
            if let Some(step) = self.advance(now) {
                return step;
            }
        }
    }

    fn advance(&mut self, now: Time) -> Option<ServerStep> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start => self.greet(now),
            State::Line => self.wait_for_line(now),
            State::Hold(group) => self.hold(now, group),
            State::Ready => self.handle_line(now),
            State::Delay { until, job } => self.delay(now, until, job),
            State::Reply { at, parts, job } => self.send_part(now, at, parts, job),
            State::Content(content) => self.take_content(now, content),
            State::StopReading => self.stop_reading(now),
            State::Silent => self.stay_silent(now),
            State::Quit { until, rule } => self.answer_quit(now, until, rule),
            State::QuitLinger { until, mute } => self.linger(now, until, mute),
            State::Handshake { until, greeted } => self.shake_hands(now, until, greeted),
            State::Garbage { until } => self.answer_garbage(now, until),
            State::Farewell => {
                self.state = State::Drain { until: now + DRAIN };
                Some(ServerStep::Shutdown)
            }
            State::Drain { until } => self.drain(now, until),
            State::Aborted => {
                self.state = State::Aborted;
                Some(ServerStep::Reset)
            }
            State::Ended => Some(ServerStep::Close),
        }
    }

    /// Stays in a state until there is input, the end of it, or `until`.
    fn wait(&mut self, state: State, until: Time) -> Option<ServerStep> {
        self.state = state;
        Some(ServerStep::Wait { until })
    }

    fn note(&mut self, kind: &str, text: &str) {
        self.record
            .transcript
            .push((kind.to_owned(), text.to_owned()));
    }

    fn find(&mut self, event: &str, line: &str) -> Option<Rule> {
        let in_tls = self.in_tls();
        self.counts
            .find(&self.config.script, self.number, in_tls, event, line)
    }

    fn is_lmtp(&self) -> bool {
        self.config.script.protocol.unwrap_or(self.config.protocol) == Protocol::Lmtp
    }

    /// The client is gone: the record says so, and that is all.
    fn client_gone(&mut self) -> Option<ServerStep> {
        self.note("X", "client");
        self.state = State::Ended;
        None
    }

    /// The server ends the connection without ado.
    fn give_up(&mut self) -> Option<ServerStep> {
        self.note("X", "server");
        self.state = State::Ended;
        None
    }

    /// The server ends the connection and lets the client finish.
    fn close(&mut self) -> Option<ServerStep> {
        self.note("X", "server");
        self.input.clear();
        self.state = State::Farewell;
        let farewell = self.tls.as_mut().map(|tls| tls.close())?;
        (!farewell.is_empty()).then(|| ServerStep::Send(farewell.into()))
    }

    fn drain(&mut self, now: Time, until: Time) -> Option<ServerStep> {
        if self.eof || now >= until {
            return None;
        }
        self.wait(State::Drain { until }, until)
    }

    fn stay_silent(&mut self, now: Time) -> Option<ServerStep> {
        let until = self.last_input + IDLE;
        self.input.clear();
        if self.eof || now >= until {
            return self.client_gone();
        }
        self.wait(State::Silent, until)
    }

    fn stop_reading(&mut self, now: Time) -> Option<ServerStep> {
        let until = self.last_input + IDLE;
        if self.eof || now >= until {
            return self.client_gone();
        }
        self.state = State::StopReading;
        Some(ServerStep::Stall { until })
    }
}

/// Bytes as text for a transcript; what is not UTF-8 is written as `\xNN`.
fn show(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The first word of a line in upper case; empty if there is none.
fn verb(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase()
}

#[cfg(test)]
mod tests;
