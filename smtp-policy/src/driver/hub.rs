//! The hub: all that the deliveries of one client share.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use smtp_proto::time::Time;

use super::{
    Seeds,
    bell::{Bell, lock},
    inquiries::Inquiries,
    line::say_quit,
    turns::{Destination, Place, Turns},
};
use crate::{
    Protocol,
    channel::Channel,
    delivery::TableQuery,
    policy::Policy,
    request::Request,
    reuse::{CacheKey, CacheKeys, ConnectionCache},
    tables::{AsyncTable, NamedTable, Table, TableFailure},
};

/// The number of locks that the turns at destinations are spread over.
const SHARDS: usize = 16;

/// All that the deliveries of one client share: the policy, the turns at destinations, the
/// kept connections with their sockets of type `S`, the tables that were added by name,
/// the questions under way, and chance.
///
/// It opens no socket, reads no clock and starts nothing by itself. A driver gives it to
/// each [`Job`](super::Job). Its locks are held for a moment only, never while anything
/// is waited for, and never while a waker is called.
#[derive(Debug)]
pub struct Hub<S> {
    policy: Arc<Policy>,
    epoch: Duration,
    seeds: Mutex<Seeds>,
    turns: [Mutex<Turns<Arc<Bell>>>; SHARDS],
    pool: Mutex<Pool<S>>,
    tables: Mutex<BTreeMap<String, NamedTable>>,
    pub(super) inquiries: Inquiries,
    cancelled: AtomicBool,
}

/// The connections that no delivery uses at the moment.
#[derive(Debug)]
struct Pool<S> {
    cache: ConnectionCache<S>,
    /// When somebody will come to close those whose time is over.
    visit: Option<Time>,
}

impl<S> Hub<S> {
    /// A hub without kept connections. `seed` decides what is left to chance; `epoch` is
    /// what the driver's [`Time::ZERO`] is in Unix time.
    pub fn new(policy: Arc<Policy>, seed: u64, epoch: Duration) -> Self {
        Self {
            policy,
            epoch,
            seeds: Mutex::new(Seeds::new(seed)),
            turns: Default::default(),
            pool: Mutex::new(Pool {
                cache: ConnectionCache::new(),
                visit: None,
            }),
            tables: Mutex::default(),
            inquiries: Inquiries::default(),
            cancelled: AtomicBool::new(false),
        }
    }

    /// The policy of all deliveries.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The Unix time of the driver's [`Time::ZERO`].
    pub const fn epoch(&self) -> Duration {
        self.epoch
    }

    /// A seed for one delivery or one DNS lookup.
    pub fn seed(&self) -> u64 {
        lock(&self.seeds).draw()
    }

    /// Answers look-ups in `external:NAME` from `table`, which may hold up the thread that asks it. It
    /// takes the place of another one of that name. Look-ups in a name that was not added fail, which
    /// defers the mail.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        self.add(name.into(), NamedTable::Blocking(table));
    }

    /// The same from a table that is awaited.
    pub fn add_async_table(&self, name: impl Into<String>, table: Arc<dyn AsyncTable>) {
        self.add(name.into(), NamedTable::Async(table));
    }

    fn add(&self, name: String, table: NamedTable) {
        lock(&self.tables).insert(name, table);
    }

    /// Ends all jobs politely: recipients without a verdict are deferred, and the servers
    /// hear QUIT where the dialogue allows it. Later jobs end at once. There is no way
    /// back.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        for shard in &self.turns {
            let bells = lock(shard).everybody();
            for bell in bells {
                bell.ring();
            }
        }
    }

    /// Returns whether all jobs were told to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Closes the kept connections whose time is over, without QUIT, as scache(8) does.
    /// To be called when [`Act::Expire`](super::Act::Expire) says so; returns when to come
    /// again. `None`: there is nothing more to come for, or somebody else will.
    pub fn expire(&self, now: Time) -> Option<Time> {
        let mut pool = lock(&self.pool);
        let due = pool.cache.expire(now);
        if pool.visit.is_none_or(|visit| visit <= now) {
            pool.visit = pool.cache.deadline();
        } else {
            drop(pool);
            return None;
        }
        let next = pool.visit;
        drop(pool);
        drop(due);
        next
    }

    /// Closes the kept connections without a word, as scache(8) does when it ends. So
    /// does dropping the hub.
    pub fn hang_up(&self) {
        let all = lock(&self.pool).cache.drain();
        drop(all);
    }

    /// The number of connections that are kept.
    pub fn kept(&self) -> usize {
        lock(&self.pool).cache.len()
    }

    /// Takes a connection that serves `key`, if there is one.
    pub(super) fn take(&self, key: &CacheKey, now: Time) -> Option<(S, Box<Channel>)> {
        lock(&self.pool).cache.take(key, now)
    }

    /// Keeps a connection until `expires`. Returns when somebody has to come who would
    /// not come by then.
    pub(super) fn keep(
        &self,
        keys: CacheKeys,
        socket: S,
        channel: Box<Channel>,
        expires: Time,
    ) -> Option<Time> {
        let mut pool = lock(&self.pool);
        pool.cache.put(keys, socket, channel, expires);
        if pool.visit.is_some_and(|visit| visit <= expires) {
            return None;
        }
        pool.visit = Some(expires);
        pool.visit
    }

    /// Asks for a turn at the destination of a request, where at most
    /// `transport_destination_concurrency_limit` deliveries run at a time. The second is
    /// whether it has come at once; otherwise `bell` tells.
    pub(super) fn enter(&self, request: &Request, bell: &Arc<Bell>) -> (Place, bool) {
        let limit = self.policy.settings(request.protocol).limits.concurrency;
        let destination = Destination::new(request.protocol, &request.nexthop);
        lock(self.turns_at(&destination)).enter(destination, limit, Arc::clone(bell))
    }

    /// Gives a place back, whether its turn had come or not, and passes the turn on.
    pub(super) fn leave(&self, place: &Place) {
        let next = lock(self.turns_at(&place.destination)).leave(place);
        if let Some(next) = next {
            next.give_turn();
        }
    }

    fn turns_at(&self, destination: &Destination) -> &Mutex<Turns<Arc<Bell>>> {
        let mut hasher = DefaultHasher::new();
        destination.hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        let [first, ..] = &self.turns;
        self.turns.get(number).unwrap_or(first)
    }

    /// The most recipients of a delivery (`transport_destination_recipient_limit`); zero
    /// is no limit.
    pub(super) fn recipient_limit(&self, protocol: Protocol) -> u32 {
        self.policy.settings(protocol).limits.recipients
    }

    /// The table that a question is for.
    pub(super) fn table(&self, query: &TableQuery) -> Result<NamedTable, TableFailure> {
        let table = lock(&self.tables).get(&query.table).cloned();
        table.ok_or_else(|| TableFailure {
            table: format!("external:{}", query.table),
            reason: "no such table was added to the client".to_owned(),
        })
    }
}

impl<S: Read + Write> Hub<S> {
    /// Says QUIT on the kept connections and closes them. No server is waited for: one
    /// that takes no more bytes does not hear it, and no reply is read.
    pub fn close(&self, now: Time) {
        let all = lock(&self.pool).cache.drain();
        for (socket, channel) in all {
            say_quit(socket, channel, now);
        }
    }
}
