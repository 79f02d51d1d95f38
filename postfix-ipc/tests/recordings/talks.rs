//! Conversations with other services.

use postfix_ipc::{
    announce::{Announcement, CleanupAnnouncement, Service},
    attr::{List, ListReader},
    exchange::{Exchange, ExchangeStep},
    queue_file::{Record, RecordKind},
    report::{
        CleanupFlags, CleanupReply, FlushAdd, RewriteReply, RewriteRequest, StatusRecord,
        StatusReply, Submission, VerifyUpdate,
    },
    request::Stamp,
    scache, tlsmgr,
};
use serde_json::Value as Json;

use crate::files::{all, assert_same, bytes, named, pairs};

/// Reads a list of a type and writes it again.
fn again<T: List>(reader: &mut ListReader) -> Vec<u8> {
    reader.next_list::<T>().unwrap().unwrap().encode()
}

/// Reads a list of the type that its place in a conversation gives it. An answer is told by
/// the names in it.
fn read(service: &str, from: &str, list: &[(&str, &str)], reader: &mut ListReader) -> Vec<u8> {
    let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
    let request = list.first().filter(|(name, _)| *name == "request");
    let request = request.map_or("", |(_, value)| value);
    match (service, from, request, &names[..]) {
        ("cleanup", "service", _, ["protocol", _]) => again::<CleanupAnnouncement>(reader),
        (_, "service", _, ["protocol"]) => again::<Announcement>(reader),
        ("bounce" | "defer" | "trace", "agent", ..) => again::<StatusRecord>(reader),
        ("verify", "agent", "update", _) => again::<VerifyUpdate>(reader),
        ("flush", "agent", "add", _) => again::<FlushAdd>(reader),
        ("rewrite", "agent", "rewrite", _) => again::<RewriteRequest>(reader),
        ("rewrite", "service", ..) => again::<RewriteReply>(reader),
        ("cleanup", "agent", ..) => again::<CleanupFlags>(reader),
        ("cleanup", "service", ..) => again::<CleanupReply>(reader),
        ("scache", "agent", "find_dest", _) => again::<scache::FindDestination>(reader),
        ("scache", "agent", "find_endp", _) => again::<scache::FindEndpoint>(reader),
        ("scache", "agent", "save_dest", _) => again::<scache::SaveDestination>(reader),
        ("scache", "agent", "save_endp", _) => again::<scache::SaveEndpoint>(reader),
        ("scache", _, _, ["dummy"]) => again::<scache::Dummy>(reader),
        ("scache", _, _, []) => again::<scache::Carried>(reader),
        ("scache", _, _, ["status", _, _]) => again::<scache::FoundDestination>(reader),
        ("scache", _, _, ["status", _]) => again::<scache::FoundEndpoint>(reader),
        ("tlsmgr", "agent", "seed", _) => again::<tlsmgr::Seed>(reader),
        ("tlsmgr", "agent", "policy", _) => again::<tlsmgr::CachePolicy>(reader),
        ("tlsmgr", "agent", "lookup", _) => again::<tlsmgr::Lookup>(reader),
        ("tlsmgr", "agent", "update", _) => again::<tlsmgr::Update>(reader),
        ("tlsmgr", "service", _, ["status", "seed"]) => again::<tlsmgr::SeedReply>(reader),
        ("tlsmgr", "service", _, ["status", "session"]) => again::<tlsmgr::LookupReply>(reader),
        ("tlsmgr", "service", _, ["status", _, _]) => again::<tlsmgr::CachePolicyReply>(reader),
        (_, "service", _, ["status"]) => again::<StatusReply>(reader),
        other => panic!("no type for {other:?}"),
    }
}

/// A list as it is on the wire, from its decoded form.
fn assert_decoded(wire: &[u8], list: &[(&str, &str)], what: &str) {
    let text = String::from_utf8_lossy(wire);
    let mut tokens = text.strip_suffix('\0').unwrap().split('\0');
    for (name, value) in list {
        assert_eq!(tokens.next(), Some(*name), "{what}");
        assert_same(tokens.next().unwrap(), value, what);
    }
    assert_eq!((tokens.next(), tokens.next()), (Some(""), None), "{what}");
}

#[test]
fn every_list_is_read_and_written_again() {
    let (mut lists, mut services) = (0, Vec::new());
    for recording in all() {
        for talk in recording.talks() {
            let service = talk["service"].as_str().unwrap();
            services.push(service.to_owned());
            for turn in talk["turns"].as_array().unwrap() {
                let from = turn["from"].as_str().unwrap();
                let what = format!("{}: {service}, {from}", recording.name);
                let wire = bytes(&turn["base64"]);
                let rest = turn.get("rest_base64").map(bytes).unwrap_or_default();
                let wire = wire.strip_suffix(&rest[..]).unwrap();
                let mut reader = ListReader::new(what.as_str());
                reader.push(wire);
                let mut written = Vec::new();
                for list in turn["lists"].as_array().unwrap() {
                    let list = pairs(list);
                    let one = read(service, from, &list, &mut reader);
                    assert_decoded(&one, &list, &what);
                    written.extend(one);
                    lists += 1;
                }
                assert_eq!(written, wire, "{what}");
                assert_eq!((reader.buffered(), reader.ended()), (0, None), "{what}");
            }
        }
    }
    assert!(lists > 400, "{lists}");
    services.sort_unstable();
    services.dedup();
    assert_eq!(services.len(), 9, "{services:?}");
}

