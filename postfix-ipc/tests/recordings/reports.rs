//! Reports, marks and answers, from the verdicts in the log.

use std::{net::IpAddr, sync::Arc};

use postfix_ipc::{
    attr::{List, ListReader},
    queue_file::Mark,
    report::{Book, Filing, FlushAdd, Report, StatusRecord, VerifyUpdate},
    request::{DeliveryRequest, FinalReply, Recipient, RequestReader},
};
use smtp_policy::{
    report::{Action, HopStatus, Outcome, Relay, Status},
    server::{Endpoint, Server},
};
use smtp_proto::{EnhancedStatus, Reply};

use crate::files::{ROOT, Recording, all, bytes};

/// The status lines of the log, as `(queue id, recipient, rest)`, without those that were
/// taken.
struct Log<'a>(Vec<(&'a str, &'a str, &'a str)>);

impl<'a> Log<'a> {
    fn of(recording: &'a Recording) -> Self {
        let lines = recording.json["agent_log"].as_array().unwrap().iter();
        let status = |line: &'a serde_json::Value| {
            let (_, line) = line.as_str()?.split_once("]: ")?;
            let (id, rest) = line.split_once(": to=<")?;
            let (address, rest) = rest.split_once(">, ")?;
            Some((id, address, rest))
        };
        Self(lines.filter_map(status).collect())
    }

    fn take(&mut self, id: &str, address: &str) -> &'a str {
        let mut lines = self.0.iter();
        let at = lines.position(|line| (line.0, line.1) == (id, address));
        self.0
            .remove(at.unwrap_or_else(|| panic!("no line for {id} {address}")))
            .2
    }
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(behind).map_or(rest, |(it, _)| it))
}

/// The verdict that a line tells.
fn outcome(recording: &Recording, protocol: &str, line: &str) -> Outcome {
    let relay = between(line, "relay=", ", ").unwrap();
    let (code, _) = EnhancedStatus::parse(between(line, "dsn=", ",").unwrap()).unwrap();
    let (_, rest) = line.split_once("status=").unwrap();
    let (word, text) = rest.split_once(" (").unwrap();
    let text = text.strip_suffix(')').unwrap();
    let relay = relay.replace("@ROOT@", ROOT);
    let status = match code.class() {
        2 => Status::Sent,
        4 => Status::Deferred,
        _ => Status::Bounced,
    };
    let mut outcome = Outcome::new(status, code, text);
    outcome.word = match word {
        "SOFTBOUNCE" => "SOFTBOUNCE",
        "deliverable" => "deliverable",
        "undeliverable" | "undeliverable-but-not-cached" => "undeliverable",
        _ => status.as_str(),
    };
    if let Some((host, place)) = relay.split_once('[') {
        let endpoint = match place.split_once("]:") {
            Some((ip, port)) => {
                let ip: IpAddr = ip.parse().unwrap();
                Endpoint::Inet((ip, port.parse().unwrap()).into())
            }
            None => Endpoint::Unix(place.trim_end_matches(']').into()),
        };
        outcome.relay = Relay::Server(Arc::new(Server::new(host, endpoint)));
    }
    let said = between(text, " said: ", " (in reply to");
    let said = said.or(between(text, " refused to talk to me: ", "\n"));
    let said = said.or((status == Status::Sent).then_some(text));
    outcome.reply = said.map(|said| Reply::new(said[..3].parse().unwrap(), said));
    if recording.json["agent_args"][protocol]
        .as_str()
        .unwrap()
        .contains('X')
    {
        outcome.action = Action::Delivered;
    }
    // A server with DSN is told of the recipient's wishes.
    outcome.server_reports = recording.json["arrivals"].to_string().contains(" NOTIFY=");
    let dead = ["connect to", "refused to talk", "lost connection"];
    if dead.iter().any(|part| text.contains(part)) {
        let text = outcome.text.clone();
        outcome.hop = Some(Box::new(HopStatus { code, text }));
    }
    outcome
}

fn requests(recording: &Recording) -> impl Iterator<Item = (&serde_json::Value, DeliveryRequest)> {
    let served = recording.deliveries().iter().filter(|it| {
        // There is no verdict where the file could not be opened.
        it["queue_file"]["changes"].is_array()
    });
    served.map(|delivery| {
        let mut reader = RequestReader::new("qmgr");
        reader.push(&bytes(&delivery["request_base64"]));
        (delivery, reader.next_request().unwrap().unwrap())
    })
}

