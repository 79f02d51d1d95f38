//! The bell that wakes a delivery: its turn, an answer to a question that another delivery asked,
//! and the end of all deliveries. It calls a [`Waker`] and waits for nothing itself.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::dns::{Answer, Failure};

/// The place where others leave news for one delivery.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<News>);

/// The news since a delivery looked last.
#[derive(Debug, Default)]
pub(super) struct News {
    waker: Option<Waker>,
    /// The turn has come.
    pub(super) turn: bool,
    /// Questions that another delivery was asking, by the number of their tickets.
    pub(super) heard: Vec<(u32, Heard)>,
}

/// The outcome of a question that another delivery was asking.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer.
    Answer(Result<Answer, Failure>),
    /// Nothing that holds for anybody else.
    Nothing,
}

impl Bell {
    /// Takes the news out. From now on `waker` is woken by more of it.
    pub(super) fn listen(&self, waker: &Waker) -> News {
        let mut news = lock(&self.0);
        match &mut news.waker {
            Some(known) if known.will_wake(waker) => {}
            known => *known = Some(waker.clone()),
        }
        News {
            waker: None,
            turn: mem::take(&mut news.turn),
            heard: mem::take(&mut news.heard),
        }
    }

    /// Wakes the delivery, for news that it finds elsewhere.
    pub(super) fn ring(&self) {
        self.tell(|_| ());
    }

    /// Tells the delivery that its turn has come.
    pub(super) fn give_turn(&self) {
        self.tell(|news| news.turn = true);
    }

    /// Tells the delivery what came of a question.
    pub(super) fn answer(&self, serial: u32, heard: Heard) {
        self.tell(|news| news.heard.push((serial, heard)));
    }

    fn tell(&self, what: impl FnOnce(&mut News)) {
        let mut news = lock(&self.0);
        what(&mut news);
        let waker = news.waker.clone();
        drop(news);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Locks what cannot be left half-changed by a panic of another thread.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
