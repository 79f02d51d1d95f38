//! MTA-STS (RFC 8461): a domain says over HTTPS which mail exchangers it has, and
//! that they have certificates that somebody vouches for. No I/O: the delivery
//! engine asks for the record and for the policy, and its driver brings them.
//!
//! Nothing of it happens unless it is turned on with
//! [`Policy::with_mta_sts`](crate::policy::Policy::with_mta_sts); Postfix has no
//! parameter for it. It is for next hops that are bare domains whose mail exchangers
//! are looked up, on port 25. What holds for one server is then, in this order:
//!
//! 1. what `smtp_tls_policy_maps` or `smtp_tls_per_site` says for the next hop;
//! 2. a level that demands as much or more by itself: `fingerprint`, `dane-only`,
//!    `secure`;
//! 3. at level `dane`, usable TLSA records (RFC 8461 section 2);
//! 4. the MTA-STS policy;
//! 5. the level of the configuration.
//!
//! | concern | file |
//! |---|---|
//! | the record that says that there is a policy | `record.rs` |
//! | the policy, and which mail exchangers it allows | `policy.rs` |
//! | the policies that are known, and when to look again | `cache.rs` |
//! | the policy as a file on the web | `fetch.rs` |
//! | the questions that all this takes | `search.rs` |
//! | policies that other processes have fetched | `share.rs` |

mod cache;
mod fetch;
mod policy;
mod record;
pub(crate) mod search;
mod share;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use self::policy::names_host;
pub use self::{
    cache::{Kept, StsCache},
    fetch::{FetchError, Fetched, PolicyFetch},
    policy::{Mode, StsError, StsPolicy},
    record::policy_id,
    share::{PolicyShare, ShareFuture, Turn},
};

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// MTA-STS as a [`Policy`](crate::policy::Policy) has it: its settings, and the
/// policies that its deliveries have found.
#[derive(Debug)]
pub struct MtaSts {
    authorities: Arc<Vec<Vec<u8>>>,
    port: u16,
    cache: Mutex<StsCache>,
    share: OnceLock<Arc<dyn PolicyShare>>,
}

impl Default for MtaSts {
    fn default() -> Self {
        Self {
            authorities: Arc::default(),
            port: HTTPS_PORT,
            cache: Mutex::default(),
            share: OnceLock::new(),
        }
    }
}

impl MtaSts {
    /// Adds authorities to those of the system, as certificates in DER. They vouch
    /// for web servers with policies, not for mail exchangers.
    #[must_use]
    pub fn with_authorities(mut self, authorities: Vec<Vec<u8>>) -> Self {
        self.authorities = Arc::new(authorities);
        self
    }

    /// Fetches policies from another port than 443, which is where RFC 8461 has them:
    /// for tests.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begins with what was found earlier.
    #[must_use]
    pub fn with_cache(mut self, cache: StsCache) -> Self {
        self.cache = Mutex::new(cache);
        self
    }

    /// The authorities that vouch for web servers besides those of the system, in DER.
    pub const fn authorities(&self) -> &Arc<Vec<Vec<u8>>> {
        &self.authorities
    }

    /// The policies that are known now.
    pub fn known(&self) -> StsCache {
        self.cache().clone()
    }

    /// The policy that is kept for a domain, in A-labels and small letters, though it may have run out.
    pub fn kept(&self, domain: &str) -> Option<Kept> {
        self.cache().get(domain).cloned()
    }

    /// Takes over what somebody else has fetched, unless what is kept here was fetched no earlier. Returns whether it
    /// was.
    pub fn take_over(&self, domain: &str, kept: Kept) -> bool {
        self.cache().take_over(domain, kept)
    }

    /// Fetches in common with others from now on. Returns whether nobody was there before: the first one stays.
    pub fn share_with(&self, share: Arc<dyn PolicyShare>) -> bool {
        self.share.set(share).is_ok()
    }

    /// Those with whom policies are fetched in common.
    pub fn share(&self) -> Option<&Arc<dyn PolicyShare>> {
        self.share.get()
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, StsCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
