//! MTA-STS policies over HTTPS.

use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

/// Fetches one policy.
#[cfg(feature = "mta-sts")]
pub(crate) async fn fetch(request: PolicyFetch) -> Result<Fetched, FetchError> {
    let fetched = tokio::task::spawn_blocking(move || sts_fetch::fetch(&request)).await;
    fetched.unwrap_or_else(|error| Err(FetchError::Other(error.to_string())))
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
pub(crate) async fn fetch(_: PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
