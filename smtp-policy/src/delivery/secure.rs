//! TLS on the way to a server: which policy holds, when STARTTLS is said, what the
//! handshake has proved, and when plaintext is tried instead
//! (`src/smtp/smtp_connect.c`; `src/smtp/smtp_proto.c`, smtp_start_tls;
//! `src/smtp/smtp_trouble.c`, smtp_stream_except).

use std::{collections::BTreeMap, sync::Arc};

use smtp_proto::{
    reply::{Capabilities, Reply},
    session::{Closed, Stage},
    status::EnhancedStatus,
    time::Time,
};

use super::{
    Ask, Delivery, Note, TableQuery,
    hosts::{Phase, Place},
};
use crate::{
    channel::{Ending, Handshake, Peer, is_handshake_failure},
    dns::{Answer, Failure},
    report::{ResultType, Scope, TlsResult, trouble::Reason},
    request::TlsWish,
    sts::{FetchError, Fetched},
    tables::TableFailure,
    tls::{
        TlsFacts, TlsLevel, TlsTrouble,
        policy::{TlsPolicy, TlsRules},
        search::{PolicySearch, Refusal, SearchStep, Subject},
        story::Story,
    },
};

/// How many policies a delivery remembers.
const POLICY_LIMIT: usize = 20;

/// The search for a server's TLS policy, while somebody is asked.
#[derive(Debug)]
pub(super) struct Securing {
    search: PolicySearch,
    key: PolicyKey,
    /// The question that is out.
    serial: Option<u32>,
}

/// What a policy depends on: destination, host, port.
pub(super) type PolicyKey = (String, String, Option<u16>);

/// The policies that were worked out, errors included.
/// Each with how it came about.
pub(super) type Policies = BTreeMap<PolicyKey, (Result<TlsPolicy, Refusal>, Story)>;

/// The encryption of one session, as the delivery wants it.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    pub(super) policy: TlsPolicy,
    /// The bare domain that certificates are compared with.
    pub(super) domain: String,
    /// The server did not want to start TLS.
    pub(super) refused: bool,
    /// Why TLS failed in the session before, where this one is to be without.
    pub(super) failed: Option<String>,
}

impl Securing {
    /// The answer to a question about a table.
    pub(super) fn looked_up(&mut self, serial: u32, value: Result<Option<String>, TableFailure>) {
        if self.serial == Some(serial) {
            self.serial = None;
            self.search.answered(value);
        }
    }

    /// The answer to a question about a name.
    pub(super) fn resolved(&mut self, serial: u32, answer: Result<Answer, Failure>) {
        if self.serial == Some(serial) {
            self.serial = None;
            self.search.resolved(answer);
        }
    }

    /// The answer to a question for a file on the web.
    pub(super) fn fetched(&mut self, serial: u32, result: Result<Fetched, FetchError>) {
        if self.serial == Some(serial) {
            self.serial = None;
            self.search.fetched(result);
        }
    }
}

impl Delivery {
    pub(super) fn tls_rules(&self) -> Arc<TlsRules> {
        Arc::clone(&self.policy.settings(self.request.protocol).tls_rules)
    }

    /// The policy for a server, if it is known. Else finds it out: the next attempt
    /// comes back here.
    pub(super) fn tls_policy(&mut self, place: &Place) -> Option<Result<TlsPolicy, Refusal>> {
        let subject = self.subject(place)?;
        let key = (
            subject.destination.clone(),
            subject.host.clone(),
            subject.port,
        );
        if let Some((known, story)) = self.hosts.policies.get(&key).cloned() {
            self.heard_story(&story);
            return Some(known);
        }
        let utf8 = self.settings.nexthop.idna;
        let search = PolicySearch::new(self.tls_rules(), subject, utf8);
        self.phase = Phase::Securing(Box::new(Securing {
            search,
            key,
            serial: None,
        }));
        None
    }

    fn subject(&self, place: &Place) -> Option<Subject> {
        let site = self.hosts.site.as_ref()?;
        let host = self.settings.identity.host.to_string();
        let unix_time = self.epoch.unwrap_or_default() + self.now.as_duration();
        let waived = self.request.tls == TlsWish::Waived;
        Some(match place {
            Place::Inet(candidate) => Subject {
                destination: self.hosts.label.clone(),
                host: candidate.host.clone(),
                port: Some(candidate.port),
                asked: candidate.asked.clone(),
                canonical: candidate.canonical.clone(),
                validated: candidate.host_validated,
                exchange: site.exchange.clone(),
                sts_domain: site.sts_domain.clone().filter(|_| !waived),
                waived,
                unix_time,
            },
            Place::Unix(path) => Subject {
                destination: path.display().to_string(),
                asked: host.clone(),
                canonical: host.clone(),
                host,
                port: None,
                validated: false,
                exchange: None,
                sts_domain: None,
                waived,
                unix_time,
            },
        })
    }

