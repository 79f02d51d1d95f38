//! Retry logic of one's own under simulation: a loop that tries again until nobody is left,
//! at a server that is away at first. The example `retry_queue` has a whole queue, in worlds
//! made by chance.
//!
//! `cargo run -p smtp-sim --example retry`

use std::{error::Error, sync::Arc, time::Duration};

use smtp_policy::{
    config::Protocol,
    policy::Policy,
    report::Status,
    request::{Recipient, Request},
};
use smtp_proto::Address;
use smtp_sim::{
    peer::{Act, Fault, Moment, Temper},
    world::{Host, World},
};

/// Delivers `request` in this world, and again to those who are deferred, up to `attempts`
/// times, each after twice the pause. Returns who is left.
pub fn deliver_with_retries(
    world: &mut World,
    mut request: Request,
    attempts: u32,
) -> Vec<Recipient> {
    let mut pause = Duration::ZERO;
    for attempt in 0..attempts {
        let id = world.submit(pause, request.clone(), "Subject: hello\n\n...\n".into());
        while world.next_finished().is_some_and(|finished| finished != id) {}
        let report = world
            .delivery(id)
            .and_then(|delivery| delivery.report.as_ref());
        let outcomes = report.into_iter().flat_map(|report| &report.recipients);
        let left = outcomes.filter(|(_, outcome)| outcome.status == Status::Deferred);
        request.recipients = left.map(|(recipient, _)| recipient.clone()).collect();
        if request.recipients.is_empty() {
            break;
        }
        pause = Duration::from_secs(300 << attempt);
    }
    request.recipients
}

/// A world whose only server refuses the first recipient of each of its first two
/// connections for now.
pub fn world() -> Result<World, Box<dyn Error>> {
    let mut temper = Temper::default();
    temper.faults.push(Fault {
        moment: Moment::Rcpt,
        nth: 0,
        connections: 2,
        act: Act::Code(450),
    });
    let mut world = World::new(Arc::new(Policy::default()), 1);
    world.host("192.0.2.1:25".parse()?, Host::new(temper));
    Ok(world)
}

/// A request to two recipients at that server.
pub fn letter() -> Result<Request, Box<dyn Error>> {
    let to = ["a@d.example", "b@d.example"].map(|to| to.parse::<Address>().map(Recipient::from));
    let to = to.into_iter().collect::<Result<_, _>>()?;
    let sender = "me@client.example".parse()?;
    Ok(Request::new(
        Protocol::Smtp,
        "[192.0.2.1]".parse()?,
        sender,
        to,
    ))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut world = world()?;
    let left = deliver_with_retries(&mut world, letter()?, 4);
    println!(
        "after {:?} {} are left",
        world.now().as_duration(),
        left.len()
    );
    Ok(())
}
