//! Drivers that do their work badly: they answer late, not at all, in another order, with
//! failures or with what nobody asked for, they lose connections and forget the time, and
//! they call the delivery off in the middle. Whatever they do, every recipient is settled
//! once, and the delivery ends.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use smtp_policy::{
    channel::Channel,
    delivery::{Ask, Cached, ConnectError, Delivery, Dns, External, Https, Socket, Ticket},
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData},
    sts::FetchError,
    tables::TableFailure,
};
use smtp_proto::{Address, ReversePath, Time};

use super::{LETTER, Protocol, Recipient, Request, Server, policy};

/// The settings: most kinds of questions come up.
const SETTINGS: &[&str] = &[
    "",
    "smtp_generic_maps = external:generic\n",
    "smtp_delivery_status_filter = external:filter\n",
    "smtp_tls_policy_maps = external:levels\nsmtp_pix_workaround_maps = external:pix\n",
    "smtp_connection_cache_destinations = example.com\nsmtp_connection_cache_on_demand = yes\n",
    "smtp_body_checks = external:body\ndaemon_timeout = 60\n",
];

/// The number of times that a delivery may be polled.
const POLLS: usize = 50_000;

/// A question that waits for its answer.
enum Open {
    Name(Ticket<Dns>, Query),
    Table(Ticket<External>),
    File(Ticket<Https>),
    Kept(Ticket<Cached>),
    Connection(Ticket<Socket>),
}

/// A driver that is told by bytes what to do badly. When there are no more, it does
/// everything well.
struct Driver {
    choices: std::vec::IntoIter<u8>,
    now: Time,
    open: Vec<Open>,
    kept: Vec<Channel>,
    server: Option<Server>,
    written: Vec<u8>,
    settled: BTreeMap<usize, &'static str>,
}

impl Driver {
    fn choose(&mut self) -> u8 {
        self.choices.next().unwrap_or(0)
    }

    /// Answers a question, well or not.
    fn answer(&mut self, job: &mut Delivery, open: Open) {
        let well = self.choose() % 4 != 1;
        match open {
            Open::Name(ticket, query) if well => job.resolved(ticket, found(&query)),
            Open::Name(ticket, _) => job.resolved(ticket, Err(Failure::NoData)),
            Open::Table(ticket) if well => job.looked_up(ticket, Ok(None)),
            Open::Table(ticket) => {
                let (table, reason) = ("external:x".into(), "out of order".into());
                job.looked_up(ticket, Err(TableFailure { table, reason }));
            }
            Open::File(ticket) => job.fetched(ticket, Err(FetchError::Unsupported)),
            Open::Kept(ticket) => {
                let hit = self.kept.pop().map(Box::new);
                if hit.is_some() {
                    self.server = Some(Server::new(&[]));
                    self.say(b"");
                }
                job.reused(ticket, hit);
            }
            Open::Connection(ticket) if well => {
                self.server = Some(Server::new(&[]));
                job.connected(ticket, Ok(()));
            }
            Open::Connection(ticket) => job.connected(ticket, Err(ConnectError::Refused)),
        }
    }

    fn say(&mut self, words: &[u8]) {
        if let Some(server) = &mut self.server {
            server.output.clear();
            server.output.extend_from_slice(words);
        }
    }

    /// A question has come: answers it now or later or never.
    fn ask(&mut self, job: &mut Delivery, open: Open) {
        match self.choose() % 8 {
            1 => self.open.push(open),
            2 => drop(open),
            3 => {
                self.open.push(open);
                self.answer_late(job);
            }
            _ => self.answer(job, open),
        }
    }

    /// Answers a question that has waited, whichever it is.
    fn answer_late(&mut self, job: &mut Delivery) {
        if !self.open.is_empty() {
            let at = usize::from(self.choose()) % self.open.len();
            let open = self.open.swap_remove(at);
            self.answer(job, open);
        }
    }

    /// Does something that nobody has asked for.
    fn misbehave(&mut self, job: &mut Delivery) {
        match self.choose() % 24 {
            1 | 2 => self.answer_late(job),
            3 => job.text(Bytes::from_static(b"unasked\n")),
            4 => job.text(Bytes::new()),
            5 => job.receive(b"250 unasked\r\n"),
            6 => job.receive(b"421 unasked\r\n"),
            7 => job.disconnected(),
            8 => job.write_failed(),
            9 => job.cancel(),
            10 => job.text_failed("it is gone".into()),
            11 => job.driver_failed("nothing works"),
            12 => self.now = self.now + Duration::from_secs(40),
            13 => {
                // Everything is dropped: questions and the connection.
                self.open.clear();
                self.server = None;
                job.disconnected();
                job.write_failed();
            }
            14 => self.say(b"550 no\r\n"),
            15 => self.say(b"450 no\r\n"),
            16 => self.say(b"not a reply\r\n"),
            17 => self.say(b""),
            _ => {}
        }
    }

