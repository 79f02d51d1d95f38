//! Requests and replies.

use base64::{Engine, engine::general_purpose::STANDARD};
use postfix_ipc::{
    attr::{Attribute, List, ListReader},
    request::{
        DeliveryRequest, Dsn, FinalReply, Recipient, RequestHead, RequestReader, SendFlags,
        SendOptions, Stamp,
    },
};
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    request::{ClientSource, DeliveryFlags, Encoding, TlsWish},
};
use smtp_proto::dsn::{Notify, Ret};

use crate::files::{all, assert_same, bytes, pairs};

fn read(name: &str, wire: &[u8]) -> DeliveryRequest {
    let mut reader = RequestReader::new(name);
    reader.push(wire);
    let request = reader.next_request().unwrap().unwrap();
    assert_eq!(reader.buffered(), 0, "{name}");
    assert!(reader.ended().is_none(), "{name}");
    request
}

/// A typed value as it stands on the wire.
fn text(value: &impl Attribute) -> String {
    let mut text = Vec::new();
    value.write(&mut text);
    String::from_utf8(text).unwrap()
}

fn head(head: &RequestHead) -> Vec<String> {
    let RequestHead { client, sasl, .. } = head;
    vec![
        text(&head.flags),
        text(&head.queue_name),
        text(&head.queue_id),
        text(&head.offset),
        text(&head.size),
        text(&head.nexthop),
        text(&head.encoding),
        text(&head.options.bits),
        text(&head.sender),
        text(&head.envelope_id),
        text(&head.ret_flags),
        text(&head.stats),
        text(&client.name),
        text(&client.address),
        text(&client.port),
        text(&client.protocol),
        text(&client.helo),
        text(&sasl.method),
        text(&sasl.username),
        text(&sasl.sender),
        text(&head.log_ident),
        text(&head.rewrite_context),
        text(&head.recipient_count),
    ]
}

fn recipient(recipient: &Recipient) -> Vec<String> {
    vec![
        text(&recipient.original),
        text(&recipient.address),
        text(&recipient.offset),
        text(&recipient.dsn_original),
        text(&recipient.notify),
    ]
}

fn reply(reply: &FinalReply) -> Vec<String> {
    let Dsn {
        status,
        diagnostic_type,
        diagnostic,
        mta_type,
        mta_name,
        action,
        reason,
    } = &reply.hop;
    let hop = [
        status,
        diagnostic_type,
        diagnostic,
        mta_type,
        mta_name,
        action,
        reason,
    ];
    hop.into_iter()
        .map(text)
        .chain([text(&reply.status)])
        .collect()
}

fn assert_values(found: &[String], recorded: &serde_json::Value, name: &str) {
    let recorded = pairs(recorded);
    assert_eq!(found.len(), recorded.len(), "{name}");
    for (found, (attribute, value)) in found.iter().zip(recorded) {
        assert_same(found, value, &format!("{name}: {attribute}"));
    }
}

#[test]
fn every_request_is_read_and_written_again() {
    let mut count = 0;
    for recording in all() {
        let name = &recording.name;
        for delivery in recording.deliveries() {
            assert_eq!(
                bytes(&delivery["greeting_base64"]),
                DeliveryRequest::greeting()
            );
            let wire = bytes(&delivery["request_base64"]);
            let request = read(name, &wire);
            assert_eq!(request.encode(), wire, "{name}");
            assert_values(&head(&request.head), &delivery["request"], name);
            // Long lists are shortened: a note stands for what was left out.
            let recorded = delivery["recipients"].as_array().unwrap();
            let is_note = |it: &serde_json::Value| it[0].is_string();
            let note = recorded.iter().position(is_note);
            let (begin, end) = recorded.split_at(note.unwrap_or(recorded.len()));
            let end = end.iter().skip(1).rev();
            let found = request.recipients.iter();
            let pairs = found.clone().zip(begin).chain(found.rev().zip(end));
            for (found, recorded) in pairs {
                assert_values(&recipient(found), recorded, name);
            }
            if note.is_none() {
                assert_eq!(request.recipients.len(), recorded.len());
            }
            count += 1;
        }
    }
    assert_eq!(count, 107);
}

