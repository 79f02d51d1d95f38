//! The transaction: its beginning, and the connection that is left when it is over
//! (`src/smtp/smtp_proto.c`, smtp_xfer; `src/smtp/smtp_connect.c`, smtp_cleanup_session;
//! `src/smtp/smtp_reuse.c`).

use std::sync::Arc;

use smtp_proto::{session::Idle, status::EnhancedStatus};

use super::{Progress, Talking, Text, Turn, envelope};
use crate::{
    delivery::{
        Ask, attempt::endpoint_key, choosing::Choosing, context::Context, hosts::Limits,
        phase::Phase, preparing::readdress, roll::Batch, settle::Whom,
    },
    event::Event,
    report::{Encryption, Scope, trouble::Reason},
    reuse::{CacheKeys, key::Binding},
};

impl Talking {
    /// The session is ready for a message, or done with it.
    pub(super) fn at_rest(&mut self, cx: &mut Context) -> Turn {
        match &self.progress {
            Progress::Probing { .. } | Progress::Greeting => self.transfer(cx),
            Progress::Transfer { .. } => {
                cx.served = true;
                Turn::Keep
            }
            Progress::Over => {
                self.give_up();
                Turn::Again
            }
        }
    }

    /// Begins the transaction.
    fn transfer(&mut self, cx: &mut Context) -> Turn {
        let reused = self.count(cx);
        let may_keep = self.may_keep(cx, reused);
        let session = &mut self.channel.session;
        let size_limit = session.capabilities().size;
        let size_limit = size_limit.filter(|limit| *limit > 0 && !reused);
        if let (Some(limit), Some(size)) = (size_limit, cx.request.size)
            && size > limit
        {
            let name = self.peer().name();
            let text = format!("message size {size} exceeds size limit {limit} of server {name}");
            let status = EnhancedStatus::new(5, 3, 4);
            self.fail(cx, Whom::Open, Reason::local(status, Scope::Message, text));
            cx.served = true;
            return self.end_before_mail(may_keep);
        }
        let recipients: Batch = cx.roll.open().collect();
        let mut transaction = envelope::transaction(
            &cx.request,
            &cx.settings,
            session.capabilities(),
            &recipients,
            may_keep.then_some(self.channel.expires),
        );
        readdress(cx, &mut transaction, &recipients);
        let login = cx.settings.login.as_ref();
        transaction.mail.auth_null =
            self.channel.authenticated && login.is_some_and(|login| login.dummy_mail_auth);
        let text = Text::new(cx, session);
        self.progress = Progress::Transfer { recipients, text };
        if let Some(idle) = session.idle() {
            idle.send(transaction);
            self.set_up = Some(cx.now);
        }
        Turn::Again
    }

    /// Counts the transaction towards the limits of its destination. Returns whether it goes
    /// over a kept connection.
    fn count(&mut self, cx: &mut Context) -> bool {
        let limits = Limits {
            addresses: cx.settings.limits.addresses,
            sessions: cx.settings.limits.sessions,
        };
        let Progress::Probing { instead, .. } = &self.progress else {
            cx.hosts.count_transaction(limits, None, false);
            self.counted = true;
            return false;
        };
        let (peer, counted) = (&self.channel.peer, instead.is_some());
        cx.hosts.count_transaction(limits, Some(peer), counted);
        // A kept connection that is encrypted is used again.
        if let Encryption::Tls(tls) = &self.tls.encryption {
            cx.note(Event::TlsReused {
                server: peer.server(),
                tls: Arc::clone(tls),
            });
        }
        true
    }

    /// Returns whether the connection may be kept after the transaction. One that was kept once may
    /// be kept again, with or without leave.
    fn may_keep(&self, cx: &Context, reused: bool) -> bool {
        let limit = cx.settings.reuse.uses;
        (cx.hosts.cache.store || reused)
            && self.keepable
            && (limit == 0 || self.channel.uses < limit)
    }

    /// The message is over before anything was said of it: the session is as good as it
    /// was. One that is not kept ends without QUIT, as in Postfix.
    fn end_before_mail(&mut self, may_keep: bool) -> Turn {
        if may_keep {
            return Turn::Keep;
        }
        self.part();
        Turn::Again
    }

    /// The transaction is over and the connection still there: puts it by for the
    /// next message, unless something speaks against it by now.
    pub(super) fn keep(mut self: Box<Self>, cx: &mut Context) -> Phase {
        if self.throttled || self.channel.session.is_irregular() {
            // Too late for the QUIT of the transaction, and Postfix says none of its own.
            self.part();
            return self.into();
        }
        if self.channel.expires < cx.now {
            self.give_up();
            return self.into();
        }
        let unasked = self.channel.session.idle().map_or(0, Idle::hush);
        if unasked > 0 {
            cx.note(Event::UnaskedReplies {
                server: self.peer().server(),
                bytes: unasked,
            });
        }
        self.records.notify_postmaster(cx, &mut self.channel);
        cx.taken = cx.taken.union(&self.session_taken());
        let mut channel = self.channel;
        cx.note(Event::Kept {
            server: channel.peer.server(),
        });
        channel.uses += 1;
        let destination = cx.hosts.request_nexthop.take().map(|key| Binding {
            key,
            peer: Arc::clone(&channel.peer),
        });
        let keys = CacheKeys {
            destination,
            endpoint: endpoint_key(cx, &channel.peer, channel.level),
        };
        let until = cx.now + cx.settings.reuse.idle;
        cx.ask(Ask::Keep(keys, channel, until));
        Phase::Choosing(Choosing)
    }
}
