//! The message files of a directory or of a Maildir, by name.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::Kind;
use crate::output::complain;

/// The most names that are told of what is skipped.
const TOLD: usize = 5;
/// The flag of a message in a Maildir that is to be removed.
const TRASHED: char = 'T';

/// One message file.
#[derive(Debug)]
pub(super) struct Entry {
    /// The path when the folder was listed.
    pub(super) path: PathBuf,
    /// The name that it keeps.
    pub(super) key: String,
}

/// All regular files of a directory by name, but those whose names begin with a dot.
pub(super) fn list(folder: &Path) -> anyhow::Result<Kind> {
    let mut skipped = Vec::new();
    let entries = files(folder, &mut skipped, |name| {
        Some(name.to_string_lossy().into_owned())
    })?;
    tell(folder, &skipped, entries.len());
    Ok(Kind::Folder(entries.into_iter()))
}

/// The messages in `new` and `cur`. Their names in a journal are without the flags, which
/// mail readers change.
pub(super) fn maildir(folder: &Path) -> anyhow::Result<Kind> {
    let mut skipped = Vec::new();
    let mut entries = Vec::new();
    for part in ["new", "cur"] {
        let part = folder.join(part);
        let found = files(&part, &mut skipped, |name| {
            let name = name.to_string_lossy();
            let (unique, flags) = name.split_once(":2,").unwrap_or((&name, ""));
            (!flags.contains(TRASHED)).then(|| unique.to_owned())
        })
        .with_context(|| part.display().to_string())?;
        entries.extend(found);
    }
    tell(folder, &skipped, entries.len());
    Ok(Kind::Folder(entries.into_iter()))
}

/// The regular files of a directory that have a key; the names of all others are `skipped`.
fn files(
    folder: &Path,
    skipped: &mut Vec<String>,
    key: impl Fn(&OsString) -> Option<String>,
) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        let is_dotted = name.as_encoded_bytes().starts_with(b".");
        // A link counts as what it leads to; one that leads nowhere is a fault, not nothing.
        let is_file = fs::metadata(&path).map_or(true, |data| data.is_file());
        match key(&name) {
            Some(key) if is_file && !is_dotted => found.push(Entry { path, key }),
            _ => skipped.push(name.to_string_lossy().into_owned()),
        }
    }
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Says what is not delivered.
fn tell(folder: &Path, skipped: &[String], found: usize) {
    let folder = folder.display();
    if !skipped.is_empty() {
        let mut names: Vec<&str> = skipped.iter().map(String::as_str).collect();
        names.sort_unstable();
        let more = names.len().saturating_sub(TOLD);
        names.truncate(TOLD);
        let names = names.join(", ");
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        complain(format_args!("{folder}: skipped: {names}{more}"));
    }
    if found == 0 {
        complain(format_args!("{folder}: no messages"));
    }
}
