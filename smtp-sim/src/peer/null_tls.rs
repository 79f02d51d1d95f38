//! TLS without cryptography, for runs that are equal byte for byte: the messages of
//! a handshake, records, alerts and the end of the stream, but no keys. It protects
//! nothing. Payload is put out of sight, so that a checker that looks for plaintext
//! on the wire does not find what was meant to be protected.
//!
//! A record is one byte for its kind, two for its length, and the payload.

use std::sync::Arc;

use bytes::Buf;
use smtp_policy::tls::{Demand, TlsConnector, TlsEngine, TlsFacts, TlsSetup, TlsTrouble, Trust};
use smtp_proto::SendQueue;

/// The longest payload of a record, in bytes.
const PAYLOAD: usize = 16 * 1024;
/// What payload is combined with.
const VEIL: u8 = 0xa5;

/// The kinds of records. None is a character of a command.
pub(crate) mod kind {
    /// The client's first words.
    pub(crate) const CLIENT_HELLO: u8 = 0x91;
    /// The server's answer: who it is.
    pub(crate) const SERVER_HELLO: u8 = 0x92;
    /// Protected data.
    pub(crate) const DATA: u8 = 0x93;
    /// An alert; with the payload 0 the end of the stream.
    pub(crate) const ALERT: u8 = 0x94;
}

/// How a server of a simulated world proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// A certificate that nobody vouches for.
    #[default]
    Unknown,
    /// A trusted certificate with another name.
    WrongName,
    /// What any demand asks for.
    Proven,
}

/// Puts a record at the end of `wire`.
pub(crate) fn record(kind: u8, payload: &[u8], wire: &mut Vec<u8>) {
    for part in payload.chunks(PAYLOAD) {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        wire.push(kind);
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend(part.iter().map(|byte| byte ^ VEIL));
    }
}

/// Records out of bytes in any chunking.
#[derive(Debug, Default)]
pub(crate) struct Records {
    buffer: Vec<u8>,
}

impl Records {
    pub(crate) fn push(&mut self, wire: &[u8]) {
        self.buffer.extend_from_slice(wire);
    }

    /// The next whole record; `Err` if what comes is none.
    pub(crate) fn next(&mut self) -> Option<Result<(u8, Vec<u8>), ()>> {
        let [kind, high, low, ..] = *self.buffer.as_slice() else {
            let wrong = self.buffer.first().is_some_and(|kind| is_wrong(*kind));
            return wrong.then_some(Err(()));
        };
        if is_wrong(kind) {
            return Some(Err(()));
        }
        let end = 3 + usize::from(u16::from_be_bytes([high, low]));
        let payload = self.buffer.get(3..end)?;
        let payload = payload.iter().map(|byte| byte ^ VEIL).collect();
        self.buffer.drain(..end);
        Some(Ok((kind, payload)))
    }
}

fn is_wrong(kind: u8) -> bool {
    !(kind::CLIENT_HELLO..=kind::ALERT).contains(&kind)
}

/// Where the client's engines come from.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullTls;

impl NullTls {
    /// For [`Policy::with_tls`](smtp_policy::policy::Policy::with_tls).
    pub fn connector() -> Arc<dyn TlsConnector> {
        Arc::new(Self)
    }
}

impl TlsConnector for NullTls {
    fn engine(&self, setup: &TlsSetup) -> Result<Box<dyn TlsEngine>, TlsTrouble> {
        Ok(Box::new(Client {
            demands: setup.demand != Demand::Nothing,
            spoken: false,
            over: false,
            trouble: None,
            identity: None,
            records: Records::default(),
        }))
    }
}

/// The client's side of one connection.
#[derive(Debug)]
struct Client {
    demands: bool,
    spoken: bool,
    over: bool,
    trouble: Option<TlsTrouble>,
    identity: Option<Identity>,
    records: Records,
}

impl TlsEngine for Client {
    fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        self.records.push(wire);
        while let Some(record) = self.records.next() {
            let trouble = match (record, self.identity) {
                (Ok((kind::SERVER_HELLO, payload)), None) => {
                    self.identity = Some(match payload.as_slice() {
                        [2] => Identity::Proven,
                        [1] => Identity::WrongName,
                        _ => Identity::Unknown,
                    });
                    continue;
                }
                (Ok((kind::DATA, payload)), Some(_)) => {
                    plain.extend_from_slice(&payload);
                    continue;
                }
                (Ok((kind::ALERT, payload)), _) if payload == [0] => {
                    self.over = true;
                    continue;
                }
                (Ok((kind::ALERT, _)), _) => "received fatal alert",
                (Ok(_), _) => "unexpected record",
                (Err(()), _) => "received corrupt message",
            };
            let trouble = TlsTrouble(trouble.to_owned());
            self.trouble = Some(trouble.clone());
            return Err(trouble);
        }
        Ok(())
    }

    fn seal(&mut self, plain: &mut dyn Buf, wire: &mut SendQueue) -> Result<(), TlsTrouble> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let mut out = Vec::new();
        if !self.spoken {
            self.spoken = true;
            record(kind::CLIENT_HELLO, b"hello", &mut out);
        }
        while self.identity.is_some() && plain.has_remaining() {
            let chunk = plain.chunk();
            let length = chunk.len();
            record(kind::DATA, chunk, &mut out);
            plain.advance(length);
        }
        wire.write(&out);
        Ok(())
    }

    fn close(&mut self, wire: &mut SendQueue) {
        let mut out = Vec::new();
        record(kind::ALERT, &[0], &mut out);
        wire.write(&out);
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn facts(&self) -> Option<TlsFacts> {
        let identity = self.identity?;
        let trust = match identity {
            Identity::Unknown => Trust::Untrusted,
            Identity::WrongName => Trust::Trusted,
            Identity::Proven if self.demands => Trust::Verified,
            Identity::Proven => Trust::Trusted,
        };
        let matched = self.demands && identity == Identity::Proven;
        Some(TlsFacts::new(
            "TLSv1.3",
            "NULL".to_owned(),
            0,
            trust,
            matched,
        ))
    }
}

/// The payload of a server's first record.
pub(crate) const fn hello_of(identity: Identity) -> [u8; 1] {
    match identity {
        Identity::Unknown => [0],
        Identity::WrongName => [1],
        Identity::Proven => [2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_any_cut_and_rubbish_is_seen_at_once() {
        let mut wire = Vec::new();
        record(kind::DATA, b"first", &mut wire);
        record(kind::ALERT, &[0], &mut wire);
        let mut records = Records::default();
        let mut seen = Vec::new();
        for byte in &wire {
            records.push(&[*byte]);
            seen.extend(records.next());
        }
        assert_eq!(
            seen,
            [
                Ok((kind::DATA, b"first".to_vec())),
                Ok((kind::ALERT, vec![0]))
            ]
        );
        records.push(b"2");
        assert_eq!(records.next(), Some(Err(())));
    }
}
