//! Logins with access tokens.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use smtp_policy::{
    Protocol,
    policy::Policy,
    report::Outcome,
    request::{Recipient, Request},
    settings::{Credentials, Login, SecurityOptions, Settings, TokenFailure, TokenRequest},
};
use smtp_proto::{Address, ReversePath, Secret};

use crate::{Rules, World, brief};

const OFFER: (&str, &str) = ("EHLO", "250-mx\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-1 XOAUTH2");

/// Gives `ya29-old`, and `ya29-new` when asked for another; writes down what it was asked.
#[derive(Clone, Default)]
struct Provider {
    asked: Arc<Mutex<Vec<bool>>>,
    /// The request for which it has none, by whether it is for a new one.
    fails_at: Option<bool>,
}

impl Provider {
    fn token(&self, wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
        assert_eq!(wanted.user, "me");
        self.asked.lock().unwrap().push(wanted.refresh);
        if self.fails_at == Some(wanted.refresh) {
            return Err(TokenFailure::new("no network"));
        }
        Ok(Secret::new(if wanted.refresh {
            "ya29-new"
        } else {
            "ya29-old"
        }))
    }

    fn asked(&self) -> Vec<bool> {
        self.asked.lock().unwrap().clone()
    }
}

/// The command by which a token goes out.
fn auth(token: &str) -> String {
    let response = format!("user=me\x01auth=Bearer {token}\x01\x01");
    format!("AUTH XOAUTH2 {}", BASE64_STANDARD.encode(response))
}

/// Rules of a server that offers all kinds of login, and answers tokens so.
fn rules(old: &'static str, new: &'static str) -> Rules {
    let command = |token| -> &'static str { Box::leak(auth(token).into_boxed_str()) };
    Vec::leak(vec![
        OFFER,
        (command("ya29-old"), old),
        (command("ya29-new"), new),
    ])
}

fn login(provider: &Provider) -> Login {
    let provider = provider.clone();
    let mut login = Login::new(Credentials::token("me", move |wanted: &TokenRequest| {
        provider.token(wanted)
    }));
    login.plaintext = SecurityOptions::NOANONYMOUS;
    login
}

fn deliver(world: &mut World, login: Login) -> Outcome {
    let mut settings = Settings::smtp();
    settings.login = Some(login);
    let policy = Policy::new(settings.build().unwrap());
    let to = Recipient::new(Address::parse("to@example.com").unwrap());
    let from = ReversePath::parse("from@example.org").unwrap();
    let nexthop = "example.com".parse().unwrap();
    let request = Request::new(Protocol::Smtp, nexthop, from, vec![to]);
    let [outcome] = world
        .run_under(Arc::new(policy), request)
        .try_into()
        .unwrap();
    outcome
}

fn said(world: &World) -> Vec<&str> {
    let lines = world.heard.iter();
    let lines = lines.filter(|line| line.starts_with("AUTH") || *line == "QUIT");
    lines.map(String::as_str).collect()
}

#[test]
fn a_token_goes_out_by_a_mechanism_for_tokens() {
    let (provider, mut world) = (Provider::default(), World::new());
    world.shown = Some(String::new());
    let mut world = world.with_server("192.0.2.1", rules("235 welcome", "235 welcome"));
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(brief(&[outcome]), ["sent 2.0.0"]);
    assert_eq!(said(&world), [&auth("ya29-old"), "QUIT"]);
    assert_eq!(provider.asked(), [false]);
    let shown = world.shown.take().unwrap();
    let secrets = ["ya29", &auth("ya29-old")[13..], "TokenRequest"];
    let [token, response, wanted] = secrets.map(|secret| shown.contains(secret));
    assert_eq!((token, response, wanted), (false, false, true));
}

#[test]
fn a_server_without_a_mechanism_for_tokens_gets_none() {
    let offers: [Rules; 2] = [
        &[("EHLO", "250-mx\r\n250 AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL")],
        &[("EHLO", "250-mx\r\n250 AUTH ANONYMOUS SCRAM-SHA-256")],
    ];
    for rules in offers {
        let provider = Provider::default();
        let mut world = World::new().with_server("192.0.2.1", rules);
        let outcome = deliver(&mut world, login(&provider));
        assert_eq!(said(&world), ["QUIT"]);
        assert!(
            outcome.text.contains("no mechanism available"),
            "{outcome:?}"
        );
    }
}

#[test]
fn without_tls_no_token_goes_out_unless_that_is_wanted() {
    let provider = Provider::default();
    let mut strict = login(&provider);
    strict.plaintext = Login::new(Credentials::password("me", &Secret::new("x"))).plaintext;
    let mut world = World::new().with_server("192.0.2.1", rules("235 welcome", "235 welcome"));
    let outcome = deliver(&mut world, strict);
    assert_eq!(said(&world), ["QUIT"]);
    assert_eq!(outcome.word, "deferred");
}

