//! The files that parameters name: the only place, besides the tables, where the
//! file system is looked at, and only while a configuration is loaded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The content of a file that a parameter names.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// The files of a folder that a parameter names, sorted by name.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}
