//! The deliveries of a run, as many at once as are wanted.
//!
//! Each of them has a lane: it takes a job, delivers it, and takes the next one. Lanes are
//! tasks of one thread where the runtime has tasks, and threads where it has none.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    vec,
};

use futures_util::FutureExt;
use smtp_policy::{Protocol, policy::Policy, report::Report};

use super::messages::Messages;
use crate::{
    cli::ReportFormat,
    events::{Events, Stream},
    interrupt::Interrupt,
    job::Job,
    journal::{Journal, Page},
    log_line::LogForm,
    progress::Progress,
    report::ledger::Ledger,
    request::Fault,
    runtime::Worker,
    watch::{Voice, Watch},
};

/// The jobs to deliver.
pub(super) enum Plan {
    /// Jobs that are all known, so many of them.
    Known(vec::IntoIter<Result<Job, Fault>>, usize),
    /// Messages that are read as they are needed, and the bar about all of them.
    Streamed(Box<Messages>, Progress),
}

/// State that the lanes share.
pub(super) struct Crew<'a> {
    pub(super) worker: &'a Worker,
    pub(super) policy: &'a Policy,
    pub(super) ledger: &'a Arc<Ledger>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) events: Option<Arc<Events>>,
    pub(super) report: ReportFormat,
    /// The number of lanes.
    pub(super) at_once: usize,
    /// The jobs that no lane has taken yet, and the number of those taken.
    pub(super) plan: Mutex<(Plan, usize)>,
}

impl Crew<'_> {
    /// Works until nothing is left.
    pub(super) fn work_together(&self) {
        self.worker.run_lanes(self.at_once, || self.work());
    }

    /// The plan, when the work is done.
    pub(super) fn into_plan(self) -> Plan {
        let plan = self.plan.into_inner();
        plan.unwrap_or_else(PoisonError::into_inner).0
    }

    async fn work(&self) {
        while let Some((number, job)) = self.next() {
            if let Ok(job) = &job
                && !job.pause.is_zero()
            {
                self.pause(job).await;
            }
            if !self.ledger.begin(number) {
                break;
            }
            match job {
                Ok(job) => {
                    let delivery = self.deliver(number, job);
                    let report = unless_it_panics(self.ledger, number, delivery).await;
                    self.ledger.end(number, report);
                }
                Err(fault) => self.ledger.reject(number, fault),
            }
            if let (Plan::Streamed(messages, bar), _) = &*self.plan() {
                bar.count(messages.counts().messages, self.ledger.tally());
            }
        }
    }

    /// Waits before a job; an interruption ends the wait.
    async fn pause(&self, job: &Job) {
        let (interrupt, pause) = (self.interrupt.clone(), job.pause);
        smol::unblock(move || interrupt.sleep(pause)).await;
    }

    /// Takes a job. Reading its message holds the others up, who want to read, too.
    fn next(&self) -> Option<(usize, Result<Job, Fault>)> {
        let (plan, taken) = &mut *self.plan();
        let job = match plan {
            Plan::Known(jobs, _) => jobs.next(),
            Plan::Streamed(..) if self.is_ending() => None,
            Plan::Streamed(messages, _) => {
                let job = messages.next();
                if let Some(job) = &job {
                    self.ledger.expect(*taken, job);
                }
                job
            }
        }?;
        let number = *taken;
        *taken += 1;
        Some((number, job))
    }

    /// Returns whether no new job may begin.
    fn is_ending(&self) -> bool {
        let is_broken = |journal: &Arc<Journal>| !journal.is_sound();
        self.interrupt.is_set() || self.journal.as_ref().is_some_and(is_broken)
    }

    async fn deliver(&self, number: usize, job: Job) -> Report {
        let progress = self.progress(number, &job);
        let Job {
            request,
            text,
            whole,
            origin,
            ..
        } = job;
        let voice = voice(
            self.report,
            self.ledger,
            number,
            self.policy,
            request.protocol,
        );
        let journal = self.journal.as_ref().zip(origin);
        let page = journal.map(|(journal, origin)| Page::new(journal, &origin, &request));
        let events = self.events.as_ref();
        let events = events.map(|events| Stream::new(events, number + 1));
        let watch = Watch::new(&request, voice, progress.clone());
        let watch = watch.writing(page).streaming(events);
        let report = self.worker.deliver_in_lane(request, text, watch, whole);
        let report = report.await;
        progress.end_of_one();
        report
    }

    /// The bar of a job: its own where it is alone on the terminal, else that of all.
    fn progress(&self, number: usize, job: &Job) -> Progress {
        let recipients = job.request.recipients.len();
        match (&*self.plan(), self.at_once) {
            ((Plan::Streamed(_, bar), _), _) => bar.beside(),
            (_, 2..) => Progress::none(),
            ((Plan::Known(_, many @ 2..), _), _) => {
                let what = format!("{}/{many}", number + 1);
                Progress::start(&what, job.length, recipients)
            }
            _ => Progress::start("", job.length, recipients),
        }
    }

    fn plan(&self) -> MutexGuard<'_, (Plan, usize)> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The report of a delivery. One that panics, which a correct program does not do, or that
/// breaks itself off, takes neither the verdicts that have fallen nor the other deliveries
/// with it.
async fn unless_it_panics(
    ledger: &Ledger,
    request: usize,
    delivery: impl Future<Output = Report>,
) -> Report {
    // What it shares with others is behind locks that nobody leaves half done.
    let report = AssertUnwindSafe(delivery).catch_unwind().await;
    report.unwrap_or_else(|_| ledger.broken_off(request))
}

fn voice(
    format: ReportFormat,
    ledger: &Arc<Ledger>,
    request: usize,
    policy: &Policy,
    protocol: Protocol,
) -> Voice {
    let ledger = Arc::clone(ledger);
    match format {
        ReportFormat::Log => Voice::Log(ledger, request, LogForm::new(policy.settings(protocol))),
        ReportFormat::Text | ReportFormat::Json | ReportFormat::Jsonl => {
            Voice::Report(ledger, request)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use std::io::Write;

    use smtp_policy::report::Status;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::request;

    /// The books of one request to `a@x` and `b@x`.
    fn ledger() -> Arc<Ledger> {
        let text = r#"{ "requests": [{ "nexthop": "[127.0.0.1]", "sender": "",
            "recipients": [{ "address": "a@x" }, { "address": "b@x" }], "message_base64": "" }] }"#;
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let jobs = request::read_file(file.path()).unwrap();
        assert!(jobs[0].is_ok(), "{jobs:?}");
        let ledger = Ledger::new(ReportFormat::Json, 2, false, Box::new(|| ()));
        ledger.expect(0, &jobs[0]);
        ledger
    }

    #[test]
    fn a_delivery_that_panics_leaves_the_verdicts_that_have_fallen_and_defers_the_rest() {
        let ledger = ledger();
        let deferred = ledger.broken_off(0).recipients[1].1.clone();
        assert_eq!(deferred.status, Status::Deferred);
        assert_eq!(deferred.text, "the delivery ended without a verdict");
        assert!(deferred.uncertain);
        let mut bounced = deferred;
        bounced.status = Status::Bounced;
        let report = smol::block_on(unless_it_panics(&ledger, 0, async {
            ledger.settle(0, 1, &bounced, None);
            panic!("a mistake of the program's own")
        }));
        let statuses: Vec<_> = report.recipients.iter().map(|(_, o)| o.status).collect();
        assert_eq!(statuses, [Status::Deferred, Status::Bounced]);
    }
}
