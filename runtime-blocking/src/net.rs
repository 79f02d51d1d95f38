//! Sockets, and who hears of what happens to them.

use std::{
    io,
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mio::{Interest, Registry, unix::SourceFd};
use socket2::Socket;

use crate::wait::TOKEN;

/// A socket, and the poll that it is registered with. It stays so while the connection is
/// kept.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Socket,
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
    pub(crate) fn new(inner: Socket) -> Self {
        Self {
            inner,
            by: Mutex::default(),
            waited_for: AtomicBool::new(false),
        }
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
        let fd = self.inner.as_raw_fd();
        let mut source = SourceFd(&fd);
        match &mut *by {
            Some(known) if Arc::ptr_eq(&known.registry, registry) => {
                let both = known.interest | interest;
                if both != known.interest {
                    registry.reregister(&mut source, TOKEN, both)?;
                    known.interest = both;
                }
                return Ok(());
            }
            Some(known) => {
                known.registry.deregister(&mut source)?;
                *by = None;
            }
            None => {}
        }
        registry.register(&mut source, TOKEN, interest)?;
        *by = Some(Registered {
            registry: Arc::clone(registry),
            interest,
        });
        Ok(())
    }

    /// Notes that whoever asks is about to wait for the socket.
    pub(crate) fn wait_for(&self) {
        self.waited_for.store(true, Ordering::Relaxed);
    }
}
