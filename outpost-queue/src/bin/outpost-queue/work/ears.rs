//! Those who hear of what a worker does: metrics, the file of `--events`, the trace.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use outpost_queue::worker::{Listener, QueueEvent};
use serde_json::Value;

use crate::{
    exit::{Exit, Failure, OrExit},
    output::{complain, json_line},
    serve::metrics::Metrics,
};

/// All of them.
pub(crate) struct Ears {
    metrics: Metrics,
    /// None: nobody wants events.
    events: Option<Events>,
}

struct Events {
    path: PathBuf,
    /// Nothing, after the first line that could not be written.
    out: Mutex<Option<Out>>,
}

enum Out {
    File(File),
    Standard,
}

impl Ears {
    /// Opens the file of events, or standard output for `-`.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn open(events: Option<&Path>, metrics: Metrics) -> Result<Self, Failure> {
        let open = |path: &Path| {
            let out = match path == Path::new("-") {
                true => Out::Standard,
                false => {
                    let file = OpenOptions::new().create(true).append(true).open(path);
                    let what = || format!("cannot write {}", path.display());
                    Out::File(file.with_context(what).or_exit(Exit::Output)?)
                }
            };
            let path = path.to_owned();
            let out = Mutex::new(Some(out));
            Ok::<_, Failure>(Events { path, out })
        };
        Ok(Self {
            metrics,
            events: events.map(open).transpose()?,
        })
    }

    /// Returns whether every event has been written.
    pub(crate) fn is_sound(&self) -> bool {
        self.events.as_ref().is_none_or(|events| {
            let out = events.out.lock().unwrap_or_else(PoisonError::into_inner);
            out.is_some()
        })
    }
}

impl Events {
    fn write(&self, event: &QueueEvent<'_>) {
        let mut slot = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(out) = slot.as_mut() else { return };
        let written = match line(event) {
            Ok(line) => out.write(&line),
            Err(why) => Err(io::Error::other(why)),
        };
        if let Err(why) = written {
            *slot = None;
            drop(slot);
            complain(format_args!("cannot write {}: {why}", self.path.display()));
        }
    }
}

impl Out {
    /// Writes a line as a whole.
    fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(line.as_bytes()),
            Self::Standard => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())?;
                out.flush()
            }
        }
    }
}

/// An event with the time, by the clock of this machine.
fn line(event: &QueueEvent<'_>) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(event)?;
    if let Some(fields) = value.as_object_mut() {
        let time = format!("{:.6}", jiff::Timestamp::now());
        fields.insert("time".to_owned(), Value::from(time));
    }
    Ok(json_line(&value))
}

impl Listener for Ears {
    fn hear(&self, event: &QueueEvent<'_>) {
        self.metrics.hear(event);
        if let Some(events) = &self.events {
            events.write(event);
        }
        match event {
            QueueEvent::StoreFailed { .. }
            | QueueEvent::DutyFailed { .. }
            | QueueEvent::SetAside { .. }
            | QueueEvent::Panicked { .. }
            | QueueEvent::Lost { .. }
            | QueueEvent::Reaped { .. } => tracing::warn!("{event}"),
            QueueEvent::Settled { .. } => tracing::info!("{event}"),
            _ => tracing::debug!("{event}"),
        }
    }
}
