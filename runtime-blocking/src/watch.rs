//! The thread that closes kept connections when their time is over.

use std::{
    sync::{
        Mutex, PoisonError, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Instant,
};

use smtp_policy::driver::Hub;
use smtp_proto::time::Time;

use crate::net::Socket;

/// The thread of one client, if it was needed yet. It ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Watcher(Mutex<Option<Sender<Time>>>);

impl Watcher {
    /// Has the thread look at the kept connections at this time, and whenever the hub says
    /// then. Time began at `start`.
    pub(crate) fn watch(&self, start: Instant, hub: Weak<Hub<Socket>>, from: Time) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.as_ref().is_some_and(|line| line.send(from).is_ok()) {
            return;
        }
        let (sender, times) = mpsc::channel();
        let thread = thread::Builder::new().name("outpost".to_owned());
        match thread.spawn(move || look_after(start, &hub, from, &times)) {
            Ok(_) => *line = Some(sender),
            Err(error) => {
                tracing::warn!(target: "outpost", "cannot start a thread: {error}");
            }
        }
    }
}

fn look_after(start: Instant, hub: &Weak<Hub<Socket>>, from: Time, times: &Receiver<Time>) {
    let mut next = Some(from);
    loop {
        let now = Time::at(start.elapsed());
        let news = match next {
            Some(at) => times.recv_timeout(at.since(now)),
            None => times.recv().map_err(RecvTimeoutError::from),
        };
        match news {
            Ok(at) => next = Some(next.map_or(at, |next| next.min(at))),
            Err(RecvTimeoutError::Timeout) => {
                let Some(hub) = hub.upgrade() else { return };
                next = hub.expire(Time::at(start.elapsed()));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
