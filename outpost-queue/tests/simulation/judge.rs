//! The judge: nobody is lost, doubled, or told too often.

use std::{collections::BTreeMap, sync::Arc};

use outpost_queue::model::{Fate, MessageState};
use smtp_proto::Notify;

use super::{
    servers::Copy,
    world::{Tally, World},
};

/// The end of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) wrong: Vec<String>,
    pub(crate) figures: Figures,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) worlds: u64,
    pub(crate) seconds: u64,
    pub(crate) messages: u64,
    pub(crate) recipients: u64,
    pub(crate) deliveries: u64,
    pub(crate) steps: u64,
    pub(crate) faults: u64,
    pub(crate) sent: u64,
    pub(crate) bounced: u64,
    pub(crate) cancelled: u64,
    pub(crate) doubled: u64,
    pub(crate) doubtful: u64,
    pub(crate) reports: u64,
    pub(crate) zombies: u64,
    pub(crate) most: u64,
    pub(crate) tally: Tally,
}

impl Verdict {
    pub(crate) fn of(world: &Arc<World>, over: bool) -> Self {
        let mut verdict = Self::default();
        verdict
            .wrong
            .extend(world.store.weather().wrong.iter().cloned());
        verdict
            .wrong
            .extend(world.servers.ledger().wrong.iter().cloned());
        if !over {
            verdict.unfinished(world);
        }
        verdict.recipients(world);
        let rows = world.store.memory.rows();
        let latest = world.store.weather().latest;
        verdict
            .wrong
            .extend(rows.contradictions(&world.rules, latest));
        let ledger = world.servers.ledger();
        for (address, kills) in &ledger.kills {
            // One that was stopped at that moment has lost its right, and dies of it later.
            if *kills > world.rules.deaths + 2 {
                verdict
                    .wrong
                    .push(format!("{address} has killed {kills} workers"));
            }
        }
        let weather = world.store.weather();
        let figures = &mut verdict.figures;
        figures.worlds = 1;
        figures.seconds = u64::try_from(world.exec.now() / 1_000_000).unwrap();
        figures.messages = rows.messages.len() as u64;
        figures.deliveries = ledger.deliveries;
        figures.zombies = ledger.zombies;
        figures.most = ledger.most as u64;
        figures.steps = weather.steps;
        figures.faults = weather.faults;
        figures.reports = ledger.reports.len() as u64;
        figures.tally = *world.tally.lock().unwrap();
        for wrong in &mut verdict.wrong {
            *wrong = format!("seed {}: {wrong}", world.seed);
        }
        verdict
    }

    fn unfinished(&mut self, world: &World) {
        let rows = world.store.memory.rows();
        let open = rows
            .messages
            .values()
            .filter(|one| one.state != MessageState::Finished);
        let names: Vec<String> = open.map(|one| one.id.to_string()).collect();
        self.wrong.push(format!(
            "{} messages are not finished: {:.5?}",
            names.len(),
            names
        ));
    }

    fn recipients(&mut self, world: &World) {
        let rows = world.store.memory.rows();
        let ledger = world.servers.ledger();
        let mut told: BTreeMap<&str, u32> = BTreeMap::new();
        for address in ledger.reports.values().flatten() {
            *told.entry(address).or_default() += 1;
        }
        let mut seen = 0;
        for one in rows.recipients.values() {
            let address = one.recipient.address.as_str();
            let Some(sent) = world
                .sent
                .lock()
                .unwrap()
                .get(address)
                .map(|sent| sent.notify)
            else {
                continue;
            };
            seen += 1;
            let copies = ledger.copies.get(address).map_or(&[][..], Vec::as_slice);
            let name = format!("{address} of message {}", one.message);
            match one.fate {
                Fate::Pending => self.wrong.push(format!("{name} waits")),
                Fate::Sent if copies.is_empty() => self.wrong.push(format!("{name} was lost")),
                Fate::Cancelled => self.figures.cancelled += 1,
                Fate::Sent => self.figures.sent += 1,
                Fate::Bounced => self.figures.bounced += 1,
            }
            let wanted = sent.is_none() || sent.contains(Notify::FAILURE);
            let wanted = u32::from(one.fate == Fate::Bounced && wanted);
            let reports = told.get(address).copied().unwrap_or(0);
            if reports != wanted {
                let what = format!("{name}: {reports} reports of failure instead of {wanted}");
                self.wrong.push(what);
            }
            self.figures.doubtful += u64::from(one.doubtful);
            if copies.len() > 1 {
                self.figures.doubled += 1;
                if !one.doubtful {
                    self.wrong
                        .push(format!("{name} has {} copies: {copies:?}", copies.len()));
                }
                self.excuses(world, &name, copies);
            }
            // Whoever has a copy and was given up, or was taken out, may have it: that is to be known.
            let other = matches!(one.fate, Fate::Bounced | Fate::Cancelled);
            if other && !copies.is_empty() && !one.doubtful {
                self.wrong
                    .push(format!("{name} is {:?} and has a copy", one.fate));
            }
            if world.quiet && (one.doubtful || copies.len() > 1) {
                self.wrong
                    .push(format!("{name} is in doubt without any trouble"));
            }
        }
        self.figures.recipients = seen;
        if seen != world.sent.lock().unwrap().len() as u64 {
            self.wrong
                .push("recipients are gone from the queue".to_owned());
        }
    }

    /// Whoever gets a second copy has lost the answer to the first, or its worker or its store was struck.
    fn excuses(&mut self, world: &World, name: &str, copies: &[Copy]) {
        let blows = world.blows.lock().unwrap();
        for pair in copies.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let struck = blows.iter().any(|(at, whom)| {
                // A pause of up to 400 seconds may have begun before.
                first.at - 400_000_000 <= *at
                    && *at <= second.at
                    && whom.is_none_or(|whom| whom == first.process || whom == second.process)
            });
            if first.told && !struck && world.store.weather().faults == 0 {
                self.wrong
                    .push(format!("{name} has two copies without a reason: {pair:?}"));
            }
        }
    }
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        let tally = &mut self.tally;
        for (sum, more) in [
            (&mut self.worlds, other.worlds),
            (&mut self.seconds, other.seconds),
            (&mut self.messages, other.messages),
            (&mut self.recipients, other.recipients),
            (&mut self.deliveries, other.deliveries),
            (&mut self.steps, other.steps),
            (&mut self.faults, other.faults),
            (&mut self.sent, other.sent),
            (&mut self.bounced, other.bounced),
            (&mut self.cancelled, other.cancelled),
            (&mut self.doubled, other.doubled),
            (&mut self.doubtful, other.doubtful),
            (&mut self.reports, other.reports),
            (&mut self.zombies, other.zombies),
            (&mut tally.kills, other.tally.kills),
            (&mut tally.stops, other.tally.stops),
            (&mut tally.restarts, other.tally.restarts),
            (&mut tally.crashes, other.tally.crashes),
            (&mut tally.jumps, other.tally.jumps),
            (&mut tally.set_aside, other.tally.set_aside),
            (&mut tally.asked, other.tally.asked),
            (&mut tally.cancelled, other.tally.cancelled),
        ] {
            *sum += more;
        }
        self.most = self.most.max(other.most);
    }
}
