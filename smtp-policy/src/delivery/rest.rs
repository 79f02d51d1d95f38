//! Whoever is left when no server is: the last reason, unless it looks like a
//! mistake in the configuration (`src/smtp/smtp_connect.c`, the end of
//! smtp_connect_inet).

use smtp_proto::status::EnhancedStatus;

use super::{
    choosing::Choosing, context::Context, hosts::Hosts, phase::Phase, preparing::Start,
    settle::Origin,
};
use crate::{
    Protocol,
    event::Event,
    report::{
        Scope,
        trouble::{Blame, Reason},
    },
    request::{DeliveryFlags, Nexthop},
    settings::BestMx,
};

/// All destinations were tried. What may be a mistake in the configuration does not
/// bounce mail.
pub(super) fn settle_rest(cx: &mut Context) -> Phase {
    if cx.ends_well() {
        return Phase::Choosing(Choosing);
    }
    let mut reason = cx.why.take().unwrap_or_else(|| {
        let text = "server unavailable or unable to receive mail";
        Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Site, text)
    });
    if reason.status.class() != 4 {
        let smtp = cx.request.protocol == Protocol::Smtp;
        let best_mx = cx.settings.connect.best_mx.clone();
        let setting = if cx.hosts.is_fallback() {
            Some("smtp_fallback_relay")
        } else if smtp && is_relayhost(cx) {
            Some("relayhost")
        } else {
            None
        };
        if let Some(setting) = setting {
            cx.note(Event::ConfigurationProblem { parameter: setting });
            reason.status = EnhancedStatus::new(4, 3, 5);
        } else if smtp
            && reason.is_loop()
            && let Some(best_mx) = best_mx
        {
            return pass_to(cx, best_mx);
        }
    }
    cx.hosts.final_server = true;
    // However it began: there is no server for this mail (smtp_sess_fail).
    reason.blame = Blame::Destination;
    cx.settle_left(reason, &Origin::default());
    Phase::Choosing(Choosing)
}

fn is_relayhost(cx: &Context) -> bool {
    let relayhost = cx.settings.connect.relayhost.as_ref();
    let mut destinations = cx.settings.nexthop.split(cx.request.nexthop.as_str());
    destinations.next() == relayhost.map(Nexthop::as_str)
}

/// Hands the mail to `best_mx_transport` (`transport[:nexthop]`). Of all transports only the two clients of this engine
/// can be reached from here; a service of master.cf can reach each.
fn pass_to(cx: &mut Context, best_mx: BestMx) -> Phase {
    let unavailable = || {
        let status = EnhancedStatus::new(4, 3, 0);
        let reason = Reason::local(status, Scope::Site, "mail transport unavailable");
        // That is another destination's failure.
        reason.without_blame()
    };
    if cx.request.service.is_some() {
        let pass_to = Some(Box::new(best_mx));
        let reason = Reason {
            pass_to,
            ..unavailable()
        };
        cx.settle_left(reason, &Origin::default());
        return Phase::Choosing(Choosing);
    }
    let name = &best_mx.transport;
    cx.note(Event::PassedOn {
        id: cx.request.id.clone(),
        transport: name.clone(),
    });
    let (Some(protocol), false) = (best_mx.protocol(), cx.hosts.passed) else {
        cx.settle_left(unavailable(), &Origin::default());
        return Phase::Choosing(Choosing);
    };
    if *name != cx.request.protocol.as_str() {
        // Flags belong to the service that the request came to.
        cx.request.flags = DeliveryFlags::default();
    }
    cx.request.protocol = protocol;
    if let Some(nexthop) = best_mx.nexthop {
        cx.request.nexthop = nexthop;
    }
    cx.adopt_client();
    // Failures from here on are those of another transport.
    cx.served = true;
    // What the generic maps of this client made of the envelope is for its own servers.
    cx.envelope = None;
    cx.hosts = Hosts {
        passed: true,
        ..Hosts::default()
    };
    Phase::Start(Start)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::delivery::{Ask, testing::context};

    /// The word to a queue manager when nobody is left who could be tried.
    fn hop(cx: &mut Context) -> Option<String> {
        let reason = Reason::local(EnhancedStatus::new(4, 2, 1), Scope::Recipient, "busy");
        cx.why = Some(reason);
        settle_rest(cx);
        let asks = core::iter::from_fn(|| cx.pop_ask());
        let outcome = asks.filter_map(|ask| match ask {
            Ask::Report(_, outcome) => Some(outcome),
            _ => None,
        });
        outcome.last().unwrap().hop.map(|hop| hop.text.to_string())
    }

    #[test]
    fn a_destination_without_a_server_for_the_mail_is_told_whatever_the_reason() {
        let mut cx = context(1);
        assert_eq!(hop(&mut cx).as_deref(), Some("busy"));
        let mut cx = context(1);
        cx.served = true;
        assert_eq!(hop(&mut cx), None);
    }
}
