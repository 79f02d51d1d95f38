//! Giving verdicts: each recipient exactly once (`src/smtp/smtp_trouble.c`,
//! `src/smtp/smtp_rcpt.c`).

use std::sync::Arc;

use smtp_proto::{reply::Reply, session::Stage, time::Time};

use super::{
    context::Context,
    roll::{Rcpt, Roll},
    survey::Learned,
    verdict::Verdict,
};
use crate::{
    config::Protocol,
    event::Event,
    report::{Action, Encryption, trouble::Reason},
    server::Server,
};

/// The connection that a verdict comes from; by default there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// `host[address]:port`.
    pub(super) relay: Option<String>,
    /// The server.
    pub(super) server: Option<Arc<Server>>,
    /// When MAIL was said.
    pub(super) set_up: Option<Time>,
    /// The result of the wish for TLS.
    pub(super) encryption: Option<Encryption>,
    /// The number of messages on the connection, this one included; zero without one.
    pub(super) uses: u32,
    /// The server offers DSN, and so reports success itself.
    pub(super) server_reports: bool,
}

/// The recipients that a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Everybody who is open in the present session.
    Open,
    /// One of them.
    One(Rcpt),
    /// Everybody who has no verdict.
    Left,
}

impl Whom {
    fn is_meant(self, roll: &Roll, rcpt: Rcpt) -> bool {
        match self {
            Self::Open => roll.is_open(rcpt),
            Self::One(one) => one == rcpt && roll.is_open(rcpt),
            Self::Left => true,
        }
    }
}

impl Context {
    /// A failure of those who are open in the present session: settles them, or keeps
    /// them for another server with a line in the log. Returns whether it was about
    /// anybody.
    pub(super) fn fail(&mut self, whom: Whom, mut reason: Reason, origin: &Origin) -> bool {
        if self.is_survey() {
            self.learn(&Learned::Failed(&reason));
            self.why = Some(reason);
            return false;
        }
        let failed: Vec<Rcpt> = self.meant(whom).collect();
        if failed.is_empty() {
            return false;
        }
        reason.encryption = origin.encryption.clone().map(Box::new);
        if reason.uncertain {
            failed.iter().for_each(|rcpt| self.roll.doubt(*rcpt));
        }
        if self.judge.settles(&reason, self.hosts.final_server) {
            self.give_verdict(whom, &reason, origin);
        } else {
            self.note(Event::Postponed {
                id: self.request.id.clone(),
                server: origin.server.clone(),
                text: reason.text.as_str().into(),
            });
            failed.iter().for_each(|rcpt| self.roll.keep(*rcpt));
        }
        self.why = Some(reason);
        true
    }

    /// The server took a recipient.
    pub(super) fn succeed(&mut self, rcpt: Rcpt, stage: Stage, reply: &Reply, origin: Origin) {
        if !self.roll.is_open(rcpt) || !self.roll.settle(rcpt) {
            return;
        }
        let action = self.success_action(origin.server_reports);
        let times = self.times(origin.set_up);
        let relay = origin.relay.unwrap_or_default();
        let mut outcome = self.judge.success(relay, stage, reply, action);
        outcome.server_reports = origin.server_reports;
        outcome.encryption = origin.encryption;
        outcome.connection_uses = origin.uses;
        outcome.server = origin.server;
        outcome.times = times;
        self.pronounce(rcpt, Verdict::Success(Box::new(outcome)));
    }

    /// Nothing more is tried: whoever is left gets this reason.
    pub(super) fn settle_left(&mut self, mut reason: Reason, origin: &Origin) {
        let nexthop = self.request.nexthop.clone();
        self.learn(&Learned::Over(&reason, nexthop.as_str()));
        if let Some(encryption) = &origin.encryption {
            reason.encryption = Some(Box::new(encryption.clone()));
        }
        self.give_verdict(Whom::Left, &reason, origin);
    }

    /// The verdict of the delivery itself on whoever is left, before there is a
    /// server to blame (`src/smtp/smtp.c`, reject_deliver_request).
    pub(super) fn settle_by_service(&mut self, reason: &Reason) {
        let service = Origin {
            relay: Some(self.request.protocol.as_str().to_owned()),
            ..Origin::default()
        };
        self.give_verdict(Whom::Left, reason, &service);
    }

    /// Some server may have accepted everybody who is open.
    pub(super) fn doubt_open(&mut self) {
        let open: Vec<Rcpt> = self.roll.open().collect();
        open.into_iter().for_each(|rcpt| self.roll.doubt(rcpt));
    }

    fn meant(&self, whom: Whom) -> impl Iterator<Item = Rcpt> {
        let all = self.roll.all();
        all.filter(move |rcpt| whom.is_meant(&self.roll, *rcpt))
    }

    fn give_verdict(&mut self, whom: Whom, reason: &Reason, origin: &Origin) {
        let times = self.times(origin.set_up);
        for rcpt in self.roll.all() {
            if whom.is_meant(&self.roll, rcpt) && self.roll.settle(rcpt) {
                let mut reason = reason.clone();
                // A doubt is about one recipient: it outlasts the servers that come after,
                // and does not reach those whom the earlier server had refused.
                reason.uncertain = self.roll.is_doubtful(rcpt);
                let failure = (reason, origin.clone(), times);
                self.pronounce(rcpt, Verdict::Failure(Box::new(failure)));
            }
        }
    }

    /// An LMTP delivery may be the final one; nobody behind it then reports
    /// success in our place.
    fn success_action(&self, server_reports: bool) -> Action {
        let is_final = self.request.protocol == Protocol::Lmtp
            && (self.request.flags.final_delivery || self.config.verdict.assume_final);
        if is_final && !server_reports {
            Action::Delivered
        } else {
            Action::Relayed
        }
    }
}
