//! `outpost deliver --events`: what happens in deliveries, as lines of JSON while it
//! happens. Nothing depends on somebody reading them.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use smtp_policy::event::Note;

use crate::{
    cli::{DeliverArgs, ReportFormat},
    exit::{Exit, Failure, OrExit},
    output::{complain, json_line},
    report::ledger::Ledger,
};

/// The place where events go.
pub(crate) enum Events {
    /// Into a file, until something goes wrong with it.
    File(PathBuf, Mutex<Option<File>>),
    /// Between the lines of the report.
    Report(Arc<Ledger>),
}

/// The events of one request, which has this number.
pub(crate) struct Stream {
    events: Arc<Events>,
    request: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request: usize,
    id: &'a str,
    #[serde(flatten)]
    note: &'a Note,
}

impl Events {
    /// Opens the place that the command line names; none if it names none.
    ///
    /// # Errors
    /// The file cannot be made, or the report has no place for events.
    pub(crate) fn open(args: &DeliverArgs, report: &Arc<Ledger>) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.events.events else {
            return Ok(None);
        };
        if path == Path::new("-") {
            return match args.report {
                ReportFormat::Jsonl => Ok(Some(Self::Report(Arc::clone(report)))),
                _ => Err(Failure::new(
                    Exit::Usage,
                    "--events - needs --report jsonl, since both are lines of JSON",
                )),
            };
        }
        let file = File::create(path)
            .with_context(|| format!("cannot write {}", path.display()))
            .or_exit(Exit::Output)?;
        Ok(Some(Self::File(path.clone(), Mutex::new(Some(file)))))
    }

    /// Returns whether every event has been written. The report knows for itself.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::File(_, file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some(),
            Self::Report(_) => true,
        }
    }

    fn write(&self, line: &str) {
        match self {
            Self::File(path, file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let written = match file.as_mut() {
                    Some(file) => file.write_all(line.as_bytes()),
                    None => return,
                };
                if let Err(error) = written {
                    *file = None;
                    complain(unwritten(path, &error));
                }
            }
            Self::Report(report) => report.event(line),
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    format!("cannot write events to {}: {error}", path.display())
}

impl Stream {
    /// The events of the request with this number.
    pub(crate) fn new(events: &Arc<Events>, request: usize) -> Self {
        Self {
            events: Arc::clone(events),
            request,
        }
    }

    /// Tells an event of the message with this id.
    pub(crate) fn tell(&self, id: &str, note: &Note) {
        let line = json_line(&Line {
            time: format!("{:.6}", Timestamp::now()),
            request: self.request,
            id,
            note,
        });
        // There is nothing in an event that has no form in JSON.
        self.events.write(&line.unwrap_or_default());
    }
}
