//! SIGINT and SIGTERM: the first one ends the work politely, the second one at once.

use std::{io, process};

use outpost_queue::worker::Stop;

use crate::output::complain;

/// The exit status after the second signal: 128 and the number of SIGINT.
const ENDED_AT_ONCE: i32 = 130;

/// Begins to listen for the signals.
///
/// # Errors
/// The operating system does not let us.
#[cfg(unix)]
pub(super) fn listen(stop: &Stop) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            heard(&stop);
        }
    });
    Ok(())
}

/// The same where there is Ctrl-C alone.
#[cfg(not(unix))]
pub(super) fn listen(stop: &Stop) -> io::Result<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            heard(&stop);
        }
    });
    Ok(())
}

fn heard(stop: &Stop) {
    if stop.is_asked() {
        complain("ended at once: leases run out, and others take over");
        process::exit(ENDED_AT_ONCE);
    }
    complain("interrupted: ending politely (once more ends at once)");
    stop.step();
}
