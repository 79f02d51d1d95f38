//! Parts of a submission, and answers that come when nobody waits for them.

use std::sync::{Arc, Mutex};

use smtp_policy::{
    delivery::ConnectError,
    report::{Outcome, Status},
    request::{RcptIndex, Recipient},
    tables::{AsyncTable, LookupFuture, NamedTable, Table, TableFailure},
};

use super::*;

/// Takes down who was settled, and who was in doubt.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<String>>>);

impl Observer for Book {
    fn settled(&mut self, index: RcptIndex, _: &Recipient, _: &Outcome) {
        self.0.lock().unwrap().push(format!("settled {index}"));
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        self.0.lock().unwrap().push(format!("doubt {recipients:?}"));
    }
}

#[test]
fn a_request_is_delivered_in_parts_and_reported_as_one() {
    let (hub, server) = (
        hub("smtp_destination_recipient_limit = 2"),
        Server::default(),
    );
    let book = Book::default();
    let mut job = Job::new(hub, request("[192.0.2.1]", 3), TEXT, book.clone());
    let report = run(&mut job, &server, Time::ZERO).report();
    assert!(report.all(Status::Sent));
    let names = report
        .recipients
        .iter()
        .map(|(to, _)| to.address.local_part().to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["user0", "user1", "user2"]);
    assert_eq!(
        server.verbs(),
        "connected EHLO MAIL RCPT RCPT DATA QUIT closed connected EHLO MAIL RCPT DATA QUIT closed"
    );
    assert_eq!(job.turns(), (2, false));
    let book = book.0.lock().unwrap().join(", ");
    assert_eq!(
        book,
        "doubt [0, 1], settled 0, settled 1, doubt [2], settled 2"
    );
}

#[test]
fn a_whole_request_is_one_part() {
    let (hub, server) = (
        hub("smtp_destination_recipient_limit = 2"),
        Server::default(),
    );
    let mut job = Job::whole(hub, request("[192.0.2.1]", 3), TEXT, ());
    assert!(
        run(&mut job, &server, Time::ZERO)
            .report()
            .all(Status::Sent)
    );
    assert_eq!(
        server.verbs(),
        "connected EHLO MAIL RCPT RCPT RCPT DATA QUIT closed"
    );
}

#[test]
fn an_answer_to_a_part_that_is_over_means_nothing_to_the_next() {
    let hub = hub("smtp_destination_recipient_limit = 1\ndaemon_timeout = 10s");
    let server = Server::default();
    let mut job = Job::new(hub, request("[192.0.2.1]", 2), TEXT, ());
    let now = Time::ZERO;
    let Act::Connect(late, _) = job.poll(now, Waker::noop()) else {
        panic!("it does not connect")
    };
    let now = now + SECOND * 11;
    let Act::Connect(slip, _) = job.poll(now, Waker::noop()) else {
        panic!("the second part does not connect")
    };
    job.answer(Answered::Socket(late, Ok(server.connect())));
    assert_eq!(server.verbs(), "connected closed");
    assert!(job.socket().is_none());
    job.answer(Answered::Socket(slip, Err(ConnectError::Refused)));
    let report = run(&mut job, &server, now).report();
    let texts = report
        .recipients
        .iter()
        .map(|(_, outcome)| outcome.text.contains("refused"));
    assert_eq!(texts.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_connection_for_a_job_that_is_over_is_closed() {
    let (hub, server) = (hub(""), Server::default());
    let mut job = job(&hub, "[192.0.2.1]");
    let Act::Connect(late, _) = job.poll(Time::ZERO, Waker::noop()) else {
        panic!("it does not connect")
    };
    hub.cancel();
    assert!(
        run(&mut job, &server, Time::ZERO)
            .report()
            .all(Status::Deferred)
    );
    job.answer(Answered::Socket(late, Ok(server.connect())));
    assert_eq!(server.verbs(), "connected closed");
}

#[test]
fn nothing_is_looked_for_before_a_reply_can_have_come() {
    let (hub, server) = (hub(""), Server::default());
    assert!(
        run(&mut job(&hub, "[192.0.2.1]"), &server, Time::ZERO)
            .report()
            .all(Status::Sent)
    );
    assert_eq!(server.vain_reads(), 0);
}

#[test]
fn a_reply_that_has_come_counts_for_a_driver_that_looks_at_the_last_moment() {
    let (hub, server) = (hub(""), Server::default());
    let mut job = job(&hub, "[192.0.2.1]");
    let mut now = Time::ZERO;
    let report = loop {
        match job.poll(now, Waker::noop()) {
            Act::Connect(slip, _) => job.answer(Answered::Socket(slip, Ok(server.connect()))),
            // The server has replied at once.
            Act::Wait { until, .. } => now = until,
            Act::Done(report) => break report,
            act => panic!("nobody expects {act:?}"),
        }
    };
    assert!(report.all(Status::Sent), "{report:?}");
}

#[test]
fn a_refusal_is_heard_while_a_long_text_is_written() {
    const LINES: usize = 100_000;
    let (hub, server) = (hub(""), Server::refusing_after(10));
    let text = Bytes::from("a line of a long text\n".repeat(LINES));
    let mut job = Job::new(hub, request("[192.0.2.1]", 1), text, ());
    let report = run(&mut job, &server, Time::ZERO).report();
    assert!(report.all(Status::Bounced), "{report:?}");
    assert!(server.text_lines() < LINES / 2, "{}", server.text_lines());
}

/// A table that knows nothing.
#[derive(Debug)]
struct Empty;

impl Table for Empty {
    fn lookup(&self, _: &str) -> Result<Option<String>, TableFailure> {
        Ok(None)
    }
}

/// A table that is awaited and knows nothing.
impl AsyncTable for Empty {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

#[test]
fn a_table_that_is_awaited_takes_the_place_of_another_of_its_name() {
    let hub = hub("smtp_tls_policy_maps = external:policies");
    hub.add_table("policies", Arc::new(Empty));
    hub.add_async_table("policies", Arc::new(Empty));
    let mut job = job(&hub, "[192.0.2.1]");
    let act = job.poll(Time::ZERO, Waker::noop());
    let asked =
        matches!(&act, Act::LookUp(_, NamedTable::Async(_), query) if query.key == "[192.0.2.1]");
    assert!(asked, "{act:?}");
}

#[test]
fn tables_are_known_by_name() {
    let (hub, server) = (
        hub("smtp_tls_policy_maps = external:policies"),
        Server::default(),
    );
    let report = run(&mut job(&hub, "[192.0.2.1]"), &server, Time::ZERO).report();
    assert!(report.all(Status::Deferred), "{report:?}");
    hub.add_table("policies", Arc::new(Empty));
    let mut job = job(&hub, "[192.0.2.1]");
    while let Act::LookUp(slip, table, query) = job.poll(Time::ZERO, Waker::noop()) {
        assert_eq!(query.table, "policies");
        let NamedTable::Blocking(table) = table else {
            panic!("it is awaited: {table:?}")
        };
        job.answer(Answered::Table(slip, table.lookup(&query.key)));
        if job.turns().0 > 1 {
            break;
        }
    }
    // The connection was asked for in the last round.
    assert_eq!(job.turns(), (1, true));
}
