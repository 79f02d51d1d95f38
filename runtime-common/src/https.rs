//! MTA-STS policies over HTTPS, each by one process where several share them.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use smtp_policy::sts::{FetchError, Fetched, PolicyFetch, PolicyShare, Turn};

use crate::{
    runtime::Runtime,
    wait::{apart, awaited},
};

/// The longest time that somebody else's fetch is waited for, and so is whoever knows of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time after which they are asked again.
const PAUSE: Duration = Duration::from_millis(300);

/// Fetches a policy, unless another process has just done so. Whatever goes wrong with those that share ends in a
/// fetch of one's own.
pub(crate) async fn fetch_with<R: Runtime>(
    share: Option<Arc<dyn PolicyShare>>,
    request: PolicyFetch,
) -> Result<Fetched, FetchError> {
    let Some(share) = share else {
        return fetch_apart::<R>(request).await;
    };
    let turn = awaited(Turn::Ours, turn::<R>(&*share, &request)).await;
    if let Turn::Theirs(fetched) = turn {
        return Ok(fetched);
    }
    let result = fetch_apart::<R>(request.clone()).await;
    // The delivery does not wait until others know.
    let told = result.clone();
    R::detach(async move { awaited((), share.tell(&request, &told)).await });
    result
}

/// Waits until it is known who fetches.
async fn turn<R: Runtime>(share: &dyn PolicyShare, request: &PolicyFetch) -> Turn {
    let end = R::now() + PATIENCE;
    while R::now() < end {
        let sleep = pin!(R::sleep(end));
        let turn = match select(share.turn(request), sleep).await {
            Either::Left((turn, _)) => turn,
            Either::Right(_) => Turn::Ours,
        };
        if turn != Turn::Later {
            return turn;
        }
        R::sleep(end.min(R::now() + PAUSE)).await;
    }
    Turn::Ours
}

async fn fetch_apart<R: Runtime>(request: PolicyFetch) -> Result<Fetched, FetchError> {
    let lost = Err(FetchError::Other("the fetch panicked".to_owned()));
    apart::<R, _>(lost, move || fetch(&request)).await
}

/// Sends a file to a web server.
#[cfg(feature = "mta-sts")]
pub(crate) async fn post_apart<R: Runtime>(upload: sts_fetch::Upload) -> Result<u16, FetchError> {
    let lost = Err(FetchError::Other("the upload panicked".to_owned()));
    apart::<R, _>(lost, move || sts_fetch::post(&upload)).await
}

/// Fetches one policy, and waits for it.
#[cfg(feature = "mta-sts")]
fn fetch(request: &PolicyFetch) -> Result<Fetched, FetchError> {
    sts_fetch::fetch(request)
}

/// Without the feature nothing can be fetched.
#[cfg(not(feature = "mta-sts"))]
fn fetch(_: &PolicyFetch) -> Result<Fetched, FetchError> {
    Err(FetchError::Unsupported)
}
