//! TLS in one session: when STARTTLS is said, what the handshake has proved, and what
//! becomes of a session that demands more (`src/smtp/smtp_proto.c`, smtp_start_tls;
//! `src/smtp/smtp_trouble.c`, smtp_stream_except).

use std::sync::Arc;

use smtp_proto::{
    reply::{Capabilities, Reply},
    session::{Closed, Stage},
    status::EnhancedStatus,
};

use super::tls_report::{note_handshake, note_session};
#[cfg(feature = "tls")]
use crate::tls::CertificateSummary;
use crate::{
    channel::{Channel, Ending, Handshake, Peer},
    delivery::{context::Context, survey::Learned},
    event::{Event, Level, Note},
    report::{Encryption, LogText, ResultType, Scope, TlsSummary, trouble::Reason},
    tls::{RequireTls, TlsFacts, TlsLevel, TlsTrouble, policy::TlsPolicy},
};

/// The encryption of one session, as the delivery wants it and as it has come about.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Tls {
    pub(in crate::delivery) policy: TlsPolicy,
    /// The bare domain that certificates are compared with.
    pub(super) domain: Arc<str>,
    /// The server did not want to start TLS.
    refused: bool,
    /// The progress of the wish for TLS.
    pub(super) encryption: Encryption,
}

/// The next step, as far as TLS is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// STARTTLS.
    StartTls,
    /// The login, or else the message.
    LogIn,
    /// QUIT: why is known already.
    Leave,
    /// QUIT, for this reason.
    Object(Reason),
}

impl Tls {
    /// The wish for a session under a policy. `failed` says why TLS failed in the session
    /// before, where this one is to be without.
    pub(in crate::delivery) const fn new(
        policy: TlsPolicy,
        domain: Arc<str>,
        failed: Option<LogText>,
    ) -> Self {
        Self {
            policy,
            domain,
            refused: false,
            encryption: Encryption::Plaintext { instead: failed },
        }
    }

