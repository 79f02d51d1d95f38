//! `outpost deliver`: requests in, reports out.

use std::{
    collections::BTreeMap,
    iter::Enumerate,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread, vec,
};

use smtp_policy::{Protocol, policy::Policy, report::Report};

use crate::{
    cli::{DeliverArgs, ReportFormat},
    dnssec, envelope,
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    job::Job,
    log_line::LogForm,
    output::complain,
    progress::Progress,
    report::{Settled, ledger::Ledger},
    request,
    request::Fault,
    runtime::Worker,
    settings,
    watch::{Voice, Watch},
};

/// Delivers what the command line asks for.
pub(crate) fn run(args: &DeliverArgs) -> Result<Exit, Failure> {
    let policy = settings::policy(&args.surroundings)?;
    let jobs = match &args.request {
        Some(path) => from_file(path)?,
        None => envelope::jobs(args, &policy)?.into_iter().map(Ok).collect(),
    };
    let worker =
        Worker::start(args.surroundings.runtime, Arc::clone(&policy)).or_exit(Exit::System)?;
    if args.dnssec_validate {
        dnssec::validate(&worker, args.trust_anchor.as_deref())?;
    }
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    interrupt.on_first(worker.canceller());

    let at_once = usize::from(args.at_once).min(jobs.len());
    let ledger = Ledger::new(args.report, &jobs, at_once, worker.canceller());
    let account = Arc::clone(&ledger);
    interrupt.on_second(Box::new(move || account.account()));

    let (settles, settled) = mpsc::channel();
    let crew = Crew {
        worker: &worker,
        policy: &policy,
        ledger: &ledger,
        interrupt: &interrupt,
        report: args.report,
        at_once,
        many: jobs.len(),
        jobs: Mutex::new(jobs.into_iter().enumerate()),
        settles,
    };
    crew.work_together();
    // With it goes the sender.
    drop(crew);
    let settled: BTreeMap<usize, Settled> = settled.iter().collect();
    worker.close();
    ledger.finish(&settled.into_values().collect::<Vec<_>>())
}

/// The requests of a file. What cannot be understood is told at once, since the
/// report may be long in coming.
fn from_file(path: &Path) -> Result<Vec<Result<Job, Fault>>, Failure> {
    let jobs = request::read_file(path).or_exit(Exit::Data)?;
    for fault in jobs.iter().filter_map(|job| job.as_ref().err()) {
        complain(fault);
    }
    Ok(jobs)
}

/// Threads that deliver jobs until there is none left, and what they share.
struct Crew<'a> {
    worker: &'a Worker,
    policy: &'a Policy,
    ledger: &'a Arc<Ledger>,
    interrupt: &'a Interrupt,
    report: ReportFormat,
    /// The number of threads there are.
    at_once: usize,
    /// The number of jobs there were.
    many: usize,
    /// The jobs that nobody has taken.
    jobs: Mutex<Enumerate<vec::IntoIter<Result<Job, Fault>>>>,
    /// Takes what became of the others, with their number.
    settles: mpsc::Sender<(usize, Settled)>,
}

impl Crew<'_> {
    /// Works on the calling thread, and on as many others as are needed.
    fn work_together(&self) {
        thread::scope(|scope| {
            for number in 1..self.at_once {
                let thread = thread::Builder::new().name(format!("delivery-{number}"));
                if let Err(error) = thread.spawn_scoped(scope, || self.work()) {
                    let warning = "warning: the system refuses threads, so that there are at most";
                    complain(format_args!(
                        "{warning} {number} deliveries at once: {error}"
                    ));
                    break;
                }
            }
            self.work();
        });
    }

    fn work(&self) {
        while let Some((number, job)) = self.next() {
            if let Ok(job) = &job {
                self.interrupt.sleep(job.pause);
            }
            if !self.ledger.begin(number) {
                break;
            }
            let settled = job.map(|job| {
                let report = unless_it_panics(self.ledger, number, || self.deliver(number, job));
                self.ledger.end(number, &report);
                report
            });
            if let Err(fault) = &settled {
                self.ledger.reject(number, fault);
            }
            // Whoever takes it is there as long as the crew.
            let _ = self.settles.send((number, settled));
        }
    }

    fn next(&self) -> Option<(usize, Result<Job, Fault>)> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.next()
    }

    fn deliver(&self, number: usize, job: Job) -> Report {
        let Job {
            request,
            text,
            length,
            whole,
            pause: _,
        } = job;
        let voice = voice(
            self.report,
            self.ledger,
            number,
            self.policy,
            request.protocol,
        );
        let recipients = request.recipients.len();
        let progress = match (self.at_once, self.many) {
            (2.., _) => Progress::none(),
            (_, 2..) => {
                let what = format!("{}/{}", number + 1, self.many);
                Progress::start(&what, length, recipients)
            }
            _ => Progress::start("", length, recipients),
        };
        let watch = Watch::new(&request, voice, progress.clone());
        let report = if whole {
            self.worker.deliver_whole(request, text, watch)
        } else {
            self.worker.deliver(request, text, watch)
        };
        progress.end();
        report
    }
}

/// The report of a delivery. One that panics, which a correct program does not do, takes
/// neither the verdicts that have fallen nor the other deliveries with it.
fn unless_it_panics(ledger: &Ledger, request: usize, delivery: impl FnOnce() -> Report) -> Report {
    // What it shares with others is behind locks that nobody leaves half done.
    panic::catch_unwind(AssertUnwindSafe(delivery)).unwrap_or_else(|_| ledger.broken_off(request))
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

    /// The books of one request to `a@x` and `b@x`.
    fn ledger() -> Arc<Ledger> {
        let text = r#"{ "requests": [{ "nexthop": "[127.0.0.1]", "sender": "",
            "recipients": [{ "address": "a@x" }, { "address": "b@x" }], "message_base64": "" }] }"#;
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let jobs = request::read_file(file.path()).unwrap();
        assert!(jobs[0].is_ok(), "{jobs:?}");
        Ledger::new(ReportFormat::Json, &jobs, 2, Box::new(|| ()))
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
        let report = unless_it_panics(&ledger, 0, || {
            ledger.settle(0, 1, &bounced, None);
            panic!("a mistake of the program's own")
        });
        let statuses: Vec<_> = report.recipients.iter().map(|(_, o)| o.status).collect();
        assert_eq!(statuses, [Status::Deferred, Status::Bounced]);
    }
}
