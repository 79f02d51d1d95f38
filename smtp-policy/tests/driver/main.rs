//! The rules about many deliveries, with sockets that are memory and a clock that is a
//! number.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod inquiries;
mod parts;
mod pool;
mod spans;
mod text;
mod turns;
mod wire;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    delivery::{self, Observer},
    dns::{Query, ResolverConfig},
    driver::{Act, Answered, Hub, Job, Slip},
    report::Report,
    request::{Encoding, Recipient, Request},
    text::TextSource,
};
use smtp_proto::{Address, ReversePath, Time};

use wire::{Server, Socket};

const TEXT: Bytes = Bytes::from_static(b"Subject: hi\n\nhello\n");
const SECOND: Duration = Duration::from_secs(1);

type Hubs = Arc<Hub<Socket>>;
type Jobs<O = ()> = Job<Socket, Bytes, O>;

fn hub(settings: &str) -> Hubs {
    let settings = format!("myhostname = client.example\n{settings}\n");
    let main_cf = MainCf::parse(&settings, "main.cf", Path::new("/")).unwrap();
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
    Arc::new(Hub::new(Arc::new(policy), 1, Duration::ZERO))
}

fn request(nexthop: &str, recipients: usize) -> Request {
    let to = |n| Recipient::new(Address::parse(&format!("user{n}@example.com")).unwrap());
    let from = ReversePath::parse("sender@example.org").unwrap();
    let to = (0..recipients).map(to).collect();
    let mut request = Request::new(Protocol::Smtp, nexthop.parse().unwrap(), from, to);
    request.encoding = Encoding::SevenBit;
    request
}

fn job(hub: &Hubs, nexthop: &str) -> Jobs {
    Job::new(Arc::clone(hub), request(nexthop, 1), TEXT, ())
}

/// Counts how often it is woken.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Alarm {
    fn new() -> (Arc<Self>, Waker) {
        let alarm = Arc::new(Self::default());
        (Arc::clone(&alarm), Waker::from(alarm))
    }

    fn rang(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Returns what a job waits for, once it has been given connections to `server`.
#[derive(Debug)]
enum Rest {
    /// The answer to a question.
    Resolve(Slip<delivery::Dns>, Query),
    /// A turn, an answer of somebody else, a reply of a server, or this time.
    Until(Time),
    Done(Report),
}

impl Rest {
    fn report(self) -> Report {
        match self {
            Self::Done(report) => report,
            other => panic!("the job is not over: {other:?}"),
        }
    }
}

/// Goes on until a job waits.
fn go_on<T: TextSource, O: Observer>(
    job: &mut Job<Socket, T, O>,
    server: &Server,
    now: Time,
    waker: &Waker,
) -> Rest {
    loop {
        match job.poll(now, waker) {
            Act::Resolve(slip, query) => return Rest::Resolve(slip, query),
            Act::Connect(slip, _) => job.answer(Answered::Socket(slip, Ok(server.connect()))),
            Act::Wait { until, interest } => {
                if !job.socket().is_some_and(|socket| socket.is_ready(interest)) {
                    return Rest::Until(until);
                }
            }
            Act::Expire(at) => server.expire(at),
            Act::Yield => {}
            Act::Done(report) => return Rest::Done(report),
            act => panic!("nobody expects {act:?}"),
        }
    }
}

/// The same for whoever is not to be woken.
fn run<T: TextSource, O: Observer>(
    job: &mut Job<Socket, T, O>,
    server: &Server,
    now: Time,
) -> Rest {
    go_on(job, server, now, Waker::noop())
}
