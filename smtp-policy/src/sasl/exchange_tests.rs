//! Exchanges against the other side of each mechanism.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use super::*;
use crate::sasl::Binding;

fn credentials(user: &str, password: &str) -> Account {
    Account {
        user: user.into(),
        password: Secret::new(password),
        proof: crate::sasl::Proof::Password,
    }
}

fn party(credentials: &Account) -> Party<'_> {
    Party {
        credentials,
        authzid: false,
        has_certificate: false,
        host: "mx.example",
        port: Some(587),
        own_name: "client.example",
        binding: Binding::Unknown,
        seed: 7,
    }
}

/// The initial response as text; `Err` if there is none to be had.
fn first(mechanism: Mechanism, party: &Party<'_>) -> Result<Option<String>, Refusal> {
    let (_, initial) = Exchange::begin(mechanism, party)?;
    Ok(initial.map(|initial| text(&initial)))
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

#[test]
fn initial_responses_are_those_of_the_mechanisms() {
    let bob = credentials("bob", "hush");
    let plain = party(&bob);
    let acting = Party {
        authzid: true,
        ..party(&bob)
    };
    let known = Party {
        has_certificate: true,
        ..party(&bob)
    };
    let known_and_acting = Party {
        authzid: true,
        has_certificate: true,
        ..party(&bob)
    };
    let socket = Party {
        port: None,
        ..party(&bob)
    };
    let oauth = "n,a=bob,\x01host=mx.example\x01port=587\x01auth=Bearer hush\x01\x01";
    let rows = [
        (Mechanism::Plain, &plain, Ok(Some("\0bob\0hush"))),
        (Mechanism::Plain, &acting, Ok(Some("bob\0bob\0hush"))),
        (Mechanism::Login, &plain, Ok(None)),
        (Mechanism::CramMd5, &plain, Ok(None)),
        (Mechanism::External, &plain, Err(Refusal::NoMechanism)),
        (Mechanism::External, &known, Ok(Some(""))),
        (Mechanism::External, &known_and_acting, Ok(Some("bob"))),
        (
            Mechanism::Anonymous,
            &plain,
            Ok(Some("anonymous@client.example")),
        ),
        (
            Mechanism::XOAuth2,
            &plain,
            Ok(Some("user=bob\x01auth=Bearer hush\x01\x01")),
        ),
        (Mechanism::OAuthBearer, &plain, Ok(Some(oauth))),
        (
            Mechanism::OAuthBearer,
            &socket,
            Ok(Some(
                "n,a=bob,\x01host=mx.example\x01auth=Bearer hush\x01\x01",
            )),
        ),
    ];
    for (mechanism, party, expected) in rows {
        let expected = expected.map(|initial| initial.map(str::to_owned));
        assert_eq!(first(mechanism, party), expected, "{mechanism:?} {party:?}");
    }
    let nobody = credentials("bob", "");
    assert_eq!(
        first(Mechanism::Plain, &party(&nobody)),
        Ok(Some("\0bob\0".into()))
    );
    // What separates the parts of a response cannot be in one of them.
    for (mechanism, user, password) in [
        (Mechanism::Plain, "bob", "a\0b"),
        (Mechanism::Plain, "bob\0eve", "a"),
        (Mechanism::XOAuth2, "bob\x01auth=Bearer x", "hush"),
        (Mechanism::XOAuth2, "bob", "hush\x01\x01"),
        (Mechanism::OAuthBearer, "bob\x01host=x", "hush"),
        (Mechanism::OAuthBearer, "bob", "hush\r\nX: y"),
    ] {
        let broken = credentials(user, password);
        let refused = Err(Refusal::Failure);
        assert_eq!(
            first(mechanism, &party(&broken)),
            refused,
            "{mechanism:?} {user:?}"
        );
    }
}

#[test]
fn challenges_are_answered_until_all_was_said() {
    let tim = credentials("tim", "tanstaaftanstaaf");
    // RFC 2195 section 2.
    let stamp = "<1896.697170952@postoffice.reston.mci.net>";
    let long = "x".repeat(1025);
    type Row<'a> = (Mechanism, &'a [(&'a str, Result<&'a str, Refusal>)]);
    let rows: &[Row<'_>] = &[
        (
            Mechanism::CramMd5,
            &[
                (stamp, Ok("tim b913a602c7eda7a495b4e6e7334d3890")),
                (stamp, Err(Refusal::Failure)),
            ],
        ),
        (
            Mechanism::CramMd5,
            &[
                (&long, Err(Refusal::Protocol)),
                (stamp, Err(Refusal::Failure)),
            ],
        ),
        (
            Mechanism::Login,
            &[
                ("who?", Ok("tim")),
                ("", Ok("tanstaaftanstaaf")),
                ("what?", Err(Refusal::Failure)),
            ],
        ),
        (Mechanism::Plain, &[("?", Err(Refusal::Failure))]),
        (
            Mechanism::XOAuth2,
            &[
                ("{\"status\":\"401\"}", Ok("")),
                ("?", Err(Refusal::Failure)),
            ],
        ),
        (Mechanism::OAuthBearer, &[("not even JSON", Ok("\x01"))]),
    ];
    for (mechanism, steps) in rows {
        let (mut exchange, _) = Exchange::begin(*mechanism, &party(&tim)).unwrap();
        for (challenge, expected) in *steps {
            let response = exchange.step(challenge.as_bytes());
            let response = response.as_ref().map(text).map_err(|why| *why);
            let expected = expected.map(str::to_owned);
            assert_eq!(response, expected, "{mechanism:?} {challenge}");
        }
    }
}

