//! Login at the server, between hello and the first message
//! (`src/smtp/smtp_sasl_proto.c`, smtp_sasl_helo_login; `src/smtp/smtp_sasl_glue.c`,
//! smtp_sasl_authenticate). A failure is the session's: no message goes out on it,
//! and other servers are tried.

use std::sync::Arc;

use smtp_proto::{
    reply::Reply,
    secret::Secret,
    session::{ChallengeError, Closed, Stage},
    status::EnhancedStatus,
};

use super::records::Records;
use crate::{
    Protocol,
    channel::{Channel, Peer},
    delivery::context::{Context, NewToken},
    event::Event,
    report::{Scope, trouble::Reason},
    sasl::{
        Account, AccountSearch, Exchange, Failed, Offer, Party, PasswordSearch, Proof, Protection,
        Refusal, Sasl, SecurityOptions, Unknown, fingerprint,
    },
    settings::Credentials,
    tls::TlsFacts,
};

/// The reply for which a login is remembered as failed: the credentials are wrong
/// (RFC 4954 section 6).
const BAD_CREDENTIALS: u16 = 535;

/// Login in one session: what is known, and what was done.
#[derive(Debug)]
pub(in crate::delivery) struct Login {
    /// The findings before the connection was opened.
    credentials: Result<Option<Account>, Unknown>,
    progress: Progress,
    /// The server has refused a token, and might like a new one.
    token_refused: bool,
}

#[derive(Debug)]
enum Progress {
    NotYet,
    UnderWay(Box<Exchange>),
    Over,
}

impl Login {
    pub(in crate::delivery) fn new(search: AccountSearch) -> Self {
        Self {
            credentials: search.result(),
            progress: Progress::NotYet,
            token_refused: false,
        }
    }

    /// A kept connection, on which nothing is left to do.
    pub(in crate::delivery) fn done() -> Self {
        Self {
            credentials: Ok(None),
            progress: Progress::Over,
            token_refused: false,
        }
    }

    /// Returns whether the server has refused a token, and might like a new one.
    pub(super) const fn was_token_refused(&self) -> bool {
        self.token_refused
    }

