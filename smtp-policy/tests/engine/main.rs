//! The delivery engine against a toy world: a zone, a server, a connection cache,
//! a table. No sockets, no clock; whatever a driver would do is done here.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod cancel;
mod code;
mod content;
mod drivers;
mod dsn;
mod facts;
mod hop;
mod injection;
mod notices;
mod reuse;
mod sasl;
mod tables;
mod tokens;
mod verdicts;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    channel::Channel,
    delivery::{Ask, ConnectError, Delivery, Endpoint},
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData, ResolverConfig},
    event::{Event, Level},
    policy::Policy,
    report::{Notice, Outcome},
    request::{Recipient, Request},
    reuse::ConnectionCache,
    settings::TokenSource,
    sts::FetchError,
};
use smtp_proto::{Address, ReversePath, Time, session::Taken};

pub const LETTER: &[u8] = b"Subject: hi\n\nhello\n";

/// What a server does with a line: the reply to lines that begin with this.
pub type Rules = &'static [(&'static str, &'static str)];

/// The world around a delivery.
pub struct World {
    pub now: Time,
    /// Rules by address; an address without any refuses connections.
    pub servers: BTreeMap<&'static str, Rules>,
    /// Mail exchangers of every domain, with their addresses.
    pub exchangers: Vec<(u16, &'static str, &'static str)>,
    pub tables: BTreeMap<&'static str, Result<&'static str, &'static str>>,
    pub text: Bytes,
    pub cache: ConnectionCache<Server>,
    /// Everything the servers were told, by line.
    pub heard: Vec<String>,
    pub notes: Vec<String>,
    /// The names of all events.
    pub events: Vec<&'static str>,
    /// The time that each reply takes.
    pub lag: Duration,
    /// What the postmaster is told.
    pub notices: Vec<Notice>,
    pub connects: usize,
    /// The most output that ever waited.
    pub most_queued: usize,
    /// When to cancel: after a line that begins with this was heard.
    pub cancel_after: Option<&'static str>,
    /// What happens when the first recipient has a verdict.
    pub then_verdict: Option<Interruption>,
    /// When to lose the connection: likewise.
    pub cut_after: Option<&'static str>,
    /// Rules of servers whose connection is used again.
    pub on_reuse: Option<Rules>,
    /// How much of what the servers say arrives; then there is nothing more.
    pub budget: usize,
    /// What happens when the budget is spent.
    pub then: Then,
    /// From where on the text cannot be read.
    pub unreadable_from: Option<u64>,
    /// What sessions had taken when the last connection was closed or kept.
    pub taken: Taken,
    /// The number of times the engine wanted to be polled again at once, and how long that takes each
    /// time.
    pub pauses: usize,
    pub pause: Duration,
    /// The recipients in doubt, whenever that changed and whenever a table was asked.
    pub doubts: Vec<Vec<usize>>,
    /// What `Debug` shows of deliveries and their questions, if anybody looks.
    pub shown: Option<String>,
}

/// What ends a delivery from outside.
#[derive(Clone, Copy, Debug)]
pub enum Interruption {
    /// It is cancelled.
    Cancel,
    /// It outlasts `daemon_timeout`.
    Overdue,
}

/// The default of `daemon_timeout`.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(18_000);

/// How a server ends in the middle of a word.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// It closes.
    Close,
    /// It says nothing more.
    Stall,
    /// The connection breaks: nothing can be written any more either.
    Reset,
}

/// A toy server's side of a connection.
#[derive(Debug)]
pub struct Server {
    rules: Rules,
    input: Vec<u8>,
    in_text: bool,
    /// What it has to say.
    output: Vec<u8>,
    open: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: Time::ZERO,
            servers: BTreeMap::from([("192.0.2.1", &[] as Rules)]),
            exchangers: vec![(10, "mx1.example", "192.0.2.1")],
            tables: BTreeMap::new(),
            text: Bytes::from_static(LETTER),
            cache: ConnectionCache::new(),
            heard: Vec::new(),
            notes: Vec::new(),
            events: Vec::new(),
            lag: Duration::ZERO,
            notices: Vec::new(),
            connects: 0,
            most_queued: 0,
            cancel_after: None,
            then_verdict: None,
            cut_after: None,
            on_reuse: None,
            budget: usize::MAX,
            then: Then::Close,
            unreadable_from: None,
            taken: Taken::default(),
            pauses: 0,
            pause: Duration::ZERO,
            doubts: Vec::new(),
            shown: None,
        }
    }
}

impl World {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_server(mut self, address: &'static str, rules: Rules) -> Self {
        self.servers.insert(address, rules);
        self
    }

