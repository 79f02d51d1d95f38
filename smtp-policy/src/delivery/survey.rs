//! A delivery that only looks: what it notes of each destination and server, and
//! where it stops. All decisions are made where they are made for a message; this
//! file writes them down.

use std::collections::VecDeque;

use smtp_proto::{
    reply::{Capabilities, Reply},
    session::Stage,
    status::EnhancedStatus,
};

use super::{
    Delivery, Note,
    hosts::{Phase, Place},
};
use crate::{
    report::{Scope, trouble::Reason},
    route::{Candidate, MailExchange},
    survey::{
        DestinationFinding, Failing, Finding, HandshakeFinding, Hello, HostFinding, PolicyFinding,
        Survey, Usable,
    },
    tls::{TlsFacts, TlsLevel, policy::TlsPolicy, story::Story},
};

/// A survey under way.
#[derive(Debug)]
pub(super) struct Surveying {
    survey: Survey,
    /// Of the policy that was told last.
    story: Story,
    visit: Option<Box<Visit>>,
    /// Something was found.
    found: bool,
    /// A server was found that takes mail.
    usable: bool,
    /// There is nothing more to be seen.
    over: bool,
}

/// A visit at one server.
#[derive(Debug)]
struct Visit {
    finding: HostFinding,
    /// The result stands, whatever happens now.
    judged: bool,
    /// The last successful hello.
    hello: Option<(Stage, Reply)>,
}

impl Surveying {
    pub(super) fn new(survey: Survey) -> Self {
        Self {
            survey,
            story: Story::default(),
            visit: None,
            found: false,
            usable: false,
            over: false,
        }
    }
}

impl Delivery {
    pub(super) fn is_survey(&self) -> bool {
        self.survey.is_some()
    }

    /// Whether nothing is left to be done: every recipient has a verdict, or
    /// everything was seen.
    pub(super) fn is_over(&self) -> bool {
        match &self.survey {
            Some(survey) => survey.over,
            None => self.roll.all_settled(),
        }
    }

    /// The survey ends here, with this reason if there is nothing better to say.
    pub(super) fn end_survey(&mut self, reason: &Reason) {
        let Some(survey) = &mut self.survey else {
            return;
        };
        survey.over = true;
        if survey.found || survey.visit.is_some() {
            self.judge_visit(reason);
        } else {
            let destination = self.request.nexthop.clone();
            self.found_destination(
                destination.as_str(),
                None,
                &mut VecDeque::new(),
                Some(reason),
            );
        }
    }

    /// Whether this is a survey that has seen everything and found a server, so that
    /// nobody is to blame.
    pub(super) fn ends_well(&mut self) -> bool {
        let Some(survey) = &mut self.survey else {
            return false;
        };
        survey.over |= survey.usable;
        survey.usable
    }

    /// A destination was turned into addresses, or could not be. Those that are not to
    /// be visited are taken away.
    pub(super) fn found_destination(
        &mut self,
        destination: &str,
        exchange: Option<MailExchange>,
        places: &mut VecDeque<Place>,
        failure: Option<&Reason>,
    ) {
        let failure = failure.map(|reason| self.failing(reason));
        let fallback = self.hosts.begun > self.hosts.own;
        let Some(survey) = &mut self.survey else {
            return;
        };
        survey.found = true;
        let candidates = places.iter().filter_map(Place::candidate).cloned();
        let finding = DestinationFinding {
            destination: destination.to_owned(),
            fallback,
            exchange,
            candidates: candidates.collect(),
            failure,
        };
        if let Some(only) = survey.survey.only {
            places.retain(|place| place.candidate().is_some_and(|found| found.address == only));
        }
        let text = format!("survey of destination {destination}");
        self.note(Note::finding(text, Finding::Destination(finding)));
    }

    /// A policy was told.
    pub(super) fn heard_story(&mut self, story: &Story) {
        if let Some(survey) = &mut self.survey {
            survey.story = story.clone();
        }
    }

