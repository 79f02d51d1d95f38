//! What the records of a reply come to, aliases and broken replies included.

use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::{NULL, TLSA, TXT, tlsa};
use proptest::prelude::*;

use super::*;

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

    let mut strange = WireRecord::from_rdata(name("example.com"), 60, unknown(65_296));
    strange.name = Name::from_labels([b"a b".as_slice(), b"example"]).unwrap();
    let failure = run(Query::new("example.com", QueryKind::Mx), |_, question| {
        reply(question, vec![strange.clone()]).to_vec().unwrap()
    });
    let warning = "malformed domain name in resource name of Unknown type 65296 record for \
                   example.com: a\\032b.example";
    assert_eq!(failure, Err(Failure::Malformed(warning.into())));
}

fn unknown(code: u16) -> RData {
    RData::Unknown {
        code: RecordType::from(code),
        rdata: NULL::with(vec![0]),
    }
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
fn the_strings_of_a_text_record_are_joined() {
    let query = || Query::new("_mta-sts.example.com", QueryKind::Txt);
    let strings = ["v=STSv1; ", "id=", "1;"].map(str::to_owned).to_vec();
    let respond = |_: &str, question: &[u8]| {
        let text = RData::TXT(TXT::new(strings.clone()));
        let record = WireRecord::from_rdata(name("_mta-sts.example.com"), 60, text);
        reply(question, vec![record]).to_vec().unwrap()
    };
    let answer = run(query(), respond).unwrap();
    let expected = RecordData::Txt(b"v=STSv1; id=1;".to_vec());
    assert_eq!(answer.records[0].data, expected);
    // A string that is longer than its record.
    let failure = run(query(), |name, question| {
        let mut packet = respond(name, question);
        let last_length = packet.len() - 3;
        packet[last_length] = 3;
        packet
    });
    assert_eq!(failure, Err(Failure::Garbled(String::new())));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in [QueryKind::Mx, QueryKind::A, QueryKind::Srv, QueryKind::Tlsa, QueryKind::Cname, QueryKind::Txt] {
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
