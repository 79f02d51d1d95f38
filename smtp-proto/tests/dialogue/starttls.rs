//! RFC 3207: STARTTLS, and what the session forgets behind it; RFC 8314: TLS from
//! the first byte.

use std::time::Duration;

use smtp_proto::{
    Time,
    session::{Closed, DeadlineRule, Event, Need, Protocol, Session, Stage, Step},
};

use crate::{Play, profile, transaction};

const OFFER: &str = "S: 220 mx ESMTP
     C: EHLO client.example
     S: 250-mx
     S: 250-PIPELINING
     S: 250 STARTTLS
     C: STARTTLS
     ";

fn play(rest: &str) -> Play {
    Play::smtp(&["a@b.example"])
        .with_tls()
        .run(&format!("{OFFER}{rest}"))
}

#[test]
fn what_was_announced_in_plaintext_is_forgotten_inside_tls() {
    let mut play = play(
        "S: 220 go
         TLS established
         C: EHLO client.example
         S: 250-mx
         S: 250 8BITMIME
         C: MAIL FROM:<from@example.org>
         S: 250 ok
         C: RCPT TO:<a@b.example>",
    );
    let session = play.session();
    assert!(session.is_secure());
    assert!(!session.capabilities().pipelining);
    assert!(session.capabilities().eight_bit_mime);
}

#[test]
fn lhlo_is_said_again_inside_tls() {
    let play = Play::lmtp(&["a@b.example"]).with_tls().run(
        "S: 220 mx LMTP
         C: LHLO client.example
         S: 250-mx
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go
         TLS established
         C: LHLO client.example",
    );
    assert_eq!(play.closed, None);
}

#[test]
fn ehlo_inside_tls_may_be_refused_in_favour_of_helo() {
    play(
        "S: 220 go
         TLS established
         C: EHLO client.example
         S: 500 what
         C: HELO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>",
    );
}

#[test]
fn a_refused_starttls_leads_back_to_the_decision_without_another_ehlo() {
    for reply in ["454 not now", "502 never", "354 odd"] {
        let mut play = play(&format!(
            "S: {reply}
             C: MAIL FROM:<from@example.org>
             C: RCPT TO:<a@b.example>
             C: DATA"
        ));
        assert!(!play.session().is_secure(), "{reply}");
    }
}

#[test]
fn plaintext_behind_the_reply_to_starttls_is_thrown_away() {
    let play = play(
        "S: 220 go
         S: 250-mx.evil
         S: 250 AUTH PLAIN
         TLS established
         C: EHLO client.example",
    );
    assert_eq!(play.notes, [Event::PlaintextDiscarded(29)]);
    assert_eq!(play.replies.last(), Some(&(Stage::StartTls, 220)));
}

#[test]
fn a_half_line_behind_the_reply_to_starttls_does_not_begin_the_next_reply() {
    let mut session = Session::new(profile(Protocol::Smtp), Time::ZERO);
    let until = |session: &mut Session, wanted: Need| {
        loop {
            match session.poll(Time::ZERO) {
                Step::Need(need) if need == wanted => break,
                Step::Send { .. } => session.output().clear(),
                Step::Event(_) => {}
                step => panic!("{step:?}"),
            }
        }
    };
    session.receive(b"220 mx ESMTP\r\n250-mx\r\n250 STARTTLS\r\n");
    until(&mut session, Need::Negotiation);
    session.negotiation().unwrap().start_tls();
    session.receive(b"220 go\r\n250-SI");
    until(&mut session, Need::Tls);
    session.tls_gate().unwrap().established();
    session.receive(b"250 mx\r\n");
    until(&mut session, Need::Negotiation);
    assert_eq!(session.capabilities().name, "mx");
}

#[test]
fn a_failed_handshake_ends_the_session_without_a_word() {
    let play = play("S: 220 go\n TLS failed");
    assert_eq!(play.closed, Some(Closed::Tls));
}

#[test]
fn a_server_that_is_not_the_right_one_hears_quit_inside_tls() {
    let mut play = play("S: 220 go\n TLS quit\n C: QUIT");
    assert_eq!(play.closed, Some(Closed::Quit));
    assert!(play.session().is_secure());
}

