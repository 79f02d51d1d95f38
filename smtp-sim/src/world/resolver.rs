//! The way of a name question through the engine's stub resolver: name servers with
//! faults of their own, a network that loses, delays and forges datagrams, and what the
//! resolver should find in spite of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, AAAA, CNAME, MX, NS, SRV, TLSA, TXT},
    },
};
use smtp_policy::{
    delivery::Dns,
    dns::{Answer, DnsStep, Failure, Lookup, Query, RecordData, ResolverConfig},
    driver::Slip,
};
use smtp_proto::Time;

use crate::{
    dice::Dice,
    dns_reply::{Reply, TTL, name_of, text_of},
};

/// The longest way to a name server and back: less than any server has time for.
const LONGEST_WAY: Duration = Duration::from_millis(300);
/// The delay of a late reply: longer than the time of any server.
const LATE: Duration = Duration::from_secs(15);

/// A name server. What it says is true, if it says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameServer {
    /// It replies.
    #[default]
    Good,
    /// Over UDP it says only that there is more.
    Truncating,
    /// It does not know EDNS and refuses such questions. One that vouches for answers
    /// knows it.
    WithoutEdns,
    /// It does not reply.
    Silent,
    /// Nothing listens there, and the system says so.
    Gone,
    /// It fails (`SERVFAIL`).
    Failing,
    /// It refuses to answer (`REFUSED`).
    Refusing,
}

impl NameServer {
    /// Returns whether it answers questions in the end.
    pub const fn answers(self) -> bool {
        matches!(self, Self::Good | Self::Truncating | Self::WithoutEdns)
    }
}

/// The name servers of a world, one for each that the resolver is told of, and the way
/// to them. As long as one of them [answers](NameServer::answers), the resolver finds
/// what is to be found, whatever else goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameServers {
    /// The servers, in the order of the resolver's configuration. Those that are
    /// missing are silent.
    pub servers: Vec<NameServer>,
    /// One in so many questions has a mishap on its way: it or its reply is lost,
    /// comes too late, or its connection breaks. Zero: none. It happens once at most
    /// to a name at a server, so that the next attempt succeeds.
    pub mishaps: u64,
    /// One in so many replies comes behind forged ones, and with its names in
    /// capitals. Zero: none.
    pub forgeries: u64,
}

impl NameServers {
    /// Servers that reply, and a way without mishaps.
    pub fn good(count: usize) -> Self {
        Self {
            servers: vec![NameServer::Good; count],
            ..Self::default()
        }
    }
}

/// A question of a delivery on its way.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) slip: Slip<Dns>,
    pub(super) query: Query,
    /// The records to be found.
    pub(super) truth: Result<Answer, Failure>,
    config: Arc<ResolverConfig>,
    lookup: Lookup,
    /// The datagrams on their way to the resolver.
    arrivals: Vec<(Time, Arrival)>,
    /// When there is something to do again.
    pub(super) due: Time,
    dice: Dice,
    /// The servers and names that had their mishap.
    met: Vec<(usize, String)>,
}

#[derive(Debug)]
enum Arrival {
    Datagram(SocketAddr, Vec<u8>),
    /// The system says that nothing listens at the server.
    Unreachable,
    Stream(Option<Vec<u8>>),
}

impl Question {
    /// A question that is asked at `due`. The seed decides what goes wrong.
    pub(super) fn new(
        slip: Slip<Dns>,
        query: Query,
        truth: Result<Answer, Failure>,
        config: Arc<ResolverConfig>,
        seed: u64,
        due: Time,
    ) -> Self {
        let mut dice = Dice::new(seed);
        let lookup = Lookup::new(query.clone(), Arc::clone(&config), dice.draw());
        Self {
            slip,
            query,
            truth,
            config,
            lookup,
            arrivals: Vec::new(),
            due,
            dice,
            met: Vec::new(),
        }
    }

    /// Goes on as far as possible. The result, once the resolver has one.
    pub(super) fn step(
        &mut self,
        servers: &NameServers,
        now: Time,
    ) -> Option<Result<Answer, Failure>> {
        while let Some(at) = self.next_arrival(now) {
            match self.arrivals.remove(at).1 {
                Arrival::Datagram(from, bytes) => self.lookup.datagram(from, &bytes),
                Arrival::Unreachable => self.lookup.datagram_failed(),
                Arrival::Stream(answer) => self.lookup.stream(answer.as_deref().ok_or(())),
            }
            if let Some(result) = self.poll(servers, now) {
                return Some(result);
            }
        }
        self.poll(servers, now)
    }

