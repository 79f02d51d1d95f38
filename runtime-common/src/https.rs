//! MTA-STS policies over HTTPS.

use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

/// Fetches one policy, and waits for it.
#[cfg(feature = "mta-sts")]
pub(crate) fn fetch(request: &PolicyFetch) -> Result<Fetched, FetchError> {
    sts_fetch::fetch(request)
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
pub(crate) fn fetch(_: &PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
