//! What comes behind the text: replies per recipient in LMTP (RFC 2033 section
//! 4.2), kept connections, QUIT.

use std::time::Duration;

use smtp_proto::{
    Time,
    session::{Closed, Protocol, Stage},
};

use crate::{Play, profile, transaction};

const LMTP: &str = "S: 220 mx LMTP
     C: LHLO client.example
     S: 250-mx
     S: 250 PIPELINING
     C: MAIL FROM:<from@example.org>
     C: RCPT TO:<a@b.example>
     C: RCPT TO:<b@b.example>
     C: RCPT TO:<c@b.example>
     C: DATA
     S: 250 ok
     S: 250 ok
     S: 550 no
     S: 250 ok
     S: 354 go
     C: Subject: hi
     C:
     C: ..dot
     C: last
     C: .
     C: QUIT
     ";
const THREE: [&str; 3] = ["a@b.example", "b@b.example", "c@b.example"];

#[test]
fn lmtp_answers_the_text_once_for_each_accepted_recipient() {
    let play = Play::lmtp(&THREE).run(&format!("{LMTP}S: 250 ok\n S: 452 full\n S: 221 bye"));
    assert_eq!(
        play.replies[play.replies.len() - 2..],
        [(Stage::EndOfDataFor(0), 250), (Stage::EndOfDataFor(2), 452)]
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn a_reply_that_is_missing_is_missed_for_its_recipient() {
    let play = Play::lmtp(&THREE).run(&format!("{LMTP}S: 250 ok\n EOF"));
    assert_eq!(play.closed, Some(Closed::Lost(Stage::EndOfDataFor(2))));
    let play = Play::lmtp(&THREE).run(&format!("{LMTP}S: 250 ok\n +600"));
    assert_eq!(play.closed, Some(Closed::TimedOut(Stage::EndOfDataFor(2))));
}

#[test]
fn the_reply_to_quit_is_waited_for_if_wished_and_changes_nothing() {
    for (last, closed) in [
        ("S: 221 bye", true),
        ("S: 500 what", true),
        ("EOF", true),
        ("+299", false),
    ] {
        let play = Play::lmtp(&THREE).run(&format!("{LMTP}S: 250 ok\n S: 250 ok\n {last}"));
        assert_eq!(play.closed, closed.then_some(Closed::Quit), "{last}");
    }
}

fn kept() -> Play {
    let mut mail = transaction(&["a@b.example"]);
    mail.keep_until = Some(Time::at(Duration::from_secs(60)));
    Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         S: 250 queued",
    )
}

#[test]
fn a_kept_connection_rests_without_quit_and_without_a_deadline() {
    let mut play = kept();
    assert!(play.rested);
    assert_eq!(play.session().deadline().0, Time::FAR);
    play.session().idle().unwrap().quit();
    assert_eq!(play.pump(), "QUIT\r\n");
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn a_kept_connection_is_probed_before_it_is_used() {
    for (reply, closed) in [
        ("S: 250 ok", None),
        ("S: 421 gone", Some(Closed::Stale)),
        ("EOF", Some(Closed::Lost(Stage::RsetProbe))),
        ("+20", Some(Closed::TimedOut(Stage::RsetProbe))),
    ] {
        let mut play = kept();
        play.session().idle().unwrap().probe();
        let play = play.run(&format!("C: RSET\n {reply}"));
        assert_eq!(play.closed, closed, "{reply}");
    }
}

#[test]
fn a_kept_connection_starts_from_silence() {
    for unasked in [
        "250 one too many\r\n",
        "250-half\r\n",
        "421 idle\r\n",
        "354 x\r\n25",
    ] {
        let mut play = kept();
        play.session().receive(unasked.as_bytes());
        play.session().idle().unwrap().probe();
        let mut play = play.run("C: RSET\n S: 250 ok");
        assert_eq!(play.closed, None, "{unasked:?}");
        assert!(play.session().idle().is_some(), "{unasked:?}");
    }
}

#[test]
fn what_came_before_the_probe_went_out_is_no_reply_to_it() {
    for (unasked, rest) in [
        ("250 late\r\n", ""),
        ("2", "50 late\r\n"),
        ("421 idle\r\n", ""),
    ] {
        let mut play = kept();
        play.session().idle().unwrap().probe();
        play.session().receive(unasked.as_bytes());
        // The probe goes out all the same, as from Postfix.
        assert_eq!(play.pump(), "RSET\r\n", "{unasked:?}");
        play.session().receive(rest.as_bytes());
        play.pump();
        assert_eq!(play.closed, Some(Closed::Stale), "{unasked:?}");
    }
}

#[test]
fn a_connection_past_its_time_is_not_kept() {
    let mut mail = transaction(&["a@b.example"]);
    mail.keep_until = Some(Time::at(Duration::from_secs(5)));
    let play = Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         +6
         S: 250 mx
         C: MAIL FROM:<from@example.org>
         S: 550 no
         C: RSET
         S: 250 ok
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn a_server_out_of_its_mind_is_not_kept() {
    let mut mail = transaction(&["a@b.example"]);
    mail.keep_until = Some(Time::FAR);
    let play = Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>
         S: 500 what
         C: RSET
         S: 250 ok
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn quit_goes_out_even_if_something_came_that_could_be_its_reply() {
    let mut patient = profile(Protocol::Smtp);
    patient.skip_quit_response = false;
    let play = Play::new(patient, transaction(&["a@b.example"])).run(
        "S: 554 go away
         S: 554 not asked
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Refused));
}

#[test]
fn whether_quit_follows_the_dot_is_decided_before_the_replies_to_the_envelope() {
    let mut mail = transaction(&["a@b.example"]);
    mail.keep_until = Some(Time::FAR);
    let mut play = Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         S: 555 what
         S: 250 ok
         S: 354 go
         C: .
         S: 250 ok",
    );
    assert!(play.rested && play.session().is_irregular());
}

#[test]
fn the_last_command_goes_out_before_the_session_rests() {
    let mut mail = transaction(&["a@b.example"]);
    mail.keep_until = Some(Time::FAR);
    let play = Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>
         S: 450 later
         S: 250 not asked
         C: RSET",
    );
    assert!(play.rested);
}
