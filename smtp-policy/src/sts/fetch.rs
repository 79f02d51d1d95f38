//! The file with a domain's policy, as the driver is asked for it (RFC 8461 section
//! 3.3). What its answer means is decided here.

use core::{fmt, time::Duration};
use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;

/// Where the policy is.
pub(super) const PATH: &str = "/.well-known/mta-sts.txt";
/// The most bytes that a policy may have (RFC 8461 section 3.2).
pub(super) const SIZE_LIMIT: usize = 64 * 1024;
/// How long fetching may take (RFC 8461 section 3.3).
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A file that is to be fetched over HTTPS. The server's certificate must be
/// valid for the host, redirects are not followed, and nothing comes from a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFetch {
    /// The domain whose policy it is, in A-labels and small letters.
    pub domain: String,
    /// The id of the policy, from the domain's record.
    pub id: String,
    /// The host: `mta-sts.` and the domain, in A-labels.
    pub host: String,
    /// The path on the host, with its slash.
    pub path: &'static str,
    /// The addresses of the host, at least one; they are tried in this order.
    pub addresses: Vec<IpAddr>,
    /// The port: 443, except in tests.
    pub port: u16,
    /// How long it may take altogether.
    pub limit: Duration,
    /// The most bytes that the file may have.
    pub size: usize,
    /// Authorities that are trusted besides those of the system, in DER.
    pub authorities: Arc<Vec<Vec<u8>>>,
}

/// What the web server answered, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The status of the response: 200 is success.
    pub status: u16,
    /// The `Content-Type` as it was sent; empty if there was none.
    pub content_type: String,
    /// The file.
    pub body: Bytes,
    /// The time since it was fetched; zero: just now. It is more where somebody else has fetched it
    /// ([`PolicyShare`](super::PolicyShare)).
    pub age: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The driver cannot fetch anything.
    Unsupported,
    /// It took too long.
    TimedOut,
    /// The file is larger than it may be.
    TooLarge,
    /// The server's certificate is not valid for the host, in the words of whoever
    /// found it.
    Certificate(String),
    /// Any other error, in words.
    Other(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("HTTPS is not available here"),
            Self::TimedOut => f.write_str("timed out"),
            Self::TooLarge => f.write_str("the policy is too large"),
            Self::Certificate(why) => write!(f, "certificate not valid: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FetchError {}
