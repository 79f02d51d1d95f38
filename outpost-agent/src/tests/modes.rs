//! Both ways of running: what is wrong with one request does no harm to the next.

use std::{
    fs::File,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use postfix_ipc::{
    command_line::Mode,
    status::{Availability, Generation, StatusMessage},
};

use super::{
    requests::{COMMON, RECIPIENT, with},
    server::Server,
    world::{self, Mail, World},
};
use crate::{
    classic,
    fatal::Fatal,
    inherited::{Inherited, StatusChannel},
    shared::Leash,
    worker,
};

/// A process that accepts requests.
struct Process {
    path: String,
    /// The end that master(8) has of a process, or the guard of a worker.
    above: UnixStream,
    thread: JoinHandle<Result<(), Fatal>>,
}

impl Process {
    fn start(world: &World, mode: Mode) -> Self {
        let path = format!("private/{mode:?}{}", world.number);
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (above, stream) = UnixStream::pair().unwrap();
        let agent = Arc::clone(&world.agent);
        let thread = thread::spawn(move || match mode {
            Mode::Classic => {
                let status = StatusChannel::new(stream, Generation(8));
                classic::run(&agent, Inherited { listener, status }, None)
            }
            Mode::Shared => worker::work(&agent, Leash { listener, stream }, Some(2)),
        });
        Self {
            path,
            above,
            thread,
        }
    }

    /// Hands in a request that ends there, and returns the status; `None` if there is no reply.
    fn serve(&self, request: &[u8]) -> Option<i32> {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        world::greeted(&mut stream);
        // What is too long is not read to its end.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(Shutdown::Write);
        world::reply(&mut stream).0.map(|reply| reply.status)
    }

    /// Takes away what is above the process. Returns what was heard there, and how the process has ended.
    fn end(mut self) -> (Vec<u8>, Result<(), Fatal>) {
        // It may have ended by itself.
        let _ = self.above.shutdown(Shutdown::Write);
        let mut told = Vec::new();
        self.above.read_to_end(&mut told).unwrap();
        (told, self.thread.join().unwrap())
    }
}

/// Requests that cannot be served: cut off, in the wrong order, from the future, too long; with the last warning.
fn bad(mail: &Mail) -> Vec<(Vec<u8>, &'static str)> {
    let whole = mail.request.encode();
    let cut = |length: usize| whole[..length].to_vec();
    let long = [&b"sender\0"[..], &vec![b'x'; 100_000_000], b"\0"].concat();
    let endless = vec![b'x'; 100_000_000];
    let order = &b"queue_name\0active\0flags\x003\0"[..];
    vec![
        (cut(1), COMMON),
        (cut(100), COMMON),
        (cut(whole.len() - 1), RECIPIENT),
        (
            with(mail, b"flags\x003\0queue_name\0active\0", order),
            COMMON,
        ),
        (with(mail, b"smtputf8\x000\0", b""), COMMON),
        (
            with(mail, b"smtputf8\x000\0", b"smtputf8\x000\0sendopts\x000\0"),
            COMMON,
        ),
        (with(mail, b"smtputf8\x000\0", b"newopts\x000\0"), COMMON),
        (
            with(
                mail,
                b"notify_flags\x000\0",
                b"notify_flags\x000\0new\x001\0",
            ),
            RECIPIENT,
        ),
        (with(mail, b"sender\0from@test\0", &long), COMMON),
        (with(mail, b"recipient\0a@test\0", &long), RECIPIENT),
        (endless, COMMON),
        (vec![0; 100_000], COMMON),
    ]
}

#[test]
fn a_request_that_is_not_as_it_should_be_leaves_the_next_alone() {
    for mode in [Mode::Classic, Mode::Shared] {
        let (world, server) = (World::new(""), Server::start(&[]));
        let process = Process::start(&world, mode);
        let mail = world.mail(&server.nexthop(), &["a@test"]);
        let requests = bad(&mail);
        let count = requests.len();
        for (number, (bytes, text)) in requests.into_iter().enumerate() {
            assert_eq!(process.serve(&bytes), Some(-1), "{mode:?} {number}");
            let warning = format!("log warning: {text}");
            assert_eq!(world.journal().last(), Some(&warning), "{mode:?} {number}");
        }
        assert_eq!(process.serve(b""), None);
        assert_eq!((server.heard().len(), mail.marks().as_str()), (0, "R"));
        // TLS-Required: no, which Postfix 3.10 knows.
        let recent = with(&mail, b"smtputf8\x000\0", b"sendopts\x0016\0");
        assert_eq!(
            (process.serve(&recent), mail.marks().as_str()),
            (Some(0), "D")
        );
        let (told, ended) = process.end();
        assert_eq!(ended, Ok(()));
        match mode {
            Mode::Shared => assert_eq!(told, b"SL"),
            Mode::Classic => assert_eq!(
                states(&told),
                [Availability::Taken, Availability::Available].repeat(count + 2)
            ),
        }
    }
}

/// The messages that master(8) was sent.
fn states(told: &[u8]) -> Vec<Availability> {
    let messages = told.chunks(StatusMessage::SIZE);
    let messages = messages.map(|message| StatusMessage::decode(message).unwrap());
    messages.map(|message| message.availability).collect()
}

#[test]
fn a_locked_queue_file_ends_a_process_that_serves_nobody_else() {
    for mode in [Mode::Classic, Mode::Shared] {
        let (world, server) = (World::new(""), Server::start(&[]));
        let process = Process::start(&world, mode);
        let (held, other) = (
            world.mail(&server.nexthop(), &["a@test"]),
            world.mail(&server.nexthop(), &["b@test"]),
        );
        let file = File::open(held.path()).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        // The queue manager is told nothing, so that it tries again later.
        assert_eq!(process.serve(&held.request.encode()), None);
        let text = format!(
            "shared lock active/{}: Resource temporarily unavailable",
            held.id
        );
        if mode == Mode::Classic {
            let (told, ended) = process.end();
            assert_eq!(ended.unwrap_err().to_string(), text);
            // What it was is for master(8) to see.
            assert_eq!(states(&told), [Availability::Taken]);
            continue;
        }
        assert_eq!(world.journal(), [format!("log error: {text}")]);
        assert_eq!(
            (
                process.serve(&other.request.encode()),
                other.marks().as_str()
            ),
            (Some(0), "D")
        );
        drop(lock);
        assert_eq!(
            (process.serve(&held.request.encode()), held.marks().as_str()),
            (Some(0), "D")
        );
        assert_eq!(process.end(), (b"SL".to_vec(), Ok(())));
    }
}

#[test]
fn what_is_left_to_log_is_written_before_the_next_request() {
    for mode in [Mode::Classic, Mode::Shared] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("log");
        let reader = UnixDatagram::bind(&socket).unwrap();
        reader
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let log = world::log(socket);
        let own = Arc::clone(&log);
        let world = World::with("", &[], &[], |agent| agent.log = own);
        // Nobody reads, and the request finds no room.
        while !log.is_behind() {
            log.info("before");
        }
        let server = Server::start(&[]);
        let process = Process::start(&world, mode);
        let mail = world.mail(&server.nexthop(), &["a@test"]);
        assert_eq!(process.serve(&mail.request.encode()), Some(0));
        let mut bytes = [0; 4096];
        let mut next = || {
            let length = reader.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        while !next().contains(" status=sent ") {}
        assert!(!log.is_behind());
        assert_eq!(process.end().1, Ok(()));
    }
}
