//! Servers, with a ledger of what they took, and the courier that goes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{pending, poll_fn},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use outpost_queue::{
    model::{DestinationName, Fence, MessageId, TaskId, TaskState},
    store::memory::MemoryStore,
    worker::Courier,
};
use smtp_policy::{
    delivery::Observer,
    report::{HopStatus, Outcome, Report, Status},
    request::{Recipient, Request},
    text::TextSource,
};
use smtp_proto::{EnhancedStatus, ReversePath};

use super::{
    chance::Chance,
    exec::{Exec, Process, WORLD},
};

/// The manners of a site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    /// When it does not answer.
    pub(crate) dead: Vec<(i64, i64)>,
    /// Percent of the recipients whom it refuses for good.
    pub(crate) refuses: u64,
    /// For how long it puts off everybody whom it sees for the first time; zero: not at all.
    pub(crate) greylists: Duration,
    /// The answer to the end of the text is lost once in so many.
    pub(crate) loses: u64,
    /// The connection is lost at the end, and nothing was taken, once in so many.
    pub(crate) breaks: u64,
    /// The end is answered with 4xx once in so many.
    pub(crate) defers: u64,
    /// The end is answered with 5xx once in so many.
    pub(crate) rejects: u64,
    /// The longest time for an answer, in milliseconds.
    pub(crate) slow: u64,
    /// The time from which everything is well.
    pub(crate) well_from: i64,
}

/// A copy that a server has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) at: i64,
    pub(crate) process: Process,
    /// The worker has heard of it.
    pub(crate) told: bool,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) copies: BTreeMap<String, Vec<Copy>>,
    /// Those who were refused for good.
    pub(crate) refused: BTreeSet<String>,
    /// The recipients whom reports call failed, by the name of the report.
    pub(crate) reports: BTreeMap<String, BTreeSet<String>>,
    first_seen: BTreeMap<String, i64>,
    /// Those who are being delivered: site, task, claim.
    visits: BTreeMap<u64, (String, Option<(TaskId, Fence)>)>,
    next: u64,
    /// Deliveries so far.
    pub(crate) deliveries: u64,
    /// The most deliveries of those with a right to them, over all sites.
    pub(crate) most: usize,
    pub(crate) zombies: u64,
    pub(crate) kills: BTreeMap<String, u32>,
    pub(crate) wrong: Vec<String>,
}

pub(crate) struct Servers {
    pub(crate) exec: Exec,
    pub(crate) chance: Chance,
    pub(crate) memory: MemoryStore,
    pub(crate) sites: BTreeMap<String, Manners>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) limit: usize,
}

impl Servers {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// The right under which a recipient is delivered now, as the store has it.
    fn right(&self, request: &Request) -> Option<(TaskId, Fence)> {
        let rows = self.memory.rows();
        let message: MessageId = request.id.to_string().parse().ok()?;
        let all = rows.recipients.range((message, 0)..=(message, u32::MAX));
        let first = &request.recipients[0].address;
        let mut same = all.filter(|(_, one)| one.recipient.address == *first);
        let task = rows.tasks.get(&same.next()?.1.task)?;
        let leased = matches!(task.state, TaskState::Leased(_));
        leased.then_some((task.id, task.fence))
    }

    fn holds(&self, right: Option<(TaskId, Fence)>) -> bool {
        let rows = self.memory.rows();
        right.is_some_and(|(task, fence)| {
            rows.tasks.get(&task).is_some_and(|task| {
                task.fence == fence && matches!(task.state, TaskState::Leased(_))
            })
        })
    }

    /// A delivery begins. Those that are there with a right of their own must not be more than the limit.
    fn enter(self: &Arc<Self>, site: &str, request: &Request) -> Visit {
        let right = self.right(request);
        let mut ledger = self.ledger();
        ledger.next += 1;
        ledger.deliveries += 1;
        let id = ledger.next;
        ledger.visits.insert(id, (site.to_owned(), right));
        let here = ledger.visits.values().filter(|(there, _)| there == site);
        let rights: Vec<_> = here.map(|(_, right)| *right).collect();
        if rights.len() > self.limit {
            let rightful = rights.iter().filter(|right| self.holds(**right)).count();
            ledger.zombies += 1;
            if rightful > self.limit {
                let wrong = format!("{site} has {rightful} deliveries at a time");
                ledger.wrong.push(wrong);
            }
        }
        ledger.most = ledger.most.max(rights.len());
        Visit {
            servers: Arc::clone(self),
            id,
        }
    }
}

