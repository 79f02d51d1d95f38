//! DNS questions over sockets of the runtime, and host names by getaddrinfo(3).

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use smtp_policy::{
    dns::{Answer, Carrier, Failure, Family, Lookup, NativeFailure, Progress},
    driver::{self, Interest},
};
use smtp_proto::time::Time;
use socket2::Domain;

use crate::{
    alarm::Alarm,
    runtime::{Clocked, Runtime},
    socket::Socket,
};

/// A lookup on its way.
struct Carry<R: Runtime> {
    carrier: Carrier<Socket<R>>,
    alarm: Alarm<R>,
    clock: Arc<Clocked<R>>,
}

/// Carries a lookup to its end over sockets of the runtime.
pub fn carry<R: Runtime>(
    clock: Arc<Clocked<R>>,
    lookup: Lookup,
) -> impl Future<Output = Result<Answer, Failure>> + Send {
    let mut carry = Carry {
        carrier: Carrier::new(lookup),
        alarm: Alarm::new(),
        clock,
    };
    poll_fn(move |cx| carry.poll(cx))
}

impl<R: Runtime> Carry<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failure>> {
        loop {
            let now = self.clock.time();
            let until = match self.carrier.step(now, Socket::question) {
                Progress::Until(until) => until,
                Progress::Done(result) => return Poll::Ready(result),
            };
            if until <= now {
                // There is more to do, but others have their turn first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.poll_wait(now, until, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_wait(&mut self, now: Time, until: Time, cx: &mut Context<'_>) -> Poll<()> {
        let interest = match self.carrier.is_sending() {
            true => Interest::Write,
            false => Interest::Read,
        };
        if let Some(socket) = self.carrier.socket()
            && socket.is_ready(interest, cx)
        {
            return Poll::Ready(());
        }
        self.alarm.poll(&self.clock, now, until, cx)
    }
}

/// Asks getaddrinfo(3), and waits for it.
pub(crate) fn native(name: &str, family: Family) -> Result<Answer, Failure> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        address: match family {
            Family::Any => 0,
            Family::V4 => Domain::IPV4.into(),
            Family::V6 => Domain::IPV6.into(),
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
