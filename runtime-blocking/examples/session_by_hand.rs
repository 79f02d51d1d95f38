//! A consumer without any of the runtimes: a `smtp_proto` session driven over a
//! `TcpStream` of the standard library.
//!
//! ```text
//! cargo run --example session_by_hand -- 127.0.0.1:25 sender@example.org user@example.com < message
//! ```
//!
//! It writes and reads in turn. That is enough for a conversation, but not for
//! a server that talks while the text is uploaded and reads only when it was
//! heard; the crates `runtime-*` do both at once.

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use bytes::Buf;
use smtp_proto::{
    address::{Address, ReversePath},
    command::{HelloName, MailFrom, RcptTo},
    session::{Closed, Event, Need, Profile, Protocol, Session, Step, Transaction},
    time::Time,
};

fn run(
    mut session: Session,
    mut socket: TcpStream,
    mail: Transaction,
    mut text: impl Read,
    mut on: impl FnMut(Event),
) -> io::Result<Closed> {
    let start = Instant::now();
    let now = || Time::at(start.elapsed());
    let left = |until: Time| Some(until.since(now()).max(Duration::from_millis(1)));
    let is_late = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    };
    let (mut mail, mut buffer) = (Some(mail), vec![0; 16 * 1024]);
    loop {
        match session.poll(now()) {
            Step::Event(event) => on(event),
            Step::Send { until } => {
                socket.set_write_timeout(left(until))?;
                match socket.write(session.output().chunk()) {
                    Ok(count) => session.output().advance(count),
                    Err(error) if is_late(&error) => {} // the next poll sees the time
                    Err(_) => session.write_failed(),
                }
            }
            Step::Wait { until } => {
                socket.set_read_timeout(left(until))?;
                match socket.read(&mut buffer) {
                    Ok(count @ 1..) => session.receive(buffer.get(..count).unwrap_or_default()),
                    Err(error) if is_late(&error) => {}
                    _ => session.disconnected(),
                }
            }
            Step::Need(Need::Negotiation) => {
                if let Some(choice) = session.negotiation() {
                    choice.ready();
                }
            }
            // Only after `start_tls`, or in a wrapped session.
            Step::Need(Need::Tls) => {
                if let Some(gate) = session.tls_gate() {
                    gate.failed();
                }
            }
            Step::Need(Need::Sasl) => {
                if let Some(turn) = session.sasl() {
                    turn.quit();
                }
            }
            Step::Need(Need::Envelope) => match (session.idle(), mail.take()) {
                (Some(idle), Some(mail)) => idle.send(mail),
                (idle, _) => _ = idle.map(|idle| idle.quit()),
            },
            Step::Need(Need::Body) => {
                let Some(body) = session.body() else { continue };
                let mut chunk = Vec::new();
                match text
                    .by_ref()
                    .take(body.room() as u64)
                    .read_to_end(&mut chunk)?
                {
                    0 => body.finish(),
                    _ => body.push(chunk.into()),
                }
            }
            Step::Closed(why) => return Ok(why),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(server), Some(sender)) = (arguments.next(), arguments.next()) else {
        return Err("usage: session_by_hand ADDRESS:PORT SENDER RECIPIENT... < MESSAGE".into());
    };
    let recipients: Result<Vec<RcptTo>, _> = arguments
        .map(|text| Address::parse(&text).map(RcptTo::new))
        .collect();
    let mail = Transaction::new(MailFrom::new(ReversePath::parse(&sender)?), recipients?);
    let profile = Profile::new(Protocol::Smtp, HelloName::parse("localhost")?);
    let socket = TcpStream::connect(server)?;
    let session = Session::new(profile, Time::ZERO);
    let why = run(session, socket, mail, io::stdin().lock(), |event| {
        if let Event::Reply(stage, reply) = event {
            println!("{stage:?}: {}", reply.one_line());
        }
    })?;
    println!("the session ended: {why:?}");
    Ok(())
}