struct Visit {
    servers: Arc<Servers>,
    id: u64,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.servers.ledger().visits.remove(&self.id);
    }
}

#[derive(Clone)]
pub(crate) struct SimCourier {
    pub(crate) servers: Arc<Servers>,
    pub(crate) process: Process,
    pub(crate) cancelled: Arc<AtomicBool>,
}

impl Courier for SimCourier {
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + 'static {
        let courier = self.clone();
        async move { courier.go(request, text, observer).await }
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.servers.exec.sleep(time)
    }

    fn detach(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.servers.exec.spawn(self.process, task);
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// One delivery.
struct Attempt<'a, O> {
    courier: &'a SimCourier,
    manners: &'a Manners,
    request: &'a Request,
    observer: O,
    outcomes: Vec<Option<Outcome>>,
    now: i64,
}

fn deferred(text: &str) -> Outcome {
    Outcome::new(Status::Deferred, EnhancedStatus::new(4, 0, 0), text)
}

impl SimCourier {
    async fn go<T: TextSource, O: Observer>(
        self,
        request: Request,
        mut text: T,
        observer: O,
    ) -> Report {
        let servers = &self.servers;
        let site = DestinationName::new(request.protocol, &request.nexthop);
        let site = site.nexthop().to_owned();
        let first = request.recipients[0].address.as_str().to_owned();
        let _visit = servers.enter(&site, &request);
        let manners = &servers.sites[&site];
        servers
            .exec
            .sleep(servers.chance.millis(5, manners.slow))
            .await;
        let mut attempt = Attempt {
            courier: &self,
            manners,
            request: &request,
            observer,
            outcomes: vec![None; request.recipients.len()],
            now: servers.exec.now(),
        };
        if first.starts_with("poison") {
            *servers.ledger().kills.entry(first).or_default() += 1;
            servers.exec.kill(self.process);
            pending::<()>().await;
        }
        attempt.greet();
        attempt.recipients();
        if attempt.is_open() {
            attempt.transfer(&mut text).await;
        }
        attempt.report()
    }
}

