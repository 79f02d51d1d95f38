//! One process for many requests.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    panics,
    server::Server,
    world::{self, Mail, World},
};
use crate::{fatal::Fatal, shared::Leash, worker};

/// A worker, and the guard's side of the leash.
struct Worker {
    path: String,
    guard: UnixStream,
    thread: JoinHandle<Result<(), Fatal>>,
}

impl Worker {
    fn start(world: &World, limit: Option<u32>) -> Self {
        let path = format!("private/smtp{}", world.number);
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (guard, stream) = UnixStream::pair().unwrap();
        let agent = Arc::clone(&world.agent);
        let leash = Leash { listener, stream };
        let thread = thread::spawn(move || worker::work(&agent, leash, limit));
        Self {
            path,
            guard,
            thread,
        }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).unwrap()
    }

    /// Waits for the end, and returns what the guard was told until then.
    fn end(mut self) -> String {
        self.guard
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut told = String::new();
        // It ends with the worker, or not in time.
        self.guard.read_to_string(&mut told).unwrap();
        assert_eq!(self.thread.join().unwrap(), Ok(()));
        told
    }
}

/// Returns whether a connection is greeted in a moment.
fn is_greeted(stream: &mut UnixStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    stream.read(&mut [0; 100]).is_ok_and(|length| length > 0)
}

/// Sends a request over a greeted connection; returns the status.
fn deliver(mut stream: UnixStream, mail: &Mail) -> i32 {
    stream.write_all(&mail.request.encode()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    world::reply(&mut stream).0.unwrap().status
}

#[test]
fn no_more_requests_are_accepted_than_are_allowed_at_once() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let worker = Worker::start(&world, Some(2));
    let (mut first, mut second, mut third) = (worker.connect(), worker.connect(), worker.connect());
    world::greeted(&mut first);
    world::greeted(&mut second);
    assert!(!is_greeted(&mut third));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    assert_eq!((deliver(first, &mail), mail.marks().as_str()), (0, "D"));
    world::greeted(&mut third);
    // One who has changed his mind makes room as well.
    let mut fourth = worker.connect();
    assert!(!is_greeted(&mut fourth));
    drop(second);
    world::greeted(&mut fourth);
    drop((third, fourth));
    worker.guard.shutdown(Shutdown::Write).unwrap();
    assert_eq!(worker.end(), "SL");
}

#[test]
fn a_worker_without_a_guard_finishes_what_it_has_and_accepts_nothing() {
    let (world, server) = (World::new(""), Server::start(&[]));
    for limit in [Some(1), Some(2), None] {
        let worker = Worker::start(&world, limit);
        let mut busy = worker.connect();
        world::greeted(&mut busy);
        worker.guard.shutdown(Shutdown::Write).unwrap();
        // What it says before it finishes.
        let (mut told, mut guard) = ([0; 2], worker.guard.try_clone().unwrap());
        guard
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        guard.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"SL");
        assert!(!worker.thread.is_finished());
        let path = worker.path.clone();
        let late = UnixStream::connect(&path);
        assert!(late.is_err() || !is_greeted(&mut late.unwrap()));
        let mail = world.mail(&server.nexthop(), &["a@test"]);
        assert_eq!((deliver(busy, &mail), mail.marks().as_str()), (0, "D"));
        assert_eq!(worker.end(), "");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_worker_leaves_when_a_table_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("generic");
    fs::write(&table, "x@test y@test\n").unwrap();
    let spec = format!("texthash:{}", table.display());
    let world = World::new(&format!("smtp_generic_maps = {spec}\n"));
    let worker = Worker::start(&world, Some(2));
    let mut first = worker.connect();
    world::greeted(&mut first);
    fs::write(&table, "x@test other@test\n").unwrap();
    let mut second = worker.connect();
    assert!(!is_greeted(&mut second));
    drop(first);
    assert_eq!(worker.end(), "SL");
    assert_eq!(
        world.journal(),
        [format!("log table {spec} has changed -- restarting")]
    );
}

#[test]
fn a_worker_leaves_after_as_many_requests_as_all_processes_would_serve() {
    let world = World::new("max_use = 2\n");
    let worker = Worker::start(&world, Some(2));
    for _ in 0..4 {
        world::greeted(&mut worker.connect());
    }
    assert_eq!(worker.end(), "SL");
}

#[test]
fn a_worker_leaves_when_nobody_comes() {
    let world = World::new("max_idle = 1s\n");
    let worker = Worker::start(&world, None);
    let mut busy = worker.connect();
    world::greeted(&mut busy);
    // It is not idle while somebody is there.
    thread::sleep(Duration::from_millis(1500));
    assert!(!worker.thread.is_finished());
    drop(busy);
    let since = Instant::now();
    assert_eq!(worker.end(), "SL");
    assert!(
        since.elapsed() >= Duration::from_millis(900),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_thread_lives_on_after_a_panic() {
    let (world, good) = (panics::world(), Server::start(&[]));
    let bad = Server::start(&[("MAIL", "250 trap")]);
    let worker = Worker::start(&world, Some(1));
    for _ in 0..3 {
        for (server, result) in [(&bad, (-1, "R")), (&good, (0, "D"))] {
            let mail = world.mail(&server.nexthop(), &["a@test"]);
            let mut stream = worker.connect();
            world::greeted(&mut stream);
            assert_eq!((deliver(stream, &mail), mail.marks().as_str()), result);
        }
    }
    worker.guard.shutdown(Shutdown::Write).unwrap();
    assert_eq!(worker.end(), "SL");
}
