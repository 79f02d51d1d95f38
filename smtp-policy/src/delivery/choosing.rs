//! Which server is tried next: destinations, their addresses, kept connections,
//! the limits on addresses and sessions (`src/smtp/smtp_connect.c`,
//! smtp_connect_inet and smtp_connect_local; `src/smtp/smtp_reuse.c`).

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use smtp_proto::status::EnhancedStatus;

use super::{
    attempt::{Attempt, destination_key, endpoint_key},
    context::Context,
    hosts::{Place, Site, Trial},
    looking_up::LookingUp,
    phase::{Next, Phase},
    resolving::Resolving,
    rest::settle_rest,
    reusing::{Reusing, Wanted},
    securing::{Security, pass_over, security},
    survey::{Destination as Found, Learned, Server},
};
use crate::{
    event::Event,
    report::{Scope, trouble::Reason},
    request::CacheHints,
    route::{Candidate, Destination, MailExchange},
    tls::{TlsLevel, policy::TlsPolicy},
};

/// The phase between two attempts. It holds nothing: what was tried is in the
/// [`Hosts`](super::hosts::Hosts), since all attempts leave their traces there.
#[derive(Debug)]
pub(super) struct Choosing;

/// The result of trying the next address.
enum Tried {
    /// An attempt is under way.
    Begun(Phase),
    /// The address was passed over.
    Passed,
    /// There is no address left.
    Nothing,
}

impl Choosing {
    /// Goes on with the present destination, or the next one, or gives whoever is
    /// left the last reason.
    pub(super) fn poll(self, cx: &mut Context) -> Next {
        cx.learn(&Learned::Left);
        cx.roll.reopen();
        Next::Go(if cx.is_over() {
            Phase::Done
        } else if let Some(phase) = try_site(cx) {
            phase
        } else if cx.hosts.has_next() {
            begin_destination(cx)
        } else {
            settle_rest(cx)
        })
    }
}

/// Counts the destinations of the next hop and the fallback relays behind them. Each is read
/// when its turn comes, as in Postfix: a bad one does not keep mail from those before it.
pub(super) fn count_destinations(cx: &mut Context) {
    if !cx.settings.is_given() {
        let text = format!("there are no settings for {}", cx.request.protocol);
        let status = EnhancedStatus::new(4, 3, 5);
        cx.why = Some(Reason::local(status, Scope::Site, text));
        return;
    }
    let rules = &cx.settings.nexthop;
    let nexthop = cx.request.nexthop.as_str();
    let fallback = &cx.settings.connect.fallback_relays;
    if rules.names_socket(nexthop) {
        (cx.hosts.own, cx.hosts.destinations) = (1, 1);
        if !fallback.is_empty() {
            let relays: Vec<String> = fallback.iter().map(ToString::to_string).collect();
            let relays = relays.join(", ");
            cx.note(Event::FallbackIgnored { relays });
        }
        return;
    }
    let protocols = cx.settings.lookup.families;
    if !protocols.ipv4 && !protocols.ipv6 {
        let (status, text) = (
            EnhancedStatus::new(4, 4, 4),
            "all network protocols are disabled",
        );
        cx.why = Some(Reason::local(status, Scope::Site, text));
        return;
    }
    let own = rules.split(nexthop).count();
    if own == 0 {
        let text = format!("null destination: \"{nexthop}\"");
        let status = EnhancedStatus::new(4, 3, 5);
        cx.why = Some(Reason::local(status, Scope::Site, text));
        return;
    }
    cx.hosts.own = own;
    cx.hosts.destinations = own + fallback.len();
}

fn begin_destination(cx: &mut Context) -> Phase {
    let number = cx.hosts.begun;
    cx.hosts.begun += 1;
    cx.hosts.final_nexthop = cx.hosts.begun == cx.hosts.destinations;
    cx.hosts.site = None;
    let relay = number.checked_sub(cx.hosts.own);
    let relay = relay.and_then(|number| cx.settings.connect.fallback_relays.get(number));
    let rules = &cx.settings.nexthop;
    let destination = match relay {
        Some(relay) => Ok(relay.clone()),
        None => {
            let text = rules.split(cx.request.nexthop.as_str()).nth(number);
            let text = text.unwrap_or_default();
            rules
                .destination(text)
                .map_err(|why| (why, text.to_owned()))
        }
    };
    match destination {
        Ok(Destination::Inet(inet)) => return Resolving::begin(cx, inet),
        Ok(Destination::Unix(path)) => open_socket(cx, path),
        Err((error, text)) => {
            // Postfix ends the process here, and the queue manager tries again
            // later with the whole message.
            let status = EnhancedStatus::new(4, 3, 5);
            let reason = Reason::local(status, Scope::Site, error.text);
            found_destination(cx, &text, None, &VecDeque::new(), Some(&reason));
            cx.why = Some(reason);
            cx.hosts.final_nexthop = true;
        }
    }
    Phase::Choosing(Choosing)
}

