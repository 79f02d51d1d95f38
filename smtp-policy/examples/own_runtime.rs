//! A runtime of one's own, with a resolver of one's own and without TLS: the engine, driven
//! by a plain loop over one connection that blocks.
//!
//! ```text
//! cargo run -p smtp-policy --example own_runtime -- 127.0.0.1:25 me@example.org you@example.com < message
//! ```
//!
//! Every name leads to the address that is given.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a runtime has sockets, a clock and arguments; the crate does not"
)]

use std::{
    error::Error,
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    delivery::{Ask, Delivery, Endpoint, Target},
    dns::{Answer, Failure, Query, QueryKind},
    driver::{Clerk, Line, connect_error, native_answer},
    policy::Policy,
    report::Report,
    request::{Recipient, Request},
    server::ConnectError,
    settings::Settings,
};
use smtp_proto::{Address, Time};

/// The resolver: every name has one address, and is its own mail exchanger.
pub fn resolve(query: &Query, host: SocketAddr) -> Result<Answer, Failure> {
    match query.kind {
        QueryKind::A if host.is_ipv4() => Ok(native_answer(&query.name, [host.ip()])),
        _ => Err(Failure::NoData),
    }
}

fn connect(target: &Target) -> Result<TcpStream, ConnectError> {
    let Endpoint::Inet(address) = &target.endpoint else {
        return Err(ConnectError::Other("no sockets but TCP".into()));
    };
    let limit = target.limit.unwrap_or(Duration::from_secs(300));
    let stream = TcpStream::connect_timeout(address, limit);
    stream.map_err(|error| connect_error(&error))
}

/// Delivers a message; `host` is where all names lead.
pub fn deliver(request: Request, text: Bytes, host: SocketAddr) -> io::Result<Report> {
    let start = Instant::now();
    let now = || Time::ZERO + start.elapsed();
    let recipients = request.recipients.clone();
    let mut clerk = Clerk::new(recipients.len(), text, ());
    let settings = Settings::smtp().build().map_err(io::Error::other)?;
    let mut job = Delivery::new(request, Arc::new(Policy::new(settings)), 1);
    let mut line = None;
    loop {
        match job.poll(now()) {
            Ask::Resolve(ticket, query) => job.resolved(ticket, resolve(&query, host)),
            Ask::Connect(ticket, target) => {
                let made = connect(&target).map(|stream| line = Some(Line::new(stream)));
                job.connected(ticket, made);
            }
            ref ask @ (Ask::Send { until } | Ask::Wait { until }) => {
                let sending = matches!(ask, Ask::Send { .. });
                if let Some(line) = &mut line {
                    // What is ready to be written does not wait for what may be read.
                    let wait = if sending { Time::ZERO } else { until };
                    let wait = wait.since(now()).max(Duration::from_millis(1));
                    line.socket().set_read_timeout(Some(wait))?;
                    line.waited();
                    line.exchange(&mut job, sending);
                }
            }
            Ask::Text { offset, room } => clerk.read(&mut job, offset, room),
            Ask::Report(index, outcome) => clerk.settle(&recipients, index, *outcome),
            Ask::Note(note) => println!("{note}"),
            Ask::Reuse(ticket, _) => job.reused(ticket, None),
            Ask::Close | Ask::Keep(..) => line = None,
            Ask::Done => return Ok(clerk.report(&recipients)),
            Ask::LookUp(..) | Ask::Token(..) | Ask::Fetch(..) => {
                return Err(io::Error::other("there are no tables here, and no web"));
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, from, to] = arguments.as_slice() else {
        return Err("usage: own_runtime ADDRESS:PORT FROM TO < MESSAGE".into());
    };
    let host: SocketAddr = host.parse()?;
    let nexthop = format!("[server.example]:{}", host.port()).parse()?;
    let to = Recipient::from(to.parse::<Address>()?);
    let request = Request::new(Protocol::Smtp, nexthop, from.parse()?, vec![to]);
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    println!("{}", deliver(request, text.into(), host)?);
    Ok(())
}
