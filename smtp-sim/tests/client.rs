//! The client of a simulated world: futures, sleep, observers, deliveries that are dropped.
#![allow(clippy::unwrap_used)]

use std::{
    future::pending,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use smtp_policy::{
    Protocol,
    delivery::Observer,
    event::{Event, Note},
    policy::Policy,
    report::{Outcome, Status},
    request::{Recipient, Request},
    settings::Settings,
    text::TextSource,
};
use smtp_proto::{Address, ReversePath, Time};
use smtp_sim::{
    Client, World,
    peer::{Act, Fault, Moment, Temper},
    world::Host,
};

const MINUTE: Duration = Duration::from_secs(60);

fn client(faults: Vec<Fault>) -> Client {
    let policy = Policy::new(Settings::smtp().build().unwrap());
    let mut world = World::new(Arc::new(policy), 1);
    let temper = Temper {
        faults,
        ..Temper::default()
    };
    world.host("192.0.2.1:25".parse().unwrap(), Host::new(temper));
    Client::new(world)
}

fn request(to: &str) -> Request {
    let to = Recipient::new(Address::parse(to).unwrap());
    let hop = "[192.0.2.1]".parse().unwrap();
    Request::new(Protocol::Smtp, hop, ReversePath::Null, vec![to])
}

fn text() -> Bytes {
    "Subject: hi\n\nhello\n".into()
}

#[test]
fn deliveries_and_sleep_go_on_at_the_same_time() {
    let client = client(Vec::new());
    let order = Mutex::new(Vec::new());
    let work = (0..3_u32).map(|number| {
        let (client, order) = (&client, &order);
        async move {
            client.sleep(MINUTE * (3 - number)).await;
            let to = format!("r{number}@example.com");
            let report = client.deliver(request(&to), text(), ()).await;
            order
                .lock()
                .unwrap()
                .push((number, report.all(Status::Sent)));
        }
    });
    client.run(join_all(work)).unwrap();
    assert_eq!(
        order.into_inner().unwrap(),
        [(2, true), (1, true), (0, true)]
    );
    assert!(client.now() > Time::ZERO + MINUTE * 3);
}

#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Vec<String>>>);

impl Observer for Watch {
    fn settled(&mut self, _: usize, recipient: &Recipient, outcome: &Outcome) {
        let line = format!("{} {}", recipient.address, outcome.status);
        self.0.lock().unwrap().push(line);
    }

    fn note(&mut self, note: &Note) {
        if let Event::Connected { .. } = &note.event {
            self.0.lock().unwrap().push("connected".to_owned());
        }
    }
}

#[test]
fn observers_hear_of_their_own_delivery() {
    let client = client(Vec::new());
    let (one, other) = (Watch::default(), Watch::default());
    let first = client.deliver(request("a@example.com"), text(), one.clone());
    client.run(first).unwrap();
    let second = client.deliver(request("b@example.com"), text(), other.clone());
    client.run(second).unwrap();
    let heard = |watch: Watch| watch.0.lock().unwrap().clone();
    assert_eq!(heard(one), ["connected", "a@example.com sent"]);
    assert_eq!(heard(other), ["connected", "b@example.com sent"]);
}

#[test]
fn a_delivery_that_is_dropped_closes_its_connection_at_once() {
    let silent = Fault {
        moment: Moment::Banner,
        nth: 0,
        connections: 1,
        act: Act::Mute,
    };
    let client = client(vec![silent]);
    let report = client.deliver(request("a@example.com"), text(), ());
    let code = select(Box::pin(report), Box::pin(client.sleep(MINUTE)));
    let ended = client.run(code).unwrap();
    assert!(matches!(&ended, Either::Right(_)));
    drop(ended);
    let closed = client.with_world(|world| {
        let mut connections = world.connections();
        connections.next().and_then(|connection| connection.closed)
    });
    assert_eq!(closed, Some(Time::ZERO + MINUTE));
}

#[test]
fn code_that_waits_for_nothing_is_told() {
    let error = client(Vec::new()).run(pending::<()>()).unwrap_err();
    assert!(
        error.to_string().contains("nothing more happens"),
        "{error}"
    );
}

struct Broken;

impl TextSource for Broken {
    fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_text_that_cannot_be_read_defers_its_recipients() {
    let client = client(Vec::new());
    let report = client.deliver(request("a@example.com"), Broken, ());
    let report = client.run(report).unwrap();
    assert!(report.all(Status::Deferred) && report.to_string().contains("the disk is gone"));
}
