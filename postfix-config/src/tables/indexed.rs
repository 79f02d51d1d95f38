//! Types of tables whose source text postmap(1) compiles to an index, which Postfix reads.
//!
//! The index counts where it can be read here. Where it cannot, the text of the same name is read, which postmap(1) would make it
//! from, with a warning if the two are not of one age. Where there is no index, there is nothing but the text.
//!
//! Sources: Postfix `src/util/dict_cdb.c`, `dict_db.c`, `dict_lmdb.c`, `dict_dbm.c`, `dict_sdbm.c`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cdb::Cdb;
use super::fixed::Fixed;
use super::open::{MAX_FILE, TableContext, open_error, read_text, text_table};
use super::opened::{OpenedTable, Stamp};
use super::texthash::Duplicates;
use crate::files;
use smtp_policy::tables::{Table, TableError};

/// The time that an index may be newer than its source text, in seconds: the one is made after the other.
const MAKING: i64 = 3600;

/// A type of tables with an index.
#[derive(Debug)]
pub(super) struct Kind {
    name: &'static str,
    /// The end of the name of the file whose changes Postfix looks for.
    suffix: &'static str,
    source: Source,
}

/// The file that entries are taken from, if there is an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Index,
    Text,
}

/// All types. There is no library that reads the files of Berkeley DB or dbm(3). Those for LMDB map the file and trust what it
/// says, so that a damaged one ends the process; opening one is `unsafe` or the library is no longer kept.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind { name: "hash",  suffix: ".db",   source: Source::Text },
    Kind { name: "btree", suffix: ".db",   source: Source::Text },
    Kind { name: "lmdb",  suffix: ".lmdb", source: Source::Text },
    Kind { name: "cdb",   suffix: ".cdb",  source: Source::Index },
    Kind { name: "dbm",   suffix: ".pag",  source: Source::Text },
    Kind { name: "sdbm",  suffix: ".pag",  source: Source::Text },
];

impl Kind {
    /// The type of this name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Opens a table of this type.
    pub(super) fn open(
        &self,
        spec: &str,
        name: &str,
        context: &mut TableContext<'_>,
    ) -> Result<Arc<dyn Table>, TableError> {
        let text = context.path(name);
        let index = with_suffix(&text, self.suffix);
        let opened = match OpenedTable::open(spec, &index) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (title, bytes) = read_text(spec, &text, context)?;
                return Ok(compiled(spec, &title, &bytes, context));
            }
            Err(error) => return Err(open_error(spec, &index, &error)),
        };
        let table = match self.source {
            Source::Index => self.read_index(spec, &index, context)?,
            Source::Text => self.read_source(spec, &text, &index, context)?,
        };
        let age = Age::of(&text, &opened);
        if let Some(warning) = age.warning(self.source, &text, &index) {
            context.warn(warning);
        }
        // Postfix looks at the index alone: a text may be written to for a while.
        context.note_opened(match self.source {
            Source::Index => opened,
            Source::Text => opened.with_source(&text),
        });
        Ok(table)
    }

    fn read_index(
        &self,
        spec: &str,
        index: &Path,
        context: &TableContext<'_>,
    ) -> Result<Arc<dyn Table>, TableError> {
        let bytes =
            files::read(index, MAX_FILE).map_err(|error| open_error(spec, index, &error))?;
        let table = Cdb::read(spec, bytes, context.case(), context.octets());
        let table = table.map_err(|reason| {
            TableError::new(spec, format!("open {}: {reason}", index.display()))
        })?;
        Ok(Arc::new(table))
    }

    fn read_source(
        &self,
        spec: &str,
        text: &Path,
        index: &Path,
        context: &mut TableContext<'_>,
    ) -> Result<Arc<dyn Table>, TableError> {
        let (title, bytes) = text_table(spec, text, context).map_err(|error| {
            let reason = format!(
                "{} cannot be read here, only its source file can: {}",
                index.display(),
                error.reason
            );
            TableError::new(spec, reason)
        })?;
        Ok(compiled(spec, &title, &bytes, context))
    }
}

/// The table that postmap(1) makes of a text.
fn compiled(
    spec: &str,
    title: &str,
    bytes: &[u8],
    context: &mut TableContext<'_>,
) -> Arc<dyn Table> {
    // Whatever the table is for.
    let table = Fixed::new(context.utmost(), context.case());
    context.read_entries(spec, title, bytes, table, Duplicates::First)
}

fn with_suffix(text: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(text);
    name.push(suffix);
    name.into()
}

/// The age of a source text beside that of its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// The index may have been made from the text, as far as can be seen.
    Alike,
    /// The text has changed since.
    Newer,
    /// The index has changed long after the text.
    Older,
}

impl Age {
    fn of(text: &Path, index: &OpenedTable) -> Self {
        match std::fs::metadata(text) {
            Ok(text) => Self::between(Stamp::of(&text), index.changed_at()),
            // Without a text the index is alone.
            Err(_) => Self::Alike,
        }
    }

    fn between(text: Stamp, index: Stamp) -> Self {
        match () {
            () if text > index => Self::Newer,
            () if index.seconds.saturating_sub(text.seconds) > MAKING => Self::Older,
            () => Self::Alike,
        }
    }