    /// Returns whether there may be something to log in with. A table that cannot tell
    /// counts as if there were.
    pub(in crate::delivery) fn has_credentials(&self) -> bool {
        !matches!(self.credentials, Ok(None))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Over)
    }

    /// Nothing more is done about it.
    pub(super) fn end(&mut self) {
        self.progress = Progress::Over;
    }

    /// Begins the login, if the server offers it and there are credentials for it. Returns
    /// false if mail goes out as a stranger's.
    pub(super) fn begin(
        &mut self,
        cx: &mut Context,
        channel: &mut Channel,
        records: &mut Records,
    ) -> Result<bool, Reason> {
        let settings = Arc::clone(&cx.settings);
        let Some(sasl) = &settings.sasl else {
            return Ok(false);
        };
        let (peer, offered) = (&channel.peer, channel.session.capabilities());
        if offered.auth.is_empty() {
            self.note_useless_password(cx, channel);
            return Ok(false);
        }
        let offer = Offer::read(&offered.auth, sasl.filter()).map_err(|_| data_error(peer))?;
        for remark in &offer.remarks {
            cx.note(Event::OddMechanisms {
                server: peer.server(),
                remark: remark.clone(),
            });
        }
        let Some(credentials) = self.credentials(cx, peer, records)? else {
            return Ok(false);
        };
        let name = peer.name();
        if offer.is_empty() {
            return Err(local(format!(
                "SASL authentication failed: server {name} offered no compatible authentication \
                 mechanisms for this type of connection security"
            )));
        }
        if let Some(reason) = failed_before(cx, sasl, peer, &credentials) {
            return Err(reason);
        }
        let begun = self.begin_exchange(cx, channel, &offer, &credentials);
        begun.map_err(|why| local(cannot(&name, why)))?;
        Ok(true)
    }

    /// The server does not want to know the password that there is for it: mail goes out
    /// as a stranger's. Postfix does the same without a word.
    fn note_useless_password(&self, cx: &mut Context, channel: &Channel) {
        if !matches!(self.credentials, Ok(Some(_))) {
            return;
        }
        cx.note(Event::UselessPassword {
            server: channel.peer.server(),
            place: match channel.is_secure() {
                true => "",
                false => " outside of TLS",
            },
        });
    }

    /// The answer of the tables; their failure matters only now that the server wants
    /// to know.
    fn credentials(
        &self,
        cx: &mut Context,
        peer: &Peer,
        records: &mut Records,
    ) -> Result<Option<Account>, Reason> {
        match &self.credentials {
            Ok(found) => return Ok(found.clone()),
            Err(Unknown::Token(failure)) => {
                records.record_data_error();
                let name = peer.name();
                return Err(local(format!(
                    "SASL authentication failed; cannot authenticate to server {name}: {failure}"
                )));
            }
            Err(Unknown::Table) => {}
        }
        cx.note(Event::PasswordLookupFailed {
            id: cx.request.id.clone(),
            protocol: cx.request.protocol,
        });
        records.record_data_error();
        Err(data_error(peer))
    }

    fn begin_exchange(
        &mut self,
        cx: &Context,
        channel: &mut Channel,
        offer: &Offer,
        credentials: &Account,
    ) -> Result<(), Refusal> {
        let facts = channel.tls_facts();
        let Some(sasl) = &cx.settings.sasl else {
            return Err(Refusal::NoMechanism);
        };
        let required = sasl.required(protection(facts.as_ref()));
        let known = facts.as_ref().and_then(|facts| facts.binding.as_ref());
        let chosen = offer.choose(credentials.proof, required, known);
        let (mechanism, binding) = chosen.ok_or(Refusal::NoMechanism)?;
        let party = Party {
            credentials,
            authzid: sasl.login.authzid,
            has_certificate: facts.is_some_and(|facts| facts.showed_certificate),
            host: channel.peer.host(),
            port: channel.peer.port(),
            own_name: cx.settings.identity.host.as_str(),
            binding,
            seed: cx.login_seed(),
        };
        let name = mechanism.name()?;
        let (exchange, initial) = Exchange::begin(mechanism, &party)?;
        self.progress = Progress::UnderWay(Box::new(exchange));
        if let Some(negotiation) = channel.session.negotiation() {
            negotiation.auth(&name, initial.as_ref());
        }
        Ok(())
    }

    /// The server has sent a challenge: answers it. What cannot be answered is a failure.
    pub(super) fn answer(&mut self, channel: &mut Channel) -> Result<(), Reason> {
        let name = channel.peer.name();
        let Some(turn) = channel.session.sasl() else {
            // The session asks only where there is a challenge.
            return Ok(());
        };
        let Progress::UnderWay(exchange) = &mut self.progress else {
            turn.quit();
            return Ok(());
        };
        // No mechanism has an answer to more than three challenges, so that Postfix's
        // limit of 100 cannot be reached.
        if turn.is_out_of_turn() {
            let mechanism = exchange.mechanism().as_str();
            // Postfix adds its own response here, password and all.
            return Err(local(format!(
                "SASL authentication failed; non-empty initial {mechanism} challenge from server {name}"
            )));
        }
        let response = respond(exchange, turn.challenge());
        turn.respond(&response.map_err(|why| local(cannot(&name, why)))?);
        Ok(())
    }

    /// The server's reply to AUTH or to a response. Does nothing while the exchange goes on.
    pub(super) fn conclude(
        &mut self,
        cx: &mut Context,
        channel: &mut Channel,
        reply: &Reply,
    ) -> Result<(), Reason> {
        if reply.is_intermediate() {
            return Ok(());
        }
        let peer = &channel.peer;
        let progress = core::mem::replace(&mut self.progress, Progress::Over);
        if !reply.is_success() {
            self.remember_failure(cx, peer, reply);
            self.token_refused = matches!(&self.credentials, Ok(Some(account)) if account.proof == Proof::Token)
                && (reply.code() == BAD_CREDENTIALS
                    || matches!(&progress, Progress::UnderWay(exchange) if exchange.refuses_token()));
            let text = format!("server {} said: {}", peer.name(), one_line(reply.text()));
            let text = format!("SASL authentication failed; {text}");
            return Err(Reason {
                reply: Some(reply.clone()),
                ..rejected(cx, reply.class() == 5, reply.status(), text)
            });
        }
        let protection = protection(channel.tls_facts().as_ref());
        let sasl = cx.settings.sasl.as_ref();
        let required = sasl.map(|sasl| sasl.required(protection));
        if let Progress::UnderWay(exchange) = progress
            && required.is_some_and(SecurityOptions::ask_for_mutual_auth)
            && !exchange.knows_server()
        {
            // RFC 5802 section 5: the signature of the server is part of the exchange.
            return Err(local(cannot(&peer.name(), Refusal::Server)));
        }
        self.forget_failure(cx, &channel.peer);
        channel.authenticated = true;
        cx.note(Event::LoggedIn {
            server: channel.peer.server(),
        });
        Ok(())
    }

    fn remember_failure(&self, cx: &Context, peer: &Peer, reply: &Reply) {
        if reply.code() == BAD_CREDENTIALS
            && let Ok(Some(Account { user, password, .. })) = &self.credentials
            && let Some(sasl) = &cx.settings.sasl
            && let Some(mut memory) = sasl.failed()
        {
            let password = fingerprint(user, password.expose());
            let failed = Failed {
                status: reply.status(),
                text: one_line(reply.text()),
            };
            memory.store(peer.host(), user, password, failed, cx.known_unix_time());
        }
    }

    /// The login works: what is remembered of it does not hold any more.
    fn forget_failure(&self, cx: &Context, peer: &Peer) {
        if let Ok(Some(Account { user, password, .. })) = &self.credentials
            && let Some(sasl) = &cx.settings.sasl
            && let Some(mut memory) = sasl.failed()
        {
            let password = fingerprint(user, password.expose());
            memory.worked(peer.host(), user, password, cx.known_unix_time());
        }
    }
}