    /// The first of what has come, by time.
    fn next_arrival(&self, now: Time) -> Option<usize> {
        let arrivals = self.arrivals.iter().enumerate();
        let come = arrivals.filter(|(_, (at, _))| *at <= now);
        come.min_by_key(|(_, (at, _))| *at).map(|(index, _)| index)
    }

    fn poll(&mut self, servers: &NameServers, now: Time) -> Option<Result<Answer, Failure>> {
        loop {
            match self.lookup.poll(now) {
                DnsStep::Datagram { to, bytes } => self.send(servers, to, &bytes, false, now),
                DnsStep::Stream { to, bytes, .. } => self.send(servers, to, &bytes, true, now),
                DnsStep::Wait { until } => {
                    let arrival = self.arrivals.iter().map(|(at, _)| *at).min();
                    self.due = arrival.map_or(until, |at| at.min(until));
                    return None;
                }
                DnsStep::Done(result) => return Some(result),
            }
        }
    }

    /// Sees to what becomes of a question to a server.
    fn send(&mut self, servers: &NameServers, to: SocketAddr, bytes: &[u8], tcp: bool, now: Time) {
        // Whoever asks anew hears no more of an earlier connection or of its absence.
        self.arrivals
            .retain(|(_, arrival)| matches!(arrival, Arrival::Datagram(..)));
        let number = self.config.servers.iter().position(|server| *server == to);
        let number = number.unwrap_or(usize::MAX);
        let server = servers.servers.get(number).copied();
        let Ok(mut question) = Message::from_vec(bytes) else {
            return;
        };
        let name = question.queries.first().map(|query| text_of(query.name()));
        let name = name.unwrap_or_default();
        let mut at = now + self.dice.time(LONGEST_WAY);
        let server = server.unwrap_or(NameServer::Silent);
        if server == NameServer::Silent {
            return;
        }
        if server == NameServer::Gone {
            let news = match tcp {
                true => Arrival::Stream(None),
                false => Arrival::Unreachable,
            };
            self.arrivals.push((at, news));
            return;
        }
        let mishap = servers.mishaps > 0 && self.dice.once_in(servers.mishaps);
        let place = (number, name);
        if mishap && !self.met.contains(&place) {
            self.met.push(place.clone());
            match tcp {
                true => return self.arrivals.push((at, Arrival::Stream(None))),
                false if self.dice.once_in(2) => return,
                false => at = at + LATE,
            }
        }
        let forged = servers.forgeries > 0 && self.dice.once_in(servers.forgeries);
        if forged && !tcp {
            self.forge(&question, to, now, at);
            shout(&mut question);
        }
        let Some(reply) = self.reply(server, &question, &place.1, tcp) else {
            return;
        };
        let news = match tcp {
            true => Arrival::Stream(Some(reply)),
            false => Arrival::Datagram(to, reply),
        };
        self.arrivals.push((at, news));
    }

    /// The answer of a server.
    fn reply(
        &self,
        server: NameServer,
        question: &Message,
        name: &str,
        tcp: bool,
    ) -> Option<Vec<u8>> {
        let code = |code| Reply {
            code,
            validated: false,
            truncated: false,
            answers: Vec::new(),
        };
        let vouched = self.truth.as_ref().is_ok_and(|truth| truth.validated);
        let asked = self.query.name.trim_end_matches('.');
        let owner = question.queries.first()?.name().clone();
        let mut said = match server {
            NameServer::Failing => code(ResponseCode::ServFail),
            NameServer::Refusing => code(ResponseCode::Refused),
            NameServer::WithoutEdns if question.edns.is_some() && !vouched => {
                code(ResponseCode::FormErr)
            }
            // With a domain of the search list there is no such name.
            _ if !name.eq_ignore_ascii_case(asked) => code(ResponseCode::NXDomain),
            _ => match &self.truth {
                Ok(truth) => Reply {
                    validated: truth.validated,
                    answers: truth
                        .records
                        .iter()
                        .filter_map(|r| {
                            Some(Record::from_rdata(owner.clone(), TTL, data(&r.data)?))
                        })
                        .collect(),
                    ..code(ResponseCode::NoError)
                },
                Err(Failure::NotFound) => code(ResponseCode::NXDomain),
                Err(Failure::NoData) => code(ResponseCode::NoError),
                Err(Failure::NonRecoverable) => code(ResponseCode::NotAuth),
                Err(Failure::Malformed(_)) => Reply {
                    answers: vec![nonsense(question)?],
                    ..code(ResponseCode::NoError)
                },
                Err(Failure::Garbled(_)) => Reply {
                    answers: vec![nonsense(question)?],
                    ..code(ResponseCode::NoError)
                },
                Err(_) => code(ResponseCode::ServFail),
            },
        };
        said.truncated = server == NameServer::Truncating;
        let is_whole = said.code != ResponseCode::NoError || (said.truncated && !tcp);
        let mut bytes = said.into_bytes(question, tcp)?;
        if matches!(self.truth, Err(Failure::Garbled(_))) && !is_whole {
            // It ends in the middle of its only record.
            bytes.truncate(question_end(question) + 8);
        }
        Some(bytes)
    }

