//! One server that is tried: a kept connection, look-ups by its address, a new
//! connection (`src/smtp/smtp_connect.c`, smtp_connect_addr, smtp_connect_unix;
//! `src/smtp/smtp_reuse.c`).

use smtp_proto::{address::ReversePath, status::EnhancedStatus, time::Time};

use super::{
    Ask, ConnectError, Delivery, Endpoint, Note, Target,
    hosts::{Phase, Place, Trial, Tried},
    profile::AddressLookups,
    secure::Security,
    talk::{Opening, Talk},
};
use crate::{
    channel::{Channel, Peer},
    report::{Scope, trouble::Reason},
    reuse::key::{CacheKey, KeyOwner, KeyPlace},
    route::Candidate,
    tables::TableFailure,
    tls::{TlsLevel, policy::TlsPolicy},
};

/// One server that is about to be tried.
#[derive(Debug)]
pub(super) struct Attempt {
    peer: Peer,
    target: Target,
    lookups: AddressLookups,
    security: Security,
    /// Where to try again in plaintext.
    place: Place,
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
    pub(super) fn try_place(&mut self) -> Tried {
        let Some(site) = &self.hosts.site else {
            return Tried::Nothing;
        };
        let Some(place) = site.places.front().cloned() else {
            return Tried::Nothing;
        };
        let Some(policy) = self.tls_policy(&place) else {
            return Tried::Begun;
        };
        let (limit, survey) = (self.settings.limits.addresses, self.is_survey());
        let Some(site) = &mut self.hosts.site else {
            return Tried::Nothing;
        };
        site.places.pop_front();
        site.addresses += 1;
        let beyond_limit = limit > 0 && site.addresses > limit;
        if site.addresses == limit && !survey {
            site.places.clear();
        }
        let (best, failed) = (site.best, core::mem::take(&mut site.retry_plain));
        let plain = failed.is_some();
        if survey {
            self.begin_visit(&place, policy.as_ref().ok(), plain, beyond_limit);
        }
        let policy = match policy {
            Ok(policy) => policy,
            Err(refusal) => {
                let (what, host) = match &place {
                    Place::Inet(candidate) => ("lookup", candidate.host.clone()),
                    Place::Unix(path) => ("lookup error", path.display().to_string()),
                };
                self.pass_over(what, &host, refusal);
                return Tried::Passed;
            }
        };
        let Some(policy) = self.fitting(policy, &place, plain) else {
            return Tried::Passed;
        };
        let mut attempt = self.attempt(&place, best, policy);
        attempt.security.failed = failed;
        match &place {
            // The best addresses were looked for in the cache before.
            Place::Inet(candidate) if self.hosts.cache.load && candidate.preference != best => {
                let level = attempt.security.policy.level;
                let key = self.endpoint_key(&attempt.peer, candidate.port, level);
                self.ask_cache(key, Wanted::Attempt(Box::new(attempt)));
            }
            _ => self.look_up(attempt),
        }
        Tried::Begun
    }

    /// Looks for a kept connection to a candidate; false if there is no sense in it.
    pub(super) fn try_kept(&mut self, position: usize, candidate: Candidate, best: u16) -> bool {
        let (peer, port) = (self.peer(&candidate, best), candidate.port);
        let Some(policy) = self.tls_policy(&Place::Inet(candidate)) else {
            return true;
        };
        if let Some(site) = &mut self.hosts.site {
            site.trial = Trial::ByAddress(position + 1);
        }
        match policy {
            Ok(policy) => {
                let key = self.endpoint_key(&peer, port, policy.level);
                self.ask_cache(key, Wanted::Address(peer));
                true
            }
            Err(refusal) => {
                self.pass_over("lookup error", &peer.host, refusal);
                false
            }
        }
    }

    /// The policy as it fits this attempt; `None` if it does not.
    fn fitting(&mut self, policy: TlsPolicy, place: &Place, plain: bool) -> Option<TlsPolicy> {
        let prefix = self.request.protocol.as_str();
        match place {
            Place::Inet(_) if self.settings.tls.wrapper && !policy.level.is_mandatory() => {
                self.note(Note::warning(format!(
                    "{prefix}_tls_wrappermode requires \"{prefix}_tls_security_level = encrypt\" \
                     (or stronger)"
                )));
                None
            }
            Place::Inet(_) if plain => Some(policy.without_tls()),
            Place::Unix(_) if policy.level == TlsLevel::May => {
                self.note(Note::warning(
                    "opportunistic TLS encryption is not appropriate for unix-domain destinations.",
                ));
                Some(policy.without_tls())
            }
            _ => Some(policy),
        }
    }

