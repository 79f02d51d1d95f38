//! A driver in memory: one zone, some servers, a connection cache.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    delivery::{Ask, ConnectError, Delivery, Endpoint},
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData, ResolverConfig},
    event::{Event, Level},
    policy::Policy,
    report::{Outcome, TlsResult},
    request::{Recipient, Request, TlsWish},
    reuse::ConnectionCache,
    sts::{FetchError, Fetched, PolicyFetch},
    survey::{Finding, Survey},
};
use smtp_proto::{Address, ReversePath, Time};

use crate::server::{Offer, Server};

/// The time of day at the beginning of each test: some day in 2027.
pub const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// What the zone has for a name and type.
#[derive(Clone, Debug)]
pub enum Entry {
    Signed(Vec<RecordData>),
    Plain(Vec<RecordData>),
    Servfail,
}

pub struct World {
    pub now: Time,
    pub servers: BTreeMap<&'static str, Offer>,
    pub zone: BTreeMap<(QueryKind, String), Entry>,
    pub asked: Vec<String>,
    pub wish: TlsWish,
    pub results: Vec<TlsResult>,
    /// How many connections were asked for.
    pub connects: usize,
    /// What web servers answer, and what they were asked for.
    pub web: Result<Fetched, FetchError>,
    pub fetched: Vec<PolicyFetch>,
    pub aliases: BTreeMap<&'static str, &'static str>,
    pub cache: ConnectionCache<Server>,
    /// Connections that are over, in order.
    pub past: Vec<Server>,
    pub notes: Vec<String>,
    pub findings: Vec<Finding>,
    /// How much of what servers say arrives, over all connections.
    pub budget: usize,
    /// Whether it arrives damaged, once something was said inside TLS.
    pub garble: bool,
    /// In pieces of so many bytes.
    pub piece: usize,
    /// The words of a server while its connection rests.
    pub at_rest: Option<&'static str>,
    pub age: Duration,
    pub probe: bool,
    pub nexthop: &'static str,
    pub epoch: Option<Duration>,
}

impl World {
    /// `example.com` with one mail exchanger, `mx1.example.net`, which offers this.
    pub fn new(offer: Offer) -> Self {
        let mx = RecordData::Mx {
            preference: 10,
            host: "mx1.example.net".into(),
        };
        let address = RecordData::A("192.0.2.1".parse().unwrap());
        Self {
            now: Time::ZERO,
            servers: BTreeMap::from([("192.0.2.1", offer)]),
            zone: BTreeMap::from([
                (
                    (QueryKind::Mx, "example.com".into()),
                    Entry::Signed(vec![mx]),
                ),
                (
                    (QueryKind::A, "mx1.example.net".into()),
                    Entry::Signed(vec![address]),
                ),
            ]),
            asked: Vec::new(),
            wish: TlsWish::Unsaid,
            results: Vec::new(),
            connects: 0,
            web: Err(FetchError::Unsupported),
            fetched: Vec::new(),
            aliases: BTreeMap::new(),
            cache: ConnectionCache::new(),
            past: Vec::new(),
            notes: Vec::new(),
            findings: Vec::new(),
            budget: usize::MAX,
            garble: false,
            piece: usize::MAX,
            at_rest: None,
            age: Duration::ZERO,
            probe: false,
            nexthop: "example.com",
            epoch: Some(EPOCH),
        }
    }

    pub fn with(mut self, kind: QueryKind, name: &str, entry: Entry) -> Self {
        self.zone.insert((kind, name.to_owned()), entry);
        self
    }

    /// Delivers one message under a main.cf whose files are in `dir`.
    pub fn deliver_in(&mut self, dir: &Path, main_cf: &str) -> Outcome {
        let policy = policy(dir, main_cf);
        self.deliver_by(policy)
    }

    pub fn deliver(&mut self, main_cf: &str) -> Outcome {
        self.deliver_in("/nowhere".as_ref(), main_cf)
    }

    pub fn deliver_by(&mut self, policy: Arc<Policy>) -> Outcome {
        let to = Recipient::new(Address::parse("to@example.com").unwrap());
        let sender = ReversePath::parse("from@example.org").unwrap();
        let mut request = Request::new(
            Protocol::Smtp,
            self.nexthop.parse().unwrap(),
            sender,
            vec![to],
        );
        request.age = self.age;
        request.probe = self.probe;
        request.tls = self.wish;
        let mut job = Delivery::new(request, policy, 7);
        if let Some(epoch) = self.epoch {
            job = job.with_epoch(epoch);
        }
        self.drive(job).expect("a verdict")
    }

    /// Looks at the servers, and returns what was found.
    pub fn survey(&mut self, main_cf: &str, survey: Survey) -> Vec<Finding> {
        self.survey_by(policy("/nowhere".as_ref(), main_cf), survey)
    }

    pub fn survey_by(&mut self, policy: Arc<Policy>, survey: Survey) -> Vec<Finding> {
        let request = Request::survey(Protocol::Smtp, self.nexthop.parse().unwrap(), survey);
        let job = Delivery::new(request, policy, 7).with_epoch(EPOCH);
        assert!(self.drive(job).is_none());
        std::mem::take(&mut self.findings)
    }

