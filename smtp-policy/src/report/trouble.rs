//! From replies and failures to reasons, and from reasons to verdicts
//! (`src/smtp/smtp_trouble.c`, `src/global/bounce.c`, `defer.c`, `sent.c`).
//!
//! A [`Reason`] says what went wrong, how far that reaches and whose words it is
//! in. Whether it settles a recipient or leaves it for another server is decided
//! in one place, [`Judge::settles`].

use smtp_proto::{
    reply::Reply,
    session::{Closed, Stage},
    status::EnhancedStatus,
};

use super::{
    Encryption, Relay,
    outcome::{Action, HopStatus, Outcome, Scope, Status},
};
use crate::{server::Server, settings::BestMx};

/// The one that a failure speaks against, besides the mail.
///
/// The queue manager is told of a failure that speaks against the destination (`SMTP_THROTTLE`),
/// unless a session of the same delivery has come to a good end: then the destination does take
/// mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Other mail would fare the same.
    Destination,
    /// The failure is about this mail.
    Nobody,
}

impl From<Scope> for Blame {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Session | Scope::Site => Self::Destination,
            Scope::Message | Scope::Recipient => Self::Nobody,
        }
    }
}

/// Why recipients were not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) status: EnhancedStatus,
    pub(crate) text: String,
    pub(crate) reply: Option<Reply>,
    pub(crate) stage: Option<Stage>,
    pub(crate) scope: Scope,
    pub(crate) blame: Blame,
    pub(crate) uncertain: bool,
    /// The encryption of the connection, if there was one.
    pub(crate) encryption: Option<Box<Encryption>>,
    /// The transport that is to deliver instead.
    pub(crate) pass_to: Option<Box<BestMx>>,
}

impl Reason {
    /// A reason of our own, without a reply.
    pub(crate) fn local(status: EnhancedStatus, scope: Scope, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            reply: None,
            stage: None,
            scope,
            blame: scope.into(),
            uncertain: false,
            encryption: None,
            pass_to: None,
        }
    }

    /// The server would not talk: greeting or hello. A permanent refusal in the
    /// greeting counts as temporary if `skip_5xx` says so
    /// (`smtp_skip_5xx_greeting`), so that other servers are tried.
    pub(crate) fn refused(server: &Server, stage: Stage, reply: &Reply, skip_5xx: bool) -> Self {
        let soften = stage == Stage::Banner && skip_5xx && reply.class() == 5;
        let mut reason = Self::remote(stage, reply, Scope::Site, |text| {
            format!("host {} refused to talk to me: {text}", server.name())
        });
        if soften {
            reason.status = reason.status.with_class(4);
        }
        reason
    }

    /// The server would not start TLS, and must.
    pub(crate) fn tls_refused(server: &Server, reply: &Reply) -> Self {
        Self::remote(Stage::StartTls, reply, Scope::Site, |text| {
            let name = server.name();
            format!("TLS is required, but host {name} refused to start TLS: {text}")
        })
    }

    /// A command failed.
    pub(crate) fn said(server: &Server, stage: Stage, reply: &Reply, scope: Scope) -> Self {
        Self::remote(stage, reply, scope, |text| {
            let (name, request) = (server.name(), stage.request());
            format!("host {name} said: {text} (in reply to {request})")
        })
    }

    fn remote(stage: Stage, reply: &Reply, scope: Scope, word: impl Fn(&str) -> String) -> Self {
        let text = word(&reply.one_line());
        // A success code where it is none, such as 250 to DATA, has a status that
        // cannot go into a failure.
        let (status, text) = match reply.status().class() {
            4 | 5 => (reply.status(), text),
            _ => (
                EnhancedStatus::new(5, 5, 0),
                format!("Protocol error: {text}"),
            ),
        };
        Self {
            status,
            text,
            reply: Some(reply.clone()),
            stage: Some(stage),
            scope,
            blame: scope.into(),
            uncertain: false,
            encryption: None,
            pass_to: None,
        }
    }

    /// The session ended before the recipients were settled; `None` if it ended
    /// in a way that says nothing about them.
    pub(crate) fn ended(server: &Server, why: Closed) -> Option<Self> {
        let name = || server.name();
        let transient = EnhancedStatus::new(4, 4, 2);
        let (stage, status, text) = match why {
            Closed::Lost(stage) => (
                stage,
                transient,
                format!("lost connection with {} while {}", name(), stage.doing()),
            ),
            Closed::TimedOut(stage) => (
                stage,
                transient,
                format!(
                    "conversation with {} timed out while {}",
                    name(),
                    stage.doing()
                ),
            ),
            Closed::Protocol(stage, error) if error.is_local() => (
                stage,
                EnhancedStatus::new(4, 3, 0),
                format!("local data error while talking to {}", name()),
            ),
            Closed::Protocol(stage, error) => (
                stage,
                EnhancedStatus::new(4, 5, 0),
                format!(
                    "protocol error of {} while {}: {error}",
                    name(),
                    stage.doing()
                ),
            ),
            _ => return None,
        };
        Some(Self {
            status,
            text,
            reply: None,
            stage: Some(stage),
            scope: Scope::Session,
            blame: Scope::Session.into(),
            uncertain: stage.is_uncertain(),
            encryption: None,
            pass_to: None,
        })
    }

    /// The same, which speaks against nobody.
    pub(crate) fn without_blame(self) -> Self {
        let blame = Blame::Nobody;
        Self { blame, ..self }
    }

    /// The word to a queue manager about the destination.
    pub(crate) fn hop(&self) -> Option<Box<HopStatus>> {
        let hop = || HopStatus {
            code: self.status,
            text: self.text.as_str().into(),
        };
        (self.blame == Blame::Destination).then(|| Box::new(hop()))
    }

    /// Whether the reason is a mail loop (`x.4.6`).
    pub(crate) fn is_loop(&self) -> bool {
        (self.status.subject(), self.status.detail()) == (4, 6)
    }
}

