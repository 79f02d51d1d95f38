//! Sockets: which are opened when, and what goes through them in pieces.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use proptest::prelude::*;

use super::*;
use crate::SocketStep::{Done, Open, Send, Wait};

fn socket_lookup(servers: u8) -> SocketLookup {
    SocketLookup::new(lookup(servers))
}

fn opened(lookup: &mut SocketLookup, now: Time) -> (Transport, SocketAddr) {
    match lookup.poll(now) {
        Open { transport, server } => (transport, server),
        step => panic!("no socket but {step:?}"),
    }
}

/// Sends all that is to be sent.
fn asked(lookup: &mut SocketLookup, now: Time) -> Vec<u8> {
    let mut question = Vec::new();
    while let Send { bytes, .. } = lookup.poll(now) {
        lookup.sent(bytes.len());
        question.extend(bytes);
    }
    assert!(matches!(lookup.poll(now), Wait { .. }));
    question
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// A lookup that has been told to use TCP, and its question without the length.
fn over_tcp(servers: u8) -> (SocketLookup, Vec<u8>) {
    let mut lookup = socket_lookup(servers);
    assert_eq!(opened(&mut lookup, Time::ZERO).0, Transport::Udp);
    let question = asked(&mut lookup, Time::ZERO);
    lookup.received(&truncated(&question));
    assert_eq!(opened(&mut lookup, second(1)), (Transport::Tcp, server(1)));
    let question = asked(&mut lookup, second(1));
    let (length, question) = question.split_at(2);
    let length = u16::from_be_bytes(length.try_into().unwrap());
    assert_eq!(usize::from(length), question.len());
    (lookup, question.to_vec())
}

fn is_done(lookup: &mut SocketLookup, now: Time) -> bool {
    matches!(lookup.poll(now), Done(Ok(_)))
}

#[test]
fn each_server_is_asked_from_a_socket_of_its_own() {
    let mut lookup = socket_lookup(2);
    let mut questions = Vec::new();
    for (number, at) in [(1, 0), (2, 5), (1, 10), (2, 15)] {
        let socket = (Transport::Udp, server(number));
        assert_eq!(opened(&mut lookup, second(at)), socket);
        questions.push(asked(&mut lookup, second(at)));
    }
    // An answer to an earlier question, from elsewhere.
    lookup.received(&good(&questions[0]));
    assert!(!is_done(&mut lookup, second(16)));
    lookup.received(&good(&questions[3]));
    assert!(is_done(&mut lookup, second(16)));
}

#[test]
fn a_server_that_is_asked_again_is_asked_from_the_same_socket() {
    let mut lookup = socket_lookup(1);
    opened(&mut lookup, Time::ZERO);
    let lost = asked(&mut lookup, Time::ZERO);
    let again = asked(&mut lookup, second(5));
    assert_ne!(lost, again);
    lookup.received(&good(&lost));
    assert!(!is_done(&mut lookup, second(6)));
    lookup.received(&good(&again));
    assert!(is_done(&mut lookup, second(6)));
}

#[test]
fn a_socket_that_fails_is_replaced_for_the_next_attempt() {
    // It cannot be opened, it does not take the question, or nobody listens there.
    for steps in 1..=3 {
        let mut lookup = socket_lookup(1);
        opened(&mut lookup, Time::ZERO);
        match steps {
            1 => {}
            2 => drop(lookup.poll(Time::ZERO)),
            _ => drop(asked(&mut lookup, Time::ZERO)),
        }
        lookup.failed();
        assert_eq!(opened(&mut lookup, Time::ZERO).1, server(1), "{steps}");
        let question = asked(&mut lookup, Time::ZERO);
        lookup.received(&good(&question));
        assert!(is_done(&mut lookup, Time::ZERO), "{steps}");
    }
}

#[test]
fn lies_and_nothing_at_all_are_no_answer() {
    let mut lookup = socket_lookup(1);
    opened(&mut lookup, Time::ZERO);
    let question = asked(&mut lookup, Time::ZERO);
    let mut forged = good(&question);
    forged[0] ^= 1;
    for datagram in [&forged[..], b"", b"garbage", &question] {
        lookup.received(datagram);
        assert!(matches!(lookup.poll(second(1)), Wait { until } if until == second(5)));
    }
    lookup.received(&good(&question));
    assert!(is_done(&mut lookup, second(1)));
}

#[test]
fn a_question_over_tcp_goes_out_as_the_socket_takes_it() {
    let mut lookup = socket_lookup(1);
    opened(&mut lookup, Time::ZERO);
    let question = asked(&mut lookup, Time::ZERO);
    lookup.received(&truncated(&question));
    opened(&mut lookup, Time::ZERO);
    let mut sent = Vec::new();
    while let Send { bytes, until } = lookup.poll(second(1)) {
        assert_eq!(until, second(5));
        sent.push(bytes[0]);
        lookup.sent(1);
    }
    let id = &sent[2..4];
    // Another id than before, and the same question.
    assert_ne!(id, &question[..2]);
    assert_eq!(sent[4..], question[2..]);
    assert_eq!(sent[..2], framed(&question)[..2]);
}

#[test]
fn a_connection_that_ends_early_or_lies_is_replaced() {
    let (_, question) = over_tcp(1);
    let mut forged = good(&question);
    forged[0] ^= 1;
    let answer = framed(&good(&question));
    let cases = [
        vec![],
        answer[..1].to_vec(),
        answer[..answer.len() - 1].to_vec(),
        framed(&forged),
        framed(b""),
        framed(&truncated(&question)),
    ];
    for come in cases {
        let (mut lookup, _) = over_tcp(1);
        if !come.is_empty() {
            lookup.received(&come);
        }
        lookup.received(b"");
        assert_eq!(opened(&mut lookup, second(1)).0, Transport::Tcp, "{come:?}");
        let again = asked(&mut lookup, second(1));
        lookup.received(&framed(&good(&again[2..])));
        assert!(is_done(&mut lookup, second(1)), "{come:?}");
    }
}

#[test]
fn an_answer_over_tcp_that_never_ends_takes_no_longer_than_the_patience_with_its_server() {
    let (mut lookup, _) = over_tcp(2);
    lookup.received(&[0xff, 0xff]);
    for _ in 0..100 {
        lookup.received(&[0; 655]);
        assert!(matches!(lookup.poll(second(2)), Wait { until } if until == second(6)));
    }
    assert_eq!(opened(&mut lookup, second(6)).1, server(2));
}

#[test]
fn what_follows_an_answer_over_tcp_is_left_out() {
    let (mut lookup, question) = over_tcp(1);
    let mut come = framed(&good(&question));
    come.extend([0xff; 70_000]);
    lookup.received(&come);
    assert!(is_done(&mut lookup, second(1)));
    lookup.received(&come);
    lookup.failed();
    assert!(is_done(&mut lookup, second(1)));
}

proptest! {
    #[test]
    fn an_answer_over_tcp_may_come_in_any_pieces(cuts in prop::collection::vec(1..9_usize, 1..40)) {
        let (mut lookup, question) = over_tcp(1);
        let answer = framed(&good(&question));
        let mut rest = &answer[..];
        for cut in cuts.into_iter().cycle() {
            prop_assert!(!is_done(&mut lookup, second(1)));
            let piece = rest.split_off(..cut.min(rest.len())).unwrap();
            lookup.received(piece);
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(is_done(&mut lookup, second(1)));
    }
}

/// A socket whose reads and writes are what a test says.
#[derive(Clone)]
struct Fake(Rc<RefCell<Net>>);

type Answerer = fn(Transport, &[u8]) -> Vec<u8>;

/// The common part of all sockets of a test.
#[derive(Default)]
struct Net {
    opened: Vec<Transport>,
    written: Vec<u8>,
    /// The most bytes that a write takes.
    room: usize,
    /// The outcome of a read from the last socket, given what was written to it.
    read: Option<Answerer>,
    reads: u32,
}

impl Read for Fake {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut net = self.0.borrow_mut();
        net.reads += 1;
        let Some(read) = net.read else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let bytes = read(*net.opened.last().unwrap(), &net.written);
        scratch[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Fake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut net = self.0.borrow_mut();
        let count = bytes.len().min(net.room);
        net.written.extend(&bytes[..count]);
        match count {
            0 => Err(io::ErrorKind::NotConnected.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The times to which a lookup waits, at most three of them, and what comes of it.
fn carried(net: Net) -> (Vec<Time>, Option<Result<Answer, Failure>>, Net) {
    let socket = Fake(Rc::new(RefCell::new(net)));
    let mut carrier = Carrier::new(lookup(1));
    let (mut now, mut times) = (Time::ZERO, Vec::new());
    let mut end = None;
    while times.len() < 3 && end.is_none() {
        let step = carrier.step(now, |transport, _| {
            let mut net = socket.0.borrow_mut();
            net.opened.push(transport);
            net.written.clear();
            Ok(socket.clone())
        });
        match step {
            Progress::Until(until) => {
                times.push(until);
                now = until;
            }
            Progress::Done(result) => end = Some(result),
        }
    }
    drop(carrier);
    let net = Rc::try_unwrap(socket.0).ok().unwrap().into_inner();
    (times, end, net)
}

#[test]
fn a_carrier_reads_and_writes_without_waiting_where_it_can() {
    let (times, end, net) = carried(Net {
        room: usize::MAX,
        read: Some(|transport, question| match transport {
            Transport::Udp => truncated(question),
            Transport::Tcp => framed(&good(&question[2..])),
        }),
        ..Net::default()
    });
    assert!(times.is_empty(), "{times:?}");
    assert!(matches!(end, Some(Ok(_))), "{end:?}");
    assert_eq!(net.opened, [Transport::Udp, Transport::Tcp]);
}

#[test]
fn a_carrier_waits_for_room_and_for_answers() {
    let (times, end, net) = carried(Net::default());
    assert_eq!(times, [second(5), second(10)]);
    assert_eq!((end, net.reads), (Some(Err(Failure::TryAgain)), 0));
    let (times, end, net) = carried(Net {
        room: usize::MAX,
        ..Net::default()
    });
    assert_eq!(times, [second(5), second(10)]);
    assert_eq!((end, net.reads), (Some(Err(Failure::TryAgain)), 2));
}

#[test]
fn a_flood_of_datagrams_lets_others_have_their_way() {
    let (times, end, net) = carried(Net {
        room: usize::MAX,
        read: Some(|_, _| b"garbage".to_vec()),
        ..Net::default()
    });
    assert_eq!((times, end), (vec![Time::ZERO; 3], None));
    assert!(net.reads < 200, "{}", net.reads);
}

#[test]
fn sockets_that_cannot_be_opened_end_a_lookup() {
    let mut carrier = Carrier::<Fake>::new(lookup(2));
    let step = carrier.step(Time::ZERO, |_, _| Err(io::ErrorKind::Other.into()));
    assert!(
        matches!(step, Progress::Done(Err(Failure::TryAgain))),
        "{step:?}"
    );
    assert!(carrier.socket().is_none());
}
