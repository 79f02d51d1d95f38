//! Runs futures on one thread, in an order that follows from nothing but what they do, in a time that passes only where
//! all of them wait. What runs belongs to processes, which can be killed and stopped for a while.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A process: what is killed and stopped as one. The first is the world, which is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(pub(crate) u32);

pub(crate) const WORLD: Process = Process(0);

#[derive(Clone, Default)]
pub(crate) struct Exec(Arc<Shared>);

#[derive(Default)]
struct Shared {
    now: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<u64>,
    jobs: BTreeMap<u64, Entry>,
    timers: BinaryHeap<Reverse<(i64, u64)>>,
    wakers: BTreeMap<u64, Waker>,
    stopped: BTreeMap<Process, Vec<u64>>,
    doomed: Vec<Process>,
    next: u64,
}

struct Entry {
    process: Process,
    job: Option<Job>,
    waker: Waker,
    queued: bool,
}

struct Alarm {
    shared: Arc<Shared>,
    id: u64,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.shared.state.lock().unwrap();
        let state = &mut *state;
        if let Some(entry) = state.jobs.get_mut(&self.id).filter(|entry| !entry.queued) {
            entry.queued = true;
            state.ready.push_back(self.id);
        }
    }
}

impl Exec {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Microseconds since the beginning.
    pub(crate) fn now(&self) -> i64 {
        self.0.now.load(Ordering::Relaxed)
    }

    pub(crate) fn spawn(&self, process: Process, job: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        state.next += 1;
        let id = state.next;
        let alarm = Alarm {
            shared: Arc::clone(&self.0),
            id,
        };
        let entry = Entry {
            process,
            job: Some(Box::pin(job)),
            waker: Waker::from(Arc::new(alarm)),
            queued: true,
        };
        state.jobs.insert(id, entry);
        state.ready.push_back(id);
    }

    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2);
        Sleep {
            exec: self.clone(),
            until: self.now().saturating_add(micros),
            id: None,
        }
    }

    /// Ends a process as soon as what runs now waits.
    pub(crate) fn kill(&self, process: Process) {
        self.state().doomed.push(process);
    }

    /// Stops a process for a while, as SIGSTOP does.
    pub(crate) fn stop(&self, process: Process, time: Duration) {
        self.state().stopped.entry(process).or_default();
        let (exec, sleep) = (self.clone(), self.sleep(time));
        self.spawn(WORLD, async move {
            sleep.await;
            let mut state = exec.state();
            let waiting = state.stopped.remove(&process).unwrap_or_default();
            state.ready.extend(waiting);
        });
    }

    /// Goes on until a time, or until `enough`. Returns false when nothing waits for anything any more.
    pub(crate) fn run(&self, until: i64, enough: impl Fn() -> bool) -> bool {
        while !enough() {
            self.bury();
            let Some(id) = self.next_ready() else {
                match self.next_timer(until) {
                    Some(waker) => waker.wake(),
                    None => return false,
                }
                continue;
            };
            let Some((mut job, waker)) = self.take(id) else {
                continue;
            };
            let polled = job.as_mut().poll(&mut Context::from_waker(&waker));
            let mut state = self.state();
            match (polled, state.jobs.get_mut(&id)) {
                (Poll::Pending, Some(entry)) => entry.job = Some(job),
                _ => {
                    let entry = state.jobs.remove(&id);
                    drop(state);
                    drop((entry, job));
                }
            }
        }
        true
    }

    /// Returns whether anything of a process is left.
    pub(crate) fn is_alive(&self, process: Process) -> bool {
        let state = self.state();
        state.jobs.values().any(|entry| entry.process == process)
    }

    /// Drops everything.
    pub(crate) fn end(&self) {
        let state = core::mem::take(&mut *self.state());
        drop(state);
    }

    fn next_ready(&self) -> Option<u64> {
        let mut state = self.state();
        let state = &mut *state;
        loop {
            let id = state.ready.pop_front()?;
            let Some(entry) = state.jobs.get(&id) else {
                continue;
            };
            match state.stopped.get_mut(&entry.process) {
                Some(waiting) => waiting.push(id),
                None => return Some(id),
            }
        }
    }

    fn take(&self, id: u64) -> Option<(Job, Waker)> {
        let mut state = self.state();
        let entry = state.jobs.get_mut(&id)?;
        entry.queued = false;
        Some((entry.job.take()?, entry.waker.clone()))
    }

    fn next_timer(&self, until: i64) -> Option<Waker> {
        let mut state = self.state();
        loop {
            let Reverse((at, id)) = state.timers.pop()?;
            if let Some(waker) = state.wakers.remove(&id) {
                if at > until {
                    return None;
                }
                self.0.now.store(at.max(self.now()), Ordering::Relaxed);
                return Some(waker);
            }
        }
    }

    /// Drops what belonged to killed processes.
    fn bury(&self) {
        loop {
            let mut state = self.state();
            let Some(process) = state.doomed.pop() else {
                return;
            };
            let jobs = state.jobs.iter();
            let ids: Vec<u64> = jobs
                .filter(|(_, entry)| entry.process == process)
                .map(|(id, _)| *id)
                .collect();
            let dead: Vec<Entry> = ids.iter().filter_map(|id| state.jobs.remove(id)).collect();
            drop(state);
            drop(dead);
        }
    }
}

/// A wait.
pub(crate) struct Sleep {
    exec: Exec,
    until: i64,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.exec.now() >= self.until {
            return Poll::Ready(());
        }
        let exec = self.exec.clone();
        let mut state = exec.state();
        let id = match self.id {
            Some(id) => id,
            None => {
                state.next += 1;
                let id = state.next;
                state.timers.push(Reverse((self.until, id)));
                self.id = Some(id);
                id
            }
        };
        state.wakers.insert(id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = self.exec.state().wakers.remove(&id);
            drop(waker);
        }
    }
}
