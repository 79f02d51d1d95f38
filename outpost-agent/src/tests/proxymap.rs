//! Tables of proxymap(8), which is a toy here: it answers, leaves, says what it should not, or nothing.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc, Barrier, Condvar, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use postfix_config::tables::{KeyEncoding, ProxyClient, RemoteTable};
use tempfile::TempDir;

use super::{
    neighbours::{self, Scribe},
    server::Server,
    world::{World, folder, hasty, log},
};
use crate::proxymap::{Limits, ProxyMap};

const ANNOUNCEMENT: &[u8] = b"protocol\0proxymap_protocol\0\0";
const OPENED: &[u8] = b"status\x000\0flags\x0016\0\0";

/// The answer of a toy.
enum Answer {
    Says(Vec<u8>),
    /// It says this, and closes the connection.
    Leaves(&'static [u8]),
    /// It says nothing more.
    Silent,
    /// It does this.
    Acts(Act),
}

type Act = Box<dyn FnOnce(&mut UnixStream) -> std::io::Result<()>>;

use Answer::{Acts, Leaves, Says, Silent};

/// The rule of a toy: what it does on the connection of this number, counted from 0, when it is asked this, or when it should
/// announce itself.
type Rule = dyn Fn(usize, Option<&str>) -> Answer + Send + Sync;

/// A server in the place of proxymap(8).
struct Toy {
    name: String,
    /// The questions, with the numbers of their connections. NUL is a full stop.
    asked: Arc<Mutex<Vec<(usize, String)>>>,
    /// The connections at this time, and the most of them at once.
    open: Arc<(AtomicUsize, AtomicUsize)>,
    scribe: Arc<Scribe>,
    folder: Arc<TempDir>,
    rule: Arc<Rule>,
}

impl Toy {
    fn start(rule: impl Fn(usize, Option<&str>) -> Answer + Send + Sync + 'static) -> Self {
        let toy = Self::absent(rule);
        toy.listen();
        toy
    }

    fn absent(rule: impl Fn(usize, Option<&str>) -> Answer + Send + Sync + 'static) -> Self {
        let folder = folder();
        let name = format!("proxymap{}", neighbours::number());
        let scribe = Scribe::start(&folder.path().join(format!("{name}.log")));
        Self {
            name,
            asked: Arc::default(),
            open: Arc::default(),
            scribe,
            folder,
            rule: Arc::new(rule),
        }
    }

