//! Facts of a delivery: the events on its way, and the server and the times of a verdict.

use std::time::Duration;

use smtp_policy::{
    Protocol,
    report::{Outcome, Relay, Times},
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

use crate::{World, brief};

const SECOND: Duration = Duration::from_secs(1);

/// A world in which each reply takes a second.
fn slow() -> World {
    World {
        lag: SECOND,
        ..World::new()
    }
}

/// A message that has waited for 75 seconds.
fn deliver(world: &mut World) -> Outcome {
    let to = Recipient::from("a@example.com".parse::<Address>().unwrap());
    let nexthop = "example.com".parse().unwrap();
    let mut request = Request::new(Protocol::Smtp, nexthop, ReversePath::Null, vec![to]);
    request.age = 75 * SECOND;
    world.run("", request).remove(0)
}

fn times(connection: u32, transmission: u32) -> Times {
    Times {
        queue: 75 * SECOND,
        setup: Duration::ZERO,
        connection: connection * SECOND,
        transmission: transmission * SECOND,
    }
}

#[test]
fn mail_ends_the_connection_time() {
    let mut world = slow();
    let outcome = deliver(&mut world);
    // The greeting, EHLO; then MAIL, RCPT and DATA together, and the end of the text.
    assert_eq!(outcome.times, times(2, 2));
    let server = outcome.relay.server().unwrap();
    assert_eq!(
        (server.host.as_str(), server.port()),
        ("mx1.example", Some(25))
    );
    assert_eq!(world.events, ["Connected", "Greeted", "Disconnected"]);
}

#[test]
fn a_failure_before_mail_has_no_transmission() {
    let mut world = slow().with_server("192.0.2.1", &[("CONNECT", "554 5.7.1 go away")]);
    let outcome = deliver(&mut world);
    assert_eq!(outcome.times, times(1, 0), "{outcome}");
    assert!(outcome.relay.server().is_some());
    assert!(
        world.events.starts_with(&["Connected"]),
        "{:?}",
        world.events
    );
}

#[test]
fn a_verdict_without_a_server_has_none() {
    let mut world = slow();
    world.servers.clear();
    let outcome = deliver(&mut world);
    assert_eq!((outcome.relay, outcome.times), (Relay::None, times(0, 0)));
    assert_eq!(world.events, ["ConnectFailed"]);
}

#[test]
fn the_time_at_an_earlier_server_counts_as_connection() {
    let busy = &[("MAIL", "450 4.3.0 busy")];
    let mut world = slow()
        .with_server("192.0.2.1", busy)
        .with_backup("192.0.2.2", &[]);
    let outcome = deliver(&mut world);
    assert_eq!(brief(std::slice::from_ref(&outcome)), ["sent 2.0.0"]);
    // The greeting, EHLO, MAIL and perhaps QUIT of the first; greeting and EHLO of the second.
    let connection = outcome.times.connection;
    assert!(connection >= 5 * SECOND, "{connection:?}");
    assert_eq!(outcome.times.transmission, 2 * SECOND);
    let events: Vec<&str> = world.events.clone();
    let wanted = [
        "Connected",
        "Greeted",
        "Postponed",
        "Disconnected",
        "Connected",
        "Greeted",
        "Disconnected",
    ];
    assert_eq!(events, wanted);
}
