//! Whoever is left when no server is: the last reason, unless it looks like a
//! mistake in the configuration (`src/smtp/smtp_connect.c`, the end of
//! smtp_connect_inet).

use std::sync::Arc;

use smtp_proto::status::EnhancedStatus;

use super::{
    Delivery, Note,
    hosts::{Hosts, Phase},
};
use crate::{
    Protocol,
    report::{Scope, trouble::Reason},
    request::{DeliveryFlags, Nexthop},
    settings::BestMx,
};

impl Delivery {
    /// All destinations were tried (`src/smtp/smtp_connect.c`, the end of
    /// smtp_connect_inet). What may be a mistake in the configuration does not
    /// bounce mail.
    pub(super) fn settle_rest(&mut self) {
        if self.ends_well() {
            return;
        }
        let mut reason = self.why.take().unwrap_or_else(|| {
            let text = "server unavailable or unable to receive mail";
            Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Site, text)
        });
        if reason.status.class() != 4 {
            let smtp = self.request.protocol == Protocol::Smtp;
            let best_mx = self.settings.connect.best_mx.clone();
            let setting = if self.hosts.begun > self.hosts.own {
                Some("smtp_fallback_relay")
            } else if smtp && self.is_relayhost() {
                Some("relayhost")
            } else {
                None
            };
            if let Some(setting) = setting {
                self.note(Note::warning(format!("{setting} configuration problem")));
                reason.status = EnhancedStatus::new(4, 3, 5);
            } else if smtp
                && reason.is_loop()
                && let Some(best_mx) = best_mx
            {
                return self.pass_to(best_mx);
            }
        }
        self.hosts.final_server = true;
        self.settle_left(&reason);
        self.phase = Phase::Next;
    }

    fn is_relayhost(&self) -> bool {
        let relayhost = self.settings.connect.relayhost.as_ref();
        self.hosts.destinations.first().map(String::as_str) == relayhost.map(Nexthop::as_str)
    }

    /// Hands the mail to `best_mx_transport` (`transport[:nexthop]`). Of all
    /// transports only the two clients of this engine can be reached from here.
    fn pass_to(&mut self, best_mx: BestMx) {
        let name = &best_mx.transport;
        self.message_note(&format!("passing mail to transport={name}"));
        let (Some(protocol), false) = (best_mx.protocol(), self.hosts.passed) else {
            let status = EnhancedStatus::new(4, 3, 0);
            let text = "mail transport unavailable";
            self.settle_left(&Reason::local(status, Scope::Site, text));
            self.phase = Phase::Next;
            return;
        };
        if *name != self.request.protocol.as_str() {
            // Flags belong to the service that the request came to.
            self.request.flags = DeliveryFlags::default();
        }
        self.request.protocol = protocol;
        if let Some(nexthop) = best_mx.nexthop {
            self.request.nexthop = nexthop;
        }
        self.settings = Arc::clone(self.policy.settings(protocol));
        // What the generic maps of this client made of the envelope is for its own servers.
        self.envelope = None;
        self.hosts = Hosts {
            passed: true,
            ..Hosts::default()
        };
        self.phase = Phase::Start;
    }
}