    pub fn with_backup(mut self, address: &'static str, rules: Rules) -> Self {
        self.exchangers.push((20, "mx2.example", address));
        self.with_server(address, rules)
    }

    /// Delivers to the recipients under a main.cf. Checks that each recipient is
    /// reported exactly once.
    pub fn deliver(&mut self, main_cf: &str, to: &[&str]) -> Vec<Outcome> {
        let recipients = to
            .iter()
            .map(|a| Recipient::new(Address::parse(a).unwrap()))
            .collect();
        let sender = ReversePath::parse("from@example.org").unwrap();
        self.run(
            main_cf,
            Request::new(
                Protocol::Smtp,
                "example.com".parse().unwrap(),
                sender,
                recipients,
            ),
        )
    }

    pub fn run(&mut self, main_cf: &str, request: Request) -> Vec<Outcome> {
        self.run_under(policy(main_cf), request)
    }

    pub fn run_under(&mut self, policy: Arc<Policy>, request: Request) -> Vec<Outcome> {
        let count = request.recipients.len();
        let mut settled: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut job = Delivery::new(request, policy, 7);
        let mut server: Option<Server> = None;
        for _ in 0..100_000 {
            let ask = job.poll(self.now);
            let doubt = job.in_doubt();
            if *self.doubts.last().unwrap_or(&Vec::new()) != doubt || matches!(ask, Ask::LookUp(..))
            {
                self.doubts.push(doubt);
            }
            if let Some(shown) = &mut self.shown {
                shown.push_str(&format!("{ask:?} {job:?}\n"));
            }
            if matches!(ask, Ask::Send { until } | Ask::Wait { until } if until <= self.now) {
                self.pauses += 1;
                self.now = self.now + self.pause;
                continue;
            }
            match ask {
                Ask::Resolve(ticket, query) => job.resolved(ticket, self.answer(&query)),
                Ask::Fetch(ticket, _) => job.fetched(ticket, Err(FetchError::Unsupported)),
                Ask::LookUp(ticket, query) => {
                    let value = match self.tables.get(query.table.as_str()) {
                        Some(Ok(value)) => Ok(Some((*value).to_owned())),
                        Some(Err(reason)) => Err(smtp_policy::tables::TableFailure {
                            table: query.table,
                            reason: (*reason).to_owned(),
                        }),
                        None => Ok(None),
                    };
                    job.looked_up(ticket, value);
                }
                Ask::Token(ticket, source, wanted) => {
                    let TokenSource::Blocking(source) = source else {
                        panic!("nobody awaits it here")
                    };
                    job.token(ticket, source.token(&wanted));
                }
                Ask::Reuse(ticket, key) => {
                    let hit = self.cache.take(&key, self.now);
                    job.reused(
                        ticket,
                        hit.map(|(socket, channel)| self.adopt(&mut server, socket, channel)),
                    );
                }
                Ask::Connect(ticket, target) => {
                    self.connects += 1;
                    let Endpoint::Inet(address) = target.endpoint else {
                        panic!()
                    };
                    let rules = self.servers.get(address.ip().to_string().as_str());
                    server = rules.map(|rules| Server::new(rules));
                    job.connected(
                        ticket,
                        server.as_ref().map(|_| ()).ok_or(ConnectError::Refused),
                    );
                }
                Ask::Send { .. } => {
                    let output = job.output().unwrap();
                    self.most_queued = self.most_queued.max(output.remaining());
                    let bytes = output.copy_to_bytes(output.remaining());
                    self.hear(server.as_mut().unwrap(), &bytes);
                }
                Ask::Wait { until } => self.wait(&mut job, server.as_mut(), until),
                Ask::Text { offset, .. } if self.unreadable_from.is_some_and(|at| offset >= at) => {
                    job.text_failed("no such file".into());
                }
                Ask::Text { offset, room } => {
                    let start = (offset as usize).min(self.text.len());
                    job.text(self.text.slice(start..self.text.len().min(start + room)));
                }
                Ask::Report(index, outcome) => {
                    assert!(settled.insert(index, *outcome).is_none(), "{index} twice");
                    match self.then_verdict.take() {
                        Some(Interruption::Cancel) => job.cancel(),
                        Some(Interruption::Overdue) => self.now = self.now + DAEMON_TIMEOUT,
                        None => {}
                    }
                }
                Ask::Note(note) => {
                    self.events.push(note.event.name());
                    if note.level() > Level::Trace {
                        self.notes.push(note.to_string());
                    }
                    if let Event::PostmasterNotice { notice } = note.event {
                        self.notices.push(*notice);
                    }
                }
                Ask::Keep(keys, channel, expires) => {
                    self.taken = job.taken();
                    self.cache
                        .put(keys, server.take().unwrap(), channel, expires);
                }
                Ask::Close => {
                    self.taken = job.taken();
                    server = None;
                }
                Ask::Done => {
                    assert!(server.is_none(), "a connection was left open");
                    assert_eq!(settled.len(), count, "somebody has no verdict");
                    return settled.into_values().collect();
                }
            }
            if let Some(word) = self.cancel_after
                && self.heard.iter().any(|line| line.starts_with(word))
            {
                self.cancel_after = None;
                job.cancel();
            }
        }
        panic!("the delivery never ends");
    }

