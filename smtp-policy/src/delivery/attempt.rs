//! One server that is tried: a kept connection, look-ups by its address, a new
//! connection (`src/smtp/smtp_connect.c`, smtp_connect_addr, smtp_connect_unix;
//! `src/smtp/smtp_reuse.c`).

use smtp_proto::{status::EnhancedStatus, time::Time};

use super::{
    Ask, ConnectError, Delivery, Endpoint, Note, Target,
    hosts::{Phase, Place},
    profile::AddressLookups,
    talk::Talk,
};
use crate::{
    channel::{Channel, Peer},
    report::{Scope, trouble::Reason},
    reuse::CacheKey,
    route::Candidate,
    tables::TableFailure,
};

/// One server that is about to be tried.
#[derive(Debug)]
pub(super) struct Attempt {
    peer: Peer,
    target: Target,
    lookups: AddressLookups,
}

/// For what a kept connection is looked for.
#[derive(Debug, Default)]
pub(super) enum Wanted {
    /// For the next hop, whichever server it leads to.
    #[default]
    Nexthop,
    /// For a server of the best preference.
    Address(Peer),
    /// For a server that is about to be connected to.
    Attempt(Box<Attempt>),
}

/// The look-ups for an attempt, while a table outside the engine is asked.
#[derive(Debug)]
pub(super) struct Lookups {
    attempt: Attempt,
    serial: u32,
    asked: bool,
}

impl Lookups {
    pub(super) fn answer(&mut self, serial: u32, value: Result<Option<String>, TableFailure>) {
        if self.asked && self.serial == serial {
            self.asked = false;
            self.attempt.lookups.answered(value);
        }
    }
}

impl Delivery {
    /// A new connection to the next address.
    pub(super) fn try_place(&mut self) -> bool {
        let limit = self.config.connect.mx_address_limit;
        let Some(site) = &mut self.hosts.site else {
            return false;
        };
        let Some(place) = site.places.pop_front() else {
            return false;
        };
        site.addresses += 1;
        if site.addresses == limit {
            site.places.clear();
        }
        let best = site.best;
        let attempt = self.attempt(&place, best);
        match place {
            // The best addresses were looked for in the cache before.
            Place::Inet(candidate) if self.hosts.cache.load && candidate.preference != best => {
                let key = self.endpoint_key(&candidate);
                self.ask_cache(key, Wanted::Attempt(Box::new(attempt)));
            }
            _ => self.look_up(attempt),
        }
        true
    }

    fn attempt(&self, place: &Place, best: u16) -> Attempt {
        let connect = &self.config.connect;
        let (peer, endpoint, bind, window) = match place {
            Place::Inet(candidate) => {
                let peer = candidate.peer(candidate.preference == best);
                let bind = self
                    .policy
                    .client(self.request.protocol)
                    .bind(candidate.address);
                let endpoint = Endpoint::Inet((candidate.address, candidate.port).into());
                (peer, endpoint, bind, connect.tcp_windowsize)
            }
            Place::Unix(path) => {
                let peer = Peer {
                    host: self.config.general.myhostname.clone(),
                    address: path.display().to_string(),
                    port: None,
                    best_mx: true,
                };
                (peer, Endpoint::Unix(path.clone()), None, 0)
            }
        };
        let limit = self.config.timeout.connect_timeout;
        let limit = (!limit.is_zero()).then_some(limit);
        let lookups = AddressLookups::new(&self.tables, &peer.address);
        Attempt {
            peer,
            target: Target {
                endpoint,
                bind,
                window,
                limit,
            },
            lookups,
        }
    }

    pub(super) fn endpoint_key(&self, candidate: &Candidate) -> CacheKey {
        let address = candidate.address.to_string();
        CacheKey::endpoint(self.request.protocol.as_str(), &address, candidate.port)
    }

    pub(super) fn ask_cache(&mut self, key: CacheKey, wanted: Wanted) {
        let ticket = self.ticket();
        self.phase = Phase::Reusing {
            serial: ticket.serial(),
            answer: None,
            wanted,
        };
        self.asks.push_back(Ask::Reuse(ticket, key));
    }

