//! The survey as a listener: it hears what the delivery has learned, and makes findings
//! of it. It decides nothing; all decisions are made where they are made for a message.
//!
//! A survey takes another course than a message in the places where
//! [`Context::survey`](super::Context) is asked, and nowhere else:
//!
//! | place | what differs |
//! |---|---|
//! | `preparing` | nothing is prepared: there is no envelope |
//! | `choosing` | the delivery is over when everything was seen, not when everybody is settled; addresses beyond `smtp_mx_address_limit` are tried too, and only those that were asked for; kept connections are left alone; a usable server makes up for a failure of others |
//! | `talking::tls` | no session is resumed, so that the server shows its certificates |
//! | `talking::closing` | plaintext is tried after a failed handshake, as old as the message may be |
//! | `talking` | where a login or the first message would begin, the visit ends with QUIT |
//! | `settle` | a failure has no recipients, and still counts |

use std::{collections::VecDeque, net::IpAddr};

use smtp_proto::{
    reply::{Capabilities, Reply},
    session::Stage,
    status::EnhancedStatus,
};

use super::hosts::Place;
use crate::{
    event::{Event, Note},
    report::{
        Relay, Scope,
        trouble::{Judge, Reason},
    },
    route::{Candidate, MailExchange},
    survey::{
        DestinationFinding, Failing, Finding, HandshakeFinding, Hello, HostFinding, PolicyFinding,
        Survey, Usable,
    },
    tls::{TlsFacts, TlsLevel, policy::TlsPolicy, story::Story},
};

