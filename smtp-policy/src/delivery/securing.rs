//! The phase in which the TLS policy of a server is found out
//! (`src/smtp/smtp_tls_policy.c`; the search itself is in [`tls`](crate::tls)). It comes
//! before any connection; TLS in a session is in [`talking::tls`](super::talking).

use std::sync::Arc;

use super::{
    Ask, TableQuery,
    choosing::Choosing,
    context::Context,
    hosts::{Place, Site},
    phase::{Next, Phase},
    survey::Learned,
    talking::note_tls_result,
};
use crate::{
    dns::{Answer, Failure},
    event::Event,
    report::{Scope, trouble::Reason},
    request::TlsWish,
    sts::{FetchError, Fetched},
    tables::TableFailure,
    tls::{
        policy::TlsPolicy,
        search::{PolicySearch, Refusal, SearchStep, Subject},
        story::Story,
    },
};

/// The number of policies that a delivery remembers.
const POLICY_LIMIT: usize = 20;

/// A server whose policy is looked for.
#[derive(Debug)]
pub(super) struct Securing {
    search: PolicySearch,
    key: PolicyKey,
    /// The question that is out.
    question: Option<u32>,
}

/// The key of a policy: all that it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PolicyKey {
    destination: Arc<str>,
    host: Arc<str>,
    port: Option<u16>,
}

/// The policies that were worked out, errors included.
#[derive(Debug, Default)]
pub(super) struct Policies(Vec<(PolicyKey, Known)>);

/// A policy or why there is none, and how that came about.
type Known = (Result<TlsPolicy, Refusal>, Story);

impl Policies {
    fn get(&self, key: &PolicyKey) -> Option<&Known> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known == key).map(|(_, known)| known)
    }

    fn insert(&mut self, key: PolicyKey, known: Known) {
        if self.0.len() >= POLICY_LIMIT {
            self.0.clear();
        }
        self.0.push((key, known));
    }
}

/// The policy for a server, if it is known.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made, so that a box would only be thrown away"
)]
pub(super) enum Security {
    /// It is known, or why there is none.
    Known(Result<TlsPolicy, Refusal>),
    /// It is to be found out: then [`security`] is asked again.
    Unknown(Box<Securing>),
}

/// The policy for a server of a site.
pub(super) fn security(cx: &mut Context, site: &Site, place: &Place) -> Security {
    // A survey is to hear how the policy has come about.
    if let Some(policy) = &cx.settings.tls_rules.common
        && !cx.is_survey()
    {
        return Security::Known(Ok(policy.clone()));
    }
    let key = key(cx, place);
    if let Some((policy, story)) = cx.hosts.policies.get(&key) {
        let policy = policy.clone();
        let story = cx.is_survey().then(|| story.clone());
        if let Some(story) = story {
            cx.learn(&Learned::Policy(&story));
        }
        return Security::Known(policy);
    }
    let subject = subject(cx, site, place, &key);
    let utf8 = cx.settings.nexthop.idna;
    let search = PolicySearch::new(cx.tls_rules(), subject, utf8);
    Security::Unknown(Box::new(Securing {
        search,
        key,
        question: None,
    }))
}

/// A server is passed over because of its TLS policy.
pub(super) fn pass_over(cx: &mut Context, what: &'static str, host: &str, refusal: Refusal) {
    cx.note(Event::TlsPolicyUnknown {
        what,
        destination: Arc::clone(&cx.hosts.label),
        host: host.into(),
        why: refusal.text.clone(),
    });
    let reason = Reason::local(refusal.status, Scope::Site, refusal.text);
    cx.learn(&Learned::Failed(&reason));
    cx.why = Some(reason);
}

fn key(cx: &Context, place: &Place) -> PolicyKey {
    match place {
        Place::Inet(candidate) => PolicyKey {
            destination: Arc::clone(&cx.hosts.label),
            host: Arc::clone(&candidate.host),
            port: Some(candidate.port),
        },
        Place::Unix(path) => PolicyKey {
            destination: path.display().to_string().into(),
            host: cx.settings.identity.host.as_str().into(),
            port: None,
        },
    }
}

fn subject(cx: &Context, site: &Site, place: &Place, key: &PolicyKey) -> Subject {
    let waived = cx.request.tls == TlsWish::Waived;
    let (destination, host) = (Arc::clone(&key.destination), Arc::clone(&key.host));
    let unix_time = cx.known_unix_time();
    match place {
        Place::Inet(candidate) => Subject {
            destination,
            host,
            port: key.port,
            asked: Arc::clone(&candidate.asked),
            canonical: Arc::clone(&candidate.canonical),
            validated: candidate.host_validated,
            exchange: site.exchange.clone(),
            sts_domain: site.sts_domain.clone().filter(|_| !waived),
            waived,
            unix_time,
        },
        Place::Unix(_) => Subject {
            destination,
            asked: Arc::clone(&host),
            canonical: Arc::clone(&host),
            host,
            port: None,
            validated: false,
            exchange: None,
            sts_domain: None,
            waived,
            unix_time,
        },
    }
}

impl Securing {
    /// Returns whether this is the ticket of the question that is out.
    pub(super) fn asked(&self, serial: u32) -> bool {
        self.question == Some(serial)
    }

    /// The answer to a question about a table.
    pub(super) fn looked_up(&mut self, value: Result<Option<String>, TableFailure>) {
        self.question = None;
        self.search.answered(value);
    }

    /// The answer to a question about a name.
    pub(super) fn resolved(&mut self, answer: Result<Answer, Failure>) {
        self.question = None;
        self.search.resolved(answer);
    }

    /// The answer to a question for a file on the web.
    pub(super) fn fetched(&mut self, result: Result<Fetched, FetchError>) {
        self.question = None;
        self.search.fetched(result);
    }

    /// Asks one question after the other until the policy is known.
    pub(super) fn poll(mut self: Box<Self>, cx: &mut Context) -> Next {
        if self.question.is_some() {
            return Next::Await(self.into());
        }
        let step = self.search.step();
        for warning in core::mem::take(&mut self.search.warnings) {
            let text = warning.into();
            cx.note(Event::TlsPolicyWarning { text });
        }
        let (serial, ask) = match step {
            SearchStep::Ask { table, key } => {
                let ticket = cx.ticket();
                let serial = ticket.serial();
                (serial, Ask::LookUp(ticket, TableQuery { table, key }))
            }
            SearchStep::Resolve(query) => {
                self.question = Some(cx.resolve(query));
                return Next::Go(self.into());
            }
            SearchStep::Fetch(fetch) => {
                let ticket = cx.ticket();
                (ticket.serial(), Ask::Fetch(ticket, Box::new(fetch)))
            }
            SearchStep::Done(policy) => return self.end(cx, policy),
        };
        self.question = Some(serial);
        Next::Ask(self.into(), ask)
    }

    fn end(self, cx: &mut Context, policy: Result<TlsPolicy, Refusal>) -> Next {
        for result in self.search.results {
            note_tls_result(cx, result);
        }
        let known = (policy, self.search.story);
        cx.hosts.policies.insert(self.key, known);
        Next::Go(Phase::Choosing(Choosing))
    }
}
