//! The queue file of a message: opened and locked for one request, read for its text, marked.

use std::{
    fmt,
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt},
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use nix::{
    fcntl::{Flock, FlockArg},
    libc,
};
use postfix_ipc::queue_file::{CORRUPT_MODE, ContentText, Corruption, Hashing, Mark, QueueFile};
use smtp_policy::text::TextSource;

use crate::fatal::words;

/// An open queue file under a shared lock, which the queue manager and postsuper(1) respect.
#[derive(Debug)]
pub(crate) struct Message {
    name: QueueFile,
    file: Arc<Flock<File>>,
    /// The size that it had, in bytes.
    size: u64,
    corruption: Arc<OnceLock<Corruption>>,
}

/// A queue file that cannot be used, in Postfix's words.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The file is gone, or is none. So the message is, or it is elsewhere by now.
    Gone(String),
    /// Anything else; in Postfix it ends the process.
    Fatal(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Gone(text) | Self::Fatal(text)) = self;
        f.write_str(text)
    }
}

impl Message {
    /// Opens a queue file in the queue directory, where this process is.
    ///
    /// # Errors
    /// It is not there, cannot be opened or locked, or is no regular file.
    pub(crate) fn open(name: QueueFile, shown: &str, hashing: &Hashing) -> Result<Self, OpenError> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(name.path(hashing));
        let file = opened.map_err(|error| {
            let text = format!("open {shown}: {}", words(&error));
            match error.kind() {
                io::ErrorKind::NotFound => OpenError::Gone(text),
                io::ErrorKind::IsADirectory => irregular(&name),
                _ => OpenError::Fatal(text),
            }
        })?;
        let size = match file.metadata() {
            Ok(data) if data.is_file() => data.len(),
            _ => return Err(irregular(&name)),
        };
        let locked = Flock::lock(file, FlockArg::LockSharedNonblock);
        let file = locked.map_err(|(_, error)| {
            OpenError::Fatal(format!("shared lock {name}: {}", words(&error.into())))
        })?;
        Ok(Self {
            name,
            file: Arc::new(file),
            size,
            corruption: Arc::default(),
        })
    }

    /// The text, whose first record is at `offset`.
    pub(crate) fn text(&self, offset: u64) -> Text {
        let (file, size) = (Arc::clone(&self.file), self.size);
        let read: ReadAt = Box::new(move |offset, length| {
            // No more room than there is something for, and some, since the end has to be seen.
            let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
            read_at(&file, offset, length.min(left.saturating_add(1)))
        });
        Text {
            content: ContentText::new(read, offset),
            corruption: Arc::clone(&self.corruption),
        }
    }

    /// The damage of the text, once somebody has read so far.
    pub(crate) fn corruption(&self) -> Option<&Corruption> {
        self.corruption.get()
    }

    /// Notes in the file that a recipient is done with.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn mark(&self, mark: Mark) -> io::Result<()> {
        self.file.write_all_at(&[Mark::BYTE], mark.offset)
    }

    /// Gives the file the mode by which the queue manager knows what cannot be read.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn set_corrupt(&self) -> io::Result<()> {
        self.file
            .set_permissions(Permissions::from_mode(CORRUPT_MODE))
    }

    /// The name, `active/ID`.
    pub(crate) fn name(&self) -> &QueueFile {
        &self.name
    }
}

fn irregular(name: &QueueFile) -> OpenError {
    OpenError::Gone(format!("{name}: not a regular file"))
}

/// Reads a piece of a file.
type ReadAt = Box<dyn FnMut(u64, usize) -> io::Result<Bytes> + Send>;

/// The text of a message. Tells the [`Message`] of what is wrong with it.
pub(crate) struct Text {
    content: ContentText<ReadAt>,
    corruption: Arc<OnceLock<Corruption>>,
}

impl TextSource for Text {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        let read = self.content.read(offset, room);
        if let Err(error) = &read
            && let Some(found) = error
                .get_ref()
                .and_then(|error| error.downcast_ref::<Corruption>())
        {
            // The first one counts.
            let _ = self.corruption.set(found.clone());
        }
        read
    }
}

fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = BytesMut::zeroed(length);
    loop {
        match file.read_at(&mut bytes, offset) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes.freeze());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
