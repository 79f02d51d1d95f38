//! The surroundings of any agent: a queue directory, Postfix's other processes, the log, the queue manager's side of a
//! request. They know nothing of the program, so that those who test it from outside have them, too.

use std::{
    fs,
    io::{Read, Write},
    mem,
    os::fd::AsRawFd,
    os::unix::{
        fs::FileExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{
            self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr, getsockopt, socket,
            sockopt::PeerCredentials,
        },
    },
    unistd::Pid,
};
use postfix_ipc::{
    announce::{Announcement, CleanupAnnouncement, Service},
    attr::{List, ListReader, Value},
    queue_file::{Record, RecordKind},
    report::{CleanupReply, StatusReply},
    request::{DeliveryRequest, FinalReply, Recipient, RequestFlags, RequestHead},
};

/// The number of the next service or queue file.
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// The folders of a queue directory.
pub(crate) const FOLDERS: [&str; 4] = ["private", "public", "active", "pid"];

/// Returns a number that nothing else has.
pub(crate) fn number() -> usize {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// The behaviour of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// It answers with this status.
    Answers(i32),
    /// Nobody listens.
    Absent,
    /// It closes at once.
    Closes,
    /// It closes once it was asked.
    Leaves,
    /// It says this in place of its announcement.
    Announces(&'static [u8]),
    /// It says this in place of an answer.
    Babbles(&'static [u8]),
    /// It says nothing.
    Silent,
    /// It is too busy to accept.
    Deaf,
    /// It kills the first who tells it something, and answers that all is well from then on.
    KillsFirst,
    /// The same, and the first is answered, too.
    KillsFirstInTheEnd,
}

/// The events, in order.
#[derive(Debug, Default)]
struct Journal {
    /// A line of the log without time and tag as `log …`, what a service was told as `NAME …`, with blanks in place of NUL.
    entries: Vec<String>,
}

/// The writers of the journal.
pub(crate) struct Scribe {
    log: UnixDatagram,
    journal: Mutex<Journal>,
}

impl Scribe {
    /// Begins to take down what is sent to this socket.
    pub(crate) fn start(socket: &Path) -> Arc<Self> {
        let log = UnixDatagram::bind(socket).unwrap();
        log.set_nonblocking(true).unwrap();
        let scribe = Arc::new(Self {
            log,
            journal: Mutex::default(),
        });
        let reader = Arc::downgrade(&scribe);
        thread::spawn(move || {
            while let Some(scribe) = reader.upgrade() {
                scribe.note(None);
                thread::sleep(Duration::from_millis(3));
            }
        });
        scribe
    }

    /// The events so far.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.note(None);
        self.journal.lock().unwrap().entries.clone()
    }

    /// The entries that begin so, without that.
    pub(crate) fn told(&self, start: &str) -> Vec<String> {
        let entries = self.journal().into_iter();
        entries
            .filter_map(|entry| Some(entry.strip_prefix(start)?.to_owned()))
            .collect()
    }

    /// The status lines of the log, one for each recipient that was reported: address, status and text.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let lines = self.told("log ").into_iter();
        let verdict = |line: String| {
            let (_, rest) = line.split_once(": to=<")?;
            let (to, rest) = rest.split_once('>')?;
            let (_, dsn) = rest.split_once("dsn=")?;
            Some(format!("{to} {}", dsn.replace(", status=", " ")))
        };
        lines.filter_map(verdict).collect()
    }

    /// Takes down what was logged up to now, and then this.
    fn note(&self, entry: Option<String>) {
        let mut journal = self.journal.lock().unwrap();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.log.recv(&mut bytes) {
            let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let (_, text) = line.split_once("]: ").unwrap();
            journal.entries.push(format!("log {text}"));
        }
        journal.entries.extend(entry);
    }
}

const SERVICES: [(&str, Service); 6] = [
    ("bounce", Service::Bounce),
    ("defer", Service::Defer),
    ("trace", Service::Trace),
    ("verify", Service::Verify),
    ("flush", Service::Flush),
    ("cleanup", Service::Cleanup),
];

