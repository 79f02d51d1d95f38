//! Sockets, and who hears of what happens to them.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mio::{Interest, Registry};
use socket2::Socket;

use crate::wait::TOKEN;

/// A socket, and the poll that it is registered with. It stays so while the connection is
/// kept.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Socket,
    source: system::Source,
    by: Mutex<Option<Registered>>,
    /// Somebody has waited for the socket. Before that, whatever comes is still to be heard of.
    waited_for: AtomicBool,
}

/// A poll, and what it tells of a socket.
#[derive(Debug)]
struct Registered {
    registry: Arc<Registry>,
    interest: Interest,
}

impl Watched {
    pub(crate) fn new(inner: Socket) -> io::Result<Self> {
        Ok(Self {
            source: system::Source::new(&inner)?,
            inner,
            by: Mutex::default(),
            waited_for: AtomicBool::new(false),
        })
    }

    /// Returns whether somebody has waited for the socket.
    pub(crate) fn was_waited_for(&self) -> bool {
        self.waited_for.load(Ordering::Relaxed)
    }

    /// Has whoever waits with the poll of this registry hear that the socket is ready for
    /// `interest`, and for what it was registered for before, and nobody else. A poll that hears
    /// of an interest for the first time also hears of what came before.
    pub(crate) fn register(&self, registry: &Arc<Registry>, interest: Interest) -> io::Result<()> {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        self.source.with(&self.inner, |source| {
            match &mut *by {
                Some(known) if Arc::ptr_eq(&known.registry, registry) => {
                    let both = known.interest | interest;
                    if both != known.interest {
                        registry.reregister(source, TOKEN, both)?;
                        known.interest = both;
                    }
                    return Ok(());
                }
                Some(known) => {
                    known.registry.deregister(source)?;
                    *by = None;
                }
                None => {}
            }
            registry.register(source, TOKEN, interest)?;
            *by = Some(Registered {
                registry: Arc::clone(registry),
                interest,
            });
            Ok(())
        })
    }

    /// Reads or writes without waiting, and has the system tell again when there is more.
    pub(crate) fn attempt(
        &self,
        transfer: impl FnOnce(&Socket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.source.attempt(|| transfer(&self.inner))
    }

    /// Notes that whoever asks is about to wait for the socket.
    pub(crate) fn wait_for(&self) {
        self.waited_for.store(true, Ordering::Relaxed);
    }
}

/// The source that mio watches: a file descriptor.
#[cfg(unix)]
mod system {
    use std::{io, os::fd::AsRawFd};

    use mio::{event, unix::SourceFd};
    use socket2::Socket;

    #[derive(Debug)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new(_: &Socket) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn with<T>(
            &self,
            socket: &Socket,
            look: impl FnOnce(&mut dyn event::Source) -> T,
        ) -> T {
            look(&mut SourceFd(&socket.as_raw_fd()))
        }

        pub(super) fn attempt<T>(&self, transfer: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            transfer()
        }
    }
}

/// The source that mio watches: a second handle of the socket. Whatever its kind, mio holds it as a TCP
/// connection, of which nothing but readiness matters here. It has to know what would have had to wait.
#[cfg(not(unix))]
mod system {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use mio::{event, net::TcpStream};
    use socket2::Socket;

    #[derive(Debug)]
    pub(super) struct Source(Mutex<TcpStream>);

    impl Source {
        pub(super) fn new(socket: &Socket) -> io::Result<Self> {
            let stream = TcpStream::from_std(socket.try_clone()?.into());
            Ok(Self(Mutex::new(stream)))
        }

        pub(super) fn with<T>(
            &self,
            _: &Socket,
            look: impl FnOnce(&mut dyn event::Source) -> T,
        ) -> T {
            look(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        pub(super) fn attempt<T>(&self, transfer: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            stream.try_io(transfer)
        }
    }
}
