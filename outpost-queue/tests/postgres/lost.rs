//! A commit whose answer is lost: it is found out what became of it.

use std::{
    net::TcpListener as StdListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use outpost_queue::{
    model::MessageId,
    operation::Submit,
    store::{Operation, Store, StoreError, Transaction},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::kit::{Server, admit, name, open, submissions};

/// Stands between a store and its server. When it is armed, the next commit goes through and its answer does not: the
/// connection ends.
async fn stand_between(listener: TcpListener, server: String, armed: Arc<AtomicBool>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(&server).await.unwrap();
        tokio::spawn(pass_on(client, server, Arc::clone(&armed)));
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicBool>) {
    let (mut said, mut heard) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            count = client.read(&mut said) => {
                let Ok(count @ 1..) = count else { return };
                server.write_all(&said[..count]).await.unwrap();
                let commits = said[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                if commits && armed.swap(false, Ordering::SeqCst) {
                    // The server ends when it has read all, and has nobody to tell.
                    let _ = server.shutdown().await;
                    while matches!(server.read(&mut heard).await, Ok(1..)) {}
                    return;
                }
            }
            count = server.read(&mut heard) => {
                let Ok(count @ 1..) = count else { return };
                client.write_all(&heard[..count]).await.unwrap();
            }
        }
    }
}

/// A submission that counts how often it is run.
struct Counted(Submit, Arc<AtomicU32>);

impl Operation for Counted {
    type Output = Vec<MessageId>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<MessageId>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.run(tx).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_submission_whose_answer_is_lost_is_there_once() {
    let port = StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let option = format!("port={port}");
    let _server = Server::start(&["-c", "listen_addresses=127.0.0.1", "-c", &option]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    tokio::spawn(stand_between(
        listener,
        format!("127.0.0.1:{port}"),
        Arc::clone(&armed),
    ));
    let store = open(
        &format!("postgres://postgres@{between}/outpost?sslmode=disable"),
        &name(),
    )
    .await;
    let times = Arc::new(AtomicU32::new(0));
    for round in 1..=3 {
        armed.store(true, Ordering::SeqCst);
        let submit = Counted(Submit::new(submissions(2, 1)), Arc::clone(&times));
        assert_eq!(store.run(submit).await.unwrap().len(), 2);
        assert!(!armed.load(Ordering::SeqCst));
        assert_eq!(times.load(Ordering::SeqCst), 2 * round);
    }
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 6);
}

/// Nobody answers any more after the commit: it is said that nobody knows.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn what_cannot_be_found_out_is_uncertain() {
    let port = StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let option = format!("port={port}");
    let server = Server::start(&["-c", "listen_addresses=127.0.0.1", "-c", &option]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let proxy = tokio::spawn(stand_between(
        listener,
        format!("127.0.0.1:{port}"),
        Arc::clone(&armed),
    ));
    let schema = name();
    let store = open(
        &format!("postgres://postgres@{between}/outpost?sslmode=disable"),
        &schema,
    )
    .await;
    armed.store(true, Ordering::SeqCst);
    let submit = Submit::new(submissions(2, 1));
    // Whoever was let in stays, and nobody else comes in.
    proxy.abort();
    let error = store.run(submit.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Uncertain(_)), "{error}");
    assert!(error.passes());
    // Whoever keeps it can ask later.
    let store = open(&server.url, &schema).await;
    assert_eq!(store.run(submit).await.unwrap().len(), 2);
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 2);
}