    fn write(&mut self, job: &mut Delivery) {
        let Some(output) = job.output() else { return };
        let all = output.remaining();
        let count = match self.choose() % 4 {
            1 => all.min(7),
            _ => all,
        };
        let Some(output) = job.output() else { return };
        self.written.extend_from_slice(&output.copy_to_bytes(count));
        while let Some(end) = self.written.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.written.drain(..end + 2).collect();
            if let Some(server) = &mut self.server {
                server.take(&String::from_utf8_lossy(&line[..end]));
            }
        }
    }

    fn wait(&mut self, job: &mut Delivery, until: Time) {
        let said = self
            .server
            .as_mut()
            .map(|server| std::mem::take(&mut server.output));
        let said = said.unwrap_or_default();
        if !said.is_empty() {
            job.receive(&said);
        } else if !self.open.is_empty() && self.choose().is_multiple_of(2) {
            self.answer_late(job);
        } else {
            self.now = self.now.max(until);
        }
    }

    /// Does what is asked. Returns whether the delivery is over.
    fn obey(&mut self, job: &mut Delivery, ask: Ask) -> bool {
        match ask {
            Ask::Resolve(ticket, query) => self.ask(job, Open::Name(ticket, query)),
            Ask::LookUp(ticket, _) => self.ask(job, Open::Table(ticket)),
            Ask::Token(..) => panic!("there are no tokens"),
            Ask::Fetch(ticket, _) => self.ask(job, Open::File(ticket)),
            Ask::Reuse(ticket, _) => self.ask(job, Open::Kept(ticket)),
            Ask::Connect(ticket, _) => self.ask(job, Open::Connection(ticket)),
            Ask::Send { .. } => self.write(job),
            Ask::Wait { until } => self.wait(job, until),
            Ask::Text { offset, .. } => {
                let start = LETTER.len().min(offset as usize);
                let chunk = Bytes::from_static(&LETTER[start..]);
                match self.choose() % 8 {
                    1 => {}
                    4 => {
                        job.text_pending();
                        assert!(job.wants_text());
                        if self.choose().is_multiple_of(2) {
                            job.text(chunk);
                        }
                    }
                    2 => job.text_failed("it is gone".into()),
                    3 => {
                        job.text(chunk.clone());
                        job.text(chunk);
                    }
                    _ => job.text(chunk),
                }
            }
            Ask::Report(index, outcome) => {
                let before = self.settled.insert(index, outcome.word);
                assert_eq!(before, None, "recipient {index} has two verdicts");
            }
            Ask::Keep(_, channel, _) => {
                self.kept.push(*channel);
                self.server = None;
            }
            Ask::Close => self.server = None,
            Ask::Note(_) => {}
            Ask::Done => return true,
        }
        false
    }
}

fn found(query: &Query) -> Result<Answer, Failure> {
    let data = match query.kind {
        QueryKind::Mx => RecordData::Mx {
            preference: 10,
            host: "mx.example".into(),
        },
        QueryKind::A => RecordData::A("192.0.2.1".parse().unwrap()),
        _ => return Err(Failure::NoData),
    };
    Ok(Answer {
        records: vec![Record {
            owner: query.name.clone(),
            ttl: 60,
            data,
            validated: false,
        }],
        canonical: query.name.clone(),
        validated: false,
    })
}

/// Two deliveries in a row, so that the second may find a kept connection.
fn deliver(settings: &str, recipients: usize, choices: Vec<u8>) -> Vec<&'static str> {
    let policy = policy(settings);
    let mut driver = Driver {
        choices: choices.into_iter(),
        now: Time::ZERO,
        open: Vec::new(),
        kept: Vec::new(),
        server: None,
        written: Vec::new(),
        settled: BTreeMap::new(),
    };
    let mut words = Vec::new();
    for _ in 0..2 {
        let to = (0..recipients).map(|n| Address::parse(&format!("user{n}@example.com")).unwrap());
        let to = to.map(Recipient::new).collect();
        let sender = ReversePath::parse("from@example.org").unwrap();
        let request = Request::new(Protocol::Smtp, "example.com".parse().unwrap(), sender, to);
        let mut job = Delivery::new(request, policy.clone(), 7);
        driver.settled.clear();
        driver.server = None;
        driver.written.clear();
        let over = (0..POLLS).any(|_| {
            let ask = job.poll(driver.now);
            let over = driver.obey(&mut job, ask);
            let in_doubt = job.in_doubt();
            assert!(in_doubt.iter().all(|at| !driver.settled.contains_key(at)));
            driver.misbehave(&mut job);
            over
        });
        assert!(over, "the delivery never ends");
        assert_eq!(driver.settled.len(), recipients, "somebody has no verdict");
        assert_eq!(job.phases_taken().strays().collect::<Vec<_>>(), []);
        // What comes after the end changes nothing.
        while !driver.open.is_empty() {
            driver.answer_late(&mut job);
        }
        job.cancel();
        job.text_failed("it is gone".into());
        job.driver_failed("nothing works");
        assert!(matches!(job.poll(driver.now), Ask::Done));
        words.extend(driver.settled.values());
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_recipient_is_settled_once_whatever_the_driver_does(
        settings in prop::sample::select(SETTINGS),
        recipients in 1..4usize,
        choices in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        deliver(settings, recipients, choices);
    }
}

#[test]
fn a_driver_that_does_everything_well_delivers() {
    for settings in SETTINGS {
        assert_eq!(deliver(settings, 2, Vec::new()), ["sent"; 4], "{settings}");
    }
}
