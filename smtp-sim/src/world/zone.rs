//! The names of a world. Questions are answered as the engine sees answers, without
//! the DNS wire format; the scripted name server of
//! [`dns_server`](crate::dns_server) is for that.

use std::{collections::BTreeMap, net::IpAddr};

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
    failure: Option<Failure>,
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

    /// Lets questions for a name fail.
    pub fn fail(&mut self, name: &str, failure: Failure) {
        self.entry(name).failure = Some(failure);
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        self.records.entry(name.to_ascii_lowercase()).or_default()
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// The name does not exist, has no such record, or is one that fails.
    pub fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        if let (QueryKind::Native(_), Ok(address)) = (query.kind, query.name.parse::<IpAddr>()) {
            return Ok(native_answer(&query.name, [address]));
        }
        let entry = self.records.get(&query.name.to_ascii_lowercase());
        let entry = entry.ok_or(Failure::NotFound)?;
        if let Some(failure) = &entry.failure {
            return Err(failure.clone());
        }
        let validated = entry.signed && query.validate;
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
        let records: Vec<Record> = entry.data.iter().filter(asked).map(record).collect();
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
