//! The engine without any I/O: a canned server answers from memory.
//!
//! `core deliver N` delivers N messages of 4 KiB, each on a connection of its own;
//! `core kept N` delivers them on one kept connection. Both are meant to be run
//! under callgrind with two values of N: the difference, divided by the difference
//! of N, is what a message costs, without the program's own start. Without
//! arguments, each runs once as a check.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments; the crate does not"
)]

use std::{hint::black_box, sync::Arc};

use bytes::{Buf, Bytes};
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    delivery::{Ask, Delivery},
    dns::ResolverConfig,
    policy::Policy,
    request::{Encoding, Recipient, Request},
    reuse::ConnectionCache,
    sts::FetchError,
};
use smtp_proto::{Address, ReversePath, Time};

const KEEP: &str = "smtp_connection_cache_destinations = 192.0.2.1\n\
    smtp_connection_reuse_time_limit = 1d\nsmtp_connection_cache_time_limit = 1d\n";
const GREETING: &[u8] = b"220 mx.example ESMTP\r\n";
const CAPABILITIES: &[u8] = b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n\
    250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n";
const ENVELOPE: &[u8] = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n";
const QUEUED: &[u8] = b"250 2.0.0 Ok: queued\r\n";
const RESET: &[u8] = b"250 2.0.0 Ok\r\n";

/// A client, its cache, and how often it waited for the server.
struct Bench {
    policy: Arc<Policy>,
    cache: ConnectionCache<()>,
    text: Bytes,
    round_trips: u32,
}

impl Bench {
    fn new(main_cf: &str) -> Self {
        let main_cf = MainCf::parse(main_cf, "main.cf", "/nowhere".as_ref()).unwrap();
        let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
        let line = "A line of text as people write them, seventy-odd bytes in length, on and on.\n";
        let mut text = String::from("Subject: a message\n\n");
        while text.len() < 4096 {
            text.push_str(line);
        }
        text.truncate(4095);
        text.push('\n');
        Self {
            policy: Arc::new(policy),
            cache: ConnectionCache::new(),
            text: text.into(),
            round_trips: 0,
        }
    }

    fn request(&self) -> Request {
        let to = Recipient::new(Address::parse("user@example.com").unwrap());
        let from = ReversePath::parse("sender@example.org").unwrap();
        let mut request = Request::new(
            Protocol::Smtp,
            "[192.0.2.1]".parse().unwrap(),
            from,
            vec![to],
        );
        request.encoding = Encoding::SevenBit;
        request.size = Some(self.text.len() as u64);
        request
    }

    fn deliver(&mut self) {
        let mut job = Delivery::new(self.request(), Arc::clone(&self.policy), 1);
        let mut sent = Vec::with_capacity(8 * 1024);
        loop {
            match job.poll(Time::ZERO) {
                Ask::Reuse(ticket, key) => {
                    let hit = self.cache.take(&key, Time::ZERO);
                    job.reused(ticket, hit.map(|((), channel)| channel));
                }
                Ask::Fetch(ticket, _) => job.fetched(ticket, Err(FetchError::Unsupported)),
                Ask::Connect(ticket, _) => {
                    job.connected(ticket, Ok(()));
                    job.receive(GREETING);
                }
                Ask::Send { .. } => {
                    let output = job.output().unwrap();
                    while output.has_remaining() {
                        let chunk = output.chunk();
                        sent.extend_from_slice(chunk);
                        let length = chunk.len();
                        output.advance(length);
                    }
                }
                Ask::Wait { .. } => {
                    self.round_trips += 1;
                    job.receive(reply_to(&sent));
                    sent.clear();
                }
                Ask::Text { offset, room } => {
                    let start = offset as usize;
                    let end = self.text.len().min(start + room);
                    job.text(self.text.slice(start..end));
                }
                Ask::Keep(keys, channel, expires) => self.cache.put(keys, (), channel, expires),
                Ask::Report(_, outcome) => {
                    assert_eq!(black_box(outcome).word, "sent");
                }
                Ask::Note(_) | Ask::Close => {}
                Ask::Done => return,
                ask => panic!("{ask:?}"),
            }
        }
    }
}

fn reply_to(sent: &[u8]) -> &'static [u8] {
    match sent.first() {
        Some(b'E') => CAPABILITIES,
        Some(b'M') => ENVELOPE,
        Some(b'R') => RESET,
        _ => QUEUED,
    }
}

fn many(main_cf: &str, count: u32) -> u32 {
    let mut bench = Bench::new(main_cf);
    for _ in 0..count {
        bench.deliver();
    }
    bench.round_trips
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let count = arguments.get(1).map_or(100, |count| count.parse().unwrap());
    match arguments.first().map(String::as_str) {
        Some("deliver") => {
            let round_trips = many("", count);
            println!("{count} messages, {round_trips} waits for the server");
        }
        Some("kept") => {
            let round_trips = many(KEEP, count);
            println!("{count} messages, {round_trips} waits for the server");
        }
        _ => {
            many("", 1);
            many(KEEP, 2);
        }
    }
}
