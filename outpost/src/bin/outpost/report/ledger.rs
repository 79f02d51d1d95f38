//! The books of a run: where each recipient stands, and the report as it is written.
//!
//! A verdict goes out when it falls. What cannot be written to standard output goes to
//! standard error, and then nothing new is begun, so that no mail is accepted of which
//! nobody hears.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use smtp_policy::{
    driver::Clerk,
    report::{LogText, Outcome, Report},
    request::{QueueId, RcptIndex, Recipient},
};

use super::{Settled, Tally, json, text};
use crate::{
    cli::ReportFormat,
    exit::{Exit, Failure},
    job::Job,
    output::{Output, try_complain},
    request::Fault,
};

/// The content of a report on all requests, and its form.
pub(crate) struct Ledger {
    form: ReportFormat,
    /// True if verdicts of several requests come in any order.
    mixed: bool,
    /// True if the requests are not known at the beginning.
    streamed: bool,
    /// Never locked while something is written, so that it can be read at any time.
    books: Mutex<Books>,
    output: Mutex<Output>,
    /// Ends the deliveries that are running.
    stop: Mutex<Box<dyn Fn() + Send>>,
}

/// The requests by number. Those that are over are forgotten where there may be any number
/// of them, and nothing is to be said about them at the end.
#[derive(Default)]
struct Books {
    entries: BTreeMap<usize, Entry>,
    /// The results of requests, for a report that is written at the end.
    reports: BTreeMap<usize, Settled>,
    tally: Tally,
}

/// One request.
struct Entry {
    id: QueueId,
    /// The source of the message, where it is one of several.
    source: Option<String>,
    begun: bool,
    recipients: Vec<(Recipient, Standing)>,
}

/// The standing of a recipient.
enum Standing {
    /// No verdict, and nobody can have accepted the message.
    Open,
    /// No verdict, and somebody may have.
    InDoubt,
    /// There is a verdict, of which somebody has been told or not.
    Settled { outcome: Box<Outcome>, told: bool },
}

impl Ledger {
    /// The books of no jobs; so many will be under way at the same time. `streamed` says that
    /// they are not known at the beginning. `stop` is done once when the report cannot be
    /// written any more.
    pub(crate) fn new(
        form: ReportFormat,
        at_once: usize,
        streamed: bool,
        stop: Box<dyn Fn() + Send>,
    ) -> Arc<Self> {
        Arc::new(Self {
            form,
            mixed: at_once > 1 || streamed,
            streamed,
            books: Mutex::default(),
            output: Mutex::default(),
            stop: Mutex::new(stop),
        })
    }

    /// Takes a job up, which has not begun.
    pub(crate) fn expect(&self, number: usize, job: &Result<Job, Fault>) {
        let entry = match job {
            Ok(job) => Entry {
                id: job.request.id.clone(),
                source: match self.streamed {
                    true => job.origin.as_ref().map(|origin| origin.name.clone()),
                    false => None,
                },
                begun: false,
                recipients: job
                    .request
                    .recipients
                    .iter()
                    .map(|to| (to.clone(), Standing::Open))
                    .collect(),
            },
            Err(_) => Entry {
                id: QueueId::default(),
                source: None,
                begun: false,
                recipients: Vec::new(),
            },
        };
        self.books().entries.insert(number, entry);
    }

    /// Begins with a request, unless its verdicts could not be told any more.
    pub(crate) fn begin(&self, request: usize) -> bool {
        if self.form == ReportFormat::Text && !self.mixed && self.books().entries.len() > 1 {
            self.write(&format!("Request {}\n\n", request + 1));
        }
        let sound = lock(&self.output).is_sound();
        if let Some(entry) = self.books().entries.get_mut(&request) {
            entry.begun = sound;
        }
        sound
    }

    /// These recipients of a request, in order, are in doubt, and nobody else.
    pub(crate) fn doubt(&self, request: usize, doubtful: &[RcptIndex]) {
        let mut books = self.books();
        let Some(entry) = books.entries.get_mut(&request) else {
            return;
        };
        for (index, (_, standing)) in entry.recipients.iter_mut().enumerate() {
            if !matches!(standing, Standing::Settled { .. }) {
                *standing = match doubtful.binary_search(&index) {
                    Ok(_) => Standing::InDoubt,
                    Err(_) => Standing::Open,
                };
            }
        }
    }

