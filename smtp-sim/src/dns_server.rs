//! The scripted DNS server: a zone and a pure function from question to answer.
//! It has no socket and no clock, and is no name server: it answers like a
//! resolver that knows everything, with the faults that the zone asks for.
//!
//! A [`Zone`] maps names (lower case, no final dot; `.` is the root) to a
//! [`ZoneEntry`]: records by type, and faults for the whole name or for one type.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, TLSA, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use serde::Deserialize;
use serde_json::Value;

use crate::dns_reply::{Reply, TTL, name_of, text_of};

/// The longest chain of aliases that is followed.
const MAX_ALIASES: usize = 8;

/// What a zone knows about one name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ZoneEntry {
    /// Faults and validation of all types of the name.
    #[serde(flatten)]
    pub faults: Faults,
    /// The records by type: `A`, `AAAA`, `MX`, `CNAME`, `TLSA`, `NS`, `TXT`.
    #[serde(flatten)]
    pub types: BTreeMap<String, TypeEntry>,
}

/// How answers differ from plain success.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Whether the answers count as validated (the AD bit).
    pub ad: Option<bool>,
    /// A response code such as `SERVFAIL`.
    pub rcode: Option<String>,
    /// Whether there is no answer at all.
    pub timeout: Option<bool>,
    /// Whether answers over UDP are empty and truncated.
    pub truncate: Option<bool>,
}

impl Faults {
    /// These faults, with those of one type in their place where it has any.
    fn with(&self, of_type: &Faults) -> Faults {
        Faults {
            ad: of_type.ad.or(self.ad),
            rcode: of_type.rcode.clone().or_else(|| self.rcode.clone()),
            timeout: of_type.timeout.or(self.timeout),
            truncate: of_type.truncate.or(self.truncate),
        }
    }

    fn code(&self) -> ResponseCode {
        match self.rcode.as_deref() {
            None | Some("NOERROR") => ResponseCode::NoError,
            Some("FORMERR") => ResponseCode::FormErr,
            Some("NXDOMAIN") => ResponseCode::NXDomain,
            Some("NOTIMP") => ResponseCode::NotImp,
            Some("REFUSED") => ResponseCode::Refused,
            Some(_) => ResponseCode::ServFail,
        }
    }
}

/// The records of one type at one name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum TypeEntry {
    /// The records.
    Records(Vec<Value>),
    /// The records, and faults for this type only.
    Detailed {
        /// The records; absent: none.
        #[serde(default)]
        records: Vec<Value>,
        /// Faults for this type.
        #[serde(flatten)]
        faults: Faults,
    },
    /// A single record, as aliases are written.
    One(String),
}

impl TypeEntry {
    fn records(&self) -> Vec<Value> {
        match self {
            Self::Records(records) | Self::Detailed { records, .. } => records.clone(),
            Self::One(text) => vec![Value::String(text.clone())],
        }
    }
}

/// A DNS zone that answers questions.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    entries: BTreeMap<String, ZoneEntry>,
}

/// What a zone says to one question.
#[derive(Debug)]
struct Verdict {
    faults: Faults,
    code: ResponseCode,
    validated: bool,
    answers: Vec<(String, RecordType, Value)>,
}

impl Zone {
    /// A zone with the given names.
    pub fn new(entries: &BTreeMap<String, ZoneEntry>) -> Zone {
        let key = |name: &String| name.to_lowercase().trim_end_matches('.').to_owned();
        Zone {
            entries: entries.iter().map(|(n, e)| (key(n), e.clone())).collect(),
        }
    }

    /// Answers one DNS message; `None`: no answer, because the zone says so or
    /// because the message is not a question. Over TCP the message comes and goes
    /// without its length.
    pub fn answer(&self, question: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?;
        let name = text_of(query.name());
        let verdict = self.look_up(&name, query.query_type());
        if verdict.faults.timeout == Some(true) {
            return None;
        }
        let said = Reply {
            code: verdict.code,
            validated: verdict.validated,
            truncated: verdict.faults.truncate == Some(true),
            answers: verdict
                .answers
                .iter()
                .filter_map(|(n, t, v)| record(n, *t, v))
                .collect(),
        };
        said.into_bytes(&question, is_tcp)
    }

