//! How the level for a server came about. Collected along the way by the search for
//! the policy, whether or not anybody wants to know.

use super::{TlsLevel, Tlsa};
use crate::sts::Mode;

/// What configures a level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LevelSource {
    /// The parameters: `smtp_tls_security_level`, or the obsolete ones in its place.
    #[default]
    Parameter,
    /// An entry of `smtp_tls_policy_maps`.
    PolicyMap {
        /// The key of the entry.
        key: String,
        /// The entry.
        entry: String,
    },
    /// An entry of the obsolete `smtp_tls_per_site`.
    PerSite {
        /// The key of the last entry that counted.
        key: String,
        /// The entry.
        entry: String,
    },
}

/// What became of DANE for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaneStory {
    /// The look-ups of TLSA records, in order.
    pub lookups: Vec<TlsaLookup>,
    /// Why DANE does not apply, in the words of the log; `None` if it does.
    pub obstacle: Option<String>,
}

/// A look-up of TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsaLookup {
    /// The name: `_25._tcp.mx.example.com`.
    pub name: String,
    /// What came of it.
    pub answer: TlsaAnswer,
}

/// What came of a look-up of TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsaAnswer {
    /// Records that are validated.
    Signed(Vec<Tlsa>),
    /// Records that nobody vouches for, so that they do not count.
    Unsigned(Vec<Tlsa>),
    /// There are none.
    Absent,
    /// Nobody knows, for this reason. Mail is deferred.
    Failed(String),
}

/// The MTA-STS policy of a domain (RFC 8461).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StsStory {
    /// The domain whose policy it is.
    pub domain: String,
    /// What it demands.
    pub mode: Mode,
    /// Whether it names the server.
    pub names_host: bool,
}

/// The story of one search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) configured: TlsLevel,
    pub(crate) source: LevelSource,
    pub(crate) dane: Option<DaneStory>,
    pub(crate) sts: Option<StsStory>,
}

impl Story {
    /// DANE does not apply.
    pub(crate) fn obstacle(&mut self, why: &str) {
        let dane = self.dane.get_or_insert_default();
        dane.obstacle = Some(why.to_owned());
    }

    /// TLSA records were looked up.
    pub(crate) fn looked_up(&mut self, name: String, answer: TlsaAnswer) {
        let dane = self.dane.get_or_insert_default();
        dane.lookups.push(TlsaLookup { name, answer });
    }
}
