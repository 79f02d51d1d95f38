//! Work of others that may panic: what can only wait, on threads that nobody waits for: neither a delivery that
//! is given up nor the end of the program.

use std::panic::{self, AssertUnwindSafe};

use futures_util::FutureExt;

use crate::runtime::Runtime;

/// Does the work on a thread that the runtime has for such work. `lost` is the answer where it
/// panics, or where there is no thread.
pub(crate) async fn apart<R: Runtime, T: Send + 'static>(
    lost: T,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let work = move || panic::catch_unwind(AssertUnwindSafe(work)).ok();
    R::unblock(work).await.flatten().unwrap_or(lost)
}

/// Awaits the work here. `lost` is the answer where it panics.
pub(crate) async fn awaited<T>(lost: T, work: impl Future<Output = T>) -> T {
    let work = AssertUnwindSafe(work).catch_unwind();
    work.await.unwrap_or(lost)
}
