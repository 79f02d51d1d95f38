//! Runs many seeds and tells of the first that fails: the seed, the check, the
//! shortest conversation, and how to run it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use mimalloc::MiMalloc;
use smtp_sim::{
    check::Check,
    coverage::Coverage,
    population::{Knobs, Policies},
    trial::{self, Trial},
};

/// Most of what a world is made of lives shortly and is small.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Simulates mail deliveries and checks what comes of them.
#[derive(Debug, Parser)]
#[command(name = "smtp-sim", version)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed; without it, one that depends on the time
    #[arg(long)]
    first: Option<u64>,
    /// Runs only this seed
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// How many threads run seeds at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// How many failures to tell of before giving up
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Shows the conversation of the seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Shows in how many seeds each transition of session and delivery was taken
    #[arg(long, conflicts_with = "seed")]
    coverage: bool,
    /// Does not look for a smaller population that fails
    #[arg(long)]
    no_shrink: bool,
    /// At most so many messages
    #[arg(long)]
    deliveries: Option<usize>,
    /// Only the message with this number
    #[arg(long)]
    only: Option<usize>,
    /// At most so many recipients of a message
    #[arg(long)]
    recipients: Option<usize>,
    /// At most so many faults of a server
    #[arg(long)]
    faults: Option<usize>,
    /// At most so many bytes of text
    #[arg(long)]
    text: Option<usize>,
    /// TLS handshakes are real; runs are then not equal byte for byte, and slower
    #[arg(long)]
    real_tls: bool,
    /// Connections are reliable, and bytes are not cut up
    #[arg(long)]
    smooth: bool,
}

impl Arguments {
    fn knobs(&self) -> Knobs {
        let all = Knobs::default();
        Knobs {
            deliveries: self.deliveries.unwrap_or(all.deliveries),
            only: self.only,
            recipients: self.recipients.unwrap_or(all.recipients),
            faults: self.faults.unwrap_or(all.faults),
            text: self.text.unwrap_or(all.text),
            rough: !self.smooth,
        }
    }

    fn policies(&self) -> Policies {
        if !self.real_tls {
            return Policies::default();
        }
        Policies::with_real_tls().unwrap_or_else(|why| {
            eprintln!("smtp-sim: no TLS: {why}");
            std::process::exit(1)
        })
    }
}

/// Prints a line. Where nobody reads any more, there is nothing left to do.
macro_rules! say {
    ($($words:tt)*) => {
        if writeln!(io::stdout(), $($words)*).is_err() {
            std::process::exit(1)
        }
    };
}

/// The arguments that bring a trial about.
fn spelled(knobs: Knobs, real_tls: bool) -> String {
    let all = Knobs::default();
    let rows = [
        ("deliveries", knobs.deliveries, all.deliveries),
        ("recipients", knobs.recipients, all.recipients),
        ("faults", knobs.faults, all.faults),
        ("text", knobs.text, all.text),
    ];
    let mut words = String::new();
    for (name, value, all) in rows {
        if value != all {
            words.push_str(&format!(" --{name} {value}"));
        }
    }
    if let Some(only) = knobs.only {
        words.push_str(&format!(" --only {only}"));
    }
    if !knobs.rough {
        words.push_str(" --smooth");
    }
    if real_tls {
        words.push_str(" --real-tls");
    }
    words
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        return replay(seed, &arguments);
    }
    // A fresh start is what the system's clock is good for here; it is printed.
    let first = arguments.first.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        now.as_micros() as u64 % 1_000_000_000_000
    });
    say!("{} seeds from --first {first}", arguments.seeds);
    // A panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let campaign = Campaign::new(first, &arguments);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| campaign.work());
        }
    });
    campaign.conclude(begun.elapsed())
}

fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let knobs = arguments.knobs();
    let mut policies = arguments.policies();
    if arguments.trace {
        say!("{}", trial::trace(seed, knobs, &mut policies));
    }
    let trial = trial::run(seed, knobs, &mut policies);
    for finding in &trial.findings {
        say!("seed {seed}: {finding}");
    }
    match trial.findings.is_empty() {
        true => {
            say!("seed {seed}: all is well");
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    }
}

