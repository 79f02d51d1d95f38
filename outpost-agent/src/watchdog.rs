//! The watchdog: a process in which nothing moves any more ends, with a line in the log (`src/util/watchdog.c`).
//!
//! Whoever serves a request is watched from the time that it is accepted to the end of its connection, and whoever accepts while it
//! looks at files. Progress is whatever they wait for and get: a piece of the request, an event of the delivery, an answer of another
//! process. It counts for the one who makes it: a process that others still use must not keep one for ever that stands in
//! a file system.

use std::{
    process,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    agent::Agent,
    fatal::Fatal,
    log::{Log, Severity},
};

/// The number of looks in `daemon_timeout`. The clock of looks stands still where the machine does, and jumps with no clock.
const LOOKS: u32 = 3;
/// The looks in a row at which one who has not moved counts as stuck: one more, since a delivery that outlasts
/// `daemon_timeout` is given up by itself, and is to be reported then.
const STILL: u32 = LOOKS + 1;
/// The time that the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Everybody in a process who is to make progress.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    watched: Mutex<Vec<Patient>>,
}

/// Somebody's signs of life.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    is_over: AtomicBool,
}

/// Watched for as long as it lives.
#[derive(Debug)]
pub(crate) struct Watched(Arc<Pulse>);

#[derive(Debug)]
struct Patient {
    pulse: Arc<Pulse>,
    /// The beats at the last look.
    beats: u64,
    /// The looks since it has moved.
    still: u32,
}

/// The state of those who are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// All have moved, or nobody is there.
    Well,
    /// Some are stuck, and others are not.
    Some,
    /// All are stuck.
    All,
}

impl Pulse {
    /// Counts as progress.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watched {
    /// The pulse, for those who work for the one who is watched.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.0)
    }

    /// Counts as progress.
    pub(crate) fn beat(&self) {
        self.0.beat();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Watchdog {
    /// Watches whoever calls this.
    pub(crate) fn watch(&self) -> Watched {
        let pulse = Arc::<Pulse>::default();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody but the next look would clear away those who are done, and that may be hours from now.
        watched.retain(Patient::is_there);
        watched.push(Patient {
            pulse: Arc::clone(&pulse),
            beats: 0,
            still: 0,
        });
        Watched(pulse)
    }

    fn look(&self) -> Finding {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(Patient::is_there);
        for patient in &mut *watched {
            patient.look();
        }
        let stuck = watched.iter().filter(|one| one.still >= STILL).count();
        match stuck {
            0 => Finding::Well,
            _ if stuck < watched.len() => Finding::Some,
            _ => Finding::All,
        }
    }
}

impl Patient {
    fn is_there(&self) -> bool {
        !self.pulse.is_over.load(Ordering::Relaxed)
    }

    fn look(&mut self) {
        let beats = self.pulse.beats.load(Ordering::Relaxed);
        self.still = match beats == self.beats {
            true => self.still.saturating_add(1),
            false => 0,
        };
        self.beats = beats;
    }
}

/// Watches over the requests of a process. `leave` is called as soon as one of them is stuck: nothing more is to be
/// accepted. The process ends when all that are left are.
///
/// # Errors
/// The system refuses a thread.
pub(crate) fn start(
    agent: &Arc<Agent>,
    mut leave: impl FnMut() + Send + 'static,
) -> Result<(), Fatal> {
    let step = agent.daemon_timeout() / LOOKS;
    let agent = Arc::downgrade(agent);
    let watch = move || {
        loop {
            thread::sleep(step);
            let Some(agent) = Weak::upgrade(&agent) else {
                return;
            };
            match agent.watchdog.look() {
                Finding::Well => {}
                Finding::Some => leave(),
                Finding::All => end(&agent.log),
            }
        }
    };
    let thread = thread::Builder::new().name("watchdog".to_owned());
    let started = thread.spawn(watch);
    started.map_err(|error| Fatal::new(format!("start watchdog: {error}")))?;
    Ok(())
}

/// Ends the process as a fatal error does, even if what it stands in holds up the log as well.
fn end(log: &Log) -> ! {
    let impatient = thread::Builder::new().spawn(|| {
        thread::sleep(LAST_WORDS);
        process::abort();
    });
    // Without that thread there is nobody to end what a last word might wait for.
    if impatient.is_ok() {
        log.record(Severity::Fatal, &"watchdog timeout");
        log.flush(Duration::from_secs(1));
    }
    process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(watchdog: &Watchdog, count: u32) -> Finding {
        (0..count).fold(Finding::Well, |_, _| watchdog.look())
    }

    #[test]
    fn nobody_is_stuck_where_nobody_is_watched() {
        let watchdog = Watchdog::default();
        assert_eq!(looks(&watchdog, 2 * STILL), Finding::Well);
        drop(watchdog.watch());
        assert_eq!(looks(&watchdog, 2 * STILL), Finding::Well);
    }

    #[test]
    fn one_who_moves_from_time_to_time_is_not_stuck() {
        let watchdog = Watchdog::default();
        let watched = watchdog.watch();
        for _ in 0..3 {
            assert_eq!(looks(&watchdog, STILL - 1), Finding::Well);
            watched.pulse().beat();
            assert_eq!(looks(&watchdog, 1), Finding::Well);
        }
        assert_eq!(looks(&watchdog, STILL), Finding::All);
    }

    #[test]
    fn the_progress_of_one_is_none_of_another() {
        let watchdog = Watchdog::default();
        let (_stuck, alive) = (watchdog.watch(), watchdog.watch());
        assert_eq!(looks(&watchdog, STILL - 1), Finding::Well);
        alive.beat();
        assert_eq!(looks(&watchdog, 1), Finding::Some);
        alive.beat();
        assert_eq!(looks(&watchdog, STILL), Finding::Some);
        drop(alive);
        assert_eq!(looks(&watchdog, 1), Finding::All);
    }
}