#[test]
fn starttls_and_the_handshake_have_a_limit_each() {
    let late = play("+299\n S: 220 go\n +299");
    assert_eq!(late.closed, None);
    let over = play("+301");
    assert_eq!(over.closed, Some(Closed::TimedOut(Stage::StartTls)));
    let over = play("S: 220 go\n +301");
    assert_eq!(over.closed, Some(Closed::TimedOut(Stage::TlsHandshake)));
}

#[test]
fn a_login_after_a_refusal_has_the_limit_of_starttls() {
    let closed = |rule, wait: u32| {
        let mut profile = profile(Protocol::Smtp);
        profile.deadline = rule;
        profile.timeouts.helo = Duration::from_secs(10);
        Play::new(profile, transaction(&["a@b.example"]))
            .with_tls()
            .with_login(("PLAIN", Some("AGJvYgBodXNo".to_owned())), |turn| {
                turn.quit();
            })
            .run(&format!(
                "{}S: 250-AUTH PLAIN
                 S: 250 STARTTLS
                 C: STARTTLS
                 +200
                 S: 454 later
                 C: AUTH PLAIN {}
                 +{wait}",
                OFFER.split_once("S: 250 STARTTLS").unwrap().0,
                "QUdKdllnQm9kWE5v",
            ))
            .closed
    };
    let over = Some(Closed::TimedOut(Stage::Auth));
    assert_eq!(closed(DeadlineRule::PerOperation, 299), None);
    assert_eq!(closed(DeadlineRule::PerOperation, 301), over);
    let whole = DeadlineRule::PerRequest { min_data_rate: 500 };
    assert_eq!(closed(whole, 99), None);
    assert_eq!(closed(whole, 101), over);
}

#[test]
fn a_line_lost_before_the_reply_to_starttls_is_lost_there() {
    let play = play("EOF");
    assert_eq!(play.closed, Some(Closed::Lost(Stage::StartTls)));
}

#[test]
fn a_wrapped_session_greets_inside_tls() {
    let mut play = Play::new(profile(Protocol::Smtp), transaction(&["a@b.example"])).wrapped();
    assert!(play.session().tls_gate().is_some());
    let mut play = play.run(
        "TLS established
         S: 220 mx ESMTP
         C: EHLO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>",
    );
    assert!(play.session().is_secure());
}

#[test]
fn the_gate_is_open_only_while_a_handshake_is_due() {
    let mut session = Session::new(profile(Protocol::Smtp), Time::ZERO);
    assert!(session.tls_gate().is_none());
    let wrapped = Session::wrapped(profile(Protocol::Smtp), Time::ZERO);
    assert_eq!(
        wrapped.deadline(),
        (Time::at(Duration::from_secs(300)), Stage::TlsHandshake)
    );
}

#[test]
fn a_reply_to_mail_that_comes_too_early_aborts_the_transaction_where_it_is_not_suffered() {
    for (blocks, then) in [(true, "C: RSET"), (false, "C: RCPT TO:<a@b.example>")] {
        let mut profile = profile(Protocol::Smtp);
        profile.block_early_mail_reply = blocks;
        let play = Play::new(profile, transaction(&["a@b.example"]))
            .with_tls()
            .run(&format!(
                "S: 220 mx ESMTP
             C: EHLO client.example
             S: 250-mx
             S: 250 STARTTLS
             C: STARTTLS
             S: 220 go
             TLS established
             C: EHLO client.example
             S: 250 mx
             S: 250 early
             C: MAIL FROM:<from@example.org>
             {then}"
            ));
        assert_eq!(play.notes.contains(&Event::EarlyMailReply), blocks);
    }
}

#[test]
fn starttls_goes_out_before_the_handshake_even_if_its_reply_came_first() {
    let mut play = Play::smtp(&["a@b.example"]).with_tls().run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 STARTTLS
         S: 220 go
         C: STARTTLS
         TLS established
         C: EHLO client.example",
    );
    assert!(play.session().is_secure());
}