#[test]
fn scram_goes_on_until_the_server_has_shown_what_it_knows() {
    let bob = credentials("bob", "hush");
    let (mut exchange, initial) = Exchange::begin(Mechanism::ScramSha256, &party(&bob)).unwrap();
    let first = text(&initial.unwrap());
    let nonce = first.strip_prefix("n,,n=bob,r=").unwrap();
    let challenge = format!("r={nonce}SERVER,s=c2FsdA==,i=4096");
    assert!(exchange.step(challenge.as_bytes()).is_ok());
    assert!(!exchange.knows_server());
    let bluff = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(exchange.step(bluff), Err(Refusal::Mismatch));
    assert_eq!(exchange.step(bluff), Err(Refusal::Failure));
}

#[test]
fn nonces_follow_from_the_seed_and_the_server() {
    let bob = credentials("bob", "hush");
    let first = |seed, host| {
        let party = Party {
            seed,
            host,
            ..party(&bob)
        };
        first(Mechanism::ScramSha1, &party).unwrap().unwrap()
    };
    assert_eq!(first(1, "mx"), first(1, "mx"));
    assert_ne!(first(1, "mx"), first(2, "mx"));
    assert_ne!(first(1, "mx"), first(1, "mx2"));
}

#[test]
fn nothing_of_an_exchange_is_shown() {
    let bob = credentials("bob", "hush");
    for mechanism in [Mechanism::CramMd5, Mechanism::Login, Mechanism::ScramSha1] {
        let shown = format!("{:?}", Exchange::begin(mechanism, &party(&bob)).unwrap());
        assert!(!shown.contains("hush") && !shown.contains("bob"), "{shown}");
    }
}

#[test]
fn blanks_around_a_user_name_are_left_out_and_there_must_be_a_name() {
    let refused = Err(Refusal::Failure);
    let rows = [
        ("bob", Ok("bob")),
        (" bob", Ok("bob")),
        ("bob ", Ok("bob")),
        ("\t bob c\r\n", Ok("bob c")),
        ("\u{a0}bob", Ok("\u{a0}bob")),
        ("", refused),
        // As many blanks as other characters, and blanks alone.
        (" b", refused),
        ("  bo  ", refused),
        (" ", Ok("")),
    ];
    for (user, expected) in rows {
        let known = credentials(user, " p ");
        let (known, acting) = (
            party(&known),
            Party {
                authzid: true,
                ..party(&known)
            },
        );
        let plain = expected.map(|user| Some(format!("\0{user}\0 p ")));
        assert_eq!(first(Mechanism::Plain, &known), plain, "{user:?}");
        let plain = expected.map(|user| Some(format!("{user}\0{user}\0 p ")));
        assert_eq!(first(Mechanism::Plain, &acting), plain, "{user:?}");
        let scram = first(Mechanism::ScramSha256, &known);
        let scram = scram.map(|first| {
            first
                .unwrap()
                .starts_with(&format!("n,,n={},r=", expected.unwrap()))
        });
        assert_eq!(scram, expected.map(|_| true), "{user:?}");
        // Where the server speaks first, the name is looked at when it is wanted.
        for mechanism in [Mechanism::Login, Mechanism::CramMd5] {
            let (mut exchange, initial) = Exchange::begin(mechanism, &known).unwrap();
            assert!(initial.is_none());
            let said = exchange.step(b"<1@mx>").map(|said| text(&said));
            let name = said.as_deref().map(|said| {
                said.rsplit_once(' ')
                    .filter(|_| mechanism == Mechanism::CramMd5)
                    .map_or(said, |(name, _)| name)
            });
            assert_eq!(name.map_err(|refusal| *refusal), expected, "{user:?}");
        }
    }
}
