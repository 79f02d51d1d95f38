//! The scripted server goes over to TLS: the handshake, and what is said where
//! none comes about. The encryption itself is in `tls.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use smtp_proto::Time;

use super::reply::Job;
use super::{ServerConnection, ServerStep, State, TlsServer};
use crate::scenario::Then;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the server waits for the first TLS bytes before it answers with text.
const GARBAGE_WAIT: Duration = Duration::from_secs(5);

/// How far a handshake has come.
#[derive(Debug)]
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there is none"))]
pub(super) enum Handshake {
    /// It goes on.
    Running,
    /// It is over, and came to nothing.
    Failed,
    /// It is over.
    Done {
        /// The name that the client asked for.
        sni: Option<String>,
        /// The common name in the client's certificate.
        client: Option<String>,
    },
}

impl ServerConnection {
    /// The client may begin a handshake. Of its bytes that are there already, the
    /// first `behind` came before the reply to STARTTLS: they are plaintext, and
    /// thrown away.
    pub(super) fn start_tls(
        &mut self,
        now: Time,
        then: Option<Then>,
        behind: usize,
    ) -> Option<ServerStep> {
        let hello = self.input.split_off(behind.min(self.input.len()));
        if then == Some(Then::Garbage) {
            self.input = hello;
            self.state = State::Garbage {
                until: now + GARBAGE_WAIT,
            };
            return None;
        }
        if self.config.script.tls.is_none() {
            self.input.unsplit(hello);
            return None;
        }
        self.input = hello;
        self.begin_handshake(now, true)
    }

    /// Begins a handshake with the bytes that are there; `greeted`: the greeting has
    /// been sent.
    pub(super) fn begin_handshake(&mut self, now: Time, greeted: bool) -> Option<ServerStep> {
        let unix_time = self.config.epoch + now.as_duration();
        let tls = match &self.config.script.tls {
            Some(script) => TlsServer::new(script, unix_time),
            None => Err("the script has no certificate".to_owned()),
        };
        match tls {
            Ok(tls) => self.tls = Some(Box::new(tls)),
            Err(why) => {
                self.note("T", &format!("no handshake: {why}"));
                return self.client_gone();
            }
        }
        self.state = State::Handshake {
            until: now + HANDSHAKE,
            greeted,
        };
        let hello = self.input.split();
        if let Some(plain) = self.unseal(&hello) {
            self.input.extend_from_slice(&plain);
        }
        None
    }

    /// Whether what is said is said inside TLS.
    pub(super) fn in_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Takes part in the handshake until it is over.
    pub(super) fn shake_hands(
        &mut self,
        now: Time,
        until: Time,
        greeted: bool,
    ) -> Option<ServerStep> {
        let tls = self.tls.as_mut()?;
        let (handshake, output) = (tls.handshake(), tls.output());
        if !output.is_empty() {
            self.state = State::Handshake { until, greeted };
            return Some(ServerStep::Send(output.into()));
        }
        match handshake {
            Handshake::Running if !self.eof && now < until => {
                self.wait(State::Handshake { until, greeted }, until)
            }
            Handshake::Running | Handshake::Failed => {
                self.note("T", "handshake failed");
                self.client_gone()
            }
            Handshake::Done { sni, client } => {
                let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
                let (sni, client) = (or_none(sni), or_none(client));
                let text = format!("handshake ok sni={sni} client_certificate={client}");
                self.note("T", &text);
                if !greeted {
                    return self.greet(now);
                }
                self.group_left = 0;
                self.state = State::Ready;
                None
            }
        }
    }

    /// Bytes of the client as they are meant; empty if there is nothing new yet.
    pub(super) fn unseal(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let tls = self.tls.as_mut()?;
        let mut plain = Vec::new();
        if !tls.receive(bytes, &mut plain) {
            self.eof = true;
        }
        Some(plain)
    }

    /// Bytes of the server as they go over the wire.
    pub(super) fn seal(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.tls {
            Some(tls) => tls.seal(&bytes).into(),
            None => bytes,
        }
    }

    /// Waits for the first bytes of a handshake and answers them with text.
    pub(super) fn answer_garbage(&mut self, now: Time, until: Time) -> Option<ServerStep> {
        if self.input.is_empty() && !self.eof && now < until {
            return self.wait(State::Garbage { until }, until);
        }
        self.note("T", "answered without TLS");
        let parts = VecDeque::from([Bytes::from_static(b"500 this is not a TLS record\r\n")]);
        let job = Job::closing();
        self.state = State::Reply {
            at: now,
            parts,
            job,
        };
        None
    }
}