    fn warning(self, source: Source, text: &Path, index: &Path) -> Option<String> {
        let word = match (self, source) {
            (Self::Newer, _) => "older",
            (Self::Older, Source::Text) => "newer",
            (Self::Older, Source::Index) | (Self::Alike, _) => return None,
        };
        let (text, index) = (text.display(), index.display());
        let what = format!("database {index} is {word} than source file {text}");
        Some(match source {
            Source::Index => what,
            Source::Text => format!("{what}, which is read"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use std::fs::{self, File};
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::cdb::tests::write;
    use super::super::open_in;
    use super::*;

    const NAMES: [(&str, &str); 6] = [
        ("hash", "t.db"),
        ("btree", "t.db"),
        ("lmdb", "t.lmdb"),
        ("cdb", "t.cdb"),
        ("dbm", "t.pag"),
        ("sdbm", "t.pag"),
    ];

    fn index() -> Vec<u8> {
        write(&[(b"joe\0", b"index\0")])
    }

    /// Lets a file look as if it had been changed at another time than `as_of`, by this many seconds.
    fn change(path: &Path, as_of: &Path, later: i64) {
        let base = fs::metadata(as_of).unwrap().modified().unwrap();
        let by = Duration::from_secs(later.unsigned_abs());
        let then = if later < 0 { base - by } else { base + by };
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    }

    /// A folder with a text and an index, which is this many seconds later.
    fn folder(text: Option<&str>, index: Option<(&str, &[u8])>, later: i64) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [text.map(|text| ("t", text.as_bytes())), index];
        for (name, bytes) in files.into_iter().flatten() {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        if let (Some(_), Some((name, _))) = (text, index) {
            change(&folder.path().join(name), &folder.path().join("t"), later);
        }
        folder
    }

    /// The answer for `joe` or why there is none, and the warnings.
    fn ask(kind: &str, folder: &TempDir) -> (String, Vec<String>) {
        let mut context = TableContext::new(folder.path());
        let answer = match open_in(&format!("{kind}:t"), &mut context) {
            Ok(table) => format!("{:?}", table.lookup("Joe").unwrap()),
            Err(error) => error.reason,
        };
        let path = format!("{}/", folder.path().display());
        let short = |text: String| text.replace(&path, "");
        let warnings = context.take_warnings().into_iter().map(short).collect();
        (short(answer), warnings)
    }

    #[test]
    fn the_text_is_read_where_there_is_no_index() {
        for (kind, _) in NAMES {
            let folder = folder(Some("JOE text\n"), None, 0);
            assert_eq!(
                ask(kind, &folder),
                ("Some(\"text\")".into(), vec![]),
                "{kind}"
            );
            let (reason, _) = ask(kind, &tempfile::tempdir().unwrap());
            assert_eq!(reason, "open t: No such file or directory", "{kind}");
        }
    }

    #[test]
    fn an_index_that_can_be_read_wins_and_needs_no_text() {
        for text in [Some("joe text\n"), Some("\"bad\n"), None] {
            let folder = folder(text, Some(("t.cdb", &index())), 1);
            assert_eq!(ask("cdb", &folder), ("Some(\"index\")".into(), vec![]));
        }
    }

    #[test]
    fn an_index_that_cannot_be_read_is_no_reason_to_do_without_entries() {
        for (kind, name) in NAMES {
            let folder = folder(None, Some((name, b"whatever")), 0);
            let expected = match kind {
                "cdb" => "open t.cdb: the database is corrupt".to_owned(),
                _ => format!(
                    "{name} cannot be read here, only its source file can: \
                     open t: No such file or directory"
                ),
            };
            assert_eq!(ask(kind, &folder), (expected, vec![]), "{kind}");
        }
        #[cfg(unix)]
        for (kind, name) in NAMES {
            let folder = folder(Some("joe text\n"), None, 0);
            std::os::unix::fs::symlink(name, folder.path().join(name)).unwrap();
            let expected = format!("open {name}: Too many levels of symbolic links");
            assert_eq!(ask(kind, &folder).0, expected);
        }
        // Nor is the text another source then.
        let folder = folder(Some("joe text\n"), Some(("t.cdb", b"whatever")), 0);
        assert_eq!(ask("cdb", &folder).0, "open t.cdb: the database is corrupt");
    }

    #[test]
    fn a_text_and_an_index_of_different_ages_give_a_warning() {
        // (seconds by which the index is later, warning of hash, warning of cdb)
        let older = "is older than source file t";
        let rows = [
            (-1, Some(older), Some(older)),
            (0, None, None),
            (3600, None, None),
            (3601, Some("is newer than source file t"), None),
        ];
        for (later, hash, cdb) in rows {
            let read = ", which is read";
            for (kind, name, warning, end) in
                [("hash", "t.db", hash, read), ("cdb", "t.cdb", cdb, "")]
            {
                let folder = folder(Some("joe text\n"), Some((name, &index())), later);
                let expected: Vec<String> = warning
                    .map(|text| format!("database {name} {text}{end}"))
                    .into_iter()
                    .collect();
                assert_eq!(ask(kind, &folder).1, expected, "{kind} {later}");
            }
        }
    }

    #[test]
    fn the_file_that_is_watched_is_the_index_where_there_is_one() {
        for (kind, name) in NAMES {
            let folder = folder(Some("joe text\n"), Some((name, &index())), 0);
            let changes = |file: &str| {
                let mut context = TableContext::new(folder.path());
                open_in(&format!("{kind}:t"), &mut context).unwrap();
                let path = folder.path().join(file);
                change(&path, &path, 5);
                let opened = context.take_opened();
                assert_eq!(opened.len(), 1, "{kind}");
                opened[0].has_changed()
            };
            assert!(!changes("t"), "{kind}");
            assert!(changes(name), "{kind}");
            fs::remove_file(folder.path().join(name)).unwrap();
            assert!(changes("t"), "{kind}");
        }
    }
}
