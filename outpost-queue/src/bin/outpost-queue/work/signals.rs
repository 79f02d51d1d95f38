//! SIGINT, SIGTERM and Ctrl-C: the first one ends the work politely, the second one at once.

use std::process;

use outpost_queue::worker::Stop;

use crate::output::complain;

/// The exit status after the second signal: 128 and the number of SIGINT.
const ENDED_AT_ONCE: i32 = 130;

/// Begins to listen for the signals.
///
/// # Errors
/// The operating system does not let us.
pub(super) fn listen(stop: &Stop) -> Result<(), ctrlc::Error> {
    let stop = stop.clone();
    // Not by tokio's part for signals: with it, every runtime of a program takes descriptors for them.
    ctrlc::set_handler(move || heard(&stop))
}

fn heard(stop: &Stop) {
    if stop.is_asked() {
        complain("ended at once: leases run out, and others take over");
        process::exit(ENDED_AT_ONCE);
    }
    complain("interrupted: ending politely (once more ends at once)");
    stop.step();
}