    /// Replies that are not true come before the one that is: from elsewhere, to
    /// another attempt, to another question, and what is no message at all.
    fn forge(&mut self, question: &Message, to: SocketAddr, now: Time, at: Time) {
        let early = now + at.since(now) / 2;
        let lie = Reply {
            code: ResponseCode::NXDomain,
            validated: true,
            truncated: false,
            answers: Vec::new(),
        };
        let mut other_id = question.clone();
        other_id.metadata.id ^= 1;
        let mut other_name = question.clone();
        if let (Some(query), Some(name)) =
            (other_name.queries.first_mut(), name_of("other.example"))
        {
            query.set_name(name);
        }
        let elsewhere = SocketAddr::new(to.ip(), to.port().wrapping_add(1));
        let forged = [
            (to, lie.clone().into_bytes(&other_id, false)),
            (to, lie.clone().into_bytes(&other_name, false)),
            (elsewhere, lie.into_bytes(question, false)),
            (to, question.to_vec().ok()),
            (to, Some(b"no message".to_vec())),
        ];
        for (from, bytes) in forged {
            if let Some(bytes) = bytes {
                self.arrivals.push((early, Arrival::Datagram(from, bytes)));
            }
        }
    }
}

/// Returns whether the resolver found what is to be found. Names are the same in any case, and a
/// reply that cannot be understood is explained in words of its own.
pub(super) fn is_true(found: &Result<Answer, Failure>, truth: &Result<Answer, Failure>) -> bool {
    match (found, truth) {
        (Ok(found), Ok(truth)) => {
            let owner = |record: &smtp_policy::dns::Record| {
                let mut record = record.clone();
                record.owner = record.owner.trim_end_matches('.').to_ascii_lowercase();
                record
            };
            let records = found.records.iter().map(owner);
            found.validated == truth.validated && records.eq(truth.records.iter().map(owner))
        }
        (Err(Failure::Malformed(_)), Err(Failure::Malformed(_)))
        | (Err(Failure::Garbled(_)), Err(Failure::Garbled(_))) => true,
        (Err(found), Err(truth)) => found == truth,
        _ => false,
    }
}

/// Writes the names of a question in capitals.
fn shout(question: &mut Message) {
    for query in &mut question.queries {
        if let Some(name) = name_of(&text_of(query.name()).to_ascii_uppercase()) {
            query.set_name(name);
        }
    }
}

/// A record of the type asked for whose name is none.
fn nonsense(question: &Message) -> Option<Record> {
    use hickory_proto::rr::RecordType;
    let data = match question.queries.first()?.query_type() {
        RecordType::A => RData::A(A::new(192, 0, 2, 99)),
        RecordType::AAAA => RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 99)),
        RecordType::TLSA => RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), vec![1; 32])),
        RecordType::NS => RData::NS(NS(name_of("a b.example")?)),
        _ => RData::MX(MX::new(0, name_of("a b.example")?)),
    };
    Some(Record::from_rdata(name_of("a b.example")?, TTL, data))
}

/// The end of the question section of a message with one question.
fn question_end(question: &Message) -> usize {
    let mut labels = question
        .queries
        .iter()
        .flat_map(|query| query.name().iter());
    let name = labels.by_ref().map(|label| label.len() + 1).sum::<usize>() + 1;
    12 + name + 4
}

fn data(data: &RecordData) -> Option<RData> {
    Some(match data {
        RecordData::A(address) => RData::A(A(*address)),
        RecordData::Aaaa(address) => RData::AAAA(AAAA(*address)),
        RecordData::Mx { preference, host } => RData::MX(MX::new(*preference, name_of(host)?)),
        RecordData::Cname(target) => RData::CNAME(CNAME(name_of(target)?)),
        RecordData::Ns(host) => RData::NS(NS(name_of(host)?)),
        RecordData::Tlsa {
            usage,
            selector,
            matching,
            data,
        } => RData::TLSA(TLSA::new(
            (*usage).into(),
            (*selector).into(),
            (*matching).into(),
            data.clone(),
        )),
        RecordData::Srv {
            priority,
            weight,
            port,
            target,
        } => RData::SRV(SRV::new(*priority, *weight, *port, name_of(target)?)),
        RecordData::Txt(text) => RData::TXT(TXT::from_bytes(vec![text.as_slice()])),
    })
}
