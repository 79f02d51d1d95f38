//! A session against arbitrary bytes.

use bytes::{Buf, Bytes};
use smtp_proto::{
    Address, HelloName, MailFrom, RcptTo, ReversePath, Secret, Time,
    session::{Closed, Dialect, Event, MechanismName, Need, Profile, Session, Step, Transaction},
};

use super::{chunks, split};

/// More steps than this without input mean that the session turns in a circle.
const STEPS: usize = 10_000;
const TEXT: &[u8] = b"Subject: x\n\n.\n..\nend";

/// Everything that can be seen from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<Event>,
    written: Vec<u8>,
    closed: Option<Closed>,
}

/// What is yet to be done.
struct Plan {
    /// The mechanism to log in with, if the peer offers to.
    login: Option<MechanismName>,
    mail: Option<Transaction>,
}

/// What a peer says, whole and in pieces, to a session that delivers a message.
///
/// The session ends in the same way however the bytes are cut; what it writes is
/// whole lines; nothing follows QUIT; when the peer closes, the session ends.
pub fn session(input: &[u8]) {
    let (steering, matter) = split(input, 4);
    let dialect = match steering.first().map_or(0, |byte| byte % 2) {
        0 => Dialect::Smtp,
        _ => Dialect::Lmtp,
    };
    let whole = play(dialect, &mut std::iter::once(matter));
    let pieces = play(dialect, &mut chunks(steering, matter));
    assert_eq!(whole, pieces, "the cuts change the dialogue");
    assert!(whole.closed.is_some(), "the session outlives its peer");
    check_lines(&whole.written);
}

fn check_lines(written: &[u8]) {
    assert!(
        written.is_empty() || written.ends_with(b"\r\n"),
        "half a line was written"
    );
    let mut lines = written.split(|byte| *byte == b'\n');
    let quit = lines.position(|line| line == b"QUIT\r");
    if quit.is_some() {
        assert!(lines.all(<[u8]>::is_empty), "something follows QUIT");
    }
}

fn transaction() -> Option<Transaction> {
    let sender = ReversePath::parse("from@example.org").ok()?;
    let recipients = ["a@example.com", "b@example.com"]
        .into_iter()
        .filter_map(|address| Address::parse(address).ok())
        .map(RcptTo::new)
        .collect();
    Some(Transaction::new(MailFrom::new(sender), recipients))
}

fn play(dialect: Dialect, pieces: &mut dyn Iterator<Item = &[u8]>) -> Seen {
    let mut seen = Seen {
        events: Vec::new(),
        written: Vec::new(),
        closed: None,
    };
    let Ok(name) = HelloName::parse("client.example") else {
        return seen;
    };
    let mut session = Session::new(Profile::new(dialect, name), Time::ZERO);
    let mut plan = Plan {
        login: MechanismName::parse("PLAIN").ok(),
        mail: transaction(),
    };
    for piece in pieces {
        session.receive(piece);
        advance(&mut session, &mut plan, &mut seen);
    }
    session.disconnected();
    advance(&mut session, &mut plan, &mut seen);
    seen
}

/// Lets the session go on until it wants input.
fn advance(session: &mut Session, plan: &mut Plan, seen: &mut Seen) {
    for _ in 0..STEPS {
        match session.poll(Time::ZERO) {
            Step::Wait { .. } => return,
            Step::Closed(why) => {
                seen.closed = Some(why);
                return;
            }
            Step::Event(event) => seen.events.push(event),
            Step::Send { .. } => {
                let output = session.output();
                let bytes = output.copy_to_bytes(output.remaining());
                seen.written.extend_from_slice(&bytes);
            }
            Step::Need(need) => decide(session, need, plan),
        }
    }
    assert!(seen.closed.is_some(), "the session turns in a circle");
}

fn decide(session: &mut Session, need: Need, plan: &mut Plan) {
    match need {
        Need::Body => {
            if let Some(body) = session.body() {
                match body.offset() {
                    0 => body.push(Bytes::from_static(TEXT)),
                    _ => body.finish(),
                }
            }
        }
        Need::Envelope => match (session.idle(), plan.mail.take()) {
            (Some(idle), Some(transaction)) => idle.send(transaction),
            (Some(idle), None) => idle.quit(),
            (None, _) => {}
        },
        Need::Sasl => {
            if let Some(turn) = session.sasl() {
                match turn.challenge() {
                    _ if turn.is_out_of_turn() => turn.quit(),
                    Ok(challenge) => turn.respond(&Secret::new(challenge)),
                    Err(_) => turn.cancel(),
                }
            }
        }
        Need::Negotiation => log_in(session, plan),
    }
}

/// Logs in once, with a response that is sent at once or waits for its challenge.
fn log_in(session: &mut Session, plan: &mut Plan) {
    let Some(negotiation) = session.negotiation() else {
        return;
    };
    let offered = negotiation.capabilities().auth.first();
    match (offered.map(String::len), plan.login.take()) {
        (Some(length), Some(mechanism)) => {
            let response = Secret::new(vec![0; length * 100]);
            negotiation.auth(&mechanism, Some(&response));
        }
        _ => negotiation.ready(),
    }
}
