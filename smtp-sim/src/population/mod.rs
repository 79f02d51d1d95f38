//! Whole populations from a seed: destinations with their servers, names and
//! connections, from well-behaved to hostile, and messages for them. It runs nothing;
//! [`Population::world`] makes the world in which it lives.
//!
//! Dice are thrown for everything first and [`Knobs`] are applied afterwards, so that
//! a smaller population is part of the larger one of the same seed.

#[cfg(feature = "certificates")]
mod certificates;
mod letters;
mod profile;
mod servers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    dns::RecordData,
    line_ends::StrayCr,
    request::{
        CacheHints, ClientInfo, ClientSource, ClientValue, Encoding, QueueId, Recipient, Request,
    },
    settings::SettingsError,
};
use smtp_proto::{Address, ReversePath};

pub use self::profile::{Habit, Logins, Policies, Profile, Security, time_limit};
use crate::{
    dice::Dice,
    world::{Host, NameServers, Trouble, World},
};

/// What makes a population smaller than its seed has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// The most messages.
    pub deliveries: usize,
    /// Only the message with this number.
    pub only: Option<usize>,
    /// The most recipients of a message, at least one.
    pub recipients: usize,
    /// The most faults of a server.
    pub faults: usize,
    /// The most bytes of a text.
    pub text: usize,
    /// Connections break, are slow and cut up bytes, and names cannot be looked up.
    pub rough: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            deliveries: usize::MAX,
            only: None,
            recipients: usize::MAX,
            faults: usize::MAX,
            text: usize::MAX,
            rough: true,
        }
    }
}

/// A server of a population.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is and how it is reached.
    pub host: Host,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The domain.
    pub domain: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// The next hop, as it is written.
    pub nexthop: String,
    /// Its servers, the most preferred first.
    pub servers: Vec<Server>,
    /// Whether its names are signed, and there are TLSA records.
    pub signed: bool,
    /// What goes wrong with one of its names.
    pub trouble: Option<(Place, Trouble)>,
}

/// A question about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Which its mail exchangers are.
    Exchangers,
    /// The address of the most preferred one.
    Address,
    /// The TLSA records of the most preferred one.
    Certificate,
}

/// A message of a population.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The number, which its addresses have in them.
    pub number: usize,
    /// Where it goes, by its place in [`Population::destinations`].
    pub destination: usize,
    /// When it is handed in, from the beginning of the world on.
    pub after: Duration,
    /// The request.
    pub request: Request,
    /// When it is called off, from the beginning of the world on.
    pub cancelled: Option<Duration>,
    /// The text.
    pub text: Bytes,
}

/// Destinations and messages.
#[derive(Clone, Debug)]
pub struct Population {
    /// The seed that all follows from.
    pub seed: u64,
    /// The configuration.
    pub profile: Profile,
    /// Where messages go.
    pub destinations: Vec<Destination>,
    /// The messages.
    pub letters: Vec<Letter>,
    /// The name servers; `None`: names are known without them.
    pub name_servers: Option<NameServers>,
    /// True if those servers validate: if there is a signed root.
    pub validating: bool,
}

impl Population {
    /// The population of a seed.
    pub fn generate(seed: u64, knobs: Knobs) -> Self {
        Self::throw(seed, Dice::new(seed), knobs)
    }

    /// The population of a row of throws. What is left to chance in its world follows
    /// from `seed`.
    pub fn throw(seed: u64, mut dice: Dice, knobs: Knobs) -> Self {
        let mut profile = Profile::throw(&mut dice);
        // Thrown apart, since most worlds do without.
        let mut side = Dice::new(!seed);
        let name_servers = servers::name_servers(&mut side, knobs);
        profile.probing = name_servers.is_some() && profile.security == Security::Dane;
        let count = 1 + dice.count(servers::MOST);
        let destinations: Vec<Destination> = (0..count)
            .map(|number| servers::destination(number, &profile, knobs, &mut dice))
            .collect();
        let count = 1 + dice.count(8);
        let letters = (0..count).map(|number| letter(number, &destinations, knobs, &mut dice));
        let wanted = |letter: &Letter| knobs.only.is_none_or(|only| letter.number == only);
        let letters: Vec<Letter> = letters.collect();
        let letters = letters.into_iter().filter(wanted).take(knobs.deliveries);
        Self {
            seed,
            profile,
            letters: letters.collect(),
            destinations,
            name_servers,
            validating: !side.once_in(4),
        }
    }

    /// A world with this population in it, its messages handed in. Its deliveries
    /// have the same places as [`letters`](Self::letters).
    ///
    /// # Errors
    /// The configuration contradicts itself.
    pub fn world(&self, policies: &mut Policies, traced: bool) -> Result<World, SettingsError> {
        let mut world = World::new(policies.get(self.profile)?, self.seed);
        if traced {
            world = world.traced();
        }
        for destination in &self.destinations {
            destination.settle(&mut world, policies);
        }
        if let Some(servers) = &self.name_servers {
            world.resolve_with(servers.clone());
            let root = RecordData::Ns("a.root.example".to_owned());
            world.names().add(".", root);
            if self.validating {
                world.names().sign(".");
            }
        }
        for letter in &self.letters {
            let id = world.submit(letter.after, letter.request.clone(), letter.text.clone());
            if let Some(after) = letter.cancelled {
                world.cancel(after, id);
            }
        }
        Ok(world)
    }

