//! Which server is tried next: destinations, their addresses, kept connections,
//! the limits on addresses and sessions (`src/smtp/smtp_connect.c`,
//! smtp_connect_inet and smtp_connect_local; `src/smtp/smtp_reuse.c`).

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use smtp_proto::{status::EnhancedStatus, time::Time};

use super::{
    Ask, ConnectError, Delivery, Note,
    attempt::{Attempt, Lookups, Wanted},
    prepare::Preparation,
    secure::{Policies, Securing},
    talk::Talk,
};
use crate::{
    Protocol,
    channel::{Channel, Peer},
    dns::names::is_valid_address,
    report::{Scope, trouble::Reason},
    request::CacheHints,
    route::{
        Candidate, DnsSupport, InetDestination, MailExchange, QuestionId, Resolution, Resolved,
        RouteNote, split_nexthop,
    },
};

/// The port for which mail loops are looked for: other ports are private
/// arrangements.
const SMTP_PORT: u16 = 25;

/// What the delivery is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing yet.
    Start,
    /// The envelope and the header are looked at.
    Preparing(Box<Preparation>),
    /// Between two attempts.
    Next,
    /// A destination is turned into addresses.
    Resolving {
        inet: Box<InetDestination>,
        resolution: Box<Resolution>,
        open: BTreeMap<u32, QuestionId>,
    },
    /// The TLS policy of a server is looked up.
    Securing(Box<Securing>),
    /// The connection cache is asked.
    Reusing {
        serial: u32,
        answer: Option<Option<Box<Channel>>>,
        wanted: Wanted,
    },
    /// Tables are asked about the server's address.
    LookingUp(Box<Lookups>),
    /// A connection is being opened.
    Connecting {
        serial: u32,
        attempt: Box<Attempt>,
        answer: Option<Result<(), ConnectError>>,
    },
    /// There is a connection.
    Talking(Box<Talk>),
    /// Every recipient was reported.
    Done,
}

/// The destinations of a delivery and how far it has come with them.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// As they are written; each is read when its turn comes.
    pub(super) destinations: Vec<String>,
    /// How many of them come from the next hop; the others are fallback relays.
    pub(super) own: usize,
    /// How many have been begun.
    pub(super) begun: usize,
    pub(super) site: Option<Site>,
    /// No destination follows, or none may be tried.
    pub(super) final_nexthop: bool,
    /// No server follows: temporary failures settle their recipients.
    pub(super) final_server: bool,
    /// Whether kept connections may be taken, and new ones kept.
    pub(super) cache: CacheHints,
    /// The next hop under which connections are kept, until one was.
    pub(super) request_nexthop: Option<String>,
    /// The TLS policies of the servers, as far as they are known.
    pub(super) policies: Policies,
    /// The present destination as it is written, or the path of its socket.
    pub(super) label: String,
    /// Whether the mail was passed to `best_mx_transport` already.
    pub(super) passed: bool,
    /// The addresses to which kept connections led. They are not tried again for a
    /// later destination.
    pub(super) used: Vec<String>,
}

/// One destination with its addresses.
#[derive(Debug)]
pub(super) struct Site {
    /// Its domain without brackets and port; `myhostname` for a socket.
    pub(super) domain: String,
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

/// What became of trying the next address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// An attempt is under way.
    Begun,
    /// The address was passed over.
    Passed,
    /// There is no address left.
    Nothing,
}

impl Delivery {
    /// Goes on as far as possible without input. `None`: look again.
    pub(super) fn advance(&mut self, give_up: Time) -> Option<Ask> {
        match &mut self.phase {
            Phase::Start => self.begin(),
            Phase::Preparing(_) => return self.prepare(give_up),
            Phase::Next => self.next_attempt(),
            Phase::Done => return Some(Ask::Done),
            Phase::Talking(_) => return self.talk(give_up),
            Phase::Resolving { .. } => return self.while_resolving(give_up),
            Phase::Securing(_) => return self.while_securing(give_up),
            Phase::LookingUp(_) => return self.while_looking_up(give_up),
            Phase::Reusing { answer, wanted, .. } => match answer.take() {
                Some(hit) => {
                    let wanted = core::mem::take(wanted);
                    self.after_reuse(hit, wanted);
                }
                None => return self.wait_for_answer(give_up),
            },
            Phase::Connecting { answer, .. } => match answer.take() {
                Some(result) => self.after_connect(result),
                None => return self.wait_for_answer(give_up),
            },
        }
        None
    }

    pub(super) fn is_final_server(&self) -> bool {
        self.hosts.final_server
    }

    /// A question is out. Its answer has its own time limit, so that this one is
    /// only for a driver that forgets.
    pub(super) fn wait_for_answer(&mut self, give_up: Time) -> Option<Ask> {
        if self.now < give_up {
            return Some(Ask::Wait { until: give_up });
        }
        self.settle_overdue();
        None
    }