#[test]
fn a_refused_token_is_renewed_and_the_server_tried_again() {
    let provider = Provider::default();
    let mut world =
        World::new().with_server("192.0.2.1", rules("535 5.7.8 expired", "235 welcome"));
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(brief(&[outcome]), ["sent 2.0.0"]);
    assert_eq!(
        said(&world),
        [&auth("ya29-old"), "QUIT", &auth("ya29-new"), "QUIT"]
    );
    assert_eq!(provider.asked(), [false, true]);
    let note = "mx1.example[192.0.2.1]:25 refused the access token, and is tried again with a new \
                one: 535 5.7.8 expired";
    assert!(
        world.notes.iter().any(|line| line == note),
        "{:?}",
        world.notes
    );
}

#[test]
fn a_token_that_is_refused_in_a_challenge_is_renewed() {
    let challenge = "334 eyJzdGF0dXMiOiI0MDEifQ==";
    let provider = Provider::default();
    let mut refusing = rules(challenge, "235 welcome").to_vec();
    // The acknowledgement of XOAUTH2 is empty. Whatever the code of the verdict, it was the token.
    refusing.push(("", "454 4.7.0 try another"));
    refusing.extend([
        ("CONNECT", "220 mx"),
        ("MAIL", "250 ok"),
        ("RCPT", "250 ok"),
        ("DATA", "354 go"),
        (".", "250 ok"),
    ]);
    let order = [4, 5, 6, 7, 8, 0, 1, 2, 3].map(|at: usize| refusing[at]);
    let mut world = World::new().with_server("192.0.2.1", order.to_vec().leak());
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(outcome.word, "sent", "{outcome:?}");
    assert_eq!(provider.asked(), [false, true]);
}

#[test]
fn a_token_is_renewed_once_and_no_more() {
    let provider = Provider::default();
    let refusing = rules("535 5.7.8 expired", "535 5.7.8 who are you");
    let mut world = World::new()
        .with_server("192.0.2.1", refusing)
        .with_backup("192.0.2.2", refusing);
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(outcome.word, "deferred");
    // The backup is another server: what it has not refused may be kept.
    assert_eq!(provider.asked(), [false, true, false]);
    let commands = ["ya29-old", "ya29-new", "ya29-old"].map(auth);
    let auths: Vec<_> = said(&world)
        .into_iter()
        .filter(|line| *line != "QUIT")
        .collect();
    assert_eq!(auths, commands);
    assert_eq!(world.connects, 3);
    assert!(outcome.text.contains("535 5.7.8 expired"), "{outcome:?}");
}

#[test]
fn a_login_that_fails_for_another_reason_needs_no_new_token() {
    let provider = Provider::default();
    let mut world =
        World::new().with_server("192.0.2.1", rules("454 4.7.0 not now", "235 welcome"));
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(provider.asked(), [false]);
    assert_eq!((outcome.word, world.connects), ("deferred", 1));
}

#[test]
fn a_password_is_not_tried_twice() {
    let mut login = Login::new(Credentials::password("me", &Secret::new("x")));
    login.plaintext = SecurityOptions::NONE;
    const REFUSING: Rules = &[
        ("EHLO", "250-mx\r\n250 AUTH PLAIN XOAUTH2"),
        ("AUTH", "535 no"),
    ];
    let mut world = World::new().with_server("192.0.2.1", REFUSING);
    let outcome = deliver(&mut world, login);
    assert_eq!((outcome.word, world.connects), ("deferred", 1));
}

#[test]
fn without_a_token_the_mail_is_deferred_for_that_reason() {
    for (fails_at, asked) in [(false, vec![false]), (true, vec![false, true])] {
        let provider = Provider {
            fails_at: Some(fails_at),
            ..Provider::default()
        };
        let refusing = rules("535 5.7.8 expired", "235 welcome");
        let mut world = World::new().with_server("192.0.2.1", refusing);
        let outcome = deliver(&mut world, login(&provider));
        assert_eq!(provider.asked(), asked);
        assert_eq!(brief(std::slice::from_ref(&outcome)), ["deferred 4.7.0"]);
        let why = "SASL authentication failed; cannot authenticate to server \
                   mx1.example[192.0.2.1]: no access token: no network";
        assert_eq!(outcome.text, why);
    }
}

#[test]
fn where_no_login_is_wanted_a_missing_token_is_none_of_the_mails_business() {
    let provider = Provider {
        fails_at: Some(false),
        ..Provider::default()
    };
    let mut world = World::new();
    let outcome = deliver(&mut world, login(&provider));
    assert_eq!(outcome.word, "sent");
}
