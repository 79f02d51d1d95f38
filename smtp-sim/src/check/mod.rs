//! Judges of a run: they look at what the servers saw and accepted, at the reports and
//! at the clock, and not into the engine.

mod limits;
mod names;
mod secrecy;
mod text;
mod verdicts;

use std::fmt;

pub use self::verdicts::{Fate, fates};

use crate::{population::Population, world::World};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What it found.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check.as_str(), self.what)
    }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            /// All of them.
            pub const ALL: &'static [Check] = &[$(Check::$name,)*];

            /// The rule, as a sentence.
            pub const fn as_str(self) -> &'static str {
                match self { $(Check::$name => $text,)* }
            }
        }
    };
}

checks! {
    /// The world comes to an end.
    Ends = "every delivery ends",
    /// Verdicts.
    SettledOnce = "every recipient is settled exactly once",
    /// What is reported as sent.
    SentIsAccepted = "sent is only what a server accepted",
    /// What is accepted.
    AcceptedIsSent = "what a server accepted is sent or uncertain",
    /// What is given up for good.
    BouncedIsRefused = "only what a server or a name refuses for good is bounced",
    /// Backup servers.
    BackupIsTried = "nobody is deferred before a second server was tried",
    /// Copies.
    NoDuplicates = "nothing is delivered twice without a doubt about the first time",
    /// Text.
    SameText = "the text received is the text sent",
    /// Envelopes.
    RightEnvelope = "a message goes to its own recipients, from its own sender",
    /// TLS.
    NoPlaintext = "no envelope goes out in the clear where TLS is demanded",
    /// TLS.
    ProvenServer = "no envelope goes to a server that did not prove who it is",
    /// Login.
    Credentials = "no credentials where policy forbids them",
    /// The client as its server sees it.
    Protocol = "the client keeps the protocol",
    /// Time.
    Deadlines = "no stage outlasts its limit",
    /// Time.
    Patience = "no server is given up before its time",
    /// Time.
    GivesUp = "no delivery outlasts daemon_timeout",
    /// Limits.
    Concurrency = "no more deliveries at once than the limit allows",
    /// Limits.
    Recipients = "no more recipients in a transaction than the limit allows",
    /// Limits.
    Memory = "no more is held than is bounded",
    /// Connections.
    Closed = "no connection is left open",
    /// Names.
    Names = "names are found as the name servers have them",
    /// Names.
    FalseAlarm = "nobody is told that name servers do not validate which do, or twice",
    /// Chance.
    SameTrace = "the same seed gives the same run",
    /// Chunking.
    AnyChunking = "verdicts do not depend on how bytes are cut up",
}

/// Judges a world that has run out.
pub fn judge(population: &Population, world: &World) -> Vec<Finding> {
    let mut bench = Bench {
        population,
        world,
        findings: Vec::new(),
    };
    if world.is_stuck() {
        bench.find(Check::Ends, "the world turns in a circle".to_owned());
        return bench.findings;
    }
    bench.settled();
    bench.truth();
    bench.secrecy();
    bench.limits();
    bench.names();
    bench.findings
}

/// What is judged, and the findings so far.
struct Bench<'a> {
    population: &'a Population,
    world: &'a World,
    findings: Vec<Finding>,
}

impl Bench<'_> {
    fn find(&mut self, check: Check, what: String) {
        self.findings.push(Finding { check, what });
    }
}
