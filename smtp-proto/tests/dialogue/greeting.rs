//! RFC 5321 sections 3.1 and 3.2: greeting, EHLO, HELO; RFC 2033: LHLO.

use std::time::Duration;

use smtp_proto::{
    KeywordSet,
    session::{Closed, DeadlineRule, HelloChoice, PixWorkarounds, Protocol, Stage},
};

use crate::{Play, profile, transaction};

#[test]
fn ehlo_that_is_refused_is_followed_by_helo() {
    let play = Play::smtp(&["a@b.example"]).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 502 5.5.1 what
         C: HELO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>",
    );
    assert_eq!(play.closed, None);
}

#[test]
fn ehlo_answered_421_ends_the_session_without_helo() {
    let play = Play::smtp(&["a@b.example"]).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 421 4.3.2 shutting down
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Refused));
    assert_eq!(play.replies, [(Stage::Banner, 220), (Stage::Ehlo, 421)]);
}

#[test]
fn a_refused_greeting_is_answered_with_quit() {
    for greeting in ["421 later", "554 never", "354 odd"] {
        let play = Play::smtp(&["a@b.example"]).run(&format!("S: {greeting}\n C: QUIT"));
        assert_eq!(play.closed, Some(Closed::Refused), "{greeting}");
    }
}

#[test]
fn lhlo_has_nothing_to_fall_back_to() {
    let play = Play::lmtp(&["a@b.example"]).run(
        "S: 220 mx LMTP
         C: LHLO client.example
         S: 500 5.5.1 what
         C: QUIT
         S: 221 bye",
    );
    assert_eq!(play.closed, Some(Closed::Refused));
}

#[test]
fn esmtp_in_the_greeting_decides_where_ehlo_is_not_always_said() {
    let table = [
        ("220 mx ESMTP ready", HelloChoice::AsGreeted, "EHLO"),
        ("220 mx esmtp", HelloChoice::AsGreeted, "EHLO"),
        ("220 ESMTP mx", HelloChoice::AsGreeted, "EHLO"),
        ("220 mx SMTP", HelloChoice::AsGreeted, "HELO"),
        ("220 mx SMTP", HelloChoice::Ehlo, "EHLO"),
        ("220 mx ESMTP", HelloChoice::Helo, "HELO"),
    ];
    for (greeting, hello, verb) in table {
        let mut profile = profile(Protocol::Smtp);
        profile.hello = hello;
        Play::new(profile, transaction(&["a@b.example"]))
            .run(&format!("S: {greeting}\n C: {verb} client.example"));
    }
}

#[test]
fn the_greeting_of_a_pix_turns_esmtp_off() {
    let mut profile = profile(Protocol::Smtp);
    profile.pix = PixWorkarounds {
        disable_esmtp: true,
        delay_dotcrlf: None,
    };
    Play::new(profile, transaction(&["a@b.example"]))
        .run("S: 220 ****** **0**2**\n C: HELO client.example");
}

#[test]
fn a_discarded_keyword_is_not_used() {
    let mut profile = profile(Protocol::Smtp);
    profile.discard = KeywordSet::parse("pipelining");
    Play::new(profile, transaction(&["a@b.example"])).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<from@example.org>
         S: 250 ok
         C: RCPT TO:<a@b.example>",
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let play = Play::smtp(&["a@b.example"]).run("+299\n +1");
    assert_eq!(play.closed, Some(Closed::TimedOut(Stage::Banner)));
}

#[test]
fn each_byte_gives_new_time_unless_the_deadline_is_for_the_request() {
    let drip = |rule| {
        let mut profile = profile(Protocol::Smtp);
        profile.deadline = rule;
        profile.timeouts.helo = Duration::from_secs(10);
        let mut play = Play::new(profile, transaction(&["a@b.example"])).run("+9");
        play.session().receive(b"2");
        play.run("+9").closed
    };
    assert_eq!(drip(DeadlineRule::PerOperation), None);
    let whole = DeadlineRule::PerRequest { min_data_rate: 500 };
    assert_eq!(drip(whole), Some(Closed::TimedOut(Stage::Banner)));
}

#[test]
fn a_lost_connection_is_blamed_on_the_stage() {
    let play = Play::smtp(&["a@b.example"]).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         EOF",
    );
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Ehlo)));
}