/// Which checks found something, and in how many seeds.
fn by_check(failed: &[(u64, Trial)]) -> BTreeMap<Check, usize> {
    let mut counts = BTreeMap::new();
    for (_, trial) in failed {
        let checks: BTreeSet<Check> = trial.findings.iter().map(|f| f.check).collect();
        for check in checks {
            *counts.entry(check).or_default() += 1;
        }
    }
    counts
}

/// Many seeds on some threads.
struct Campaign<'a> {
    arguments: &'a Arguments,
    first: u64,
    next: AtomicU64,
    deliveries: AtomicUsize,
    failed: Mutex<Vec<(u64, Trial)>>,
    coverage: Mutex<Coverage>,
    bar: ProgressBar,
}

/// How many seeds a thread takes at a time.
const BATCH: u64 = 64;

impl<'a> Campaign<'a> {
    fn new(first: u64, arguments: &'a Arguments) -> Self {
        // It draws nothing where there is no terminal.
        let bar = ProgressBar::new(arguments.seeds);
        if let Ok(style) = ProgressStyle::with_template(
            "{wide_bar} {pos}/{len} seeds, {per_sec}, {eta} left {msg}",
        ) {
            bar.set_style(style);
        }
        Self {
            arguments,
            first,
            next: AtomicU64::new(0),
            deliveries: AtomicUsize::new(0),
            failed: Mutex::default(),
            coverage: Mutex::default(),
            bar,
        }
    }

    fn work(&self) {
        let mut policies = self.arguments.policies();
        loop {
            let from = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let to = self.arguments.seeds.min(from.saturating_add(BATCH));
            if from >= to || self.failures() >= self.arguments.failures {
                return;
            }
            let mut deliveries = 0;
            let mut coverage = Coverage::default();
            for number in from..to {
                let seed = self.first.wrapping_add(number);
                let trial = trial::run(seed, self.arguments.knobs(), &mut policies);
                deliveries += trial.deliveries;
                coverage.add(seed, &trial.taken, &trial.phases);
                if !trial.findings.is_empty() {
                    self.failed().push((seed, trial));
                }
            }
            self.deliveries.fetch_add(deliveries, Ordering::Relaxed);
            self.coverage().merge(coverage);
            self.bar.inc(to - from);
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Trial)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn coverage(&self) -> std::sync::MutexGuard<'_, Coverage> {
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the coverage, if it was asked for. Returns whether it is as it must be.
    fn show_coverage(&self) -> bool {
        if !self.arguments.coverage {
            return true;
        }
        let coverage = self.coverage();
        say!("{coverage}");
        let faults = coverage.faults();
        for fault in &faults {
            say!("coverage: {fault}");
        }
        faults.is_empty()
    }

    fn failures(&self) -> usize {
        self.failed().len()
    }

    fn conclude(&self, took: Duration) -> ExitCode {
        self.bar.finish_and_clear();
        let deliveries = self.deliveries.load(Ordering::Relaxed);
        let rate = deliveries as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
        say!("{deliveries} deliveries in {took:.1?}: {rate:.0} a second");
        let covered = self.show_coverage();
        let mut failed = std::mem::take(&mut *self.failed());
        failed.sort_by_key(|(seed, _)| *seed);
        if failed.is_empty() {
            return match covered {
                true => {
                    say!("all is well");
                    ExitCode::SUCCESS
                }
                false => ExitCode::FAILURE,
            };
        }
        say!("{} seeds fail", failed.len());
        for (check, seeds) in by_check(&failed) {
            say!("{seeds:>9}  {}", check.as_str());
        }
        for (seed, trial) in failed.iter().take(self.arguments.failures) {
            self.tell(*seed, trial);
        }
        ExitCode::FAILURE
    }

    fn tell(&self, seed: u64, trial: &Trial) {
        let mut policies = self.arguments.policies();
        let mut knobs = self.arguments.knobs();
        say!("");
        for finding in &trial.findings {
            say!("seed {seed}: {finding}");
        }
        if let Some(finding) = trial.findings.first()
            && !self.arguments.no_shrink
        {
            knobs = trial::shrink(seed, knobs, finding.check, &mut policies);
            say!("{}", trial::trace(seed, knobs, &mut policies));
            for finding in trial::run(seed, knobs, &mut policies).findings {
                say!("seed {seed}, made smaller: {finding}");
            }
        }
        let spelled = spelled(knobs, self.arguments.real_tls);
        say!("again: cargo run -p smtp-sim --release -- --seed {seed}{spelled} --trace");
    }
}
