//! The books of a run: where each recipient stands, and the report as it is written.
//!
//! A verdict goes out when it falls. What cannot be written to standard output goes to
//! standard error, and then nothing new is begun, so that no mail is accepted of which
//! nobody hears.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use smtp_policy::{
    driver::Clerk,
    report::{LogText, Outcome, Report},
    request::{QueueId, RcptIndex, Recipient},
};

use super::{Settled, exit_for, json, text};
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
    /// Never locked while something is written, so that it can be read at any time.
    books: Mutex<Vec<Entry>>,
    output: Mutex<Output>,
    /// Ends the deliveries that are running.
    stop: Mutex<Box<dyn Fn() + Send>>,
}

/// One request.
struct Entry {
    id: QueueId,
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
    /// The books of these jobs, none of which has begun, and of which so many will be
    /// under way at the same time. `stop` is done once when the report cannot be written
    /// any more.
    pub(crate) fn new(
        form: ReportFormat,
        jobs: &[Result<Job, Fault>],
        at_once: usize,
        stop: Box<dyn Fn() + Send>,
    ) -> Arc<Self> {
        let entry = |job: &Result<Job, Fault>| {
            let request = job.as_ref().ok().map(|job| &job.request);
            let recipients = request.map(|request| request.recipients.clone());
            let recipients = recipients.unwrap_or_default().into_iter();
            Entry {
                id: request
                    .map(|request| request.id.clone())
                    .unwrap_or_default(),
                begun: false,
                recipients: recipients.map(|to| (to, Standing::Open)).collect(),
            }
        };
        Arc::new(Self {
            form,
            mixed: at_once > 1,
            books: Mutex::new(jobs.iter().map(entry).collect()),
            output: Mutex::default(),
            stop: Mutex::new(stop),
        })
    }

    /// Begins with a request, unless its verdicts could not be told any more.
    pub(crate) fn begin(&self, request: usize) -> bool {
        if self.form == ReportFormat::Text && !self.mixed && self.books().len() > 1 {
            self.write(&format!("Request {}\n\n", request + 1));
        }
        let sound = lock(&self.output).is_sound();
        if let Some(entry) = self.books().get_mut(request) {
            entry.begun = sound;
        }
        sound
    }

    /// These recipients of a request, in order, are in doubt, and nobody else.
    pub(crate) fn doubt(&self, request: usize, doubtful: &[RcptIndex]) {
        let mut books = self.books();
        let Some(entry) = books.get_mut(request) else {
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
        let Some((id, recipient)) = self.note_down(request, index, outcome) else {
            return;
        };
        let line = match self.form {
            ReportFormat::Text => {
                let block = text::block(&recipient, outcome);
                Some(self.lead(request) + &block)
            }
            ReportFormat::Jsonl => {
                let about = (&recipient, outcome);
                Some(json::verdict(request + 1, &id, index + 1, about).unwrap_or_default())
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
    pub(crate) fn end(&self, request: usize, report: &Report) {
        for (index, (_, outcome)) in report.recipients.iter().enumerate() {
            if !self.is_settled(request, index) {
                self.settle(request, index, outcome, None);
            }
        }
        if self.form == ReportFormat::Jsonl {
            let id = self.books().get(request).map(|entry| entry.id.clone());
            let line = json::end(request + 1, &id.unwrap_or_default(), report);
            self.write(&line.unwrap_or_default());
        }
    }

    /// The report on a request whose delivery broke off. Verdicts that have fallen stay.
    pub(crate) fn broken_off(&self, request: usize) -> Report {
        let books = self.books();
        let entry = books.get(request);
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

    /// A request could not be understood.
    pub(crate) fn reject(&self, request: usize, fault: &Fault) {
        match self.form {
            ReportFormat::Text => {
                let lead = self.lead(request);
                self.write(&format!("{lead}not delivered: {fault}\n\n"))
            }
            ReportFormat::Jsonl => self.write(&json::fault(request + 1, fault).unwrap_or_default()),
            ReportFormat::Json | ReportFormat::Log => true,
        };
    }

    /// A line for the log.
    pub(crate) fn log(&self, line: &LogText) {
        self.write(&format!("{line}\n"));
    }

    /// Writes what comes at the end, and the verdicts that were to come there to
    /// standard error if that is not possible.
    pub(crate) fn finish(&self, settled: &[Settled]) -> Result<Exit, Failure> {
        let rest = match self.form {
            ReportFormat::Text => Ok(text::sum(settled) + "\n"),
            ReportFormat::Json => json::render(settled),
            ReportFormat::Jsonl | ReportFormat::Log => Ok(String::new()),
        };
        let exit = match &rest {
            Ok(_) => exit_for(settled),
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
        account
    }

    /// A line about each recipient that stands as it is wanted.
    fn lines(&self, wanted: impl Fn(&Standing) -> bool) -> Vec<String> {
        let books = self.books();
        let mut lines = Vec::new();
        for (number, entry) in books.iter().enumerate() {
            let name = name(&books, number);
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

    /// Notes a verdict down. Returns the request's id, and the recipient.
    fn note_down(
        &self,
        request: usize,
        index: RcptIndex,
        outcome: &Outcome,
    ) -> Option<(QueueId, Recipient)> {
        let mut books = self.books();
        let entry = books.get_mut(request)?;
        let (recipient, standing) = entry.recipients.get_mut(index)?;
        *standing = Standing::Settled {
            outcome: Box::new(outcome.clone()),
            told: false,
        };
        Some((entry.id.clone(), recipient.clone()))
    }

    /// Notes down whether somebody was told of a verdict.
    fn told(&self, request: usize, index: RcptIndex, is_told: bool) {
        let mut books = self.books();
        let entry = books.get_mut(request);
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
        let entry = books.get(request);
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

    fn books(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.books)
    }
}

/// The beginning of a line about a request, where there are several.
fn name(books: &[Entry], request: usize) -> String {
    match books.len() {
        0 | 1 => String::new(),
        _ => format!("request {}: ", request + 1),
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
