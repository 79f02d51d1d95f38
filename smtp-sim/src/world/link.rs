//! One connection of a world: two directions with latency, chunking and faults, and
//! the server at the other end.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use smtp_proto::Time;

use super::{near::Near, tap::Tap, trace::Trace};
use crate::peer::{Deed, Peer};

/// How a connection treats what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How long a byte is on its way, in each direction.
    pub latency: Duration,
    /// By how much more that can be, anew for each segment. Segments of one
    /// connection stay in order, those of different connections do not.
    pub jitter: Duration,
    /// The most bytes that one read or write moves, from one on; zero throws dice
    /// for each, between one byte and 64 KiB.
    pub piece: usize,
    /// How many bytes may be on their way to the server, or lie there unread, at
    /// least one.
    pub window: usize,
    /// A server that reads slowly takes so many bytes at a time, with so long a
    /// pause after it.
    pub slow: Option<(usize, Duration)>,
    /// What ends the connection's life.
    pub cut: Option<Cut>,
}

impl Default for Shape {
    /// A quick and reliable connection.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            piece: usize::MAX,
            window: 64 * 1024,
            slow: None,
            cut: None,
        }
    }
}

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whether the bytes to the server are counted, or those to the client.
    pub up: bool,
    /// After how many bytes.
    pub after: u64,
    /// Whether both ends learn of it (a reset), or nothing arrives any more (a
    /// black hole).
    pub reset: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// What is on its way, with the time at which it arrives.
    segments: VecDeque<(Time, Vec<u8>)>,
    /// When the last segment arrives.
    last: Time,
    /// Bytes that were put in, ever.
    pub(super) carried: u64,
    /// Bytes on their way.
    flying: usize,
}

impl Pipe {
    fn put(&mut self, bytes: &[u8], at: Time) -> Time {
        self.last = self.last.max(at);
        self.carried += bytes.len() as u64;
        self.flying += bytes.len();
        match self.segments.back_mut() {
            Some((time, segment)) if *time == self.last => segment.extend_from_slice(bytes),
            _ => self.segments.push_back((self.last, bytes.to_vec())),
        }
        self.last
    }

    fn take(&mut self, now: Time) -> Option<Vec<u8>> {
        if self.segments.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, bytes) = self.segments.pop_front()?;
        self.flying -= bytes.len();
        Some(bytes)
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.segments.front().map(|(at, _)| *at)
    }
}

/// How a direction to the client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server sends nothing more.
    Shut,
    /// The server is gone.
    Closed,
    /// The connection is broken.
    Reset,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    /// The host that it leads to, by its place in the world.
    pub(super) host: usize,
    pub(super) peer: Peer,
    pub(super) shape: Shape,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// The client's end.
    near: Near,
    /// Bytes that the client has read, ever.
    pub(super) read: u64,
    /// The end that is on its way to the client.
    ending: Option<(Time, End)>,
    /// The end has come, and whoever has the connection was woken.
    ended: bool,
    /// Arrived at the server, and not read yet.
    unread: BytesMut,
    next_read: Time,
    /// Nothing gets through any more.
    hole: bool,
    /// The client closed it, and when it did.
    pub(super) closed: Option<Time>,
    /// When the client or its bytes did something last.
    pub(super) stirred: Time,
    /// The longest time in which the client heard nothing and wrote nothing, while
    /// a delivery had the connection.
    pub(super) quiet: Duration,
    /// What it waited for.
    pub(super) tap: Tap,
    /// Whether it is in the connection cache.
    pub(super) kept: bool,
    /// The deliveries that had it.
    pub(super) jobs: Vec<usize>,
    pub(super) armed: Option<Time>,
}

impl Link {
    pub(super) fn new(host: usize, peer: Peer, shape: Shape, now: Time, near: Near) -> Self {
        let link = Self {
            host,
            tap: Tap::new(peer.temper(), now),
            peer,
            shape,
            up: Pipe::default(),
            down: Pipe::default(),
            near,
            read: 0,
            ending: None,
            ended: false,
            unread: BytesMut::new(),
            next_read: now,
            hole: false,
            closed: None,
            stirred: now,
            quiet: Duration::ZERO,
            kept: false,
            jobs: Vec::new(),
            armed: None,
        };
        link.tell_near();
        link
    }

    fn piece(&mut self) -> usize {
        let far = self.up.carried.max(self.read);
        self.near.lock().piece(far)
    }

    fn arrival(&mut self, now: Time) -> Time {
        let jitter = self.near.lock().chance.time(self.shape.jitter);
        now + self.shape.latency + jitter
    }

    /// Notes that the client has heard or done something.
    pub(super) fn stir(&mut self, now: Time) {
        if !self.kept && self.closed.is_none() {
            let quiet = now.since(self.stirred);
            self.quiet = self.quiet.max(quiet);
            self.tap.waited(quiet, now);
        }
        self.stirred = now;
    }

