//! The queue of the example `retry_queue` in simulated worlds.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

#[path = "../examples/retry_queue.rs"]
mod retry_queue;

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use outpost::{
    Envelope, Message, Outcome, Recipient, Report, Status,
    smtp_policy::{
        Protocol,
        policy::Policy,
        request::{Nexthop, Request},
        settings::Settings,
    },
    smtp_proto::Time,
};
use retry_queue::{Doubt, Post, deliver};
use smtp_sim::{
    Client, World,
    check::fates,
    peer::{Act, Fault, Moment, Temper},
    population::{Knobs, Policies, Population},
    world::Host,
};

// ANCHOR: simulated
/// A mailer in a simulated world. All mail goes to one next hop.
struct Simulated {
    client: Client,
    protocol: Protocol,
    nexthop: Nexthop,
}

impl Post for Simulated {
    fn send(&self, envelope: Envelope, message: Message) -> impl Future<Output = Report> + Send {
        let (sender, recipients) = (envelope.sender, envelope.recipients);
        let mut request = Request::new(self.protocol, self.nexthop.clone(), sender, recipients);
        message.facts().describe(&mut request);
        self.client.deliver(request, message.text(), ())
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self.client.sleep(time)
    }
}
// ANCHOR_END: simulated

fn letter(number: usize) -> (Envelope, Message) {
    let to = (0..4).map(|each| format!("r{each}.m{number}@example.com"));
    let envelope = Envelope::new("queue@example.org", to).unwrap();
    (envelope, Message::from("Subject: hello\n\n...\n"))
}

// ANCHOR: one
/// Runs the queue at a server with one fault.
fn at_a_server_with(fault: Fault, doubt: Doubt) -> (Vec<(Recipient, Outcome)>, Client) {
    let temper = Temper {
        faults: vec![fault],
        ..Temper::default()
    };
    let policy = Policy::new(Settings::smtp().build().unwrap());
    let mut world = World::new(Arc::new(policy), 1);
    world.host("192.0.2.1:25".parse().unwrap(), Host::new(temper));
    let client = Client::new(world);
    let post = Simulated {
        client: client.clone(),
        protocol: Protocol::Smtp,
        nexthop: "[192.0.2.1]".parse().unwrap(),
    };
    let (envelope, message) = letter(0);
    let decided = client.run(deliver(&post, envelope, message, doubt));
    (decided.unwrap(), client)
}

#[test]
fn a_server_that_is_busy_for_a_minute_gets_the_message_then() {
    let busy = Fault {
        moment: Moment::Mail,
        nth: 0,
        connections: 1,
        act: Act::Code(450),
    };
    let (decided, client) = at_a_server_with(busy, Doubt::Stop);
    assert!(
        decided
            .iter()
            .all(|(_, outcome)| outcome.status == Status::Sent)
    );
    let minute = Time::ZERO + Duration::from_secs(60);
    assert!(client.now() >= minute && client.now() < minute + Duration::from_secs(60));
}
// ANCHOR_END: one

#[test]
fn a_server_that_crashes_before_its_answer_gets_a_second_copy_only_if_that_is_wanted() {
    let crash = Fault {
        moment: Moment::End,
        nth: 0,
        connections: 1,
        act: Act::Crash,
    };
    let copies = |doubt| {
        let (decided, client) = at_a_server_with(crash, doubt);
        let fates = client.with_world(|world| fates(world));
        let fate = fates["r0.m0@example.com"];
        (decided[0].1.uncertain, fate.known + fate.unknown)
    };
    assert_eq!(copies(Doubt::Stop), (true, 1));
    assert_eq!(copies(Doubt::TryAgain), (false, 2));
}

// ANCHOR: seeds
/// Runs some messages at once in the world of a seed. Returns what is wrong with the decisions, and
/// counts the recipients who are left in doubt.
fn wrong_in_world(seed: u64, doubt: Doubt, in_doubt: &mut u32, made: &mut Policies) -> Vec<String> {
    let knobs = Knobs {
        deliveries: 0,
        ..Knobs::default()
    };
    let population = Population::generate(seed, knobs);
    let client = Client::new(population.world(made, false).unwrap());
    let queue = population
        .destinations
        .iter()
        .enumerate()
        .map(|(number, destination)| {
            let (envelope, message) = letter(number);
            let post = Simulated {
                client: client.clone(),
                protocol: destination.protocol,
                nexthop: destination.nexthop.parse().unwrap(),
            };
            async move { deliver(&post, envelope, message, doubt).await }
        });
    let decided = client.run(join_all(queue)).unwrap();
    let fates = client.with_world(|world| {
        world.run_out();
        fates(world)
    });
    let mut wrong = Vec::new();
    for (recipient, outcome) in decided.into_iter().flatten() {
        let address = recipient.address.as_str();
        let fate = fates.get(address).copied().unwrap_or_default();
        // Nobody can say what a server has taken that answers what it was not asked.
        if fate.muddled > 0 {
            continue;
        }
        *in_doubt += u32::from(outcome.uncertain);
        let is_sent = outcome.status == Status::Sent;
        if is_sent != (fate.known > 0) {
            wrong.push(format!("{address}: {outcome}, and the servers: {fate:?}"));
        }
        if doubt == Doubt::Stop && fate.known + fate.unknown > 1 {
            wrong.push(format!("{address} got copies: {fate:?}"));
        }
    }
    wrong
}

#[test]
fn nobody_is_lost_in_any_world_and_nobody_in_doubt_is_tried_again() {
    let (mut in_doubt, mut made) = (0, Policies::default());
    for seed in 0..200 {
        let wrong = wrong_in_world(seed, Doubt::Stop, &mut in_doubt, &mut made);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
    }
    assert!(in_doubt > 0, "nothing was tested");
}
// ANCHOR_END: seeds

#[test]
fn trying_again_in_doubt_loses_nobody() {
    let (mut in_doubt, mut made) = (0, Policies::default());
    for seed in 0..200 {
        let wrong = wrong_in_world(seed, Doubt::TryAgain, &mut in_doubt, &mut made);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
    }
}