    /// A verdict has fallen. `log` is its line in the log.
    pub(crate) fn settle(
        &self,
        request: usize,
        index: RcptIndex,
        outcome: &Outcome,
        log: Option<LogText>,
    ) {
        let Some((id, source, recipient)) = self.note_down(request, index, outcome) else {
            return;
        };
        let line = match self.form {
            ReportFormat::Text if self.streamed => {
                let line = text::line(&recipient, outcome);
                Some(format!("{}{line}\n", self.lead(request)))
            }
            ReportFormat::Text => {
                let block = text::block(&recipient, outcome);
                Some(self.lead(request) + &block)
            }
            ReportFormat::Jsonl => {
                let about = (&recipient, outcome);
                let name = (&*id, source.as_deref());
                Some(json::verdict(request + 1, name, index + 1, about).unwrap_or_default())
            }
            ReportFormat::Log => log.map(|line| format!("{line}\n")),
            ReportFormat::Json => None,
        };
        let Some(line) = line else {
            return;
        };
        let told = (!line.is_empty() && self.write(&line)) || {
            let name = name(&self.books(), request);
            try_complain(format_args!("{name}{}", text::line(&recipient, outcome)))
        };
        self.told(request, index, told);
    }

    /// A request is done with. Verdicts that were not heard of on the way are told now.
    pub(crate) fn end(&self, request: usize, report: Report) {
        for (index, (_, outcome)) in report.recipients.iter().enumerate() {
            if !self.is_settled(request, index) {
                self.settle(request, index, outcome, None);
            }
        }
        if self.form == ReportFormat::Jsonl {
            let books = self.books();
            let entry = books.entries.get(&request);
            let about = entry.map(|entry| (entry.id.clone(), entry.source.clone()));
            drop(books);
            let (id, source) = about.unwrap_or_default();
            let line = json::end(request + 1, &id, source.as_deref(), &report);
            self.write(&line.unwrap_or_default());
        }
        self.close(request, Ok(report));
    }

    /// Counts what became of a request.
    fn close(&self, request: usize, settled: Settled) {
        let mut books = self.books();
        books.tally.add(&settled);
        if self.form == ReportFormat::Json {
            books.reports.insert(request, settled);
        } else if self.streamed {
            books.entries.remove(&request);
        }
    }

    /// Returns the number of recipients with each verdict so far.
    pub(crate) fn tally(&self) -> Tally {
        self.books().tally
    }

    /// The report on a request whose delivery broke off. Verdicts that have fallen stay.
    pub(crate) fn broken_off(&self, request: usize) -> Report {
        let books = self.books();
        let entry = books.entries.get(&request);
        let recipients = entry.map_or(&[][..], |entry| &entry.recipients);
        let mut clerk = Clerk::new(recipients.len(), Bytes::new(), ());
        let all: Vec<_> = recipients.iter().map(|(to, _)| to.clone()).collect();
        for (index, (_, standing)) in recipients.iter().enumerate() {
            if let Standing::Settled { outcome, .. } = standing {
                clerk.settle(&all, index, Outcome::clone(outcome));
            }
        }
        clerk.report(&all)
    }

    /// A request could not be understood, or a message could not be read.
    pub(crate) fn reject(&self, request: usize, fault: Fault) {
        match self.form {
            ReportFormat::Text if self.streamed => self.write(&format!("{fault}: not delivered\n")),
            ReportFormat::Text => {
                let lead = self.lead(request);
                self.write(&format!("{lead}not delivered: {fault}\n\n"))
            }
            ReportFormat::Jsonl => {
                self.write(&json::fault(request + 1, &fault).unwrap_or_default())
            }
            ReportFormat::Json | ReportFormat::Log => true,
        };
        self.close(request, Err(fault));
    }

    /// A line for the log.
    pub(crate) fn log(&self, line: &LogText) {
        self.write(&format!("{line}\n"));
    }

    /// A line about an event.
    pub(crate) fn event(&self, line: &str) {
        self.write(line);
    }

