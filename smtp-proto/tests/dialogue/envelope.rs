//! RFC 2920: which commands go out together, and when the client turns back.

use smtp_proto::session::{Closed, Protocol, Stage, Stop};

use crate::{Play, profile, transaction};

const PIPELINING: &str = "S: 220 mx ESMTP
     C: EHLO client.example
     S: 250-mx
     S: 250 PIPELINING
     ";
const PLAIN: &str = "S: 220 mx ESMTP
     C: EHLO client.example
     S: 250 mx
     ";

fn pipelined(recipients: &[&str], script: &str) -> Play {
    Play::smtp(recipients).run(&format!("{PIPELINING}{script}"))
}

#[test]
fn the_envelope_goes_out_in_one_group_and_quit_with_the_dot() {
    let play = pipelined(
        &["a@b.example", "c@b.example"],
        "C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: RCPT TO:<c@b.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 550 no
         S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         C: QUIT
         S: 250 queued",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
    assert_eq!(play.replies.last(), Some(&(Stage::EndOfData, 250)));
}

#[test]
fn without_pipelining_each_command_waits() {
    let play = Play::smtp(&["a@b.example"]).run(&format!(
        "{PLAIN}C: MAIL FROM:<from@example.org>
         S: 250 ok
         C: RCPT TO:<a@b.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         S: 250 queued
         C: QUIT"
    ));
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn the_window_holds_commands_back_until_all_replies_are_in() {
    let names: Vec<String> = (0..100)
        .map(|n| format!("recipient-number-{n:03}@b.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut play = Play::smtp(&names).run("S: 220 mx ESMTP\n C: EHLO client.example");
    play.session().receive(b"250-mx\r\n250 PIPELINING\r\n");
    let mut groups = Vec::new();
    loop {
        let said = play.pump();
        if said.contains("DATA") {
            groups.push(said.len());
            break;
        }
        assert!(!said.is_empty() && said.len() <= 4096, "{said}");
        groups.push(said.len());
        for _ in said.lines() {
            play.session().receive(b"250 ok\r\n");
        }
    }
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(groups[0] > 4096 - 50, "{groups:?}");
}

#[test]
fn a_rejected_sender_ends_in_rset_and_quit() {
    let play = pipelined(
        &["a@b.example"],
        "C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         S: 550 no
         S: 503 no mail
         S: 503 no rcpt
         C: RSET
         C: QUIT
         S: 250 ok",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn data_that_is_accepted_without_recipients_gets_a_lone_dot() {
    pipelined(
        &["a@b.example"],
        "C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         S: 250 ok
         S: 550 no
         S: 354 go
         C: .
         C: QUIT
         S: 503 none",
    );
}

#[test]
fn without_pipelining_nothing_is_asked_that_makes_no_sense() {
    Play::smtp(&["a@b.example"]).run(&format!(
        "{PLAIN}C: MAIL FROM:<from@example.org>
         S: 450 later
         C: RSET
         S: 250 ok
         C: QUIT"
    ));
    Play::smtp(&["a@b.example"]).run(&format!(
        "{PLAIN}C: MAIL FROM:<from@example.org>
         S: 250 ok
         C: RCPT TO:<a@b.example>
         S: 550 no
         C: RSET
         S: 250 ok
         C: QUIT"
    ));
}

#[test]
fn replies_that_come_before_they_are_asked_for_are_taken_in_order() {
    let play = pipelined(
        &["a@b.example"],
        "C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         S: 250 queued already
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         C: QUIT",
    );
    assert_eq!(play.replies.last(), Some(&(Stage::EndOfData, 250)));
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn a_server_that_answers_ahead_does_not_change_what_is_sent() {
    // The refusal of MAIL is there before MAIL is: the group goes out all the same.
    Play::smtp(&["a@b.example", "c@b.example"]).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         S: 550 no
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: RCPT TO:<c@b.example>
         C: DATA
         S: 503 no mail
         S: 503 no mail
         S: 503 no rcpt
         C: RSET
         C: QUIT",
    );
}

#[test]
fn quit_goes_out_before_a_reply_is_taken_for_its_own() {
    let mut play = Play::lmtp(&["a@b.example"]).run("S: 421 later\n S: 221 bye\n C: QUIT");
    play.pump();
    assert_eq!(play.closed, Some(Closed::Refused));
}

#[test]
fn a_probe_stops_behind_the_recipients_or_before_the_text() {
    let probe = |stop| {
        let mut mail = transaction(&["a@b.example"]);
        mail.stop = stop;
        Play::new(profile(Protocol::Smtp), mail)
    };
    let envelope =
        format!("{PIPELINING}C: MAIL FROM:<from@example.org>\n C: RCPT TO:<a@b.example>\n");
    let play = probe(Stop::AfterRcpt).run(&format!(
        "{envelope}C: RSET
         C: QUIT
         S: 250 ok
         S: 250 ok
         S: 250 ok"
    ));
    assert_eq!(play.closed, Some(Closed::Quit));
    let play = probe(Stop::AtText).run(&format!(
        "{envelope}C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go"
    ));
    assert_eq!(play.closed, Some(Closed::Abandoned));
}

#[test]
fn replies_that_come_too_early_are_looked_at_when_the_group_is_out() {
    let play = Play::smtp(&["a@b.example"]).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         S: 550 not asked
         S: 550 not asked
         S: 554 not asked
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: DATA
         C: RSET
         C: QUIT",
    );
    assert_eq!(
        play.replies[1..],
        [
            (Stage::Ehlo, 250),
            (Stage::Mail, 550),
            (Stage::Rcpt(0), 550),
            (Stage::Data, 554)
        ]
    );
}