/// The search for credentials for a server.
pub(in crate::delivery) fn account_search(cx: &Context, peer: &Peer) -> AccountSearch {
    let Some(sasl) = &cx.settings.sasl else {
        return AccountSearch::default();
    };
    if let Credentials::Token(login) = &sasl.login.credentials {
        let refresh = cx.new_token == NewToken::Wanted;
        return AccountSearch::token(login, peer.host(), refresh);
    }
    let by_sender = cx.request.protocol == Protocol::Smtp && sasl.login.by_sender;
    let sender = by_sender.then(|| {
        let address = cx.sender();
        (address, sasl.sender_rules(address))
    });
    let search = PasswordSearch::new(&sasl.login, sender, peer.host(), &peer.destination);
    AccountSearch::Passwords(search)
}

/// A login with these credentials was rejected not long ago.
fn failed_before(cx: &Context, sasl: &Sasl, peer: &Peer, credentials: &Account) -> Option<Reason> {
    let Account { user, password, .. } = credentials;
    let password = fingerprint(user, password.expose());
    let now = cx.known_unix_time();
    let failed = sasl.failed()?.find(peer.host(), user, &password, now)?;
    let text = format!(
        "SASL [CACHED] authentication failed; server {} said: {}",
        peer.host(),
        failed.text
    );
    let permanent = failed.status.class() == 5;
    Some(rejected(cx, permanent, failed.status, text))
}

/// The server's verdict; a permanent one is made temporary if that is wished
/// (`smtp_sasl_auth_soft_bounce`). A reply that is no refusal at all, such as
/// 650, has a permanent status but is left alone.
fn rejected(cx: &Context, permanent: bool, status: EnhancedStatus, text: String) -> Reason {
    let login = cx.settings.login.as_ref();
    let soften = permanent && login.is_some_and(|login| login.soft_bounce);
    let status = if soften { status.with_class(4) } else { status };
    Reason {
        status,
        ..local(text)
    }
}

/// The protection of a connection.
fn protection(facts: Option<&TlsFacts>) -> Protection {
    match facts {
        Some(facts) if facts.matched => Protection::VerifiedTls,
        Some(_) => Protection::Tls,
        None => Protection::Plaintext,
    }
}

