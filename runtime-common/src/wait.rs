//! Work that can only wait, on threads that nobody waits for: neither a delivery that
//! is given up nor the end of the program.

use std::panic::{self, AssertUnwindSafe};

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