    /// Whether what becomes of the messages depends on what is said only, and not on
    /// when: then it may not depend on how bytes are cut up either.
    pub fn is_timeless(&self) -> bool {
        let called_off = self.letters.iter().any(|letter| letter.cancelled.is_some());
        let mut destinations = self.destinations.iter();
        !called_off
            && destinations.all(|destination| {
                let mut servers = destination.servers.iter();
                let trouble = destination.trouble.as_ref();
                servers.all(servers::is_timeless)
                    && trouble.is_none_or(|(_, trouble)| trouble.times == u32::MAX)
            })
    }
}

impl Destination {
    fn port(&self) -> u16 {
        let first = self.servers.first();
        first.map_or(0, |server| server.address.port())
    }

    fn settle(&self, world: &mut World, policies: &Policies) {
        let names = world.names();
        for (rank, server) in self.servers.iter().enumerate() {
            let host = format!("mx{rank}.{}", self.domain);
            let preference = u16::try_from(rank * 10).unwrap_or(u16::MAX);
            let mx = RecordData::Mx {
                preference,
                host: host.clone(),
            };
            names.add(&self.domain, mx);
            let data = match server.address {
                SocketAddr::V4(address) => RecordData::A(*address.ip()),
                SocketAddr::V6(address) => RecordData::Aaaa(*address.ip()),
            };
            names.add(&host, data);
            if self.signed {
                let tlsa = format!("_{}._tcp.{host}", self.port());
                let data = RecordData::Tlsa {
                    usage: 3,
                    selector: 1,
                    matching: 1,
                    data: policies.key_digest(),
                };
                names.add(&tlsa, data);
                for name in [&self.domain, &host, &tlsa] {
                    names.sign(name);
                }
            }
        }
        if let Some((place, trouble)) = &self.trouble {
            let first = format!("mx0.{}", self.domain);
            let name = match place {
                Place::Exchangers => self.domain.clone(),
                Place::Address => first,
                Place::Certificate => format!("_{}._tcp.{first}", self.port()),
            };
            names.fail(&name, trouble.clone());
        }
        for server in &self.servers {
            let mut host = server.host.clone();
            let shown = host.temper.tls.and_then(|tls| policies.certificate(tls));
            if shown.is_some() {
                Arc::make_mut(&mut host.temper).certificate = shown;
            }
            world.host(server.address, host);
        }
    }
}

/// The address of a recipient or, without one, of the sender of a message.
fn mailbox(letter: usize, recipient: Option<usize>, domain: &str) -> Option<Address> {
    let text = match recipient {
        Some(recipient) => format!("r{recipient}.m{letter}@{domain}"),
        None => format!("s.m{letter}@{domain}"),
    };
    Address::parse(&text).ok()
}

/// The number of the message that an address of a population belongs to.
pub fn letter_of(address: &str) -> Option<usize> {
    let (local, _) = address.split_once('@')?;
    let (_, number) = local.split_once(".m")?;
    number.parse().ok()
}

fn letter(number: usize, destinations: &[Destination], knobs: Knobs, dice: &mut Dice) -> Letter {
    let at = dice.count(destinations.len());
    let recipients = match dice.below(20) {
        0 => 20 + dice.count(130),
        1..=9 => 1,
        _ => 1 + dice.count(6),
    };
    // At once, in a row, or with long pauses.
    let window = dice.one_of(0, &[10, 1_000, 60_000]);
    let after = dice.time(Duration::from_millis(window));
    let (text, eight_bit) = letters::text(number, dice, knobs.text);
    let cache = CacheHints {
        load: !dice.once_in(4),
        store: !dice.once_in(3),
    };
    let recipients = recipients.min(knobs.recipients.max(1));
    let destination = destinations.get(at);
    let domain = destination.map_or("", |destination| &destination.domain);
    let to = (0..recipients).filter_map(|each| mailbox(number, Some(each), domain));
    let sender = mailbox(number, None, "client.example");
    let nexthop = destination.and_then(|destination| destination.nexthop.parse().ok());
    let mut request = Request::new(
        destination.map_or(Protocol::Smtp, |destination| destination.protocol),
        nexthop.unwrap_or_default(),
        sender.map_or(ReversePath::Null, ReversePath::Mailbox),
        to.map(Recipient::new).collect(),
    );
    request.id = QueueId::parse(format!("M{number}")).unwrap_or_default();
    request.encoding = match eight_bit {
        true => Encoding::EightBit,
        false => Encoding::SevenBit,
    };
    request.stray_cr = match number % 2 {
        0 => StrayCr::Replace,
        _ => StrayCr::Pass,
    };
    request.size = Some(text.len() as u64);
    request.cache = cache;
    request.probe = dice.once_in(30);
    request.age = Duration::from_secs(dice.one_of(0, &[0, 0, 1_000]));
    request.client = Some(forwarded());
    let cancelled = dice
        .once_in(25)
        .then(|| after + dice.time(Duration::from_secs(40)));
    Letter {
        number,
        cancelled,
        destination: at,
        after,
        request,
        text,
    }
}

/// Who handed a message in, for XFORWARD.
fn forwarded() -> ClientInfo {
    let value = |text: &str| ClientValue::parse(text).unwrap_or_default();
    ClientInfo {
        name: value("client.example"),
        address: value("192.0.2.99"),
        port: value("1025"),
        proto: value("ESMTP"),
        helo: value("client.example"),
        ident: value("ABCDEF"),
        source: Some(ClientSource::Remote),
    }
}
