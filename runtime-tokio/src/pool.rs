//! Kept connections: the sockets that belong to a [`ConnectionCache`].

use std::sync::{Arc, Mutex};

use smtp_policy::{
    channel::Channel,
    reuse::{CacheKey, CacheKeys, ConnectionCache},
};
use smtp_proto::time::Time;
use tokio::{task, time};

use crate::{client::lock, net::Socket};

/// The connections that no delivery uses at the moment.
///
/// A connection whose time is over is closed without QUIT, as scache(8) does.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    cache: Mutex<ConnectionCache<Socket>>,
}

impl Pool {
    /// Takes a connection that serves `key`, if there is one.
    pub(crate) fn take(&self, key: &CacheKey, now: Time) -> Option<(Socket, Box<Channel>)> {
        lock(&self.cache).take(key, now)
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
        lock(&self.cache).put(keys, socket, channel, expires);
        let pool = Arc::downgrade(self);
        task::spawn(async move {
            time::sleep(expires.since(now)).await;
            if let Some(pool) = pool.upgrade() {
                drop(lock(&pool.cache).expire(expires));
            }
        });
    }

    /// Takes all connections out.
    pub(crate) fn drain(&self) -> Vec<(Socket, Box<Channel>)> {
        lock(&self.cache).drain()
    }
}
