//! TLS sessions that the next connection to the same server may resume, so that no
//! key has to be agreed on anew (`smtp_tls_session_cache_database`;
//! `src/tls/tls_client.c`). What a session is worth is not kept with it: its
//! certificates are judged again, at the time and by the demands of the connection
//! that resumes it.
//!
//! A session serves one connection at a time: who resumes it takes it out, and puts
//! it back at the end. Connections beside it shake hands in full.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

use super::{TlsSetup, rustls::Wardrobe, verify::Verifier};

/// The most servers whose sessions are kept. A ticket takes at most 64 KiB.
const SERVERS: usize = 1000;

/// The sessions of all servers.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Session>>);

/// What belongs to one session: rustls resumes it only with the very objects that
/// were there when it began.
#[derive(Debug)]
pub(super) struct Session {
    /// What it was made with, without the time.
    setup: TlsSetup,
    /// When the server proved itself with its key, as the time since 1970.
    began: Option<Duration>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) wardrobe: Arc<Wardrobe>,
    pub(super) tickets: Arc<Tickets>,
}

impl Session {
    /// One that has nothing to resume yet.
    pub(super) fn new(setup: &TlsSetup, verifier: Verifier, wardrobe: Wardrobe) -> Self {
        Self {
            setup: timeless(setup),
            began: setup.unix_time,
            verifier: Arc::new(verifier),
            wardrobe: Arc::new(wardrobe),
            tickets: Arc::default(),
        }
    }

    /// Counts its age from a full handshake at this time.
    pub(super) const fn renew(&mut self, unix_time: Option<Duration>) {
        self.began = unix_time;
    }

    /// Whether it may be resumed now: it is not too old, the demands are the same,
    /// and its certificates prove the same today.
    fn serves(&self, setup: &TlsSetup, lifetime: Duration) -> bool {
        let age = setup
            .unix_time
            .zip(self.began)
            .and_then(|(now, began)| now.checked_sub(began));
        age.is_some_and(|age| age < lifetime)
            && self.setup == timeless(setup)
            && self.verifier.proves_the_same_at(setup.unix_time)
    }
}

fn timeless(setup: &TlsSetup) -> TlsSetup {
    TlsSetup {
        unix_time: None,
        ..setup.clone()
    }
}

impl Sessions {
    /// The session of a server, if there is one that may be resumed. One that may not
    /// is forgotten.
    pub(super) fn take(&self, setup: &TlsSetup) -> Option<Session> {
        let wish = setup.resumption.as_ref()?;
        let session = lock(&self.0).remove(&wish.server)?;
        session.serves(setup, wish.lifetime).then_some(session)
    }

    /// Keeps a session in place of an older one of its server. Where there are too
    /// many, the one that began first goes.
    pub(super) fn keep(&self, session: Session) {
        let Some(wish) = &session.setup.resumption else {
            return;
        };
        let server = wish.server.clone();
        let mut kept = lock(&self.0);
        kept.insert(server, session);
        if kept.len() > SERVERS {
            let oldest = kept.iter().min_by_key(|(_, session)| session.began);
            if let Some(oldest) = oldest.map(|(server, _)| server.clone()) {
                kept.remove(&oldest);
            }
        }
    }
}

/// What a server gave for the next time: the last ticket of TLS 1.3, which is used
/// once (RFC 8446 appendix C.4), or the session of TLS 1.2.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Option<Tls13ClientSessionValue>,
}

// There is one server, whatever its name.
impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _server: ServerName<'static>, group: NamedGroup) {
        lock(&self.0).group = Some(group);
    }

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        lock(&self.0).group
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, value: Tls12ClientSessionValue) {
        lock(&self.0).tls12 = Some(value);
    }

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        lock(&self.0).tls12.clone()
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {
        lock(&self.0).tls12 = None;
    }

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, value: Tls13ClientSessionValue) {
        lock(&self.0).tls13 = Some(value);
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        lock(&self.0).tls13.take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
