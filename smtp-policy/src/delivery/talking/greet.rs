//! What is decided when the server has introduced itself: whether it is the right
//! place for the message (`src/smtp/smtp_proto.c`, smtp_helo).

use smtp_proto::{
    reply::{Capabilities, Keyword},
    status::EnhancedStatus,
};

use crate::{
    channel::Peer,
    delivery::context::Context,
    report::{Scope, trouble::Reason},
    tables::TableFailure,
};

/// Nobody knows which keywords of the server count.
pub(super) fn unknown_keywords(cx: &mut Context, peer: &Peer, failure: &TableFailure) -> Reason {
    cx.warn(failure.to_string());
    let text = format!("local data error while talking to {}", peer.name());
    Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Session, text)
}

/// Logs what is remarkable about the keywords of a server.
pub(super) fn note_capabilities(cx: &mut Context, peer: &Peer, offered: &Capabilities) {
    let silent = offered.discarded.contains(Keyword::SilentDiscard);
    if !offered.discarded.is_empty() && !silent {
        let names: Vec<&str> = offered.discarded.names().collect();
        cx.inform(format!("discarding EHLO keywords: {}", names.join(" ")));
    }
    if let Some(word) = &offered.bad_size {
        let relay = peer.relay();
        cx.warn(format!("bad EHLO SIZE limit \"{word}\" from {relay}"));
    }
    if offered.smtputf8 && !offered.eight_bit_mime {
        let name = peer.name();
        cx.inform(format!(
            "host {name} offers SMTPUTF8 support, but not 8BITMIME"
        ));
    }
}

/// The reason why the message cannot go to this server at all, if there is one.
pub(super) fn objection(cx: &mut Context, peer: &Peer, offered: &Capabilities) -> Option<Reason> {
    let own_name = &cx.config.general.myhostname;
    if cx.hosts.detects_loops() && offered.name.eq_ignore_ascii_case(own_name) {
        let relay = peer.relay();
        cx.warn(format!(
            "host {relay} replied to HELO/EHLO with my own hostname {own_name}"
        ));
        let status = EnhancedStatus::new(if peer.best_mx { 5 } else { 4 }, 4, 6);
        let text = format!("mail for {} loops back to myself", cx.request.nexthop);
        return Some(Reason::local(status, Scope::Site, text));
    }
    if cx.request.needs_smtputf8() && !offered.smtputf8 {
        let text = format!(
            "SMTPUTF8 is required, but was not offered by host {}",
            peer.name()
        );
        let status = EnhancedStatus::new(5, 6, 7);
        return Some(Reason::local(status, Scope::Message, text));
    }
    None
}
