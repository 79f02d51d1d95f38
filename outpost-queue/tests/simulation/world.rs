//! A world: workers, sites, weather, senders, an operator, all from a seed. And what has come of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use outpost_queue::{
    model::{Hold, Kind, MessageId, MessageState, TaskState, Timestamp, WorkerName},
    operation::{Addressee, Change, Manage, Submission, SubmissionKey, Submit, Submitted},
    report::{self, Context},
    rules::{DoubtPolicy, Rules},
    store::{Store, memory::MemoryStore},
    worker::{Duty, Options, Progress, Stop, Worker},
};
use smtp_policy::request::Recipient;
use smtp_proto::{Address, Notify};

use super::{
    chance::Chance,
    exec::{Exec, Process, WORLD},
    judge::Verdict,
    servers::{Ledger, Manners, Servers, SimCourier},
    store::{SimStore, Weather},
};

const HOUR: i64 = 3_600_000_000;

/// The size of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) messages: u64,
    pub(crate) check_every: u64,
}

/// Knowledge of a recipient besides the queue.
pub(crate) struct Sent {
    pub(crate) message: MessageId,
    pub(crate) notify: Notify,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) exec: Exec,
    pub(crate) chance: Chance,
    pub(crate) store: SimStore,
    pub(crate) servers: Arc<Servers>,
    pub(crate) rules: Rules,
    pub(crate) quiet: bool,
    /// All recipients that were submitted.
    pub(crate) sent: Mutex<BTreeMap<String, Sent>>,
    /// Kills, pauses and failures: when, and of whom.
    pub(crate) blows: Mutex<Vec<(i64, Option<Process>)>>,
    /// When a worker was last struck or stopped, or began.
    pub(crate) absent: AtomicI64,
    pub(crate) submitted: AtomicBool,
    pub(crate) tally: Mutex<Tally>,
    processes: Mutex<u32>,
    trouble_until: i64,
}

/// Events of workers and of tasks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) restarts: u64,
    pub(crate) crashes: u64,
    pub(crate) jumps: u64,
    pub(crate) set_aside: u64,
    pub(crate) asked: u64,
    pub(crate) cancelled: u64,
}

impl World {
    pub(crate) fn new(seed: u64, size: Size) -> Arc<Self> {
        let (exec, chance) = (Exec::default(), Chance::new(seed));
        // One world in eight has no trouble at all.
        let quiet = seed.is_multiple_of(8);
        let trouble_until = if quiet { 0 } else { 8 * HOUR };
        let jump = Arc::new(AtomicI64::new(0));
        let (time, ahead) = (exec.clone(), Arc::clone(&jump));
        let clock = move || {
            let start = 1_700_000_000_000_000;
            Timestamp::from_micros(start + time.now() + ahead.load(Ordering::Relaxed))
        };
        let rules = rules(&chance);
        let memory = MemoryStore::new(clock.clone());
        let store = SimStore {
            exec: exec.clone(),
            chance: chance.clone(),
            memory: memory.clone(),
            weather: Arc::new(Mutex::new(Weather::default())),
            rules: rules.clone(),
            check_every: size.check_every,
            clock: Arc::new(clock),
        };
        let servers = Arc::new(Servers {
            exec: exec.clone(),
            chance: chance.clone(),
            memory,
            sites: sites(&chance, quiet, trouble_until),
            ledger: Mutex::new(Ledger::default()),
            limit: rules.concurrency.limit as usize,
        });
        let world = Arc::new(Self {
            seed,
            exec,
            chance,
            store,
            servers,
            rules,
            quiet,
            sent: Mutex::default(),
            blows: Mutex::default(),
            absent: AtomicI64::new(0),
            submitted: AtomicBool::new(false),
            tally: Mutex::default(),
            processes: Mutex::new(0),
            trouble_until,
        });
        world.begin(size, &jump);
        world
    }

    fn begin(self: &Arc<Self>, size: Size, jump: &Arc<AtomicI64>) {
        let workers = 1 + self.chance.below(4);
        for _ in 0..workers {
            self.exec.spawn(WORLD, Arc::clone(self).keep_a_worker());
        }
        self.exec
            .spawn(WORLD, Arc::clone(self).submit(size.messages));
        self.exec.spawn(WORLD, Arc::clone(self).operate());
        self.exec.spawn(WORLD, Arc::clone(self).watch());
        if !self.quiet {
            let jump = Arc::clone(jump);
            self.exec.spawn(WORLD, Arc::clone(self).make_weather(jump));
        }
    }

    /// Lets it run to its end, and judges.
    pub(crate) fn run(self: &Arc<Self>) -> Verdict {
        let world = Arc::clone(self);
        let last = 6 * 24 * HOUR;
        let looked = AtomicI64::new(0);
        let over = self.exec.run(last, move || {
            let now = world.exec.now();
            if now - looked.load(Ordering::Relaxed) < 60_000_000 {
                return false;
            }
            looked.store(now, Ordering::Relaxed);
            world.is_over()
        });
        let verdict = Verdict::of(self, over);
        self.exec.end();
        verdict
    }