    pub(super) fn while_securing(&mut self, give_up: Time) -> Option<Ask> {
        let Phase::Securing(securing) = &mut self.phase else {
            return None;
        };
        if securing.serial.is_some() {
            return self.wait_for_answer(give_up);
        }
        let step = securing.search.step();
        let warnings = core::mem::take(&mut securing.search.warnings);
        let (key, story) = (securing.key.clone(), securing.search.story.clone());
        warnings
            .into_iter()
            .for_each(|warning| self.note(Note::warning(warning)));
        let (serial, ask) = match step {
            SearchStep::Ask { table, key } => {
                let ticket = self.ticket();
                (
                    ticket.serial(),
                    Ask::LookUp(ticket, TableQuery { table, key }),
                )
            }
            SearchStep::Resolve(query) => {
                let ticket = self.ticket();
                (ticket.serial(), Ask::Resolve(ticket, query))
            }
            SearchStep::Fetch(fetch) => {
                let ticket = self.ticket();
                (ticket.serial(), Ask::Fetch(ticket, fetch))
            }
            SearchStep::Done(policy) => {
                if self.hosts.policies.len() >= POLICY_LIMIT {
                    self.hosts.policies.clear();
                }
                let results = self.search_results();
                results
                    .into_iter()
                    .for_each(|result| self.note_tls_result(result));
                self.hosts.policies.insert(key, (policy, story));
                self.phase = Phase::Next;
                return None;
            }
        };
        if let Phase::Securing(securing) = &mut self.phase {
            securing.serial = Some(serial);
        }
        Some(ask)
    }

    /// What the search that is over has found wrong, in the terms of reports.
    fn search_results(&mut self) -> Vec<TlsResult> {
        match &mut self.phase {
            Phase::Securing(securing) => core::mem::take(&mut securing.search.results),
            _ => Vec::new(),
        }
    }

    /// A server is passed over because of its TLS policy.
    pub(super) fn pass_over(&mut self, what: &str, host: &str, refusal: Refusal) {
        let destination = &self.hosts.label;
        let text = &refusal.text;
        self.note(Note::warning(format!(
            "TLS policy {what} for {destination}/{host}: {text}"
        )));
        let reason = Reason::local(refusal.status, Scope::Site, refusal.text);
        self.judge_visit(&reason);
        self.why = Some(reason);
    }

