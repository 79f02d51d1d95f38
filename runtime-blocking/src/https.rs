//! MTA-STS policies over HTTPS.

use std::sync::Arc;

use mio::Waker;
use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

use crate::wait::Asked;

/// Fetches one policy on a thread of its own.
pub(crate) fn fetch(request: PolicyFetch, waker: Arc<Waker>) -> Asked<Result<Fetched, FetchError>> {
    let lost = Err(FetchError::Other("the fetch panicked".to_owned()));
    Asked::new(waker, lost, move || answer(&request))
}

#[cfg(feature = "mta-sts")]
fn answer(request: &PolicyFetch) -> Result<Fetched, FetchError> {
    sts_fetch::fetch(request)
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
fn answer(_: &PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
