//! Verdicts against what the servers accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use smtp_policy::{
    dns::Failure,
    line_ends::StrayCr,
    report::{Outcome, Status},
};

use super::{Bench, Check};
use crate::{
    check::text::{same_message, without_stray_cr},
    peer::{Breach, Taken},
    population::{Letter, letter_of},
    world::{Connection, Delivered, Door, Trouble, World},
};

/// What the servers know about one recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// How often a server accepted it and the client has read so.
    pub known: u32,
    /// How often a server accepted it and the client cannot know it.
    pub unknown: u32,
    /// How often a server received the whole message that sends replies nobody asked
    /// for, so that nobody can say what the client had to make of them.
    pub muddled: u32,
}

/// What the servers of a world know about every recipient, by address.
pub fn fates(world: &World) -> BTreeMap<String, Fate> {
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for connection in world.connections() {
        for recipient in connection.ledger.taken.iter().flat_map(|t| &t.recipients) {
            let fate = fates.entry(recipient.address.clone()).or_default();
            if connection.ledger.out_of_step {
                fate.muddled += 1;
            } else if recipient.accepted {
                match recipient.told {
                    Some(end) if end <= connection.read => fate.known += 1,
                    _ => fate.unknown += 1,
                }
            }
        }
    }
    fates
}