    fn listen(&self) {
        let path = self.folder.path().join("private").join(&self.name);
        let listener = UnixListener::bind(path).unwrap();
        let (rule, asked, open) = (
            Arc::downgrade(&self.rule),
            Arc::clone(&self.asked),
            Arc::clone(&self.open),
        );
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (rule, asked, open) =
                    (Weak::clone(&rule), Arc::clone(&asked), Arc::clone(&open));
                thread::spawn(move || {
                    let now = open.0.fetch_add(1, Ordering::SeqCst) + 1;
                    open.1.fetch_max(now, Ordering::SeqCst);
                    // The client may leave at any time.
                    let _ = serve(stream, number, &rule, &asked);
                    open.0.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }

    fn client(&self, limits: Limits) -> Arc<ProxyMap> {
        let log = log(self.folder.path().join(format!("{}.log", self.name)));
        ProxyMap::with_limits(self.name.clone(), limits, log)
    }

    fn open(&self, limits: Limits) -> Result<Arc<dyn RemoteTable>, String> {
        self.client(limits).open("hash:/t", KeyEncoding::Utf8)
    }

    fn asked(&self) -> Vec<(usize, String)> {
        self.asked.lock().unwrap().clone()
    }

    fn warnings(&self) -> Vec<String> {
        self.scribe.told("log warning: ")
    }
}

fn serve(
    mut stream: UnixStream,
    number: usize,
    rule: &Weak<Rule>,
    asked: &Mutex<Vec<(usize, String)>>,
) -> std::io::Result<()> {
    let mut question = None;
    loop {
        let Some(known) = rule.upgrade() else {
            return Ok(());
        };
        let answer = known(number, question.as_deref());
        drop(known);
        match answer {
            Says(bytes) => stream.write_all(&bytes)?,
            Leaves(bytes) => return stream.write_all(bytes),
            Acts(act) => act(&mut stream)?,
            Silent => {
                return stream.read_to_end(&mut Vec::new()).map(drop);
            }
        }
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\0\0") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            bytes.extend(byte);
        }
        let text = String::from_utf8(bytes).unwrap().replace('\0', ".");
        asked.lock().unwrap().push((number, text.clone()));
        question = Some(text);
    }
}

fn limits() -> Limits {
    hasty(Limits {
        step: Duration::from_secs(10),
        whole: Duration::from_secs(20),
        idle: Duration::from_secs(5),
        age: Duration::from_secs(1000),
        absent: Duration::ZERO,
        broken: Duration::ZERO,
    })
}

/// Answers as proxymap(8) does: for each key it has the key itself but for `none`, `later` and `wrong`.
fn proper(_: usize, question: Option<&str>) -> Answer {
    Says(match question {
        None => ANNOUNCEMENT.to_vec(),
        Some(text) if text.starts_with("request.open.") => OPENED.to_vec(),
        Some(text) => match key(text) {
            "none" => found(1, ""),
            "later" => found(2, ""),
            "denied" => found(4, ""),
            "wrong" => found(5, ""),
            key => found(0, key),
        },
    })
}

fn found(status: i32, value: &str) -> Vec<u8> {
    format!("status\0{status}\0value\0{value}\0\0").into_bytes()
}

fn key(question: &str) -> &str {
    let (_, key) = question.split_once(".key.").unwrap();
    key.trim_end_matches('.')
}

#[test]
fn all_questions_go_over_one_connection() {
    let toy = Toy::start(proper);
    let client = toy.client(limits());
    let fixed = Arc::clone(&client)
        .open("hash:/t", KeyEncoding::Utf8)
        .unwrap();
    assert!(fixed.has_fixed_keys());
    assert_eq!(fixed.lookup(b"joe"), Ok(Some(b"joe".to_vec())));
    assert_eq!(fixed.lookup(b"none"), Ok(None));
    let bytes = Arc::clone(&client)
        .open("hash:/u", KeyEncoding::Bytes)
        .unwrap();
    assert_eq!(bytes.lookup(b"Ann"), Ok(Some(b"Ann".to_vec())));
    let flags = 64 + (1 << 19);
    let expected = [
        "request.open.table.hash:/t.flags.0..".to_owned(),
        format!("request.lookup.table.hash:/t.flags.{flags}.key.joe.."),
        format!("request.lookup.table.hash:/t.flags.{flags}.key.none.."),
        "request.open.table.hash:/u.flags.0..".to_owned(),
        "request.lookup.table.hash:/u.flags.64.key.Ann..".to_owned(),
    ];
    assert_eq!(toy.asked(), expected.map(|text| (0, text)));
    assert_eq!(toy.warnings(), [""; 0]);
    assert_eq!(client.fault(), None);
}

#[test]
fn patterns_are_not_asked_for_parts_of_keys() {
    let toy = Toy::start(|number, question| match question {
        Some(text) if text.starts_with("request.open.") => {
            Says(b"status\x000\0flags\x0032\0\0".to_vec())
        }
        _ => proper(number, question),
    });
    assert!(!toy.open(limits()).unwrap().has_fixed_keys());
}

#[test]
fn a_connection_that_was_left_or_is_old_is_not_used_again() {
    // The service leaves after each answer.
    let toy = Toy::start(|number, question| match question {
        None => Says(ANNOUNCEMENT.to_vec()),
        Some(text) if text.starts_with("request.open.") => Leaves(OPENED),
        Some(_) if number == 1 => Leaves(b"status\x000\0value\0x\0\0too much"),
        _ => Leaves(b"status\x000\0value\0x\0\0"),
    });
    let table = toy.open(limits()).unwrap();
    for _ in 0..3 {
        assert_eq!(table.lookup(b"k"), Ok(Some(b"x".to_vec())));
    }
    let numbers: Vec<usize> = toy.asked().iter().map(|(number, _)| *number).collect();
    // One that has left while it was asked was asked in vain.
    assert!(
        numbers.windows(2).all(|pair| pair[0] <= pair[1]),
        "{numbers:?}"
    );
    assert_eq!(numbers.last(), Some(&3));
    assert_eq!(toy.warnings(), [""; 0]);

    let none = Duration::ZERO;
    for old in [
        Limits {
            idle: none,
            ..limits()
        },
        Limits {
            age: none,
            ..limits()
        },
    ] {
        let toy = Toy::start(proper);
        let table = toy.open(old).unwrap();
        assert_eq!(table.lookup(b"k"), Ok(Some(b"k".to_vec())));
        assert_eq!(toy.asked().last().unwrap().0, 1);
    }
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    // The second answer comes with the first one, or once that was read.
    let (read, written) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let gates = (Arc::clone(&read), Arc::clone(&written));
    let toy = Toy::start(move |number, question| match question {
        Some(text) if text.ends_with(".key.both..") => {
            Says([found(0, "one"), found(0, "two")].concat())
        }
        Some(text) if text.ends_with(".key.late..") => {
            let (read, written) = (Arc::clone(&gates.0), Arc::clone(&gates.1));
            Acts(Box::new(move |stream| {
                stream.write_all(&found(0, "one"))?;
                read.wait();
                stream.write_all(&found(0, "two"))?;
                written.wait();
                Ok(())
            }))
        }
        _ => proper(number, question),
    });
    let table = toy.open(limits()).unwrap();
    for key in [b"both", b"late"] {
        assert_eq!(table.lookup(key), Ok(Some(b"one".to_vec())));
        if key == b"late" {
            read.wait();
            written.wait();
        }
        assert_eq!(table.lookup(b"k"), Ok(Some(b"k".to_vec())));
    }
    assert_eq!(toy.warnings(), [""; 0]);
}

#[test]
fn a_later_release_is_asked_in_its_own_words() {
    let toy = Toy::start(|number, question| match question {
        Some(text) if text.contains(".instance_flags.") && text.starts_with("request.open.") => {
            Says(b"status\x000\0flags\x00524368\0\0".to_vec())
        }
        Some(text) if text.contains(".instance_flags.") => {
            Says(b"status\x000\0flags\x0016\0value\0v\0\0".to_vec())
        }
        Some(_) => Says(b"status\x003\0flags\x000\0\0".to_vec()),
        None => proper(number, question),
    });
    let client = toy.client(limits());
    let table = Arc::clone(&client)
        .open("hash:/t", KeyEncoding::Utf8)
        .unwrap();
    assert_eq!(table.lookup(b"k"), Ok(Some(b"v".to_vec())));
    let flags = 64 + (1 << 19);
    assert_eq!(
        toy.asked(),
        [
            (0, "request.open.table.hash:/t.flags.0..".to_owned()),
            (
                1,
                format!("request.open.table.hash:/t.instance_flags.{flags}..")
            ),
            (
                1,
                format!("request.lookup.table.hash:/t.instance_flags.{flags}.flags.524368.key.k..")
            ),
        ]
    );
    assert_eq!(client.fault(), None);
}

#[test]
fn a_refusal_is_a_reason_to_end() {
    for (status, why) in [
        (3, "open failed for table \"hash:/t\": invalid request"),
        (4, "service is not configured for table \"hash:/t\""),
    ] {
        let toy = Toy::start(move |number, question| match question {
            None => proper(number, question),
            Some(_) => Says(format!("status\0{status}\0flags\x000\0\0").into_bytes()),
        });
        let client = toy.client(limits());
        let why = format!("{} {why}", toy.name);
        let error = Arc::clone(&client)
            .open("hash:/t", KeyEncoding::Utf8)
            .unwrap_err();
        assert_eq!(error, why);
        assert_eq!(client.fault().unwrap().to_string(), why);
    }
    let toy = Toy::start(proper);
    let client = toy.client(limits());
    let table = Arc::clone(&client)
        .open("hash:/t", KeyEncoding::Utf8)
        .unwrap();
    for key in [b"later", b"wrong"] {
        let why = format!("{} has no answer now", toy.name);
        assert_eq!(table.lookup(key), Err(why));
        assert_eq!(client.fault(), None);
    }
    let why = format!(
        "{} service is not configured for table \"hash:/t\"",
        toy.name
    );
    assert_eq!(table.lookup(b"denied"), Err(why.clone()));
    assert_eq!(client.fault().unwrap().to_string(), why);
}

/// The way in which a service does not work.
type Fault = fn(Option<&str>) -> Answer;

/// Ways of not working, and a part of the warning about each.
const FAULTS: [(Fault, &str); 6] = [
    (
        |_| Says(b"protocol\0queue_flush_protocol\0\0".to_vec()),
        "unexpected protocol queue_flush_protocol",
    ),
    (|_| Leaves(b""), "premature end-of-input"),
    (
        |asked| match asked {
            None => Says(ANNOUNCEMENT.to_vec()),
            Some(_) => Leaves(b"status\x000\0"),
        },
        "premature end-of-input",
    ),
    (
        |asked| match asked {
            None => Says(ANNOUNCEMENT.to_vec()),
            Some(_) => Says(b"\xff\xfe\0\0\0\0".to_vec()),
        },
        "unexpected attribute",
    ),
    (
        |asked| match asked {
            None => Says(ANNOUNCEMENT.to_vec()),
            Some(text) if text.starts_with("request.open.") => {
                Says(b"status\x0077\0flags\x000\0\0".to_vec())
            }
            Some(_) => Says(found(77, "")),
        },
        "unexpected status 77",
    ),
    (|_| Silent, "timeout on"),
];

/// Limits for a service that may say nothing.
fn impatient() -> Limits {
    Limits {
        step: Duration::from_secs(1),
        ..limits()
    }
}

#[test]
fn a_service_that_does_not_work_is_asked_again() {
    for (fault, text) in FAULTS {
        let toy = Toy::start(move |number, question| match number {
            0 => fault(question),
            _ => proper(number, question),
        });
        let table = toy.open(impatient()).unwrap();
        assert_eq!(table.lookup(b"k"), Ok(Some(b"k".to_vec())), "{text}");
        let warnings = toy.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(text), "{warnings:?}");
    }
}

#[test]
fn a_service_that_never_works_is_given_up_for_now() {
    for (fault, text) in FAULTS {
        let toy = Toy::start(move |number, question| match (number, question) {
            (0, None) => proper(number, question),
            (0, Some(asked)) if asked.starts_with("request.open.") => proper(number, question),
            _ => fault(question),
        });
        let client = toy.client(Limits {
            whole: Duration::ZERO,
            ..impatient()
        });
        let table = Arc::clone(&client)
            .open("hash:/t", KeyEncoding::Utf8)
            .unwrap();
        let why = table.lookup(b"k").unwrap_err();
        assert!(why.contains(text), "{why}");
        assert_eq!(client.fault(), None, "{text}");
    }
}

#[test]
fn a_service_that_is_missing_may_come_but_not_too_late() {
    let toy = Toy::absent(proper);
    let client = toy.client(limits());
    let why = format!(
        "connect #11 to subsystem private/{}: No such file or directory",
        toy.name
    );
    let error = Arc::clone(&client)
        .open("hash:/t", KeyEncoding::Utf8)
        .unwrap_err();
    assert_eq!(error, why);
    assert_eq!(client.fault().unwrap().to_string(), why);
    assert_eq!(toy.warnings().len(), 10);

    let patient = Limits {
        absent: Duration::from_secs(2),
        ..limits()
    };
    thread::scope(|scope| {
        let opened = scope.spawn(|| toy.client(patient).open("hash:/t", KeyEncoding::Utf8));
        // It has been looked for in vain.
        while toy.warnings().len() < 11 {
            thread::yield_now();
        }
        toy.listen();
        assert!(opened.join().unwrap().is_ok());
    });
}

#[test]
fn many_ask_at_once_over_few_connections() {
    // The first question is answered once all others are.
    let done = Arc::new((Mutex::new(0), Condvar::new()));
    let told = Arc::clone(&done);
    const OTHERS: usize = 15 * 20;
    let toy = Toy::start(move |number, question| {
        if question.is_some_and(|text| text.ends_with(".key.slow..")) {
            let mut count = told.0.lock().unwrap();
            while *count < OTHERS {
                count = told.1.wait(count).unwrap();
            }
        }
        proper(number, question)
    });
    let table = toy.open(limits()).unwrap();
    thread::scope(|scope| {
        let slow = scope.spawn(|| table.lookup(b"slow"));
        for thread in 0..15 {
            let (table, done) = (&table, &done);
            scope.spawn(move || {
                for number in 0..20 {
                    let key = format!("{thread}-{number}");
                    let answer = table.lookup(key.as_bytes());
                    assert_eq!(answer, Ok(Some(key.into_bytes())));
                    *done.0.lock().unwrap() += 1;
                    done.1.notify_all();
                }
            });
        }
        assert_eq!(slow.join().unwrap(), Ok(Some(b"slow".to_vec())));
    });
    assert_eq!(toy.asked().len(), OTHERS + 2);
    assert!(toy.open.1.load(Ordering::SeqCst) <= 4);
    assert_eq!(toy.warnings(), [""; 0]);
}

#[test]
fn nobody_waits_for_ever_for_others() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let own = Arc::clone(&gate);
    let toy = Toy::start(move |number, question| {
        if question.is_some_and(|text| text.ends_with(".key.stuck..")) {
            let mut open = own.0.lock().unwrap();
            while !*open {
                open = own.1.wait(open).unwrap();
            }
        }
        proper(number, question)
    });
    let table = toy
        .open(Limits {
            whole: Duration::from_millis(200),
            ..limits()
        })
        .unwrap();
    thread::scope(|scope| {
        let stuck = [(); 4].map(|()| scope.spawn(|| table.lookup(b"stuck")));
        while toy.asked().len() < 5 {
            thread::yield_now();
        }
        let why = format!("{} is busy", toy.name);
        assert_eq!(table.lookup(b"k"), Err(why));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        for stuck in stuck {
            assert_eq!(stuck.join().unwrap(), Ok(Some(b"stuck".to_vec())));
        }
    });
    assert_eq!(table.lookup(b"k"), Ok(Some(b"k".to_vec())));
}