/// The lists of a report.
fn lists(
    report: Report,
    request: &DeliveryRequest,
    to: &Recipient,
    outcome: &Outcome,
) -> Vec<(&'static str, Vec<u8>)> {
    match report {
        Report::Verify => VerifyUpdate::of(to, outcome)
            .iter()
            .map(|update| ("verify", update.encode()))
            .collect(),
        Report::Record(book) => {
            let service = match book {
                Book::Bounce => "bounce",
                Book::Defer => "defer",
                Book::Trace => "trace",
            };
            let record = StatusRecord::new(book, &request.head, to, outcome);
            vec![(service, record.encode())]
        }
    }
}

/// A mark, as a recording has it.
fn mark(offset: u64) -> serde_json::Value {
    let after = char::from(Mark::BYTE).to_string();
    serde_json::json!({ "offset": offset, "before": "R", "after": after })
}

/// The reports of the agent to these services.
fn recorded(recording: &Recording) -> Vec<(&str, Vec<u8>)> {
    let mut recorded = Vec::new();
    for talk in recording.talks() {
        let service = talk["service"].as_str().unwrap();
        if !["bounce", "defer", "trace", "verify", "flush"].contains(&service) {
            continue;
        }
        for turn in talk["turns"].as_array().unwrap() {
            if turn["from"] == "agent" {
                recorded.push((service, bytes(&turn["base64"])));
            }
        }
    }
    recorded.sort();
    recorded
}

#[test]
fn reports_marks_and_replies_follow_from_the_verdicts() {
    let mut reports = 0;
    for recording in all() {
        let name = recording.name.as_str();
        let mut log = Log::of(&recording);
        let mut said = Vec::new();
        let (mut marked, mut changed) = (Vec::new(), Vec::new());
        for (delivery, request) in requests(&recording) {
            let protocol = delivery["service"].as_str().unwrap();
            let id = request.head.queue_id.to_str().unwrap();
            let mut reply = FinalReply::done();
            let mut marks = Vec::new();
            let mut verdicts = Vec::new();
            for to in &request.recipients {
                let line = log.take(id, to.address.to_str().unwrap());
                let outcome = outcome(&recording, protocol, line);
                let mut filing = Filing::new(request.head.flags, to, &outcome);
                if name == "probe-negative-not-cached" {
                    filing = filing.without_negative_probe(&outcome);
                }
                for report in filing.reports {
                    said.extend(lists(report, &request, to, &outcome));
                }
                if filing.flush && name == "fast-flush" {
                    let add = FlushAdd {
                        site: "relay.test".try_into().unwrap(),
                        queue_id: request.head.queue_id.clone(),
                    };
                    said.push(("flush", add.encode()));
                }
                if filing.mark {
                    marks.extend(to.mark().unwrap().map(|mark| mark.offset));
                }
                if filing.defer {
                    reply.status = FinalReply::deferred().status;
                }
                verdicts.push(outcome);
            }
            let reply = verdicts.iter().fold(reply, FinalReply::throttled);
            assert_eq!(
                reply.encode(),
                bytes(&delivery["reply_base64"]),
                "{name}: {id}"
            );
            // Those of another delivery of the message at the same time may be among them.
            let changes = delivery["queue_file"]["changes"].as_array().unwrap();
            assert!(
                marks.iter().all(|offset| changes.contains(&mark(*offset))),
                "{name}: {id}"
            );
            marked.extend(
                marks
                    .into_iter()
                    .map(|offset| (id.to_owned(), mark(offset))),
            );
            let changes = changes.iter().cloned();
            changed.extend(changes.map(|change| (id.to_owned(), change)));
        }
        let sorted = |mut all: Vec<(String, serde_json::Value)>| {
            all.sort_by_key(|(id, change)| (id.clone(), change["offset"].as_u64()));
            all.dedup();
            all
        };
        assert_eq!(sorted(marked), sorted(changed), "{name}");
        said.sort();
        let recorded = recorded(&recording);
        for (ours, theirs) in said.iter().zip(&recorded) {
            let text = |it: &(&str, Vec<u8>)| {
                (it.0.to_owned(), String::from_utf8_lossy(&it.1).into_owned())
            };
            assert_eq!(text(ours), text(theirs), "{name}");
        }
        assert_eq!(said.len(), recorded.len(), "{name}");
        reports += said.len();
    }
    assert!(reports > 30, "{reports}");
}

#[test]
fn every_answer_is_that_it_is_done() {
    for recording in all() {
        for talk in recording.talks() {
            let service = talk["service"].as_str().unwrap();
            if ["bounce", "defer", "trace", "verify", "flush"].contains(&service) {
                let turns = talk["turns"].as_array().unwrap();
                let mut reader = ListReader::new(service);
                reader.push(&bytes(&turns[2]["base64"]));
                let reply: postfix_ipc::report::StatusReply = reader.next_list().unwrap().unwrap();
                assert!(reply.is_done());
            }
        }
    }
}
