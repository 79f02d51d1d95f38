//! The name questions of a delivery inside a world: the engine's stub resolver
//! against a scripted zone, and a made-up host table. Nothing leaves the process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use smtp_policy::delivery::Dns;
use smtp_policy::dns::{
    Answer, DnsStep, Failure, Family, Lookup, NativeFailure, Query, QueryKind, ResolverConfig,
};
use smtp_policy::driver::{Slip, native_answer};
use smtp_proto::Time;

use crate::dns_server::Zone;

/// The questions that have no answer yet.
#[derive(Default)]
pub(super) struct Questions {
    open: Vec<Question>,
}

struct Question {
    slip: Slip<Dns>,
    source: Source,
    due: Time,
}

enum Source {
    Stub(Box<Lookup>),
    Native(Result<Answer, Failure>),
}

impl Questions {
    /// Takes a question.
    pub(super) fn ask(
        &mut self,
        slip: Slip<Dns>,
        query: Query,
        config: Arc<ResolverConfig>,
        seed: u64,
        now: Time,
    ) {
        let source = match query.kind {
            QueryKind::Native(family) => Source::Native(host_table(&query.name, family)),
            _ => Source::Stub(Box::new(Lookup::new(query, config, seed))),
        };
        self.open.push(Question {
            slip,
            source,
            due: now,
        });
    }

    /// The answers that there are by now.
    pub(super) fn answers(
        &mut self,
        zone: &Zone,
        now: Time,
    ) -> Vec<(Slip<Dns>, Result<Answer, Failure>)> {
        let mut answers = Vec::new();
        for mut question in std::mem::take(&mut self.open) {
            let result = match &mut question.source {
                Source::Native(result) => Ok(result.clone()),
                Source::Stub(lookup) => step(lookup, zone, now),
            };
            match result {
                Ok(result) => answers.push((question.slip, result)),
                Err(until) => {
                    question.due = until;
                    self.open.push(question);
                }
            }
        }
        answers
    }

    /// When the next question gives up waiting.
    pub(super) fn due(&self) -> Option<Time> {
        self.open.iter().map(|question| question.due).min()
    }
}

/// Carries messages between a lookup and the zone; `Err`: when to go on.
fn step(lookup: &mut Lookup, zone: &Zone, now: Time) -> Result<Result<Answer, Failure>, Time> {
    loop {
        match lookup.poll(now) {
            DnsStep::Datagram { to, bytes } => {
                if let Some(answer) = zone.answer(&bytes, false) {
                    lookup.datagram(to, &answer);
                }
            }
            DnsStep::Stream { bytes, until, .. } => match zone.answer(&bytes, true) {
                Some(answer) => lookup.stream(Ok(&answer)),
                None if now < until => return Err(until),
                None => lookup.stream(Err(())),
            },
            DnsStep::Wait { until } => return Err(until),
            DnsStep::Done(result) => return Ok(result),
        }
    }
}

/// The host table of a world: addresses, and `localhost` as 127.0.0.1.
fn host_table(name: &str, family: Family) -> Result<Answer, Failure> {
    let address = match name.parse::<IpAddr>() {
        Ok(address) => Some(address),
        Err(_) if name.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Err(_) => None,
    };
    let fits = |address: &IpAddr| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    match address.filter(fits) {
        Some(address) => Ok(native_answer(name, [address])),
        None => Err(Failure::Native {
            retry: false,
            kind: NativeFailure::NoName,
            message: "Name or service not known".to_owned(),
        }),
    }
}
