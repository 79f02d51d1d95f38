//! Giving verdicts: each recipient exactly once (`src/smtp/smtp_trouble.c`,
//! `src/smtp/smtp_rcpt.c`).

use smtp_proto::{reply::Reply, session::Stage, status::EnhancedStatus};

use super::{Delivery, hosts::Phase, verdict::Verdict};
use crate::{
    Protocol,
    report::{Action, Scope, trouble::Reason},
    request::RcptIndex,
};

impl Delivery {
    /// A failure of everybody who is open in this session.
    pub(super) fn fail_open(&mut self, reason: Reason) {
        if self.is_survey() {
            self.judge_visit(&reason);
            self.why = Some(reason);
            return;
        }
        let open = self.roll.open();
        self.fail(&open, reason);
    }

    /// A failure of one recipient, unless it already has its mark.
    pub(super) fn fail_one(&mut self, index: RcptIndex, reason: Reason) {
        if self.roll.is_open(index) {
            self.fail(&[index], reason);
        }
    }

    /// Settles the recipients, or keeps them for another server with a line in the
    /// log.
    fn fail(&mut self, recipients: &[RcptIndex], mut reason: Reason) {
        if recipients.is_empty() {
            return;
        }
        reason.encryption = self.encryption().map(Box::new);
        if let Some(reply) = &reason.reply {
            self.check_reply(reply);
        }
        if reason.uncertain {
            recipients.iter().for_each(|index| self.roll.doubt(*index));
        }
        if self.judge.settles(&reason, self.is_final_server()) {
            let relay = self.relay();
            self.give_verdict(recipients, &reason, relay);
        } else {
            self.message_note(&reason.text);
            recipients.iter().for_each(|index| self.roll.keep(*index));
        }
        self.why = Some(reason);
    }

    fn give_verdict(&mut self, recipients: &[RcptIndex], reason: &Reason, relay: Option<String>) {
        for index in recipients {
            if self.roll.settle(*index) {
                let mut reason = Box::new(reason.clone());
                // A doubt is about one recipient: it outlasts the servers that come after,
                // and does not reach those whom the earlier server had refused.
                reason.uncertain = self.roll.is_doubtful(*index);
                self.pronounce(*index, Verdict::Failure(reason, relay.clone()));
            }
        }
    }

    /// The server took a recipient.
    pub(super) fn succeed(&mut self, index: RcptIndex, stage: Stage, reply: &Reply) {
        if !self.roll.is_open(index) || !self.roll.settle(index) {
            return;
        }
        let relay = self.relay().unwrap_or_default();
        let server_reports = self.server_reports();
        let action = self.success_action(server_reports);
        let mut outcome = self.judge.success(relay, stage, reply, action);
        outcome.server_reports = server_reports;
        outcome.encryption = self.encryption();
        self.pronounce(index, Verdict::Success(Box::new(outcome)));
    }

    /// Whether the server offers DSN, and so reports success itself.
    fn server_reports(&self) -> bool {
        match &self.phase {
            Phase::Talking(talk) => talk.channel.session.capabilities().dsn,
            _ => false,
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

    /// `host[address]:port` of the open session.
    fn relay(&self) -> Option<String> {
        match &self.phase {
            Phase::Talking(talk) => Some(talk.channel.peer.relay()),
            _ => None,
        }
    }

    /// All destinations were tried, or none made sense: whoever is left gets the
    /// last reason.
    pub(super) fn settle_left(&mut self, reason: &Reason) {
        self.end_survey(reason);
        let left = self.roll.left();
        let relay = self.relay();
        let mut reason = reason.clone();
        reason.encryption = self.encryption().map(Box::new).or(reason.encryption);
        self.give_verdict(&left, &reason, relay);
    }

    /// What the delivery itself decides about whoever is left, before there is a
    /// server to blame (`src/smtp/smtp.c`, reject_deliver_request).
    pub(super) fn settle_by_service(&mut self, reason: &Reason) {
        let left = self.roll.left();
        let service = self.request.protocol.as_str();
        self.give_verdict(&left, reason, Some(service.to_owned()));
    }

    /// The message text cannot be read. No other server would fare better.
    pub(super) fn settle_unreadable(&mut self, why: &str) {
        self.settle_left(&Reason::local(
            EnhancedStatus::new(4, 3, 0),
            Scope::Message,
            format!("cannot read the message text: {why}"),
        ));
        match &mut self.phase {
            Phase::Talking(talk) => talk.channel.session.abandon(),
            Phase::Preparing(_) => self.phase = Phase::Next,
            _ => {}
        }
    }

    /// Nobody can move this delivery.
    pub(super) fn settle_undriven(&mut self, why: &str) {
        let status = EnhancedStatus::new(4, 3, 0);
        self.settle_left(&Reason::local(status, Scope::Site, why));
        match &mut self.phase {
            Phase::Talking(talk) => talk.channel.session.abandon(),
            phase => *phase = Phase::Next,
        }
    }

    /// Whose message may have been accepted although the verdict is not told yet, in
    /// order: the end of the text is on its way or unanswered, an earlier server was lost
    /// there, or the verdict waits for a table.
    pub fn in_doubt(&self) -> Vec<RcptIndex> {
        let (sent, _) = self.doubt_mark();
        let waiting: Vec<RcptIndex> = self.verdicts.waiting().collect();
        let doubtful = |index: &RcptIndex| {
            (sent && self.roll.is_open(*index)) || self.roll.is_doubtful(*index)
        };
        let mut all: Vec<RcptIndex> = self.roll.left().into_iter().filter(doubtful).collect();
        all.extend(waiting);
        all.sort_unstable();
        all
    }

    /// Something that changes when others get into doubt, or nobody is in doubt any more,
    /// and that costs nothing to look at: whether the text is complete, and how many
    /// recipients earlier servers have left in doubt.
    pub(crate) fn doubt_mark(&self) -> (bool, usize) {
        let sent = matches!(&self.phase, Phase::Talking(talk) if talk.text_ended);
        (sent, self.roll.doubts())
    }

    /// The delivery has outlasted `daemon_timeout`, where the watchdog ends the process
    /// in Postfix. Whoever is left is deferred, and the session ends without another
    /// word.
    pub(super) fn settle_overdue(&mut self) {
        if let Phase::Talking(talk) = &self.phase
            && talk.channel.session.deadline().1.is_uncertain()
        {
            let open = self.roll.open();
            open.iter().for_each(|index| self.roll.doubt(*index));
        }
        self.settle_left(&Reason::local(
            EnhancedStatus::new(4, 3, 0),
            Scope::Site,
            "delivery took longer than daemon_timeout",
        ));
        match &mut self.phase {
            Phase::Talking(talk) => talk.part(),
            phase => *phase = Phase::Next,
        }
    }

    /// The delivery was cancelled: defers whoever is left, unless the verdict is
    /// on its way or already here, and ends the session as politely as its state allows.
    pub(super) fn settle_cancelled(&mut self) {
        if let Phase::Talking(talk) = &self.phase
            && (talk.channel.session.deadline().1.is_uncertain()
                || talk.channel.session.has_events())
        {
            return;
        }
        self.cancelled = false;
        self.settle_left(&Reason::local(
            EnhancedStatus::new(4, 3, 2),
            Scope::Message,
            "delivery was cancelled",
        ));
        match &mut self.phase {
            Phase::Talking(talk) => talk.give_up(),
            phase => *phase = Phase::Next,
        }
    }
}
