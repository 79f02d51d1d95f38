//! Destinations and their servers, from well-behaved to hostile.

use std::{net::Ipv4Addr, time::Duration};

use smtp_policy::{Protocol, dns::Failure};

use super::{Destination, Habit, Knobs, Place, Profile, Server};
use crate::{
    dice::Dice,
    peer::{Act, Fault, Identity, MOMENTS, Moment, Temper},
    world::{Cut, Door, Host, NameServer, NameServers, Shape, Trouble},
};

/// The most destinations, and the most servers of one.
pub(super) const MOST: usize = 3;

/// The name servers that the resolver is told of.
pub(super) const NAME_SERVERS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(192, 0, 2, 251),
    Ipv4Addr::new(192, 0, 2, 252),
    Ipv4Addr::new(192, 0, 2, 253),
];

/// The names that the servers of any population have.
#[cfg(feature = "certificates")]
pub(super) fn names() -> Vec<String> {
    let of_domain = |number| [format!("d{number}.example"), format!("*.d{number}.example")];
    (0..MOST).flat_map(of_domain).collect()
}

/// A destination with one to three servers.
pub(super) fn destination(
    number: usize,
    profile: &Profile,
    knobs: Knobs,
    dice: &mut Dice,
) -> Destination {
    let lmtp = dice.once_in(4);
    let domain = format!("d{number}.example");
    let count = 1 + dice.count(MOST);
    let signed = dice.once_in(2);
    let servers: Vec<Server> = (0..count)
        .map(|rank| {
            let mut temper = temper(lmtp, knobs, dice);
            if profile.habit == Habit::Wrapper {
                temper.wrapped = true;
                temper.tls.get_or_insert_default();
            }
            server([number, rank], temper, knobs, dice)
        })
        .collect();
    let direct = dice.once_in(3);
    let first = servers.first().map(|server| server.address.ip());
    let host = match first {
        Some(address) if direct => format!("[{address}]"),
        _ if lmtp => format!("[mx0.{domain}]"),
        _ => domain.clone(),
    };
    Destination {
        nexthop: if lmtp { format!("inet:{host}") } else { host },
        protocol: if lmtp { Protocol::Lmtp } else { Protocol::Smtp },
        domain,
        servers,
        signed,
        trouble: trouble(dice).filter(|_| knobs.rough),
    }
}

/// The name servers that every sixth population asks. One of them answers at least.
pub(super) fn name_servers(dice: &mut Dice, knobs: Knobs) -> Option<NameServers> {
    use NameServer::{Failing, Gone, Good, Refusing, Silent, Truncating, WithoutEdns};
    if !dice.once_in(6) {
        return None;
    }
    let mut names = NameServers::good(NAME_SERVERS.len());
    for server in &mut names.servers {
        let others = [
            Good,
            Truncating,
            WithoutEdns,
            Silent,
            Gone,
            Failing,
            Refusing,
        ];
        *server = dice.one_of(Good, &others);
    }
    let sound = dice.count(NAME_SERVERS.len());
    if let Some(server) = names.servers.get_mut(sound)
        && !server.answers()
    {
        *server = dice.one_of(Good, &[Truncating, WithoutEdns]);
    }
    names.mishaps = dice.one_of(0, &[2, 8]);
    names.forgeries = dice.one_of(0, &[1, 4]);
    match knobs.rough {
        true => Some(names),
        false => Some(NameServers::good(NAME_SERVERS.len())),
    }
}

/// What goes wrong with a name of every sixth destination.
fn trouble(dice: &mut Dice) -> Option<(Place, Trouble)> {
    let happens = dice.once_in(6);
    let place = dice.one_of(Place::Exchangers, &[Place::Address, Place::Certificate]);
    let failure = match dice.below(8) {
        0 => Failure::NotFound,
        1 => Failure::NoData,
        2 => Failure::NonRecoverable,
        3 => Failure::Garbled("the answer ends in the middle".to_owned()),
        4 => Failure::Malformed("no valid record".to_owned()),
        _ => Failure::TryAgain,
    };
    let trouble = Trouble {
        kind: None,
        failure,
        times: dice.one_of(u32::MAX, &[u32::MAX, 1, 2]),
        after: Duration::from_millis(dice.one_of(0, &[500, 10_000])),
    };
    happens.then_some((place, trouble))
}

fn server(place: [usize; 2], temper: Temper, knobs: Knobs, dice: &mut Dice) -> Server {
    let [number, rank] = place.map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    let address = Ipv4Addr::new(192, 0, number, rank + 1);
    let port = if temper.lmtp { 24 } else { 25 };
    let (shape, faulty) = shape(dice);
    let mut host = Host {
        shape,
        faulty,
        door: match dice.below(24) {
            0 => Door::Closed,
            1 => Door::Hole,
            _ => Door::Open,
        },
        ..Host::new(temper)
    };
    if !knobs.rough {
        host.shape = Shape {
            latency: shape.latency,
            ..Shape::default()
        };
        host.door = Door::Open;
    }
    Server {
        address: (address, port).into(),
        host,
    }
}

