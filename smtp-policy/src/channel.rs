//! A connection as the engine and the connection cache hold it: the dialogue's
//! state, its encryption, and what is known about the peer. Not the socket, which
//! the driver keeps beside it.
//!
//! It has the same interface as a [`Session`], but what goes in and out is what is
//! on the wire.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{
    queue::SendQueue,
    session::{Closed, Need, Session, Stage, Step},
    time::Time,
};

use crate::{
    server::Server,
    tls::{TlsEngine, TlsFacts, TlsLevel, TlsTrouble},
};

/// Plain text is encrypted while less than this waits to be written.
const WIRE_ROOM: usize = 64 * 1024;

/// One open connection without its socket. Opaque to drivers: they get it with
/// [`Ask::Keep`](crate::delivery::Ask::Keep) and give it back to
/// [`Delivery::reused`](crate::delivery::Delivery::reused).
#[derive(Debug)]
pub struct Channel {
    pub(crate) session: Session,
    pub(crate) peer: Arc<Peer>,
    /// Whether the server knows who we are (AUTH).
    pub(crate) authenticated: bool,
    /// How many messages went over the connection before the present one.
    pub(crate) uses: u32,
    /// When `smtp_connection_reuse_time_limit` ends the connection's life.
    pub(crate) expires: Time,
    /// The TLS level that the connection was made with.
    pub(crate) level: TlsLevel,
    tls: Option<Box<Secured>>,
}

/// The encryption of a channel.
#[derive(Debug)]
struct Secured {
    engine: Box<dyn TlsEngine>,
    /// What is to be written, encrypted.
    wire: SendQueue,
    /// How much the wire had carried when last looked at.
    written: u64,
    /// What was decrypted before the session was let through the gate.
    early: Vec<u8>,
    trouble: Option<TlsTrouble>,
    line: Line,
    ending: Ending,
    closing: Option<(Closed, Time)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Open,
    /// The peer sends nothing more.
    Silent,
    /// Nothing can be written any more.
    Dead,
}

/// How the encryption ends after the dialogue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// How long it may take to write the last bytes.
    pub(crate) limit: Duration,
    /// Wait so long for the peer to end its side too
    /// (`tls_fast_shutdown_enable = no`).
    pub(crate) wait: Option<Duration>,
}

/// Where a TLS handshake stands.
#[derive(Debug)]
pub(crate) enum Handshake {
    /// It needs an engine.
    NotBegun,
    /// It goes on.
    UnderWay,
    /// It has succeeded.
    Done(Box<TlsFacts>),
    /// It has failed.
    Failed(TlsTrouble),
}

impl Channel {
    pub(crate) fn new(session: Session, peer: Arc<Peer>, expires: Time, level: TlsLevel) -> Self {
        Self {
            session,
            peer,
            authenticated: false,
            uses: 0,
            expires,
            level,
            tls: None,
        }
    }

    /// Moves dialogue and encryption on: see [`Session::poll`].
    /// [`Need::Tls`] comes when [`handshake`](Self::handshake) has news.
    pub(crate) fn poll(&mut self, now: Time) -> Step {
        match &mut self.tls {
            None => self.session.poll(now),
            Some(tls) => tls.poll(&mut self.session, now),
        }
    }

    /// Says QUIT, where the dialogue is at rest.
    pub(crate) fn leave(&mut self) {
        if let Some(idle) = self.session.idle() {
            idle.quit();
        }
    }

    /// What is to be written to the wire. Advancing it acknowledges.
    pub(crate) fn output(&mut self) -> &mut SendQueue {
        match &mut self.tls {
            Some(tls) => &mut tls.wire,
            None => self.session.output(),
        }
    }

    /// Takes what was read from the wire, in any chunking.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let Some(tls) = &mut self.tls else {
            return self.session.receive(bytes);
        };
        self.session.note_traffic();
        let shut = self.session.tls_gate().is_some();
        let mut plain = core::mem::take(&mut tls.early);
        let received = tls.engine.receive(bytes, &mut plain);
        if shut {
            tls.early = plain;
        } else if tls.wire.is_empty() {
            self.session.receive(&plain);
        } else {
            self.session.receive_ahead(&plain);
        }
        if let Err(trouble) = received {
            tls.pump();
            tls.trouble.get_or_insert(trouble);
            if !shut {
                self.session.disconnected();
                self.session.write_failed();
            }
        } else if tls.engine.is_over() {
            self.session.disconnected();
        }
    }

    /// The peer sends nothing more.
    pub(crate) fn disconnected(&mut self) {
        if let Some(tls) = &mut self.tls
            && tls.line == Line::Open
        {
            tls.line = Line::Silent;
        }
        self.session.disconnected();
    }

    /// Nothing can be written any more.
    pub(crate) fn write_failed(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.line = Line::Dead;
            tls.wire.clear();
        }
        self.session.write_failed();
    }

    /// Whether the dialogue goes on behind a TLS handshake.
    pub(crate) fn is_secure(&self) -> bool {
        self.session.is_secure()
    }

    /// What the handshake has shown, if there was one.
    pub(crate) fn tls_facts(&self) -> Option<TlsFacts> {
        self.tls.as_ref()?.engine.facts()
    }

    /// Where the handshake stands that the session waits for.
    pub(crate) fn handshake(&self) -> Handshake {
        self.tls
            .as_ref()
            .map_or(Handshake::NotBegun, |tls| tls.handshake())
    }

    /// Begins the handshake.
    pub(crate) fn secure(&mut self, engine: Box<dyn TlsEngine>, ending: Ending) {
        self.tls = Some(Box::new(Secured {
            engine,
            wire: SendQueue::new(),
            written: 0,
            early: Vec::new(),
            trouble: None,
            line: Line::Open,
            ending,
            closing: None,
        }));
    }

    /// Lets the session go on inside TLS.
    pub(crate) fn established(&mut self) {
        if let Some(gate) = self.session.tls_gate() {
            gate.established();
        }
        if let Some(tls) = &mut self.tls {
            self.session.receive(&core::mem::take(&mut tls.early));
        }
    }
}

