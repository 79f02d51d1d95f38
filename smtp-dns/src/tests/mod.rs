//! The stub resolver against hand-made packets: what the tests share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod answers;
mod exchange;
mod transport;

use core::time::Duration;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX, NS};
use hickory_proto::rr::{Name, RData, Record as WireRecord};
use smtp_proto::Time;

use super::*;

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 53))
}

fn config(servers: u8) -> ResolverConfig {
    ResolverConfig {
        servers: (1..=servers).map(server).collect(),
        ..ResolverConfig::default()
    }
}

fn second(number: u64) -> Time {
    Time::at(Duration::from_secs(number))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_str(text).unwrap();
    name.set_fqdn(true);
    name
}

fn a(owner: &str, number: u8) -> WireRecord {
    WireRecord::from_rdata(name(owner), 60, RData::A(A::new(198, 51, 100, number)))
}

fn mx(owner: &str, preference: u16, host: &str) -> WireRecord {
    WireRecord::from_rdata(name(owner), 60, RData::MX(MX::new(preference, name(host))))
}

fn cname(owner: &str, target: &str) -> WireRecord {
    WireRecord::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

/// A reply to a question.
fn reply(question: &[u8], records: Vec<WireRecord>) -> Message {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    message.metadata.authentic_data = false;
    message.edns = None;
    message.add_answers(records);
    message
}

fn coded(question: &[u8], code: ResponseCode) -> Vec<u8> {
    let mut message = reply(question, vec![]);
    message.metadata.response_code = code;
    message.to_vec().unwrap()
}

fn good(question: &[u8]) -> Vec<u8> {
    reply(question, vec![a("mx.example", 1)]).to_vec().unwrap()
}

fn truncated(question: &[u8]) -> Vec<u8> {
    let mut message = reply(question, vec![]);
    message.metadata.truncation = true;
    message.to_vec().unwrap()
}

fn lookup(servers: u8) -> Lookup {
    start(Query::new("mx.example", QueryKind::A), config(servers))
}

fn start(query: Query, config: ResolverConfig) -> Lookup {
    Lookup::new(query, Arc::new(config), 7)
}

/// The datagram that the lookup wants to send.
fn sent(lookup: &mut Lookup, now: Time) -> (SocketAddr, Vec<u8>) {
    match lookup.poll(now) {
        DnsStep::Datagram { to, bytes } => (to, bytes.to_vec()),
        step => panic!("no datagram but {step:?}"),
    }
}

fn waits_until(lookup: &mut Lookup, now: Time) -> Time {
    match lookup.poll(now) {
        DnsStep::Wait { until } => until,
        step => panic!("no wait but {step:?}"),
    }
}

fn done(lookup: &mut Lookup, now: Time) -> Result<Answer, Failure> {
    match lookup.poll(now) {
        DnsStep::Done(result) => result,
        step => panic!("not done but {step:?}"),
    }
}

fn addresses(answer: &Answer) -> Vec<String> {
    let addresses = answer.records.iter().filter_map(|r| r.data.address());
    addresses.map(|address| address.to_string()).collect()
}

/// Runs a lookup of one server that answers with `respond`, given the question
/// and its name.
fn run(query: Query, respond: impl Fn(&str, &[u8]) -> Vec<u8>) -> Result<Answer, Failure> {
    run_with(query, config(1), respond).0
}

/// The same; also the names that were asked for.
fn run_with(
    query: Query,
    config: ResolverConfig,
    respond: impl Fn(&str, &[u8]) -> Vec<u8>,
) -> (Result<Answer, Failure>, Vec<String>) {
    let mut lookup = start(query, config);
    let mut asked = Vec::new();
    loop {
        match lookup.poll(Time::ZERO) {
            DnsStep::Datagram { to, bytes } => {
                let message = Message::from_vec(&bytes).unwrap();
                let name = message.queries[0].name().to_ascii();
                let name = name.trim_end_matches('.').to_owned();
                lookup.datagram(to, &respond(&name, &bytes));
                asked.push(name);
            }
            DnsStep::Done(result) => return (result, asked),
            step => panic!("unexpected {step:?}"),
        }
    }
}

#[test]
fn records_are_shown_as_a_zone_file_has_them() {
    let shown = |data: RecordData| {
        let owner = "x.example".to_owned();
        let record = Record {
            owner,
            ttl: 60,
            data,
            validated: false,
        };
        record.to_string()
    };
    let mx = RecordData::Mx {
        preference: 10,
        host: "mx.example".to_owned(),
    };
    let tlsa = RecordData::Tlsa {
        usage: 3,
        selector: 1,
        matching: 1,
        data: vec![0, 0xab],
    };
    for (data, text) in [
        (RecordData::A(Ipv4Addr::LOCALHOST), "A 127.0.0.1"),
        (RecordData::Aaaa(Ipv6Addr::LOCALHOST), "AAAA ::1"),
        (mx, "MX 10 mx.example."),
        (tlsa, "TLSA 3 1 1 00ab"),
        (RecordData::Txt(b"a\"\n".to_vec()), "TXT \"a\\\"\\n\""),
    ] {
        assert_eq!(shown(data), format!("x.example {text}"));
    }
}
