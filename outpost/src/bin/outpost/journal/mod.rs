//! The journal of a run: where each recipient stands, in a file that outlasts the program,
//! so that a run that was stopped can go on without doubling.
//!
//! Before the text of a message goes out to its end, a line says who is in doubt from there
//! on; without that line in the file, the delivery is broken off instead. A verdict is a
//! line, too. With [`JournalSync::Doubt`] the former is on the disk before anything else
//! happens; a verdict that is lost with the power leaves its recipient in doubt.

mod past;
mod record;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    panic,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, anyhow, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use smtp_policy::{
    report::Outcome,
    request::{RcptIndex, Recipient, Request},
};

pub(crate) use self::past::Standing;
use self::{
    past::Past,
    record::{Record, line},
};
use crate::{
    cli::JournalSync,
    exit::{Exit, Failure},
    job::Origin,
    output::complain,
};

/// A journal that is being kept.
pub(crate) struct Journal {
    path: PathBuf,
    file: Flock<File>,
    sync: JournalSync,
    past: Past,
    writing: Mutex<Writing>,
    /// The number of lines that are on the disk. Locked while lines are forced there.
    synced: Mutex<u64>,
    /// Ends the deliveries that are running.
    stop: Mutex<Option<Box<dyn Fn() + Send>>>,
}

#[derive(Default)]
struct Writing {
    /// The number of lines that were written in this run.
    lines: u64,
    /// A line could not be written. None comes behind it, so that the file stays whole.
    failed: bool,
}

/// The end of a delivery whose recipients could not be noted as in doubt.
struct BrokenOff;

