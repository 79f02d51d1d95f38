//! The reply filter: a table that drops resource records from answers
//! (`smtp_dns_reply_filter`). Answers to Postfix's `src/dns/dns_rr_filter.c`;
//! the key is that of `src/dns/dns_strrecord.c`.

use core::fmt;

use super::RouteNote;
use crate::dns::{Record, RecordData};

/// The table behind the reply filter.
pub trait RecordFilter: Send + Sync + fmt::Debug {
    /// The name of the parameter, for the log: `smtp_dns_reply_filter`.
    fn parameter(&self) -> &str;

    /// The action for a record in text form; `None` keeps it. The only action
    /// there is drops the record: `IGNORE`.
    fn action(&self, record: &str) -> Result<Option<String>, FilterFailure>;
}

/// The table cannot be searched for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterFailure;

/// What a filter left of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// At least one record.
    Kept(Vec<Record>),
    /// Nothing: every record was dropped.
    AllDropped,
    /// The table failed or named an unknown action.
    Failed,
}

/// Passes the records of an answer through the filter, and appends what is to
/// be logged to `notes`.
pub fn filter_records(
    filter: Option<&dyn RecordFilter>,
    records: Vec<Record>,
    notes: &mut Vec<RouteNote>,
) -> Filtered {
    let Some(filter) = filter else {
        return Filtered::Kept(records);
    };
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        let text = record_text(&record);
        match filter.action(&text) {
            Ok(None) => kept.push(record),
            Ok(Some(action)) if is_ignore(&action) => {
                notes.push(RouteNote::Info(format!("ignoring DNS RR: {text}")));
            }
            Ok(Some(action)) => {
                notes.push(RouteNote::Warning(format!(
                    "{}: unknown DNS filter action: \"{action}\"",
                    filter.parameter()
                )));
                return Filtered::Failed;
            }
            Err(FilterFailure) => return Filtered::Failed,
        }
    }
    if kept.is_empty() {
        Filtered::AllDropped
    } else {
        Filtered::Kept(kept)
    }
}

/// Whether the first word of an action is `IGNORE`, in any case.
fn is_ignore(action: &str) -> bool {
    let word = action.split([' ', '\t']).next().unwrap_or_default();
    word.eq_ignore_ascii_case("IGNORE")
}

fn record_text(record: &Record) -> String {
    let Record {
        owner, ttl, data, ..
    } = record;
    let head = format!("{owner}. {ttl} IN {}", data.kind());
    match data {
        RecordData::A(address) => format!("{head} {address}"),
        RecordData::Aaaa(address) => format!("{head} {address}"),
        RecordData::Mx { preference, host } => format!("{head} {preference} {host}."),
        RecordData::Cname(target) | RecordData::Ns(target) => format!("{head} {target}."),
        RecordData::Srv {
            priority,
            weight,
            port,
            target,
        } => format!("{head} {priority} {weight} {port} {target}."),
        RecordData::Tlsa {
            usage,
            selector,
            matching,
            data,
        } => {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{head} {usage} {selector} {matching} {hex}")
        }
        RecordData::Txt(text) => format!("{head} {}", String::from_utf8_lossy(text)),
    }
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

    #[derive(Debug)]
    struct Fixed(&'static str);

    impl RecordFilter for Fixed {
        fn parameter(&self) -> &str {
            "smtp_dns_reply_filter"
        }
        fn action(&self, _record: &str) -> Result<Option<String>, FilterFailure> {
            match self.0 {
                "" => Ok(None),
                "fail" => Err(FilterFailure),
                action => Ok(Some(action.to_owned())),
            }
        }
    }

    fn record(data: RecordData) -> Record {
        Record {
            owner: "a.example".into(),
            ttl: 60,
            data,
            validated: false,
        }
    }

    #[test]
    fn records_are_written_as_in_zone_files() {
        let cases = [
            (
                RecordData::A([192, 0, 2, 1].into()),
                "a.example. 60 IN A 192.0.2.1",
            ),
            (
                RecordData::Aaaa("2001:db8::1".parse().unwrap()),
                "a.example. 60 IN AAAA 2001:db8::1",
            ),
            (
                RecordData::Mx {
                    preference: 10,
                    host: "mx.example".into(),
                },
                "a.example. 60 IN MX 10 mx.example.",
            ),
            (
                RecordData::Cname("b.example".into()),
                "a.example. 60 IN CNAME b.example.",
            ),
            (
                RecordData::Srv {
                    priority: 1,
                    weight: 2,
                    port: 3,
                    target: "s.example".into(),
                },
                "a.example. 60 IN SRV 1 2 3 s.example.",
            ),
            (
                RecordData::Tlsa {
                    usage: 3,
                    selector: 1,
                    matching: 1,
                    data: vec![0xab, 0x0c],
                },
                "a.example. 60 IN TLSA 3 1 1 ab0c",
            ),
        ];
        for (data, text) in cases {
            assert_eq!(record_text(&record(data)), text);
        }
    }

    #[test]
    fn actions_drop_records_or_fail_the_answer() {
        let records = vec![record(RecordData::A([192, 0, 2, 1].into()))];
        let cases = [
            ("", Filtered::Kept(records.clone()), None),
            (
                "ignore it",
                Filtered::AllDropped,
                Some("ignoring DNS RR: a.example. 60 IN A 192.0.2.1"),
            ),
            (
                "DROP",
                Filtered::Failed,
                Some("smtp_dns_reply_filter: unknown DNS filter action: \"DROP\""),
            ),
            ("fail", Filtered::Failed, None),
        ];
        for (action, expected, note) in cases {
            let mut notes = Vec::new();
            let filtered = filter_records(Some(&Fixed(action)), records.clone(), &mut notes);
            assert_eq!(filtered, expected, "{action}");
            assert_eq!(notes.first().map(RouteNote::text), note, "{action}");
        }
    }
}
