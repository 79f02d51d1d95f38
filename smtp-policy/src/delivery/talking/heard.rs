//! The events of a session, which become events of the delivery, and the consequences of
//! its replies. What the reply means is decided in [`replies`].

use std::sync::Arc;

use smtp_proto::{
    reply::{Reply, ReplyNote},
    session::{self, Stage},
    status::EnhancedStatus,
};

use super::{
    Progress, Talking,
    replies::{self, Meaning, Rules},
};
use crate::{
    delivery::{context::Context, roll::Batch, settle::Whom, survey::Learned},
    event::Event,
    report::{Scope, trouble::Reason},
    server::Server,
};

/// The server is about to close, whatever it was told (RFC 5321 section 3.8).
const SHUTTING_DOWN: u16 = 421;

impl Talking {
    /// Logs what is remarkable about the dialogue.
    pub(super) fn on_event(&mut self, cx: &mut Context, event: session::Event) {
        use session::Event as Told;
        let server = self.peer().server();
        cx.note(match event {
            Told::Note(note) => reply_note(server, note),
            Told::Pix(workarounds) => Event::PixWorkarounds {
                id: cx.request.id.clone(),
                server,
                workarounds,
            },
            Told::GreetedWithOwnName => Event::GreetedWithOwnName {
                server,
                name: cx.settings.identity.host.to_string(),
            },
            Told::PlaintextDiscarded(bytes) => Event::PlaintextDiscarded { server, bytes },
            Told::EarlyMailReply => return self.on_early_mail_reply(cx),
            Told::LineBroken => Event::LineBroken {
                id: cx.request.id.clone(),
                limit: cx.settings.limits.line,
            },
            _ => return,
        });
    }

    /// Rejects a reply to MAIL that arrives before MAIL was sent
    /// (`tls_block_early_mail_reply`).
    fn on_early_mail_reply(&mut self, cx: &mut Context) {
        cx.note(Event::EarlyMailReply {
            server: self.peer().server(),
            protocol: cx.request.protocol,
        });
        let status = EnhancedStatus::new(4, 7, 0);
        let reason = Reason::local(status, Scope::Site, "unexpected server message");
        self.fail_site(cx, reason);
    }

    /// Finds out what a reply means, and does what follows.
    pub(super) fn on_reply(&mut self, cx: &mut Context, stage: Stage, reply: &Reply) {
        if let Progress::Probing { said, .. } = &mut self.progress
            && stage == Stage::RsetProbe
        {
            *said = Some(reply.clone());
        } else if self.channel.uses > 0 && reply.code() == SHUTTING_DOWN {
            self.note_kept_connection_ended(cx, reply);
        }
        cx.learn(&Learned::Reply(stage, reply));
        if reply.is_irregular() {
            self.records.record_protocol_error();
        }
        self.announced |= reply.is_success() && matches!(stage, Stage::Ehlo | Stage::Lhlo);
        let rules = Rules {
            skip_5xx_greeting: cx.settings.hello.skip_5xx_greeting,
            probe: cx.request.probe.then_some(cx.settings.verdict.probe_target),
        };
        match replies::meaning(&self.peer().server, stage, reply, rules) {
            Meaning::Nothing => {}
            Meaning::Site(reason) => self.fail_site(cx, reason),
            Meaning::Everybody(reason) => self.fail(cx, Whom::Open, reason),
            Meaning::One(position, reason) => {
                if let Some(rcpt) = self.recipients().and_then(|all| all.get(position)) {
                    self.fail(cx, Whom::One(rcpt), reason);
                }
            }
            Meaning::AcceptsEverybody => {
                for rcpt in cx.roll.all() {
                    if cx.roll.is_open(rcpt) {
                        cx.succeed(rcpt, stage, reply, self.origin());
                    }
                }
            }
            Meaning::AcceptsOne(position) => {
                if let Some(rcpt) = self.recipients().and_then(|all| all.get(position)) {
                    cx.succeed(rcpt, stage, reply, self.origin());
                }
            }
            Meaning::NoTls => self.on_starttls_refused(cx, reply),
            Meaning::Login => self.on_auth_reply(cx, reply),
            Meaning::Unusual => {
                cx.note(Event::Refused {
                    server: self.peer().server(),
                    stage,
                    reply: reply.clone(),
                });
            }
        }
    }

    fn recipients(&self) -> Option<&Batch> {
        match &self.progress {
            Progress::Transfer { recipients, .. } => Some(recipients),
            _ => None,
        }
    }
}

/// The event for what is remarkable about a reply.
fn reply_note(server: Arc<Server>, note: ReplyNote) -> Event {
    match note {
        ReplyNote::TooLongLine(start) => Event::ReplyLineTooLong { server, start },
        ReplyNote::TooLongText(start) => Event::ReplyTooLong { server, start },
        ReplyNote::Replaced { old, new } => Event::ReplyReplaced { server, old, new },
        ReplyNote::Garbage(line) => Event::ReplyGarbage { server, line },
    }
}