    /// The server has introduced itself, and the message could go there: starts TLS
    /// if it is offered and wanted, objects if it is demanded and cannot be had, and
    /// else goes on to the login.
    pub(super) fn go_on_or_start_tls(&mut self, peer: &Peer, offered: &Capabilities) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let level = talk.security.policy.level;
        if talk.channel.is_secure() {
            return self.go_on_to_login(peer, offered);
        }
        if talk.security.refused && level.is_mandatory() {
            return talk.give_up();
        }
        if talk.security.refused {
            return self.go_on_to_login(peer, offered);
        }
        if offered.starttls && level == TlsLevel::None && self.settings.tls.note_starttls_offer {
            let host = &peer.host;
            self.note(Note::info(format!("Host offered STARTTLS: [{host}]")));
        }
        if !offered.starttls {
            self.note_session(Some(ResultType::StartTlsNotSupported));
        }
        let available = self.tls_rules().connector.is_some();
        if offered.starttls && available && level >= TlsLevel::May {
            if let Phase::Talking(talk) = &mut self.phase
                && let Some(negotiation) = talk.channel.session.negotiation()
            {
                negotiation.start_tls();
            }
        } else if level.is_mandatory() {
            self.object(unavailable(peer, offered));
        } else {
            self.go_on_to_login(peer, offered);
        }
    }

    /// TLS has been decided about. Mail that requires it goes no further where nobody
    /// has proved who the server is, or that it will require it in turn (RFC 8689
    /// section 4.2.1): another server may be better, and in the end the mail bounces.
    fn go_on_to_login(&mut self, peer: &Peer, offered: &Capabilities) {
        if self.request.tls != TlsWish::Required {
            return self.log_in(peer, offered);
        }
        let name = peer.name();
        let text = if !self.is_verified() {
            format!("REQUIRETLS is wanted, but host {name} is not verified by TLS")
        } else if !offered.require_tls {
            format!("REQUIRETLS is wanted, but was not offered by host {name}")
        } else {
            return self.log_in(peer, offered);
        };
        let class = if self.is_final_server() { 5 } else { 4 };
        let status = EnhancedStatus::new(class, 7, 30);
        self.object(Reason::local(status, Scope::Site, text));
    }

    /// Whether the server has proved in TLS that it is the right one, and nobody could
    /// have sent the mail to another.
    fn is_verified(&self) -> bool {
        let Phase::Talking(talk) = &self.phase else {
            return false;
        };
        let level = talk.security.policy.level;
        let facts = talk.channel.tls_facts();
        level.must_match()
            && level != TlsLevel::HalfDane
            && facts.is_some_and(|facts| facts.matched)
    }

    /// After a refused STARTTLS the rest of the hello counts as part of it, as in
    /// Postfix.
    pub(super) fn in_starttls(&self, why: Closed) -> Closed {
        let Phase::Talking(talk) = &self.phase else {
            return why;
        };
        if !talk.security.refused {
            return why;
        }
        match why {
            Closed::Lost(Stage::Ehlo | Stage::Lhlo | Stage::Auth) => Closed::Lost(Stage::StartTls),
            Closed::TimedOut(Stage::Ehlo | Stage::Lhlo | Stage::Auth) => {
                Closed::TimedOut(Stage::StartTls)
            }
            other => other,
        }
    }

    /// The server does not want to start TLS.
    pub(super) fn on_starttls_refused(&mut self, peer: &str, reply: &Reply) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.security.refused = true;
        let mandatory = talk.security.policy.level.is_mandatory();
        self.starttls_refused(reply);
        self.note_session(Some(ResultType::StartTlsNotSupported));
        if mandatory {
            self.fail_site(Reason::tls_refused(peer, reply));
        }
    }

    /// The session waits for the handshake.
    pub(super) fn at_tls_gate(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        // Without connection reuse a TLS connection serves one message.
        talk.keepable &= talk.security.policy.connection_reuse;
        match talk.channel.handshake() {
            Handshake::UnderWay => {}
            Handshake::NotBegun => {
                let mut warnings = Vec::new();
                let begun = self.begin_handshake(&mut warnings);
                for warning in warnings {
                    self.note(Note::warning(warning));
                }
                if let Err(trouble) = begun {
                    self.handshake_failed(&trouble.0);
                    self.note(Note::warning(trouble.0));
                    self.shut_gate();
                }
            }
            Handshake::Done(facts) => self.after_handshake(&facts),
            Handshake::Failed(trouble) => {
                let relay = talk.channel.peer.relay();
                self.handshake_failed(&trouble.0);
                self.note(Note::info(format!(
                    "SSL_connect error to {relay}: {trouble}"
                )));
                self.shut_gate();
            }
        }
    }

    fn shut_gate(&mut self) {
        self.note_session(Some(ResultType::ValidationFailure));
        if let Phase::Talking(talk) = &mut self.phase
            && let Some(gate) = talk.channel.session.tls_gate()
        {
            gate.failed();
        }
    }

    /// Makes the engine for the handshake. What is odd about the policy goes to
    /// `warnings`, also where there is none to be had.
    fn begin_handshake(&mut self, warnings: &mut Vec<String>) -> Result<(), TlsTrouble> {
        let (rules, survey) = (self.tls_rules(), self.is_survey());
        let unix_time = self.epoch.map(|epoch| epoch + self.now.as_duration());
        let Phase::Talking(talk) = &mut self.phase else {
            return Ok(());
        };
        let relay = talk.channel.peer.relay();
        let (policy, domain) = (&talk.security.policy, &talk.security.domain);
        let host = &talk.channel.peer.host;
        let setup = rules.setup(policy, &relay, domain, host, warnings);
        let mut setup = setup.map_err(TlsTrouble)?;
        setup.unix_time = unix_time;
        if survey {
            // What the server shows is what is asked for.
            setup.resumption = None;
        }
        // If no TLSA record could be used, nothing is demanded any more.
        talk.security.policy.level = setup.level;
        let connector = rules.connector.as_ref();
        let connector = connector
            .ok_or_else(|| TlsTrouble(format!("{relay}: our TLS engine is unavailable")))?;
        let engine = connector.engine(&setup)?;
        let timeout = &self.settings.timeouts.session;
        let wait = !self.settings.tls.fast_shutdown;
        let ending = Ending {
            limit: timeout.quit,
            wait: wait.then_some(timeout.starttls),
        };
        talk.channel.secure(engine, ending);
        Ok(())
    }

    fn after_handshake(&mut self, facts: &TlsFacts) {
        self.encrypted(facts);
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let (level, relay) = (talk.security.policy.level, talk.channel.peer.relay());
        let rule = talk.security.policy.sts.as_ref();
        let tested = rule.filter(|rule| !rule.is_enforced());
        let tested = tested.map(|rule| rule.domain.clone());
        self.visit_handshake(facts, level);
        if level.must_match()
            && let Some(problem) = &facts.problem
        {
            self.note(Note::info(problem.line(&relay)));
        }
        if facts.resumed && self.settings.tls.log.cache {
            self.note(Note::info(format!("{relay}: Reusing old session")));
        }
        if self.settings.tls.log.summary {
            self.note(Note::info(facts.summary("established", &relay)));
        }
        self.note_handshake(facts);
        if let Some(domain) = tested
            && !facts.matched
        {
            self.note(Note::warning(format!(
                "MTA-STS policy of {domain} is in testing mode: the certificate of {relay} does \
                 not fulfil it"
            )));
        }
        if level.must_match() && !facts.matched {
            let status = EnhancedStatus::new(4, 7, 5);
            let text = "Server certificate not verified";
            self.fail_site(Reason::local(status, Scope::Site, text));
            if let Phase::Talking(talk) = &mut self.phase {
                talk.leave();
            }
        } else if let Phase::Talking(talk) = &mut self.phase {
            talk.channel.established();
        }
    }

    /// The server spoke before its turn inside TLS, and that is not suffered.
    pub(super) fn on_early_mail_reply(&mut self) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let (name, prefix) = (talk.channel.peer.name(), self.request.protocol.as_str());
        self.note(Note::warning(format!(
            "server {name} violates {prefix}_tls_block_early_mail_reply policy"
        )));
        let status = EnhancedStatus::new(4, 7, 0);
        self.fail_site(Reason::local(
            status,
            Scope::Site,
            "unexpected server message",
        ));
    }

    /// A kept connection that is encrypted is used again.
    pub(super) fn note_tls_reuse(&mut self) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        if let Some(facts) = talk.channel.tls_facts() {
            let line = facts.summary("reused", &talk.channel.peer.relay());
            self.note(Note::info(line));
        }
    }

    /// The session has ended because of TLS, or inside it. Whether the same server
    /// is to be tried again in plaintext: only where TLS is a mere offer, and only
    /// for mail that has waited before, for a probe, or for a survey.
    pub(super) fn retries_in_plaintext(&self, why: Closed) -> bool {
        let Phase::Talking(talk) = &self.phase else {
            return false;
        };
        let occasion = is_handshake_failure(why)
            || (talk.channel.is_secure()
                && matches!(why, Closed::Lost(_) | Closed::TimedOut(_))
                && !self.roll.open().is_empty());
        let waited = self.request.age >= self.settings.tls.plaintext_retry_age;
        occasion
            && talk.place.is_some()
            && talk.security.policy.level == TlsLevel::May
            && (self.request.probe || waited || self.is_survey())
            && !talk.login.has_credentials()
    }

    /// Puts the server in front again, for a session without TLS.
    pub(super) fn retry_in_plaintext(&mut self) {
        self.hosts.final_server = false;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let (place, counted) = (talk.place.take(), talk.counted);
        // The session was lost inside TLS, if the handshake did not fail.
        let why = talk.encryption.failure().unwrap_or("lost connection");
        if let (Some(site), Some(place)) = (&mut self.hosts.site, place) {
            site.retry_plain = Some(why.to_owned());
            site.addresses = site.addresses.saturating_sub(1);
            if counted {
                site.sessions = site.sessions.saturating_sub(1);
            }
            site.places.push_front(place);
        }
    }

    /// A handshake that failed: everybody's failure, but where TLS is a mere offer
    /// no judgement on the server.
    pub(super) fn fail_handshake(&mut self) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let scope = match talk.security.policy.level {
            TlsLevel::May => Scope::Session,
            _ => {
                talk.throttled = true;
                Scope::Site
            }
        };
        let mut reason = Reason::local(
            EnhancedStatus::new(4, 7, 5),
            scope,
            "Cannot start TLS: handshake failure",
        );
        reason.stage = Some(Stage::TlsHandshake);
        self.fail_open(reason);
    }
}

/// Why TLS cannot be had where it is demanded.
fn unavailable(peer: &Peer, offered: &Capabilities) -> Reason {
    let (status, text) = if offered.starttls {
        let text = "TLS is required, but our TLS engine is unavailable".to_owned();
        (EnhancedStatus::new(4, 7, 5), text)
    } else {
        let name = peer.name();
        let text = format!("TLS is required, but was not offered by host {name}");
        (EnhancedStatus::new(4, 7, 4), text)
    };
    Reason::local(status, Scope::Site, text)
}