    /// Writes what comes at the end, and the verdicts that were to come there to
    /// standard error if that is not possible.
    pub(crate) fn finish(&self) -> Result<Exit, Failure> {
        let tally = self.tally();
        let rest = match self.form {
            ReportFormat::Text if self.streamed => Ok(String::new()),
            ReportFormat::Text => Ok(format!("{tally}\n")),
            ReportFormat::Json => {
                let reports = std::mem::take(&mut self.books().reports);
                json::render(&reports.into_values().collect::<Vec<_>>())
            }
            ReportFormat::Jsonl | ReportFormat::Log => Ok(String::new()),
        };
        let exit = match &rest {
            Ok(_) => tally.exit(),
            Err(error) => {
                try_complain(error);
                Exit::Software
            }
        };
        if !rest.is_ok_and(|rest| self.write(&rest)) {
            let untold = |standing: &_| !matches!(standing, Standing::Settled { told: true, .. });
            for line in self.lines(untold) {
                try_complain(line);
            }
        }
        std::mem::take(&mut *lock(&self.output)).finish(exit)
    }

    /// Tells how everything stands, in lines for standard error. Waits for nobody who writes.
    pub(crate) fn account(&self) -> String {
        let mut account = String::new();
        for line in self.lines(|_| true) {
            let _ = writeln!(account, "outpost: {line}");
        }
        if self.streamed {
            let over = self.tally();
            let _ = writeln!(
                account,
                "outpost: over before: {over}; nothing else was begun"
            );
        }
        account
    }

    /// A line about each recipient that stands as it is wanted.
    fn lines(&self, wanted: impl Fn(&Standing) -> bool) -> Vec<String> {
        let books = self.books();
        let mut lines = Vec::new();
        for (number, entry) in &books.entries {
            let name = name(&books, *number);
            for (recipient, standing) in &entry.recipients {
                if wanted(standing) {
                    lines.push(format!(
                        "{name}{}",
                        stands(entry.begun, recipient, standing)
                    ));
                }
            }
        }
        lines
    }

    /// Notes a verdict down. Returns the request's id and source, and the recipient.
    fn note_down(
        &self,
        request: usize,
        index: RcptIndex,
        outcome: &Outcome,
    ) -> Option<(QueueId, Option<String>, Recipient)> {
        let mut books = self.books();
        let entry = books.entries.get_mut(&request)?;
        let (recipient, standing) = entry.recipients.get_mut(index)?;
        *standing = Standing::Settled {
            outcome: Box::new(outcome.clone()),
            told: false,
        };
        let recipient = recipient.clone();
        Some((entry.id.clone(), entry.source.clone(), recipient))
    }

    /// Notes down whether somebody was told of a verdict.
    fn told(&self, request: usize, index: RcptIndex, is_told: bool) {
        let mut books = self.books();
        let entry = books.entries.get_mut(&request);
        if let Some((_, Standing::Settled { told, .. })) =
            entry.and_then(|entry| entry.recipients.get_mut(index))
        {
            *told = is_told;
        }
    }

    /// The beginning of a verdict in the report for people.
    fn lead(&self, request: usize) -> String {
        match self.mixed {
            true => name(&self.books(), request),
            false => String::new(),
        }
    }

    fn is_settled(&self, request: usize, index: RcptIndex) -> bool {
        let books = self.books();
        let entry = books.entries.get(&request);
        let found = entry.and_then(|entry| entry.recipients.get(index));
        matches!(found, Some((_, Standing::Settled { .. })))
    }

    /// Writes to standard output, and returns whether that went well. The first time
    /// that it does not, the deliveries are ended.
    fn write(&self, text: &str) -> bool {
        let mut output = lock(&self.output);
        let was_sound = output.is_sound();
        let written = output.text(text);
        drop(output);
        if was_sound && !written {
            lock(&self.stop)();
        }
        written
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

/// The beginning of a line about a request, where there are several.
fn name(books: &Books, request: usize) -> String {
    let source = books.entries.get(&request);
    match source.and_then(|entry| entry.source.as_ref()) {
        Some(source) => format!("{source}: "),
        None if books.entries.len() < 2 => String::new(),
        None => format!("request {}: ", request + 1),
    }
}

fn stands(begun: bool, recipient: &Recipient, standing: &Standing) -> String {
    let address = recipient.address.as_str();
    match standing {
        Standing::Settled { outcome, told } => match told {
            true => format!("{}, as reported", text::verdict(recipient, outcome)),
            false => text::line(recipient, outcome),
        },
        Standing::InDoubt => {
            format!("<{address}>: in doubt: the whole message was sent, and not answered yet")
        }
        Standing::Open if begun => {
            format!("<{address}>: not delivered: the message was not sent to its end")
        }
        Standing::Open => format!("<{address}>: not begun"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
