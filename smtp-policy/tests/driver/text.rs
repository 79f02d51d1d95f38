//! Text whose source has to be waited for.

use std::{
    collections::VecDeque,
    io,
    sync::Mutex,
    task::{Context, Poll},
};

use smtp_policy::{
    report::{Outcome, Status},
    text::must_be_polled,
};
use smtp_proto::session::Stage;

use super::*;

/// A text that comes in pieces, each when it is let go. Clones are the same.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Source>>);

#[derive(Default)]
struct Source {
    here: Vec<u8>,
    ended: bool,
    broken: bool,
    waker: Option<Waker>,
    /// The offsets that were asked for and not there.
    missed: VecDeque<u64>,
}

impl Slow {
    fn change(&self, change: impl FnOnce(&mut Source)) {
        let mut source = self.0.lock().unwrap();
        change(&mut source);
        let waker = source.waker.take();
        drop(source);
        waker.unwrap_or(Waker::noop().clone()).wake();
    }

    fn give(&self, text: &str) {
        self.change(|source| source.here.extend(text.bytes()));
    }

    fn end(&self) {
        self.change(|source| source.ended = true);
    }

    fn missed(&self) -> Vec<u64> {
        self.0.lock().unwrap().missed.drain(..).collect()
    }
}

impl TextSource for Slow {
    fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(must_be_polled())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        let mut source = self.0.lock().unwrap();
        if source.broken {
            return Poll::Ready(Err(io::Error::other("the bucket is gone")));
        }
        let rest = source.here.get(offset as usize..).unwrap_or_default();
        let chunk = Bytes::copy_from_slice(&rest[..rest.len().min(room)]);
        if chunk.is_empty() && !source.ended {
            source.missed.push_back(offset);
            source.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(chunk))
    }
}

const NEXTHOP: &str = "[192.0.2.1]";
const START: &str = "Subject: hi\n\nhello\n";

fn slow_job(hub: &Hubs, text: &Slow) -> Job<Socket, Slow, ()> {
    Job::new(Arc::clone(hub), request(NEXTHOP, 1), text.clone(), ())
}

/// A job that has said a part of its text and waits for more; and until when.
fn waiting(server: &Server) -> (Job<Socket, Slow, ()>, Slow, Time) {
    let (text, now) = (Slow::default(), Time::at(SECOND));
    text.give(START);
    let mut job = slow_job(&hub(""), &text);
    match run(&mut job, server, now) {
        Rest::Until(until) => (job, text, until),
        rest => panic!("it does not wait: {rest:?}"),
    }
}

fn only(rest: Rest) -> Outcome {
    let Report { recipients, .. } = rest.report();
    let [(_, outcome)] = recipients.try_into().unwrap();
    outcome
}

#[test]
fn a_job_goes_on_when_its_text_is_there_and_has_written_what_there_was() {
    let (server, text) = (Server::default(), Slow::default());
    let mut job = slow_job(&hub(""), &text);
    let (alarm, waker) = Alarm::new();
    let mut lines = Vec::new();
    for (round, piece) in ["Subject: hi\n", "\nhel", "lo\n"].into_iter().enumerate() {
        let rest = go_on(&mut job, &server, Time::ZERO, &waker);
        assert!(matches!(rest, Rest::Until(_)), "{rest:?}");
        lines.push(server.text_lines());
        assert_eq!(alarm.rang(), round);
        text.give(piece);
        assert_eq!(alarm.rang(), round + 1);
    }
    assert_eq!(lines, [0, 1, 2]);
    assert!(matches!(run(&mut job, &server, Time::ZERO), Rest::Until(_)));
    text.end();
    assert_eq!(
        only(run(&mut job, &server, Time::ZERO)).status,
        Status::Sent
    );
    assert_eq!(server.text_lines(), 4);
    assert_eq!(text.missed(), [0, 12, 16, 19]);
}

#[test]
fn a_source_has_as_long_for_each_piece_as_a_server_has_to_take_it() {
    let server = Server::default();
    let (mut job, text, until) = waiting(&server);
    assert_eq!(until, Time::at(SECOND * 181));
    // Somebody looks in between, which gives the source no more time.
    assert!(
        matches!(run(&mut job, &server, Time::at(SECOND * 100)), Rest::Until(again) if again == until)
    );
    text.give("more\n");
    let rest = run(&mut job, &server, Time::at(SECOND * 150));
    let again = Time::at(SECOND * 330);
    assert!(
        matches!(rest, Rest::Until(until) if until == again),
        "{rest:?}"
    );
    let outcome = only(run(&mut job, &server, again));
    assert_eq!(outcome.status, Status::Deferred);
    assert_eq!(outcome.code.to_string(), "4.3.0");
    let expected = "cannot read the message text: its source gave none for 180 s";
    assert_eq!(outcome.text, expected);
    assert!(!outcome.uncertain, "{outcome:?}");
    // No dot follows what was sent.
    assert_eq!(server.heard().last().unwrap(), "closed");
    assert_eq!(server.text_lines(), 4);
}

