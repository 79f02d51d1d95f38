//! The meaning of a reply for the recipients (`src/smtp/smtp_trouble.c`). It is a table
//! by stage: it looks at nothing but the reply and changes nothing.

use smtp_proto::{
    reply::Reply,
    session::{Closed, Stage},
};

use crate::{
    delivery::roll::Position,
    report::{Scope, trouble::Reason},
    server::Server,
    settings::ProbeTarget,
};

/// The reply to QUIT, and to nothing else (RFC 5321 section 4.2.3).
const CLOSING: u16 = 221;
/// The only reply to EHLO after which HELO is not tried.
const SHUTTING_DOWN: u16 = 421;

/// The settings and wishes that the meaning of a reply depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// `smtp_skip_5xx_greeting`.
    pub(super) skip_5xx_greeting: bool,
    /// For an address probe, how far it goes (`address_verify_target`).
    pub(super) probe: Option<ProbeTarget>,
}

/// The meaning of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is as expected, or says nothing about recipients.
    Nothing,
    /// A failure of everybody that speaks against the server.
    Site(Reason),
    /// A failure of everybody.
    Everybody(Reason),
    /// A failure of one recipient.
    One(Position, Reason),
    /// The server has taken everybody.
    AcceptsEverybody,
    /// The server has taken one recipient.
    AcceptsOne(Position),
    /// The server does not want to start TLS.
    NoTls,
    /// The login has come further.
    Login,
    /// It is worth a warning.
    Unusual,
}

/// Finds out what a reply of a server means at a stage.
pub(super) fn meaning(server: &Server, stage: Stage, reply: &Reply, rules: Rules) -> Meaning {
    let success = reply.is_success();
    let said = |scope| Reason::said(server, stage, reply, scope);
    match stage {
        Stage::Banner | Stage::Helo | Stage::Lhlo if !success => {
            let skip_5xx = rules.skip_5xx_greeting;
            Meaning::Site(Reason::refused(server, stage, reply, skip_5xx))
        }
        // After any other refusal of EHLO the session says HELO.
        Stage::Ehlo if reply.code() == SHUTTING_DOWN => {
            Meaning::Site(Reason::refused(server, stage, reply, false))
        }
        Stage::StartTls if !success => Meaning::NoTls,
        Stage::Auth => Meaning::Login,
        Stage::XforwardNameAddr | Stage::XforwardProtoHelo if !success => Meaning::Unusual,
        Stage::Mail if !success => Meaning::Everybody(said(Scope::Message)),
        Stage::Rcpt(at) if !success => Meaning::One(Position(at), said(Scope::Recipient)),
        Stage::Rcpt(at) if rules.probe == Some(ProbeTarget::Rcpt) => {
            Meaning::AcceptsOne(Position(at))
        }
        // A probe that goes as far as DATA ends with its reply.
        Stage::Data if reply.is_intermediate() => match rules.probe {
            Some(_) => Meaning::AcceptsEverybody,
            None => Meaning::Nothing,
        },
        Stage::Data => Meaning::Everybody(said(Scope::Message)),
        Stage::EndOfData if success => Meaning::AcceptsEverybody,
        Stage::EndOfData => Meaning::Everybody(said(Scope::Message)),
        // The server has given a reply too few, and this one is for QUIT: what became
        // of the others is not known.
        Stage::EndOfDataFor(_) if reply.code() == CLOSING => {
            let lost = Reason::ended(server, Closed::Lost(stage));
            lost.map_or(Meaning::Nothing, Meaning::Everybody)
        }
        Stage::EndOfDataFor(at) if success => Meaning::AcceptsOne(Position(at)),
        Stage::EndOfDataFor(at) => Meaning::One(Position(at), said(Scope::Recipient)),
        _ => Meaning::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::inet("mx.example", ([192, 0, 2, 1], 25).into())
    }

    /// The meaning in a word: `site`, `all`, `one`, or what it is called.
    fn word(stage: Stage, code: u16, rules: Rules) -> &'static str {
        let reply = Reply::new(code, format!("{code} text"));
        match meaning(&server(), stage, &reply, rules) {
            Meaning::Nothing => "-",
            Meaning::Site(_) => "site",
            Meaning::Everybody(reason) if reason.uncertain => "all?",
            Meaning::Everybody(_) => "all",
            Meaning::One(..) => "one",
            Meaning::AcceptsEverybody => "all taken",
            Meaning::AcceptsOne(_) => "taken",
            Meaning::NoTls => "no tls",
            Meaning::Login => "login",
            Meaning::Unusual => "unusual",
        }
    }

    #[test]
    fn the_meaning_depends_on_the_stage() {
        let rows = [
            (Stage::Banner, 220, "-"),
            (Stage::Banner, 554, "site"),
            (Stage::Ehlo, 250, "-"),
            (Stage::Ehlo, 502, "-"),
            (Stage::Ehlo, 421, "site"),
            (Stage::Helo, 502, "site"),
            (Stage::Lhlo, 421, "site"),
            (Stage::StartTls, 220, "-"),
            (Stage::StartTls, 454, "no tls"),
            (Stage::Auth, 334, "login"),
            (Stage::Auth, 235, "login"),
            (Stage::XforwardNameAddr, 501, "unusual"),
            (Stage::XforwardProtoHelo, 250, "-"),
            (Stage::Mail, 250, "-"),
            (Stage::Mail, 451, "all"),
            (Stage::Rcpt(0), 250, "-"),
            (Stage::Rcpt(0), 550, "one"),
            (Stage::Data, 354, "-"),
            (Stage::Data, 250, "all"),
            (Stage::Data, 451, "all"),
            (Stage::EndOfData, 250, "all taken"),
            (Stage::EndOfData, 354, "all"),
            (Stage::EndOfData, 554, "all"),
            (Stage::EndOfDataFor(1), 250, "taken"),
            (Stage::EndOfDataFor(1), 452, "one"),
            (Stage::EndOfDataFor(1), 221, "all?"),
            (Stage::Quit, 221, "-"),
        ];
        for (stage, code, expected) in rows {
            let found = word(stage, code, Rules::default());
            assert_eq!(found, expected, "{code} at {stage:?}");
        }
    }

    #[test]
    fn a_probe_ends_where_it_is_to_end() {
        let rows = [
            (ProbeTarget::Rcpt, Stage::Rcpt(0), 250, "taken"),
            (ProbeTarget::Rcpt, Stage::Rcpt(0), 550, "one"),
            (ProbeTarget::Data, Stage::Rcpt(0), 250, "-"),
            (ProbeTarget::Data, Stage::Data, 354, "all taken"),
            (ProbeTarget::Data, Stage::Data, 554, "all"),
        ];
        for (target, stage, code, expected) in rows {
            let rules = Rules {
                probe: Some(target),
                ..Rules::default()
            };
            assert_eq!(word(stage, code, rules), expected, "{code} at {stage:?}");
        }
    }

    #[test]
    fn a_permanent_greeting_is_temporary_if_wished() {
        let refusal = |skip_5xx_greeting| {
            let rules = Rules {
                skip_5xx_greeting,
                ..Rules::default()
            };
            let reply = Reply::new(554, "554 5.7.1 go away");
            match meaning(&server(), Stage::Banner, &reply, rules) {
                Meaning::Site(reason) => reason.status.to_string(),
                other => format!("{other:?}"),
            }
        };
        assert_eq!([refusal(true), refusal(false)], ["4.7.1", "5.7.1"]);
    }
}