    fn is_over(&self) -> bool {
        let rows = self.store.memory.rows();
        self.submitted.load(Ordering::Relaxed)
            && self.exec.now() > self.trouble_until
            && rows
                .messages
                .values()
                .all(|one| one.state == MessageState::Finished)
    }

    fn in_trouble(&self) -> bool {
        self.exec.now() < self.trouble_until
    }

    fn new_process(&self) -> Process {
        let mut last = self.processes.lock().unwrap();
        *last += 1;
        Process(*last)
    }

    pub(crate) fn blow(&self, whom: Option<Process>) {
        self.blows.lock().unwrap().push((self.exec.now(), whom));
        self.absent.store(self.exec.now(), Ordering::Relaxed);
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap());
    }

    /// Starts a worker, again and again, and does bad things to it.
    async fn keep_a_worker(self: Arc<Self>) {
        loop {
            let (process, stop) = (self.new_process(), Stop::new());
            let done = Arc::new(AtomicBool::new(false));
            self.start(process, stop.clone(), Arc::clone(&done));
            self.live(process, &stop, &done).await;
            self.exec.kill(process);
            self.exec.sleep(self.chance.seconds(0, 120)).await;
            self.absent.store(self.exec.now(), Ordering::Relaxed);
        }
    }

    fn start(self: &Arc<Self>, process: Process, stop: Stop, done: Arc<AtomicBool>) {
        let courier = SimCourier {
            servers: Arc::clone(&self.servers),
            process,
            cancelled: Arc::default(),
        };
        let mut options = Options::default();
        options.name = WorkerName(format!("worker {}", process.0).into());
        options.slots = usize::try_from(5 + self.chance.below(60)).unwrap();
        options.rules = self.rules.clone();
        options.poll = Duration::from_secs(20);
        let worker = Worker::new(self.store.clone(), courier, options).with_stop(stop);
        let worker = self.duties().into_iter().fold(worker, Worker::with_duty);
        self.exec.spawn(process, async move {
            worker.run().await;
            done.store(true, Ordering::Relaxed);
        });
    }

    fn duties(&self) -> [Duty; 2] {
        let every = Duration::from_secs(60);
        let domain = |address: &Address| {
            let domain = address.as_str().rsplit('@').next().unwrap();
            format!("smtp:{domain}").parse().unwrap()
        };
        let mut context = Context::new("mail.example", domain);
        context.postmaster = Some(Address::parse("postmaster@home").unwrap());
        let context = Arc::new(context);
        let (store, rules) = (self.store.clone(), self.rules.clone());
        let told = Arc::clone(&context);
        let reports = Duty::new("reports", every, move || {
            let (store, rules, context) = (store.clone(), rules.clone(), Arc::clone(&told));
            async move {
                let made = report::make_due(&store, &context, &rules, 100).await?;
                Ok::<_, outpost_queue::store::StoreError>(progress(made.more))
            }
        });
        let (store, rules) = (self.store.clone(), self.rules.clone());
        let look = Duty::new("look", every, move || {
            let (store, rules, context) = (store.clone(), rules.clone(), Arc::clone(&context));
            async move {
                let looked = report::look(&store, &context, &rules, 100).await?;
                Ok::<_, outpost_queue::store::StoreError>(progress(looked.more))
            }
        });
        [reports, look]
    }

    /// The life of a worker until its end, by its own will or not.
    async fn live(&self, process: Process, stop: &Stop, done: &AtomicBool) {
        loop {
            let end = self.exec.now() + micros(self.chance.seconds(20, 4000));
            while self.exec.now() < end {
                self.exec.sleep(Duration::from_secs(5)).await;
                // It has ended, or a message has killed it.
                if done.load(Ordering::Relaxed) || !self.exec.is_alive(process) {
                    self.blow(Some(process));
                    return;
                }
            }
            if !self.in_trouble() {
                continue;
            }
            match self.chance.below(4) {
                0 | 1 => {
                    self.blow(Some(process));
                    self.count(|tally| tally.kills += 1);
                    return;
                }
                2 => {
                    self.count(|tally| tally.restarts += 1);
                    stop.step();
                    for _ in 0..80 {
                        self.exec.sleep(Duration::from_secs(1)).await;
                        self.absent.store(self.exec.now(), Ordering::Relaxed);
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    self.blow(Some(process));
                    return;
                }
                _ => {
                    self.count(|tally| tally.stops += 1);
                    self.blow(Some(process));
                    self.exec.stop(process, self.chance.seconds(1, 400));
                }
            }
        }
    }

    /// Makes the store fail.
    async fn make_weather(self: Arc<Self>, jump: Arc<AtomicI64>) {
        while self.in_trouble() {
            self.exec.sleep(self.chance.seconds(10, 3000)).await;
            match self.chance.below(5) {
                0 | 1 => {
                    let calm = self.chance.seconds(30, 600);
                    self.store.weather().fails = 2 + self.chance.below(30);
                    self.exec.sleep(calm).await;
                    self.store.weather().fails = 0;
                }
                2 => self.go_away(self.chance.seconds(1, 600)),
                3 => {
                    self.count(|tally| tally.crashes += 1);
                    self.store.memory.crash();
                    self.go_away(self.chance.seconds(1, 60));
                }
                _ => {
                    // The clock is set: mostly a little, at times by minutes, and both ways.
                    self.count(|tally| tally.jumps += 1);
                    let seconds = self.chance.seconds(0, 300).as_secs();
                    let micros = i64::try_from(seconds * 1_000_000).unwrap();
                    let by = if self.chance.percent(50) {
                        micros
                    } else {
                        -micros
                    };
                    jump.fetch_add(by, Ordering::Relaxed);
                    self.blow(None);
                    self.store.weather().fair_since = self.exec.now();
                }
            }
        }
        self.store.weather().fair_since = self.exec.now();
    }

    fn go_away(&self, time: Duration) {
        self.blow(None);
        let until = self.exec.now() + micros(time);
        let mut weather = self.store.weather();
        weather.away_until = until;
        weather.fair_since = until;
    }

    /// Hands messages in over two hours.
    async fn submit(self: Arc<Self>, messages: u64) {
        let pause = 2 * 3600 * 1000 / messages.max(1);
        for number in 0..messages {
            self.exec.sleep(self.chance.millis(0, 2 * pause)).await;
            let submission = self.message(number);
            let key = SubmissionKey(u128::from(number) + 1);
            let addresses: Vec<(String, Notify)> = submission
                .recipients
                .iter()
                .map(|one| {
                    (
                        one.recipient.address.as_str().to_owned(),
                        one.recipient.notify,
                    )
                })
                .collect();
            loop {
                let submissions = vec![submission.clone()];
                let submit = Submit { key, submissions };
                let Ok(ids) = self.store.run(submit).await else {
                    self.exec.sleep(Duration::from_secs(1)).await;
                    continue;
                };
                let mut sent = self.sent.lock().unwrap();
                for (address, notify) in addresses {
                    let message = ids[0];
                    sent.insert(address, Sent { message, notify });
                }
                break;
            }
        }
        self.submitted.store(true, Ordering::Relaxed);
    }

    fn message(&self, number: u64) -> Submission {
        let sites: Vec<&String> = self
            .servers
            .sites
            .keys()
            .filter(|site| *site != "home")
            .collect();
        let poison = !self.quiet && self.chance.once_in(200);
        let count = if poison { 1 } else { 1 + self.chance.below(4) };
        let addressee = |place: u64| {
            let site = sites[usize::try_from(self.chance.below(sites.len() as u64)).unwrap()];
            let kind = if poison { "poison" } else { "r" };
            let address = format!("{kind}.{number}.{place}@{site}");
            let mut recipient = Recipient::new(Address::parse(&address).unwrap());
            recipient.notify = match self.chance.below(6) {
                0 => Notify::NEVER,
                1 => Notify::SUCCESS | Notify::FAILURE,
                2 => Notify::FAILURE,
                _ => Notify::NONE,
            };
            Addressee {
                recipient,
                destination: format!("smtp:{site}").parse().unwrap(),
            }
        };
        let sender = format!("s.{number}@home");
        Submission {
            kind: Kind::Mail,
            envelope: format!("{{\"sender\":\"{sender}\"}}"),
            sender,
            recipients: (0..count).map(addressee).collect(),
            recipient_limit: 2,
            text: Submitted::Text(format!("Subject: {number}\n\nhello\n").into()),
        }
    }

    /// Now and then somebody sees to what is held, and does other things.
    async fn operate(self: Arc<Self>) {
        loop {
            self.exec.sleep(Duration::from_secs(1200)).await;
            let (mut cancel, mut release) = (Vec::new(), Vec::new());
            let mut others = Vec::new();
            {
                let rows = self.store.memory.rows();
                for task in rows.tasks.values() {
                    match task.state {
                        TaskState::Held(hold) => {
                            let mut all = rows.recipients.values();
                            let poison = all.any(|one| {
                                one.task == task.id
                                    && one.recipient.address.as_str().starts_with("poison")
                            });
                            self.count(|tally| match hold {
                                Hold::Doubt => tally.asked += 1,
                                Hold::Poison if !poison => tally.set_aside += 1,
                                _ => {}
                            });
                            let list = if poison { &mut cancel } else { &mut release };
                            list.push(task.message);
                        }
                        // Reports are left alone: they are counted.
                        _ if self.in_trouble()
                            && task.destination.nexthop() != "home"
                            && self.chance.once_in(100) =>
                        {
                            others.push(task.message);
                        }
                        _ => {}
                    }
                }
            }
            self.manage(cancel, Change::Cancel).await;
            self.manage(release, Change::Release).await;
            let change = match self.chance.below(4) {
                0 => Change::Hold,
                1 => Change::Cancel,
                _ => Change::Retry,
            };
            self.manage(others, change).await;
        }
    }

    async fn manage(&self, messages: Vec<MessageId>, change: Change) {
        if messages.is_empty() {
            return;
        }
        let rules = self.rules.clone();
        let manage = Manage {
            messages,
            change,
            rules,
        };
        // It is done again in the next round, if it has failed.
        if let (Ok(done), Change::Cancel) = (self.store.run(manage).await, change) {
            let cancelled: u32 = done.values().map(|one| one.recipients).sum();
            self.count(|tally| tally.cancelled += u64::from(cancelled));
        }
    }

    /// Looks whether turns come back.
    async fn watch(self: Arc<Self>) {
        let fair = 200_000_000;
        // Half a lease where nobody could renew, a quarter between two looks, and the way to the store and back.
        let slack = self.rules.lease / 2;
        loop {
            self.exec.sleep(Duration::from_secs(7)).await;
            let since = self.exec.now() - self.store.weather().fair_since;
            let overdue = self.store.overdue(slack);
            if since > fair && !overdue.is_empty() && self.is_awake() {
                let wrong = format!(
                    "{}: turns have not come back: {overdue:?}",
                    (self.store.clock)()
                );
                self.store.weather().wrong.push(wrong);
            }
        }
    }

    /// Returns whether no worker was struck lately.
    fn is_awake(&self) -> bool {
        let last = self.absent.load(Ordering::Relaxed);
        // A pause may be as long as 400 seconds, and a start takes up to two minutes.
        self.exec.now() > last.saturating_add(600_000_000)
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap()
}

fn progress(more: bool) -> Progress {
    match more {
        true => Progress::More,
        false => Progress::Done,
    }
}

fn rules(chance: &Chance) -> Rules {
    let mut rules = Rules::default();
    let hours = [3, 6, 24, 48][usize::try_from(chance.below(4)).unwrap()];
    rules.schedule.maximal_lifetime = Duration::from_secs(hours * 3600);
    rules.concurrency.limit = [5, 10, 20][usize::try_from(chance.below(3)).unwrap()];
    if chance.percent(25) {
        rules.concurrency.positive = "1/concurrency".parse().unwrap();
        rules.concurrency.negative = "1/sqrt_concurrency".parse().unwrap();
    }
    if chance.percent(10) {
        rules.concurrency.rate_delay = Duration::from_secs(1);
    }
    if chance.percent(25) {
        rules.doubt = DoubtPolicy::Hold;
    }
    if chance.percent(25) {
        rules.schedule.delay_warning = Some(Duration::from_secs(3600));
    }
    rules.checked().unwrap()
}

/// The sites of a world; `home` is that of the senders.
fn sites(chance: &Chance, quiet: bool, trouble_until: i64) -> BTreeMap<String, Manners> {
    let mut sites = BTreeMap::new();
    for number in 0..4 + chance.below(8) {
        let mut manners = Manners {
            refuses: [0, 0, 10, 50][usize::try_from(chance.below(4)).unwrap()],
            slow: [50, 500, 5000, 20_000][usize::try_from(chance.below(4)).unwrap()],
            well_from: trouble_until,
            ..Manners::default()
        };
        if !quiet {
            trouble(&mut manners, chance, trouble_until);
        }
        sites.insert(format!("site{number}"), manners);
    }
    let home = Manners {
        slow: 1000,
        ..Manners::default()
    };
    sites.insert("home".to_owned(), home);
    sites
}

fn trouble(manners: &mut Manners, chance: &Chance, until: i64) {
    if chance.percent(30) {
        manners.greylists = chance.seconds(60, 1200);
    }
    if chance.percent(30) {
        manners.loses = 3 + chance.below(30);
    }
    if chance.percent(30) {
        manners.breaks = 3 + chance.below(30);
    }
    if chance.percent(30) {
        manners.defers = 2 + chance.below(10);
    }
    if chance.percent(20) {
        manners.rejects = 5 + chance.below(20);
    }
    if chance.percent(15) {
        // It takes longer than a lease.
        manners.slow = 200_000;
    }
    while chance.percent(40) {
        let from = i64::try_from(chance.below(u64::try_from(until).unwrap())).unwrap();
        let long = micros(chance.seconds(60, 4 * 3600));
        manners.dead.push((from, from + long));
    }
}
