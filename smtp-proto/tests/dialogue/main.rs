//! Scripted dialogues: what the session says, in which groups, and how it ends.
//!
//! A script is lines of `C:` (the client must say this, all consecutive lines in
//! one go), `S:` (the server says this), `EOF` (the server closes), `+N` (N
//! seconds pass), `TLS established`, `TLS failed`, `TLS quit` (how the handshake
//! ended).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ending;
mod envelope;
mod greeting;
mod sasl;
mod starttls;
mod text;
mod transitions;

use std::time::Duration;

use bytes::{Buf, Bytes};
use smtp_proto::{
    Address, HelloName, MailFrom, RcptTo, ReversePath, Secret, Time,
    session::{
        Closed, Event, MechanismName, Need, Profile, Protocol, SaslTurn, Session, Stage, Step,
        Transaction,
    },
};

/// A session and what it is to deliver.
pub struct Play {
    session: Session,
    now: Time,
    mail: Option<Transaction>,
    login: Option<Login>,
    answer: fn(SaslTurn<'_>),
    text: Bytes,
    /// Replies in the order in which they came up, as `stage code`.
    pub replies: Vec<(Stage, u16)>,
    pub closed: Option<Closed>,
    /// Whether the session came to rest with a transaction behind it.
    pub rested: bool,
    /// What else came up.
    pub notes: Vec<Event>,
    starts_tls: bool,
}

/// What the session is to log in with: mechanism and initial response.
pub type Login = (&'static str, Option<String>);

pub fn profile(protocol: Protocol) -> Profile {
    Profile::new(protocol, HelloName::parse("client.example").unwrap())
}

pub fn transaction(recipients: &[&str]) -> Transaction {
    let recipients = recipients
        .iter()
        .map(|address| RcptTo::new(Address::parse(address).unwrap()))
        .collect();
    Transaction::new(
        MailFrom::new(ReversePath::parse("from@example.org").unwrap()),
        recipients,
    )
}

pub const LETTER: &str = "Subject: hi\n\n.dot\nlast\n";

impl Play {
    pub fn new(profile: Profile, mail: Transaction) -> Self {
        Self {
            session: Session::new(profile, Time::ZERO),
            now: Time::ZERO,
            mail: Some(mail),
            login: None,
            answer: |turn| turn.quit(),
            text: Bytes::from_static(LETTER.as_bytes()),
            replies: Vec::new(),
            closed: None,
            rested: false,
            starts_tls: false,
            notes: Vec::new(),
        }
    }

    /// Says STARTTLS, once, where it is offered.
    pub fn with_tls(mut self) -> Self {
        self.starts_tls = true;
        self
    }

    /// Begins with a TLS handshake.
    pub fn wrapped(mut self) -> Self {
        self.session = Session::wrapped(profile(Protocol::Smtp), Time::ZERO);
        self
    }

    pub fn smtp(recipients: &[&str]) -> Self {
        Self::new(profile(Protocol::Smtp), transaction(recipients))
    }

    pub fn lmtp(recipients: &[&str]) -> Self {
        Self::new(profile(Protocol::Lmtp), transaction(recipients))
    }

    pub fn with_text(mut self, text: impl Into<Bytes>) -> Self {
        self.text = text.into();
        self
    }

    /// Logs in before the message, and answers challenges.
    pub fn with_login(mut self, login: Login, answer: fn(SaslTurn<'_>)) -> Self {
        self.login = Some(login);
        self.answer = answer;
        self
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Plays a script to its end.
    pub fn run(mut self, script: &str) -> Self {
        let mut expected = String::new();
        let mut listening = false;
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            if let Some(said) = line.strip_prefix("C:") {
                expected.push_str(said.trim_start());
                expected.push_str("\r\n");
                listening = false;
                continue;
            }
            let said = line.strip_prefix("S:");
            // What the server says without a pause arrives in one piece.
            if !(listening && said.is_some()) {
                assert_eq!(self.pump(), expected, "before {line:?}");
                expected.clear();
            }
            listening = said.is_some();
            if let Some(said) = said {
                self.session
                    .receive(format!("{}\r\n", said.trim_start()).as_bytes());
            } else if let Some(outcome) = line.strip_prefix("TLS ") {
                let gate = self.session.tls_gate().unwrap();
                match outcome {
                    "established" => gate.established(),
                    "failed" => gate.failed(),
                    "quit" => gate.quit(),
                    other => panic!("what is {other:?}?"),
                }
            } else if line == "EOF" {
                self.session.disconnected();
            } else if let Some(seconds) = line.strip_prefix('+') {
                self.now = self.now + Duration::from_secs(seconds.parse().unwrap());
            } else {
                panic!("what is {line:?}?");
            }
        }
        assert_eq!(self.pump(), expected, "at the end");
        self
    }

    /// Lets the session go as far as it can; returns what it wrote.
    pub fn pump(&mut self) -> String {
        let mut written = Vec::new();
        loop {
            match self.session.poll(self.now) {
                Step::Send { .. } => {
                    let output = self.session.output();
                    let chunk = output.copy_to_bytes(output.remaining());
                    written.extend_from_slice(&chunk);
                }
                Step::Wait { .. } => break,
                Step::Closed(why) => {
                    self.closed = Some(why);
                    break;
                }
                Step::Event(Event::Reply(stage, reply)) => self.replies.push((stage, reply.code())),
                Step::Event(event) => self.notes.push(event),
                Step::Need(Need::Negotiation) => self.negotiate(),
                Step::Need(Need::Tls) => break,
                Step::Need(Need::Sasl) => (self.answer)(self.session.sasl().unwrap()),
                Step::Need(Need::Envelope) => match self.mail.take() {
                    Some(mail) => self.session.idle().unwrap().send(mail),
                    None => {
                        self.rested = true;
                        break;
                    }
                },
                Step::Need(Need::Body) => self.hand_over_text(),
            }
        }
        String::from_utf8_lossy(&written).into_owned()
    }

    /// Hands text over until there is no more room for it, and writes nothing.
    pub fn fill(&mut self) {
        loop {
            match self.session.poll(self.now) {
                Step::Need(Need::Body) => self.hand_over_text(),
                Step::Event(Event::Reply(stage, reply)) => self.replies.push((stage, reply.code())),
                Step::Send { .. } => break,
                step => panic!("{step:?}"),
            }
        }
    }

    /// Hands over a piece of text as soon as there is room for it.
    pub fn fill_with(&mut self, text: &'static str) {
        while self.session.poll(self.now) != Step::Need(Need::Body) {}
        self.session.body().unwrap().push(text.into());
    }

    /// Polls at a time when there is no text to hand over.
    pub fn owe(&mut self, after: Duration) -> Step {
        match self.session.poll(Time::at(after)) {
            Step::Need(Need::Body) => {
                self.session.body().unwrap().wait();
                self.session.poll(Time::at(after))
            }
            step => step,
        }
    }

    fn negotiate(&mut self) {
        let negotiation = self.session.negotiation().unwrap();
        if core::mem::take(&mut self.starts_tls) && negotiation.capabilities().starttls {
            return negotiation.start_tls();
        }
        match self.login.take() {
            Some((mechanism, initial)) => {
                let initial = initial.map(Secret::new);
                negotiation.auth(&MechanismName::parse(mechanism).unwrap(), initial.as_ref());
            }
            None => negotiation.ready(),
        }
    }

    fn hand_over_text(&mut self) {
        let body = self.session.body().unwrap();
        let (offset, room) = (body.offset() as usize, body.room());
        let chunk = self.text.slice(offset..self.text.len().min(offset + room));
        if chunk.is_empty() {
            body.finish();
        } else {
            body.push(chunk);
        }
    }
}