    fn adopt(
        &self,
        server: &mut Option<Server>,
        socket: Server,
        channel: Box<Channel>,
    ) -> Box<Channel> {
        let rules = self.on_reuse.unwrap_or(socket.rules);
        *server = Some(Server { rules, ..socket });
        channel
    }

    fn wait(&mut self, job: &mut Delivery, server: Option<&mut Server>, until: Time) {
        match server {
            Some(server) if !server.output.is_empty() && self.budget > 0 => {
                let mut said = std::mem::take(&mut server.output);
                said.truncate(self.budget);
                self.budget -= said.len();
                self.now = self.now + self.lag;
                job.receive(&said);
            }
            Some(server) if self.budget == 0 => match self.then {
                Then::Close => job.disconnected(),
                Then::Stall => self.now = until,
                Then::Reset => {
                    server.open = false;
                    job.write_failed();
                    job.disconnected();
                }
            },
            Some(server) if !server.open => job.disconnected(),
            _ => self.now = until,
        }
    }

    /// A server takes what the client wrote, and prepares its replies.
    fn hear(&mut self, server: &mut Server, bytes: &[u8]) {
        server.input.extend_from_slice(bytes);
        while let Some(end) = server.input.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = server.input.drain(..end + 2).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if !server.open {
                continue;
            }
            server.take(&line);
            if self.cut_after.is_some_and(|word| line.starts_with(word)) {
                self.cut_after = None;
                server.open = false;
                server.output.clear();
            }
            self.heard.push(line);
        }
    }

    fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        let record = |data| Record {
            owner: query.name.clone(),
            ttl: 60,
            data,
            validated: false,
        };
        let records: Vec<Record> = match query.kind {
            QueryKind::Mx => self
                .exchangers
                .iter()
                .map(|(preference, host, _)| {
                    record(RecordData::Mx {
                        preference: *preference,
                        host: (*host).into(),
                    })
                })
                .collect(),
            QueryKind::A => self
                .exchangers
                .iter()
                .filter(|(_, host, _)| *host == query.name)
                .map(|(_, _, address)| record(RecordData::A(address.parse().unwrap())))
                .collect(),
            _ => Vec::new(),
        };
        if records.is_empty() {
            return Err(Failure::NoData);
        }
        Ok(Answer {
            records,
            canonical: query.name.clone(),
            validated: false,
        })
    }
}

impl Server {
    fn new(rules: Rules) -> Self {
        let mut server = Self {
            rules,
            input: Vec::new(),
            in_text: false,
            output: Vec::new(),
            open: true,
        };
        server.say("CONNECT", "220 mx ESMTP");
        server
    }

    fn say(&mut self, line: &str, default: &str) -> bool {
        let rule = self.rules.iter().find(|(word, _)| line.starts_with(word));
        let reply = rule.map_or(default, |(_, reply)| *reply);
        match reply {
            "CLOSE" => self.open = false,
            "SILENCE" => {}
            _ => self
                .output
                .extend_from_slice(format!("{reply}\r\n").as_bytes()),
        }
        reply.starts_with('3')
    }

    fn take(&mut self, line: &str) {
        if self.in_text {
            if line == "." {
                self.in_text = false;
                self.say(".", "250 2.0.0 queued");
            }
            return;
        }
        let verb = line.split(' ').next().unwrap_or_default();
        match verb {
            "EHLO" => {
                self.say(line, "250-mx\r\n250 PIPELINING");
            }
            "DATA" => self.in_text = self.say(line, "354 go"),
            "QUIT" => self.open = false,
            _ => {
                self.say(line, "250 2.1.0 ok");
            }
        }
    }
}

pub fn policy(main_cf: &str) -> Arc<Policy> {
    let text = format!("myhostname = client.example\nsmtp_randomize_addresses = no\n{main_cf}");
    let main_cf = MainCf::parse(&text, "main.cf", "/nowhere".as_ref()).unwrap();
    Arc::new(compile(&main_cf, ResolverConfig::default(), &[]).unwrap())
}

/// `status code` of each outcome.
pub fn brief(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|outcome| format!("{} {}", outcome.word, outcome.code))
        .collect()
}

pub const MINUTE: Duration = Duration::from_secs(60);