#[test]
fn every_service_announces_its_protocol() {
    for recording in all() {
        for talk in recording.talks() {
            let name = talk["service"].as_str().unwrap();
            let service = Service::all().find(|it| it.default_name() == Some(name));
            let mut reader = ListReader::new(name);
            reader.push(&bytes(&talk["turns"][0]["base64"]));
            let service = service.unwrap();
            match service {
                Service::Cleanup => {
                    assert!(reader.next_list::<CleanupAnnouncement>().unwrap().is_some());
                }
                _ => {
                    let announcement: Announcement = reader.next_list().unwrap().unwrap();
                    announcement.check(service, name).unwrap();
                }
            }
        }
    }
}

/// Has the recorded conversation with a service again, whose answers are `A`.
fn have<Q: List, A: List>(service: Service, turns: &[Json]) {
    let list = |turn: &Json| -> Q {
        let mut reader = ListReader::new("agent");
        reader.push(&bytes(&turn["base64"]));
        reader.next_list().unwrap().unwrap()
    };
    let mut exchange = Exchange::<A>::new(service, "service", &list(&turns[1]));
    for (index, turn) in turns.iter().enumerate() {
        let wire = bytes(&turn["base64"]);
        if turn["from"] == "agent" {
            assert!(index == 1 || exchange.ask(&list(turn)));
            assert!(matches!(exchange.poll(), ExchangeStep::Write(bytes) if bytes == wire));
            continue;
        }
        assert!(matches!(exchange.poll(), ExchangeStep::Read));
        exchange.read(&wire);
        if index > 0 {
            let answer = exchange.poll();
            assert!(matches!(answer, ExchangeStep::Answer(answer) if answer.encode() == wire));
        }
    }
    assert!(matches!(exchange.poll(), ExchangeStep::Idle));
    exchange.read(b"");
    assert!(matches!(exchange.poll(), ExchangeStep::Idle));
}

#[test]
fn every_conversation_can_be_had_again() {
    let mut count = 0;
    for recording in all() {
        for talk in recording.talks() {
            let turns = talk["turns"].as_array().unwrap();
            match talk["service"].as_str().unwrap() {
                "bounce" => have::<StatusRecord, StatusReply>(Service::Bounce, turns),
                "defer" => have::<StatusRecord, StatusReply>(Service::Defer, turns),
                "trace" => have::<StatusRecord, StatusReply>(Service::Trace, turns),
                "verify" => have::<VerifyUpdate, StatusReply>(Service::Verify, turns),
                "flush" => have::<FlushAdd, StatusReply>(Service::Flush, turns),
                "rewrite" => have::<RewriteRequest, RewriteReply>(Service::Rewrite, turns),
                // More is said than question and answer.
                _ => continue,
            }
            count += 1;
        }
    }
    assert_eq!(count, 38);
}

#[test]
fn a_notice_goes_to_cleanup_as_postfix_sends_it() {
    let recording = named("notify-postmaster");
    let talks = recording["service_talks"].as_array().unwrap();
    let talk = talks
        .iter()
        .find(|talk| talk["service"] == "cleanup")
        .unwrap();
    let turn = &talk["turns"][1];
    let records = turn["records"].as_array().unwrap();
    let data = |kind: &str| -> Vec<&Json> {
        let of_kind = records.iter().filter(|record| record["type"] == kind);
        of_kind.map(|record| &record["data"]).collect()
    };
    let (seconds, micros) = data("T")[0].as_str().unwrap().split_once(' ').unwrap();
    let submission = Submission {
        flags: CleanupFlags { bits: 32 },
        arrival: Stamp {
            seconds: seconds.parse().unwrap(),
            micros: micros.parse().unwrap(),
        },
        sender: data("S")[0].as_str().unwrap().try_into().unwrap(),
        recipient: data("R")[0].as_str().unwrap().try_into().unwrap(),
    };
    let lines = data("N").into_iter().map(|line| line.as_str().unwrap());
    let message = lines.fold(String::new(), |text, line| text + line + "\n");
    let wire = bytes(&turn["base64"]);
    assert_eq!(submission.encode(&message), wire);

    // And so are its records.
    let mut rest = &bytes(&turn["rest_base64"])[..];
    for recorded in records {
        let (record, used) = Record::read(rest).unwrap();
        let kind = RecordKind(recorded["type"].as_str().unwrap().as_bytes()[0]);
        assert_eq!(record.kind, kind);
        assert_eq!(record.data, recorded["data"].as_str().unwrap());
        rest = &rest[used..];
    }
    assert!(rest.is_empty());
}