/// A destination that is a socket has one place.
fn open_socket(cx: &mut Context, path: PathBuf) {
    cx.hosts.final_server = true;
    let label: Arc<str> = path.display().to_string().into();
    let places = VecDeque::from([Place::Unix(path)]);
    found_destination(cx, &format!("unix:{label}"), None, &places, None);
    let site = Site {
        domain: cx.settings.identity.host.as_str().into(),
        ..Site::new(places, 0, false)
    };
    open_site(cx, site, Arc::clone(&label), &label);
}

/// Tells what a destination has turned out to lead to.
pub(super) fn found_destination(
    cx: &mut Context,
    text: &str,
    exchange: Option<&MailExchange>,
    places: &VecDeque<Place>,
    failure: Option<&Reason>,
) {
    let fallback = cx.hosts.is_fallback();
    cx.learn(&Learned::Destination(Found {
        text,
        fallback,
        exchange,
        places,
        failure,
    }));
}

/// The addresses of a destination are known. The first one decides whether
/// connections are reused (`src/smtp/smtp_connect.c`, smtp_cache_policy).
pub(super) fn open_site(cx: &mut Context, mut site: Site, label: Arc<str>, domain: &str) {
    if let Some(only) = cx.only_address() {
        let is_it = |place: &Place| place.candidate().is_some_and(|found| found.address == only);
        site.places.retain(is_it);
    }
    cx.hosts.label = label;
    if let Err(text) = cx.require_tls_at(&site.domain) {
        refuse_site(cx, &mut site, text);
    }
    if cx.hosts.begun == 1 && !site.places.is_empty() {
        cx.hosts.cache = match cx.is_survey() {
            true => CacheHints::default(),
            false => cx.settings.cache_hints(&cx.request, domain),
        };
        if cx.hosts.cache.load || cx.hosts.cache.store {
            cx.hosts.request_nexthop = Some(destination_key(cx, Arc::clone(&cx.hosts.label)));
        }
    }
    if cx.hosts.cache.load {
        let used = &cx.hosts.used;
        if !used.is_empty() {
            let is_used = |place: &Place| used.iter().any(|peer| place.leads_to(peer));
            site.places.retain(|place| !is_used(place));
        }
        site.trial = Trial::ByNexthop;
    }
    cx.hosts.site = Some(Box::new(site));
}

/// No server of a destination is tried, since nobody knows what it has to promise.
fn refuse_site(cx: &mut Context, site: &mut Site, text: String) {
    let status = EnhancedStatus::new(4, 7, 10);
    cx.why = Some(Reason::local(
        status,
        Scope::Site,
        "REQUIRETLS policy configuration error",
    ));
    site.places.clear();
    let text = text.into();
    cx.note(Event::TlsPolicyWarning { text });
}

/// Begins the next attempt at the present destination; `None` if there is none.
fn try_site(cx: &mut Context) -> Option<Phase> {
    let mut site = cx.hosts.site.take()?;
    let phase = try_next(cx, &mut site);
    cx.hosts.site = Some(site);
    phase
}

fn try_next(cx: &mut Context, site: &mut Site) -> Option<Phase> {
    loop {
        let tried = match site.trial {
            Trial::ByNexthop => {
                site.trial = Trial::ByAddress(0);
                try_nexthop(cx, site)
            }
            Trial::ByAddress(position) => match site.best_place(position).cloned() {
                Some(candidate) => try_kept(cx, site, position, candidate),
                None => {
                    site.trial = Trial::Connect;
                    Tried::Passed
                }
            },
            Trial::Connect => try_place(cx, site),
        };
        match tried {
            Tried::Begun(phase) => return Some(phase),
            Tried::Passed => {}
            Tried::Nothing => return None,
        }
    }
}

