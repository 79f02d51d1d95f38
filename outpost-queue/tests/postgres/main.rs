//! The store on PostgreSQL does what every store must do, and what a server asks for. The server is the one that
//! `OUTPOST_TEST_POSTGRES` names, with a schema for each test; those that have one stop start their own.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../conformance/mod.rs"]
mod conformance;

mod kit;
mod load;
mod lost;
mod open;
mod plans;
mod races;
mod server;
mod submit_in;
mod tls;

use std::sync::OnceLock;

use outpost_queue::store::postgres::PostgresStore;
use tokio::runtime::Runtime;

struct Postgres(PostgresStore);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

impl conformance::Fixture for Postgres {
    type Store = PostgresStore;

    fn fresh() -> Self {
        Self(runtime().block_on(kit::fresh()))
    }

    fn store(&self) -> &PostgresStore {
        &self.0
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        runtime().block_on(future)
    }
}

suite!(
    #[ignore = "needs PostgreSQL: .ci/interop runs it"]
    Postgres
);