#[test]
fn deliveries_use_what_it_answers_and_are_deferred_without() {
    let server = Server::start(&[]);
    let toy = Toy::start(|number, question| match question {
        Some(text) if text.ends_with(".key.from@test..") => Says(found(0, "public@example.org")),
        Some(text) if text.ends_with(".key.to@test..") => Says(found(2, "")),
        Some(text) if text.ends_with(".key.denied@test..") => Says(found(4, "")),
        Some(text) if text.starts_with("request.lookup.") => Says(found(1, "")),
        _ => proper(number, question),
    });
    let maps = format!(
        "proxymap_service_name = {}\nsmtp_generic_maps = proxy:hash:/t\n",
        toy.name
    );
    let world = World::new(&maps);
    let served = world.serve(&world.mail(&server.nexthop(), &["a@test"]));
    assert_eq!(served.status(), 0);
    let heard = server.heard();
    assert!(
        heard
            .iter()
            .any(|line| line.starts_with("MAIL FROM:<public@example.org>")),
        "{heard:?}"
    );
    let served = world.serve(&world.mail(&server.nexthop(), &["to@test"]));
    assert_eq!(served.status(), -1);
    assert_eq!(world.agent.is_outdated(), Ok(false));
    let served = world.serve(&world.mail(&server.nexthop(), &["denied@test"]));
    assert_eq!(served.status(), -1);
    let why = format!(
        "{} service is not configured for table \"hash:/t\"",
        toy.name
    );
    assert_eq!(world.agent.is_outdated().unwrap_err().to_string(), why);
}