impl<O: Observer> Attempt<'_, O> {
    fn is_open(&self) -> bool {
        self.outcomes.iter().any(Option::is_none)
    }

    fn is_well(&self) -> bool {
        self.now >= self.manners.well_from
    }

    fn once_in(&self, times: u64) -> bool {
        !self.is_well() && self.courier.servers.chance.once_in(times)
    }

    fn settle(&mut self, index: usize, outcome: Outcome) {
        let recipient = &self.request.recipients[index];
        self.observer.settled(index, recipient, &outcome);
        self.outcomes[index] = Some(outcome);
    }

    fn settle_rest(&mut self, outcome: &Outcome) {
        for index in 0..self.outcomes.len() {
            if self.outcomes[index].is_none() {
                self.settle(index, outcome.clone());
            }
        }
    }

    fn greet(&mut self) {
        let now = self.now;
        let dead = self
            .manners
            .dead
            .iter()
            .any(|(from, to)| *from <= now && now < *to);
        if dead {
            let mut outcome = deferred("connect to it: connection refused");
            outcome.hop = Some(Box::new(HopStatus {
                code: EnhancedStatus::new(4, 4, 1),
                text: "connection refused".into(),
            }));
            self.settle_rest(&outcome);
        }
    }

    fn recipients(&mut self) {
        for index in 0..self.outcomes.len() {
            if self.outcomes[index].is_some() {
                continue;
            }
            let address = self.request.recipients[index].address.as_str().to_owned();
            let mut ledger = self.courier.servers.ledger();
            let seen = *ledger.first_seen.entry(address.clone()).or_insert(self.now);
            let grey = i64::try_from(self.manners.greylists.as_micros()).unwrap();
            let put_off = self.now < seen + grey && !self.is_well();
            if put_off {
                drop(ledger);
                self.settle(index, deferred("450 come back later"));
            } else if refused(&address, self.manners.refuses) {
                ledger.refused.insert(address);
                drop(ledger);
                let code = EnhancedStatus::new(5, 1, 1);
                self.settle(
                    index,
                    Outcome::new(Status::Bounced, code, "550 no such user"),
                );
            }
        }
    }

    async fn transfer(&mut self, text: &mut impl TextSource) {
        let servers = Arc::clone(&self.courier.servers);
        let Ok(bytes) = read_all(text).await else {
            return self.settle_rest(&deferred("the text cannot be read"));
        };
        if self.courier.cancelled.load(Ordering::Relaxed) {
            return self.settle_rest(&deferred("it is to stop"));
        }
        let open: Vec<usize> = (0..self.outcomes.len())
            .filter(|index| self.outcomes[*index].is_none())
            .collect();
        self.observer.in_doubt(&open);
        // The end is out now. What the server does does not depend on the worker any more.
        let (there, back) = (
            servers.chance.millis(1, self.manners.slow),
            servers.chance.millis(1, 500),
        );
        let now = servers.exec.now();
        if self.once_in(self.manners.defers) {
            servers.exec.sleep(there + back).await;
            self.observer.in_doubt(&[]);
            if servers.chance.percent(50) {
                // Another server of the site: it does not come to the end there.
                let half = poll_fn(|cx| text.poll_read(cx, 0, 10)).await;
                drop(half);
            }
            return self.settle_rest(&deferred("451 the disk is full"));
        }
        if self.once_in(self.manners.rejects) {
            servers.exec.sleep(there + back).await;
            let code = EnhancedStatus::new(5, 7, 1);
            for index in &open {
                let address = self.request.recipients[*index].address.as_str();
                servers.ledger().refused.insert(address.to_owned());
            }
            return self.settle_rest(&Outcome::new(Status::Bounced, code, "554 spam"));
        }
        let mut lost = deferred("lost connection after the end of the text");
        lost.uncertain = true;
        if self.once_in(self.manners.breaks) {
            servers.exec.sleep(there).await;
            return self.settle_rest(&lost);
        }
        let addresses: Vec<String> = open
            .iter()
            .map(|index| self.request.recipients[*index].address.as_str().to_owned())
            .collect();
        self.take(&addresses, &bytes, there);
        if self.once_in(self.manners.loses) {
            servers.exec.sleep(there + back).await;
            return self.settle_rest(&lost);
        }
        servers.exec.sleep(there + back).await;
        for address in &addresses {
            let mut ledger = servers.ledger();
            let copies = ledger.copies.get_mut(address).unwrap();
            let own = copies
                .iter_mut()
                .find(|copy| copy.at >= now && copy.process == self.courier.process);
            own.unwrap().told = true;
        }
        let code = EnhancedStatus::new(2, 0, 0);
        self.settle_rest(&Outcome::new(Status::Sent, code, "250 taken"));
    }

    /// The server takes the message after a while.
    fn take(&self, addresses: &[String], bytes: &[u8], after: Duration) {
        let servers = Arc::clone(&self.courier.servers);
        let (addresses, process) = (addresses.to_vec(), self.courier.process);
        let report = self.request.sender == ReversePath::Null;
        let failed = if report {
            failed_in(bytes)
        } else {
            BTreeSet::new()
        };
        let name = self.request.id.to_string();
        let sleep = servers.exec.sleep(after);
        let exec = servers.exec.clone();
        exec.spawn(WORLD, async move {
            sleep.await;
            let at = servers.exec.now();
            let mut ledger = servers.ledger();
            for address in addresses {
                let told = false;
                let copies = ledger.copies.entry(address).or_default();
                copies.push(Copy { at, process, told });
            }
            if report {
                ledger.reports.entry(name).or_default().extend(failed);
            }
        });
    }

    fn report(self) -> Report {
        let recipients = self.request.recipients.iter().cloned();
        let outcomes = self.outcomes.into_iter().map(Option::unwrap);
        Report::new(
            recipients
                .zip(outcomes)
                .collect::<Vec<(Recipient, Outcome)>>(),
        )
    }
}

async fn read_all(text: &mut impl TextSource) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let offset = all.len() as u64;
        let piece = poll_fn(|cx| text.poll_read(cx, offset, 100_000)).await?;
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&piece);
    }
}

/// Returns whether a site refuses an address: always or never.
fn refused(address: &str, percent: u64) -> bool {
    let sum = address.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    (sum >> 3) % 100 < percent
}

/// The recipients that a report calls failed.
fn failed_in(report: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(report);
    let mut failed = BTreeSet::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(address) = line.strip_prefix("Final-Recipient: rfc822; ") {
            last = Some(address.trim().to_owned());
        }
        if line.starts_with("Action: failed") {
            failed.extend(last.take());
        }
    }
    failed
}
