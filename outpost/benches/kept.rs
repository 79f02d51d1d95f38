//! CPU time and rate of messages on one kept connection, beside a bare client.
//!
//! `kept ADDR:PORT [COUNT [RUNTIME]]` delivers COUNT messages of 4 KiB to the server at
//! that address (smtp-sink for one) through each runtime, or the one named, and as often writes the
//! same dialogue with pre-rendered bytes over a plain socket. The bare client
//! waits where the engine waits, so that the ratio shows what the engine costs
//! and not what the network does. Rounds alternate, first on an idle machine and then with
//! every processor kept busy by other processes; medians are printed. CPU time is that of
//! all threads (`/proc/self/task/*/schedstat`). Without an address it does nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs, hint,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command},
    sync::Arc,
    thread,
    time::Instant,
};

use bytes::Bytes;
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    report::{Report, Status},
    request::{Encoding, Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

const ROUNDS: usize = 7;
const ENVELOPE: &[u8] = b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<user@example.com>\r\nDATA\r\n";

fn message() -> Bytes {
    let mut text = String::from("Subject: a message\n\n");
    while text.len() < 4096 {
        text.push_str(
            "A line of text as people write them, seventy-odd bytes in length, on and on.\n",
        );
    }
    text.into()
}

fn request(nexthop: &str, size: u64) -> Request {
    let to = Recipient::new(Address::parse("user@example.com").unwrap());
    let from = ReversePath::parse("sender@example.org").unwrap();
    let mut request = Request::new(Protocol::Smtp, nexthop.parse().unwrap(), from, vec![to]);
    request.encoding = Encoding::SevenBit;
    request.size = Some(size);
    request
}

/// Reads until `lines` lines have come.
fn expect(socket: &mut TcpStream, lines: usize) {
    let (mut seen, mut buffer) = (0, [0; 4096]);
    while seen < lines {
        let count = socket.read(&mut buffer).unwrap();
        assert!(count > 0, "the server closed the connection");
        seen += buffer
            .iter()
            .take(count)
            .filter(|byte| **byte == b'\n')
            .count();
    }
}

/// The cost of a message.
#[derive(Clone, Copy)]
struct Cost {
    /// In microseconds, of all threads.
    cpu: f64,
    per_second: f64,
}

/// The CPU time of all threads of this process so far, in microseconds.
fn cpu_time() -> f64 {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let stat = fs::read_to_string(thread.unwrap().path().join("schedstat"));
        let stat = stat.unwrap_or_default();
        let time = stat.split(' ').next().and_then(|time| time.parse().ok());
        nanoseconds += time.unwrap_or(0.0);
    }
    nanoseconds / 1000.0
}

/// Measures `count` messages.
fn measure(count: u32, run: impl FnOnce()) -> Cost {
    let (start, before) = (Instant::now(), cpu_time());
    run();
    Cost {
        cpu: (cpu_time() - before) / f64::from(count),
        per_second: f64::from(count) / start.elapsed().as_secs_f64(),
    }
}

/// The same dialogue with nothing behind it.
fn bare(address: &str, count: u32) -> Cost {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    expect(&mut socket, 1);
    socket.write_all(b"HELO client.example\r\n").unwrap();
    expect(&mut socket, 1);
    let text = String::from_utf8(message().to_vec()).unwrap();
    let text = text.replace('\n', "\r\n") + ".\r\n";
    measure(count, || {
        for _ in 0..count {
            socket.write_all(b"RSET\r\n").unwrap();
            expect(&mut socket, 1);
            socket.write_all(ENVELOPE).unwrap();
            expect(&mut socket, 3);
            socket.write_all(text.as_bytes()).unwrap();
            expect(&mut socket, 1);
        }
    })
}

fn is_sent(report: &Report) {
    assert!(report.all(Status::Sent), "{report:?}");
}

/// Keeps every processor busy until it is dropped.
struct Load(Vec<Child>);

impl Load {
    fn new() -> Self {
        let program = std::env::current_exe().unwrap();
        let count = thread::available_parallelism().unwrap().get();
        let spin = || Command::new(&program).arg(SPIN).spawn().unwrap();
        Self((0..count).map(|_| spin()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// The argument with which this program keeps a processor busy, until it has no parent.
const SPIN: &str = "--spin";

fn spin() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        (0..1_000_000).for_each(|_| hint::spin_loop());
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A client, by its name: it delivers so many messages.
type Client<'a> = (&'static str, Box<dyn Fn(u32) -> Cost + 'a>);

/// Lets the clients take turns, and prints the medians beside those of the first.
fn compare(state: &str, clients: &[Client<'_>], count: u32) {
    let round = || clients.iter().map(|(_, run)| run(count)).collect();
    let rounds: Vec<Vec<Cost>> = (0..ROUNDS).map(|_| round()).collect();
    let of = |index: usize, what: fn(&Cost) -> f64| {
        let costs = rounds.iter().filter_map(|round| round.get(index));
        median(costs.map(what).collect())
    };
    println!("{state}:");
    for (index, (name, _)) in clients.iter().enumerate() {
        let cpu = of(index, |cost| cost.cpu);
        let rate = of(index, |cost| cost.per_second);
        println!(
            "  {name:<11} {cpu:6.1} µs of CPU time a message, {:5.2} times the bare client; \
             {rate:6.0} messages a second, {:.2} of the bare client",
            cpu / of(0, |cost| cost.cpu),
            rate / of(0, |cost| cost.per_second),
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if arguments.first().is_some_and(|first| first == SPIN) {
        return spin();
    }
    let Some(address) = arguments.first() else {
        println!("usage: kept ADDR:PORT [COUNT [RUNTIME]]");
        return;
    };
    let count = arguments
        .get(1)
        .map_or(2000, |count| count.parse().unwrap());
    let (host, port) = address.rsplit_once(':').unwrap();
    let nexthop = format!("[{host}]:{port}");
    let settings = format!(
        "smtp_connection_cache_destinations = {host}\nsmtp_connection_reuse_time_limit = 1d\n"
    );
    let main_cf = MainCf::parse(&settings, "main.cf", "/nowhere".as_ref()).unwrap();
    let policy = Arc::new(compile(&main_cf, ResolverConfig::default(), &[]).unwrap());
    let text = message();
    let request = || request(&nexthop, text.len() as u64);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tokio = runtime.block_on(async { runtime_tokio::Client::new(Arc::clone(&policy)) });
    let smol = runtime_smol::Client::new(Arc::clone(&policy));
    let blocking = runtime_blocking::Client::new(policy);

    let mut clients: Vec<Client<'_>> = vec![
        ("bare client", Box::new(|count| bare(address, count))),
        (
            "tokio",
            Box::new(|count| {
                measure(count, || {
                    runtime.block_on(async {
                        for _ in 0..count {
                            is_sent(&tokio.deliver(request(), text.clone(), ()).await);
                        }
                    });
                })
            }),
        ),
        (
            "smol",
            Box::new(|count| {
                measure(count, || {
                    smol::block_on(async {
                        for _ in 0..count {
                            is_sent(&smol.deliver(request(), text.clone(), ()).await);
                        }
                    });
                })
            }),
        ),
        (
            "blocking",
            Box::new(|count| {
                measure(count, || {
                    for _ in 0..count {
                        is_sent(&blocking.deliver(request(), text.clone(), ()));
                    }
                })
            }),
        ),
    ];
    if let Some(only) = arguments.get(2) {
        clients.retain(|(name, _)| *name == "bare client" || name == only);
    }
    compare("idle", &clients, count);
    let load = Load::new();
    compare("all processors busy", &clients, count);
    drop(load);
}
