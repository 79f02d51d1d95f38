//! Connections, each with the statements that it knows.

use core::time::Duration;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_postgres::{Client, Config, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{StoreError, errors};

/// The settings of PostgreSQL itself in each connection.
///
/// Plans are made once, and have to be good for tables of any size: they go by indexes alone, since what is read is always
/// a few rows of many. Whoever has taken locks and fallen silent loses them.
const SESSION: &str = "
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET idle_in_transaction_session_timeout = '60s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// The statements that a connection knows, by where their text stands in this program.
#[derive(Debug, Default)]
pub(super) struct Statements(Mutex<HashMap<(usize, usize), Statement>>);

impl Statements {
    pub(super) fn get(&self, sql: &'static str) -> Option<Statement> {
        lock(&self.0).get(&place(sql)).cloned()
    }

    pub(super) fn put(&self, sql: &'static str, statement: Statement) {
        lock(&self.0).insert(place(sql), statement);
    }
}

fn place(sql: &'static str) -> (usize, usize) {
    (sql.as_ptr().addr(), sql.len())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
}

/// The connections of a store.
pub(super) struct Pool {
    config: Config,
    tls: MakeRustlsConnect,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    is_postgres: std::sync::OnceLock<bool>,
}

/// A connection that somebody has. It is closed when it is dropped and not [given back](Lent::give_back): nobody knows then
/// what is under way on it.
pub(super) struct Lent {
    pub(super) connection: Connection,
    pool: Arc<Pool>,
    _turn: OwnedSemaphorePermit,
}

impl Lent {
    /// Gives it back, with nothing under way.
    pub(super) fn give_back(self) {
        if !self.connection.client.is_closed() {
            lock(&self.pool.idle).push(self.connection);
        }
    }
}

impl Pool {
    pub(super) fn new(config: Config, tls: MakeRustlsConnect, connections: usize) -> Arc<Self> {
        Arc::new(Self {
            config,
            tls,
            turns: Arc::new(Semaphore::new(connections)),
            idle: Mutex::default(),
            is_postgres: std::sync::OnceLock::new(),
        })
    }

    /// Returns whether the server is PostgreSQL itself, as far as one was reached.
    pub(super) fn is_postgres(&self) -> bool {
        self.is_postgres.get().copied().unwrap_or(false)
    }

    /// A connection that has nothing under way.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Lent, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let closed = |why| StoreError::Unavailable(format!("connections: {why}"));
        let turn = turn.map_err(closed)?;
        let idle = || {
            let mut idle = lock(&self.idle);
            idle.retain(|one| !one.client.is_closed());
            idle.pop()
        };
        let connection = match idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Lent {
            connection,
            pool: Arc::clone(self),
            _turn: turn,
        })
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        let wrong =
            |_| StoreError::Unusable("PostgreSQL needs tokio, and it does not run here".to_owned());
        let runtime = Handle::try_current().map_err(wrong)?;
        let connect = self.config.connect(self.tls.clone());
        let (client, connection) = connect.await.map_err(|why| errors::of_connect(&why))?;
        // How it ends is told to whoever waits for an answer.
        runtime.spawn(async move { drop(connection.await) });
        let set_up = self.set_up(&client);
        match tokio::time::timeout(Duration::from_secs(30), set_up).await {
            Ok(done) => done?,
            Err(_) => {
                return Err(StoreError::Unavailable(
                    "the server does not answer".to_owned(),
                ));
            }
        }
        Ok(Connection {
            client,
            statements: Statements::default(),
        })
    }

    async fn set_up(&self, client: &Client) -> Result<(), StoreError> {
        let wrong = |why| errors::of_statement(&why);
        let is_postgres = match self.is_postgres.get() {
            Some(known) => *known,
            None => {
                let question = "SELECT version(), current_setting('server_encoding')";
                let row = client.query_one(question, &[]).await.map_err(wrong)?;
                let (version, encoding): (String, String) = (
                    row.try_get(0).map_err(wrong)?,
                    row.try_get(1).map_err(wrong)?,
                );
                check_encoding(&encoding)?;
                // YugabyteDB is PostgreSQL above its storage, and says so: "PostgreSQL 15.2-YB-2.25…".
                let itself = version.starts_with("PostgreSQL") && !version.contains("-YB-");
                *self.is_postgres.get_or_init(|| itself)
            }
        };
        match is_postgres {
            true => client.batch_execute(SESSION).await.map_err(wrong),
            false => Ok(()),
        }
    }
}

/// Refuses a database that cannot keep every text.
fn check_encoding(encoding: &str) -> Result<(), StoreError> {
    match encoding.replace('-', "").eq_ignore_ascii_case("UTF8") {
        true => Ok(()),
        false => Err(StoreError::Unusable(format!(
            "the encoding of the database is {encoding}, and has to be UTF8"
        ))),
    }
}