#[test]
fn every_reply_is_read_and_written_again() {
    let mut count = 0;
    for recording in all() {
        for delivery in recording.deliveries() {
            let wire = bytes(&delivery["reply_base64"]);
            if wire.is_empty() {
                // The agent died.
                assert_eq!(recording.name, "not-ready");
                continue;
            }
            let mut reader = ListReader::new("agent");
            reader.push(&wire);
            let found: FinalReply = reader.next_list().unwrap().unwrap();
            assert_eq!(found.encode(), wire, "{}", recording.name);
            assert_values(&reply(&found), &delivery["reply"], &recording.name);
            count += 1;
        }
    }
    assert_eq!(count, 106);
    assert_eq!(FinalReply::done().encode().len(), 77);
}

#[test]
fn the_cuts_change_nothing() {
    for recording in all() {
        for delivery in recording.deliveries() {
            let wire = bytes(&delivery["request_base64"]);
            for length in [1, 2, 7, 100, 1000] {
                if wire.len() > 10_000 && length < 100 {
                    continue;
                }
                let mut reader = RequestReader::new("qmgr");
                let mut found = None;
                for chunk in wire.chunks(length) {
                    assert!(found.is_none());
                    reader.push(chunk);
                    found = reader.next_request().unwrap();
                    assert_eq!(found.is_none(), reader.ended().is_some());
                }
                assert_eq!(found.unwrap().encode(), wire, "{}", recording.name);
            }
        }
    }
}

#[test]
fn every_request_can_be_served() {
    for recording in all() {
        for delivery in recording.deliveries() {
            let mut request = read(&recording.name, &bytes(&delivery["request_base64"]));
            let recipients: Vec<_> = request
                .recipients
                .iter()
                .map(|recipient| recipient.to_policy().unwrap())
                .collect();
            let addresses: Vec<_> = recipients.iter().map(|it| it.address.as_str()).collect();
            for (recipient, address) in request.recipients.iter().zip(addresses) {
                assert_eq!(recipient.address, address);
            }
            assert!(request.head.queue_file().is_ok());
            let arrival = request.head.stats.active_arrival;
            request.head.stamp(Stamp {
                seconds: arrival.seconds + 1,
                ..arrival
            });
            let served = request
                .head
                .to_policy(Protocol::Smtp, DeliveryFlags::default(), recipients)
                .unwrap();
            assert!(request.head.nexthop == served.nexthop.as_str());
            assert_eq!(served.size, u64::try_from(request.head.size).ok());
            let stats = &request.head.stats;
            let (queue, handoff) = stats.waits();
            assert_eq!(handoff.as_secs(), 1, "{}", recording.name);
            assert_eq!(served.age, queue + handoff);
        }
    }
}

/// The first request of a recording, as a delivery takes it.
fn served(name: &str) -> smtp_policy::request::Request {
    let recording = crate::files::named(name);
    let request = read(name, &bytes(&recording["deliveries"][0]["request_base64"]));
    let recipients = request.recipients.iter().map(|it| it.to_policy().unwrap());
    let recipients = recipients.collect();
    let flags = DeliveryFlags::default();
    request
        .head
        .to_policy(Protocol::Smtp, flags, recipients)
        .unwrap()
}

