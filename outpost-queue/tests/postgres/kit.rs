//! Servers, schemas and messages for tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use outpost_queue::{
    model::{DestinationName, Kind, WorkerName},
    operation::{
        Addressee, Admit, Claim, Claimed, Conclude, Conclusion, Right, Submission, Submitted,
    },
    rules::Rules,
    store::postgres::PostgresStore,
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};
use tokio_postgres::{Client, NoTls};

/// The address of the server that is there for all tests.
pub(crate) fn server() -> String {
    std::env::var("OUTPOST_TEST_POSTGRES")
        .unwrap_or_else(|_| panic!("OUTPOST_TEST_POSTGRES names no server"))
}

/// A name that no other test has.
pub(crate) fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// An address with parameters more.
pub(crate) fn with(url: &str, parameters: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{parameters}")
}

/// An empty store on the server of all.
pub(crate) async fn fresh() -> PostgresStore {
    open(&server(), &name()).await
}

/// The store in this schema.
pub(crate) async fn open(server: &str, schema: &str) -> PostgresStore {
    PostgresStore::open(&with(server, &format!("schema={schema}")))
        .await
        .unwrap()
}

/// A connection beside the store.
pub(crate) async fn client(server: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A server of a test's own. It is stopped with the test.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    options: Vec<String>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .unwrap();
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self {
            folder,
            options,
            url: String::new(),
        };
        server.url = server.go("start");
        server
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again.
    pub(crate) fn up(&self) {
        assert_eq!(self.go("start"), self.url);
    }

    /// Ends it in order.
    pub(crate) fn stop(&self) {
        self.go("stop");
    }

    /// Ends it as if the machine had failed.
    pub(crate) fn kill(&self) {
        self.go("kill");
    }

    fn go(&self, what: &str) -> String {
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.ci/interop.d/queue/start-postgres");
        let mut command = Command::new(script);
        command.arg(what).arg(self.folder.path());
        if what == "start" {
            command.args(&self.options);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.go("stop");
        }
    }
}

pub(crate) fn submission(to: &str) -> Submission {
    let address = Address::parse(to).unwrap();
    let destination = format!("smtp:{}", to.rsplit_once('@').unwrap().1);
    Submission {
        kind: Kind::Mail,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        recipients: vec![Addressee {
            recipient: Recipient::new(address),
            destination: destination.parse::<DestinationName>().unwrap(),
        }],
        recipient_limit: 50,
        text: Submitted::Text("Subject: hi\n\nhello\n".into()),
    }
}

pub(crate) fn submissions(count: usize, destinations: usize) -> Vec<Submission> {
    (0..count)
        .map(|n| submission(&format!("a{n}@d{}.example", n % destinations)))
        .collect()
}

pub(crate) fn worker(name: &str) -> WorkerName {
    WorkerName(name.into())
}

pub(crate) fn admit(name: &str, want: usize) -> Admit {
    Admit {
        worker: worker(name),
        want,
        look: want,
        rules: Rules::default(),
    }
}

pub(crate) fn claim(name: &str, want: usize) -> Claim {
    Claim {
        worker: worker(name),
        want,
        rules: Rules::default(),
    }
}

pub(crate) fn right(one: &Claimed) -> Right {
    Right {
        task: one.task.id,
        fence: one.task.fence,
    }
}

/// The end of attempts in which everybody's outcome was the same.
pub(crate) fn conclude(claimed: &[Claimed], status: Status) -> Conclude {
    let code = if status == Status::Sent { 2 } else { 4 };
    let outcome = Outcome::new(status, EnhancedStatus::new(code, 0, 0), "so it is");
    let end = |one: &Claimed| Conclusion {
        right: right(one),
        outcomes: one
            .recipients
            .iter()
            .map(|one| (one.number, outcome.clone()))
            .collect::<BTreeMap<_, _>>(),
    };
    Conclude {
        conclusions: claimed.iter().map(end).collect(),
        rules: Rules::default(),
    }
}