/// The rules that turn a reason into a verdict, or keep the recipient for
/// another server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge {
    pub(crate) soft_bounce: bool,
    pub(crate) probe: bool,
}

impl Judge {
    /// Whether a failure settles its recipients. A temporary one does only at the
    /// last server; with `soft_bounce` every failure is temporary.
    pub(crate) fn settles(self, reason: &Reason, final_server: bool) -> bool {
        final_server || !(reason.status.class() == 4 || self.soft_bounce)
    }

    /// The verdict on a recipient that fails for good at this attempt.
    pub(crate) fn failure(self, reason: &Reason, relay: Relay) -> Outcome {
        let temporary = reason.status.class() == 4;
        let softened = !temporary && self.soft_bounce && !self.probe;
        let (status, word) = match (temporary, softened) {
            (true, _) => (Status::Deferred, "deferred"),
            (false, true) => (Status::Deferred, "SOFTBOUNCE"),
            (false, false) => (Status::Bounced, "bounced"),
        };
        let code = match softened {
            true => reason.status.with_class(4),
            false => reason.status,
        };
        let mut outcome = Outcome::new(status, code, reason.text.as_str());
        outcome.word = if self.probe { "undeliverable" } else { word };
        outcome.relay = relay;
        outcome.reply.clone_from(&reason.reply);
        outcome.stage = reason.stage;
        outcome.scope = reason.scope;
        outcome.uncertain = reason.uncertain;
        outcome.pass_to.clone_from(&reason.pass_to);
        outcome.encryption = reason.encryption.as_deref().cloned();
        outcome
    }

    /// The verdict on a recipient that the server took.
    pub(crate) fn success(
        self,
        relay: Relay,
        stage: Stage,
        reply: &Reply,
        action: Action,
    ) -> Outcome {
        let code = match reply.status() {
            status if status.class() == 2 => status,
            _ => EnhancedStatus::new(2, 0, 0),
        };
        let mut outcome = Outcome::new(Status::Sent, code, reply);
        if self.probe {
            outcome.word = "deliverable";
        }
        outcome.relay = relay;
        outcome.reply = Some(reply.clone());
        outcome.stage = Some(stage);
        outcome.action = action;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUDGE: Judge = Judge {
        soft_bounce: false,
        probe: false,
    };

    fn server() -> Server {
        Server::inet("mx.example", ([192, 0, 2, 1], 25).into())
    }

    fn said(stage: Stage, code: u16, text: &str) -> Reason {
        Reason::said(&server(), stage, &Reply::new(code, text), Scope::Recipient)
    }

    #[test]
    fn a_reply_is_quoted_with_the_command_it_answers() {
        let reason = said(Stage::Rcpt(0), 550, "550 5.1.1 unknown");
        assert_eq!(reason.status.to_string(), "5.1.1");
        assert_eq!(
            reason.text,
            "host mx.example[192.0.2.1] said: 550 5.1.1 unknown (in reply to RCPT TO command)"
        );
    }

    #[test]
    fn success_where_it_is_none_is_a_protocol_error() {
        let reason = said(Stage::Data, 200, "200 2.0.0 fine");
        assert_eq!(reason.status.to_string(), "5.5.0");
        assert!(reason.text.starts_with("Protocol error: host "));
        let reason = said(Stage::Rcpt(0), 354, "354 go");
        assert_eq!(reason.status.to_string(), "5.5.0");
        assert!(reason.text.starts_with("host "));
    }

    #[test]
    fn only_the_last_server_settles_a_temporary_failure() {
        let soft = said(Stage::Mail, 450, "450 busy");
        let hard = said(Stage::Mail, 550, "550 no");
        assert!(!JUDGE.settles(&soft, false));
        assert!(JUDGE.settles(&soft, true));
        assert!(JUDGE.settles(&hard, false));
        let lenient = Judge {
            soft_bounce: true,
            ..JUDGE
        };
        assert!(!lenient.settles(&hard, false));
        let outcome = lenient.failure(&hard, Relay::None);
        assert_eq!(
            (outcome.word, outcome.code.to_string().as_str()),
            ("SOFTBOUNCE", "4.0.0")
        );
        assert_eq!(
            (outcome.status, outcome.relay),
            (Status::Deferred, Relay::None)
        );
    }

    #[test]
    fn a_connection_lost_behind_the_text_leaves_the_recipients_uncertain() {
        let lost = |stage| Reason::ended(&server(), Closed::Lost(stage));
        assert!(lost(Stage::EndOfData).is_some_and(|reason| reason.uncertain));
        assert!(lost(Stage::Text).is_some_and(|reason| !reason.uncertain));
        assert_eq!(Reason::ended(&server(), Closed::Quit), None);
    }

    #[test]
    fn a_permanent_greeting_is_softened_if_wished() {
        let reply = Reply::new(554, "554 5.7.1 go away");
        let soft = Reason::refused(&server(), Stage::Banner, &reply, true);
        assert_eq!(soft.status.to_string(), "4.7.1");
        let hard = Reason::refused(&server(), Stage::Banner, &reply, false);
        assert_eq!(hard.status.to_string(), "5.7.1");
        let helo = Reason::refused(&server(), Stage::Helo, &reply, true);
        assert_eq!(helo.status.to_string(), "5.7.1");
    }
}