    /// The encryption of a connection that was kept: all was decided when it was made.
    pub(super) fn resumed(facts: Option<&TlsFacts>) -> Self {
        let tls = facts.map(|facts| Encryption::Tls(Arc::new(TlsSummary::of(facts))));
        Self {
            encryption: tls.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Returns whether TLS begins with the first byte (`smtp_tls_wrappermode`).
    pub(super) fn is_wrapped(&self, cx: &Context) -> bool {
        cx.settings.tls.wrapper && self.policy.level > TlsLevel::None
    }

    /// Returns whether the server has refused STARTTLS.
    pub(super) const fn is_refused(&self) -> bool {
        self.refused
    }

    /// The server has introduced itself, and the message could go there: starts TLS
    /// if it is offered and wanted, objects if it is demanded and cannot be had, and
    /// else goes on to the login.
    pub(super) fn decide(&self, cx: &mut Context, channel: &Channel) -> Decision {
        let (peer, offered) = (&channel.peer, channel.session.capabilities());
        let level = self.policy.level;
        if channel.is_secure() {
            return self.go_on_to_login(cx, channel);
        }
        if self.refused && level.is_mandatory() {
            return Decision::Leave;
        }
        if self.refused {
            return self.go_on_to_login(cx, channel);
        }
        if offered.starttls && level == TlsLevel::None && cx.settings.tls.note_starttls_offer {
            let server = peer.server();
            cx.note(Event::StarttlsOffered { server });
        }
        if !offered.starttls {
            note_session(cx, self, peer, Some(ResultType::StartTlsNotSupported));
        }
        let available = cx.tls_rules().connector.is_some();
        if offered.starttls && available && level >= TlsLevel::May {
            Decision::StartTls
        } else if level.is_mandatory() {
            Decision::Object(unavailable(peer, offered))
        } else {
            self.go_on_to_login(cx, channel)
        }
    }

    /// TLS has been decided about. Mail that requires it goes no further where nobody
    /// has proved who the server is, or that it will require it in turn (RFC 8689
    /// section 4.2.1): another server may be better, and in the end the mail bounces.
    fn go_on_to_login(&self, cx: &Context, channel: &Channel) -> Decision {
        let Some(demand) = cx.hosts.demand else {
            return Decision::LogIn;
        };
        let name = channel.peer.name();
        let text = match demand {
            RequireTls::Disable | RequireTls::Opportunistic => return Decision::LogIn,
            RequireTls::OpportunisticStarttls if channel.is_secure() => return Decision::LogIn,
            RequireTls::OpportunisticStarttls => {
                format!("REQUIRETLS is wanted, but there is no TLS with host {name}")
            }
            RequireTls::Enforce if !self.is_verified(channel) => {
                format!("REQUIRETLS is wanted, but host {name} is not verified by TLS")
            }
            RequireTls::Enforce if !channel.session.capabilities().require_tls => {
                format!("REQUIRETLS is wanted, but was not offered by host {name}")
            }
            RequireTls::Enforce => return Decision::LogIn,
        };
        let class = if cx.hosts.final_server { 5 } else { 4 };
        let status = EnhancedStatus::new(class, 7, 30);
        Decision::Object(Reason::local(status, Scope::Site, text))
    }

    /// Returns whether the server has proved in TLS that it is the right one, and nobody could
    /// have sent the mail to another.
    fn is_verified(&self, channel: &Channel) -> bool {
        let level = self.policy.level;
        let matched = || channel.tls_facts().is_some_and(|facts| facts.matched);
        level.must_match() && level != TlsLevel::HalfDane && matched()
    }

    /// The server does not want to start TLS. Returns the failure, if it has to.
    pub(super) fn on_refused(
        &mut self,
        cx: &mut Context,
        peer: &Peer,
        reply: &Reply,
    ) -> Option<Reason> {
        self.refused = true;
        let instead = Some(format!("STARTTLS was refused: {}", reply.one_line()).into());
        self.encryption = Encryption::Plaintext { instead };
        note_session(cx, self, peer, Some(ResultType::StartTlsNotSupported));
        let mandatory = self.policy.level.is_mandatory();
        mandatory.then(|| Reason::tls_refused(&peer.server, reply))
    }

    /// After a refused STARTTLS the rest of the hello counts as part of it, as in
    /// Postfix.
    pub(super) const fn in_starttls(&self, why: Closed) -> Closed {
        if !self.refused {
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

    /// The session waits for the handshake: begins it, or judges it. Returns why the server
    /// is not the one that is wanted.
    pub(super) fn at_gate(&mut self, cx: &mut Context, channel: &mut Channel) -> Option<Reason> {
        match channel.handshake() {
            Handshake::UnderWay => None,
            Handshake::NotBegun => {
                let mut warnings = Vec::new();
                let begun = self.begin_handshake(cx, channel, &mut warnings);
                for warning in warnings {
                    let text = warning.into();
                    cx.note(Event::TlsPolicyWarning { text });
                }
                if let Err(trouble) = begun {
                    self.fail(cx, &trouble.0);
                    cx.note(Event::TlsUnavailable {
                        server: channel.peer.server(),
                        why: trouble.0.into(),
                    });
                    self.shut_gate(cx, channel);
                }
                None
            }
            Handshake::Done(facts) => self.judge(cx, channel, &facts),
            Handshake::Failed(trouble) => {
                self.fail(cx, &trouble.0);
                cx.note(Event::HandshakeFailed {
                    server: channel.peer.server(),
                    why: trouble.0.into(),
                });
                self.shut_gate(cx, channel);
                None
            }
        }
    }

    /// Makes the engine for the handshake. What is odd about the policy goes to
    /// `warnings`, also where there is none to be had.
    fn begin_handshake(
        &mut self,
        cx: &Context,
        channel: &mut Channel,
        warnings: &mut Vec<String>,
    ) -> Result<(), TlsTrouble> {
        let rules = cx.tls_rules();
        let (relay, host) = (channel.peer.relay(), channel.peer.host());
        let setup = rules.setup(&self.policy, &relay, &self.domain, host, warnings);
        let mut setup = setup.map_err(TlsTrouble)?;
        setup.unix_time = cx.unix_time();
        if cx.is_survey() {
            // What the server shows is what is asked for.
            setup.resumption = None;
        }
        // If no TLSA record could be used, nothing is demanded any more.
        self.policy.level = setup.level;
        let connector = rules.connector.as_ref();
        let connector = connector
            .ok_or_else(|| TlsTrouble(format!("{relay}: our TLS engine is unavailable")))?;
        let engine = connector.engine(&setup)?;
        let timeout = &cx.settings.timeouts.session;
        let wait = !cx.settings.tls.fast_shutdown;
        let ending = Ending {
            limit: timeout.quit,
            wait: wait.then_some(timeout.starttls),
        };
        channel.secure(engine, ending);
        Ok(())
    }

    /// The handshake has succeeded: decides whether what it has proved is enough.
    fn judge(
        &mut self,
        cx: &mut Context,
        channel: &mut Channel,
        facts: &TlsFacts,
    ) -> Option<Reason> {
        let tls = Arc::new(TlsSummary::of(facts));
        self.encryption = Encryption::Tls(Arc::clone(&tls));
        let level = self.policy.level;
        cx.learn(&Learned::Handshake(facts, level));
        self.log_handshake(cx, &channel.peer, facts, tls);
        if level.must_match() && !facts.matched {
            let status = EnhancedStatus::new(4, 7, 5);
            let text = "Server certificate not verified";
            return Some(Reason::local(status, Scope::Site, text));
        }
        channel.established();
        None
    }

    fn log_handshake(&self, cx: &mut Context, peer: &Peer, facts: &TlsFacts, tls: Arc<TlsSummary>) {
        let server = || peer.server();
        if self.policy.level.must_match()
            && let Some(problem) = &facts.problem
        {
            cx.note(Event::CertificateProblem {
                server: server(),
                problem: problem.clone(),
            });
        }
        if facts.resumed {
            let level = log_level(cx.settings.tls.log.cache);
            let server = server();
            cx.note(Note::from(Event::TlsResumed { server }).with_level(level));
        }
        if cx.policy.tells_dialogue() {
            tell_certificate(cx, peer, facts);
        }
        let established = Event::TlsEstablished {
            server: server(),
            tls,
        };
        let level = log_level(cx.settings.tls.log.summary);
        cx.note(Note::from(established).with_level(level));
        note_handshake(cx, self, peer, facts);
        let rule = self.policy.sts.as_ref();
        if let Some(rule) = rule.filter(|rule| !rule.is_enforced())
            && !facts.matched
        {
            cx.note(Event::StsTestFailed {
                domain: rule.domain.clone(),
                server: server(),
            });
        }
    }

    /// The handshake has failed; the first reason is the nearest.
    fn fail(&mut self, cx: &mut Context, why: &str) {
        if !matches!(self.encryption, Encryption::Failed(_)) {
            self.encryption = Encryption::Failed(why.into());
        }
        cx.learn(&Learned::HandshakeFailed(why));
    }

    fn shut_gate(&self, cx: &mut Context, channel: &mut Channel) {
        note_session(cx, self, &channel.peer, Some(ResultType::ValidationFailure));
        if let Some(gate) = channel.session.tls_gate() {
            gate.failed();
        }
    }

    /// The session ended in the handshake. Returns the failure: everybody's, but where TLS
    /// is a mere offer no judgement on the server.
    pub(super) fn ended(&mut self, cx: &mut Context, why: Closed) -> Reason {
        self.fail(
            cx,
            match why {
                Closed::TimedOut(_) => "timed out",
                _ => "lost connection",
            },
        );
        let scope = match self.policy.level {
            TlsLevel::May => Scope::Session,
            _ => Scope::Site,
        };
        let text = "Cannot start TLS: handshake failure";
        let reason = Reason {
            stage: Some(Stage::TlsHandshake),
            ..Reason::local(EnhancedStatus::new(4, 7, 5), scope, text)
        };
        match self.policy.level {
            TlsLevel::May => reason.without_blame(),
            _ => reason,
        }
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

/// The severity of lines that are wanted or not.
const fn log_level(is_wanted: bool) -> Level {
    match is_wanted {
        true => Level::Info,
        false => Level::Trace,
    }
}

/// Tells which certificate the server shows.
#[cfg(feature = "tls")]
fn tell_certificate(cx: &mut Context, peer: &Peer, facts: &TlsFacts) {
    let certificate = facts.chain.first();
    let Some(shown) = certificate.and_then(|der| CertificateSummary::read(der)) else {
        return;
    };
    cx.note(Event::CertificateShown {
        server: peer.server(),
        subject: shown.subject,
        issuer: shown.issuer,
        not_after: shown.validity.1,
    });
}

/// Nothing here can read a certificate.
#[cfg(not(feature = "tls"))]
const fn tell_certificate(_: &mut Context, _: &Peer, _: &TlsFacts) {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::delivery::testing::{channel_offering, context};

    fn wanting(level: TlsLevel) -> Tls {
        let mut policy = TlsPolicy::default();
        policy.level = level;
        Tls::new(policy, "example.com".into(), None)
    }

    /// The decision in words, where our TLS engine is not available.
    fn decision(tls: &Tls, keywords: &[&str]) -> String {
        let mut cx = context(1);
        let channel = channel_offering(&cx, keywords);
        match tls.decide(&mut cx, &channel) {
            Decision::StartTls => "STARTTLS".into(),
            Decision::LogIn => "login".into(),
            Decision::Leave => "leave".into(),
            Decision::Object(reason) => format!("{} {}", reason.status, reason.text),
        }
    }

    #[test]
    fn a_demand_that_cannot_be_met_is_an_objection_and_an_offer_is_none() {
        let here = "TLS is required, but our TLS engine is unavailable";
        let there = "TLS is required, but was not offered by host mx.example[192.0.2.1]";
        let (here, there) = (format!("4.7.5 {here}"), format!("4.7.4 {there}"));
        let rows = [
            (TlsLevel::None, "STARTTLS", "login"),
            (TlsLevel::May, "STARTTLS", "login"),
            (TlsLevel::May, "DSN", "login"),
            (TlsLevel::Encrypt, "STARTTLS", here.as_str()),
            (TlsLevel::Encrypt, "DSN", there.as_str()),
            (TlsLevel::Secure, "DSN", there.as_str()),
        ];
        for (level, keyword, expected) in rows {
            assert_eq!(decision(&wanting(level), &[keyword]), expected, "{level:?}");
        }
    }

    #[test]
    fn after_a_refusal_only_an_offer_goes_on_in_plaintext() {
        let reply = Reply::new(454, "454 4.7.0 not now");
        for (level, fails, expected) in [
            (TlsLevel::May, false, "login"),
            (TlsLevel::Encrypt, true, "leave"),
        ] {
            let mut cx = context(1);
            let mut tls = wanting(level);
            let channel = channel_offering(&cx, &["STARTTLS"]);
            let failure = tls.on_refused(&mut cx, &channel.peer, &reply);
            assert_eq!(failure.is_some(), fails);
            assert_eq!(decision(&tls, &["STARTTLS"]), expected);
            let why = "STARTTLS was refused: 454 4.7.0 not now";
            assert_eq!(tls.encryption.failure(), Some(why));
            let lost = tls.in_starttls(Closed::Lost(Stage::Ehlo));
            assert_eq!(lost, Closed::Lost(Stage::StartTls));
        }
    }

    #[test]
    fn mail_that_requires_tls_goes_to_nobody_unverified() {
        let mut cx = context(1);
        cx.hosts.demand = Some(RequireTls::Enforce);
        let channel = channel_offering(&cx, &["REQUIRETLS"]);
        let statuses = [false, true].map(|last| {
            cx.hosts.final_server = last;
            match wanting(TlsLevel::May).decide(&mut cx, &channel) {
                Decision::Object(reason) => reason.status.to_string(),
                other => format!("{other:?}"),
            }
        });
        assert_eq!(statuses, ["4.7.30", "5.7.30"]);
    }

    #[test]
    fn a_handshake_that_ends_is_blamed_on_the_site_only_where_tls_is_demanded() {
        let mut cx = context(1);
        let mut scopes = [TlsLevel::May, TlsLevel::Encrypt].map(|level| {
            let mut tls = wanting(level);
            let reason = tls.ended(&mut cx, Closed::TimedOut(Stage::TlsHandshake));
            assert_eq!(tls.encryption, Encryption::Failed("timed out".into()));
            reason.scope
        });
        scopes.sort_unstable();
        assert_eq!(scopes, [Scope::Session, Scope::Site]);
    }
}
