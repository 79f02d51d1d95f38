//! DNS questions: a [`Lookup`] over UDP and TCP, or getaddrinfo(3).

use std::{future, io, net::SocketAddr, sync::Arc};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use smtp_policy::{
    dns::{Answer, DnsStep, Failure, Family, Lookup, NativeFailure, Query, QueryKind},
    driver::{self, Hub},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use runtime_common::{Runtime, apart};

use crate::{net::Socket, net::within, runtime::Tokio};

/// The largest datagram that is read whole, in bytes. More than any resolver
/// puts into one.
const DATAGRAM: usize = 8 * 1024;

/// Answers one question.
pub(crate) async fn resolve(
    client: &Tokio,
    hub: &Hub<Socket>,
    query: Query,
) -> Result<Answer, Failure> {
    if let QueryKind::Native(family) = query.kind {
        return apart(Err(Failure::TryAgain), move || native(&query.name, family)).await;
    }
    let config = Arc::clone(hub.policy().resolver());
    let mut lookup = Lookup::new(query, config, hub.seed());
    #[cfg(feature = "dnssec")]
    if let Some(validator) = client.validator.get() {
        return validate(client, lookup, validator).await;
    }
    // The port is new for each server that is asked, and of the system's choice.
    let mut line: Option<(SocketAddr, UdpSocket)> = None;
    loop {
        match lookup.poll(client.now()) {
            DnsStep::Datagram { to, bytes } => {
                if line.as_ref().is_none_or(|(server, _)| *server != to) {
                    line = open(to).await.ok().map(|socket| (to, socket));
                }
                let sent = match &line {
                    Some((_, socket)) => socket.send(&bytes).await.is_ok(),
                    None => false,
                };
                if !sent {
                    lookup.datagram_failed();
                }
            }
            DnsStep::Stream { to, bytes, until } => {
                let limit = until.since(client.now());
                let answer = within(limit, ask_stream(to, &bytes)).await;
                lookup.stream(match &answer {
                    Some(Ok(message)) => Ok(message),
                    _ => Err(()),
                });
            }
            DnsStep::Wait { until } => {
                let limit = until.since(client.now());
                match within(limit, hear(line.as_ref())).await {
                    Some(Ok((server, message))) => lookup.datagram(server, &message),
                    Some(Err(_)) => {
                        line = None;
                        lookup.datagram_failed();
                    }
                    None => {}
                }
            }
            DnsStep::Done(result) => return result,
        }
    }
}

/// Answers one question with what a validator on this machine makes of the servers'
/// answers. Each question that the lookup would send goes to it instead.
#[cfg(feature = "dnssec")]
async fn validate(
    client: &Tokio,
    mut lookup: Lookup,
    validator: &crate::Validator,
) -> Result<Answer, Failure> {
    let mut asked: Option<(SocketAddr, Vec<u8>)> = None;
    loop {
        match lookup.poll(client.now()) {
            DnsStep::Datagram { to, bytes } => asked = Some((to, bytes.to_vec())),
            // What the validator says is never too long.
            DnsStep::Stream { .. } => lookup.stream(Err(())),
            DnsStep::Wait { until } => {
                let Some((server, question)) = asked.take() else {
                    within(until.since(client.now()), future::pending::<()>()).await;
                    continue;
                };
                let limit = until.since(client.now());
                match within(limit, validator.answer(server, &question)).await {
                    Some(Ok(message)) => lookup.datagram(server, &message),
                    Some(Err(_)) => lookup.datagram_failed(),
                    None => {}
                }
            }
            DnsStep::Done(result) => return result,
        }
    }
}

/// A socket for questions to one server. It is connected, so that the system
/// keeps other senders out and reports a port where nobody listens.
pub(crate) async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// The next datagram. None comes where no question went.
pub(crate) async fn hear(
    line: Option<&(SocketAddr, UdpSocket)>,
) -> io::Result<(SocketAddr, Vec<u8>)> {
    let Some((server, socket)) = line else {
        return future::pending().await;
    };
    let mut message = vec![0; DATAGRAM];
    let count = socket.recv(&mut message).await?;
    message.truncate(count);
    Ok((*server, message))
}

/// One question and its answer over TCP, each with its length before it
/// (RFC 1035 section 4.2.2).
pub(crate) async fn ask_stream(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream
        .write_all(&[&length.to_be_bytes(), question].concat())
        .await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Asks getaddrinfo(3), and waits for it.
fn native(name: &str, family: Family) -> Result<Answer, Failure> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        address: match family {
            Family::Any => 0,
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        },
        ..AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(native_failure)?;
    let addresses = found.filter_map(|info| Some(info.ok()?.sockaddr.ip()));
    Ok(driver::native_answer(name, addresses))
}

fn native_failure(error: LookupError) -> Failure {
    let kind = match error.kind() {
        LookupErrorKind::Again => NativeFailure::Again,
        LookupErrorKind::NoData => NativeFailure::NoData,
        LookupErrorKind::NoName => NativeFailure::NoName,
        LookupErrorKind::Memory => NativeFailure::Memory,
        LookupErrorKind::System => NativeFailure::System,
        _ => NativeFailure::Other,
    };
    driver::native_failure(kind, &io::Error::from(error))
}