    /// Takes down what the client has read.
    pub(super) fn heard(&mut self, bytes: &[u8], now: Time, trace: &mut Trace) {
        trace.bytes(now, false, bytes);
        self.read += bytes.len() as u64;
        self.stir(now);
        self.tap.heard(bytes, now);
    }

    /// Takes what the client has written on its way.
    pub(super) fn said(&mut self, bytes: &[u8], now: Time, trace: &mut Trace) {
        let at = self.arrival(now);
        trace.bytes(now, true, bytes);
        self.up.put(bytes, at);
        self.stir(now);
        self.tap.said(bytes, now);
    }

    /// Tells the client's end what there is to read, and how much can be written.
    pub(super) fn tell_near(&self) {
        let window = self.shape.window;
        let mut near = self.near.lock();
        near.room = window.saturating_sub(self.up.flying + self.unread.len());
        near.carried = self.up.carried.max(self.read);
        let ending = self
            .ending
            .filter(|_| self.ended && self.down.segments.is_empty());
        near.over = ending.is_some();
        near.gone = self.ended && self.ending.is_some_and(|(_, end)| end != End::Shut);
    }

    /// The client closes.
    pub(super) fn close(&mut self, now: Time) {
        if !self.kept && !self.near.lock().told && self.closed.is_none() {
            self.tap.left(now.since(self.stirred), now);
        }
        self.stir(now);
        self.closed.get_or_insert(now);
    }

    /// Does what is due on the way and at the server. Returns whether the client
    /// has something to hear, or has room to write again.
    pub(super) fn run(&mut self, now: Time) -> bool {
        let mut news = false;
        while let Some(bytes) = self.up.take(now) {
            let through = self.let_through(&bytes, true, self.up.carried - self.up.flying as u64);
            self.unread
                .extend_from_slice(bytes.get(..through).unwrap_or_default());
            if self.hole {
                self.unread.clear();
            }
            news = true;
        }
        news |= self.serve(now);
        let silent = self.up.segments.is_empty() && self.unread.is_empty();
        if self.closed.is_some() && silent {
            self.peer.disconnected(now);
        }
        self.listen(now);
        while let Some(bytes) = self.down.take(now) {
            let end = self.down.carried - self.down.flying as u64;
            let through = self.let_through(&bytes, false, end);
            if self.closed.is_none() {
                let bytes = bytes.get(..through).unwrap_or_default();
                self.near.lock().ready.extend_from_slice(bytes);
            }
            news = true;
        }
        if self.ending.is_some_and(|(at, _)| at <= now) && !self.ended {
            self.ended = true;
            news = true;
        }
        self.tell_near();
        news
    }

    /// How many of these bytes, the last of which is number `end`, get through.
    fn let_through(&mut self, bytes: &[u8], up: bool, end: u64) -> usize {
        if self.hole {
            return 0;
        }
        let Some(cut) = self.shape.cut.filter(|cut| cut.up == up && end > cut.after) else {
            return bytes.len();
        };
        let begin = end - bytes.len() as u64;
        let through = usize::try_from(cut.after.saturating_sub(begin)).unwrap_or(0);
        self.hole = true;
        if cut.reset {
            self.down.segments.clear();
            self.down.flying = 0;
            self.ending = Some((self.up.last.max(self.down.last), End::Reset));
            let at = self.ending.map_or(Time::ZERO, |(at, _)| at);
            self.peer.disconnected(at);
        }
        through
    }

    /// Lets the server read.
    fn serve(&mut self, now: Time) -> bool {
        let mut moved = false;
        while !self.unread.is_empty() && self.next_read <= now {
            let piece = self.piece();
            let most = match self.shape.slow {
                Some((bytes, pause)) => {
                    self.next_read = now + pause;
                    bytes.min(piece)
                }
                None => piece,
            };
            let count = most.min(self.unread.len());
            let bytes = self.unread.split_to(count);
            self.peer.receive(&bytes, now);
            moved = true;
        }
        moved
    }

    /// Takes what the server does.
    fn listen(&mut self, now: Time) {
        while let Some(deed) = self.peer.poll(now) {
            let at = self.arrival(now);
            let end = match deed {
                Deed::Say(bytes) => {
                    if !self.hole {
                        self.down.put(&bytes, at);
                    }
                    continue;
                }
                Deed::Shutdown => End::Shut,
                Deed::Close => End::Closed,
                Deed::Reset => End::Reset,
            };
            if !self.hole {
                self.ending = Some((self.down.last.max(at), end));
            }
        }
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Time> {
        let end = self.ending.filter(|_| !self.ended);
        let slow = (!self.unread.is_empty()).then_some(self.next_read);
        let due = [
            self.up.due(),
            self.down.due(),
            self.peer.due(),
            end.map(|(at, _)| at),
            slow,
        ];
        due.into_iter().flatten().min()
    }
}
