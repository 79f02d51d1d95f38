//! `outpost deliver`: requests or messages in, reports out.

mod crew;
mod messages;
mod summary;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use outpost::{Message, message::Intake};
use smtp_policy::policy::Policy;

use self::{
    crew::{Crew, Plan},
    messages::Messages,
    summary::Summary,
};
use crate::{
    cli::DeliverArgs,
    dnssec,
    envelope::Envelope,
    events::Events,
    exit::{Exit, Failure, OrExit},
    generated,
    interrupt::Interrupt,
    job::Job,
    journal::Journal,
    output::complain,
    progress::Progress,
    report::ledger::Ledger,
    request,
    request::Fault,
    runtime::Worker,
    settings,
    source::Sources,
};

/// Delivers what the command line asks for.
pub(crate) fn run(args: &DeliverArgs) -> Result<Exit, Failure> {
    let policy = settings::policy(&args.surroundings)?;
    let (plan, journal) = plan(args, &policy)?;
    let worker = Worker::start_for_lanes(args.surroundings.runtime, Arc::clone(&policy))
        .or_exit(Exit::System)?;
    if args.dnssec_validate {
        dnssec::validate(&worker, args.trust_anchor.as_deref())?;
    }
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    interrupt.on_first(worker.canceller());
    if let Some(journal) = &journal {
        journal.on_failure(worker.canceller());
    }

    let at_once = usize::from(args.many.jobs);
    let (at_once, streamed) = match &plan {
        Plan::Known(_, many) => (at_once.min(*many), false),
        Plan::Streamed(..) => (at_once, true),
    };
    let ledger = Ledger::new(args.report, at_once, streamed, worker.canceller());
    if let Plan::Known(jobs, _) = &plan {
        for (number, job) in jobs.as_slice().iter().enumerate() {
            ledger.expect(number, job);
        }
    }
    let events = Events::open(args, &ledger)?.map(Arc::new);
    let account = Arc::clone(&ledger);
    interrupt.on_second(Box::new(move || account.account()));

    let begun = Instant::now();
    let crew = Crew {
        worker: &worker,
        policy: &policy,
        ledger: &ledger,
        interrupt: &interrupt,
        journal: journal.clone(),
        events: events.clone(),
        report: args.report,
        at_once,
        plan: Mutex::new((plan, 0)),
    };
    crew.work_together();
    let plan = crew.into_plan();
    worker.close();
    if let Some(journal) = &journal {
        journal.finish();
    }
    let exit = ledger.finish()?;
    let is_broken = events.is_some_and(|events| !events.is_sound());
    let exit = if is_broken { Exit::Output } else { exit };
    let Plan::Streamed(messages, bar) = plan else {
        return Ok(exit);
    };
    bar.end();
    let summary = Summary {
        tally: ledger.tally(),
        counts: messages.counts(),
        total: messages.total(),
        time: begun.elapsed(),
        interrupted: interrupt.is_set(),
        journal_is_broken: journal.is_some_and(|journal| !journal.is_sound()),
    };
    complain(summary);
    Ok(summary.exit(exit))
}

/// Returns the jobs to deliver, and the journal about them.
fn plan(args: &DeliverArgs, policy: &Policy) -> Result<(Plan, Option<Arc<Journal>>), Failure> {
    let known = |jobs: Vec<_>| {
        let many = jobs.len();
        (Plan::Known(jobs.into_iter(), many), None)
    };
    if let Some(path) = &args.request {
        return Ok(known(from_file(path)?));
    }
    let envelope = Envelope::new(args, policy)?;
    if args.header.test {
        let message = Message::exact(generated::message(args));
        let jobs = one_message(args, policy, &envelope, message)?;
        return Ok(known(jobs.into_iter().map(Ok).collect()));
    }
    let mut intake = Intake::default();
    intake.stray_cr = args.stray_cr.into();
    intake.limit = args.size_limit;
    let mut sources = Sources::open(&args.source, args.many.input, intake)?;
    if args.many.journal.is_none()
        && let Some(message) = sources.single()
    {
        let jobs = one_message(args, policy, &envelope, message.or_exit(Exit::Data)?)?;
        return Ok(known(jobs.into_iter().map(Ok).collect()));
    }
    let journal = match &args.many.journal {
        Some(path) => {
            let journal = Journal::open(path, args.many.journal_sync, sources.keys())?;
            Some(Arc::new(journal))
        }
        None => None,
    };
    let bar = Progress::of_all(sources.total());
    let messages = Messages::new(sources, envelope, journal.clone(), args.many.doubt);
    Ok((Plan::Streamed(Box::new(messages), bar), journal))
}

/// The requests for a message that is the only one.
fn one_message(
    args: &DeliverArgs,
    policy: &Policy,
    envelope: &Envelope,
    message: Message,
) -> Result<Vec<Job>, Failure> {
    if message.facts().length == 0 {
        complain("warning: the message is empty");
    }
    let jobs = envelope.jobs(message, 1, None).or_exit(Exit::Data)?;
    let requests = jobs.iter().map(|job| &job.request);
    let client = policy.settings(envelope.protocol());
    settings::complain_without_smtputf8(&args.surroundings.parameters, client, requests)?;
    Ok(jobs)
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