    /// Follows aliases from a name to the records of a type.
    fn look_up(&self, name: &str, kind: RecordType) -> Verdict {
        let mut name = name.to_owned();
        let mut answers = Vec::new();
        let mut validated = true;
        loop {
            let key = name.to_lowercase().trim_end_matches('.').to_owned();
            let Some(entry) = self.entries.get(&key) else {
                return self.not_there(&key, answers, validated);
            };
            let own = entry.types.get(&kind.to_string());
            let faults = match own {
                Some(TypeEntry::Detailed { faults, .. }) => entry.faults.with(faults),
                _ => entry.faults.clone(),
            };
            let records = own.map(TypeEntry::records).unwrap_or_default();
            validated = validated && faults.ad == Some(true);
            let code = faults.code();
            let alias = match entry.types.get("CNAME").and_then(|e| e.records().pop()) {
                Some(Value::String(target)) if kind != RecordType::CNAME => Some(target),
                _ => None,
            };
            let failed = faults.rcode.is_some() && records.is_empty();
            match alias {
                Some(target) if !failed && records.is_empty() => {
                    answers.push((name, RecordType::CNAME, Value::String(target.clone())));
                    name = target;
                    if answers.len() > MAX_ALIASES {
                        let code = ResponseCode::ServFail;
                        return Verdict {
                            faults,
                            code,
                            validated,
                            answers,
                        };
                    }
                }
                _ => {
                    answers.extend(records.into_iter().map(|r| (name.clone(), kind, r)));
                    return Verdict {
                        faults,
                        code,
                        validated,
                        answers,
                    };
                }
            }
        }
    }

    /// The verdict about a name that the zone does not list.
    fn not_there(
        &self,
        key: &str,
        answers: Vec<(String, RecordType, Value)>,
        validated: bool,
    ) -> Verdict {
        let default = self
            .entries
            .get("*")
            .map(|e| e.faults.clone())
            .unwrap_or_default();
        let below = format!(".{key}");
        let code = match default.rcode {
            Some(_) => default.code(),
            None if self.entries.keys().any(|name| name.ends_with(&below)) => ResponseCode::NoError,
            None => ResponseCode::NXDomain,
        };
        let validated = validated && default.ad == Some(true);
        let faults = Faults {
            truncate: None,
            ..default
        };
        Verdict {
            faults,
            code,
            validated,
            answers,
        }
    }
}

