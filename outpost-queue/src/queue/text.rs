//! Texts on their way into the store: whole ones, and those that come in pieces, of which a few are in memory at a time.

use std::{future::poll_fn, io};

use bytes::{Bytes, BytesMut};
use outpost::{
    Envelope, Message,
    message::{Facts, Scan},
};
use smtp_policy::{
    line_ends::{LineEnds, StrayCr},
    text::TextSource,
};

use crate::{
    model::MessageId,
    operation::{Append, Begin, Submitted},
    store::{CHUNK, Store, StoreError},
};

use super::{Queue, Route, SubmitError};

/// The bytes that are written in one transaction: some pieces.
const AT_ONCE: usize = 4 * CHUNK;

/// Reads the whole text of a message.
pub(super) async fn whole(message: &Message) -> Result<Bytes, SubmitError> {
    let mut source = message.text();
    let length = usize::try_from(message.facts().length).unwrap_or(usize::MAX);
    let first = read(&mut source, 0, length.max(1)).await?;
    if first.len() == length {
        return Ok(first);
    }
    let mut text = BytesMut::with_capacity(length);
    let mut next = first;
    while !next.is_empty() {
        text.extend_from_slice(&next);
        next = read(&mut source, text.len() as u64, CHUNK).await?;
    }
    match text.len() == length {
        true => Ok(text.freeze()),
        false => Err(changed(message.facts().length, text.len() as u64)),
    }
}

async fn read(source: &mut impl TextSource, offset: u64, room: usize) -> io::Result<Bytes> {
    poll_fn(|cx| source.poll_read(cx, offset, room)).await
}

fn changed(expected: u64, found: u64) -> SubmitError {
    let why = format!("the text has {found} bytes and not {expected} any more");
    io::Error::new(io::ErrorKind::InvalidData, why).into()
}

/// A message whose text comes in pieces, of any size and in any number. It is in the queue when it is
/// [submitted](Self::submit); one that is dropped before that is cleaned up some day.
#[derive(Debug)]
pub struct Incoming<S> {
    queue: Queue<S>,
    message: MessageId,
    /// The bytes that have not been written yet: fewer than are written at once.
    pending: BytesMut,
    /// The number of pieces that are written.
    written: u32,
    line_ends: LineEnds,
    scan: Scan,
    length: u64,
}

impl<S: Store> Queue<S> {
    /// Begins a message whose text comes in pieces.
    ///
    /// # Errors
    /// The reason why the store does not.
    pub async fn begin(&self) -> Result<Incoming<S>, StoreError> {
        Ok(Incoming {
            queue: self.clone(),
            message: self.store.run(Begin).await?,
            pending: BytesMut::new(),
            written: 0,
            line_ends: LineEnds::new(StrayCr::Replace),
            scan: Scan::default(),
            length: 0,
        })
    }
}

impl<S: Store> Incoming<S> {
    /// Takes the next bytes, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
    ///
    /// # Errors
    /// The reason why the store does not take them.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), SubmitError> {
        match bytes.is_empty() {
            // To the line ends, this would be the end.
            true => Ok(()),
            false => self.take(bytes).await,
        }
    }

    async fn take(&mut self, bytes: Bytes) -> Result<(), SubmitError> {
        let text = self.line_ends.push(bytes);
        let text = text.map_err(|stray| io::Error::new(io::ErrorKind::InvalidData, stray))?;
        self.scan.push(&text);
        self.append(text).await
    }

    /// Takes text whose lines end in LF.
    async fn append(&mut self, text: Bytes) -> Result<(), SubmitError> {
        self.length += text.len() as u64;
        self.pending.extend_from_slice(&text);
        while self.pending.len() >= AT_ONCE {
            let text = self.pending.split_to(AT_ONCE).freeze();
            self.write(text).await?;
        }
        Ok(())
    }

    async fn write(&mut self, text: Bytes) -> Result<(), SubmitError> {
        let number = self.written;
        let pieces = u32::try_from(text.len().div_ceil(CHUNK)).unwrap_or(u32::MAX);
        let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "the text is too long");
        self.written = number.checked_add(pieces).ok_or_else(too_long)?;
        let message = self.message;
        let append = Append {
            message,
            number,
            text,
        };
        Ok(self.queue.store.run(append).await?)
    }

    /// Takes all of a text whose lines end in LF.
    pub(super) async fn copy(&mut self, mut source: impl TextSource) -> Result<(), SubmitError> {
        loop {
            let text = read(&mut source, self.length, CHUNK).await?;
            if text.is_empty() {
                return Ok(());
            }
            self.append(text).await?;
        }
    }

    /// Writes what is left.
    pub(super) async fn into_text(mut self) -> Result<Submitted, SubmitError> {
        let rest = self.pending.split().freeze();
        if !rest.is_empty() {
            self.write(rest).await?;
        }
        Ok(Submitted::Before(self.message, self.length))
    }

    /// The facts of what was pushed so far.
    fn end(&mut self) -> Facts {
        std::mem::take(&mut self.scan).finish()
    }

    /// Ends the text, and adds the message to the queue.
    ///
    /// # Errors
    /// A recipient that has no destination; what keeps the store from taking it.
    pub async fn submit(
        mut self,
        envelope: Envelope,
        route: &Route,
    ) -> Result<MessageId, SubmitError> {
        self.take(Bytes::new()).await?;
        let facts = self.end();
        let queue = self.queue.clone();
        let mut submission = route.submission(envelope, &facts, queue.recipient_limit)?;
        submission.text = self.into_text().await?;
        Ok(queue.submit(submission).await?)
    }
}
