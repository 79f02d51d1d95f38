//! Conversations with Postfix's other processes: they announce themselves, are told something, and answer.

use std::{
    fmt,
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::Arc,
    time::Duration,
};

use crate::fatal::words;

use nix::{
    errno::Errno,
    sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, socket},
};
use postfix_ipc::{
    announce::Service,
    attr::{List, ListError, ListReader},
    exchange::{Exchange, ExchangeStep},
};

/// A conversation of more than questions and answers.
#[derive(Debug)]
pub(crate) struct Conversation {
    stream: UnixStream,
    path: String,
    lists: ListReader,
}

/// A conversation that has failed.
#[derive(Debug)]
pub(crate) enum TalkError {
    /// Nobody can be reached at this path.
    Connect(String, io::Error),
    /// Nobody listens any more.
    Write(String, io::Error),
    /// The answer of the other end cannot be understood.
    List(ListError),
}

impl fmt::Display for TalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(path, error) => write!(f, "connect to {path}: {}", words(error)),
            Self::Write(path, error) => write!(f, "write {path} socket: {}", words(error)),
            Self::List(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TalkError {}

impl Conversation {
    /// Reaches the service `name`, whose path is relative to the queue directory. `limit` is for each read and write
    /// (`ipc_timeout`).
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub(crate) fn open(service: Service, name: &str, limit: Duration) -> Result<Self, TalkError> {
        let path = service.path(name);
        let stream = connect(&path, limit)?;
        let peer: Arc<str> = format!("{path} socket").into();
        Ok(Self {
            stream,
            path,
            lists: ListReader::new(peer),
        })
    }

    /// Returns whether the other end is still there, and has said nothing that was not read.
    pub(crate) fn is_quiet(&self) -> bool {
        let heard = socket::recv(
            self.stream.as_raw_fd(),
            &mut [0],
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK,
        );
        self.lists.buffered() == 0 && matches!(heard, Err(Errno::EAGAIN))
    }

    /// Reads the next list.
    ///
    /// # Errors
    /// It does not come, or is another.
    pub(crate) fn hear<T: List>(&mut self) -> Result<T, TalkError> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(list) = self.lists.next_list().map_err(TalkError::List)? {
                return Ok(list);
            }
            match read(&mut self.stream, &mut bytes) {
                None => return Err(TalkError::List(self.lists.timed_out())),
                Some([]) => return Err(TalkError::List(self.lists.cut_off())),
                Some(bytes) => self.lists.push(bytes),
            }
        }
    }

    /// Sends what was encoded.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), TalkError> {
        write(&mut self.stream, &self.path, bytes)
    }
}

/// Tells a service something, and returns what it answers.
///
/// # Errors
/// It cannot be reached, or is another than it should be.
pub(crate) fn ask<T: List>(
    service: Service,
    name: &str,
    limit: Duration,
    question: &impl List,
) -> Result<T, TalkError> {
    let path = service.path(name);
    let mut stream = connect(&path, limit)?;
    let mut exchange = Exchange::new(service, format!("{path} socket"), question);
    let mut bytes = [0; 4096];
    loop {
        match exchange.poll() {
            ExchangeStep::Answer(answer) => return Ok(answer),
            ExchangeStep::Failed(error) => return Err(TalkError::List(error)),
            ExchangeStep::Write(bytes) => write(&mut stream, &path, &bytes)?,
            // One question is asked, and its answer ends this.
            ExchangeStep::Read | ExchangeStep::Idle => match read(&mut stream, &mut bytes) {
                Some(read) => exchange.read(read),
                None => exchange.timed_out(),
            },
        }
    }
}

/// Waits for another process. If other requests share the thread, another one takes them over.
pub(crate) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(wait)
}

fn connect(path: &str, limit: Duration) -> Result<UnixStream, TalkError> {
    let open = || {
        let flags = SockFlag::SOCK_CLOEXEC;
        let stream: UnixStream = socket(AddressFamily::Unix, SockType::Stream, flags, None)?.into();
        stream.set_read_timeout(Some(limit))?;
        // It is that of connect(2), too: a service may not come to accept.
        stream.set_write_timeout(Some(limit))?;
        socket::connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(stream)
    };
    open().map_err(|error| TalkError::Connect(path.to_owned(), error))
}

/// Reads what has come; empty at the end, and `None` if nothing comes.
fn read<'a>(stream: &mut UnixStream, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    loop {
        match stream.read(bytes) {
            Ok(length) => return bytes.get(..length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => return Some(&[]),
        }
    }
}

fn write(stream: &mut UnixStream, path: &str, bytes: &[u8]) -> Result<(), TalkError> {
    let gone = |error| TalkError::Write(path.to_owned(), error);
    stream.write_all(bytes).map_err(gone)
}
