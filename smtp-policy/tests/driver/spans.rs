//! The spans of deliveries and connections, and the time before a delivery.

use std::{
    fmt::Debug,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{NoSubscriber, with_default},
};

use super::*;

/// Takes down spans with their fields and parents, and when they are closed.
#[derive(Default)]
struct Tape {
    lines: Mutex<Vec<String>>,
    spans: AtomicU64,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

struct Listener(Arc<Tape>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.spans.fetch_add(1, Relaxed) + 1;
        let mut fields = Fields(format!("{id} {}", span.metadata().name()));
        if let Some(parent) = span.parent() {
            fields.0 += &format!(" in {}", parent.into_u64());
        }
        span.record(&mut fields);
        self.0.lines.lock().unwrap().push(fields.0);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn try_close(&self, id: Id) -> bool {
        let line = format!("{} ends", id.into_u64());
        self.0.lines.lock().unwrap().push(line);
        true
    }
}

#[test]
fn a_delivery_has_a_span_and_each_connection_one_in_it() {
    let tape = Arc::new(Tape::default());
    // With one subscriber alone, a span that another test's thread comes across first would be off for good: `tracing`
    // asks that thread's subscriber only, and there is none.
    let _second = tracing::Dispatch::new(NoSubscriber::new());
    with_default(Listener(Arc::clone(&tape)), || {
        let (hub, server) = (hub(""), Server::default());
        let mut request = request("[192.0.2.1]", 1);
        request.id = "4X1".parse().unwrap();
        let mut job = Job::new(hub, request, TEXT, ());
        let report = run(&mut job, &server, Time::ZERO).report();
        assert!(report.all(smtp_policy::report::Status::Sent));
    });
    let lines = tape.lines.lock().unwrap();
    assert_eq!(
        *lines,
        [
            "1 delivery id=\"4X1\" protocol=\"smtp\" nexthop=\"[192.0.2.1]\" recipients=1",
            "2 connection in 1 server=192.0.2.1[192.0.2.1]:25",
            "2 ends",
            "1 ends",
        ]
    );
}

#[test]
fn the_wait_for_a_turn_is_the_set_up_of_a_delivery() {
    let hub = hub("smtp_destination_concurrency_limit = 1");
    let server = Server::default();
    let (mut first, mut second) = (job(&hub, "[192.0.2.1]"), job(&hub, "[192.0.2.1]"));
    let now = Time::ZERO;
    let Act::Connect(..) = first.poll(now, Waker::noop()) else {
        panic!("it does not connect")
    };
    assert!(matches!(run(&mut second, &server, now), Rest::Until(_)));
    drop(first);
    let report = run(&mut second, &server, now + 7 * SECOND).report();
    assert_eq!(report.recipients[0].1.times.setup, 7 * SECOND);
}
