//! Facts for SMTP TLS reporting (RFC 8460), one for each session that got as far as
//! TLS and for each policy that could not be applied, where that is turned on.

use super::Tls;
use crate::{
    channel::Peer,
    delivery::context::Context,
    event::Event,
    report::{PolicyType, ResultType, TlsResult},
    request::TlsWish,
    tls::{Problem, TlsFacts, TlsLevel},
};

/// Returns whether somebody wants to know results of this delivery. Those of a message that waives TLS, as a report about
/// TLS does, are not for the next report (RFC 8460 section 3).
fn is_wanted(cx: &Context) -> bool {
    cx.policy.reports_tls() && cx.request.tls != TlsWish::Waived
}

/// Notes a result, if somebody wants to know.
pub(in crate::delivery) fn note_tls_result(cx: &mut Context, result: TlsResult) {
    if is_wanted(cx) {
        cx.note(Event::TlsReport { result });
    }
}

/// Notes a result of a session, if TLS was wanted there and somebody wants to know.
pub(super) fn note_session(cx: &mut Context, tls: &Tls, peer: &Peer, failure: Option<ResultType>) {
    let level = tls.policy.level;
    if level <= TlsLevel::None || !is_wanted(cx) {
        return;
    }
    let (policy, domain) = match &tls.policy.sts {
        Some(rule) => (PolicyType::Sts, rule.domain.clone()),
        None if level.is_dane() => (PolicyType::Tlsa, tls.domain.to_string()),
        None => (PolicyType::NoPolicyFound, tls.domain.to_string()),
    };
    let result = TlsResult {
        policy,
        domain,
        mx_host: peer.host().to_owned(),
        failure,
    };
    note_tls_result(cx, result);
}

/// Notes the result of a handshake that has succeeded.
pub(super) fn note_handshake(cx: &mut Context, tls: &Tls, peer: &Peer, facts: &TlsFacts) {
    let unnamed = tls.policy.sts.as_ref().is_some_and(|rule| !rule.allowed);
    let demanded = tls.policy.level.must_match() || tls.policy.sts.is_some();
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
    note_session(cx, tls, peer, failure);
}
