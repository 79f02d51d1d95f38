//! The message text: room, refusals in the middle, lost connections.

use std::time::Duration;

use bytes::Buf;

use smtp_proto::ReplyError;
use smtp_proto::Time;
use smtp_proto::session::{Closed, PixWorkarounds, Protocol, ProtocolError, Stage, Step};

use crate::{Play, profile, transaction};

const BEGIN: &str = "S: 220 mx ESMTP
     C: EHLO client.example
     S: 250-mx
     S: 250 PIPELINING
     C: MAIL FROM:<from@example.org>
     C: RCPT TO:<a@b.example>
     C: DATA
     S: 250 ok
     S: 250 ok
     ";

/// A text that does not fit into the queue at once.
fn long_text() -> Vec<u8> {
    b"line of text\n".repeat(100_000)
}

#[test]
fn text_is_asked_for_only_while_there_is_room() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n");
    play.fill();
    assert!(play.session().body().is_none());
    let queued = play.session().output().len();
    assert!((64 * 1024..=72 * 1024).contains(&queued), "{queued}");
}

#[test]
fn a_server_that_takes_no_text_is_given_up_in_the_time_for_text() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n");
    play.fill();
    // smtp_data_xfer_timeout, not smtp_data_init_timeout.
    let limit = Time::at(Duration::from_secs(180));
    assert_eq!(play.session().deadline(), (limit, Stage::Text));
}

#[test]
fn a_refusal_during_the_text_stops_the_upload_and_is_the_verdict() {
    for code in [421, 452, 552] {
        let mut play = Play::smtp(&["a@b.example"])
            .with_text(long_text())
            .run(BEGIN);
        play.session().receive(b"354 go\r\n");
        // The text is under way when the server has had enough.
        play.fill();
        play.session().output().advance(1000);
        play.session()
            .receive(format!("{code} enough\r\n").as_bytes());
        let said = play.pump();
        assert_eq!(said, "", "after {code}");
        assert_eq!(play.replies.last(), Some(&(Stage::EndOfData, code)));
        assert_eq!(play.closed, Some(Closed::Abandoned));
    }
}

#[test]
fn a_small_text_goes_out_whole_whatever_comes_meanwhile() {
    let play = Play::smtp(&["a@b.example"]).run(&format!(
        "{BEGIN}S: 354 go
         S: 552 5.3.4 too much
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         C: QUIT"
    ));
    assert_eq!(play.replies.last(), Some(&(Stage::EndOfData, 552)));
}

#[test]
fn a_peer_that_takes_no_more_may_have_said_why() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n");
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    play.session().receive(b"550 5.7.1 spam\r\n");
    play.session().write_failed();
    play.pump();
    assert_eq!(play.replies.last(), Some(&(Stage::EndOfData, 550)));
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Text)));
}

#[test]
fn nobody_accepts_a_text_that_has_not_gone_out() {
    let mut play = Play::smtp(&["a@b.example"]).run(BEGIN);
    play.session().receive(b"354 go\r\n250 queued\r\n");
    play.fill();
    assert_eq!(play.replies.last(), Some(&(Stage::Data, 354)));
    play.session().output().advance(10);
    play.session().write_failed();
    play.pump();
    assert_eq!(play.replies.last(), Some(&(Stage::Data, 354)));
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Text)));

    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n250 queued\r\n");
    play.fill();
    play.session().write_failed();
    play.pump();
    assert_eq!(play.replies.last(), Some(&(Stage::Data, 354)));
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Text)));
}

/// The reply to QUIT is there before the text is out, and has been read with it.
#[test]
fn what_was_read_ahead_of_the_text_answers_quit() {
    let mut play = Play::lmtp(&["a@b.example"])
        .with_text(long_text())
        .run(&BEGIN.replace("EHLO", "LHLO"));
    play.session()
        .receive(b"354 go\r\n250 queued\r\n221 bye\r\n");
    play.fill();
    play.session().output().advance(1000);
    play.pump();
    assert_eq!(play.replies.last(), Some(&(Stage::EndOfDataFor(0), 250)));
    assert_eq!(play.closed, Some(Closed::Quit));
}

