//! How a simulated server goes over to TLS and speaks in it: without cryptography, or
//! with a handshake of rustls where it has a certificate.

use std::time::Duration;

use super::{
    Act, Breach, Deed, Moment, Peer,
    null_tls::{Records, hello_of, kind, record},
};
use crate::{server::TlsServer, world::EPOCH};

/// How far TLS has come.
#[derive(Debug)]
pub(super) enum Layer {
    Plain,
    Handshake(Wire),
    Secure(Wire),
    /// What came is no TLS, or its end.
    Over,
}

/// What TLS is made of.
#[derive(Debug)]
pub(super) enum Wire {
    Null(Records),
    Real(Box<TlsServer>),
}

/// A fatal alert `handshake_failure` in a record of TLS 1.2 (RFC 5246 section 7.2.2).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

impl Peer {
    /// Waits for a handshake.
    pub(super) fn expect_handshake(&mut self) {
        let Some(script) = &self.temper.certificate else {
            self.layer = Layer::Handshake(Wire::Null(Records::default()));
            return;
        };
        match TlsServer::new(script, EPOCH + self.now.as_duration()) {
            Ok(server) => self.layer = Layer::Handshake(Wire::Real(Box::new(server))),
            Err(_) => self.end(Deed::Close),
        }
    }

    /// Takes bytes of TLS.
    pub(super) fn unveil(&mut self, wire: &[u8]) {
        match &mut self.layer {
            Layer::Handshake(Wire::Null(records)) | Layer::Secure(Wire::Null(records)) => {
                records.push(wire);
                self.read_records();
            }
            Layer::Handshake(Wire::Real(_)) => self.negotiate(wire),
            Layer::Secure(Wire::Real(server)) => {
                server.receive(wire, &mut self.input);
                let answer = server.output();
                self.put(answer, Duration::ZERO);
            }
            Layer::Plain | Layer::Over => {}
        }
    }

    /// Text as it goes over the wire.
    pub(super) fn veil(&mut self, text: &str) -> Vec<u8> {
        match &mut self.layer {
            Layer::Secure(Wire::Real(server)) => server.seal(text.as_bytes()),
            _ if self.secure => {
                let mut wire = Vec::new();
                record(kind::DATA, text.as_bytes(), &mut wire);
                wire
            }
            _ => text.as_bytes().to_vec(),
        }
    }

    fn read_records(&mut self) {
        loop {
            let (records, secure) = match &mut self.layer {
                Layer::Handshake(Wire::Null(records)) => (records, false),
                Layer::Secure(Wire::Null(records)) => (records, true),
                _ => return,
            };
            match (records.next(), secure) {
                (None, _) => return,
                (Some(Ok((kind::CLIENT_HELLO, _))), false) => self.shake_hands(),
                (Some(Ok((kind::DATA, payload))), true) => self.input.extend_from_slice(&payload),
                (Some(Ok((kind::ALERT, _))), _) => self.layer = Layer::Over,
                (Some(_), _) => {
                    self.breach(Breach::NoHandshake);
                    self.end(Deed::Close);
                    return;
                }
            }
        }
    }

    fn shake_hands(&mut self) {
        let mut alert = Vec::new();
        record(kind::ALERT, &[40], &mut alert);
        let Some(pause) = self.misbehave(alert) else {
            return;
        };
        let mut wire = Vec::new();
        let identity = self.temper.tls.unwrap_or_default();
        record(kind::SERVER_HELLO, &hello_of(identity), &mut wire);
        self.put(wire, pause);
        self.enter();
    }

    /// Goes on with a handshake of rustls.
    fn negotiate(&mut self, wire: &[u8]) {
        let begins = self.seen.get(Moment::Handshake as usize) == Some(&0);
        let pause = match begins {
            true => self.misbehave(ALERT.to_vec()),
            false => Some(Duration::ZERO),
        };
        let (Some(pause), Layer::Handshake(Wire::Real(server))) = (pause, &mut self.layer) else {
            return;
        };
        let goes_on = server.receive(wire, &mut self.input);
        let (answer, is_done) = (server.output(), server.is_done());
        self.put(answer, pause);
        if is_done {
            self.enter();
        } else if !goes_on {
            self.end(Deed::Close);
        }
    }

    /// Goes wrong in the handshake. Returns how long to wait before going on with it;
    /// `None`: it is over.
    fn misbehave(&mut self, alert: Vec<u8>) -> Option<Duration> {
        match self.fault(Moment::Handshake) {
            Some(Act::Alert | Act::Code(_) | Act::Leave) => {
                self.put(alert, Duration::ZERO);
                self.end(Deed::Close);
                return None;
            }
            Some(Act::Drop | Act::Crash) => {
                self.end(Deed::Close);
                return None;
            }
            Some(Act::Reset) => {
                self.end(Deed::Reset);
                return None;
            }
            Some(Act::Mute) => self.mute = true,
            Some(Act::Rubbish) => self.put(b"250 what?\r\n".to_vec(), Duration::ZERO),
            Some(Act::Late(time)) => return Some(time),
            _ => {}
        }
        Some(Duration::ZERO)
    }

    /// The handshake is over: the dialogue begins anew.
    fn enter(&mut self) {
        let Layer::Handshake(wire) = std::mem::replace(&mut self.layer, Layer::Over) else {
            return;
        };
        self.layer = Layer::Secure(wire);
        self.secure = true;
        self.greeted = false;
        if self.temper.wrapped {
            self.greet();
        }
    }
}
