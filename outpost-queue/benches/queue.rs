//! Rate and CPU time of messages through the queue: submit, deliver, conclude, everything on this machine.
//!
//! `queue STORE [COUNT [DESTINATIONS [SLOTS]]]` submits COUNT messages of 4 KiB (20,000) for DESTINATIONS next hops (20)
//! from 200 tasks, and delivers them with SLOTS deliveries at a time (100) to a sink in this process, on kept connections. STORE
//! is `memory`, or what [`AnyStore::open`] takes. First nothing but the submissions run, then nothing but the deliveries, then
//! both together. CPU time is that of this process, of the sink in it, and of all processes named `postgres`. Without a
//! store it does nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use outpost::{Envelope, Mailer, Message, TlsLevel};
use outpost_queue::{
    model::Timestamp,
    queue::{Queue, Route},
    rules::Rules,
    store::{AnyStore, Store, memory::MemoryStore},
    worker::{Listener, Options, QueueEvent, Stop, Worker},
};
use smtp_policy::{Protocol, report::Status};

/// A sink that takes everything, with a thread for each connection.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || serve(socket.unwrap()))
                .unwrap();
        }
    });
    address
}

fn serve(socket: TcpStream) {
    socket.set_nodelay(true).unwrap();
    let mut output = socket.try_clone().unwrap();
    let mut input = BufReader::with_capacity(8192, socket);
    let mut line = Vec::new();
    let mut replies: Vec<u8> = b"220 sink\r\n".to_vec();
    let mut text = false;
    loop {
        if !replies.is_empty() && input.buffer().is_empty() {
            if output.write_all(&replies).is_err() {
                return;
            }
            replies.clear();
        }
        line.clear();
        if input.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let reply: &[u8] = match (text, line.as_slice()) {
            (true, b".\r\n") => {
                text = false;
                b"250 2.0.0 Ok: queued as 1\r\n"
            }
            (true, _) => b"",
            (false, line) if line.starts_with(b"EHLO") => {
                b"250-sink\r\n250-PIPELINING\r\n250 SIZE\r\n"
            }
            (false, line) if line.starts_with(b"DATA") => {
                text = true;
                b"354 go on\r\n"
            }
            (false, line) if line.starts_with(b"QUIT") => b"221 bye\r\n",
            _ => b"250 2.1.0 Ok\r\n",
        };
        replies.extend_from_slice(reply);
    }
}

fn message() -> Message {
    let mut text = String::from("Subject: a message\n\n");
    while text.len() < 4096 {
        text.push_str(
            "A line of text as people write them, seventy-odd bytes in length, on and on.\n",
        );
    }
    Message::from(text)
}

/// The CPU time so far of this process and of all servers of PostgreSQL, in seconds.
fn cpu() -> (f64, f64) {
    let time = |stat: &str| {
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = |n: usize| {
            fields
                .get(n)
                .and_then(|one| one.parse().ok())
                .unwrap_or(0.0)
        };
        (ticks(11) + ticks(12)) / 100.0
    };
    let own = time(&fs::read_to_string("/proc/self/stat").unwrap());
    let mut servers = 0.0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if stat.contains("(postgres)") {
            servers += time(&stat);
        }
    }
    (own, servers)
}

/// Measures something that is done `count` times.
async fn measure(what: &str, count: usize, work: impl Future<Output = ()>) {
    let (begun, before) = (Instant::now(), cpu());
    work.await;
    let (elapsed, after) = (begun.elapsed().as_secs_f64(), cpu());
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    println!(
        "{what:<8} {count} messages: {:>6.0} a second; CPU {:>5.0} us a message here, {:>5.0} us in the database",
        count as f64 / elapsed,
        each(after.0 - before.0),
        each(after.1 - before.1),
    );
}

/// Counts what was delivered.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Listener for Count {
    fn hear(&self, event: &QueueEvent<'_>) {
        match event {
            QueueEvent::Settled { verdict, .. } if verdict.outcome.status == Status::Sent => {}
            QueueEvent::Concluded { .. } => {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            QueueEvent::Claimed { .. } | QueueEvent::Note { .. } => {}
            other => println!("{other}"),
        }
    }
}

impl Count {
    async fn reaches(&self, count: usize) {
        while self.0.load(Ordering::Relaxed) < count as u64 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The thing that is measured.
#[derive(Clone, Copy)]
struct Size {
    count: usize,
    destinations: usize,
    slots: usize,
}

async fn submit<S: Store>(queue: &Queue<S>, size: Size, to: SocketAddr) {
    let message = message();
    let route = |n: usize| {
        // Many names of one address.
        let n = n % size.destinations;
        let nexthop = format!("[127.0.{}.{}]:{}", n / 250, 1 + n % 250, to.port());
        Route::Via(Protocol::Smtp, nexthop.parse().unwrap())
    };
    let submit = |n: usize| {
        let (queue, message, route) = (queue.clone(), message.clone(), route(n));
        async move {
            let envelope = Envelope::new("me@example.org", [format!("u{n}@example.com")]).unwrap();
            queue.send(envelope, &message, &route).await.unwrap();
        }
    };
    let all = stream::iter((0..size.count).map(submit)).buffer_unordered(200);
    all.for_each(|()| async {}).await;
}

async fn run<S: Store>(store: S, size: Size, to: SocketAddr) {
    let mailer = Mailer::relay("[127.0.0.1]")
        .tls(TlsLevel::None)
        .configure(|settings| settings.limits.concurrency = 0)
        .build()
        .unwrap();
    let mut rules = Rules::default();
    rules.concurrency.initial = 100;
    rules.concurrency.limit = 100;
    let worker = || {
        let (mut options, count, stop) = (Options::default(), Count::default(), Stop::new());
        options.slots = size.slots;
        options.rules = rules.clone();
        let worker = Worker::with_listener(store.clone(), mailer.clone(), options, count.clone());
        (worker.with_stop(stop.clone()), count, stop)
    };
    let queue = Queue::on_tokio(store.clone());
    measure("submit", size.count, submit(&queue, size, to)).await;
    let (one, count, stop) = worker();
    let running = tokio::spawn(one.run());
    measure("deliver", size.count, count.reaches(size.count)).await;
    stop.step();
    running.await.unwrap();
    let (one, count, stop) = worker();
    let queue = one.queue();
    let running = tokio::spawn(one.run());
    let both = async {
        submit(&queue, size, to).await;
        count.reaches(size.count).await;
    };
    measure("both", size.count, both).await;
    stop.step();
    println!("{}", running.await.unwrap());
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|one| one != "--bench");
    let Some(address) = arguments.next() else {
        return;
    };
    let mut number = |default| arguments.next().map_or(default, |one| one.parse().unwrap());
    let size = Size {
        count: number(20_000),
        destinations: number(20),
        slots: number(100),
    };
    let threads = std::env::var("THREADS").map_or(2, |one| one.parse().unwrap());
    let runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build(),
    };
    let to = sink();
    runtime.unwrap().block_on(async {
        match address.as_str() {
            "memory" => {
                let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                run(
                    MemoryStore::new(move || Timestamp::since_epoch(now())),
                    size,
                    to,
                )
                .await;
            }
            address => run(AnyStore::open(address).await.unwrap(), size, to).await,
        }
    });
}