#[test]
fn a_server_that_refuses_while_the_source_is_waited_for_is_heard() {
    let server = Server::default();
    let (mut job, ..) = waiting(&server);
    server.say("421 4.4.2 too slow");
    let outcome = only(run(&mut job, &server, Time::at(SECOND)));
    assert_eq!(outcome.status, Status::Deferred);
    assert!(
        outcome.text.contains("said: 421 4.4.2 too slow"),
        "{outcome:?}"
    );
    assert!(!outcome.uncertain, "{outcome:?}");
}

#[test]
fn a_server_that_hangs_up_while_the_source_is_waited_for_is_lost() {
    let server = Server::default();
    let (mut job, ..) = waiting(&server);
    server.hang_up();
    let outcome = only(run(&mut job, &server, Time::at(SECOND)));
    assert_eq!(
        (outcome.status, outcome.stage),
        (Status::Deferred, Some(Stage::Text))
    );
    assert!(outcome.text.contains("lost connection"), "{outcome:?}");
}

#[test]
fn another_server_gets_the_text_from_its_beginning() {
    let (server, text) = (Server::default(), Slow::default());
    text.give(START);
    let mut job = slow_job(&hub("smtp_fallback_relay = [192.0.2.2]"), &text);
    assert!(matches!(run(&mut job, &server, Time::ZERO), Rest::Until(_)));
    server.say("421 4.4.2 too slow");
    assert!(matches!(run(&mut job, &server, Time::ZERO), Rest::Until(_)));
    text.end();
    let outcome = only(run(&mut job, &server, Time::ZERO));
    assert_eq!(outcome.status, Status::Sent);
    assert!(
        outcome.relay.to_string().contains("192.0.2.2"),
        "{outcome:?}"
    );
    // Three lines for the first, three and a dot for the second.
    assert_eq!(server.text_lines(), 7);
}

#[test]
fn a_source_that_breaks_while_it_is_waited_for_defers_the_message() {
    let server = Server::default();
    let (mut job, text, _) = waiting(&server);
    text.change(|source| source.broken = true);
    let outcome = only(run(&mut job, &server, Time::at(SECOND)));
    assert_eq!(
        outcome.text,
        "cannot read the message text: the bucket is gone"
    );
}

#[test]
fn cancelling_does_not_wait_for_the_source() {
    let server = Server::default();
    let (mut job, ..) = waiting(&server);
    job.cancel();
    let outcome = only(run(&mut job, &server, Time::at(SECOND)));
    assert_eq!(outcome.text, "delivery was cancelled");
}

#[test]
fn a_header_that_is_searched_before_any_connection_is_waited_for_as_long() {
    let (hub, server, text) = (hub(""), Server::default(), Slow::default());
    let mut request = request(NEXTHOP, 1);
    request.flags.delivered_to = true;
    let mut job = Job::new(Arc::clone(&hub), request, text.clone(), ());
    let rest = run(&mut job, &server, Time::ZERO);
    let limit = Time::at(SECOND * 180);
    assert!(
        matches!(rest, Rest::Until(until) if until == limit),
        "{rest:?}"
    );
    text.give("Delivered-To: somebody@example.com\n");
    let rest = run(&mut job, &server, limit);
    let again = Time::at(SECOND * 360);
    assert!(
        matches!(rest, Rest::Until(until) if until == again),
        "{rest:?}"
    );
    let outcome = only(run(&mut job, &server, again));
    assert!(outcome.text.contains("its source gave none"), "{outcome:?}");
    assert!(server.heard().is_empty());
}

#[test]
fn the_end_of_the_delivery_as_a_whole_counts_while_a_source_is_waited_for() {
    let (server, text) = (Server::default(), Slow::default());
    let settings = "daemon_timeout = 60s\nsmtp_data_xfer_timeout = 180s";
    let mut job = slow_job(&hub(settings), &text);
    let rest = run(&mut job, &server, Time::ZERO);
    let limit = Time::at(SECOND * 60);
    assert!(
        matches!(rest, Rest::Until(until) if until == limit),
        "{rest:?}"
    );
    let outcome = only(run(&mut job, &server, limit));
    assert!(outcome.text.contains("daemon_timeout"), "{outcome:?}");
}