fn respond(
    exchange: &mut Exchange,
    challenge: Result<Vec<u8>, ChallengeError>,
) -> Result<Secret, Refusal> {
    match challenge {
        Ok(challenge) => exchange.step(&challenge),
        Err(ChallengeError::Malformed) => Err(Refusal::Protocol),
        Err(ChallengeError::Incomplete) => Err(Refusal::Incomplete),
    }
}

fn cannot(name: &str, why: Refusal) -> String {
    format!("SASL authentication failed; cannot authenticate to server {name}: {why}")
}

/// A failure that this side found.
fn local(text: String) -> Reason {
    let reason = Reason::local(EnhancedStatus::new(4, 7, 0), Scope::Session, text);
    Reason {
        stage: Some(Stage::Auth),
        ..reason
    }
}

fn data_error(peer: &Peer) -> Reason {
    let text = format!("local data error while talking to {}", peer.name());
    Reason {
        status: EnhancedStatus::new(4, 3, 0),
        ..local(text)
    }
}

/// Unlike elsewhere, the lines of a reply are not joined by blanks but stay apart,
/// and the log shows what is unprintable as question marks.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_control(), "?")
}

/// The act of Postfix in which the exchange broke off: in its terms, still saying
/// hello.
pub(super) fn in_hello(why: Closed, protocol: Protocol) -> Closed {
    let hello = match protocol {
        Protocol::Smtp => Stage::Ehlo,
        Protocol::Lmtp => Stage::Lhlo,
    };
    match why {
        Closed::Lost(Stage::Auth) => Closed::Lost(hello),
        Closed::TimedOut(Stage::Auth) => Closed::TimedOut(hello),
        Closed::Protocol(Stage::Auth, error) => Closed::Protocol(hello, error),
        why => why,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::delivery::testing::{channel_offering, configure, context};
    use crate::tables::SecretMaps;

    fn login() -> Login {
        Login::new(AccountSearch::default())
    }

    #[test]
    fn where_login_is_not_turned_on_mail_goes_out_as_a_strangers() {
        let mut cx = context(1);
        let mut channel = channel_offering(&cx, &["AUTH PLAIN"]);
        let begun = login().begin(&mut cx, &mut channel, &mut Records::default());
        assert_eq!(begun, Ok(false));
    }

    #[test]
    fn a_reply_ends_the_login_unless_it_is_a_challenge() {
        let mut cx = context(1);
        configure(&mut cx, |settings| settings.login = None);
        let mut channel = channel_offering(&cx, &["AUTH PLAIN"]);
        let mut conclude = |code: u16, text: &str| {
            let mut login = login();
            let reply = Reply::new(code, format!("{code} {text}"));
            let concluded = login.conclude(&mut cx, &mut channel, &reply);
            let status = concluded.err().map(|reason| reason.status.to_string());
            (status, login.is_over(), channel.authenticated)
        };
        assert_eq!(conclude(334, ""), (None, false, false));
        let rejected = Some("5.7.8".to_owned());
        assert_eq!(conclude(535, "5.7.8 no"), (rejected, true, false));
        assert_eq!(conclude(235, "2.7.0 yes"), (None, true, true));
    }

    #[test]
    fn a_rejection_is_softened_if_wished() {
        let mut cx = context(1);
        configure(&mut cx, |settings| {
            settings.login = Some(crate::settings::Login::new(SecretMaps::default()));
        });
        let reason = rejected(&cx, true, EnhancedStatus::new(5, 7, 8), "no".into());
        assert_eq!(reason.status.to_string(), "4.7.8");
        let reason = rejected(&cx, false, EnhancedStatus::new(5, 5, 0), "odd".into());
        assert_eq!(reason.status.to_string(), "5.5.0");
    }

    #[test]
    fn what_is_lost_in_a_login_was_lost_in_the_hello() {
        let lost = in_hello(Closed::Lost(Stage::Auth), Protocol::Lmtp);
        assert_eq!(lost, Closed::Lost(Stage::Lhlo));
        let lost = in_hello(Closed::Lost(Stage::Mail), Protocol::Smtp);
        assert_eq!(lost, Closed::Lost(Stage::Mail));
    }
}
