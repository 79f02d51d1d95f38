//! A driver without an executor, poll(2) or threads: one loop looks at all deliveries in turn.
//!
//! ```text
//! cargo run -p outpost-book --example own_driver -- '[127.0.0.1]:2525' me@example.org you@example.com < message.eml
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Read},
    net::{IpAddr, TcpStream, ToSocketAddrs},
    sync::Arc,
    task::Waker,
    thread,
    time::{Duration, Instant, SystemTime},
};

use outpost::{
    Report, Secret, Settings,
    smtp_policy::{
        Protocol,
        delivery::{ConnectError, Endpoint, TableQuery, Target},
        dns::{Answer, Failure, Family, NativeFailure, Query, QueryKind},
        driver::{Act, Answered, Hub, Job, connect_error, native_answer, native_failure},
        policy::Policy,
        request::Request,
        route::{DnsSupport, HostLookup},
        settings::{TokenFailure, TokenRequest, TokenSource},
        sts::FetchError,
        tables::{NamedTable, TableFailure},
    },
    smtp_proto::Time,
};

/// The pause between two looks at all deliveries.
const TICK: Duration = Duration::from_millis(1);

/// A policy that fits this driver: names are looked up by the operating system alone.
pub fn policy() -> Result<Policy, Box<dyn Error>> {
    let mut settings = Settings::smtp();
    settings.lookup.dns = DnsSupport::Disabled;
    settings.lookup.host_lookup = HostLookup {
        dns: false,
        native: true,
    };
    Ok(Policy::new(settings.build()?))
}

// ANCHOR: driver
/// Delivers messages at the same time, on this thread. The reports are in the order of the messages.
pub fn deliver_all(policy: Arc<Policy>, messages: Vec<(Request, Vec<u8>)>) -> Vec<Report> {
    let start = Instant::now();
    let now = || Time::at(start.elapsed());
    let epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seed = u64::from(epoch.subsec_nanos());
    let hub: Arc<Hub<TcpStream>> = Arc::new(Hub::new(policy, seed, epoch));
    let begin = |(request, text)| Job::new(Arc::clone(&hub), request, bytes::Bytes::from(text), ());
    let mut jobs: Vec<_> = messages.into_iter().map(begin).enumerate().collect();
    let mut reports = BTreeMap::new();
    let mut expiry = None;
    while !jobs.is_empty() {
        jobs.retain_mut(|(number, job)| {
            loop {
                match job.poll(now(), Waker::noop()) {
                    Act::Resolve(slip, query) => job.answer(Answered::Dns(slip, resolve(&query))),
                    Act::Connect(slip, to) => job.answer(Answered::Socket(slip, connect(&to))),
                    Act::LookUp(slip, table, query) => {
                        job.answer(Answered::Table(slip, look_up(&table, &query)));
                    }
                    Act::Token(slip, source, wanted) => {
                        job.answer(Answered::Token(slip, token(&source, &wanted)));
                    }
                    Act::Fetch(slip, _) => {
                        job.answer(Answered::Policy(slip, Err(FetchError::Unsupported)));
                    }
                    Act::Expire(at) => expiry = Some(at),
                    // This loop comes again soon: it needs neither the waker nor the readiness of the
                    // socket nor the deadline.
                    Act::Wait { .. } | Act::Yield => return true,
                    Act::Done(report) => {
                        reports.insert(*number, report);
                        return false;
                    }
                }
            }
        });
        if expiry.is_some_and(|at| at <= now()) {
            expiry = hub.expire(now());
        }
        thread::sleep(TICK);
    }
    hub.close(now());
    reports.into_values().collect()
}
// ANCHOR_END: driver

// ANCHOR: outside
/// Opens a connection. The other deliveries wait meanwhile; a better driver would not let them.
fn connect(target: &Target) -> Result<TcpStream, ConnectError> {
    let Endpoint::Inet(address) = &target.endpoint else {
        return Err(ConnectError::Other("no sockets but TCP".into()));
    };
    if target.bind.is_some() {
        return Err(ConnectError::Other("no source addresses".into()));
    }
    let limit = target.limit.unwrap_or(Duration::from_secs(30));
    let made = TcpStream::connect_timeout(address, limit).and_then(|stream| {
        stream.set_nonblocking(true)?;
        Ok(stream)
    });
    made.map_err(|error| connect_error(&error))
}

/// Asks the operating system for the addresses of a host.
fn resolve(query: &Query) -> Result<Answer, Failure> {
    let QueryKind::Native(family) = query.kind else {
        return Err(Failure::NoData);
    };
    let found = (query.name.as_str(), 0).to_socket_addrs();
    let found = found.map_err(|error| native_failure(NativeFailure::Again, &error))?;
    let is_wanted = |address: &IpAddr| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    let addresses = found.map(|address| address.ip()).filter(is_wanted);
    Ok(native_answer(&query.name, addresses))
}

/// Asks a table of the program's own. One that is awaited needs an executor.
fn look_up(table: &NamedTable, query: &TableQuery) -> Result<Option<String>, TableFailure> {
    match table {
        NamedTable::Blocking(table) => table.lookup(&query.key),
        NamedTable::Async(_) => Err(TableFailure {
            table: query.table.clone(),
            reason: "no executor".into(),
        }),
    }
}

/// Asks for an access token.
fn token(source: &TokenSource, wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
    match source {
        TokenSource::Blocking(source) => source.token(wanted),
        TokenSource::Async(_) => Err(TokenFailure::new("no executor")),
    }
}
// ANCHOR_END: outside

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nexthop, from, to @ ..] = arguments.as_slice() else {
        return Err("usage: own_driver NEXTHOP FROM TO... < MESSAGE".into());
    };
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let request = |to: &String| -> Result<_, Box<dyn Error>> {
        let to = to.parse::<outpost::Address>()?.into();
        let request = Request::new(Protocol::Smtp, nexthop.parse()?, from.parse()?, vec![to]);
        Ok((request, text.clone()))
    };
    let messages = to.iter().map(request).collect::<Result<_, _>>()?;
    for report in deliver_all(Arc::new(policy()?), messages) {
        println!("{report}");
    }
    Ok(())
}
