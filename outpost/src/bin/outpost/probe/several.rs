//! Several destinations at once: threads that take the next one, each with the same client.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use anyhow::Context;
use bytes::Bytes;
use smtp_policy::{Protocol, policy::Policy, request::Nexthop};

use super::{
    Seen, Sum, complain_of_address, json, protocol, request, text,
    watch::{Progress, State, Watch},
};
use crate::{
    cli::ProbeArgs,
    envelope::check_next_hop,
    exit::{Exit, Failure, OrExit},
    hints,
    interrupt::Interrupt,
    output::{Output, complain, json_line},
    runtime::Worker,
    settings,
};

/// A destination that has been looked at.
#[derive(Debug)]
pub(super) struct Look {
    /// As it was written.
    pub(super) name: String,
    pub(super) seen: Vec<Seen>,
    pub(super) sum: Sum,
}

/// Looks at all destinations, and shows them in their order, or as they end for programs.
pub(super) fn run(args: &ProbeArgs) -> Result<Exit, Failure> {
    let mut page = Page {
        protocol: protocol(args),
        json: args.json,
        output: Output::default(),
        waiting: BTreeMap::new(),
        next: 0,
    };
    let mut worst = Exit::Ok;
    let mut usable = 0;
    let all = look_at_all(args, &mut |number, look, progress| {
        worst = worse(worst, look.sum.exit());
        usable += usize::from(look.sum.exit() == Exit::Ok);
        complain_of_address(args, look.sum);
        progress.aside(|| page.take(number, look))
    })?;
    page.rest();
    if all.seen < all.count {
        let missing = all.count - all.seen;
        complain(format_args!("destinations not looked at: {missing}"));
        worst = worse(worst, Exit::Deferred);
    }
    if !args.json {
        let count = all.count;
        page.output.line(format_args!(
            "{usable} of {count} destinations can be used."
        ));
    }
    page.output.finish(worst)
}

/// The graver one of two exit statuses.
const fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Bounced, _) | (_, Exit::Bounced) => Exit::Bounced,
        (Exit::Ok, other) => other,
        (one, _) => one,
    }
}

/// The numbers of destinations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) count: usize,
    /// Those that were looked at; fewer if the user interrupted.
    pub(super) seen: usize,
}

/// Looks at all destinations of the command line and its file, and hands each to `take` as
/// soon as it ends, with its number. `take` returns whether to go on.
pub(super) fn look_at_all(
    args: &ProbeArgs,
    take: &mut dyn FnMut(usize, Look, &Progress) -> bool,
) -> Result<Counts, Failure> {
    let policy = settings::policy(&args.surroundings)?;
    let destinations = destinations(args, &policy)?;
    let worker = Worker::start(args.surroundings.runtime, policy).or_exit(Exit::System)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    interrupt.on_first(worker.canceller());
    let count = destinations.len();
    let progress = Progress::start_many(count);
    let (looks, looked) = mpsc::channel();
    let crew = Crew {
        args,
        worker: &worker,
        interrupt: &interrupt,
        destinations: &destinations,
        next: AtomicUsize::new(0),
    };
    let mut seen = 0;
    thread::scope(|scope| {
        for number in 0..usize::from(args.jobs).min(count) {
            let looks = looks.clone();
            let thread = thread::Builder::new().name(format!("probe-{number}"));
            let crew = &crew;
            if let Err(error) = thread.spawn_scoped(scope, move || crew.work(&looks)) {
                complain(format_args!(
                    "warning: the system refuses threads, so that there are at most {number} \
                     looks at once: {error}"
                ));
                break;
            }
        }
        drop(looks);
        for (number, look) in &looked {
            seen += 1;
            progress.ended();
            if !take(number, look, &progress) {
                interrupt.raise();
            }
        }
    });
    worker.close();
    progress.end();
    if seen < count && !interrupt.is_set() {
        return Err(Failure::new(Exit::System, "the system refuses threads"));
    }
    Ok(Counts { count, seen })
}

