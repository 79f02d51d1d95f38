//! Message text that several deliveries read, each at its own pace.

use std::{
    fmt,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use smtp_policy::text::{ReaderSource, TextSource};

/// A maker of sources, of which each gives the same text.
type Maker = Arc<dyn Fn() -> Box<dyn TextSource> + Send + Sync>;

/// The text of a message. Clones read the same text, and do not disturb each other.
#[derive(Clone)]
pub struct Text(Kind);

#[derive(Clone)]
enum Kind {
    /// In memory.
    Memory(Bytes),
    /// In a file, which may have no name any more. Each read says its offset, so that clones can
    /// share it.
    File(Arc<Mutex<ReaderSource<File>>>),
    /// A source for this clone, made when it is first read.
    Made(Maker, Lazy),
}

/// A source, once its clone has made it. The lock is never waited for: it lets a text be where several
/// threads see it, which a source cannot.
#[derive(Default)]
struct Lazy(Mutex<Option<Box<dyn TextSource>>>);

impl Lazy {
    fn source(&mut self, make: &Maker) -> &mut dyn TextSource {
        let source = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        source.get_or_insert_with(|| make()).as_mut()
    }
}

impl Clone for Lazy {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Text {
    pub(crate) const fn memory(bytes: Bytes) -> Self {
        Self(Kind::Memory(bytes))
    }

    pub(crate) fn file(file: File) -> io::Result<Self> {
        let source = ReaderSource::new(file)?;
        Ok(Self(Kind::File(Arc::new(Mutex::new(source)))))
    }

    pub(super) fn made(make: Maker) -> Self {
        Self(Kind::Made(make, Lazy::default()))
    }

    /// Returns whether the whole text is held in memory.
    pub const fn is_in_memory(&self) -> bool {
        matches!(self.0, Kind::Memory(_))
    }
}

impl TextSource for Text {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        match &mut self.0 {
            Kind::Memory(bytes) => TextSource::read(bytes, offset, room),
            Kind::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .read(offset, room),
            Kind::Made(make, source) => source.source(make).read(offset, room),
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        match &mut self.0 {
            Kind::Made(make, source) => source.source(make).poll_read(cx, offset, room),
            _ => Poll::Ready(self.read(offset, room)),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Memory(_) => "Text(in memory)",
            Kind::File(_) => "Text(in a file)",
            Kind::Made(..) => "Text(from a source)",
        })
    }
}
