//! Ctrl-C: the first one ends the work politely, the second one at once.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::output::complain_urgently;

/// The exit status after the second signal: 128 and the number of SIGINT.
const ENDED_AT_ONCE: i32 = 130;

/// The user's wish to stop (SIGINT or SIGTERM).
#[derive(Clone)]
pub(crate) struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: bool,
    action: Option<Box<dyn Fn() + Send>>,
    account: Option<Box<dyn Fn() -> String + Send>>,
}

impl Interrupt {
    /// Begins to listen for the signals.
    ///
    /// # Errors
    /// The operating system does not let us.
    pub(crate) fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self {
            shared: Arc::default(),
        };
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.signal())?;
        Ok(interrupt)
    }

    /// Sets the action for the first signal; takes it at once if the signal has come already.
    pub(crate) fn on_first(&self, action: Box<dyn Fn() + Send>) {
        let mut state = self.state();
        if state.asked {
            action();
        }
        state.action = Some(action);
    }

    /// Sets the words for the second signal, in lines for standard error: how things stand.
    /// `account` is called while all other threads go on, and must not wait for any of them.
    pub(crate) fn on_second(&self, account: Box<dyn Fn() -> String + Send>) {
        self.state().account = Some(account);
    }

    /// Returns whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.state().asked
    }

    /// Sleeps until `time` is over or a signal comes.
    pub(crate) fn sleep(&self, time: Duration) {
        let start = Instant::now();
        let mut state = self.state();
        while !state.asked {
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps until a signal comes.
    pub(crate) fn wait(&self) {
        let mut state = self.state();
        while !state.asked {
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks to stop, as a signal does.
    pub(crate) fn raise(&self) {
        self.state().asked = true;
        self.shared.changed.notify_all();
    }

    fn signal(&self) {
        let mut state = self.state();
        if state.asked {
            let account = state.account.as_ref().map(|account| account());
            let account = account.unwrap_or_default();
            complain_urgently(&format!("outpost: ended at once\n{account}"));
            std::process::exit(ENDED_AT_ONCE);
        }
        state.asked = true;
        if let Some(action) = &state.action {
            action();
        }
        self.shared.changed.notify_all();
        drop(state);
        let polite = "outpost: interrupted: ending politely (once more ends at once)\n";
        complain_urgently(polite);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("asked", &self.is_set())
            .finish_non_exhaustive()
    }
}
