//! The names of a world. Questions are answered as the engine sees answers, without
//! the DNS wire format; the scripted name server of
//! [`dns_server`](crate::dns_server) is for that.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use smtp_policy::{
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData},
    driver::native_answer,
};

/// The records of a world, with whether they are signed.
#[derive(Clone, Debug, Default)]
pub struct Names {
    records: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    data: Vec<RecordData>,
    signed: bool,
    trouble: Option<Trouble>,
}

/// What goes wrong with questions for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The questions that it happens to; `None`: all.
    pub kind: Option<QueryKind>,
    /// What is answered.
    pub failure: Failure,
    /// How many such questions are answered so, from the first on; `u32::MAX`: all.
    pub times: u32,
    /// How much longer that takes.
    pub after: Duration,
}

impl Names {
    /// Adds a record. A name without any does not exist.
    pub fn add(&mut self, name: &str, data: RecordData) {
        self.entry(name).data.push(data);
    }

    /// Signs a name: its answers are validated where that is asked for.
    pub fn sign(&mut self, name: &str) {
        self.entry(name).signed = true;
    }

    /// Lets questions for a name fail. A name has one trouble at most.
    pub fn fail(&mut self, name: &str, trouble: Trouble) {
        self.entry(name).trouble = Some(trouble);
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        self.records.entry(name.to_ascii_lowercase()).or_default()
    }

    /// The answer to a question, with how much longer than usual it takes. Questions
    /// that fail are counted.
    pub fn answer(&mut self, query: &Query) -> (Duration, Result<Answer, Failure>) {
        if let (QueryKind::Native(_), Ok(address)) = (query.kind, query.name.parse::<IpAddr>()) {
            return (Duration::ZERO, Ok(native_answer(&query.name, [address])));
        }
        match self.records.get_mut(&query.name.to_ascii_lowercase()) {
            None => (Duration::ZERO, Err(Failure::NotFound)),
            Some(entry) => match entry.fails(query.kind) {
                Some(trouble) => (trouble.after, Err(trouble.failure)),
                None => (Duration::ZERO, entry.answer(query)),
            },
        }
    }
}

impl Entry {
    fn fails(&mut self, kind: QueryKind) -> Option<Trouble> {
        let trouble = self.trouble.as_mut()?;
        if trouble.times == 0 || trouble.kind.is_some_and(|only| only != kind) {
            return None;
        }
        let failed = trouble.clone();
        if trouble.times != u32::MAX {
            trouble.times -= 1;
        }
        Some(failed)
    }

    fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        let validated = self.signed && query.validate;
        let asked = |data: &&RecordData| match query.kind {
            QueryKind::Native(_) => data.address().is_some(),
            kind => data.kind() == kind,
        };
        let record = |data: &RecordData| Record {
            owner: query.name.clone(),
            ttl: 300,
            data: data.clone(),
            validated,
        };
        let records: Vec<Record> = self.data.iter().filter(asked).map(record).collect();
        if records.is_empty() {
            return Err(Failure::NoData);
        }
        Ok(Answer {
            records,
            canonical: query.name.clone(),
            validated,
        })
    }
}
