//! Sockets, and who hears of what happens to them.

use std::{
    io,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
};

use mio::{Interest, Registry, unix::SourceFd};
use socket2::Socket;

use crate::wait::TOKEN;

/// A socket, and the poll that it is registered with. It stays so while the connection is
/// kept.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Socket,
    by: Mutex<Option<Arc<Registry>>>,
}

impl Watched {
    pub(crate) fn new(inner: Socket) -> Self {
        let by = Mutex::default();
        Self { inner, by }
    }

    /// Has whoever waits with the poll of this registry hear of what happens to the socket,
    /// and nobody else.
    pub(crate) fn register(&self, registry: &Arc<Registry>) -> io::Result<()> {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        if by
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, registry))
        {
            return Ok(());
        }
        let fd = self.inner.as_raw_fd();
        if let Some(before) = by.take() {
            before.deregister(&mut SourceFd(&fd))?;
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&fd), TOKEN, both)?;
        *by = Some(Arc::clone(registry));
        Ok(())
    }
}