/// Threads that look at destinations until there is none left, and what they share.
struct Crew<'a> {
    args: &'a ProbeArgs,
    worker: &'a Worker,
    interrupt: &'a Interrupt,
    destinations: &'a [(String, Nexthop)],
    next: AtomicUsize,
}

impl Crew<'_> {
    fn work(&self, looks: &mpsc::Sender<(usize, Look)>) {
        while !self.interrupt.is_set() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((name, destination)) = self.destinations.get(number) else {
                return;
            };
            let look = self.look(name, destination.clone());
            // Whoever takes them stays until the last one.
            let _ = looks.send((number, look));
        }
    }

    fn look(&self, name: &str, destination: Nexthop) -> Look {
        let state = Arc::new(Mutex::new(State::new(|_| String::new())));
        let watch = Watch::new(Arc::clone(&state), Progress::none());
        let request = request(self.args, destination);
        self.worker.deliver(request, Bytes::new(), watch);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::mem::take(&mut state.seen);
        let sum = Sum {
            interrupted: self.interrupt.is_set(),
            ..Sum::of(&seen)
        };
        Look {
            name: name.to_owned(),
            seen,
            sum,
        }
    }
}

/// The destinations of the command line, then those of the file. All are checked before
/// the first one is looked at.
fn destinations(args: &ProbeArgs, policy: &Policy) -> Result<Vec<(String, Nexthop)>, Failure> {
    let named = args.destination.iter();
    let named = named.map(|name| ("destination".to_owned(), name.clone(), Exit::Usage));
    let mut all: Vec<_> = named.collect();
    if let Some(path) = &args.from_file {
        let listed = listed(path).or_exit(Exit::Data)?;
        all.extend(listed.into_iter().map(|(at, name)| (at, name, Exit::Data)));
    }
    if all.is_empty() {
        return Err(Failure::new(Exit::Data, "there are no destinations"));
    }
    let protocol = protocol(args);
    let mta_sts = args.surroundings.sts.mta_sts;
    let mut checked = Vec::new();
    for (at, name, exit) in all {
        let wrong = |failure: Failure| Failure { exit, ..failure };
        check_next_hop(policy, protocol, &name, &at).map_err(wrong)?;
        let destination = name
            .parse()
            .with_context(|| format!("{at} '{name}'"))
            .or_exit(exit)?;
        hints::next_hop(policy, protocol, &name, mta_sts);
        checked.push((name, destination));
    }
    Ok(checked)
}

/// The destinations in a file, each with the place where it stands.
fn listed(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), fs::read(path))
    };
    let bytes = bytes.with_context(|| format!("cannot read {name}"))?;
    let mut all = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let at = format!("{name}, line {number}:");
        let line = std::str::from_utf8(line).with_context(|| format!("{at} no UTF-8"))?;
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            all.push((at, line.to_owned()));
        }
    }
    Ok(all)
}

/// The printed findings. Text comes in the order of the destinations.
struct Page {
    protocol: Protocol,
    json: bool,
    output: Output,
    /// Blocks whose turn has not come.
    waiting: BTreeMap<usize, String>,
    next: usize,
}

impl Page {
    /// Takes a destination. Returns whether what was printed could be written.
    fn take(&mut self, number: usize, look: Look) -> bool {
        let Look { name, seen, sum } = look;
        if self.json {
            let object = json::file(&name, self.protocol, &seen, sum);
            match json_line(&object) {
                Ok(line) => self.output.text(&line),
                Err(error) => {
                    complain(error);
                    false
                }
            };
        } else {
            let mut block: String = seen.iter().map(text::block).collect();
            block.push_str(&format!("{}\n\n", sum.words()));
            self.waiting.insert(number, block);
            while let Some(block) = self.waiting.remove(&self.next) {
                self.output.text(&block);
                self.next += 1;
            }
        }
        self.output.is_sound()
    }

    /// Prints what stands behind one that is missing.
    fn rest(&mut self) {
        for block in std::mem::take(&mut self.waiting).into_values() {
            self.output.text(&block);
        }
    }
}
