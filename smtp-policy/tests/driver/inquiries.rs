//! DNS questions that jobs share.

use smtp_policy::{
    dns::{Answer, Failure, Record, RecordData},
    report::Status,
};

use super::*;

const NEXTHOP: &str = "[mail.example.com]";

/// A job whose question the driver has to ask.
fn leader(hub: &Hubs, server: &Server) -> (Jobs, Slip<delivery::Dns>, Query) {
    let mut job = job(hub, NEXTHOP);
    match run(&mut job, server, Time::ZERO) {
        Rest::Resolve(slip, query) => (job, slip, query),
        rest => panic!("it asks nothing: {rest:?}"),
    }
}

/// A job that waits for what the leader hears.
fn follower(hub: &Hubs, server: &Server, waker: &Waker) -> (Jobs, Time) {
    let mut job = job(hub, NEXTHOP);
    match go_on(&mut job, server, Time::ZERO, waker) {
        Rest::Until(until) => (job, until),
        rest => panic!("it does not wait: {rest:?}"),
    }
}

fn answer(query: &Query) -> Answer {
    Answer {
        records: vec![Record {
            owner: query.name.clone(),
            ttl: 60,
            data: RecordData::A([192, 0, 2, 1].into()),
            validated: false,
        }],
        canonical: query.name.clone(),
        validated: false,
    }
}

#[test]
fn a_question_is_asked_once_and_answered_to_everybody() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (mut first, slip, query) = leader(&hub, &server);
    let (alarm, waker) = Alarm::new();
    let (mut second, _) = follower(&hub, &server, &waker);
    first.answer(Answered::Dns(slip, Ok(answer(&query))));
    assert_eq!(alarm.rang(), 1);
    for job in [&mut second, &mut first] {
        let report = run(job, &server, Time::ZERO).report();
        assert!(report.all(Status::Sent), "{report:?}");
    }
}

#[test]
fn an_answer_is_not_kept_for_who_comes_later() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (mut first, slip, query) = leader(&hub, &server);
    first.answer(Answered::Dns(slip, Ok(answer(&query))));
    let _ = leader(&hub, &server);
}

#[test]
fn that_there_is_nothing_holds_for_everybody() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (mut first, slip, _) = leader(&hub, &server);
    let (mut second, _) = follower(&hub, &server, Waker::noop());
    first.answer(Answered::Dns(slip, Err(Failure::NotFound)));
    let report = run(&mut second, &server, Time::ZERO).report();
    assert!(report.all(Status::Bounced), "{report:?}");
}

#[test]
fn a_failure_of_one_is_none_of_the_others() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (mut first, slip, query) = leader(&hub, &server);
    let (alarm, waker) = Alarm::new();
    let (mut second, _) = follower(&hub, &server, &waker);
    first.answer(Answered::Dns(slip, Err(Failure::TryAgain)));
    assert_eq!(alarm.rang(), 1);
    let report = run(&mut first, &server, Time::ZERO).report();
    assert!(report.all(Status::Deferred), "{report:?}");
    let Rest::Resolve(slip, again) = run(&mut second, &server, Time::ZERO) else {
        panic!("it does not ask for itself")
    };
    assert_eq!(again, query);
    second.answer(Answered::Dns(slip, Ok(answer(&query))));
    assert!(
        run(&mut second, &server, Time::ZERO)
            .report()
            .all(Status::Sent)
    );
}

#[test]
fn when_the_one_who_asks_is_dropped_the_others_ask() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (first, _slip, query) = leader(&hub, &server);
    let (alarm, waker) = Alarm::new();
    let (mut second, _) = follower(&hub, &server, &waker);
    drop(first);
    assert_eq!(alarm.rang(), 1);
    let rest = run(&mut second, &server, Time::ZERO);
    assert!(matches!(rest, Rest::Resolve(_, again) if again == query));
}

#[test]
fn nobody_waits_for_another_for_ever() {
    let (hub, server) = (hub("inet_protocols = ipv4"), Server::default());
    let (mut first, late, query) = leader(&hub, &server);
    let (mut second, until) = follower(&hub, &server, Waker::noop());
    assert_eq!(until, Time::ZERO + ResolverConfig::default().timeout);
    let Rest::Resolve(slip, _) = run(&mut second, &server, until) else {
        panic!("it does not ask for itself")
    };
    // What the other one hears now is no answer to the new question.
    first.answer(Answered::Dns(late, Err(Failure::NotFound)));
    assert!(matches!(run(&mut second, &server, until), Rest::Until(_)));
    second.answer(Answered::Dns(slip, Ok(answer(&query))));
    assert!(run(&mut second, &server, until).report().all(Status::Sent));
}
