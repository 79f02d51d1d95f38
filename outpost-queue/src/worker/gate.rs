//! The text of a delivery: it is read from the store piece by piece, and at its end it waits until the store has written
//! down that the end is about to go out. Without that, no server ever gets the end.

use core::time::Duration;
use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use smtp_policy::text::{TextSource, must_be_polled};

use crate::{
    batch::{Batcher, Group},
    model::MessageId,
    operation::{Claimed, Mark, ReadText, Right},
    store::{CHUNK, Operation, Store, StoreError},
};

use super::{Courier, pause::Pauses};

/// Marks of several deliveries are made together.
pub(super) struct Marks;

impl Group for Marks {
    type Item = Right;
    type Answer = bool;
    type Operation = Mark;
    const NAME: &'static str = "write down that texts are about to end";

    fn operation(&self, rights: Vec<Right>) -> Mark {
        Mark { rights }
    }

    fn items(operation: Mark) -> Vec<Right> {
        operation.rights
    }

    fn answers(operation: &Mark, output: <Mark as Operation>::Output) -> Vec<bool> {
        let holds = |right| output.contains(right);
        operation.rights.iter().map(holds).collect()
    }
}

/// The bytes that a right counts for in a batch.
pub(super) const RIGHT: usize = 64;

type Reading = Pin<Box<dyn Future<Output = Result<Option<Bytes>, StoreError>> + Send>>;
type Marking = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A text with its gate.
pub(super) struct GatedText<S: Store, C> {
    store: S,
    courier: C,
    marks: Batcher<S, Marks>,
    right: Right,
    patience: Duration,
    message: MessageId,
    size: u64,
    first: Bytes,
    /// The piece that is being sent, if it is not the first.
    piece: Option<(u32, Bytes)>,
    /// The next piece.
    reading: Option<(u32, Reading)>,
    gate: Gate,
    ended: Ended,
}

/// The state of the gate.
enum Gate {
    Closed,
    Marking(Marking),
    Open,
}

/// Says whether the end of a text may have gone out. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<S: Store, C: Courier> GatedText<S, C> {
    pub(super) fn new(
        store: S,
        courier: C,
        marks: Batcher<S, Marks>,
        claimed: &Claimed,
        patience: Duration,
        ended: Ended,
    ) -> Self {
        Self {
            store,
            courier,
            marks,
            right: claimed.right(),
            patience,
            message: claimed.message.id,
            size: claimed.message.size,
            first: claimed.text.clone(),
            piece: None,
            reading: None,
            gate: Gate::Closed,
            ended,
        }
    }

    /// A part of the text that begins at `offset`, which is before its end.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        if let Gate::Open = self.gate {
            // It begins again, at another server.
            self.gate = Gate::Closed;
        }
        let chunk = CHUNK as u64;
        let Ok(number) = u32::try_from(offset / chunk) else {
            return Poll::Ready(Err(missing(offset)));
        };
        if !self.has(number) {
            let bytes = ready!(self.poll_read_piece(cx, number))?;
            self.piece = Some((number, bytes));
        }
        if (u64::from(number) + 1) * chunk < self.size {
            self.read_ahead(cx, number + 1);
        }
        let piece = match &self.piece {
            Some((there, bytes)) if *there == number => bytes,
            _ => &self.first,
        };
        let wanted = self.size.min((u64::from(number) + 1) * chunk) - u64::from(number) * chunk;
        if piece.len() as u64 != wanted {
            return Poll::Ready(Err(missing(offset)));
        }
        let start = usize::try_from(offset % chunk).unwrap_or(usize::MAX);
        let end = piece.len().min(start.saturating_add(room));
        Poll::Ready(Ok(piece.slice(start.min(end)..end)))
    }

    fn has(&self, number: u32) -> bool {
        number == 0
            || self
                .piece
                .as_ref()
                .is_some_and(|(there, _)| *there == number)
    }

    fn read_ahead(&mut self, cx: &mut Context<'_>, number: u32) {
        let reads = |(there, _): &(u32, _)| *there == number;
        if self.has(number) || self.reading.as_ref().is_some_and(reads) {
            return;
        }
        let mut reading = self.read_piece(number);
        if let Poll::Ready(read) = reading.as_mut().poll(cx) {
            reading = Box::pin(async move { read });
        }
        self.reading = Some((number, reading));
    }

    fn read_piece(&self, number: u32) -> Reading {
        let store = self.store.clone();
        let message = self.message;
        Box::pin(async move { store.run(ReadText { message, number }).await })
    }

    fn poll_read_piece(&mut self, cx: &mut Context<'_>, number: u32) -> Poll<io::Result<Bytes>> {
        let mut reading = match self.reading.take() {
            Some((there, reading)) if there == number => reading,
            _ => self.read_piece(number),
        };
        match reading.as_mut().poll(cx) {
            Poll::Ready(Ok(bytes)) => Poll::Ready(Ok(bytes.unwrap_or_default())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending => {
                self.reading = Some((number, reading));
                Poll::Pending
            }
        }
    }

    /// The end of the text.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.gate {
                Gate::Open => return Poll::Ready(Ok(())),
                Gate::Marking(marking) => {
                    let marked = ready!(marking.as_mut().poll(cx));
                    self.gate = Gate::Closed;
                    marked?;
                    self.gate = Gate::Open;
                    self.ended.set();
                }
                Gate::Closed => self.gate = Gate::Marking(self.mark()),
            }
        }
    }

    fn mark(&self) -> Marking {
        let (marks, right) = (self.marks.clone(), self.right);
        let (courier, patience) = (self.courier.clone(), self.patience);
        Box::pin(async move {
            let limit = Box::pin(courier.sleep(patience));
            let marked = Box::pin(mark(&marks, right, &courier));
            match select(marked, limit).await {
                Either::Left((Ok(true), _)) => Ok(()),
                Either::Left((Ok(false), _)) => {
                    Err(io::Error::other("the task is somebody else's by now"))
                }
                Either::Left((Err(error), _)) => Err(io::Error::other(error)),
                Either::Right(_) => Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "the queue could not write down that the message is about to be sent",
                )),
            }
        })
    }
}

/// Writes the mark down. What may pass is tried again.
async fn mark<S: Store>(
    marks: &Batcher<S, Marks>,
    right: Right,
    courier: &impl Courier,
) -> Result<bool, StoreError> {
    let mut pauses = Pauses::new();
    loop {
        match marks.push(right, RIGHT).await {
            Ok(holds) => return Ok(holds),
            Err((_, error)) if !error.passes() => return Err(error),
            Err(_) => courier.sleep(pauses.next()).await,
        }
    }
}

fn missing(offset: u64) -> io::Error {
    let why = format!("the text of the message is not all there from byte {offset} on");
    io::Error::new(ErrorKind::UnexpectedEof, why)
}

impl<S: Store, C: Courier> TextSource for GatedText<S, C> {
    fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(must_be_polled())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        match offset < self.size {
            true => self.poll_piece(cx, offset, room),
            false => self.poll_end(cx).map_ok(|()| Bytes::new()),
        }
    }
}