/// A fact that the delivery has come upon.
#[derive(Debug)]
pub(super) enum Learned<'a> {
    /// A destination was turned into addresses, or could not be.
    Destination(Destination<'a>),
    /// The TLS policy for a server came about in this way.
    Policy(&'a Story),
    /// It is the turn of a server.
    Server(Server<'a>),
    /// A server has replied.
    Reply(Stage, &'a Reply),
    /// The server has introduced itself.
    Hello {
        /// The keywords that it offers and that count.
        offered: &'a Capabilities,
        /// Says whether this is inside TLS.
        secure: bool,
    },
    /// A handshake has succeeded. TLSA records that could not be used are left out by
    /// now, so that the level may be another one.
    Handshake(&'a TlsFacts, TlsLevel),
    /// A handshake has failed, for this reason.
    HandshakeFailed(&'a str),
    /// Something speaks against the server.
    Failed(&'a Reason),
    /// The server takes mail, or would after a login.
    Usable(Usable),
    /// The server is left.
    Left,
    /// The delivery is over, for this reason if there is nothing better to say.
    Over(&'a Reason, &'a str),
}

/// A destination and what it leads to.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    /// As it is written.
    pub(super) text: &'a str,
    /// Says whether it is a fallback relay.
    pub(super) fallback: bool,
    pub(super) exchange: Option<&'a MailExchange>,
    pub(super) places: &'a VecDeque<Place>,
    pub(super) failure: Option<&'a Reason>,
}

/// A server whose turn it is.
#[derive(Debug)]
pub(super) struct Server<'a> {
    /// The destination that led there, as it is written.
    pub(super) destination: &'a str,
    /// The name of a server behind a UNIX-domain socket.
    pub(super) own_name: &'a str,
    pub(super) place: &'a Place,
    /// `None` if it could not be told.
    pub(super) policy: Option<&'a TlsPolicy>,
    /// The server was tried before, with TLS.
    pub(super) plain: bool,
    /// A message would not come so far in the list.
    pub(super) beyond_limit: bool,
}

/// A survey under way.
#[derive(Debug)]
pub(super) struct Surveying {
    survey: Survey,
    judge: Judge,
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
    pub(super) fn new(survey: Survey, judge: Judge) -> Self {
        Self {
            survey,
            judge,
            story: Story::default(),
            visit: None,
            found: false,
            usable: false,
            over: false,
        }
    }

    /// The only address that is to be visited, if not all are.
    pub(super) const fn only(&self) -> Option<IpAddr> {
        self.survey.only
    }

    /// Returns whether everything was seen.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// All destinations were tried. Returns whether a server was found, so that nobody is
    /// to blame; then the survey is over.
    pub(super) fn ends_well(&mut self) -> bool {
        self.over |= self.usable;
        self.usable
    }

    /// Hears of a fact; returns a note where a finding is complete.
    pub(super) fn learn(&mut self, fact: &Learned<'_>) -> Option<Note> {
        match fact {
            Learned::Destination(destination) => return Some(self.found_destination(destination)),
            Learned::Server(server) => return self.begin_visit(server),
            Learned::Left => return self.end_visit(),
            Learned::Over(reason, nexthop) => return self.end(reason, nexthop),
            Learned::Policy(story) => self.story = (*story).clone(),
            Learned::Failed(reason) => {
                let failing = self.failing(reason);
                self.judge(Err(failing));
            }
            Learned::Usable(usable) => self.judge(Ok(*usable)),
            fact => {
                if let Some(visit) = &mut self.visit {
                    visit.learn(fact);
                }
            }
        }
        None
    }

    fn found_destination(&mut self, destination: &Destination<'_>) -> Note {
        self.found = true;
        let candidates = destination.places.iter().filter_map(Place::candidate);
        let finding = DestinationFinding {
            destination: destination.text.to_owned(),
            fallback: destination.fallback,
            exchange: destination.exchange.cloned(),
            candidates: candidates.cloned().collect(),
            failure: destination.failure.map(|reason| self.failing(reason)),
        };
        let finding = Finding::Destination(Box::new(finding));
        Event::Found { finding }.into()
    }

    fn begin_visit(&mut self, server: &Server<'_>) -> Option<Note> {
        let before = self.end_visit();
        let text = "server unavailable or unable to receive mail";
        let reason = Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Site, text);
        let unjudged = self.failing(&reason);
        let candidate = server.place.candidate().cloned();
        let name = |candidate: &Candidate| candidate.host.to_string();
        let story = core::mem::take(&mut self.story);
        let policy = server.policy.map(|policy| PolicyFinding {
            configured: story.configured,
            source: story.source,
            level: if server.plain {
                TlsLevel::None
            } else {
                policy.level
            },
            wanted: policy.wanted(),
            dane: story.dane,
            sts: story.sts,
        });
        let finding = HostFinding {
            destination: server.destination.to_owned(),
            host: candidate
                .as_ref()
                .map_or_else(|| server.own_name.to_owned(), name),
            address: server.place.address(),
            port: candidate.as_ref().map(|candidate| candidate.port),
            candidate,
            beyond_limit: server.beyond_limit,
            plaintext_retry: server.plain,
            policy,
            banner: None,
            hello: None,
            starttls: None,
            handshake: None,
            secure_hello: None,
            result: Err(unjudged),
        };
        self.visit = Some(Box::new(Visit {
            finding,
            judged: false,
            hello: None,
        }));
        before
    }

    /// The visit is over: tells what was found.
    fn end_visit(&mut self) -> Option<Note> {
        let finding = self.visit.take()?.finding;
        self.found = true;
        self.usable |= finding.result.is_ok();
        let finding = Finding::Host(Box::new(finding));
        Some(Event::Found { finding }.into())
    }

    fn end(&mut self, reason: &Reason, nexthop: &str) -> Option<Note> {
        self.over = true;
        if self.found || self.visit.is_some() {
            let failing = self.failing(reason);
            self.judge(Err(failing));
            return None;
        }
        Some(self.found_destination(&Destination {
            text: nexthop,
            fallback: false,
            exchange: None,
            places: &VecDeque::new(),
            failure: Some(reason),
        }))
    }

    /// The first judgement is what counts.
    fn judge(&mut self, result: Result<Usable, Failing>) {
        if let Some(visit) = &mut self.visit
            && !visit.judged
        {
            visit.judged = true;
            visit.finding.result = result;
        }
    }

    fn failing(&self, reason: &Reason) -> Failing {
        let outcome = self.judge.failure(reason, Relay::None);
        Failing {
            status: outcome.code,
            text: outcome.text,
            fate: outcome.status,
            ends_delivery: self.judge.settles(reason, false),
        }
    }
}

impl Visit {
    /// Writes down what a server shows of itself.
    fn learn(&mut self, fact: &Learned<'_>) {
        let finding = &mut self.finding;
        match fact {
            Learned::Reply(Stage::Banner, reply) => finding.banner = Some((*reply).clone()),
            Learned::Reply(Stage::StartTls, reply) => finding.starttls = Some((*reply).clone()),
            Learned::Reply(stage @ (Stage::Ehlo | Stage::Helo | Stage::Lhlo), reply)
                if reply.is_success() =>
            {
                self.hello = Some((*stage, (*reply).clone()));
            }
            Learned::Hello { offered, secure } => {
                if let Some((stage, reply)) = self.hello.take() {
                    let hello = Some(Hello {
                        stage,
                        reply,
                        capabilities: (*offered).clone(),
                    });
                    match secure {
                        true => finding.secure_hello = hello,
                        false => finding.hello = hello,
                    }
                }
            }
            Learned::Handshake(facts, level) => {
                finding.handshake = Some(HandshakeFinding::Done(Box::new((*facts).clone())));
                if let Some(policy) = &mut finding.policy {
                    if policy.level != *level
                        && let Some(dane) = &mut policy.dane
                    {
                        dane.obstacle = Some("all TLSA records unusable".into());
                    }
                    policy.level = *level;
                }
            }
            // The first reason is the nearest.
            Learned::HandshakeFailed(why) => {
                let failed = || HandshakeFinding::Failed((*why).to_owned());
                finding.handshake.get_or_insert_with(failed);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::delivery::testing::candidate;

    fn surveying() -> Surveying {
        let judge = Judge {
            soft_bounce: false,
            probe: false,
        };
        Surveying::new(Survey::default(), judge)
    }

    fn begin(survey: &mut Surveying, place: &Place) -> Option<Note> {
        survey.learn(&Learned::Server(Server {
            destination: "example.com",
            own_name: "client.example",
            place,
            policy: None,
            plain: false,
            beyond_limit: false,
        }))
    }

    fn host(note: Option<Note>) -> HostFinding {
        match note.unwrap().event {
            Event::Found {
                finding: Finding::Host(finding),
            } => *finding,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_judgement_on_a_server_counts() {
        let mut survey = surveying();
        assert!(begin(&mut survey, &Place::Inet(candidate("192.0.2.1", 10))).is_none());
        for text in ["first", "second"] {
            let reason = Reason::local(EnhancedStatus::new(5, 0, 0), Scope::Site, text);
            assert!(survey.learn(&Learned::Failed(&reason)).is_none());
        }
        let finding = host(survey.learn(&Learned::Left));
        let failing = finding.result.unwrap_err();
        assert_eq!(
            (failing.text.as_str(), failing.ends_delivery),
            ("first", true)
        );
        assert!(!survey.ends_well() && !survey.is_over());
    }

    #[test]
    fn a_usable_server_makes_up_for_others() {
        let mut survey = surveying();
        begin(&mut survey, &Place::Inet(candidate("192.0.2.1", 10)));
        let next = Place::Inet(candidate("192.0.2.2", 10));
        let finding = host(begin(&mut survey, &next));
        assert_eq!(finding.address, "192.0.2.1");
        let usable = Usable {
            encrypted: false,
            verified: false,
            logs_in: false,
        };
        survey.learn(&Learned::Usable(usable));
        assert_eq!(host(survey.learn(&Learned::Left)).result, Ok(usable));
        assert!(survey.learn(&Learned::Left).is_none());
        assert!(survey.ends_well() && survey.is_over());
    }

    #[test]
    fn a_survey_that_ends_before_anything_was_found_says_why() {
        let mut survey = surveying();
        let reason = Reason::local(EnhancedStatus::new(4, 3, 5), Scope::Site, "null");
        let note = survey.learn(&Learned::Over(&reason, "nowhere")).unwrap();
        let Event::Found {
            finding: Finding::Destination(finding),
        } = note.event
        else {
            panic!("{note:?}");
        };
        assert_eq!(finding.destination, "nowhere");
        assert!(finding.failure.is_some() && survey.is_over());
    }
}
