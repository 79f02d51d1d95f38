//! Work on several threads, whose results come in one place.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

/// The number of an item, its result, and how its thread hears that it was taken.
type Ended<R> = (usize, R, Sender<()>);

/// Does `work` on each item, on so many threads; zero counts as one. `report` is called on this
/// thread as work ends, with the number of the item, from zero on. Returns when all are done.
///
/// No more items are taken than there are threads, until `report` has returned for one of them.
pub fn on_threads<T, R: Send>(
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
    mut report: impl FnMut(usize, R),
) {
    let items = Mutex::new(items.into_iter().enumerate());
    // A panic of another thread leaves nothing half-changed there.
    let next = || {
        let items = items.lock();
        items.unwrap_or_else(PoisonError::into_inner).next()
    };
    let (ends, ended) = mpsc::channel();
    let run = |ends: Sender<Ended<R>>| {
        while let Some((number, item)) = next() {
            let (go_on, may_go_on) = mpsc::channel();
            let taken = ends.send((number, work(item), go_on));
            // Whoever takes results has ended early where that fails.
            if taken.is_err() || may_go_on.recv().is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (run, ends) = (&run, ends.clone());
            scope.spawn(move || run(ends));
        }
        drop(ends);
        for (number, done, go_on) in ended {
            report(number, done);
            let _ = go_on.send(());
        }
    });
}
