//! Questions, servers, time outs, TCP and the search list.

use super::*;

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
    let mut other = Lookup::new(query, Arc::new(config(1)), 8);
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

#[test]
fn a_reply_about_the_root_is_taken() {
    let query = Query {
        validate: true,
        ..Query::new(".", QueryKind::Ns)
    };
    let mut lookup = start(query, config(1));
    let (to, question) = sent(&mut lookup, Time::ZERO);
    let server = WireRecord::from_rdata(name("."), 60, RData::NS(NS(name("a.example"))));
    let mut message = reply(&question, vec![server]);
    message.metadata.authentic_data = true;
    lookup.datagram(to, &message.to_vec().unwrap());
    let answer = done(&mut lookup, Time::ZERO).unwrap();
    assert!(answer.validated);
    assert_eq!(answer.records[0].data, RecordData::Ns("a.example".into()));
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
