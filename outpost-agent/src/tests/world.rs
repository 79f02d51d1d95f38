//! The surroundings of an agent: a queue directory, Postfix's other processes, the log, the queue manager.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::{
        fs::FileExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use postfix_config::MainCf;
use postfix_ipc::{
    announce::{Announcement, CleanupAnnouncement, Service},
    attr::{List, ListReader, Value},
    command_line::CommandLine,
    queue_file::{Record, RecordKind},
    report::{CleanupReply, StatusReply},
    request::{DeliveryRequest, FinalReply, Recipient, RequestFlags, RequestHead},
};
use tempfile::TempDir;

use crate::{
    agent::Agent,
    fatal::Fatal,
    log::{Log, Target},
    site,
};

/// The queue directory, which is where this process is, as the agent's is: all tests have one. They do not
/// meet, since names of services and queue files are numbered.
static FOLDER: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
static NUMBER: AtomicUsize = AtomicUsize::new(1);

const FOLDERS: [&str; 3] = ["private", "public", "active"];

fn folder() -> Arc<TempDir> {
    let mut known = FOLDER.lock().unwrap();
    known.upgrade().unwrap_or_else(|| {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        for name in FOLDERS {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        env::set_current_dir(folder.path()).unwrap();
        *known = Arc::downgrade(&folder);
        folder
    })
}

/// The behaviour of a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
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
}

/// The events, in order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// A line of the log without time and tag as `log …`, what a service was told as `NAME …`, with blanks in place of NUL.
    entries: Vec<String>,
}

/// An agent in its surroundings.
pub(super) struct World {
    pub(super) agent: Arc<Agent>,
    pub(super) number: usize,
    /// It is there as long as somebody needs it.
    _folder: Arc<TempDir>,
    scribe: Arc<Scribe>,
}

/// The writers of the journal.
struct Scribe {
    log: UnixDatagram,
    journal: Mutex<Journal>,
}

impl Scribe {
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

impl World {
    pub(super) fn new(main_cf: &str) -> Self {
        Self::with(main_cf, &[], &[], |_| {})
    }

    /// Services that are not named do as they should.
    pub(super) fn with_services(manners: &[(&str, Manner)]) -> Self {
        Self::with("ipc_timeout = 1s\n", manners, &[], |_| {})
    }

