//! The stub resolver against hand-made packets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use core::time::Duration;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX, TLSA, tlsa};
use hickory_proto::rr::{Name, RData, Record as WireRecord};
use proptest::prelude::*;
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

fn lookup(servers: u8) -> Lookup {
    start(Query::new("mx.example", QueryKind::A), config(servers))
}

fn start(query: Query, config: ResolverConfig) -> Lookup {
    Lookup::new(query, Arc::new(config), 7, Time::ZERO)
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
fn an_answer_has_the_records_of_the_type_in_the_order_of_the_reply() {
    let answer = run(Query::new("example.com", QueryKind::Mx), |_, question| {
        let records = vec![
            mx("example.com", 20, "b.example"),
            a("example.com", 9),
            mx("example.com", 10, "a.example"),
            mx("example.com", 0, "."),
        ];
        reply(question, records).to_vec().unwrap()
    });
    let hosts: Vec<RecordData> = answer
        .unwrap()
        .records
        .into_iter()
        .map(|r| r.data)
        .collect();
    let record = |preference, host: &str| RecordData::Mx {
        preference,
        host: host.into(),
    };
    assert_eq!(
        hosts,
        [
            record(20, "b.example"),
            record(10, "a.example"),
            record(0, "")
        ]
    );
}

#[test]
fn questions_ask_for_recursion_and_only_on_demand_for_validation() {
    for validate in [false, true] {
        let query = Query {
            validate,
            ..Query::new("mx.example", QueryKind::A)
        };
        let (_, bytes) = sent(&mut start(query, config(1)), Time::ZERO);
        let message = Message::from_vec(&bytes).unwrap();
        assert!(message.metadata.recursion_desired);
        assert_eq!(message.metadata.authentic_data, validate);
        assert_eq!(message.edns.is_some_and(|e| e.flags().dnssec_ok), validate);
    }
}

#[test]
fn ids_depend_on_the_seed_and_differ_between_attempts() {
    let id = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let mut one = lookup(1);
    let first = id(&sent(&mut one, Time::ZERO).1);
    let second_try = id(&sent(&mut one, second(5)).1);
    assert_ne!(first, second_try);
    let query = Query::new("mx.example", QueryKind::A);
    let mut other = Lookup::new(query, Arc::new(config(1)), 8, Time::ZERO);
    assert_ne!(first, id(&sent(&mut other, Time::ZERO).1));
}

#[test]
fn replies_that_lie_are_ignored_until_the_true_one_comes() {
    let mut lookup = lookup(2);
    let (to, question) = sent(&mut lookup, Time::ZERO);
    let mut wrong_id = good(&question);
    wrong_id[0] ^= 1;
    let mut wrong_question = Message::from_vec(&question).unwrap();
    wrong_question.queries[0].set_name(name("other.example"));
    let wrong_question = good(&wrong_question.to_vec().unwrap());
    let mut wrong_type = Message::from_vec(&question).unwrap();
    wrong_type.queries[0].set_query_type(hickory_proto::rr::RecordType::MX);
    let lies: [(SocketAddr, &[u8]); 7] = [
        (server(2), &good(&question)),
        (SocketAddr::from(([192, 0, 2, 1], 54)), &good(&question)),
        (to, &wrong_id),
        (to, &wrong_question),
        (to, &good(&wrong_type.to_vec().unwrap())),
        (to, &question),
        (to, b"garbage"),
    ];
    for (from, bytes) in lies {
        lookup.datagram(from, bytes);
        assert_eq!(waits_until(&mut lookup, second(1)), second(5));
    }
    lookup.datagram(to, &good(&question));
    let answer = done(&mut lookup, second(1)).unwrap();
    assert_eq!(addresses(&answer), ["198.51.100.1"]);
    assert_eq!(answer.canonical, "mx.example");
}

#[test]
fn a_question_may_come_back_in_other_case() {
    let mut lookup = lookup(1);
    let (to, question) = sent(&mut lookup, Time::ZERO);
    lookup.datagram(to, &good(&question).to_ascii_uppercase_names());
    assert!(done(&mut lookup, Time::ZERO).is_ok());
}

trait UpperCaseNames {
    fn to_ascii_uppercase_names(&self) -> Vec<u8>;
}

impl UpperCaseNames for Vec<u8> {
    fn to_ascii_uppercase_names(&self) -> Vec<u8> {
        let (head, rest) = self.split_at(12);
        [head, &rest.to_ascii_uppercase()].concat()
    }
}

#[test]
fn silent_servers_are_asked_in_turn_and_then_again() {
    let mut lookup = lookup(2);
    // The second of two servers has twice the time, halved.
    let expected = [
        (server(1), 0),
        (server(2), 5),
        (server(1), 10),
        (server(2), 15),
    ];
    for (to, at) in expected {
        assert_eq!(sent(&mut lookup, second(at)).0, to);
        assert_eq!(waits_until(&mut lookup, second(at)), second(at + 5));
    }
    assert_eq!(done(&mut lookup, second(20)), Err(Failure::TryAgain));
}

#[test]
fn late_replies_are_ignored() {
    let mut lookup = lookup(1);
    let (to, first) = sent(&mut lookup, Time::ZERO);
    let (_, again) = sent(&mut lookup, second(5));
    lookup.datagram(to, &good(&first));
    assert_eq!(waits_until(&mut lookup, second(6)), second(10));
    lookup.datagram(to, &good(&again));
    let answer = done(&mut lookup, second(6));
    lookup.datagram(to, &coded(&again, ResponseCode::NXDomain));
    assert_eq!(done(&mut lookup, second(7)), answer);
}

#[test]
fn a_server_that_is_not_there_or_fails_makes_room_for_the_next() {
    for failure in ["unreachable", "SERVFAIL", "REFUSED", "NOTIMP", "lame"] {
        let mut lookup = lookup(2);
        let (to, question) = sent(&mut lookup, Time::ZERO);
        match failure {
            "unreachable" => lookup.datagram_failed(),
            "SERVFAIL" => lookup.datagram(to, &coded(&question, ResponseCode::ServFail)),
            "REFUSED" => lookup.datagram(to, &coded(&question, ResponseCode::Refused)),
            "NOTIMP" => lookup.datagram(to, &coded(&question, ResponseCode::NotImp)),
            _ => {
                let mut lame = reply(&question, vec![]);
                lame.metadata.recursion_available = false;
                lookup.datagram(to, &lame.to_vec().unwrap());
            }
        }
        let (to, question) = sent(&mut lookup, Time::ZERO);
        assert_eq!(to, server(2), "{failure}");
        lookup.datagram(to, &good(&question));
        assert!(done(&mut lookup, Time::ZERO).is_ok(), "{failure}");
    }
}

#[test]
fn response_codes_of_all_servers_are_told_apart() {
    let cases = [
        (ResponseCode::NXDomain, Failure::NotFound),
        (ResponseCode::NoError, Failure::NoData),
        (ResponseCode::ServFail, Failure::TryAgain),
        // The C library forgets why all servers failed.
        (ResponseCode::Refused, Failure::TryAgain),
        (ResponseCode::NotImp, Failure::TryAgain),
        (ResponseCode::FormErr, Failure::NonRecoverable),
        (ResponseCode::NotAuth, Failure::NonRecoverable),
    ];
    for (code, failure) in cases {
        let query = Query::new("mx.example", QueryKind::A);
        let result = run(query, |_, question| coded(question, code));
        assert_eq!(result, Err(failure), "{code:?}");
    }
}

#[test]
fn no_servers_at_all_is_a_failure_for_now() {
    assert_eq!(done(&mut lookup(0), Time::ZERO), Err(Failure::TryAgain));
}

#[test]
fn a_server_that_does_not_know_edns_is_asked_without() {
    let query = Query {
        validate: true,
        ..Query::new("mx.example", QueryKind::A)
    };
    let result = run(query, |_, question| {
        let message = Message::from_vec(question).unwrap();
        if message.edns.is_none() {
            return good(question);
        }
        // Such servers do not even repeat the question.
        let mut refusal = reply(question, vec![]);
        refusal.queries.clear();
        refusal.metadata.response_code = ResponseCode::FormErr;
        refusal.to_vec().unwrap()
    });
    assert!(result.is_ok());
}

fn truncated(question: &[u8]) -> Vec<u8> {
    let mut message = reply(question, vec![]);
    message.metadata.truncation = true;
    message.to_vec().unwrap()
}

/// A lookup that was told to use TCP, and its question.
fn over_stream(lookup: &mut Lookup) -> (SocketAddr, Vec<u8>) {
    let (to, question) = sent(lookup, Time::ZERO);
    lookup.datagram(to, &truncated(&question));
    match lookup.poll(second(1)) {
        DnsStep::Stream { to, bytes, until } => {
            assert_eq!(until, second(6));
            (to, bytes.to_vec())
        }
        step => panic!("no stream but {step:?}"),
    }
}

#[test]
fn a_truncated_reply_is_asked_for_over_tcp_at_the_same_server() {
    let mut lookup = lookup(2);
    let (to, question) = over_stream(&mut lookup);
    assert_eq!(to, server(1));
    assert_eq!(waits_until(&mut lookup, second(1)), second(6));
    lookup.datagram(to, &good(&question));
    assert_eq!(waits_until(&mut lookup, second(1)), second(6));
    lookup.stream(Ok(&good(&question)));
    assert!(done(&mut lookup, second(1)).is_ok());
}

#[test]
fn a_stream_that_fails_or_is_truncated_is_a_failure_for_now() {
    for answer in ["error", "truncated", "garbage", "nothing"] {
        let mut lookup = lookup(1);
        let (_, question) = over_stream(&mut lookup);
        let mut now = second(1);
        for attempt in 0..2 {
            match answer {
                "error" => lookup.stream(Err(())),
                "truncated" => lookup.stream(Ok(&truncated(&question))),
                "garbage" => lookup.stream(Ok(b"garbage")),
                _ => now = now + Duration::from_secs(5),
            }
            if attempt == 0 {
                let step = lookup.poll(now);
                assert!(matches!(step, DnsStep::Stream { .. }), "{answer}: {step:?}");
            }
        }
        assert_eq!(done(&mut lookup, now), Err(Failure::TryAgain), "{answer}");
    }
}

#[test]
fn an_alias_within_one_reply_needs_no_further_question() {
    let query = Query::new("alias.example", QueryKind::A);
    let (result, asked) = run_with(query, config(1), |_, question| {
        let records = vec![cname("alias.example", "host.example"), a("host.example", 1)];
        reply(question, records).to_vec().unwrap()
    });
    assert_eq!(result.unwrap().canonical, "host.example");
    assert_eq!(asked, ["alias.example"]);
}

#[test]
fn an_alias_without_its_target_is_asked_for_again() {
    let query = Query::new("alias.example", QueryKind::A);
    let (result, asked) = run_with(query, config(1), |name, question| {
        match name {
            "alias.example" => reply(question, vec![cname(name, "host.example")]),
            _ => reply(question, vec![a(name, 1)]),
        }
        .to_vec()
        .unwrap()
    });
    assert_eq!(result.unwrap().canonical, "host.example");
    assert_eq!(asked, ["alias.example", "host.example"]);
}

#[test]
fn a_failure_behind_an_alias_names_the_target() {
    let query = Query::new("alias.example", QueryKind::A);
    let failure = run(query, |name, question| match name {
        "alias.example" => reply(question, vec![cname(name, "gone.example")])
            .to_vec()
            .unwrap(),
        _ => coded(question, ResponseCode::NXDomain),
    })
    .unwrap_err();
    assert_eq!(
        failure.reason("alias.example", QueryKind::A),
        "Host or domain name not found. \
         Name service error for name=gone.example type=A: Host not found"
    );
}

#[test]
fn aliases_that_lead_nowhere_end_after_ten_questions() {
    let query = Query::new("a.example", QueryKind::A);
    let (result, asked) = run_with(query, config(1), |name, question| {
        let target = if name == "a.example" {
            "b.example"
        } else {
            "a.example"
        };
        reply(question, vec![cname(name, target)]).to_vec().unwrap()
    });
    assert_eq!(asked.len(), 10);
    assert_eq!(result.unwrap_err().at("a.example").0, &Failure::Loop);
}

#[test]
fn a_question_for_the_alias_itself_is_not_followed() {
    let query = Query::new("alias.example", QueryKind::Cname);
    let answer = run(query, |name, question| {
        reply(question, vec![cname(name, "host.example")])
            .to_vec()
            .unwrap()
    })
    .unwrap();
    assert_eq!(
        answer.records[0].data,
        RecordData::Cname("host.example".into())
    );
}

#[test]
fn tlsa_records_come_with_their_data() {
    let query = Query::new("_25._tcp.mx.example", QueryKind::Tlsa);
    let answer = run(query, |name_text, question| {
        let data = TLSA::new(
            tlsa::CertUsage::DaneEe,
            tlsa::Selector::Spki,
            tlsa::Matching::Sha256,
            vec![1, 2, 3],
        );
        let record = WireRecord::from_rdata(name(name_text), 60, RData::TLSA(data));
        reply(question, vec![record]).to_vec().unwrap()
    })
    .unwrap();
    let expected = RecordData::Tlsa {
        usage: 3,
        selector: 1,
        matching: 1,
        data: vec![1, 2, 3],
    };
    assert_eq!(answer.records[0].data, expected);
}

#[test]
fn only_a_chain_that_is_vouched_for_all_along_is_validated() {
    // Asked for validation, AD of the alias, AD of the target, result.
    let cases = [
        (true, true, true, true),
        (true, false, true, false),
        (true, true, false, false),
        (false, true, true, false),
    ];
    for (validate, alias_ad, target_ad, expected) in cases {
        let query = Query {
            validate,
            ..Query::new("alias.example", QueryKind::A)
        };
        let answer = run(query, |name, question| {
            let asked = Message::from_vec(question).unwrap();
            let (record, ad) = match name {
                "alias.example" => (cname(name, "host.example"), alias_ad),
                _ => {
                    // Behind an alias without AD, nobody asks for it any more.
                    assert_eq!(asked.edns.is_some(), validate && alias_ad);
                    (a(name, 1), target_ad)
                }
            };
            let mut message = reply(question, vec![record]);
            message.metadata.authentic_data = ad;
            message.to_vec().unwrap()
        })
        .unwrap();
        assert_eq!(
            answer.validated, expected,
            "{validate} {alias_ad} {target_ad}"
        );
        assert_eq!(answer.records[0].validated, expected);
    }
}

#[test]
fn malformed_names_cost_only_their_record() {
    let mut lookup = start(Query::new("example.com", QueryKind::Mx), config(1));
    let (to, question) = sent(&mut lookup, Time::ZERO);
    let mut bad = Name::from_labels([b"a b".as_slice(), b"example"]).unwrap();
    bad.set_fqdn(true);
    let bad = WireRecord::from_rdata(name("example.com"), 60, RData::MX(MX::new(1, bad)));
    let records = vec![bad.clone(), mx("example.com", 2, "mx.example")];
    lookup.datagram(to, &reply(&question, records).to_vec().unwrap());
    assert_eq!(done(&mut lookup, Time::ZERO).unwrap().records.len(), 1);
    let warning =
        "malformed domain name in resource data of MX record for example.com: a\\032b.example";
    assert_eq!(lookup.take_notes(), [warning]);

    let failure = run(Query::new("example.com", QueryKind::Mx), |_, question| {
        reply(question, vec![bad.clone()]).to_vec().unwrap()
    });
    assert_eq!(failure, Err(Failure::Malformed(warning.into())));
}

#[test]
fn broken_replies_are_told_apart() {
    let bad_class = |question: &[u8]| {
        let mut record = a("mx.example", 1);
        record.dns_class = hickory_proto::rr::DNSClass::CH;
        reply(question, vec![record]).to_vec().unwrap()
    };
    let cut = |question: &[u8]| {
        let mut bytes = good(question);
        bytes.truncate(bytes.len() - 2);
        bytes
    };
    let short_address = |question: &[u8]| {
        let mut bytes = good(question);
        let length_at = bytes.len() - 5;
        bytes[length_at] = 3;
        bytes
    };
    let other_type = |question: &[u8]| {
        reply(question, vec![mx("mx.example", 1, "a.example")])
            .to_vec()
            .unwrap()
    };
    type Respond<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let cases: [(Respond<'_>, Failure); 4] = [
        (
            &bad_class,
            Failure::Garbled("dns_get_fixed: bad class: 3".into()),
        ),
        (&cut, Failure::Garbled(String::new())),
        (
            &short_address,
            Failure::Garbled("extract_answer: bad address length: 3".into()),
        ),
        (&other_type, Failure::Unexpected),
    ];
    for (respond, expected) in cases {
        let query = Query::new("mx.example", QueryKind::A);
        let failure = run(query, |_, question| respond(question)).unwrap_err();
        assert_eq!(failure, expected);
        assert_eq!(
            failure.reason("mx.example", QueryKind::A),
            "Name service error for name=mx.example type=A: \
             Malformed or unexpected name server reply"
        );
    }
}

#[test]
fn names_that_are_none_are_not_asked_for() {
    for name in [
        "192.0.2.1",
        "::1",
        "a..example",
        "exämple",
        "",
        "a.example.",
    ] {
        let mut lookup = start(Query::new(name, QueryKind::Mx), config(1));
        assert_eq!(
            done(&mut lookup, Time::ZERO),
            Err(Failure::InvalidName),
            "{name}"
        );
    }
}

#[test]
fn a_native_question_is_not_for_name_servers() {
    let mut lookup = start(
        Query::new("a.example", QueryKind::Native(Family::Any)),
        config(1),
    );
    assert_eq!(done(&mut lookup, Time::ZERO), Err(Failure::NonRecoverable));
}

#[test]
fn the_search_list_extends_names_as_the_c_library_does() {
    let none = SearchMode::default();
    let defnames = SearchMode {
        defnames: true,
        dnsrch: false,
    };
    let dnsrch = SearchMode {
        defnames: false,
        dnsrch: true,
    };
    let both = SearchMode {
        defnames: true,
        dnsrch: true,
    };
    let cases: [(&str, SearchMode, &[&str]); 7] = [
        ("mx", none, &["mx"]),
        ("mx", defnames, &["mx.one.example", "mx"]),
        ("mx", dnsrch, &["mx"]),
        ("mx", both, &["mx.one.example", "mx.two.example", "mx"]),
        ("mx.sub", none, &["mx.sub"]),
        ("mx.sub", defnames, &["mx.sub"]),
        (
            "mx.sub",
            both,
            &["mx.sub", "mx.sub.one.example", "mx.sub.two.example"],
        ),
    ];
    for (name, search, expected) in cases {
        let config = ResolverConfig {
            search: vec!["one.example".into(), "two.example".into()],
            ..config(1)
        };
        let query = Query {
            search,
            ..Query::new(name, QueryKind::A)
        };
        let (result, asked) = run_with(query, config, |_, question| {
            coded(question, ResponseCode::NXDomain)
        });
        assert_eq!(asked, expected, "{name} {search:?}");
        assert_eq!(result, Err(Failure::NotFound));
    }
}

#[test]
fn the_first_name_of_the_search_list_with_records_wins() {
    let config = ResolverConfig {
        search: vec!["one.example".into(), "two.example".into()],
        ..config(1)
    };
    let query = Query {
        search: SearchMode {
            defnames: true,
            dnsrch: true,
        },
        ..Query::new("mx", QueryKind::A)
    };
    let (result, asked) = run_with(query, config, |name, question| match name {
        "mx.two.example" => reply(question, vec![a(name, 2)]).to_vec().unwrap(),
        _ => coded(question, ResponseCode::NoError),
    });
    assert_eq!(addresses(&result.unwrap()), ["198.51.100.2"]);
    assert_eq!(asked, ["mx.one.example", "mx.two.example"]);
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in [QueryKind::Mx, QueryKind::A, QueryKind::Srv, QueryKind::Tlsa, QueryKind::Cname] {
            let _ = answer_dns_stub(&bytes, &Query::new("mx.example", kind));
        }
    }

    #[test]
    fn no_damage_to_a_reply_breaks_the_lookup(
        damage in proptest::collection::vec((2usize..120, any::<u8>()), 0..6),
        length in 12usize..200,
    ) {
        let mut lookup = start(Query::new("mx.example", QueryKind::Mx), config(1));
        let (to, question) = sent(&mut lookup, Time::ZERO);
        let records = vec![mx("mx.example", 1, "a.example"), cname("mx.example", "b.example")];
        let mut bytes = reply(&question, records).to_vec().unwrap();
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(length);
        lookup.datagram(to, &bytes);
        let _ = lookup.poll(Time::ZERO);
        let _ = answer_dns_stub(&bytes, &Query::new("mx.example", QueryKind::Mx));
    }
}