impl Journal {
    /// Opens the journal of these sources, and makes it if need be.
    ///
    /// # Errors
    /// It cannot be opened, locked, read or written; it is broken; or it is that of other
    /// sources.
    pub(crate) fn open(
        path: &Path,
        sync: JournalSync,
        sources: &[String],
    ) -> Result<Self, Failure> {
        let name = path.display();
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("cannot open the journal {name}"))
            .map_err(|error| failure(Exit::System, error))?;
        let is_regular = file.metadata().map(|data| data.is_file());
        if !is_regular.unwrap_or_default() {
            let error = anyhow!("the journal {name} is no regular file");
            return Err(failure(Exit::Usage, error));
        }
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, why)| {
            let error = match why {
                Errno::EWOULDBLOCK => anyhow!("another process uses the journal {name}"),
                why => anyhow!("cannot lock the journal {name}: {}", why.desc()),
            };
            failure(Exit::System, error)
        })?;
        let past = Past::read(&*file, sources)
            .map_err(|why| failure(Exit::Data, anyhow!("the journal {name}{why}")))?;
        let journal = Self {
            path: path.to_owned(),
            file,
            sync,
            past,
            writing: Mutex::default(),
            synced: Mutex::default(),
            stop: Mutex::default(),
        };
        journal
            .begin(sources, is_new)
            .with_context(|| format!("cannot write the journal {name}"))
            .map_err(|error| failure(Exit::System, error))?;
        Ok(journal)
    }

    /// Makes the file one that can be added to.
    fn begin(&self, sources: &[String], is_new: bool) -> anyhow::Result<()> {
        if let Some(whole) = self.past.torn_at() {
            complain(format_args!(
                "{}: the last line is torn, since an earlier run ended while it wrote; it is left out",
                self.path.display()
            ));
            self.file.set_len(whole)?;
        }
        if self.past.is_empty() {
            self.append(&Record::begin(sources))?;
            self.file.sync_all()?;
        }
        if is_new && let Some(folder) = self.path.parent() {
            let folder = match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => folder,
            };
            // The name of the file outlasts a power failure, too.
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Sets what is done when the journal cannot be written any more.
    pub(crate) fn on_failure(&self, stop: Box<dyn Fn() + Send>) {
        *lock(&self.stop) = Some(stop);
    }

    /// Returns whether everything could be written so far.
    pub(crate) fn is_sound(&self) -> bool {
        !lock(&self.writing).failed
    }

    /// Compares a message with the one of its name that the journal knows.
    ///
    /// # Errors
    /// It is another one.
    pub(crate) fn check(&self, origin: &Origin) -> anyhow::Result<()> {
        match self.past.has_other_text(origin) {
            false => Ok(()),
            true => bail!(
                "it is not the message that the journal {} knows by this name",
                self.path.display()
            ),
        }
    }

    /// Returns the standing of a recipient after earlier runs; `None` where nothing is known.
    pub(crate) fn standing(&self, origin: &Origin, recipient: &Recipient) -> Option<Standing> {
        self.past.standing(origin, recipient.address.as_str())
    }

    /// Forces everything to the disk.
    pub(crate) fn finish(&self) {
        if let Err(error) = self.file.sync_all() {
            self.fail(&error);
        }
    }

    /// Writes a line.
    fn append(&self, record: &Record<'_>) -> io::Result<u64> {
        let line = line(record)?;
        let mut writing = lock(&self.writing);
        if writing.failed {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        let written = (&*self.file).write_all(line.as_bytes());
        writing.failed = written.is_err();
        writing.lines += 1;
        written.map(|()| writing.lines)
    }

    /// Forces so many lines to the disk; several who ask at the same time wait for one flush.
    fn flush(&self, lines: u64) -> io::Result<()> {
        let mut synced = lock(&self.synced);
        if *synced >= lines {
            return Ok(());
        }
        let written = lock(&self.writing).lines;
        self.file.sync_data()?;
        *synced = written;
        Ok(())
    }

    /// Tells that the journal cannot be written, and stops the deliveries.
    fn fail(&self, error: &io::Error) {
        lock(&self.writing).failed = true;
        let stop = lock(&self.stop).take();
        if let Some(stop) = stop {
            let name = self.path.display();
            complain(format_args!("cannot write the journal {name}: {error}"));
            stop();
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The part of a journal that is about one delivery.
#[derive(Debug)]
pub(crate) struct Page {
    journal: Arc<Journal>,
    origin: Arc<Origin>,
    addresses: Vec<String>,
    /// In order, who is in doubt as the journal has it.
    doubtful: Vec<RcptIndex>,
}

impl Page {
    /// The page of a request, none of whose recipients is in doubt.
    pub(crate) fn new(journal: &Arc<Journal>, origin: &Arc<Origin>, request: &Request) -> Self {
        let addresses = request.recipients.iter();
        Self {
            journal: Arc::clone(journal),
            origin: Arc::clone(origin),
            addresses: addresses
                .map(|recipient| recipient.address.as_str().to_owned())
                .collect(),
            doubtful: Vec::new(),
        }
    }

    /// Writes a verdict down.
    pub(crate) fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        self.doubtful.retain(|doubtful| *doubtful != index);
        let record = Record::verdict(&self.origin, recipient, outcome);
        if let Err(error) = self.journal.append(&record) {
            let to = recipient.address.as_str();
            let (name, word) = (&self.origin.name, outcome.word);
            complain(format_args!(
                "{name}: <{to}>: {word}, which is not in the journal"
            ));
            self.journal.fail(&error);
        }
    }

    /// Writes down who is in doubt. Where that is not possible, the delivery ends here, and
    /// the message is not sent to its end.
    pub(crate) fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        if recipients == self.doubtful {
            return;
        }
        let is_new = recipients
            .iter()
            .any(|index| self.doubtful.binary_search(index).is_err());
        let before = std::mem::replace(&mut self.doubtful, recipients.to_vec());
        let cleared = before
            .iter()
            .filter(|index| recipients.binary_search(index).is_err());
        let record = Record::doubt(
            &self.origin,
            self.named(recipients.iter()),
            self.named(cleared),
        );
        let written = self.journal.append(&record).and_then(|lines| {
            match is_new && self.journal.sync == JournalSync::Doubt {
                true => self.journal.flush(lines),
                false => Ok(()),
            }
        });
        if let Err(error) = written {
            self.journal.fail(&error);
            if is_new {
                panic::resume_unwind(Box::new(BrokenOff));
            }
        }
    }
}

impl Page {
    /// The addresses of recipients.
    fn named<'a>(&'a self, indices: impl Iterator<Item = &'a RcptIndex>) -> Vec<&'a str> {
        indices
            .filter_map(|index| self.addresses.get(*index))
            .map(String::as_str)
            .collect()
    }
}

fn failure(exit: Exit, error: anyhow::Error) -> Failure {
    Failure { exit, error }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