/// Looks for a connection that was kept for the next hop.
fn try_nexthop(cx: &mut Context, site: &Site) -> Tried {
    match &cx.hosts.request_nexthop {
        Some(key) if !site.places.is_empty() => {
            let key = key.clone();
            Tried::Begun(Reusing::ask(cx, key, Wanted::Nexthop))
        }
        _ => Tried::Passed,
    }
}

/// Looks for a kept connection to a candidate.
fn try_kept(cx: &mut Context, site: &mut Site, position: usize, candidate: Candidate) -> Tried {
    let peer = cx.hosts.peer(&candidate, site.best);
    let policy = match security(cx, site, &Place::Inet(candidate)) {
        Security::Known(policy) => policy,
        Security::Unknown(securing) => return Tried::Begun(securing.into()),
    };
    site.trial = Trial::ByAddress(position + 1);
    match policy {
        Ok(policy) => {
            let key = endpoint_key(cx, &peer, policy.level);
            Tried::Begun(Reusing::ask(cx, key, Wanted::Address(peer)))
        }
        Err(refusal) => {
            pass_over(cx, "lookup error", peer.host(), refusal);
            Tried::Passed
        }
    }
}

/// A new connection to the next address.
fn try_place(cx: &mut Context, site: &mut Site) -> Tried {
    let Some(place) = site.places.front().cloned() else {
        return Tried::Nothing;
    };
    let policy = match security(cx, site, &place) {
        Security::Known(policy) => policy,
        Security::Unknown(securing) => return Tried::Begun(securing.into()),
    };
    site.places.pop_front();
    site.addresses += 1;
    let limit = cx.settings.limits.addresses;
    if site.addresses == limit && !cx.is_survey() {
        site.places.clear();
    }
    let failed = core::mem::take(&mut site.retry_plain);
    tell_server(cx, site, &place, policy.as_ref().ok(), failed.is_some());
    let policy = match policy {
        Ok(policy) => policy,
        Err(refusal) => {
            let (what, host) = match &place {
                Place::Inet(candidate) => ("lookup", candidate.host.to_string()),
                Place::Unix(path) => ("lookup error", path.display().to_string()),
            };
            pass_over(cx, what, &host, refusal);
            return Tried::Passed;
        }
    };
    let Some(policy) = fitting(cx, policy, &place, failed.is_some()) else {
        return Tried::Passed;
    };
    let attempt = Box::new(Attempt::new(cx, site, place, policy, failed));
    Tried::Begun(match attempt.candidate() {
        // The best addresses were looked for in the cache before.
        Some(candidate) if cx.hosts.cache.load && candidate.preference != site.best => {
            let key = attempt.key(cx);
            Reusing::ask(cx, key, Wanted::Attempt(attempt))
        }
        _ => Phase::LookingUp(LookingUp::new(attempt)),
    })
}

/// Tells whose turn it is.
fn tell_server(
    cx: &mut Context,
    site: &Site,
    place: &Place,
    policy: Option<&TlsPolicy>,
    plain: bool,
) {
    if !cx.is_survey() {
        return;
    }
    let limit = cx.settings.limits.addresses;
    let own_name = cx.settings.identity.host.to_string();
    let destination = cx.hosts.label.clone();
    cx.learn(&Learned::Server(Server {
        destination: &destination,
        own_name: &own_name,
        place,
        policy,
        plain,
        beyond_limit: limit > 0 && site.addresses > limit,
    }));
}