    pub(super) fn with(
        main_cf: &str,
        manners: &[(&str, Manner)],
        words: &[&str],
        change: impl FnOnce(&mut Agent),
    ) -> Self {
        let folder = folder();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = folder.path().join(format!("log{number}"));
        let log = UnixDatagram::bind(&socket).unwrap();
        log.set_nonblocking(true).unwrap();
        let scribe = Arc::new(Scribe {
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
        let mut main = format!(
            "myhostname = mx.test\ninet_protocols = ipv4\nqueue_directory = {}\n\
             relay_domains = relay.test\n{main_cf}",
            folder.path().display()
        );
        for (name, service) in SERVICES {
            let manner = manners.iter().find(|(of, _)| *of == name);
            let manner = manner.map_or(Manner::Answers(0), |(_, manner)| *manner);
            let parameter = service.parameter().unwrap();
            main += &format!("{parameter} = {name}{number}\n");
            run(service, name, number, manner, &scribe);
        }
        let words = ["smtp", "-t", "unix", "-u"].iter().chain(words).copied();
        let options = CommandLine::parse(words).unwrap();
        let mut main_cf = MainCf::parse(&main, "main.cf", folder.path()).unwrap();
        let config = site::complete(&mut main_cf, &options).unwrap();
        let site = site::compile(&main_cf, config).unwrap();
        let host = "mx".to_owned();
        let log = Log::open(
            Target::Postlog { socket, host },
            "postfix/smtp".into(),
            false,
        );
        let mut agent = Agent::new(&options, site, Arc::new(log));
        change(&mut agent);
        Self {
            agent: Arc::new(agent),
            number,
            _folder: folder,
            scribe,
        }
    }

    /// The events so far.
    pub(super) fn journal(&self) -> Vec<String> {
        self.scribe.note(None);
        self.scribe.journal.lock().unwrap().entries.clone()
    }

    /// The entries that begin so, without that.
    pub(super) fn told(&self, start: &str) -> Vec<String> {
        let entries = self.journal().into_iter();
        entries
            .filter_map(|entry| Some(entry.strip_prefix(start)?.to_owned()))
            .collect()
    }

    /// The status lines of the log, one for each recipient that was reported: address, status and text.
    pub(super) fn verdicts(&self) -> Vec<String> {
        let lines = self.told("log ").into_iter();
        let verdict = |line: String| {
            let (_, rest) = line.split_once(": to=<")?;
            let (to, rest) = rest.split_once('>')?;
            let (_, dsn) = rest.split_once("dsn=")?;
            Some(format!("{to} {}", dsn.replace(", status=", " ")))
        };
        lines.filter_map(verdict).collect()
    }

    /// A message in the queue with a request for it.
    pub(super) fn mail(&self, nexthop: &str, to: &[&str]) -> Mail {
        self.mail_of(nexthop, to, |file| {
            line(file, "Subject: test");
            line(file, "");
            line(file, "Hello.");
            Record::write(RecordKind::EXTRACTED, b"", file);
        })
    }

    /// The same with a text that is written by `content`.
    pub(super) fn mail_of(
        &self,
        nexthop: &str,
        to: &[&str],
        content: impl FnOnce(&mut Vec<u8>),
    ) -> Mail {
        let id = format!("A{}", NUMBER.fetch_add(1, Ordering::Relaxed));
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
        fs::write(format!("active/{id}"), file).unwrap();
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
        Mail { id, request }
    }

    /// Has a request served, and returns what the queue manager gets.
    pub(super) fn serve(&self, mail: &Mail) -> Served {
        self.serve_bytes(&mail.request.encode())
    }

    /// The same with these bytes; the queue manager stays.
    pub(super) fn serve_bytes(&self, request: &[u8]) -> Served {
        let (mut manager, stream) = UnixStream::pair().unwrap();
        let agent = Arc::clone(&self.agent);
        let thread = thread::spawn(move || agent.serve(stream));
        greeted(&mut manager);
        // What is too long is not read to its end.
        let _ = manager.write_all(request);
        let (reply, bytes) = reply(&mut manager);
        drop(manager);
        Served {
            reply,
            bytes,
            result: thread.join().unwrap(),
        }
    }
}

/// The reply that the queue manager got in the end.
#[derive(Debug)]
pub(super) struct Served {
    /// None if the connection ended without.
    pub(super) reply: Option<FinalReply>,
    pub(super) bytes: usize,
    pub(super) result: Result<(), Fatal>,
}

impl Served {
    /// The status; there has to be a reply.
    pub(super) fn status(&self) -> i32 {
        assert_eq!(self.result, Ok(()));
        self.reply.as_ref().unwrap().status
    }

    /// The status and the reason of the hop status.
    pub(super) fn hop(&self) -> (String, String) {
        let hop = &self.reply.as_ref().unwrap().hop;
        (hop.status.to_string(), hop.reason.to_string())
    }
}

pub(super) fn greeted(manager: &mut UnixStream) {
    let mut greeting = DeliveryRequest::greeting();
    let expected = greeting.clone();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    manager.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, expected);
}

/// The reply, and its length.
pub(super) fn reply(manager: &mut UnixStream) -> (Option<FinalReply>, usize) {
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
pub(super) struct Mail {
    pub(super) id: String,
    pub(super) request: DeliveryRequest,
}

impl Mail {
    pub(super) fn path(&self) -> String {
        format!("active/{}", self.id)
    }

    /// The letters of the recipients' records: `R` for one to try, `D` for one who is done with.
    pub(super) fn marks(&self) -> String {
        let file = fs::File::open(self.path()).unwrap();
        let letter = |recipient: &Recipient| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, recipient.offset as u64)
                .unwrap();
            char::from(byte[0])
        };
        self.request.recipients.iter().map(letter).collect()
    }

    pub(super) fn with_flags(mut self, flags: u32) -> Self {
        self.request.head.flags = RequestFlags(flags);
        self
    }
}

/// Appends a line of text.
pub(super) fn line(file: &mut Vec<u8>, text: &str) {
    Record::write(RecordKind::LINE, text.as_bytes(), file);
}

/// Starts a service. Its notes have the marks that the queue file has when the service is told.
fn run(service: Service, name: &'static str, number: usize, manner: Manner, scribe: &Arc<Scribe>) {
    if matches!(manner, Manner::Absent) {
        return;
    }
    let listener = UnixListener::bind(service.path(&format!("{name}{number}"))).unwrap();
    let scribe = Arc::downgrade(scribe);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
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
        _ => Ok(()),
    }
}
