//! `outpost deliver`: requests in, reports out.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use smtp_policy::{config::Protocol, policy::Policy, report::Report};

use crate::{
    cli::{DeliverArgs, ReportFormat},
    dnssec, envelope,
    exit::{Exit, Failure, OrExit},
    fields::Fault,
    interrupt::Interrupt,
    job::Job,
    log_line::LogForm,
    output::{Output, complain},
    progress::Progress,
    report, request,
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

    let output = Arc::new(Mutex::new(Output::default()));
    let many = jobs.len();
    let mut settled = Vec::with_capacity(many);
    for (job, number) in jobs.into_iter().zip(1..) {
        let voice = |protocol| voice(args.report, &output, &policy, protocol);
        let what = if many > 1 {
            format!("{number}/{many}")
        } else {
            String::new()
        };
        settled.push(job.map(|job| {
            interrupt.sleep(job.pause);
            deliver(&worker, job, &voice, &what)
        }));
    }
    worker.close();

    let mut output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    match args.report {
        ReportFormat::Text => output.text(&report::text::render(&settled)),
        ReportFormat::Json => output.json(&report::json::file(&settled))?,
        ReportFormat::Log => {}
    }
    output.finish(report::exit_for(&settled))
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

fn deliver(worker: &Worker, job: Job, voice: &dyn Fn(Protocol) -> Voice, what: &str) -> Report {
    let Job {
        request,
        text,
        length,
        whole,
        pause: _,
    } = job;
    let progress = Progress::start(what, length, request.recipients.len());
    let watch = Watch::new(&request, voice(request.protocol), progress.clone());
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
    output: &Arc<Mutex<Output>>,
    policy: &Policy,
    protocol: Protocol,
) -> Voice {
    match format {
        ReportFormat::Log => Voice::Log(Arc::clone(output), LogForm::new(policy.config(protocol))),
        ReportFormat::Text | ReportFormat::Json => Voice::Warnings,
    }
}
