//! CPU time and memory of many deliveries at once in one process.
//!
//! `many PORT [COUNT]...` makes so many deliveries at once, each on a connection of its own
//! to smtp-sink or the like on 127.0.0.1 and its neighbours, on tokio and on smol, and prints
//! what each took: CPU time of all threads, and how much the resident memory grew at most.
//! With `--turns` no more than 20 run at a time to each neighbour, and the others wait for
//! their turn. Without a port it does nothing. Each delivery takes a file descriptor: see
//! `ulimit -n`, also for the server.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{fs, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    driver::Submission,
    policy::Policy,
    report::{Report, Status},
    request::{Encoding, Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

/// Ports of one address are not enough for 100,000 connections.
const NEIGHBOURS: usize = 8;

fn request(number: usize, port: &str) -> Request {
    let to = Recipient::new(Address::parse("user@example.com").unwrap());
    let from = ReversePath::parse("sender@example.org").unwrap();
    let nexthop = format!("[127.0.0.{}]:{port}", 1 + number % NEIGHBOURS);
    let mut request = Request::new(Protocol::Smtp, nexthop.parse().unwrap(), from, vec![to]);
    request.encoding = Encoding::SevenBit;
    request
}

fn policy(turns: bool) -> Arc<Policy> {
    let limit = if turns { 20 } else { 0 };
    let settings = format!("smtp_destination_concurrency_limit = {limit}\n");
    let main_cf = MainCf::parse(&settings, "main.cf", "/nowhere".as_ref()).unwrap();
    Arc::new(compile(&main_cf, ResolverConfig::default(), &[]).unwrap())
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

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0.0)
}

fn measure(name: &str, count: usize, run: impl FnOnce() -> Vec<Report>) {
    // The peak begins anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, held) = (cpu_time(), memory("VmRSS"));
    let reports = run();
    let (cpu, held) = (cpu_time() - before, memory("VmHWM") - held);
    let sent = reports
        .iter()
        .filter(|report| report.all(Status::Sent))
        .count();
    assert_eq!(
        sent,
        count,
        "{:?}",
        reports.iter().find(|r| !r.all(Status::Sent))
    );
    let each = f64::from(u32::try_from(count).unwrap());
    println!(
        "{name:<6} {count:>6} at once: {:6.1} µs of CPU time and {:5.1} KiB each",
        cpu / each,
        held / each,
    );
}

fn main() {
    let arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let (options, arguments): (Vec<String>, Vec<String>) =
        arguments.partition(|argument| argument.starts_with("--"));
    let Some((port, counts)) = arguments.split_first() else {
        println!("usage: many [--turns] PORT [COUNT]...");
        return;
    };
    let policy = policy(options.contains(&"--turns".to_owned()));
    let text = Bytes::from_static(b"Subject: one of many\n\nHello.\n");
    let submission = |number| Submission::new(request(number, port), text.clone());
    for count in counts.iter().map(|count| count.parse().unwrap()) {
        // Threads that have ended are not counted any more.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        measure("tokio", count, || {
            runtime.block_on(async {
                let client = runtime_tokio::Client::new(Arc::clone(&policy));
                let all = client.deliver_all(stream::iter((0..count).map(submission)), count);
                all.map(|(_, report)| report).collect().await
            })
        });
        drop(runtime);
        measure("smol", count, || {
            let client = runtime_smol::Client::new(Arc::clone(&policy));
            let deliver = |number| client.deliver(request(number, port), text.clone(), ());
            smol::block_on(join_all((0..count).map(deliver)))
        });
    }
}
