//! The suite of all runtimes, and what is tokio's own: its clock that can be paused, and its
//! threads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod tested;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use bytes::Bytes;
use runtime_tests::{
    suite,
    toy::{Toy, policy, request},
};
use runtime_tokio::{AsyncReaderSource, Client};
use smtp_policy::{
    Protocol::Smtp,
    report::Status,
    tables::{Table, TableFailure},
};
use tested::Tokio;

suite!(Tokio);
suite!(Tokio, dropping);
#[cfg(feature = "mta-sts")]
suite!(Tokio, mta_sts);

#[tokio::test(start_paused = true)]
async fn a_paused_clock_runs_to_the_deadline_of_a_silent_server() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        peer.serve_until("EHLO");
        peer.line();
    });
    let start = tokio::time::Instant::now();
    let policy = policy("smtp_helo_timeout = 3h\ndaemon_timeout = 5h", Vec::new());
    let client = Client::new(policy);
    let report = client
        .deliver(request(Smtp, &toy.nexthop, 1), Bytes::new(), ())
        .await;
    assert!(report.all(Status::Deferred), "{report:?}");
    assert!(
        start.elapsed().as_secs() >= 3 * 3600,
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_runtime_ends_while_a_table_still_waits() {
    let (asked, is_asked) = mpsc::channel();
    let (lets_go, may_answer) = mpsc::channel();
    let answered = Arc::new(AtomicUsize::new(0));
    let table = Slow {
        asked,
        may_answer: Mutex::new(may_answer),
        answered: Arc::clone(&answered),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(policy("smtp_tls_policy_maps = external:slow", Vec::new()));
    client.add_table("slow", Arc::new(table));
    let canceller = client.clone();
    let canceller = thread::spawn(move || {
        is_asked.recv().unwrap();
        canceller.cancel();
    });
    let mail = request(Smtp, &Toy::nobody(), 1);
    let report = runtime.block_on(client.deliver(mail, Bytes::new(), ()));
    assert!(report.all(Status::Deferred), "{report:?}");
    canceller.join().unwrap();
    // Waits for the threads that are the runtime's.
    drop(runtime);
    assert_eq!(answered.load(Ordering::SeqCst), 0);
    drop(lets_go);
}

#[test]
fn a_file_of_tokio_is_read_without_a_thread_that_waits() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        peer.serve_until("nothing");
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "0123456789abcde\n".repeat(64 * 1024);
    std::fs::write(file.path(), &text).unwrap();
    let client = Client::new(policy("", Vec::new()));
    let mail = request(Smtp, &toy.nexthop, 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(async {
        let file = tokio::fs::File::open(file.path()).await.unwrap();
        client.deliver(mail, AsyncReaderSource::new(file), ()).await
    });
    assert!(report.all(Status::Sent), "{report:?}");
    assert!(toy.told() == text, "the text is another");
}

/// A table that says when it is asked, and waits until it may answer.
#[derive(Debug)]
struct Slow {
    asked: Sender<()>,
    may_answer: Mutex<Receiver<()>>,
    answered: Arc<AtomicUsize>,
}

impl Table for Slow {
    fn lookup(&self, _: &str) -> Result<Option<String>, TableFailure> {
        let _ = self.asked.send(());
        let _ = self.may_answer.lock().unwrap().recv();
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    }
}
