//! The result of the wish for TLS in the open session, for the verdicts.

use std::sync::Arc;

use smtp_proto::{reply::Reply, session::Closed};

use super::{Delivery, hosts::Phase};
use crate::{
    report::{Encryption, TlsSummary},
    tls::TlsFacts,
};

impl Delivery {
    /// The encryption of the open session.
    pub(super) fn encryption(&self) -> Option<Encryption> {
        match &self.phase {
            Phase::Talking(talk) => Some(talk.encryption.clone()),
            _ => None,
        }
    }

    /// The handshake has succeeded.
    pub(super) fn encrypted(&mut self, facts: &TlsFacts) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.encryption = Encryption::Tls(Arc::new(TlsSummary::of(facts)));
        }
    }

    /// The server does not want to start TLS that it has offered.
    pub(super) fn starttls_refused(&mut self, reply: &Reply) {
        if let Phase::Talking(talk) = &mut self.phase {
            let instead = Some(format!("STARTTLS was refused: {}", reply.one_line()).into());
            talk.encryption = Encryption::Plaintext { instead };
        }
    }

    /// The handshake has failed; the first reason is the nearest.
    pub(super) fn handshake_failed(&mut self, why: &str) {
        if let Phase::Talking(talk) = &mut self.phase
            && !matches!(talk.encryption, Encryption::Failed(_))
        {
            talk.encryption = Encryption::Failed(why.into());
        }
        self.visit_handshake_failed(why);
    }

    /// The session ended in the handshake.
    pub(super) fn ended_in_handshake(&mut self, why: Closed) {
        self.handshake_failed(match why {
            Closed::TimedOut(_) => "timed out",
            _ => "lost connection",
        });
    }
}
