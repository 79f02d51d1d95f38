//! Replies of the scripted server: when they go out, in which pieces, and what
//! follows from them.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use smtp_proto::Time;

use super::{QUIT_LINGER, ServerConnection, ServerStep, State};
use crate::scenario::{Rule, Then};

/// The pause between the chunks of a reply when the rule names none.
const CHUNK_GAP: Duration = Duration::from_millis(30);

/// A reply on its way.
#[derive(Debug)]
pub(super) struct Job {
    lines: Vec<String>,
    raw: Option<String>,
    chunks: Vec<usize>,
    gap: Duration,
    then: Option<Then>,
    after: After,
}

/// What a reply changes once it has been sent.
#[derive(Debug)]
pub(super) enum After {
    /// Nothing: on with the next line.
    Line,
    /// A recipient may have been accepted.
    Rcpt,
    /// Content may follow.
    Data(Option<Box<Rule>>),
    /// A TLS handshake may follow. So many bytes of plaintext stand behind STARTTLS.
    StartTls { behind: usize },
    /// The next line may be a response.
    Auth,
    /// The connection ends; `mute` if the rule wants no reply to QUIT.
    Quit { mute: bool },
}

impl Job {
    /// Nothing to say but what is already being sent; then the connection closes.
    pub(super) fn closing() -> Job {
        Job {
            lines: Vec::new(),
            raw: None,
            chunks: Vec::new(),
            gap: CHUNK_GAP,
            then: Some(Then::Close),
            after: After::Line,
        }
    }
}

impl ServerConnection {
    /// Starts a reply: that of the rule, or the default lines.
    pub(super) fn reply(
        &mut self,
        now: Time,
        rule: Option<&Rule>,
        default: Vec<String>,
        after: After,
    ) -> Option<ServerStep> {
        let job = match rule {
            None => Job {
                lines: default,
                raw: None,
                chunks: Vec::new(),
                gap: CHUNK_GAP,
                then: None,
                after,
            },
            Some(rule) => Job {
                lines: match (&rule.reply, &rule.raw_base64) {
                    (Some(lines), _) => lines.clone(),
                    (None, Some(_)) => Vec::new(),
                    (None, None) => default,
                },
                raw: rule.raw_base64.clone(),
                chunks: rule.chunks.clone(),
                gap: rule.chunk_gap_ms.map_or(CHUNK_GAP, Duration::from_millis),
                then: rule.then,
                after,
            },
        };
        let delay = Duration::from_millis(rule.map_or(0, |rule| rule.delay_ms));
        self.state = State::Delay {
            until: now + delay,
            job,
        };
        None
    }

    /// Waits for the time of a reply, then writes it down and cuts it.
    pub(super) fn delay(&mut self, now: Time, until: Time, job: Job) -> Option<ServerStep> {
        if now < until {
            return self.wait(State::Delay { until, job }, until);
        }
        let mut bytes = Vec::new();
        for line in &job.lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let raw = job.raw.as_deref().unwrap_or_default();
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(raw)
            .unwrap_or_default();
        bytes.extend_from_slice(&decoded);
        for line in &job.lines {
            self.note("S", line);
        }
        if !bytes.is_empty() && !raw.is_empty() {
            self.note("R", raw);
        }
        let parts = cut(Bytes::from(bytes), &job.chunks);
        self.state = State::Reply {
            at: now,
            parts,
            job,
        };
        None
    }

    pub(super) fn send_part(
        &mut self,
        now: Time,
        at: Time,
        mut parts: VecDeque<Bytes>,
        job: Job,
    ) -> Option<ServerStep> {
        if parts.is_empty() {
            return self.replied(now, job);
        }
        if now < at {
            return self.wait(State::Reply { at, parts, job }, at);
        }
        let part = parts.pop_front()?;
        self.state = State::Reply {
            at: now + job.gap,
            parts,
            job,
        };
        Some(ServerStep::Send(self.seal(part)))
    }

    /// What comes after a reply.
    pub(super) fn replied(&mut self, now: Time, job: Job) -> Option<ServerStep> {
        match job.then {
            Some(Then::Close) => return self.close(),
            Some(Then::Silent) => {
                self.last_input = now;
                self.state = State::Silent;
                return None;
            }
            Some(Then::Reset) => {
                self.note("X", "server");
                self.state = State::Aborted;
                return None;
            }
            Some(Then::Garbage) | None => {}
        }
        let begins = |line: Option<&String>, with| line.is_some_and(|line| line.starts_with(with));
        let last = job.lines.last();
        self.state = State::Ready;
        match job.after {
            After::Line => None,
            After::Rcpt => {
                self.accepted += usize::from(begins(last, "2"));
                None
            }
            After::Data(rule) if begins(last, "3") => self.start_content(now, rule),
            After::Data(_) => None,
            After::StartTls { behind } if begins(job.lines.first(), "2") => {
                self.start_tls(now, job.then, behind)
            }
            After::StartTls { .. } => None,
            After::Auth => {
                self.awaiting_response = begins(last, "334");
                None
            }
            After::Quit { mute } => {
                self.last_input = now;
                self.state = State::QuitLinger {
                    until: now + QUIT_LINGER,
                    mute,
                };
                None
            }
        }
    }
}

/// Cuts a reply at the given offsets; those outside it are skipped.
fn cut(mut bytes: Bytes, chunks: &[usize]) -> VecDeque<Bytes> {
    let whole = bytes.len();
    let mut parts = VecDeque::new();
    let mut done = 0;
    for &at in chunks {
        if at > done && at < whole {
            parts.push_back(bytes.split_to(at - done));
            done = at;
        }
    }
    if !bytes.is_empty() {
        parts.push_back(bytes);
    }
    parts
}
