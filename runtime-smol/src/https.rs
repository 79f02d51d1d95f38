//! MTA-STS policies over HTTPS.

use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

/// Fetches one policy.
#[cfg(feature = "mta-sts")]
pub(crate) async fn fetch(request: PolicyFetch) -> Result<Fetched, FetchError> {
    smol::unblock(move || sts_fetch::fetch(&request)).await
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
pub(crate) async fn fetch(_: PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
