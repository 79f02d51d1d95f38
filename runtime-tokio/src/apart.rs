//! Threads for work that can only wait, which no runtime of the program waits for at its end.

use std::{
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// A runtime of which nothing but its threads for blocking work is used: there are more of them as
/// they are needed, up to tokio's limit, and fewer again. The program's own runtime would
/// wait for such threads when it ends, however long getaddrinfo(3) takes; this one never ends.
static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();

/// Does work that can only wait on one of these threads. There is none where the system refuses it.
pub(crate) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> + Send {
    let threads = THREADS.get_or_init(|| Builder::new_current_thread().build().ok());
    // Tokio panics where it has no such thread yet and the system gives it none.
    let begin =
        |threads: &Runtime| panic::catch_unwind(AssertUnwindSafe(|| threads.spawn_blocking(work)));
    let under_way = threads.as_ref().and_then(|threads| begin(threads).ok());
    async move {
        match under_way {
            Some(task) => UnderWay(task).await,
            None => None,
        }
    }
}

/// Work under way. If it has not begun when nobody waits for it any more, it never does.
struct UnderWay<T>(JoinHandle<T>);

impl<T> Future for UnderWay<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_of_the_programs_runtime_does_not_wait_for_work_under_way() {
        let (begun, has_begun) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let work = apart(move || {
                begun.send(()).unwrap();
                held.recv().unwrap_err();
            });
            tokio::spawn(work);
            has_begun.recv().unwrap();
        });
        // It would never return.
        drop(runtime);
        drop(release);
    }

    #[test]
    fn work_that_panics_has_no_answer() {
        let runtime = Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(apart(|| 1)), Some(1));
        let lost = runtime.block_on(apart(|| -> u32 { panic!("as it should") }));
        assert_eq!(lost, None);
    }
}