/// The policy as it fits this attempt; `None` if it does not.
fn fitting(cx: &mut Context, policy: TlsPolicy, place: &Place, plain: bool) -> Option<TlsPolicy> {
    match place {
        Place::Inet(_) if cx.settings.tls.wrapper && !policy.level.is_mandatory() => {
            let protocol = cx.request.protocol;
            cx.note(Event::WrapperModeUnprotected { protocol });
            None
        }
        Place::Inet(_) if plain => Some(policy.without_tls()),
        Place::Unix(_) if policy.level == TlsLevel::May => {
            cx.note(Event::OpportunisticTlsOnSocket {});
            Some(policy.without_tls())
        }
        _ => Some(policy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{asked, choose, configure, context, context_for, site};

    /// A context that has come to a destination with these servers, whose policies are
    /// known.
    fn context_at(addresses: &[&str]) -> Context {
        let mut cx = context(1);
        (cx.hosts.destinations, cx.hosts.own, cx.hosts.begun) = (1, 1, 1);
        cx.hosts.final_nexthop = true;
        open_site(
            &mut cx,
            site(addresses),
            "example.com".into(),
            "example.com",
        );
        cx
    }

    /// The next phase, but for the way to the policy of a server.
    fn choose_knowing(cx: &mut Context) -> Phase {
        match choose(cx) {
            Phase::Securing(securing) => {
                securing.poll(cx);
                choose(cx)
            }
            phase => phase,
        }
    }

    #[test]
    fn addresses_are_tried_in_their_order_and_then_whoever_is_left_gets_the_last_reason() {
        let mut cx = context_at(&["192.0.2.1", "192.0.2.2"]);
        for (address, more) in [("192.0.2.1", true), ("192.0.2.2", false)] {
            assert!(matches!(choose_knowing(&mut cx), Phase::LookingUp(_)));
            cx.why = Some(Reason::local(
                EnhancedStatus::new(4, 4, 1),
                Scope::Site,
                format!("connect to {address} failed"),
            ));
            let site = cx.hosts.site.as_ref();
            assert_eq!(site.is_some_and(|site| !site.places.is_empty()), more);
        }
        assert!(matches!(choose(&mut cx), Phase::Choosing(_)));
        let expected = "0 deferred 4.4.1 (connect to 192.0.2.2 failed)";
        assert_eq!(asked(&mut cx), [expected]);
        assert!(matches!(choose(&mut cx), Phase::Done));
    }

    #[test]
    fn no_more_addresses_are_tried_than_the_limit_allows() {
        let mut cx = context_at(&["192.0.2.1", "192.0.2.2"]);
        configure(&mut cx, |settings| settings.limits.addresses = 1);
        assert!(matches!(choose_knowing(&mut cx), Phase::LookingUp(_)));
        assert!(matches!(choose(&mut cx), Phase::Choosing(_)));
    }

    #[test]
    fn the_last_address_of_the_last_destination_is_the_final_server() {
        let mut cx = context_at(&["192.0.2.1", "192.0.2.2"]);
        choose_knowing(&mut cx);
        cx.hosts.mark_final_server();
        assert!(!cx.hosts.final_server);
        choose_knowing(&mut cx);
        cx.hosts.mark_final_server();
        assert!(cx.hosts.final_server);
    }

    #[test]
    fn a_kept_connection_is_looked_for_by_next_hop_and_by_address() {
        let mut cx = context_at(&[]);
        cx.hosts.begun = 2;
        cx.hosts.cache.load = true;
        let label = Arc::<str>::from("example.com");
        cx.hosts.request_nexthop = Some(destination_key(&cx, Arc::clone(&label)));
        open_site(&mut cx, site(&["192.0.2.1"]), label, "example.com");
        for _ in 0..2 {
            assert!(matches!(choose_knowing(&mut cx), Phase::Reusing(_)));
            assert_eq!(asked(&mut cx), ["look for a kept connection"]);
        }
        assert!(matches!(choose_knowing(&mut cx), Phase::LookingUp(_)));
    }

    #[test]
    fn a_next_hop_has_the_relays_behind_it() {
        let mut cx = context_for("one.example, two.example", 1);
        let relay = cx.settings.nexthop.destination("relay.example").unwrap();
        configure(&mut cx, |settings| {
            settings.connect.fallback_relays = vec![relay];
        });
        count_destinations(&mut cx);
        assert_eq!((cx.hosts.destinations, cx.hosts.own), (3, 2));
        for name in ["one.example", "two.example", "relay.example"] {
            match choose(&mut cx) {
                Phase::Resolving(resolving) => assert_eq!(resolving.destination(), name),
                phase => panic!("{phase:?}"),
            }
        }
        assert!(!cx.hosts.has_next());
    }

    #[test]
    fn a_mistake_in_the_settings_does_not_bounce_mail() {
        let mut cx = context_at(&[]);
        (cx.hosts.begun, cx.hosts.own) = (2, 1);
        let status = EnhancedStatus::new(5, 4, 4);
        cx.why = Some(Reason::local(status, Scope::Site, "no such host"));
        assert!(matches!(choose(&mut cx), Phase::Choosing(_)));
        let expected = [
            "Warning: smtp_fallback_relay configuration problem",
            "0 deferred 4.3.5 (no such host)",
        ];
        assert_eq!(asked(&mut cx), expected);
    }
}