#[test]
fn what_was_asked_for_is_asked_of_the_delivery() {
    let plain = served("one-recipient");
    assert!(!plain.probe && !plain.smtputf8 && plain.ret.is_none() && plain.envid.is_none());
    assert_eq!(plain.encoding, Encoding::Unknown);
    let client = plain.client.unwrap();
    assert_eq!(
        (client.name.as_str(), client.source),
        ("", Some(ClientSource::Local))
    );

    let utf8 = served("smtputf8");
    assert!(utf8.smtputf8 && utf8.header_utf8 && utf8.needs_smtputf8());
    assert_eq!(served("eight-bit").encoding, Encoding::EightBit);

    let dsn = served("dsn-envid-ret-orcpt");
    assert_eq!(dsn.envid.unwrap(), "QQ+314159");
    assert!(matches!(dsn.ret, Some(Ret::Hdrs | Ret::Full)));
    assert!(
        dsn.recipients
            .iter()
            .any(|it| it.notify.contains(Notify::SUCCESS))
    );
    let orcpt = dsn.recipients[0].orcpt.as_ref().unwrap();
    assert_eq!(orcpt.kind(), "rfc822");

    assert!(served("probe-deliverable").probe && served("sendmail-bv").probe);
    assert!(served("null-sender").sender.is_null());
    let forwarded = served("xforward").client.unwrap();
    assert!(!forwarded.name.is_empty() && !forwarded.ident.is_empty());
    let hints = served("connection-cache-demand").cache;
    assert_eq!(hints.load, hints.store);
    assert_eq!(forwarded.source, Some(ClientSource::Remote));
    // The queue has the text as it is to go out.
    assert!(matches!(plain.stray_cr, StrayCr::Pass));
}

#[test]
fn a_request_of_postfix_3_10_is_read() {
    let recording = crate::files::named("one-recipient");
    let wire = bytes(&recording["deliveries"][0]["request_base64"]);
    let text = String::from_utf8(wire).unwrap();
    let wire = text.replace("\0smtputf8\x000\0", "\0sendopts\x0017\0");
    let request = read("3.10", wire.as_bytes());
    let options = request.head.options.bits;
    assert_eq!(
        options,
        SendFlags::UTF8_REQUESTED | SendFlags::TLS_NOT_REQUIRED
    );
    assert_eq!(request.encode(), wire.as_bytes());
    let wish = |bits| {
        let head = RequestHead {
            nexthop: request.head.nexthop.clone(),
            options: SendOptions::new(SendFlags(bits)),
            ..RequestHead::default()
        };
        let served = head.to_policy(Protocol::Smtp, DeliveryFlags::default(), Vec::new());
        let served = served.unwrap();
        // Nothing is known of how addresses were completed.
        assert_eq!(served.client.unwrap().source, None);
        served.tls
    };
    let required = TlsWish::Required;
    let wishes = [TlsWish::Unsaid, TlsWish::Waived, required, required];
    assert_eq!([0, 16, 32, 48].map(wish), wishes);
}

#[test]
fn a_recipient_is_passed_on_with_the_same_values() {
    let recording = crate::files::named("three-recipients");
    let request = read("", &bytes(&recording["deliveries"][0]["request_base64"]));
    let nexthop = "other.test".try_into().unwrap();
    let passed = DeliveryRequest::passed(&request.head, request.recipients[1].clone(), nexthop);
    let read = read("other", &passed.encode());
    assert_eq!(read.recipients, request.recipients[1..2]);
    assert_eq!(read.head.recipient_count, 1);
    assert_eq!(read.head.nexthop, "other.test");
    assert_eq!(read.head.stats, request.head.stats);
    // The time of the handing over is that of the first agent.
    let stamp = |seconds| Stamp { seconds, micros: 0 };
    let mut head = request.head;
    head.stamp(stamp(5));
    head.stamp(stamp(6));
    assert_eq!(head.stats.agent_handoff, stamp(5));
}

/// The padding of the statistics is what the sender's memory held.
#[test]
fn statistics_have_the_layout_of_the_c_structure() {
    let recording = crate::files::named("one-recipient");
    let request = read("", &bytes(&recording["deliveries"][0]["request_base64"]));
    let stats = request.head.stats;
    assert!(stats.incoming_arrival.is_set() && stats.active_arrival.is_set());
    assert!(!stats.agent_handoff.is_set() && !stats.delivered.is_set());
    assert_eq!(stats.reuse_count, 0);
    assert_eq!(STANDARD.decode(text(&stats)).unwrap().len(), 88);
}
