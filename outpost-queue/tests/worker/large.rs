//! A text that is larger than any memory should be: it goes out in pieces, of which a few are there at a time.

use std::{
    any::{Any, type_name},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use outpost_queue::{
    model::{Fate, MessageState},
    operation::ReadText,
    store::{CHUNK, Operation, Store, StoreError, memory::MemoryStore},
};

use crate::kit::{Kit, sent, submission};

/// The text, and the last piece, which is short.
const LENGTH: u64 = (2 << 30) + 1000;

/// The period of the text: no multiple of it is one of `CHUNK`, so that each piece has its own bytes.
const PERIOD: usize = 262_147;

/// Two periods of the text, and more: any piece is in here.
fn pattern() -> Bytes {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    period.repeat(3).into()
}

/// The bytes from `offset` on.
fn at(pattern: &Bytes, offset: u64, length: usize) -> &[u8] {
    let start = usize::try_from(offset % PERIOD as u64).unwrap();
    &pattern[start..start + length]
}

/// Pieces that are in memory.
#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
}

/// A piece that is counted.
struct Piece(Vec<u8>, Arc<Alive>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store that makes the pieces of texts when they are read, and counts marks.
#[derive(Clone)]
struct Endless {
    store: MemoryStore,
    pattern: Bytes,
    alive: Arc<Alive>,
    marks: Arc<AtomicUsize>,
}

impl Endless {
    fn piece(&self, number: u32) -> Option<Bytes> {
        let offset = u64::from(number) * CHUNK as u64;
        let left = LENGTH.checked_sub(offset).filter(|left| *left > 0)?;
        let length = usize::try_from(left.min(CHUNK as u64)).unwrap();
        let bytes = at(&self.pattern, offset, length).to_vec();
        self.alive.made.fetch_add(1, Ordering::Relaxed);
        let now = self.alive.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.alive.most.fetch_max(now, Ordering::Relaxed);
        Some(Bytes::from_owner(Piece(bytes, Arc::clone(&self.alive))))
    }
}

impl Store for Endless {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        if let Some(read) = (&operation as &dyn Any).downcast_ref::<ReadText>() {
            let piece: Box<dyn Any> = Box::new(self.piece(read.number));
            return Ok(*piece.downcast().unwrap());
        }
        if type_name::<O>().contains("Mark") {
            self.marks.fetch_add(1, Ordering::Relaxed);
        }
        self.store.run(operation).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_of_two_gigabytes_goes_out_in_pieces() {
    let pattern = pattern();
    let expected = pattern.clone();
    let marks = Arc::new(AtomicUsize::new(0));
    let marked = Arc::clone(&marks);
    let kit = Kit::new(move |mut attempt| {
        let (expected, marked) = (expected.clone(), Arc::clone(&marked));
        async move {
            let mut offset = 0;
            loop {
                let piece = poll_fn(|cx| attempt.text.poll_read(cx, offset, 200_000));
                let piece = piece.await.unwrap();
                if piece.is_empty() {
                    break;
                }
                assert!(
                    piece == at(&expected, offset, piece.len()),
                    "from byte {offset} on"
                );
                offset += piece.len() as u64;
                assert_eq!(marked.load(Ordering::Relaxed), 0);
            }
            assert_eq!((offset, marked.load(Ordering::Relaxed)), (LENGTH, 1));
            sent()
        }
    });
    let store = Endless {
        store: kit.store.clone(),
        pattern: pattern.clone(),
        alive: Arc::default(),
        marks: Arc::clone(&marks),
    };
    let alive = Arc::clone(&store.alive);
    let worker = kit.worker_on(store, kit.options("one"));
    let id = worker
        .queue()
        .submit(submission(&["a@example.com"]))
        .await
        .unwrap();
    {
        // As if all of it had come in.
        let mut rows = kit.store.rows();
        rows.messages.get_mut(&id).unwrap().size = LENGTH;
        let first = Bytes::copy_from_slice(at(&pattern, 0, CHUNK));
        rows.chunks.insert((id, 0), first);
    }
    tokio::spawn(worker.run());
    kit.until(|rows| rows.messages[&id].state == MessageState::Finished)
        .await;
    assert!(!kit.heard("panicked"), "{:?}", kit.events);
    assert_eq!(kit.store.rows().recipients[&(id, 0)].fate, Fate::Sent);
    assert_eq!((kit.delivered(), marks.load(Ordering::Relaxed)), (1, 1));
    let pieces = usize::try_from(LENGTH.div_ceil(CHUNK as u64)).unwrap();
    // The first came with the claim. The others are read once each; one is being sent while the next is read.
    assert_eq!(alive.made.load(Ordering::Relaxed), pieces - 1);
    assert_eq!(alive.most.load(Ordering::Relaxed), 2);
    assert_eq!(alive.now.load(Ordering::Relaxed), 0);
}
