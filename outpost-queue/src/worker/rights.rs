//! The tasks that a worker has: each is renewed until it is over.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_channel::oneshot;

use crate::operation::Right;

use super::bell::Bell;

/// The rights of a worker.
#[derive(Debug, Default)]
pub(super) struct Rights {
    held: Mutex<BTreeMap<Right, Option<oneshot::Sender<()>>>>,
    /// Rung when one is over.
    freed: Bell,
    /// Rung when the last one is over.
    idle: Bell,
}

/// A right that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) right: Right,
    rights: Arc<Rights>,
    /// Resolves when the right is lost.
    pub(super) lost: oneshot::Receiver<()>,
}

impl Rights {
    pub(super) fn new(freed: Bell) -> Self {
        Self {
            freed,
            ..Self::default()
        }
    }

    /// Begins to hold a right.
    pub(super) fn hold(self: &Arc<Self>, right: Right) -> Holding {
        let (tell, lost) = oneshot::channel();
        self.lock().insert(right, Some(tell));
        Holding {
            right,
            rights: Arc::clone(self),
            lost,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Those that are not known to be lost.
    pub(super) fn to_renew(&self) -> Vec<Right> {
        let held = self.lock();
        let known = held.iter().filter(|(_, tell)| tell.is_some());
        known.map(|(right, _)| *right).collect()
    }

    /// Tells whoever holds a right that it is lost.
    pub(super) fn lose(&self, right: Right) {
        let tell = self.lock().get_mut(&right).and_then(Option::take);
        if let Some(tell) = tell {
            // Whoever is about to end does not listen any more.
            let _ = tell.send(());
        }
    }

    /// Waits until none is held.
    pub(super) async fn none_left(&self) {
        while self.count() > 0 {
            self.idle.heard().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Right, Option<oneshot::Sender<()>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let left = {
            let mut held = self.rights.lock();
            held.remove(&self.right);
            held.len()
        };
        self.rights.freed.ring();
        if left == 0 {
            self.rights.idle.ring();
        }
    }
}
