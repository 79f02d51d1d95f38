//! Names of what the queue keeps.

use core::{fmt, str::FromStr};
use std::sync::Arc;

use smtp_policy::{Protocol, request::Nexthop};

use super::Timestamp;

/// A text that is no name in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    what: &'static str,
    text: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no {}",
            smtp_policy::report::printable(&self.text),
            self.what
        )
    }
}

impl core::error::Error for NameError {}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// The store gives them out, each once, in growing order as far as one store has it. Text form: hexadecimal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:X}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let number = i64::from_str_radix(text, 16).ok().filter(|number| *number >= 0);
                number.map(Self).ok_or_else(|| NameError { what: $what, text: text.to_owned() })
            }
        }
    )*};
}

numbers! {
    /// The name of a message in the queue.
    MessageId: "queue id";
    /// The name of a task.
    TaskId: "task id";
}

/// The number of a claim of a task: it grows with each. Whoever holds a task shows it with everything
/// that they want to change, so that a worker that was thought dead changes nothing.
///
/// It is the time of the claim in microseconds, or one more than the last where that is later. Claims are not made to last at
/// once: a database that crashes may forget one while its worker lives. If claims were counted, the next one would then have
/// the same number, and both would be let through to the end of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);

impl Fence {
    /// The next claim, which is made now.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self(self.0.saturating_add(1).max(now.micros()))
    }
}

/// A worker, by a name that no other has had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(pub Arc<str>);

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A destination, which has its own limits: a protocol and a next hop in lower case, unless it is the path of a socket. Text form: `smtp:example.com`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName {
    protocol: Protocol,
    text: Arc<str>,
}

impl DestinationName {
    /// The destination of deliveries to a next hop.
    pub fn new(protocol: Protocol, nexthop: &Nexthop) -> Self {
        // The path of a socket has a case.
        let nexthop = match nexthop.contains("unix:") {
            true => nexthop.as_str().to_owned(),
            false => nexthop.to_lowercase(),
        };
        let text = format!("{protocol}:{nexthop}");
        Self {
            protocol,
            text: text.into(),
        }
    }

    /// The client that delivers there.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The next hop, in lower case unless it is the path of a socket.
    pub fn nexthop(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, nexthop)| nexthop)
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for DestinationName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError {
            what: "destination",
            text: text.to_owned(),
        };
        let (protocol, nexthop) = text.split_once(':').ok_or_else(wrong)?;
        let protocol = protocol.parse().map_err(|_| wrong())?;
        let nexthop: Nexthop = nexthop.parse().map_err(|_| wrong())?;
        Ok(Self::new(protocol, &nexthop))
    }
}