/// Starts the services in a queue directory, and returns the lines of main.cf with their names. Those that are not named do as
/// they should.
pub(crate) fn services(
    folder: &Path,
    number: usize,
    manners: &[(&str, Manner)],
    scribe: &Arc<Scribe>,
) -> String {
    let mut lines = String::new();
    for (name, service) in SERVICES {
        let manner = manners.iter().find(|(of, _)| *of == name);
        let manner = manner.map_or(Manner::Answers(0), |(_, manner)| *manner);
        let parameter = service.parameter().unwrap();
        lines += &format!("{parameter} = {name}{number}\n");
        let path = folder.join(service.path(&format!("{name}{number}")));
        run(service, name, &path, manner, scribe);
    }
    lines
}

/// The text of a message for those whom it does not matter.
pub(crate) fn hello(file: &mut Vec<u8>) {
    line(file, "Subject: test");
    line(file, "");
    line(file, "Hello.");
    Record::write(RecordKind::EXTRACTED, b"", file);
}

/// A message in the queue with a request for it. Its text is written by `content`.
pub(crate) fn mail_of(
    folder: &Path,
    nexthop: &str,
    to: &[&str],
    content: impl FnOnce(&mut Vec<u8>),
) -> Mail {
    let id = format!("A{}", number());
    let mut file = Vec::new();
    Record::write(RecordKind::SIZE, &[b' '; 95], &mut file);
    Record::write(RecordKind::SENDER, b"from@test", &mut file);
    let mut recipients = Vec::new();
    for address in to {
        recipients.push(Recipient {
            address: Value::new(address.as_bytes().to_vec()).unwrap(),
            original: Value::new(address.as_bytes().to_vec()).unwrap(),
            offset: file.len() as i64,
            ..Recipient::default()
        });
        Record::write(RecordKind::RECIPIENT, address.as_bytes(), &mut file);
    }
    Record::write(RecordKind::MESSAGE, b"", &mut file);
    let offset = file.len() as i64;
    content(&mut file);
    Record::write(RecordKind::END, b"", &mut file);
    let path = folder.join("active").join(&id);
    fs::write(&path, file).unwrap();
    let head = RequestHead {
        flags: RequestFlags(3),
        queue_name: Value::new("active").unwrap(),
        queue_id: Value::new(id.clone()).unwrap(),
        offset,
        size: 100,
        nexthop: Value::new(nexthop.to_owned()).unwrap(),
        sender: Value::new("from@test").unwrap(),
        ..RequestHead::default()
    };
    let request = DeliveryRequest { head, recipients };
    Mail { id, path, request }
}

pub(crate) fn greeted(manager: &mut UnixStream) {
    let mut greeting = DeliveryRequest::greeting();
    let expected = greeting.clone();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    manager.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, expected);
}

/// The reply, and its length.
pub(crate) fn reply(manager: &mut UnixStream) -> (Option<FinalReply>, usize) {
    let mut lists = ListReader::new("agent");
    let (mut bytes, mut all) = ([0; 4096], 0);
    loop {
        let length = match manager.read(&mut bytes) {
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("no reply: {error}"),
        };
        all += length;
        lists.push(&bytes[..length]);
        match lists.next_list().unwrap() {
            None if length > 0 => {}
            reply => return (reply, all),
        }
    }
}

/// A message in the queue.
pub(crate) struct Mail {
    pub(crate) id: String,
    path: PathBuf,
    pub(crate) request: DeliveryRequest,
}

