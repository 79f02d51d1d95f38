//! One question and the wait for its reply: servers in turn, time outs, the
//! change to TCP, and what does not count as a reply. Answers to `res_nsend`
//! of the C library.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::base::iana::Rcode;
use smtp_proto::Time;

use super::seed::SplitMix;
use super::wire::{Head, question};
use super::{QueryKind, ResolverConfig};

/// What an exchange wants next.
pub(super) enum ExchangeStep {
    Datagram {
        to: SocketAddr,
        bytes: Bytes,
    },
    Stream {
        to: SocketAddr,
        bytes: Bytes,
        until: Time,
    },
    Wait {
        until: Time,
    },
    Done(Result<Vec<u8>, Silence>),
}

/// No server gave a reply that could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The last reply was `SERVFAIL`.
    pub(super) server_failure: bool,
    /// Not even a broken reply came: nothing listens there.
    pub(super) refused: bool,
}

#[derive(Debug)]
enum Phase {
    /// The next attempt is to be sent.
    Ready,
    /// The same server is to be asked over TCP.
    Truncated {
        to: SocketAddr,
    },
    Datagram {
        to: SocketAddr,
        until: Time,
    },
    Stream {
        until: Time,
    },
    Done(Result<Vec<u8>, Silence>),
}

/// One question on its way to the servers.
#[derive(Debug)]
pub(super) struct Exchange {
    name: String,
    kind: QueryKind,
    edns: bool,
    config: Arc<ResolverConfig>,
    /// Servers in the order of this exchange.
    servers: Vec<SocketAddr>,
    /// Attempts so far: all servers once, then all again.
    tried: usize,
    /// Once a reply was truncated, the rest goes over TCP.
    over_stream: bool,
    ids: SplitMix,
    id: u16,
    phase: Phase,
    silence: Silence,
}

impl Exchange {
    pub(super) fn new(
        name: String,
        kind: QueryKind,
        validate: bool,
        config: Arc<ResolverConfig>,
        seed: u64,
    ) -> Self {
        let mut ids = SplitMix::new(seed);
        let mut servers = config.servers.clone();
        if config.rotate && !servers.is_empty() {
            let first = ids.below(servers.len());
            servers.rotate_left(first);
        }
        Self {
            name,
            kind,
            edns: validate,
            config,
            servers,
            tried: 0,
            over_stream: false,
            ids,
            id: 0,
            phase: Phase::Ready,
            silence: Silence {
                server_failure: false,
                refused: true,
            },
        }
    }

    pub(super) fn poll(&mut self, now: Time) -> ExchangeStep {
        loop {
            match &self.phase {
                Phase::Ready => match self.next_server() {
                    Some((to, limit)) => {
                        if let Some(step) = self.send(to, now + limit) {
                            return step;
                        }
                    }
                    None => self.phase = Phase::Done(Err(self.silence)),
                },
                Phase::Truncated { to } => {
                    let to = *to;
                    let until = now + self.limit(self.tried.saturating_sub(1));
                    self.over_stream = true;
                    if let Some(step) = self.send(to, until) {
                        return step;
                    }
                }
                Phase::Datagram { until, .. } | Phase::Stream { until } => {
                    if now < *until {
                        return ExchangeStep::Wait { until: *until };
                    }
                    self.silence.refused = false;
                    self.phase = Phase::Ready;
                }
                Phase::Done(result) => return ExchangeStep::Done(result.clone()),
            }
        }
    }

    fn next_server(&mut self) -> Option<(SocketAddr, Duration)> {
        let attempts = usize::try_from(self.config.attempts.max(1)).unwrap_or(usize::MAX);
        if self.tried >= self.servers.len().saturating_mul(attempts) {
            return None;
        }
        let index = self.tried % self.servers.len().max(1);
        let to = *self.servers.get(index)?;
        let limit = self.limit(self.tried);
        self.tried += 1;
        Some((to, limit))
    }

    /// How long a server has. The C library gives the first one the whole
    /// time, and every later one twice that of the one before, shared among
    /// all.
    fn limit(&self, attempt: usize) -> Duration {
        let servers = self.servers.len().max(1);
        let index = attempt % servers;
        let doubled = u32::try_from(index).ok().and_then(|i| 1u32.checked_shl(i));
        let limit = self
            .config
            .timeout
            .saturating_mul(doubled.unwrap_or(u32::MAX));
        let shared = match u32::try_from(servers) {
            Ok(servers) if index > 0 => limit / servers,
            _ => limit,
        };
        shared.max(Duration::from_secs(1))
    }

    fn send(&mut self, to: SocketAddr, until: Time) -> Option<ExchangeStep> {
        // A fresh id for each attempt: an answer to an earlier one is late.
        self.id = self.ids.next_u16();
        let Some(bytes) = question(self.id, &self.name, self.kind, self.edns) else {
            self.phase = Phase::Done(Err(self.silence));
            return None;
        };
        if self.over_stream {
            self.phase = Phase::Stream { until };
            Some(ExchangeStep::Stream { to, bytes, until })
        } else {
            self.phase = Phase::Datagram { to, until };
            Some(ExchangeStep::Datagram { to, bytes })
        }
    }

    /// A datagram came in. One that is not the reply to the last question, from
    /// the server that was asked, is ignored: the true one may still come.
    pub(super) fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Phase::Datagram { to, .. } = self.phase else {
            return;
        };
        if from != to {
            return;
        }
        if let Some(head) = Head::read(bytes)
            && head.is_for(self.id, &self.name, self.kind)
        {
            self.reply(to, &head, bytes);
        }
    }

    /// The datagram could not be sent or nothing listens there.
    pub(super) fn datagram_failed(&mut self) {
        if matches!(self.phase, Phase::Datagram { .. }) {
            self.phase = Phase::Ready;
        }
    }

    /// The exchange over TCP ended.
    pub(super) fn stream(&mut self, answer: Result<&[u8], ()>) {
        if !matches!(self.phase, Phase::Stream { .. }) {
            return;
        }
        self.silence.refused = false;
        self.phase = Phase::Ready;
        let Ok(bytes) = answer else { return };
        let Some(head) = Head::read(bytes) else {
            return;
        };
        if head.is_for(self.id, &self.name, self.kind) && !head.is_truncated() {
            self.judge(&head, bytes);
        }
    }

    fn reply(&mut self, from: SocketAddr, head: &Head, bytes: &[u8]) {
        self.silence.refused = false;
        if head.is_truncated() {
            self.phase = Phase::Truncated { to: from };
        } else {
            self.judge(head, bytes);
        }
    }

    fn judge(&mut self, head: &Head, bytes: &[u8]) {
        self.silence.server_failure = head.code() == Rcode::SERVFAIL;
        self.phase = match head.code() {
            Rcode::SERVFAIL | Rcode::NOTIMP | Rcode::REFUSED => Phase::Ready,
            Rcode::FORMERR if self.edns => {
                // The server is older than EDNS: ask it again without.
                self.edns = false;
                self.tried = self.tried.saturating_sub(1);
                Phase::Ready
            }
            _ if head.is_lame() => Phase::Ready,
            _ => Phase::Done(Ok(bytes.to_vec())),
        };
    }
}
