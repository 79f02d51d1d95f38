//! What is decided when the server has introduced itself: whether it is the right
//! place for the message (`src/smtp/smtp_proto.c`, smtp_helo).

use smtp_proto::{
    reply::{Capabilities, Keyword},
    status::EnhancedStatus,
};

use crate::{
    channel::Peer,
    delivery::context::Context,
    event::Event,
    report::{Scope, trouble::Reason},
    tables::TableFailure,
};

/// Nobody knows which keywords of the server count.
pub(super) fn unknown_keywords(cx: &mut Context, peer: &Peer, failure: &TableFailure) -> Reason {
    let failed = failure.clone();
    cx.note(Event::TableFailed { failure: failed });
    let text = format!("local data error while talking to {}", peer.name());
    Reason::local(EnhancedStatus::new(4, 3, 0), Scope::Session, text)
}

/// Logs what is remarkable about the keywords of a server.
pub(super) fn note_capabilities(cx: &mut Context, peer: &Peer, offered: &Capabilities) {
    let silent = offered.discarded.contains(Keyword::SilentDiscard);
    if !offered.discarded.is_empty() && !silent {
        let names: Vec<&str> = offered.discarded.names().collect();
        cx.note(Event::KeywordsDiscarded {
            server: peer.server(),
            keywords: names.join(" "),
        });
    }
    if let Some(word) = &offered.bad_size {
        cx.note(Event::BadSizeLimit {
            server: peer.server(),
            word: word.clone(),
        });
    }
    if offered.smtputf8 && !offered.eight_bit_mime {
        let server = peer.server();
        cx.note(Event::Smtputf8Alone { server });
    }
}

/// The reason why the message cannot go to this server at all, if there is one.
pub(super) fn objection(cx: &mut Context, peer: &Peer, offered: &Capabilities) -> Option<Reason> {
    let own_name = &cx.config.general.myhostname;
    if cx.hosts.detects_loops() && offered.name.eq_ignore_ascii_case(own_name) {
        cx.note(Event::OwnNameInHello {
            server: peer.server(),
            name: own_name.to_string(),
        });
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
