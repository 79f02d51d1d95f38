//! This runtime's client, as the suite of all runtimes takes it.

use std::{panic::resume_unwind, thread};

use runtime_tests::prelude::*;

#[derive(Clone)]
pub(crate) struct Blocking(runtime_blocking::Client);

impl Client for Blocking {
    fn new(policy: Arc<Policy>) -> Self {
        Self(runtime_blocking::Client::new(policy))
    }

    fn add_table(&self, name: &str, table: Arc<dyn Table>) {
        self.0.add_table(name, table);
    }

    fn add_async_table(&self, name: &str, table: Arc<dyn AsyncTable>) {
        self.0.add_async_table(name, table);
    }

    fn deliver(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        self.0.deliver(request, text, observer)
    }

    fn deliver_whole(&self, request: Request, text: Bytes) -> Report {
        self.0.deliver_whole(request, text, ())
    }

    /// Each on a thread of its own.
    fn deliver_at_once(&self, requests: Vec<Request>, text: Bytes) -> Vec<Report> {
        thread::scope(|scope| {
            let deliver = |request| {
                let (client, text) = (self.clone(), text.clone());
                scope.spawn(move || client.deliver(request, text, ()))
            };
            let threads: Vec<_> = requests.into_iter().map(deliver).collect();
            let reports = threads.into_iter().map(|thread| thread.join());
            let reports = reports.map(|report| report.unwrap_or_else(|panic| resume_unwind(panic)));
            reports.collect()
        })
    }

    fn deliver_all(
        &self,
        requests: impl Iterator<Item = Request> + Send,
        text: Bytes,
        limit: usize,
        report: impl FnMut(usize, Report),
    ) {
        let submissions = requests.map(|request| Submission::new(request, text.clone()));
        self.0.deliver_all(submissions, limit, report);
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn close(&self) {
        self.0.close();
    }

    fn hang_up(&self) {
        self.0.hang_up();
    }
}
