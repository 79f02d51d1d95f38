//! RFC 4954: AUTH.

use std::{fmt::Write as _, time::Duration};

use bytes::Buf;
use smtp_proto::{
    Secret,
    session::{ChallengeError, Closed, DeadlineRule, Protocol, SaslTurn, Stage},
};

use crate::{Login, Play, profile, transaction};

const HELLO: &str = "S: 220 mx ESMTP\n C: EHLO client.example\n S: 250 mx\n";

fn never(turn: SaslTurn<'_>) {
    panic!("{turn:?}");
}

fn echo(turn: SaslTurn<'_>) {
    let challenge = turn.challenge().unwrap();
    turn.respond(&Secret::new(challenge));
}

fn play(login: Login, answer: fn(SaslTurn<'_>), script: &str) -> Play {
    Play::smtp(&["a@b.example"])
        .with_login(login, answer)
        .run(&format!("{HELLO}{script}"))
}

#[test]
fn an_initial_response_goes_out_with_auth_and_no_ehlo_follows() {
    let play = play(
        ("plain", Some("\0bob\0secret".into())),
        never,
        "C: AUTH PLAIN AGJvYgBzZWNyZXQ=
         S: 235 2.7.0 ok
         C: MAIL FROM:<from@example.org>",
    );
    assert_eq!(
        play.replies,
        [(Stage::Banner, 220), (Stage::Ehlo, 250), (Stage::Auth, 235)]
    );
}

#[test]
fn each_challenge_is_answered_on_a_line_of_its_own() {
    play(
        ("LOGIN", None),
        echo,
        "C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: VXNlcm5hbWU6
         S: 334
         C:
         S: 235 ok
         C: MAIL FROM:<from@example.org>",
    );
}

#[test]
fn a_refusal_leaves_the_decision_open() {
    play(
        ("PLAIN", Some("x".into())),
        never,
        "C: AUTH PLAIN eA==
         S: 535 5.7.8 no
         C: MAIL FROM:<from@example.org>",
    );
}

#[test]
fn a_response_that_makes_the_line_too_long_waits_for_an_empty_challenge() {
    // 4 * 124 bytes of base64, `AUTH PLAIN ` and the line end: Postfix counts 509, then 513.
    for (length, fits) in [(372, true), (375, false)] {
        let response = "a".repeat(length);
        let encoded = "YWFh".repeat(length / 3);
        let mut script = String::new();
        if fits {
            write!(script, "C: AUTH PLAIN {encoded}\n S: 235 ok\n").unwrap();
        } else {
            write!(
                script,
                "C: AUTH PLAIN\n S: 334\n C: {encoded}\n S: 235 ok\n"
            )
            .unwrap();
        }
        play(
            ("PLAIN", Some(response)),
            never,
            &format!("{script} C: MAIL FROM:<from@example.org>"),
        );
    }
}

#[test]
fn an_initial_response_of_no_bytes_waits_for_an_empty_challenge() {
    play(
        ("EXTERNAL", Some(String::new())),
        never,
        "C: AUTH EXTERNAL
         S: 334
         C:
         S: 235 ok
         C: MAIL FROM:<from@example.org>",
    );
}

#[test]
fn a_server_that_speaks_out_of_turn_hears_no_secret() {
    fn answer(turn: SaslTurn<'_>) {
        assert!(turn.is_out_of_turn());
        turn.quit();
    }
    let play = play(
        ("PLAIN", Some("a".repeat(600))),
        answer,
        "C: AUTH PLAIN
         S: 334 aGVsbG8=
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn an_exchange_that_is_called_off_ends_with_the_servers_reply() {
    fn answer(turn: SaslTurn<'_>) {
        assert_eq!(turn.challenge(), Err(ChallengeError::Malformed));
        turn.cancel();
    }
    play(
        ("CRAM-MD5", None),
        answer,
        "C: AUTH CRAM-MD5
         S: 334 who are you?
         C: *
         S: 501 5.7.0 called off
         C: MAIL FROM:<from@example.org>",
    );
}

#[test]
fn a_huge_challenge_is_cut_and_counted_once() {
    fn answer(turn: SaslTurn<'_>) {
        assert!(turn.challenge().map_or(0, |bytes| bytes.len()) < 2048);
        assert_eq!(turn.rounds(), 1);
        turn.quit();
    }
    let challenge = "YWFh".repeat(1 << 18);
    play(
        ("LOGIN", None),
        answer,
        &format!("C: AUTH LOGIN\n S: 334 {challenge}\n C: QUIT"),
    );
}

#[test]
fn a_challenge_that_never_ends_is_given_up() {
    let mut play = play(("LOGIN", None), never, "C: AUTH LOGIN");
    for _ in 0..5000 {
        play.session().receive(b"334-");
        play.session().receive(&[b'a'; 1000]);
        play.session().receive(b"\r\n");
        play.pump();
        if let Some(closed) = play.closed {
            assert!(
                matches!(closed, Closed::Protocol(Stage::Auth, _)),
                "{closed:?}"
            );
            return;
        }
    }
    panic!("the session still listens");
}

#[test]
fn the_exchange_shares_its_limit_with_the_hello() {
    let closed = |rule, script: &str| {
        let mut profile = profile(Protocol::Smtp);
        profile.deadline = rule;
        profile.timeouts.helo = Duration::from_secs(10);
        Play::new(profile, transaction(&["a@b.example"]))
            .with_login(("LOGIN", None), echo)
            .run(script)
            .closed
    };
    let whole = DeadlineRule::PerRequest { min_data_rate: 500 };
    let script = format!("+6\n{HELLO} C: AUTH LOGIN\n +3\n S: 334 YQ==\n C: YQ==\n +1");
    assert_eq!(closed(whole, &script), Some(Closed::TimedOut(Stage::Auth)));
    assert_eq!(closed(DeadlineRule::PerOperation, &script), None);
}

#[test]
fn a_lost_connection_is_blamed_on_the_exchange() {
    let play = play(("LOGIN", None), echo, "C: AUTH LOGIN\n EOF");
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Auth)));
}

#[test]
fn no_output_for_debugging_shows_the_response() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_login(("PLAIN", Some("a".repeat(600))), never)
        .run(HELLO.trim_end_matches("S: 250 mx\n"));
    play.session().receive(b"250 mx\r\n");
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    play.negotiate();
    let withheld = format!("{:?}", play.session());
    play.session().output().advance(usize::MAX);
    play.session().receive(b"334\r\n");
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    assert!(!play.session().output().is_empty());
    let queued = format!("{:?}", play.session());
    for output in [withheld, queued] {
        assert!(output.contains("Auth"), "{output}");
        assert!(
            !output.contains("YWFh") && !output.contains("97, 97"),
            "{output}"
        );
    }
}