/// A record from its value in the zone; `None` if the value does not fit the type.
fn record(owner: &str, kind: RecordType, value: &Value) -> Option<Record> {
    let text = value.as_str();
    let item = |index| {
        value
            .get(index)
            .and_then(Value::as_u64)
            .and_then(|n| u8::try_from(n).ok())
    };
    let data = match kind {
        RecordType::A => RData::A(A(text?.parse::<Ipv4Addr>().ok()?)),
        RecordType::AAAA => RData::AAAA(AAAA(text?.parse::<Ipv6Addr>().ok()?)),
        RecordType::CNAME => RData::CNAME(CNAME(name_of(text?)?)),
        RecordType::NS => RData::NS(NS(name_of(text?)?)),
        RecordType::TXT => RData::TXT(TXT::new(vec![text?.to_owned()])),
        RecordType::MX => {
            let preference = u16::try_from(value.get(0)?.as_u64()?).ok()?;
            RData::MX(MX::new(preference, name_of(value.get(1)?.as_str()?)?))
        }
        RecordType::TLSA => {
            let data = unhex(value.get(3)?.as_str()?)?;
            RData::TLSA(TLSA::new(
                item(0)?.into(),
                item(1)?.into(),
                item(2)?.into(),
                data,
            ))
        }
        _ => return None,
    };
    Some(Record::from_rdata(name_of(owner)?, TTL, data))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high * 16 + low),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use hickory_proto::op::{Edns, MessageType, OpCode, Query};

    fn zone(text: &str) -> Zone {
        Zone::new(&serde_json::from_str(text).unwrap())
    }

    fn question(name: &str, kind: RecordType, edns: bool) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.authentic_data = true;
        message
            .queries
            .push(Query::query(name_of(name).unwrap(), kind));
        if edns {
            message.edns = Some(Edns::new());
        }
        message.to_vec().unwrap()
    }

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Message {
        let answer = zone.answer(&question(name, kind, false), false).unwrap();
        Message::from_vec(&answer).unwrap()
    }

    #[test]
    fn a_name_with_records_is_answered_and_others_are_told_apart() {
        let zone = zone(
            r#"{"example.com": {"MX": [[10, "mx.example.com"]]}, "mx.example.com": {"A": ["127.0.0.1"]},
                "b.a.example.org": {"A": ["127.0.0.2"]}}"#,
        );
        let mx = ask(&zone, "Example.com", RecordType::MX);
        assert_eq!(mx.answers.len(), 1);
        assert_eq!(mx.answers[0].data.to_string(), "10 mx.example.com.");
        assert_eq!(text_of(&mx.answers[0].name), "Example.com");
        for (name, code) in [
            ("mx.example.com", ResponseCode::NoError),
            ("nowhere.example.com", ResponseCode::NXDomain),
            ("a.example.org", ResponseCode::NoError),
        ] {
            let answer = ask(&zone, name, RecordType::MX);
            assert_eq!(
                (answer.metadata.response_code, answer.answers.len()),
                (code, 0),
                "{name}"
            );
        }
    }

    #[test]
    fn an_alias_is_followed_and_validated_only_if_every_name_is() {
        let zone = zone(
            r#"{"a": {"CNAME": "b", "ad": true}, "b": {"A": ["127.0.0.1"], "ad": true},
                "c": {"CNAME": "b"}, "loop": {"CNAME": "loop"}}"#,
        );
        let a = ask(&zone, "a", RecordType::A);
        assert_eq!(a.answers.len(), 2);
        assert!(a.metadata.authentic_data);
        assert!(!ask(&zone, "c", RecordType::A).metadata.authentic_data);
        let looped = ask(&zone, "loop", RecordType::A);
        assert_eq!(looped.metadata.response_code, ResponseCode::ServFail);
    }

    #[test]
    fn faults_hold_for_a_name_for_a_type_and_for_all_other_names() {
        let zone = zone(
            r#"{"a": {"rcode": "SERVFAIL"}, "b": {"A": {"rcode": "REFUSED"}, "MX": [[1, "."]]},
                "c": {"timeout": true}, "d": {"A": {"records": ["127.0.0.1"], "truncate": true}},
                "*": {"rcode": "SERVFAIL"}}"#,
        );
        let code = |name, kind| ask(&zone, name, kind).metadata.response_code;
        assert_eq!(code("a", RecordType::A), ResponseCode::ServFail);
        assert_eq!(code("b", RecordType::A), ResponseCode::Refused);
        assert_eq!(code("b", RecordType::MX), ResponseCode::NoError);
        assert_eq!(code("elsewhere", RecordType::A), ResponseCode::ServFail);
        assert!(
            zone.answer(&question("c", RecordType::A, false), false)
                .is_none()
        );
        let d = ask(&zone, "d", RecordType::A);
        assert!(d.metadata.truncation && d.answers.is_empty());
        let d = zone
            .answer(&question("d", RecordType::A, false), true)
            .unwrap();
        assert_eq!(Message::from_vec(&d).unwrap().answers.len(), 1);
    }

    #[test]
    fn an_answer_that_is_too_long_for_a_datagram_is_truncated() {
        let many: Vec<String> = (0..60).map(|n| format!("\"127.0.0.{n}\"")).collect();
        let zone = zone(&format!(r#"{{"a": {{"A": [{}]}}}}"#, many.join(",")));
        assert!(ask(&zone, "a", RecordType::A).metadata.truncation);
        let answer = zone
            .answer(&question("a", RecordType::A, true), false)
            .unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 60);
    }

    #[test]
    fn a_null_mx_and_a_certificate_record_keep_their_values() {
        let zone =
            zone(r#"{"a": {"MX": [[0, "."]]}, "_25._tcp.a": {"TLSA": [[3, 1, 1, "00ff"]]}}"#);
        assert_eq!(
            ask(&zone, "a", RecordType::MX).answers[0].data.to_string(),
            "0 ."
        );
        match &ask(&zone, "_25._tcp.a", RecordType::TLSA).answers[0].data {
            RData::TLSA(tlsa) => assert_eq!(tlsa.cert_data, [0, 255]),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_not_a_question_gets_no_answer() {
        let zone = zone("{}");
        assert!(zone.answer(b"", false).is_none());
        assert!(zone.answer(&[0; 12], false).is_none());
    }
}
