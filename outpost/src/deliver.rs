//! `outpost deliver`: requests in, reports out.

use std::{path::Path, sync::Arc};

use smtp_policy::{config::Protocol, policy::Policy, report::Report};

use crate::{
    cli::{DeliverArgs, ReportFormat},
    dnssec, envelope,
    exit::{Exit, Failure, OrExit},
    fields::Fault,
    interrupt::Interrupt,
    job::Job,
    log_line::LogForm,
    output::complain,
    progress::Progress,
    report::ledger::Ledger,
    request,
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

    let ledger = Ledger::new(args.report, &jobs, worker.canceller());
    let account = Arc::clone(&ledger);
    interrupt.on_second(Box::new(move || account.account()));

    let many = jobs.len();
    let mut settled = Vec::with_capacity(many);
    for (number, job) in jobs.into_iter().enumerate() {
        if let Ok(job) = &job {
            interrupt.sleep(job.pause);
        }
        if !ledger.begin(number) {
            break;
        }
        let what = if many > 1 {
            format!("{}/{many}", number + 1)
        } else {
            String::new()
        };
        let job = job.map(|job| {
            let voice = voice(args.report, &ledger, number, &policy, job.request.protocol);
            let report = deliver(&worker, job, voice, &what);
            ledger.end(number, &report);
            report
        });
        if let Err(fault) = &job {
            ledger.reject(number, fault);
        }
        settled.push(job);
    }
    worker.close();
    ledger.finish(&settled)
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

fn deliver(worker: &Worker, job: Job, voice: Voice, what: &str) -> Report {
    let Job {
        request,
        text,
        length,
        whole,
        pause: _,
    } = job;
    let progress = Progress::start(what, length, request.recipients.len());
    let watch = Watch::new(&request, voice, progress.clone());
    let report = if whole {
        worker.deliver_whole(request, text, watch)
    } else {
        worker.deliver(request, text, watch)
    };
    progress.end();
    report
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
        ReportFormat::Log => Voice::Log(ledger, request, LogForm::new(policy.config(protocol))),
        ReportFormat::Text | ReportFormat::Json | ReportFormat::Jsonl => {
            Voice::Report(ledger, request)
        }
    }
}
