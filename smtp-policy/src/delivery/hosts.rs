//! The places that mail may go to: destinations, their addresses, and the limits on addresses and
//! sessions (`src/smtp/smtp_connect.c`, smtp_connect_inet and smtp_connect_local;
//! `src/smtp/smtp_reuse.c`). It is a list that is worked off, not a plan of its own:
//! [`Choosing`](super::choosing::Choosing) decides.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use super::securing::Policies;
use crate::{
    channel::Peer,
    request::CacheHints,
    reuse::CacheKey,
    route::{Candidate, MailExchange},
    server::{Endpoint, Server},
    tls::RequireTls,
};

/// The destinations of a delivery and how far it has come with them.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// The number of destinations: those of the next hop, and the fallback relays behind
    /// them.
    pub(super) destinations: usize,
    /// The number of them that are the next hop's.
    pub(super) own: usize,
    /// How many have been begun.
    pub(super) begun: usize,
    pub(super) site: Option<Box<Site>>,
    /// No destination follows, or none may be tried.
    pub(super) final_nexthop: bool,
    /// No server follows: temporary failures settle their recipients.
    pub(super) final_server: bool,
    /// Whether kept connections may be taken, and new ones kept.
    pub(super) cache: CacheHints,
    /// The key of the next hop under which connections are kept, until one was.
    pub(super) request_nexthop: Option<CacheKey>,
    /// The TLS policies of the servers, as far as they are known.
    pub(super) policies: Policies,
    /// The present destination as it is written, or the path of its socket.
    pub(super) label: Arc<str>,
    /// The demand of REQUIRETLS on servers of the present destination; none: the message has no REQUIRETLS.
    pub(super) demand: Option<RequireTls>,
    /// Whether the mail was passed to `best_mx_transport` already.
    pub(super) passed: bool,
    /// The addresses to which kept connections led. They are not tried again for a
    /// later destination.
    pub(super) used: Vec<Arc<Peer>>,
}

/// One destination with its addresses.
#[derive(Debug)]
pub(super) struct Site {
    /// Its domain without brackets and port; `myhostname` for a socket.
    pub(super) domain: Arc<str>,
    /// The MX records that led to the addresses.
    pub(super) exchange: Option<MailExchange>,
    /// The domain whose MTA-STS policy may hold.
    pub(super) sts_domain: Option<String>,
    /// The next address was tried with TLS, which failed for this reason, and is to be
    /// tried without.
    pub(super) retry_plain: Option<String>,
    pub(super) places: VecDeque<Place>,
    /// The preference of the first address.
    pub(super) best: u16,
    pub(super) loop_detection: bool,
    /// How many addresses and sessions count towards the limits.
    pub(super) addresses: u32,
    pub(super) sessions: u32,
    pub(super) trial: Trial,
}

/// Somewhere to connect to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Inet(Candidate),
    Unix(PathBuf),
}

/// The limits on how many servers of a destination are tried; zero is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `smtp_mx_address_limit`.
    pub(super) addresses: u32,
    /// `smtp_mx_session_limit`.
    pub(super) sessions: u32,
}

/// Where kept connections are looked for before new ones are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trial {
    /// By the next hop.
    ByNexthop,
    /// By the address at this position, if it is of the best preference.
    ByAddress(usize),
    /// A new connection to each address in turn.
    Connect,
}

impl Hosts {
    /// Returns whether a destination is left that may be tried.
    pub(super) fn has_next(&self) -> bool {
        !self.final_nexthop && self.begun < self.destinations
    }

    /// Returns whether the present destination is a fallback relay.
    pub(super) fn is_fallback(&self) -> bool {
        self.begun > self.own
    }

    /// A candidate of the present destination, as keys, texts and verdicts name it.
    pub(super) fn peer(&self, candidate: &Candidate, best: u16) -> Arc<Peer> {
        let address = (candidate.address, candidate.port).into();
        let server = Server::inet(&*candidate.host, address);
        let best_mx = candidate.preference == best;
        Arc::new(Peer::new(server, Arc::clone(&self.label), best_mx))
    }