impl Secured {
    /// Moves dialogue and encryption on. Apart, so that what is not encrypted does not pay for it.
    #[inline(never)]
    fn poll(&mut self, session: &mut Session, now: Time) -> Step {
        if self.has_written() {
            session.note_traffic();
        }
        if let Some((why, until)) = self.closing {
            return self.close(why, until, now);
        }
        loop {
            match session.poll(now) {
                Step::Need(Need::Tls) => {
                    self.pump();
                    if !matches!(self.handshake(), Handshake::UnderWay) {
                        return Step::Need(Need::Tls);
                    }
                    return self.wait(session.deadline().0);
                }
                Step::Send { until } => {
                    if self.wire.len() >= WIRE_ROOM {
                        return Step::Send { until };
                    }
                    if self.seal(session.output()).is_err() {
                        session.write_failed();
                    } else if !session.output().is_empty() {
                        return Step::Send { until };
                    }
                }
                Step::Wait { until } => return self.wait(until),
                Step::Closed(why) => {
                    let until = self.begin_close(why, now);
                    return self.close(why, until, now);
                }
                step => return step,
            }
        }
    }

    fn handshake(&self) -> Handshake {
        if let Some(trouble) = &self.trouble {
            return Handshake::Failed(trouble.clone());
        }
        if let Some(facts) = self.engine.facts() {
            return Handshake::Done(Box::new(facts));
        }
        match self.line {
            Line::Open => Handshake::UnderWay,
            Line::Silent | Line::Dead => Handshake::Failed(TlsTrouble("lost connection".into())),
        }
    }

    /// Puts what the engine has to say for itself on the wire.
    fn pump(&mut self) {
        // Trouble without anything to send was there before, and is known.
        let _ = self.engine.seal(&mut Bytes::new(), &mut self.wire);
    }

    fn seal(&mut self, plain: &mut SendQueue) -> Result<(), TlsTrouble> {
        self.engine.seal(plain, &mut self.wire)
    }

    fn has_written(&mut self) -> bool {
        let written = self.wire.sent();
        core::mem::replace(&mut self.written, written) != written
    }

    fn wait(&self, until: Time) -> Step {
        if self.wire.is_empty() {
            Step::Wait { until }
        } else {
            Step::Send { until }
        }
    }

    /// The dialogue is over: says so, where the peer still listens. Returns the
    /// latest time to close the connection.
    fn begin_close(&mut self, why: Closed, now: Time) -> Time {
        let polite = matches!(
            why,
            Closed::Quit | Closed::Refused | Closed::Stale | Closed::Abandoned
        );
        if polite && self.line != Line::Dead {
            self.engine.close(&mut self.wire);
        }
        if !polite || self.line != Line::Open {
            self.ending.wait = None;
        }
        let until = now
            + self
                .ending
                .wait
                .map_or(self.ending.limit, |wait| wait.max(self.ending.limit));
        self.closing = Some((why, until));
        until
    }

    fn close(&mut self, why: Closed, until: Time, now: Time) -> Step {
        let waits = self.ending.wait.is_some() && self.line == Line::Open && !self.engine.is_over();
        let lost = matches!(why, Closed::Lost(_) | Closed::TimedOut(_));
        if lost || now >= until || self.line == Line::Dead || (self.wire.is_empty() && !waits) {
            self.wire.clear();
            return Step::Closed(why);
        }
        self.wait(until)
    }
}

/// Whether a session ended because of the TLS handshake, and not of what was said
/// in it.
pub(crate) const fn is_handshake_failure(why: Closed) -> bool {
    matches!(
        why,
        Closed::Tls | Closed::Lost(Stage::TlsHandshake) | Closed::TimedOut(Stage::TlsHandshake)
    )
}

/// The server at the other end, as log lines and verdicts name it, with what the delivery
/// knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The server.
    pub(crate) server: Arc<Server>,
    /// The destination that the connection was made for, as it is written.
    pub(crate) destination: Arc<str>,
    /// Whether the address has the best preference of its list.
    pub(crate) best_mx: bool,
}

impl Peer {
    pub(crate) fn new(server: Server, destination: Arc<str>, best_mx: bool) -> Self {
        Self {
            server: Arc::new(server),
            destination,
            best_mx,
        }
    }

    /// The host name, or `myhostname` for a UNIX-domain socket.
    pub(crate) fn host(&self) -> &str {
        &self.server.host
    }

    /// The port; `None` for a UNIX-domain socket.
    pub(crate) fn port(&self) -> Option<u16> {
        self.server.port()
    }

    /// The server, for an event.
    pub(crate) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    /// `host[address]`, as Postfix names a server in texts.
    pub(crate) fn name(&self) -> String {
        self.server.name()
    }

    /// `host[address]:port`, as Postfix names a server in log lines.
    pub(crate) fn relay(&self) -> String {
        self.server.to_string()
    }
}
