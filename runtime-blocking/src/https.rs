//! MTA-STS policies over HTTPS.

use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

#[cfg(feature = "mta-sts")]
use runtime_common::apart;

/// Fetches one policy.
#[cfg(feature = "mta-sts")]
pub(crate) async fn fetch(request: PolicyFetch) -> Result<Fetched, FetchError> {
    let lost = Err(FetchError::Other("the fetch panicked".to_owned()));
    apart(lost, move || sts_fetch::fetch(&request)).await
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
pub(crate) async fn fetch(_: PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