#[test]
fn a_reply_without_end_in_the_middle_of_the_text_ends_the_session() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n");
    play.fill();
    play.session().output().advance(1000);
    play.session().receive(&b"250-more\r\n".repeat(10_001));
    play.pump();
    let error = ProtocolError::Reply(ReplyError::TooManyLines);
    assert_eq!(play.closed, Some(Closed::Protocol(Stage::Text, error)));
}

#[test]
fn a_peer_that_takes_no_more_and_says_nothing_is_lost_in_the_text() {
    let mut play = Play::smtp(&["a@b.example"])
        .with_text(long_text())
        .run(BEGIN);
    play.session().receive(b"354 go\r\n");
    let _ = play.session().poll(smtp_proto::Time::ZERO);
    play.session().write_failed();
    play.pump();
    assert_eq!(play.closed, Some(Closed::Lost(Stage::Text)));
}

#[test]
fn a_connection_lost_behind_the_text_is_lost_in_its_end() {
    let play = Play::smtp(&["a@b.example"]).run(&format!(
        "{BEGIN}S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         C: QUIT
         EOF"
    ));
    assert_eq!(play.closed, Some(Closed::Lost(Stage::EndOfData)));
}

#[test]
fn the_final_dot_waits_where_a_pix_needs_it() {
    let mut profile = profile(Protocol::Smtp);
    profile.pix = PixWorkarounds {
        disable_esmtp: false,
        delay_dotcrlf: Some(Duration::from_secs(10)),
    };
    let play = Play::new(profile, transaction(&["a@b.example"])).run(
        "S: 220 ********
         C: EHLO client.example
         S: 250 mx
         C: MAIL FROM:<from@example.org>
         S: 250 ok
         C: RCPT TO:<a@b.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         +9
         +1
         C: .
         S: 250 queued
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
}

/// A session that has said DATA and owes the server the rest of its text.
fn owing() -> Play {
    let mut play = Play::smtp(&["a@b.example"]).run(BEGIN);
    play.session().receive(b"354 go\r\n");
    play.fill_with("Subject: hi\n");
    play
}

/// Writes what is queued, at a time; returns the deadline.
fn flush(play: &mut Play, second: u64) -> Time {
    let output = play.session().output();
    output.advance(output.remaining());
    match play.owe(Duration::from_secs(second)) {
        Step::Wait { until } => until,
        step => panic!("{step:?}"),
    }
}

#[test]
fn while_a_piece_of_text_is_owed_the_rest_is_written_and_no_limit_of_the_server_runs() {
    let mut play = owing();
    let limit = Time::at(Duration::from_secs(180));
    let step = play.owe(Duration::ZERO);
    assert_eq!(step, Step::Send { until: limit });
    assert_eq!(flush(&mut play, 10), Time::FAR);
    assert_eq!(flush(&mut play, 1000), Time::FAR);
    play.session().body().unwrap().push("more\n".into());
    let step = play.owe(Duration::from_secs(1000));
    let until = Time::at(Duration::from_secs(1180));
    assert_eq!(step, Step::Send { until });
    let step = play.owe(Duration::from_secs(1180));
    assert_eq!(step, Step::Closed(Closed::TimedOut(Stage::Text)));
}

#[test]
fn a_server_that_refuses_while_a_piece_of_text_is_owed_is_heard() {
    for written in [true, false] {
        let mut play = owing();
        if written {
            flush(&mut play, 0);
        }
        play.session().receive(b"421 4.4.2 too slow\r\n");
        let step = play.owe(Duration::ZERO);
        assert!(matches!(step, Step::Event(_)), "{step:?}");
        assert_eq!(play.owe(Duration::ZERO), Step::Closed(Closed::Abandoned));
    }
}

#[test]
fn a_server_that_hangs_up_while_a_piece_of_text_is_owed_is_lost() {
    let mut play = owing();
    flush(&mut play, 0);
    play.session().disconnected();
    let lost = Step::Closed(Closed::Lost(Stage::Text));
    assert_eq!(play.owe(Duration::ZERO), lost);
}
