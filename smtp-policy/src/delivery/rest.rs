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
    report::{Scope, trouble::Reason},
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
    cx.settle_left(reason, &Origin::default());
    Phase::Choosing(Choosing)
}

fn is_relayhost(cx: &Context) -> bool {
    let relayhost = cx.settings.connect.relayhost.as_ref();
    let mut destinations = cx.settings.nexthop.split(cx.request.nexthop.as_str());
    destinations.next() == relayhost.map(Nexthop::as_str)
}

/// Hands the mail to `best_mx_transport` (`transport[:nexthop]`). Of all
/// transports only the two clients of this engine can be reached from here.
fn pass_to(cx: &mut Context, best_mx: BestMx) -> Phase {
    let name = &best_mx.transport;
    cx.note(Event::PassedOn {
        id: cx.request.id.clone(),
        transport: name.clone(),
    });
    let (Some(protocol), false) = (best_mx.protocol(), cx.hosts.passed) else {
        let status = EnhancedStatus::new(4, 3, 0);
        let reason = Reason::local(status, Scope::Site, "mail transport unavailable");
        cx.settle_left(reason, &Origin::default());
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
    // What the generic maps of this client made of the envelope is for its own servers.
    cx.envelope = None;
    cx.hosts = Hosts {
        passed: true,
        ..Hosts::default()
    };
    Phase::Start(Start)
}
