//! This runtime's client, as the suite of all runtimes takes it.

use std::sync::LazyLock;

use tokio::runtime::Runtime;

#[allow(clippy::unwrap_used)]
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

runtime_tests::waiting_client!(Tokio, runtime_tokio::Client, block_on);
