//! A maildir: a message is written below tmp and renamed into new, so that
//! nobody ever sees half of one.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// A folder with cur, new and tmp.
#[derive(Clone, Debug)]
pub(crate) struct Maildir {
    folder: PathBuf,
    host: String,
}

/// A message below tmp.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where its text goes.
    pub(crate) file: File,
    name: String,
    path: PathBuf,
    kept: bool,
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
        Ok(Draft {
            file: File::create_new(&path)?,
            name,
            path,
            kept: false,
        })
    }

    /// Puts a finished message into new; returns where it is then.
    pub(crate) fn keep(&self, mut draft: Draft) -> io::Result<PathBuf> {
        draft.file.sync_all()?;
        let path = self.folder.join("new").join(&draft.name);
        fs::rename(&draft.path, &path)?;
        draft.kept = true;
        Ok(path)
    }
}

impl Drop for Draft {
    /// A message that did not arrive leaves nothing behind.
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}
