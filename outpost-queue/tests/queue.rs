//! The way into the queue: what goes in together, what comes in pieces, and what is kept of an envelope.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use outpost::{Envelope, EnvelopeId, Message, Notify, Recipient, Ret, message::Scan};
use outpost_queue::{
    model::{MessageState, Timestamp, WorkerName},
    operation::{Admit, Submission},
    queue::{Queue, Route, SubmitError},
    rules::Rules,
    store::{
        CHUNK, Operation, Store, StoreError,
        memory::{Fault, MemoryStore},
    },
};
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    request::{CacheHints, ClientInfo, ClientSource, DeliveryFlags, Encoding, Request, TlsWish},
    text::TextSource,
};

fn store() -> MemoryStore {
    MemoryStore::new(|| Timestamp::since_epoch(Duration::from_secs(1_000_000)))
}

fn envelope() -> Envelope {
    Envelope::new("me@example.org", ["you@example.com"]).unwrap()
}

/// A store that takes its time.
#[derive(Clone)]
struct Slow(MemoryStore);

impl Store for Slow {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.run(operation).await
    }
}

/// Counts submissions of a store that does not fail.
fn counting() -> (MemoryStore, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let store = store().with_faults(move |name| {
        counted.fetch_add(usize::from(name.contains("Submit")), Ordering::Relaxed);
        None
    });
    (store, count)
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_transaction_is_under_way_goes_together() {
    let (store, count) = counting();
    let queue = Queue::on_tokio(Slow(store.clone()));
    let message = Message::from("Subject: x\n\nx\n");
    let send = |_| queue.send(envelope(), &message, &Route::Direct);
    let first = tokio::spawn({
        let (queue, message) = (queue.clone(), message.clone());
        async move { queue.send(envelope(), &message, &Route::Direct).await }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    let ids = join_all((0..100).map(send)).await;
    first.await.unwrap().unwrap();
    let mut ids: Vec<_> = ids.into_iter().map(Result::unwrap).collect();
    ids.dedup();
    assert_eq!((ids.len(), count.load(Ordering::Relaxed)), (100, 2));
    assert_eq!(store.rows().messages.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded() {
    let (store, count) = counting();
    let queue = Queue::on_tokio(Slow(store));
    let message = Message::from("x".repeat(1 << 20));
    let send = |_| queue.send(envelope(), &message, &Route::Direct);
    // 200 MiB, of which 64 are let in, and 8 go together.
    join_all((0..200).map(send))
        .await
        .into_iter()
        .for_each(|sent| assert!(sent.is_ok()));
    assert!((25..40).contains(&count.load(Ordering::Relaxed)));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_in_time_has_submitted_nothing() {
    let (store, _) = counting();
    let queue = Queue::on_tokio(Slow(store.clone()));
    let message = Message::from("Subject: x\n\nx\n");
    let mut first = Box::pin(queue.send(envelope(), &message, &Route::Direct));
    assert!((&mut first).now_or_never().is_none());
    tokio::task::yield_now().await;
    let mut second = Box::pin(queue.send(envelope(), &message, &Route::Direct));
    assert!((&mut second).now_or_never().is_none());
    drop(second);
    first.await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.rows().messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_store_cannot_take_is_no_harm_to_the_others() {
    let queue = Queue::on_tokio(Slow(store()));
    let message = Message::from("Subject: x\n\nx\n");
    let good = queue.send(envelope(), &message, &Route::Direct);
    let request = Request::new(
        Protocol::Smtp,
        "hop".parse().unwrap(),
        "a@b".parse().unwrap(),
        Vec::new(),
    );
    let bad = queue.submit(Submission::of_request(&request, Vec::new(), 0).unwrap());
    let (good, bad) = futures_util::future::join(good, bad).await;
    good.unwrap();
    assert!(matches!(bad, Err(StoreError::Other(_))));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_without_an_answer_is_taken_once() {
    let unanswered = AtomicUsize::new(0);
    let store = store();
    let faulty = store.clone().with_faults(move |name| {
        let first = name.contains("Submit") && unanswered.fetch_add(1, Ordering::Relaxed) == 0;
        first.then_some(Fault::Unanswered)
    });
    let queue = Queue::on_tokio(faulty);
    let message = Message::from("Subject: x\n\nx\n");
    let id = queue
        .send(envelope(), &message, &Route::Direct)
        .await
        .unwrap();
    let rows = store.rows();
    assert_eq!(rows.messages.keys().collect::<Vec<_>>(), [&id]);
}

#[tokio::test(start_paused = true)]
async fn a_text_comes_in_pieces_and_is_looked_at_as_it_passes() {
    let store = store();
    let queue = Queue::on_tokio(store.clone());
    let mut incoming = queue.begin().await.unwrap();
    let mut expected = Vec::new();
    incoming
        .push("Subject: gr\u{fc}\u{df}e\r\n\r\n".into())
        .await
        .unwrap();
    expected.extend_from_slice("Subject: gr\u{fc}\u{df}e\n\n".as_bytes());
    for _ in 0..50_000 {
        incoming
            .push(Bytes::from_static(b"a line of thirty-three bytes, \r"))
            .await
            .unwrap();
        incoming.push(Bytes::from_static(b"\n")).await.unwrap();
        expected.extend_from_slice(b"a line of thirty-three bytes, \n");
    }
    let id = incoming.submit(envelope(), &Route::Direct).await.unwrap();
    let mut scan = Scan::default();
    scan.push(&expected);
    let rows = store.rows();
    let message = &rows.messages[&id];
    assert_eq!(message.state, MessageState::Queued);
    assert_eq!(message.size, expected.len() as u64);
    let pieces: Vec<u8> = rows.chunks.values().flatten().copied().collect();
    assert!(pieces == expected);
    assert!(
        rows.chunks
            .values()
            .rev()
            .skip(1)
            .all(|piece| piece.len() == CHUNK)
    );
    let request = read(message);
    assert!(request.header_utf8);
    assert_eq!(
        (request.size, request.encoding),
        (Some(scan.finish().size), Encoding::EightBit)
    );
}

/// The request of a message, as for a delivery.
fn read(message: &outpost_queue::model::Message) -> Request {
    let recipient = Recipient::new("you@example.com".parse().unwrap());
    let destination = "smtp:example.com".parse().unwrap();
    message
        .request(&destination, &[&recipient], Duration::ZERO)
        .unwrap()
}

/// A store that keeps nothing of texts but their lengths, and remembers how much came at a time.
#[derive(Clone)]
struct Forgetful {
    store: MemoryStore,
    nothing: Bytes,
    most: Arc<AtomicUsize>,
}

impl Store for Forgetful {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let output = self.store.run(operation).await;
        let mut fresh = 0;
        for piece in self.store.rows().chunks.values_mut() {
            if piece.as_ptr() != self.nothing.as_ptr() {
                fresh += piece.len();
                *piece = self.nothing.slice(..piece.len());
            }
        }
        self.most.fetch_max(fresh, Ordering::Relaxed);
        output
    }
}

/// Two gigabytes of text.
struct Long(u64, Bytes);

impl TextSource for Long {
    fn read(&mut self, offset: u64, room: usize) -> std::io::Result<Bytes> {
        let left = usize::try_from(self.0 - offset.min(self.0)).unwrap();
        Ok(self.1.slice(..left.min(room).min(self.1.len())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_of_two_gigabytes_passes_in_pieces() {
    const LENGTH: u64 = 2 << 30;
    let (store, most) = (store(), Arc::new(AtomicUsize::new(0)));
    let queue = Queue::on_tokio(Forgetful {
        store: store.clone(),
        nothing: vec![0; CHUNK].into(),
        most: Arc::clone(&most),
    });
    let mut facts = *Message::from("x\n").facts();
    (facts.length, facts.size) = (LENGTH, LENGTH + 1);
    let line = Bytes::from(vec![b'x'; 100_000]);
    let message = Message::from_source(facts, move || Long(LENGTH, line.clone()));
    let id = queue
        .send(envelope(), &message, &Route::Direct)
        .await
        .unwrap();
    assert_eq!(store.rows().messages[&id].size, LENGTH);
    assert_eq!(most.load(Ordering::Relaxed), 4 * CHUNK);
}

#[tokio::test(start_paused = true)]
async fn every_field_of_a_request_comes_back() {
    let store = store();
    let queue = Queue::on_tokio(store.clone());
    let mut recipient = Recipient::new("\u{fc}@example.com".parse().unwrap());
    recipient.original = Some("alias@example.com".parse().unwrap());
    recipient.orcpt = Some("rfc822;alias@example.com".parse().unwrap());
    recipient.notify = Notify::FAILURE;
    let mut request = Request::new(
        Protocol::Lmtp,
        "unix:/run/Mailbox".parse().unwrap(),
        "me@example.org".parse().unwrap(),
        vec![recipient.clone()],
    );
    request.envid = Some(EnvelopeId::parse("4711+x").unwrap());
    request.ret = Some(Ret::Hdrs);
    (request.smtputf8, request.header_utf8) = (true, true);
    (request.encoding, request.stray_cr) = (Encoding::EightBit, StrayCr::Pass);
    request.size = Some(4711);
    request.tls = TlsWish::Waived;
    request.cache = CacheHints {
        load: true,
        store: false,
    };
    request.flags = DeliveryFlags {
        return_path: true,
        ..DeliveryFlags::default()
    };
    request.client = Some(ClientInfo {
        name: "client.example".parse().unwrap(),
        address: "192.0.2.1".parse().unwrap(),
        source: Some(ClientSource::Remote),
        ..ClientInfo::default()
    });
    let addressee = outpost_queue::operation::Addressee {
        recipient,
        destination: outpost_queue::model::DestinationName::new(request.protocol, &request.nexthop),
    };
    let submission = Submission::of_request(&request, vec![addressee], 50).unwrap();
    let id = queue.submit(submission).await.unwrap();
    let admit = Admit {
        worker: WorkerName("one".into()),
        want: 1,
        look: 1,
        rules: Rules::default(),
    };
    let (_, claimed) = store.run(admit).await.unwrap();
    let read = claimed[0].request().unwrap();
    request.id = id.to_string().parse().unwrap();
    assert_eq!(read, request);
}

#[tokio::test(start_paused = true)]
async fn recipients_are_grouped_by_their_domain_or_go_one_way() {
    let store = store();
    let queue = Queue::on_tokio(store.clone()).with_recipient_limit(2);
    let to = [
        "a@one.example",
        "b@two.example",
        "c@ONE.example",
        "d@one.example",
    ];
    let envelope = || Envelope::new("", to).unwrap();
    let message = Message::from("Subject: x\n\nx\n");
    queue
        .send(envelope(), &message, &Route::Direct)
        .await
        .unwrap();
    let tasks = |from: usize| -> Vec<String> {
        let rows = store.rows();
        let of = |task: &outpost_queue::model::Task| {
            let mine = rows.recipients.values().filter(|one| one.task == task.id);
            format!("{} {}", task.destination, mine.count())
        };
        rows.tasks.values().skip(from).map(of).collect()
    };
    assert_eq!(
        tasks(0),
        [
            "smtp:one.example 2",
            "smtp:two.example 1",
            "smtp:one.example 1"
        ]
    );
    let relay = Route::Via(Protocol::Lmtp, "unix:/run/lmtp".parse().unwrap());
    queue.send(envelope(), &message, &relay).await.unwrap();
    assert_eq!(tasks(3), ["lmtp:unix:/run/lmtp 2", "lmtp:unix:/run/lmtp 2"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_way_is_refused_at_once() {
    let queue = Queue::on_tokio(store());
    let message = Message::from("Subject: x\n\nx\n");
    let to = |to: &[&str]| {
        let to = to
            .iter()
            .map(|to| Recipient::new(to.parse().unwrap()))
            .collect();
        Envelope::from_parts("me@example.org".parse().unwrap(), to)
    };
    let nobody = queue.send(to(&[]), &message, &Route::Direct).await;
    assert!(matches!(nobody, Err(SubmitError::NoRecipient)));
    let local = queue
        .send(to(&["a@b", "joe"]), &message, &Route::Direct)
        .await;
    assert_eq!(
        local.unwrap_err().to_string(),
        "recipient 'joe': there is no domain to deliver to"
    );
}
