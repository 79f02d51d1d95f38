//! Messages per second on one kept connection, against a bare client.
//!
//! `kept ADDR:PORT [COUNT]` delivers COUNT messages of 4 KiB to the server at
//! that address (smtp-sink for one) through each runtime, and as often writes the
//! same dialogue with pre-rendered bytes over a plain socket. The bare client
//! waits where the engine waits, so that the ratio shows what the engine costs
//! and not what the network does. Rounds alternate, and medians are printed.
//! Without an address it does nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
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

/// The same dialogue with nothing behind it; messages per second.
fn bare(address: &str, count: u32) -> f64 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    expect(&mut socket, 1);
    socket.write_all(b"HELO client.example\r\n").unwrap();
    expect(&mut socket, 1);
    let mut text = message().to_vec();
    text = String::from_utf8(text)
        .unwrap()
        .replace('\n', "\r\n")
        .into_bytes();
    text.extend_from_slice(b".\r\n");
    let start = Instant::now();
    for _ in 0..count {
        socket.write_all(b"RSET\r\n").unwrap();
        expect(&mut socket, 1);
        socket.write_all(ENVELOPE).unwrap();
        expect(&mut socket, 3);
        socket.write_all(&text).unwrap();
        expect(&mut socket, 1);
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn engine(count: u32, mut deliver: impl FnMut() -> Report) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        assert!(deliver().all(Status::Sent));
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let Some(address) = arguments.first() else {
        println!("usage: kept ADDR:PORT [COUNT]");
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

    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            bare(address, count),
            engine(count, || {
                runtime.block_on(tokio.deliver(request(), text.clone(), ()))
            }),
            engine(count, || {
                smol::block_on(smol.deliver(request(), text.clone(), ()))
            }),
            engine(count, || blocking.deliver(request(), text.clone(), ())),
        ];
        for (rate, value) in rates.iter_mut().zip(round) {
            rate.push(value);
        }
    }
    let [bare, engines @ ..] = rates.map(median);
    println!("bare client: {bare:.0} messages per second");
    for (name, rate) in ["tokio", "smol", "blocking"].into_iter().zip(engines) {
        println!(
            "{name}: {rate:.0} messages per second, {:.2} of the bare client",
            rate / bare
        );
    }
}