    /// Returns whether mail loops are looked for at the present destination.
    pub(super) fn detects_loops(&self) -> bool {
        self.site.as_ref().is_some_and(|site| site.loop_detection)
    }

    /// A connection is open, or a session begins its transaction: if no address
    /// and no destination follows, this server is the last one.
    pub(super) fn mark_final_server(&mut self) {
        let site = self.site.as_ref();
        let more = site.is_some_and(|site| !site.places.is_empty());
        self.final_server |= self.final_nexthop && !more;
    }

    /// A transaction begins: counts the session towards the limits. `reused` is where a
    /// kept connection leads; `counted` says that it was found when it was the turn of
    /// its address, which was counted then.
    pub(super) fn count_transaction(
        &mut self,
        limits: Limits,
        reused: Option<&Arc<Peer>>,
        counted: bool,
    ) {
        let found = reused.filter(|_| !counted);
        let mut last = false;
        if let Some(site) = &mut self.site {
            site.sessions += 1;
            let mut full = site.sessions == limits.sessions;
            if let Some(peer) = found {
                site.addresses += 1;
                full |= site.addresses == limits.addresses;
                // Nothing behind the address in the list makes it the last one, even
                // if an address before it was not tried but in the cache.
                last = matches!(site.trial, Trial::ByAddress(next) if next > 0 && next >= site.places.len());
                site.forget(peer);
            }
            if full {
                site.places.clear();
            }
        }
        self.final_server |= last && self.final_nexthop;
        self.mark_final_server();
        if let Some(peer) = reused.filter(|_| self.has_next()) {
            self.used.push(Arc::clone(peer));
        }
    }

    /// Puts a server in front again, for a session without TLS, which has failed for the
    /// reason `why`. `counted` says that the session counted towards the limit.
    pub(super) fn retry_in_plaintext(&mut self, place: Place, counted: bool, why: &str) {
        self.try_again(place, counted);
        if let Some(site) = &mut self.site {
            site.retry_plain = Some(why.to_owned());
        }
    }

    /// Puts a server in front again. `counted` says that the session counted towards the limit.
    pub(super) fn try_again(&mut self, place: Place, counted: bool) {
        self.final_server = false;
        if let Some(site) = &mut self.site {
            site.addresses = site.addresses.saturating_sub(1);
            if counted {
                site.sessions = site.sessions.saturating_sub(1);
            }
            site.places.push_front(place);
        }
    }
}

impl Site {
    pub(super) fn new(places: VecDeque<Place>, best: u16, loop_detection: bool) -> Self {
        Self {
            domain: Arc::default(),
            exchange: None,
            sts_domain: None,
            retry_plain: None,
            places,
            best,
            loop_detection,
            addresses: 0,
            sessions: 0,
            trial: Trial::Connect,
        }
    }

    /// The address at this position, if it is of the best preference.
    pub(super) fn best_place(&self, position: usize) -> Option<&Candidate> {
        match self.places.get(position)? {
            Place::Inet(candidate) if candidate.preference == self.best => Some(candidate),
            _ => None,
        }
    }

    /// A kept connection leads there already.
    fn forget(&mut self, peer: &Peer) {
        let is_it = |place: &Place| place.leads_to(peer);
        let Some(found) = self.places.iter().position(is_it) else {
            return;
        };
        self.places.remove(found);
        if let Trial::ByAddress(position) = &mut self.trial
            && found < *position
        {
            *position -= 1;
        }
    }
}

impl Place {
    /// The address with all that is known about it; `None` for a socket.
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Inet(candidate) => Some(candidate),
            Self::Unix(_) => None,
        }
    }

    /// Returns whether it is where a peer is.
    pub(super) fn leads_to(&self, peer: &Peer) -> bool {
        match (self, &peer.server.endpoint) {
            (Self::Inet(candidate), Endpoint::Inet(address)) => candidate.address == address.ip(),
            (Self::Unix(path), Endpoint::Unix(other)) => path == other,
            _ => false,
        }
    }

    /// The printable address, or the path of the socket.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Inet(candidate) => candidate.address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}
