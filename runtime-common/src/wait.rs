//! Work of others that may panic: what can only wait, on threads that nobody waits for: neither a delivery that
//! is given up nor the end of the program.

use std::panic::{self, AssertUnwindSafe};

use futures_util::FutureExt;

/// Does the work on another thread. `lost` is the answer where it panics.
///
/// The thread is not one of the runtime's: a runtime that ends would wait for those.
pub(crate) async fn apart<T: Send + 'static>(
    lost: T,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let work = move || panic::catch_unwind(AssertUnwindSafe(work));
    blocking::unblock(work).await.unwrap_or(lost)
}

/// Awaits the work here. `lost` is the answer where it panics.
pub(crate) async fn awaited<T>(lost: T, work: impl Future<Output = T>) -> T {
    let work = AssertUnwindSafe(work).catch_unwind();
    work.await.unwrap_or(lost)
}