impl Bench<'_> {
    pub(super) fn settled(&mut self) {
        for (number, delivery) in self.world.deliveries().iter().enumerate() {
            if delivery.ended().is_none() {
                self.find(Check::Ends, format!("delivery {number} never ended"));
            }
            for (index, count) in delivery.reported.iter().enumerate() {
                if *count != 1 {
                    let what = format!("delivery {number} recipient {index}: {count} verdicts");
                    self.find(Check::SettledOnce, what);
                }
            }
        }
    }

    pub(super) fn truth(&mut self) {
        let (population, world) = (self.population, self.world);
        for connection in world.connections() {
            self.connection(&connection);
        }
        let fates = fates(world);
        // A reply too many, and each that follows is taken for another recipient's.
        let askew = world.connections().filter(|c| c.ledger.out_of_step);
        let askew = askew.flat_map(|connection| connection.deliveries);
        let letters = askew.filter_map(|at| population.letters.get(*at));
        let muddled: BTreeSet<usize> = letters.map(|letter| letter.number).collect();
        for (letter, delivery) in population.letters.iter().zip(world.deliveries()) {
            let Some(report) = &delivery.report else {
                continue;
            };
            for (recipient, outcome) in &report.recipients {
                let address = recipient.address.as_str();
                let fate = fates.get(address).copied().unwrap_or_default();
                let fate = Fate {
                    muddled: fate.muddled + u32::from(muddled.contains(&letter.number)),
                    ..fate
                };
                self.compare(letter, address, fate, outcome);
            }
        }
    }

    fn compare(&mut self, letter: &Letter, address: &str, fate: Fate, outcome: &Outcome) {
        let number = letter.number;
        // Words only for what is wrong, which is next to nothing.
        let verdict = |what: &str| {
            let doubt = if outcome.uncertain { " uncertain" } else { "" };
            let (word, code, text) = (outcome.word, outcome.code, &outcome.text);
            format!("message {number}, <{address}>: {word}{doubt} {code} ({text}){what}")
        };
        if letter.request.probe {
            if fate.known + fate.unknown > 0 {
                self.find(Check::SentIsAccepted, verdict(": a probe with text"));
            }
            return;
        }
        let sent = outcome.status == Status::Sent;
        if sent && fate.known + fate.muddled == 0 {
            let what = format!(", but {} accepted it", fate.unknown);
            self.find(Check::SentIsAccepted, verdict(&what));
        }
        if fate.known > 0 && !sent {
            let what = ", but a server accepted it and said so";
            self.find(Check::AcceptedIsSent, verdict(what));
        }
        if fate.unknown > 0 && !sent && !outcome.uncertain {
            let what = ", but a server accepted it without saying so";
            self.find(Check::AcceptedIsSent, verdict(what));
        }
        if outcome.status == Status::Bounced && !self.may_bounce(letter) {
            self.find(Check::BouncedIsRefused, verdict(""));
        }
        if outcome.status == Status::Deferred && !self.may_defer(letter, outcome) {
            self.find(Check::BackupIsTried, verdict(""));
        }
        if fate.known > 1 {
            let what = format!(": {} times", fate.known);
            self.find(Check::NoDuplicates, verdict(&what));
        }
    }

    /// Whether there is a reason to give a recipient of a message up: a server of its
    /// destination refused something for good or takes no such large message, or its
    /// names lead nowhere.
    fn may_bounce(&self, letter: &Letter) -> bool {
        let Some(destination) = self.population.destinations.get(letter.destination) else {
            return false;
        };
        let hosts: BTreeSet<SocketAddr> = destination.servers.iter().map(|s| s.address).collect();
        let size = letter.text.len() as u64;
        let is_too_small = |limit: u64| limit > 0 && limit < size;
        let mut limits = destination
            .servers
            .iter()
            .filter_map(|s| s.host.temper.size);
        let mut here = self.world.connections().filter(|c| hosts.contains(&c.host));
        let temporary = |trouble: &Trouble| trouble.failure == Failure::TryAgain;
        here.any(|connection| connection.ledger.refused || connection.ledger.out_of_step)
            || limits.any(is_too_small)
            || matches!(&destination.trouble, Some((_, trouble)) if !temporary(trouble))
    }

    /// Whether a message has been to two servers of its destination, or to the second, if
    /// there is one that lets it in; or has a reason not to go there.
    fn may_defer(&self, letter: &Letter, outcome: &Outcome) -> bool {
        let id = self.place(Some(letter.number));
        let (Some(destination), Some(delivery), Some(id)) = (
            self.population.destinations.get(letter.destination),
            id.and_then(|id| self.world.delivery(id)),
            id,
        ) else {
            return true;
        };
        let Some(second) = destination.servers.get(1) else {
            return true;
        };
        let has_backup = !destination.nexthop.contains('[') && second.host.door == Door::Open;
        let is_free = delivery.cancelled.is_none() && destination.trouble.is_none();
        let overdue = outcome.text.contains("daemon_timeout");
        let connections = self.world.connections();
        let visits = connections.filter(|c| c.deliveries.contains(&id));
        let visited: BTreeSet<SocketAddr> = visits.map(|c| c.host).collect();
        let been_there = visited.len() > 1 || visited.contains(&second.address);
        !has_backup || !is_free || overdue || been_there
    }

    fn connection(&mut self, connection: &Connection<'_>) {
        let ledger = connection.ledger;
        for breach in &ledger.breaches {
            let what = match breach {
                Breach::AfterQuit => "bytes after QUIT".to_owned(),
                other => format!("{other:?}"),
            };
            self.find(Check::Protocol, format!("at {}: {what}", connection.host));
        }
        for address in &ledger.named {
            let owner = self.place(letter_of(address));
            if owner.is_none_or(|owner| !connection.deliveries.contains(&owner)) {
                let what = format!("<{address}> was named at {}", connection.host);
                self.find(Check::RightEnvelope, what);
            }
        }
        for taken in &ledger.taken {
            self.taken(taken, connection);
        }
    }

    /// The place of a message in this population.
    fn place(&self, number: Option<usize>) -> Option<usize> {
        let mut letters = self.population.letters.iter();
        letters.position(|letter| Some(letter.number) == number)
    }

    fn taken(&mut self, taken: &Taken, connection: &Connection<'_>) {
        // A reply that comes ahead of its command can be a 354 for recipients that the
        // client, or the server, thinks refused.
        let out_of_step = connection.ledger.out_of_step;
        if taken.recipients.is_empty() {
            if !taken.text.is_empty() && !out_of_step {
                let what = "text for nobody".to_owned();
                self.find(Check::SameText, what);
            }
            return;
        }
        let owner = self.place(letter_of(&taken.sender));
        let Some(delivery) = owner.and_then(|owner| self.world.delivery(owner)) else {
            let what = format!("a message from <{}>", taken.sender);
            return self.find(Check::RightEnvelope, what);
        };
        let mut strangers = taken.recipients.iter().filter(|recipient| {
            let named = self.place(letter_of(&recipient.address));
            named != owner
        });
        if let Some(stranger) = strangers.next() {
            let what = format!("from <{}> to <{}>", taken.sender, stranger.address);
            self.find(Check::RightEnvelope, what);
        }
        self.text(taken, delivery, connection);
    }

    fn text(&mut self, taken: &Taken, delivery: &Delivered, connection: &Connection<'_>) {
        let accepted = taken.recipients.iter().any(|recipient| recipient.accepted);
        let limit = self.population.profile.line_length as usize;
        // A server that refuses the text while it comes does not get all of it.
        let is_message = match connection.ledger.out_of_step {
            true => !taken.text.is_empty(),
            false => accepted,
        };
        let sent = match delivery.request.stray_cr {
            StrayCr::Pass => delivery.text.clone(),
            StrayCr::Replace | StrayCr::Refuse => without_stray_cr(&delivery.text).into(),
        };
        if is_message && let Err(what) = same_message(&sent, &taken.text, limit) {
            let sender = &taken.sender;
            self.find(Check::SameText, format!("from <{sender}>: {what}"));
        }
    }
}
