//! The files that tables were read from, to find out whether they have changed (`src/util/dict.c`, dict_changed_name).

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A table that was read from a file, which stays open: whoever has gone into a jail since can look at it no other way.
#[derive(Debug)]
pub struct OpenedTable {
    spec: String,
    source: PathBuf,
    file: File,
    state: State,
}

impl OpenedTable {
    pub(super) fn open(spec: &str, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            spec: spec.to_owned(),
            source: path.to_owned(),
            state: State::of(&file.metadata()?),
            file,
        })
    }

    /// The table as it is written in main.cf, `type:name`.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The file that the answers are from. Where a text is read in place of its index, it is the text.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The same file for a table whose answers are from another one.
    pub(super) fn with_source(self, source: &Path) -> Self {
        Self {
            source: source.to_owned(),
            ..self
        }
    }

    /// The time of the last change of the file before it was opened.
    pub(super) fn changed_at(&self) -> Stamp {
        self.state.modified
    }

    /// Returns whether the file was written to, or is no longer there under its name, since the table was read. A file of which
    /// nothing can be found out has changed.
    pub fn has_changed(&self) -> bool {
        let Ok(data) = self.file.metadata() else {
            return true;
        };
        State::of(&data) != self.state
    }
}

/// The time of the last change of a file, as Unix time. Zero where the system has another clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    #[cfg(unix)]
    pub(super) fn of(data: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            seconds: data.mtime(),
            nanoseconds: data.mtime_nsec(),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self {
            seconds: 0,
            nanoseconds: 0,
        }
    }
}

/// The facts that change with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    length: u64,
    modified: Stamp,
    /// The number of its names. One that was replaced has none.
    names: u64,
}

impl State {
    #[cfg(unix)]
    fn of(data: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            length: data.len(),
            modified: Stamp::of(data),
            names: data.nlink(),
        }
    }

    #[cfg(not(unix))]
    fn of(data: &Metadata) -> Self {
        Self {
            length: data.len(),
            modified: Stamp::of(data),
            names: 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_or_replaced_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("generic");
        std::fs::write(&path, "a b\n").unwrap();
        let table = OpenedTable::open("texthash:generic", &path).unwrap();
        assert!(!table.has_changed());
        std::fs::write(&path, "a bc\n").unwrap();
        assert!(table.has_changed());

        let table = OpenedTable::open("texthash:generic", &path).unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "a c\n").unwrap();
        assert!(!table.has_changed());
        std::fs::rename(&other, &path).unwrap();
        assert!(table.has_changed());
        assert_eq!(table.spec(), "texthash:generic");
    }
}