    /// It is the turn of a server. `plain` says that it was visited before, with TLS.
    pub(super) fn begin_visit(
        &mut self,
        place: &Place,
        policy: Option<&TlsPolicy>,
        plain: bool,
        beyond_limit: bool,
    ) {
        self.end_visit();
        let text = "server unavailable or unable to receive mail";
        let reason = Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Site, text);
        let unjudged = self.failing(&reason);
        let candidate = place.candidate().cloned();
        let name = |candidate: &Candidate| candidate.host.clone();
        let finding = HostFinding {
            destination: self.hosts.label.clone(),
            host: candidate
                .as_ref()
                .map_or_else(|| self.settings.identity.host.to_string(), name),
            address: place.address(),
            port: candidate.as_ref().map(|candidate| candidate.port),
            candidate,
            beyond_limit,
            plaintext_retry: plain,
            policy: None,
            banner: None,
            hello: None,
            starttls: None,
            handshake: None,
            secure_hello: None,
            result: Err(unjudged),
        };
        let Some(survey) = &mut self.survey else {
            return;
        };
        let story = core::mem::take(&mut survey.story);
        let policy = policy.map(|policy| PolicyFinding {
            configured: story.configured,
            source: story.source,
            level: if plain { TlsLevel::None } else { policy.level },
            wanted: policy.wanted(),
            dane: story.dane,
            sts: story.sts,
        });
        survey.visit = Some(Box::new(Visit {
            finding: HostFinding { policy, ..finding },
            judged: false,
            hello: None,
        }));
    }

    /// The visit is over: tells what was found.
    pub(super) fn end_visit(&mut self) {
        let visit = self.survey.as_mut().and_then(|survey| survey.visit.take());
        if let Some(visit) = visit {
            let finding = visit.finding;
            if let Some(survey) = &mut self.survey {
                survey.found = true;
                survey.usable |= finding.result.is_ok();
            }
            let text = format!("survey of host {}[{}]", finding.host, finding.address);
            self.note(Note::finding(text, Finding::Host(Box::new(finding))));
        }
    }

    /// Something speaks against the server. The first such thing is what counts.
    pub(super) fn judge_visit(&mut self, reason: &Reason) {
        let failing = self.failing(reason);
        if let Some(visit) = self.visit()
            && !visit.judged
        {
            visit.judged = true;
            visit.finding.result = Err(failing);
        }
    }

    /// The server takes mail, or would after a login. The visit goes no further.
    pub(super) fn pass_visit(&mut self, offered: &Capabilities) {
        let sasl = self.policy.settings(self.request.protocol).sasl.is_some();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let facts = talk.channel.tls_facts();
        let result = Usable {
            encrypted: talk.channel.is_secure(),
            verified: facts.is_some_and(|facts| facts.matched),
            logs_in: sasl && talk.login.has_credentials() && !offered.auth.is_empty(),
        };
        talk.give_up();
        if let Some(visit) = self.visit()
            && !visit.judged
        {
            visit.judged = true;
            visit.finding.result = Ok(result);
        }
    }

    /// Writes down a reply.
    pub(super) fn visit_reply(&mut self, stage: Stage, reply: &Reply) {
        let Some(visit) = self.visit() else {
            return;
        };
        match stage {
            Stage::Banner => visit.finding.banner = Some(reply.clone()),
            Stage::StartTls => visit.finding.starttls = Some(reply.clone()),
            Stage::Ehlo | Stage::Helo | Stage::Lhlo if reply.is_success() => {
                visit.hello = Some((stage, reply.clone()));
            }
            _ => {}
        }
    }

    /// The server has introduced itself.
    pub(super) fn visit_hello(&mut self, offered: &Capabilities) {
        let secure = matches!(&self.phase, Phase::Talking(talk) if talk.channel.is_secure());
        let Some(visit) = self.visit() else {
            return;
        };
        if let Some((stage, reply)) = visit.hello.take() {
            let hello = Some(Hello {
                stage,
                reply,
                capabilities: offered.clone(),
            });
            if secure {
                visit.finding.secure_hello = hello;
            } else {
                visit.finding.hello = hello;
            }
        }
    }

    /// The handshake has succeeded. TLSA records that could not be used are left out
    /// by now, so that the level may be another one.
    pub(super) fn visit_handshake(&mut self, facts: &TlsFacts, level: TlsLevel) {
        let Some(visit) = self.visit() else {
            return;
        };
        visit.finding.handshake = Some(HandshakeFinding::Done(Box::new(facts.clone())));
        if let Some(policy) = &mut visit.finding.policy {
            if policy.level != level
                && let Some(dane) = &mut policy.dane
            {
                dane.obstacle = Some("all TLSA records unusable".into());
            }
            policy.level = level;
        }
    }

    /// The handshake has failed; the first reason is the nearest.
    pub(super) fn visit_handshake_failed(&mut self, why: impl Into<String>) {
        if let Some(visit) = self.visit() {
            visit
                .finding
                .handshake
                .get_or_insert_with(|| HandshakeFinding::Failed(why.into()));
        }
    }

    fn visit(&mut self) -> Option<&mut Visit> {
        self.survey.as_mut()?.visit.as_deref_mut()
    }

    fn failing(&self, reason: &Reason) -> Failing {
        let outcome = self.judge.failure(reason, None);
        Failing {
            status: outcome.code,
            text: outcome.text,
            fate: outcome.status,
            ends_delivery: self.judge.settles(reason, false),
        }
    }
}