    pub(super) fn after_reuse(&mut self, hit: Option<Box<Channel>>, wanted: Wanted) {
        let Some(mut channel) = hit else {
            match wanted {
                Wanted::Attempt(attempt) => self.look_up(*attempt),
                Wanted::Nexthop | Wanted::Address(_) => self.phase = Phase::Next,
            }
            return;
        };
        let instead = match wanted {
            Wanted::Nexthop => None,
            // The connection may have been made under another name of the server.
            Wanted::Address(peer) => {
                channel.peer = peer;
                None
            }
            Wanted::Attempt(attempt) => {
                channel.peer = attempt.peer.clone();
                Some(attempt)
            }
        };
        self.phase = Phase::Talking(Box::new(Talk::resume(*channel, instead)));
    }

    pub(super) fn look_up(&mut self, attempt: Attempt) {
        self.phase = Phase::LookingUp(Box::new(Lookups {
            attempt,
            serial: 0,
            asked: false,
        }));
    }

    pub(super) fn while_looking_up(&mut self, give_up: Time) -> Option<Ask> {
        let Phase::LookingUp(lookups) = &mut self.phase else {
            return None;
        };
        if lookups.asked {
            return self.wait_for_answer(give_up);
        }
        if let Some(query) = lookups.attempt.lookups.step() {
            let ticket = self.ticket();
            if let Phase::LookingUp(lookups) = &mut self.phase {
                lookups.serial = ticket.serial();
                lookups.asked = true;
            }
            return Some(Ask::LookUp(ticket, query));
        }
        let Phase::LookingUp(lookups) = core::mem::replace(&mut self.phase, Phase::Next) else {
            return None;
        };
        let ticket = self.ticket();
        let attempt = Box::new(lookups.attempt);
        let target = attempt.target.clone();
        self.phase = Phase::Connecting {
            serial: ticket.serial(),
            attempt,
            answer: None,
        };
        Some(Ask::Connect(ticket, target))
    }

    pub(super) fn after_connect(&mut self, result: Result<(), ConnectError>) {
        let Phase::Connecting { attempt, .. } = core::mem::replace(&mut self.phase, Phase::Next)
        else {
            return;
        };
        let Attempt { peer, lookups, .. } = *attempt;
        if let Err(error) = result {
            let reason = connect_failure(&peer, &error);
            self.note(Note::info(reason.text.clone()));
            self.why = Some(reason);
            return;
        }
        let loops = self.detects_loops();
        self.mark_final_server();
        match lookups.profile(&self.request, &self.config, &self.tables, loops) {
            Ok(profile) => {
                let expires = self.now + self.config.cache.connection_reuse_time_limit;
                let mut talk = Talk::begin(profile, peer, expires, self.now);
                talk.keywords_failed = lookups.failure();
                self.phase = Phase::Talking(Box::new(talk));
            }
            Err(failure) => {
                self.note(Note::warning(failure.to_string()));
                self.asks.push_back(Ask::Close);
                let text = format!("local data error while talking to {}", peer.name());
                self.fail_open(Reason::local(
                    EnhancedStatus::new(4, 3, 0),
                    Scope::Session,
                    text,
                ));
            }
        }
    }
}

impl Candidate {
    /// The server as texts name it.
    pub(super) fn peer(&self, best_mx: bool) -> Peer {
        Peer {
            host: self.host.clone(),
            address: self.address.to_string(),
            port: Some(self.port),
            best_mx,
        }
    }
}

fn connect_failure(peer: &Peer, error: &ConnectError) -> Reason {
    let (status, text) = match error {
        ConnectError::PathTooLong => (
            EnhancedStatus::new(4, 3, 5),
            "Server configuration error".into(),
        ),
        ConnectError::Bind(_) => (
            EnhancedStatus::new(4, 4, 0),
            "server configuration error".into(),
        ),
        ConnectError::TimedOut => (connect(), said(peer, "Connection timed out")),
        ConnectError::Refused => (connect(), said(peer, "Connection refused")),
        ConnectError::Other(text) => (connect(), said(peer, text)),
    };
    return Reason::local(status, Scope::Site, text);

    fn connect() -> EnhancedStatus {
        EnhancedStatus::new(4, 4, 1)
    }

    fn said(peer: &Peer, error: &str) -> String {
        format!("connect to {}: {error}", peer.relay())
    }
}
