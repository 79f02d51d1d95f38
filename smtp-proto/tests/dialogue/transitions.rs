//! The table of transitions: that it is consistent, and that dialogues take its rows
//! and no others.

use std::collections::BTreeSet;

use smtp_proto::session::{Closed, Place, Protocol, Session, Stop, TRANSITIONS, Taken};

use crate::{Play, profile, transaction};

/// The moves in the order of the table.
fn moves(taken: &Taken) -> Vec<(Place, Place)> {
    assert_eq!(taken.strays().collect::<Vec<_>>(), []);
    let rows = taken.rows().map(|row| TRANSITIONS[row]);
    rows.map(|row| (row.from, row.to)).collect()
}

/// The moves along one way.
fn way(places: &[Place]) -> Vec<(Place, Place)> {
    let mut moves: Vec<_> = places.windows(2).map(|two| (two[0], two[1])).collect();
    let row = |ends: &(Place, Place)| {
        TRANSITIONS
            .iter()
            .position(|row| (row.from, row.to) == *ends)
    };
    moves.sort_by_key(row);
    moves.dedup();
    moves
}

#[test]
fn no_two_rows_have_the_same_ends_and_each_leads_away() {
    let ends: BTreeSet<_> = TRANSITIONS.iter().map(|row| (row.from, row.to)).collect();
    assert_eq!(ends.len(), TRANSITIONS.len());
    for row in TRANSITIONS {
        assert_ne!(row.from, row.to);
        assert!(!row.when.is_empty());
    }
}

#[test]
fn every_place_can_be_reached_and_left() {
    let begins = [Place::Banner, Place::WrapperGate];
    for place in Place::ALL {
        let reached = begins.contains(&place) || TRANSITIONS.iter().any(|row| row.to == place);
        // One that is over may still be given up.
        let left = TRANSITIONS.iter().any(|row| row.from == place) || place == Place::Abandoned;
        assert!(reached && left, "{}", place.as_str());
    }
}

#[test]
fn a_dialogue_takes_the_rows_on_its_way_and_no_others() {
    use Place::{
        Banner, Data, Ehlo, Envelope, Idle, Leaving, Negotiation, Quit, Text, Verdict, Window,
    };
    let mut play = Play::smtp(&["a@b.example"]).run(
        "S: 220 mx ESMTP
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
         C: .
         S: 250 ok
         C: QUIT",
    );
    assert_eq!(play.closed, Some(Closed::Quit));
    let expected = way(&[
        Banner,
        Ehlo,
        Negotiation,
        Idle,
        Envelope,
        Window,
        Envelope,
        Data,
        Text,
        Verdict,
        Leaving,
        Quit,
    ]);
    assert_eq!(moves(&play.session().taken()), expected);
}

#[test]
fn phases_of_a_pipelined_lmtp_transaction_are_told_apart() {
    use Place::{Banner, Data, Envelope, Idle, Lhlo, Lost, Negotiation, Text, Verdicts};
    let mut play = Play::lmtp(&["a@b.example", "b@b.example"]).run(
        "S: 220 mx LMTP
         C: LHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: RCPT TO:<b@b.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 354 go
         C: Subject: hi
         C:
         C: ..dot
         C: last
         C: .
         C: QUIT
         S: 250 ok
         EOF",
    );
    let expected = way(&[
        Banner,
        Lhlo,
        Negotiation,
        Idle,
        Envelope,
        Data,
        Text,
        Verdicts,
        Lost,
    ]);
    assert_eq!(moves(&play.session().taken()), expected);
}

#[test]
fn an_address_probe_ends_by_way_of_abort() {
    use Place::{Abort, Banner, Ehlo, Envelope, Idle, Leaving, Negotiation, Quit};
    let mut mail = transaction(&["a@b.example"]);
    mail.stop = Stop::AfterRcpt;
    let mut play = Play::new(profile(Protocol::Smtp), mail).run(
        "S: 220 mx ESMTP
         C: EHLO client.example
         S: 250-mx
         S: 250 PIPELINING
         C: MAIL FROM:<from@example.org>
         C: RCPT TO:<a@b.example>
         C: RSET
         C: QUIT
         S: 250 ok
         S: 250 ok
         S: 250 ok",
    );
    let expected = way(&[
        Banner,
        Ehlo,
        Negotiation,
        Idle,
        Envelope,
        Abort,
        Leaving,
        Quit,
    ]);
    assert_eq!(moves(&play.session().taken()), expected);
}

#[test]
fn moves_that_are_in_no_row_are_kept_and_sets_can_be_united() {
    let known = [(Place::Banner, Place::Ehlo)];
    let stray = [(Place::Protocol, Place::Banner)];
    let one: Taken = known.into_iter().collect();
    let two: Taken = stray.into_iter().collect();
    let both = one.union(&two);
    assert_eq!(both.strays().collect::<Vec<_>>(), stray);
    assert_eq!(
        both.rows().collect::<Vec<_>>(),
        one.rows().collect::<Vec<_>>()
    );
    assert_eq!(both.rows().count(), 1);
    assert!(both.rows().all(|row| both.contains(row)));
    assert!(!both.contains(TRANSITIONS.len()));
}

#[test]
fn a_session_stays_small_with_the_record() {
    assert!(size_of::<Session>() < 1536, "{}", size_of::<Session>());
}
