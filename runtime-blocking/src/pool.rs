//! Kept connections: the sockets that belong to a [`ConnectionCache`].

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use smtp_policy::{
    channel::Channel,
    reuse::{CacheKey, CacheKeys, ConnectionCache},
};
use smtp_proto::time::Time;

use crate::{client::lock, net::Socket};

/// The connections that no delivery uses at the moment.
///
/// A connection whose time is over is closed without QUIT, as scache(8) does.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cache: ConnectionCache<Socket>,
    /// Whether a thread sees to it that connections are closed in time.
    watched: bool,
}

impl Pool {
    /// Takes a connection that serves `key`, if there is one.
    pub(crate) fn take(&self, key: &CacheKey, now: Time) -> Option<(Socket, Box<Channel>)> {
        lock(&self.state).cache.take(key, now)
    }

    /// Keeps a connection until `expires`, and sees to it that it is then closed.
    pub(crate) fn keep(
        self: &Arc<Self>,
        keys: CacheKeys,
        socket: Socket,
        channel: Box<Channel>,
        expires: Time,
        now: Time,
    ) {
        let mut state = lock(&self.state);
        state.cache.put(keys, socket, channel, expires);
        if !state.watched {
            let pool = Arc::clone(self);
            let thread = thread::Builder::new().name("outpost".to_owned());
            state.watched = thread.spawn(move || pool.watch(now)).is_ok();
        }
        self.changed.notify_all();
    }

    /// Takes all connections out.
    pub(crate) fn drain(&self) -> Vec<(Socket, Box<Channel>)> {
        let all = lock(&self.state).cache.drain();
        self.changed.notify_all();
        all
    }

    /// Closes connections in time until none is left.
    fn watch(&self, now: Time) {
        let start = Instant::now();
        let mut state = lock(&self.state);
        loop {
            let now = now + start.elapsed();
            drop(state.cache.expire(now));
            let Some(deadline) = state.cache.deadline() else {
                break;
            };
            let (back, _) = self
                .changed
                .wait_timeout(state, deadline.since(now))
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
        }
        state.watched = false;
    }
}
