//! Giving verdicts: each recipient exactly once (`src/smtp/smtp_trouble.c`,
//! `src/smtp/smtp_rcpt.c`).

use smtp_proto::{reply::Reply, session::Stage, time::Time};

use super::{
    context::Context,
    roll::{Rcpt, Roll},
    survey::Learned,
    verdict::Verdict,
};
use crate::{
    Protocol,
    event::Event,
    report::{Action, Encryption, Relay, trouble::Reason},
};

/// The connection that a verdict comes from; by default there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The server.
    pub(super) relay: Relay,
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
            self.note_postponed(&reason, origin);
            failed.iter().for_each(|rcpt| self.roll.keep(*rcpt));
        }
        self.why = Some(reason);
        true
    }

    /// A session has ended in the middle of a message when nobody was open any more. As with
    /// smtp(8) that is worth a line, unless no other server follows, and it is the last reason.
    pub(super) fn fail_nobody(&mut self, reason: Reason, origin: &Origin) {
        if !self.judge.settles(&reason, self.hosts.final_server) {
            self.note_postponed(&reason, origin);
        }
        self.why = Some(reason);
    }

    fn note_postponed(&mut self, reason: &Reason, origin: &Origin) {
        self.note(Event::Postponed {
            id: self.request.id.clone(),
            server: origin.relay.server().cloned(),
            text: reason.text.as_str().into(),
        });
    }

    /// The server took a recipient.
    pub(super) fn succeed(&mut self, rcpt: Rcpt, stage: Stage, reply: &Reply, origin: Origin) {
        if !self.roll.is_open(rcpt) || !self.roll.settle(rcpt) {
            return;
        }
        let action = self.success_action(origin.server_reports);
        let times = self.times(origin.set_up);
        let mut outcome = self.judge.success(origin.relay, stage, reply, action);
        outcome.server_reports = origin.server_reports;
        outcome.encryption = origin.encryption;
        outcome.connection_uses = origin.uses;
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
            relay: Relay::Service(self.request.service_name()),
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
                if self.served {
                    reason = reason.without_blame();
                }
                let failure = (reason, origin.clone(), times);
                self.pronounce(rcpt, Verdict::Failure(Box::new(failure)));
            }
        }
    }

    /// An LMTP delivery may be the final one; nobody behind it then reports
    /// success in our place.
    fn success_action(&self, server_reports: bool) -> Action {
        let is_final = self.request.protocol == Protocol::Lmtp
            && (self.request.flags.final_delivery || self.settings.verdict.assume_final);
        if is_final && !server_reports {
            Action::Delivered
        } else {
            Action::Relayed
        }
    }
}

#[cfg(test)]
mod tests {
    use smtp_proto::status::EnhancedStatus;

    use super::*;
    use crate::{
        delivery::testing::{asked, context},
        report::Scope,
    };

    fn reason(class: u8) -> Reason {
        Reason::local(EnhancedStatus::new(class, 0, 0), Scope::Session, "a reason")
    }

    #[test]
    fn only_the_last_server_settles_whom_it_fails_for_now() {
        let mut cx = context(2);
        assert!(cx.fail(Whom::One(Rcpt(0)), reason(4), &Origin::default()));
        assert_eq!(asked(&mut cx), ["Info: a reason"]);
        // It is kept for another server: nothing more happens to it at this one.
        assert!(!cx.fail(Whom::One(Rcpt(0)), reason(5), &Origin::default()));
        cx.roll.reopen();
        cx.hosts.final_server = true;
        assert!(cx.fail(Whom::Open, reason(4), &Origin::default()));
        let expected = ["0 deferred 4.0.0 (a reason)", "1 deferred 4.0.0 (a reason)"];
        assert_eq!(asked(&mut cx), expected);
        assert!(!cx.fail(Whom::Open, reason(5), &Origin::default()));
    }

    #[test]
    fn a_doubt_outlasts_the_server_that_left_it() {
        let mut cx = context(2);
        let lost = Reason {
            uncertain: true,
            ..reason(4)
        };
        cx.fail(Whom::One(Rcpt(1)), lost, &Origin::default());
        cx.roll.reopen();
        cx.settle_left(reason(5), &Origin::default());
        let mut doubts = Vec::new();
        while let Some(ask) = cx.pop_ask() {
            if let super::super::Ask::Report(index, outcome) = ask {
                doubts.push((index, outcome.uncertain));
            }
        }
        assert_eq!(doubts, [(0, false), (1, true)]);
    }

    #[test]
    fn whoever_is_left_is_settled_once() {
        let mut cx = context(3);
        let reply = Reply::new(250, "250 2.0.0 queued");
        cx.succeed(Rcpt(1), Stage::EndOfData, &reply, Origin::default());
        cx.succeed(Rcpt(1), Stage::EndOfData, &reply, Origin::default());
        cx.settle_left(reason(4), &Origin::default());
        cx.settle_left(reason(5), &Origin::default());
        let expected = [
            "1 sent 2.0.0 (250 2.0.0 queued)",
            "0 deferred 4.0.0 (a reason)",
            "2 deferred 4.0.0 (a reason)",
        ];
        assert_eq!(asked(&mut cx), expected);
    }
}
