//! The start of `async-io`, which panics where the system refuses what it needs, such as
//! file descriptors. The other runtimes say so by themselves.

use std::{io, sync::OnceLock, time::Duration};

use smol::{Timer, future};

/// Starts the reactor of this process, unless it runs already. A delivery does so when it
/// begins; a program that wants to hear of it before calls this first, also before
/// `smol::block_on`, which starts a reactor too.
///
/// # Errors
/// The system refuses something that the reactor needs. The call may succeed later.
pub fn start_reactor() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.get().is_some() {
        return Ok(());
    }
    // It is made and given back at once, and then made again by the reactor.
    drop(polling::Poller::new()?);
    // A timer that has to wait is what starts it.
    future::block_on(future::poll_once(Timer::after(Duration::from_secs(3600))));
    STARTED.get_or_init(|| ());
    Ok(())
}
