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
    dns::{
        Answer, Failure, Lookup, Query, RecordData, ResolverConfig, SocketLookup, SocketStep,
        Transport,
    },
    driver::Slip,
};
use smtp_proto::Time;

use crate::{
    dice::Dice,
    dns_reply::{Reply, TTL, name_of, text_of},
};

/// The longest way to a name server and back: less than any server has time for.
const LONGEST_WAY: Duration = Duration::from_millis(300);
/// The longest pause between two pieces of a reply over TCP.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
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
    lookup: SocketLookup,
    socket: Option<Socket>,
    /// The bytes on their way to the socket.
    arrivals: Vec<(Time, Arrival)>,
    /// When there is something to do again.
    pub(super) due: Time,
    dice: Dice,
    /// The servers and names that had their mishap.
    met: Vec<(usize, String)>,
}

/// The socket that the resolver has opened.
#[derive(Debug)]
struct Socket {
    transport: Transport,
    /// The server, and its number in the resolver's configuration.
    server: NameServer,
    number: usize,
    /// The part of a question over TCP that was sent.
    sent: Vec<u8>,
}

#[derive(Debug)]
enum Arrival {
    /// A datagram, or bytes of a stream; none are its end.
    Bytes(Vec<u8>),
    /// The system says that nothing listens at the server, or that the connection is
    /// broken.
    Failure,
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
        let lookup = SocketLookup::new(lookup);
        Self {
            slip,
            query,
            truth,
            config,
            lookup,
            socket: None,
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
                Arrival::Bytes(bytes) => self.lookup.received(&bytes),
                Arrival::Failure => self.lookup.failed(),
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
            let until = match self.lookup.poll(now) {
                SocketStep::Open { transport, server } => {
                    self.open(servers, transport, server, now);
                    continue;
                }
                SocketStep::Send { bytes, until } => match self.send(servers, &bytes, now) {
                    0 => until,
                    count => {
                        self.lookup.sent(count);
                        continue;
                    }
                },
                SocketStep::Wait { until } => until,
                SocketStep::Done(result) => return Some(result),
            };
            let arrival = self.arrivals.iter().map(|(at, _)| *at).min();
            self.due = arrival.map_or(until, |at| at.min(until));
            return None;
        }
    }

    /// Opens a socket in place of the one before, which nothing reaches any more.
    fn open(&mut self, servers: &NameServers, transport: Transport, to: SocketAddr, now: Time) {
        let number = self.config.servers.iter().position(|server| *server == to);
        let number = number.unwrap_or(usize::MAX);
        let server = servers.servers.get(number).copied();
        let server = server.unwrap_or(NameServer::Silent);
        self.arrivals.clear();
        if transport == Transport::Tcp && server == NameServer::Gone {
            let at = now + self.dice.time(LONGEST_WAY);
            self.arrivals.push((at, Arrival::Failure));
        }
        self.socket = Some(Socket {
            transport,
            server,
            number,
            sent: Vec::new(),
        });
    }

    /// Sees to what becomes of what is sent through the socket, and returns how much that
    /// is. A connection takes nothing where nobody accepts it, and in pieces sometimes.
    fn send(&mut self, servers: &NameServers, bytes: &[u8], now: Time) -> usize {
        let Some(socket) = &mut self.socket else {
            return 0;
        };
        let place = (socket.number, socket.server);
        match (socket.transport, socket.server) {
            (Transport::Udp, _) => {
                // A new attempt hears no more of the failure of an earlier one.
                self.arrivals
                    .retain(|(_, arrival)| matches!(arrival, Arrival::Bytes(_)));
                self.ask(servers, place, bytes, Transport::Udp, now);
                bytes.len()
            }
            (Transport::Tcp, NameServer::Silent | NameServer::Gone) => 0,
            (Transport::Tcp, _) if bytes.len() > 1 && self.dice.once_in(4) => {
                let count = bytes.len().div_ceil(2);
                socket.sent.extend(bytes.iter().take(count));
                count
            }
            (Transport::Tcp, _) => {
                socket.sent.extend(bytes);
                let question = std::mem::take(&mut socket.sent);
                let question = question.get(2..).unwrap_or_default();
                self.ask(servers, place, question, Transport::Tcp, now);
                bytes.len()
            }
        }
    }

    /// Sees to what becomes of a question to a server.
    fn ask(
        &mut self,
        servers: &NameServers,
        (number, server): (usize, NameServer),
        bytes: &[u8],
        transport: Transport,
        now: Time,
    ) {
        let Ok(mut question) = Message::from_vec(bytes) else {
            return;
        };
        let name = question.queries.first().map(|query| text_of(query.name()));
        let name = name.unwrap_or_default();
        let mut at = now + self.dice.time(LONGEST_WAY);
        if server == NameServer::Silent {
            return;
        }
        if server == NameServer::Gone {
            return self.arrivals.push((at, Arrival::Failure));
        }
        let tcp = transport == Transport::Tcp;
        let mishap = servers.mishaps > 0 && self.dice.once_in(servers.mishaps);
        let place = (number, name);
        let mishap = mishap && !self.met.contains(&place);
        if mishap {
            self.met.push(place.clone());
            match tcp {
                true if self.dice.once_in(2) => {
                    return self.arrivals.push((at, Arrival::Failure));
                }
                // It ends in the middle.
                true => {}
                false if self.dice.once_in(2) => return,
                false => at = at + LATE,
            }
        }
        let forged = servers.forgeries > 0 && self.dice.once_in(servers.forgeries);
        if forged && !tcp {
            self.forge(&question, now, at);
            shout(&mut question);
        }
        match self.reply(server, &question, &place.1, tcp) {
            Some(reply) if tcp => self.stream(&reply, mishap, at),
            Some(reply) => self.arrivals.push((at, Arrival::Bytes(reply))),
            None => {}
        }
    }

    /// Sends a reply over TCP, in pieces. The server closes the connection behind it, or
    /// `early` in the middle of it.
    fn stream(&mut self, reply: &[u8], early: bool, mut at: Time) {
        let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        let whole = [&length.to_be_bytes(), reply].concat();
        let end = match early {
            true => self.dice.count(whole.len()),
            false => whole.len(),
        };
        let mut rest = whole.get(..end).unwrap_or_default();
        while !rest.is_empty() {
            let cut = 1 + self.dice.count(rest.len());
            let (piece, behind) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
            self.arrivals.push((at, Arrival::Bytes(piece.to_vec())));
            at = at + self.dice.time(LONGEST_PAUSE);
            rest = behind;
        }
        self.arrivals.push((at, Arrival::Bytes(Vec::new())));
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

    /// Replies that are not true come before the one that is: to another attempt, to
    /// another question, and what is no message at all. Those from elsewhere do not reach
    /// a socket that is connected.
    fn forge(&mut self, question: &Message, now: Time, at: Time) {
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
        let forged = [
            lie.clone().into_bytes(&other_id, false),
            lie.into_bytes(&other_name, false),
            question.to_vec().ok(),
            Some(b"no message".to_vec()),
        ];
        for bytes in forged.into_iter().flatten() {
            self.arrivals.push((early, Arrival::Bytes(bytes)));
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