fn temper(lmtp: bool, knobs: Knobs, dice: &mut Dice) -> Temper {
    let recipients = match dice.below(4) {
        0 => vec![250, 550],
        1 => vec![250, 250, 450, 550, 452],
        _ => vec![250],
    };
    let verdicts = match dice.below(6) {
        0 => vec![250, 451, 554],
        _ => vec![250],
    };
    let hostile = dice.one_of(0, &[0, 1, 1, 2]);
    let mut faults: Vec<Fault> = (0..hostile).map(|_| fault(lmtp, dice)).collect();
    let temper = Temper {
        lmtp,
        esmtp: lmtp || !dice.once_in(10),
        pipelining: !dice.once_in(3),
        eight_bit: !dice.once_in(3),
        dsn: !dice.once_in(2),
        xforward: dice.once_in(2),
        pix: dice.once_in(20),
        wrapped: false,
        size: dice.one_of(None, &[Some(0), Some(1_000_000), Some(500)]),
        tls: dice.one_of(
            None,
            &[
                Some(Identity::Unknown),
                Some(Identity::WrongName),
                Some(Identity::Proven),
                Some(Identity::Proven),
            ],
        ),
        certificate: None,
        auth: dice.one_of("", &["", "PLAIN LOGIN", "CRAM-MD5 PLAIN", "LOGIN"]),
        auth_tls: dice.one_of("", &["PLAIN", "LOGIN PLAIN"]),
        wants_login: dice.once_in(12),
        recipients,
        verdicts,
        trails: false,
        thinks: dice.one_of(Duration::ZERO, &[Duration::from_millis(200)]),
        faults: Vec::new(),
    };
    // Nobody can follow a server that says too much and goes wrong besides.
    let trails = dice.once_in(6) && faults.is_empty();
    faults.truncate(knobs.faults);
    Temper {
        faults,
        trails: trails && knobs.rough,
        ..temper
    }
}

fn fault(lmtp: bool, dice: &mut Dice) -> Fault {
    let [first, others @ ..] = MOMENTS;
    let moment = dice.one_of(first, &others);
    let nth = match moment {
        Moment::Rcpt => dice.below(3),
        _ => dice.below(5) / 3,
    };
    let late = Duration::from_secs(dice.one_of(1, &[10, 21, 35]));
    let code = dice.one_of(
        421,
        &[
            450, 451, 452, 500, 502, 503, 535, 550, 552, 554, 250, 220, 221, 235, 334, 354,
        ],
    );
    let flood = dice.one_of(3, &[101, 150, 4_000]);
    let acts = [
        Act::Code(code),
        Act::Code(code),
        Act::Leave,
        Act::Crash,
        Act::Crash,
        Act::Reset,
        Act::HalfClose,
        Act::Mute,
        Act::Late(late),
        Act::Lines(dice.one_of(3, &[3, 3, 10_500])),
        Act::Rubbish,
        Act::TwoCodes,
        Act::Long(3_000),
        Act::Inject,
        Act::Early,
        Act::Flood(flood),
        Act::Alert,
        if lmtp { Act::Fewer } else { Act::Crash },
    ];
    Fault {
        moment,
        nth: u32::try_from(nth).unwrap_or(0),
        connections: dice.one_of(u32::MAX, &[1, 1, 2]),
        act: dice.one_of(Act::Drop, &acts),
    }
}

fn shape(dice: &mut Dice) -> (Shape, u32) {
    let jitter = dice.one_of(0, &[0, 30]);
    let within = dice.one_of(400, &[4_000]);
    let cut = Cut {
        up: dice.once_in(2),
        after: dice.below(within),
        reset: dice.once_in(2),
    };
    let slow = (
        dice.one_of(1, &[100, 1_000, 20_000]),
        Duration::from_millis(dice.one_of(1, &[100, 29_000])),
    );
    let shape = Shape {
        latency: Duration::from_micros(dice.one_of(100, &[1_000, 20_000, 300_000])),
        jitter: Duration::from_millis(jitter),
        piece: piece(dice),
        window: dice.one_of(64 * 1024, &[64 * 1024, 2_000]),
        slow: dice.once_in(12).then_some(slow),
        cut: dice.once_in(10).then_some(cut),
    };
    (shape, dice.one_of(1, &[2, u32::MAX]))
}

/// How bytes are cut up. Single bytes all along take many times as long as anything
/// else, and are rare in return.
fn piece(dice: &mut Dice) -> usize {
    match dice.below(20) {
        0 => 1,
        1..=3 => 7,
        4..=9 => 0,
        _ => usize::MAX,
    }
}

/// Whether a server and the way to it act upon what is said only.
pub(super) fn is_timeless(server: &Server) -> bool {
    let shape = server.host.shape;
    let steady = |fault: &Fault| {
        matches!(
            fault.act,
            Act::Code(_) | Act::Leave | Act::Crash | Act::Drop | Act::Lines(_) | Act::TwoCodes
        ) && fault.moment != Moment::Text
    };
    shape.cut.is_none()
        && shape.slow.is_none()
        && shape.jitter.is_zero()
        && !server.host.temper.trails
        && server.host.temper.faults.iter().all(steady)
}
