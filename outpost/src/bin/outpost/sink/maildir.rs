//! A maildir: a message is written below tmp and renamed into new, so that
//! nobody ever sees half of one.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// A folder with cur, new and tmp.
#[derive(Debug)]
pub(crate) struct Maildir {
    folder: PathBuf,
    host: String,
    drafts: Arc<Mutex<Drafts>>,
}

/// The messages below tmp.
#[derive(Debug, Default)]
struct Drafts {
    paths: BTreeSet<PathBuf>,
    closed: bool,
}

/// A message below tmp.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The file that its text is written to.
    pub(crate) file: File,
    name: String,
    path: PathBuf,
    drafts: Arc<Mutex<Drafts>>,
}

impl Maildir {
    /// Opens a maildir, and makes it if need be.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let host = gethostname::gethostname()
            .to_string_lossy()
            .replace(['/', ':'], "_");
        Ok(Self {
            folder: folder.to_owned(),
            host,
            drafts: Arc::default(),
        })
    }

    /// Begins a message. Its name is unique to the time, this process and
    /// `number`.
    pub(crate) fn begin(&self, number: u64) -> io::Result<Draft> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!(
            "{}.M{:06}P{}Q{number}.{}",
            now.as_secs(),
            now.subsec_micros(),
            std::process::id(),
            self.host
        );
        let path = self.folder.join("tmp").join(&name);
        let mut drafts = lock(&self.drafts);
        drafts.check()?;
        let file = File::create_new(&path)?;
        drafts.paths.insert(path.clone());
        Ok(Draft {
            file,
            name,
            path,
            drafts: Arc::clone(&self.drafts),
        })
    }

    /// Puts a finished message into new; returns where it is then.
    pub(crate) fn keep(&self, draft: Draft) -> io::Result<PathBuf> {
        draft.file.sync_all()?;
        let path = self.folder.join("new").join(&draft.name);
        let mut drafts = lock(&self.drafts);
        drafts.check()?;
        fs::rename(&draft.path, &path)?;
        drafts.paths.remove(&draft.path);
        Ok(path)
    }

    /// Takes no more messages, and removes those that have not arrived. Connections may
    /// still be in the middle of one.
    pub(crate) fn close(&self) {
        let mut drafts = lock(&self.drafts);
        drafts.closed = true;
        for path in std::mem::take(&mut drafts.paths) {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drafts {
    fn check(&self) -> io::Result<()> {
        match self.closed {
            true => Err(io::Error::other("the server is shutting down")),
            false => Ok(()),
        }
    }
}

fn lock(drafts: &Mutex<Drafts>) -> MutexGuard<'_, Drafts> {
    drafts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Draft {
    /// A message that did not arrive leaves nothing behind.
    fn drop(&mut self) {
        if lock(&self.drafts).paths.remove(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