impl Mail {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The letters of the recipients' records: `R` for one to try, `D` for one who is done with.
    pub(crate) fn marks(&self) -> String {
        let file = fs::File::open(self.path()).unwrap();
        let letter = |recipient: &Recipient| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, recipient.offset as u64)
                .unwrap();
            char::from(byte[0])
        };
        self.request.recipients.iter().map(letter).collect()
    }

    /// Forgets the recipients who are done with, as the queue manager does when it delivers again.
    pub(crate) fn forget_done(&mut self) {
        let marks = self.marks();
        let mut marks = marks.chars();
        let recipients = &mut self.request.recipients;
        recipients.retain(|_| marks.next() == Some('R'));
    }

    pub(crate) fn with_flags(mut self, flags: u32) -> Self {
        self.request.head.flags = RequestFlags(flags);
        self
    }
}

/// Appends a line of text.
pub(crate) fn line(file: &mut Vec<u8>, text: &str) {
    Record::write(RecordKind::LINE, text.as_bytes(), file);
}

/// Starts a service. Its notes have the marks that the queue file has when the service is told.
fn run(service: Service, name: &'static str, path: &Path, manner: Manner, scribe: &Arc<Scribe>) {
    if matches!(manner, Manner::Absent) {
        return;
    }
    if matches!(manner, Manner::Deaf) {
        return be_deaf(path);
    }
    let listener = UnixListener::bind(path).unwrap();
    let scribe = Arc::downgrade(scribe);
    thread::spawn(move || {
        let mut next = manner;
        for stream in listener.incoming().flatten() {
            let manner = next;
            if let Manner::KillsFirst | Manner::KillsFirstInTheEnd = manner {
                next = Manner::Answers(0);
            }
            let Some(scribe) = scribe.upgrade() else {
                return;
            };
            // The agent may leave at any time.
            thread::spawn(move || converse(service, name, manner, stream, &scribe).unwrap_or(()));
        }
    });
}

fn converse(
    service: Service,
    name: &str,
    manner: Manner,
    mut stream: UnixStream,
    scribe: &Scribe,
) -> std::io::Result<()> {
    match manner {
        Manner::Closes => return Ok(()),
        Manner::Announces(bytes) => stream.write_all(bytes)?,
        Manner::Silent => {}
        _ if service == Service::Cleanup => {
            let queue_id = Value::masked("C1");
            stream.write_all(&CleanupAnnouncement { queue_id }.encode())?;
        }
        _ => stream.write_all(&Announcement::of(service).encode())?,
    }
    let mut question = Vec::new();
    let mut bytes = [0; 4096];
    let whole = |question: &[u8]| match service {
        Service::Cleanup => question.ends_with(b"X\0E\0"),
        _ => question.ends_with(b"\0\0"),
    };
    while !whole(&question) {
        match stream.read(&mut bytes)? {
            0 => break,
            length => question.extend_from_slice(&bytes[..length]),
        }
    }
    let text = String::from_utf8_lossy(&question).replace('\0', " ");
    scribe.note(Some(format!("{name} {}", text.trim_end())));
    match manner {
        Manner::Answers(status) if service == Service::Cleanup => {
            let reason = Value::masked("");
            stream.write_all(&CleanupReply { status, reason }.encode())
        }
        Manner::Answers(status) => stream.write_all(&StatusReply { status }.encode()),
        Manner::Babbles(bytes) => stream.write_all(bytes),
        Manner::Silent => stream.read(&mut bytes).map(|_| ()),
        Manner::KillsFirst => kill_peer(&stream),
        Manner::KillsFirstInTheEnd => {
            stream.write_all(&StatusReply { status: 0 }.encode())?;
            kill_peer(&stream)
        }
        _ => Ok(()),
    }
}

/// Listens so that one may wait to be accepted, and lets one wait for ever.
fn be_deaf(path: &Path) {
    let listener = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::empty(),
        None,
    )
    .unwrap();
    socket::bind(listener.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
    socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
    mem::forget((UnixStream::connect(path).unwrap(), listener));
}

fn kill_peer(stream: &UnixStream) -> std::io::Result<()> {
    let peer = getsockopt(stream, PeerCredentials)?;
    assert_ne!(peer.pid().cast_unsigned(), std::process::id());
    Ok(kill(Pid::from_raw(peer.pid()), Signal::SIGKILL)?)
}