    /// Reads the next hop and appends the fallback relays.
    pub(super) fn start(&mut self) {
        self.phase = Phase::Next;
        if !self.settings.is_given() {
            let text = format!("there are no settings for {}", self.request.protocol);
            let status = EnhancedStatus::new(4, 3, 5);
            self.why = Some(Reason::local(status, Scope::Site, text));
            return;
        }
        let rules = &self.policy.settings(self.request.protocol).nexthop;
        let nexthop = self.request.nexthop.as_str();
        let fallback = self.settings.connect.fallback_relays.iter();
        let fallback: Vec<String> = fallback.map(ToString::to_string).collect();
        if rules.socket_prefixes && nexthop.starts_with("unix:") {
            if !fallback.is_empty() {
                let relays = fallback.join(", ");
                self.note(Note::warning(format!(
                    "ignoring \"lmtp_fallback_relay = {relays}\" setting for non-TCP connections"
                )));
            }
            self.hosts.destinations = vec![self.request.nexthop.to_string()];
            self.hosts.own = 1;
            return;
        }
        let protocols = self.settings.lookup.families;
        if !protocols.ipv4 && !protocols.ipv6 {
            let text = "all network protocols are disabled";
            self.why = Some(Reason::local(
                EnhancedStatus::new(4, 4, 4),
                Scope::Site,
                text,
            ));
            return;
        }
        let own: Vec<String> = split_nexthop(rules.without_prefix(nexthop))
            .map(str::to_owned)
            .collect();
        if own.is_empty() {
            let text = format!("null destination: \"{nexthop}\"");
            self.why = Some(Reason::local(
                EnhancedStatus::new(4, 3, 5),
                Scope::Site,
                text,
            ));
            return;
        }
        self.hosts.own = own.len();
        self.hosts.destinations = own;
        self.hosts.destinations.extend(fallback);
    }

    /// Between two attempts: goes on with the present destination, or the next
    /// one, or gives whoever is left the last reason.
    fn next_attempt(&mut self) {
        self.end_visit();
        self.roll.reopen();
        if self.is_over() {
            self.phase = Phase::Done;
        } else if self.hosts.site.is_some() && self.try_site() {
        } else if self.hosts.final_nexthop || self.hosts.begun >= self.hosts.destinations.len() {
            self.settle_rest();
        } else {
            self.begin_destination();
        }
    }

    fn begin_destination(&mut self) {
        let hosts = &mut self.hosts;
        let Some(text) = hosts.destinations.get(hosts.begun).cloned() else {
            return;
        };
        hosts.begun += 1;
        hosts.final_nexthop = hosts.begun == hosts.destinations.len();
        hosts.site = None;
        let client = self.policy.settings(self.request.protocol);
        if client.nexthop.socket_prefixes
            && let Some(path) = text.strip_prefix("unix:")
        {
            self.hosts.final_server = true;
            let mut places = VecDeque::from([Place::Unix(PathBuf::from(path))]);
            self.found_destination(&text, None, &mut places, None);
            let site = Site {
                domain: self.settings.identity.host.to_string(),
                ..Site::new(places, 0, false)
            };
            self.open_site(site, path, path);
            return;
        }
        match client.nexthop.destination(&text) {
            Ok(inet) => {
                let seed = self.seed.wrapping_add(self.hosts.begun as u64);
                let resolution = Resolution::new(&inet, Arc::clone(&client.route), seed);
                self.phase = Phase::Resolving {
                    inet: Box::new(inet),
                    resolution: Box::new(resolution),
                    open: BTreeMap::new(),
                };
            }
            Err(error) => {
                // Postfix ends the process here, and the queue manager tries again
                // later with the whole message.
                let status = EnhancedStatus::new(4, 3, 5);
                let reason = Reason::local(status, Scope::Site, error.text);
                self.found_destination(&text, None, &mut VecDeque::new(), Some(&reason));
                self.why = Some(reason);
                self.hosts.final_nexthop = true;
            }
        }
    }

    fn while_resolving(&mut self, give_up: Time) -> Option<Ask> {
        let Phase::Resolving {
            inet, resolution, ..
        } = &mut self.phase
        else {
            return None;
        };
        if let Some(resolved) = resolution.take() {
            let inet = inet.as_ref().clone();
            self.phase = Phase::Next;
            self.after_resolution(&inet, resolved);
            return None;
        }
        let questions = resolution.questions();
        if questions.is_empty() {
            return self.wait_for_answer(give_up);
        }
        for (id, query) in questions {
            let ticket = self.ticket();
            if let Phase::Resolving { open, .. } = &mut self.phase {
                open.insert(ticket.serial(), id);
            }
            self.asks.push_back(Ask::Resolve(ticket, query));
        }
        None
    }

