//! Facts for SMTP TLS reporting (RFC 8460), one for each session that got as far as
//! TLS and for each policy that could not be applied, where that is turned on.

use super::{Delivery, hosts::Phase};
use crate::{
    event::Event,
    report::{PolicyType, ResultType, TlsResult},
    tls::{Problem, TlsFacts, TlsLevel},
};

impl Delivery {
    /// Notes a result, if somebody wants to know.
    pub(super) fn note_tls_result(&mut self, result: TlsResult) {
        if self.policy.reports_tls() {
            self.note(Event::TlsReport { result });
        }
    }

    /// The same of the session that is open, if TLS was wanted.
    pub(super) fn note_session(&mut self, failure: Option<ResultType>) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let security = &talk.security;
        let level = security.policy.level;
        let (policy, domain) = match &security.policy.sts {
            Some(rule) => (PolicyType::Sts, rule.domain.clone()),
            None if level.is_dane() => (PolicyType::Tlsa, security.domain.clone()),
            None => (PolicyType::NoPolicyFound, security.domain.clone()),
        };
        if level > TlsLevel::None {
            let mx_host = talk.channel.peer.host.clone();
            self.note_tls_result(TlsResult {
                policy,
                domain,
                mx_host,
                failure,
            });
        }
    }

    /// What the handshake of the open session has come to.
    pub(super) fn note_handshake(&mut self, facts: &TlsFacts) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let policy = &talk.security.policy;
        let unnamed = policy.sts.as_ref().is_some_and(|rule| !rule.allowed);
        let demanded = policy.level.must_match() || policy.sts.is_some();
        let failure = match &facts.problem {
            _ if unnamed => Some(ResultType::ValidationFailure),
            _ if !demanded || facts.matched => None,
            Some(Problem::WrongName) => Some(ResultType::CertificateHostMismatch),
            Some(Problem::Expired(_)) => Some(ResultType::CertificateExpired),
            Some(Problem::SelfSigned | Problem::UnknownIssuer(_)) => {
                Some(ResultType::CertificateNotTrusted)
            }
            _ => Some(ResultType::ValidationFailure),
        };
        self.note_session(failure);
    }
}