    fn drive(&mut self, mut job: Delivery) -> Option<Outcome> {
        let (mut server, mut verdict): (Option<Server>, Option<Outcome>) = (None, None);
        let text = Bytes::from_static(b"Subject: hi\n\nsecret\n");
        for _ in 0..100_000 {
            match job.poll(self.now) {
                Ask::Resolve(ticket, query) => job.resolved(ticket, self.answer(&query)),
                Ask::Fetch(ticket, request) => {
                    self.fetched.push(*request);
                    job.fetched(ticket, self.web.clone());
                }
                Ask::Token(..) => panic!("there are no tokens"),
                Ask::LookUp(ticket, _) => job.looked_up(ticket, Ok(None)),
                Ask::Reuse(ticket, key) => {
                    let hit = self.cache.take(&key, self.now);
                    job.reused(
                        ticket,
                        hit.map(|(socket, channel)| {
                            server = Some(socket);
                            channel
                        }),
                    );
                }
                Ask::Connect(ticket, target) => {
                    let Endpoint::Inet(address) = target.endpoint else {
                        panic!()
                    };
                    let offer = self.servers.get(address.ip().to_string().as_str());
                    self.connects += 1;
                    server = offer.map(Server::new);
                    let made = server.as_ref().map(|_| ()).ok_or(ConnectError::Refused);
                    job.connected(ticket, made);
                }
                Ask::Send { until } => {
                    // What is there already is read first, as every driver does.
                    if server
                        .as_ref()
                        .is_some_and(|server| !server.wire.is_empty())
                    {
                        self.wait(&mut job, server.as_mut().unwrap(), until);
                    }
                    let output = job.output().unwrap();
                    let bytes = output.copy_to_bytes(output.remaining());
                    server.as_mut().unwrap().hear(&bytes);
                }
                Ask::Wait { until } => self.wait(&mut job, server.as_mut().unwrap(), until),
                Ask::Text { offset, .. } => job.text(text.slice(offset as usize..)),
                Ask::Report(_, outcome) => assert!(verdict.replace(*outcome).is_none()),
                Ask::Note(note) => {
                    if note.level() > Level::Trace {
                        self.notes.push(note.to_string());
                    }
                    match note.event {
                        Event::TlsReport { result } => self.results.push(result),
                        Event::Found { finding } => self.findings.push(finding),
                        _ => {}
                    }
                }
                Ask::Keep(keys, channel, expires) => {
                    let mut server = server.take().unwrap();
                    self.at_rest
                        .into_iter()
                        .for_each(|line| server.mutter(line));
                    self.cache.put(keys, server, channel, expires);
                }
                Ask::Close => self.past.extend(server.take()),
                Ask::Done => return verdict,
            }
        }
        panic!("the delivery never ends");
    }

    fn wait(&mut self, job: &mut Delivery, server: &mut Server, until: Time) {
        let count = server.wire.len().min(self.budget).min(self.piece);
        if count > 0 {
            let mut said: Vec<u8> = server.wire.drain(..count).collect();
            self.budget -= said.len();
            if self.garble && !server.secret.is_empty() {
                said[count - 1] ^= 1;
            }
            job.receive(&said);
        } else if !server.open || self.budget == 0 {
            job.disconnected();
        } else {
            self.now = until;
        }
    }

    fn answer(&mut self, query: &Query) -> Result<Answer, Failure> {
        self.asked.push(format!("{} {}", query.kind, query.name));
        let alias = self
            .aliases
            .get(query.name.as_str())
            .filter(|_| query.kind != QueryKind::Cname);
        let owner = alias
            .map_or(query.name.as_str(), |target| *target)
            .to_owned();
        let (data, validated) = match self.zone.get(&(query.kind, owner.clone())) {
            Some(Entry::Signed(data)) => (data.clone(), query.validate),
            Some(Entry::Plain(data)) => (data.clone(), false),
            Some(Entry::Servfail) => return Err(Failure::TryAgain),
            None => return Err(Failure::NotFound),
        };
        let record = |data| Record {
            owner: owner.clone(),
            ttl: 60,
            data,
            validated,
        };
        let records = data.into_iter().map(record).collect();
        Ok(Answer {
            records,
            canonical: owner.clone(),
            validated,
        })
    }

    /// Whether mail was sent in plaintext, and whether inside TLS.
    pub fn mail(&self) -> (bool, bool) {
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.starts_with("MAIL"));
        (
            self.past.iter().any(|server| has(&server.plain)),
            self.past.iter().any(|server| has(&server.secret)),
        )
    }

    pub fn noted(&self, text: &str) -> bool {
        self.notes.iter().any(|note| note.contains(text))
    }
}

pub fn policy(dir: &Path, main_cf: &str) -> Arc<Policy> {
    Arc::new(bare_policy(dir, main_cf))
}

pub fn bare_policy(dir: &Path, main_cf: &str) -> Policy {
    let text = format!(
        "myhostname = client.example\nsmtp_randomize_addresses = no\n\
         smtp_dns_support_level = dnssec\n{main_cf}"
    );
    let main_cf = MainCf::parse(&text, "main.cf", dir).unwrap();
    compile(&main_cf, ResolverConfig::default(), &[]).unwrap()
}

/// `word code`.
pub fn brief(outcome: &Outcome) -> String {
    format!("{} {}", outcome.word, outcome.code)
}