    fn after_resolution(&mut self, inet: &InetDestination, resolved: Resolved) {
        for note in resolved.notes {
            self.note(match note {
                RouteNote::Info(text) => Note::info(text),
                RouteNote::Warning(text) => Note::warning(text),
            });
        }
        // A mail exchanger does not try the backups behind itself.
        self.hosts.final_nexthop |= resolved.i_am_mx;
        match resolved.result {
            Err(failure) => {
                // Another relay would only make a loop longer.
                self.hosts.final_nexthop |= failure.is_loop();
                let reason = Reason::local(failure.status, Scope::Site, failure.text);
                let exchange = resolved.exchange;
                self.found_destination(&inet.text, exchange, &mut VecDeque::new(), Some(&reason));
                self.why = Some(reason);
            }
            Ok(candidates) => {
                // What went wrong at an earlier destination is no excuse for this one.
                self.why = None;
                let best = candidates.first().map_or(0, |first| first.preference);
                let loops = self.request.protocol == Protocol::Smtp && inet.port == SMTP_PORT;
                let mut places = candidates.into_iter().map(Place::Inet).collect();
                let exchange = resolved.exchange.clone();
                self.found_destination(&inet.text, exchange, &mut places, None);
                let site = Site {
                    domain: inet.domain.clone(),
                    exchange: resolved.exchange,
                    sts_domain: loops.then(|| self.sts_domain(inet)).flatten(),
                    ..Site::new(places, best, loops)
                };
                self.open_site(site, &inet.domain, &inet.text);
            }
        }
    }

    /// The domain of a destination whose mail exchangers are looked up, in A-labels.
    fn sts_domain(&self, inet: &InetDestination) -> Option<String> {
        let client = self.policy.settings(self.request.protocol);
        let looked_up = !inet.bracketed
            && client.route.dns != DnsSupport::Disabled
            && !is_valid_address(&inet.domain);
        let domain = looked_up.then(|| client.route.idna.to_ascii(&inet.domain))??;
        Some(domain.strip_suffix('.').unwrap_or(&domain).to_owned())
    }

    /// The addresses of a destination are known. The first one decides whether
    /// connections are reused (`src/smtp/smtp_connect.c`, smtp_cache_policy).
    fn open_site(&mut self, mut site: Site, domain: &str, label: &str) {
        label.clone_into(&mut self.hosts.label);
        if self.hosts.begun == 1 && !site.places.is_empty() && !self.is_survey() {
            self.hosts.cache = {
                let client = self.policy.settings(self.request.protocol);
                client.cache_hints(&self.request, domain)
            };
            if self.hosts.cache.load || self.hosts.cache.store {
                self.hosts.request_nexthop = Some(label.to_owned());
            }
        }
        if self.hosts.cache.load {
            site.places
                .retain(|place| !self.hosts.used.contains(&place.address()));
            site.trial = Trial::ByNexthop;
        }
        self.hosts.site = Some(site);
    }

    /// Begins the next attempt at the present destination; false if there is none.
    fn try_site(&mut self) -> bool {
        while let Some(site) = &mut self.hosts.site {
            match site.trial {
                Trial::ByNexthop => {
                    site.trial = Trial::ByAddress(0);
                    if !site.places.is_empty()
                        && let Some(nexthop) = &self.hosts.request_nexthop
                    {
                        let key = self.destination_key(nexthop);
                        self.ask_cache(key, Wanted::Nexthop);
                        return true;
                    }
                }
                Trial::ByAddress(position) => match site.best_place(position) {
                    Some(candidate) => {
                        let (candidate, best) = (candidate.clone(), site.best);
                        if self.try_kept(position, candidate, best) {
                            return true;
                        }
                    }
                    None => site.trial = Trial::Connect,
                },
                Trial::Connect => match self.try_place() {
                    Tried::Passed => {}
                    Tried::Begun => return true,
                    Tried::Nothing => return false,
                },
            }
        }
        false
    }

    /// A connection is open, or a session begins its transaction: if no address
    /// and no destination follows, this server is the last one.
    pub(super) fn mark_final_server(&mut self) {
        let more = self
            .hosts
            .site
            .as_ref()
            .is_some_and(|site| !site.places.is_empty());
        self.hosts.final_server |= self.hosts.final_nexthop && !more;
    }

    /// Whether this destination is one for which mail loops are looked for.
    pub(super) fn detects_loops(&self) -> bool {
        self.hosts
            .site
            .as_ref()
            .is_some_and(|site| site.loop_detection)
    }

    /// A session is about to deliver: counts it towards the limits. `reused` is
    /// where a connection leads that was found before any address was tried.
    pub(super) fn count_session(&mut self, reused: Option<&Peer>) {
        let limits = self.settings.limits;
        let mut last = false;
        if let Some(site) = &mut self.hosts.site {
            site.sessions += 1;
            let mut full = site.sessions == limits.sessions;
            if let Some(peer) = reused {
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
        self.hosts.final_server |= last && self.hosts.final_nexthop;
        self.mark_final_server();
    }
}

impl Site {
    fn new(places: VecDeque<Place>, best: u16, loop_detection: bool) -> Self {
        Self {
            domain: String::new(),
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
    fn best_place(&self, position: usize) -> Option<&Candidate> {
        match self.places.get(position)? {
            Place::Inet(candidate) if candidate.preference == self.best => Some(candidate),
            _ => None,
        }
    }

    /// A kept connection leads there already.
    fn forget(&mut self, peer: &Peer) {
        let found = self
            .places
            .iter()
            .position(|place| place.address() == peer.address);
        let Some(found) = found else {
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

    /// The printable address, or the path of the socket.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Inet(candidate) => candidate.address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}
