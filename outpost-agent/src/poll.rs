//! Waiting for one of several descriptors.

use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::fatal::Fatal;

/// Waits until one of these can be read or has ended, and returns its place in the list: the first, if there are
/// several. `None` after `limit`, if there is one.
///
/// # Errors
/// The system refuses.
pub(crate) fn wait<const N: usize>(
    all: [BorrowedFd<'_>; N],
    limit: Option<Duration>,
) -> Result<Option<usize>, Fatal> {
    let mut descriptors = all.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    let until = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let timeout = match until {
            None => PollTimeout::NONE,
            // Rounded up, so that the last wait is not many short ones.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut descriptors, timeout) {
            Ok(0) if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(Fatal::new(format!("poll: {error}"))),
        }
        let ready = |descriptor: &PollFd<'_>| descriptor.any().unwrap_or(true);
        if let Some(place) = descriptors.iter().position(ready) {
            return Ok(Some(place));
        }
    }
}

/// Waits until something can be written, but no longer than `limit`.
pub(crate) fn wait_for_room(to: BorrowedFd<'_>, limit: Duration) {
    let timeout =
        PollTimeout::try_from(limit + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    // Whoever writes sees what is wrong.
    let _ = poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], timeout);
}

/// The pause after a connection that could not be accepted: what is missing may be there again then.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Lets a moment pass in which this is not ready, after an error that waiting alone would meet again at once: returns whether it
/// stayed so.
///
/// # Errors
/// The system refuses.
pub(crate) fn pause(unless: BorrowedFd<'_>) -> Result<bool, Fatal> {
    Ok(wait([unless], Some(PAUSE))?.is_none())
}

/// Returns whether an error of accept(2) is none of this process: another one was faster, or the other end has gone.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(
        error.kind(),
        WouldBlock | Interrupted | ConnectionAborted | ConnectionReset
    )
}