    /// A candidate as keys, texts and verdicts name it.
    pub(super) fn peer(&self, candidate: &Candidate, best: u16) -> Peer {
        Peer {
            host: candidate.host.clone(),
            address: candidate.address.to_string(),
            port: Some(candidate.port),
            destination: self.hosts.label.clone(),
            best_mx: candidate.preference == best,
        }
    }

    fn attempt(&self, place: &Place, best: u16, policy: TlsPolicy) -> Attempt {
        let (peer, endpoint, bind, window) = match place {
            Place::Inet(candidate) => {
                let bind = self
                    .policy
                    .settings(self.request.protocol)
                    .connect
                    .bind(candidate.address);
                let endpoint = Endpoint::Inet((candidate.address, candidate.port).into());
                let peer = self.peer(candidate, best);
                (peer, endpoint, bind, self.settings.connect.window)
            }
            Place::Unix(path) => {
                let peer = Peer {
                    host: self.settings.identity.host.to_string(),
                    address: path.display().to_string(),
                    port: None,
                    destination: self.hosts.label.clone(),
                    best_mx: true,
                };
                (peer, Endpoint::Unix(path.clone()), None, 0)
            }
        };
        let limit = self.settings.timeouts.connect;
        let passwords = self.password_search(&peer);
        let lookups = AddressLookups::new(&self.settings, &peer.address, passwords);
        let site = self.hosts.site.as_ref();
        let domain = site.map(|site| site.domain.clone()).unwrap_or_default();
        let security = Security {
            policy,
            domain,
            refused: false,
            failed: None,
        };
        let target = Target {
            endpoint,
            bind,
            window,
            limit,
        };
        Attempt {
            peer,
            target,
            lookups,
            security,
            place: place.clone(),
        }
    }

    /// The key of connections that were made for a next hop.
    pub(super) fn destination_key(&self, nexthop: &str) -> CacheKey {
        CacheKey::destination(self.key_owner(), nexthop)
    }

    /// The key of connections to an endpoint. Where a certificate must match, a
    /// connection serves only the destination that it was made for.
    pub(super) fn endpoint_key(&self, peer: &Peer, port: u16, level: TlsLevel) -> CacheKey {
        let logs_in = self.settings.reuse.by_destination;
        let place = KeyPlace {
            destination: (logs_in || level.must_match()).then_some(&peer.destination),
            host: logs_in.then_some(&peer.host),
            address: &peer.address,
            port,
            level,
        };
        CacheKey::endpoint(self.key_owner(), place)
    }

    fn key_owner(&self) -> KeyOwner<'_> {
        KeyOwner {
            service: self.request.protocol.as_str(),
            sender: self.login_sender(),
            tls: self.request.tls,
        }
    }

    /// The sender, where it decides who logs in at the server.
    fn login_sender(&self) -> Option<&str> {
        let decides = self.settings.reuse.by_sender;
        decides.then(|| self.sender())
    }

    /// The sender as text; empty for the null sender.
    pub(super) fn sender(&self) -> &str {
        match &self.request.sender {
            ReversePath::Null => "",
            ReversePath::Mailbox(address) => address.as_str(),
        }
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
        let records = self.records(&channel.peer);
        self.phase = Phase::Talking(Box::new(Talk::resume(*channel, instead, records)));
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
        // The empty path is the empty name among Linux's abstract sockets: nobody
        // listens there.
        let nowhere =
            matches!(&target.endpoint, Endpoint::Unix(path) if path.as_os_str().is_empty());
        self.phase = Phase::Connecting {
            serial: ticket.serial(),
            attempt,
            answer: nowhere.then_some(Err(ConnectError::Refused)),
        };
        (!nowhere).then_some(Ask::Connect(ticket, target))
    }

    pub(super) fn after_connect(&mut self, result: Result<(), ConnectError>) {
        let Phase::Connecting { attempt, .. } = core::mem::replace(&mut self.phase, Phase::Next)
        else {
            return;
        };
        let Attempt {
            peer,
            lookups,
            security,
            place,
            ..
        } = *attempt;
        if let Err(error) = result {
            let reason = connect_failure(&peer, &error);
            self.note(Note::info(reason.text.clone()));
            self.judge_visit(&reason);
            self.why = Some(reason);
            return;
        }
        let loops = self.detects_loops();
        self.mark_final_server();
        let profile = lookups.profile(&self.request, &self.settings, loops);
        let expires = self.now + self.settings.reuse.age;
        let records = self.records(&peer);
        let wrapped = self.settings.tls.wrapper && security.policy.level > TlsLevel::None;
        let place = matches!(place, Place::Inet(_)).then_some(place);
        let keywords_failed = lookups.failure();
        let opening = Opening {
            profile,
            peer,
            login: lookups.into_login(),
            records,
            expires,
            security,
            place,
            wrapped,
            keywords_failed,
        };
        self.phase = Phase::Talking(Box::new(Talk::begin(opening, self.now)));
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
