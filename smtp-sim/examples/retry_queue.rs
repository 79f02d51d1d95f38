//! A small mail queue that tries again: a consumer's own code, and its test in a
//! simulated world. Not a recommendation how to write a queue.
//!
//! `cargo run -p smtp-sim --example retry_queue` runs it in a thousand worlds;
//! with `-- --bug` the queue has a mistake in it, and the kit says in which world it
//! shows.

use std::{error::Error, process::ExitCode, time::Duration};

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    report::Status,
    request::{Recipient, Request},
};
use smtp_proto::{Address, ReversePath};
use smtp_sim::{
    check::fates,
    dice::Dice,
    population::{Knobs, Policies, Population},
    world::World,
};

/// How often a message is tried before its recipients are given up.
const ATTEMPTS: u32 = 4;
/// How long to wait before the first retry; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(300);

/// A message that is not done with.
#[derive(Debug)]
struct Entry {
    /// The delivery that is under way.
    delivery: usize,
    request: Request,
    text: Bytes,
    attempts: u32,
}

/// What the queue has decided about a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The recipient.
    pub address: String,
    /// Delivered, or else given up.
    pub delivered: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    entries: Vec<Entry>,
    decisions: Vec<Decision>,
    /// The mistake: whoever has the message gets it again with those who have not.
    pub has_bug: bool,
}

impl Queue {
    /// Takes a message.
    pub fn submit(&mut self, world: &mut World, request: Request, text: Bytes) {
        self.send(world, Duration::ZERO, request, text, 1);
    }

    fn send(
        &mut self,
        world: &mut World,
        pause: Duration,
        request: Request,
        text: Bytes,
        attempts: u32,
    ) {
        let delivery = world.submit(pause, request.clone(), text.clone());
        self.entries.push(Entry {
            delivery,
            request,
            text,
            attempts,
        });
    }

    /// Works until nothing is left, and says what was decided.
    pub fn run(mut self, world: &mut World) -> Vec<Decision> {
        while let Some(delivery) = world.next_finished() {
            self.finished(world, delivery);
        }
        self.decisions
    }

    fn finished(&mut self, world: &mut World, delivery: usize) {
        let at = self.entries.iter().position(|e| e.delivery == delivery);
        let Some(entry) = at.map(|at| self.entries.swap_remove(at)) else {
            return;
        };
        let report = world.delivery(delivery).and_then(|d| d.report.clone());
        let mut again: Vec<Recipient> = Vec::new();
        for (recipient, outcome) in report.into_iter().flat_map(|report| report.recipients) {
            if outcome.status == Status::Deferred && entry.attempts < ATTEMPTS {
                again.push(recipient);
            } else {
                self.decisions.push(Decision {
                    address: recipient.address.as_str().to_owned(),
                    delivered: outcome.status == Status::Sent,
                });
            }
        }
        if again.is_empty() {
            return;
        }
        let mut request = entry.request;
        if !self.has_bug {
            request.recipients = again;
        }
        let pause = FIRST_PAUSE * 2_u32.pow(entry.attempts - 1);
        request.age += pause;
        self.send(world, pause, request, entry.text, entry.attempts + 1);
    }
}

/// Runs the queue in the world of a seed, and holds what it decided against what the
/// servers know.
///
/// # Errors
/// What is wrong, in words.
pub fn simulate(seed: u64, has_bug: bool, policies: &mut Policies) -> Result<(), String> {
    // A population without messages: those come from the queue.
    let knobs = Knobs {
        deliveries: 0,
        ..Knobs::default()
    };
    let population = Population::generate(seed, knobs);
    let world = population.world(policies, false);
    let mut world = world.map_err(|error| error.to_string())?;
    let mut queue = Queue {
        has_bug,
        ..Queue::default()
    };
    let mut dice = Dice::new(seed);
    for number in 0..3 {
        let at = dice.count(population.destinations.len());
        let Some(destination) = population.destinations.get(at) else {
            continue;
        };
        let count = 1 + dice.count(5);
        let request = letter(number, count, &destination.nexthop, destination.protocol);
        let request = request.map_err(|error| error.to_string())?;
        queue.submit(&mut world, request, "Subject: hello\n\n...\n".into());
    }
    let decisions = queue.run(&mut world);
    world.run_out();
    let fates = fates(&world);
    for decision in &decisions {
        let address = &decision.address;
        let fate = fates.get(address).copied().unwrap_or_default();
        if fate.known > 1 {
            return Err(format!("<{address}> got the message {} times", fate.known));
        }
        if fate.known == 1 && !decision.delivered {
            return Err(format!("<{address}> got the message, and was given up"));
        }
        let same = decisions.iter().filter(|other| other.address == *address);
        if same.count() != 1 {
            return Err(format!("<{address}> was decided about more than once"));
        }
    }
    Ok(())
}

fn letter(
    number: usize,
    recipients: usize,
    nexthop: &str,
    protocol: Protocol,
) -> Result<Request, Box<dyn Error>> {
    let to = (0..recipients).map(|each| Address::parse(&format!("r{each}.m{number}@d.example")));
    let to: Vec<Address> = to.collect::<Result<_, _>>()?;
    let sender = ReversePath::parse("queue@client.example")?;
    let to = to.into_iter().map(Recipient::new).collect();
    Ok(Request::new(protocol, nexthop.parse()?, sender, to))
}

fn main() -> ExitCode {
    let has_bug = std::env::args().any(|argument| argument == "--bug");
    let mut policies = Policies::default();
    for seed in 0..1_000 {
        if let Err(what) = simulate(seed, has_bug, &mut policies) {
            println!("seed {seed}: {what}");
            return ExitCode::FAILURE;
        }
    }
    println!("all is well in 1000 worlds");
    ExitCode::SUCCESS
}
