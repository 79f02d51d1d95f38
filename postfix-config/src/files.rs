//! The files that parameters name: the only place where the file system is looked at,
//! and only while a configuration is loaded.
//!
//! A name may lead to a device or a pipe, which need not end. Whatever is read has a
//! limit.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The largest size of main.cf, or of a file of certificates or keys, in bytes.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;
/// The number of files a folder may hold.
#[cfg(feature = "tls")]
const MAX_LISTED: usize = 65_536;

/// The content of a file, which may have `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > limit {
        return Err(too_large(limit));
    }
    read_from(file, limit)
}

fn read_from(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("more than {limit} bytes"),
    )
}

/// The regular files of a folder that a parameter names, sorted by name.
#[cfg(feature = "tls")]
pub(crate) fn list(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Links are followed: folders of certificates are full of them.
        if !std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        files.push(path);
        if files.len() > MAX_LISTED {
            let text = format!("more than {MAX_LISTED} files");
            return Err(io::Error::other(text));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    /// A source that never ends, and counts.
    struct Endless<'a>(&'a mut u64);

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            *self.0 += buffer.len() as u64;
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }

    #[test]
    fn no_more_is_read_than_the_limit_allows() {
        assert_eq!(read_from(&b"12345"[..], 5).unwrap(), b"12345");
        assert!(read_from(&b"123456"[..], 5).is_err());
        let mut taken = 0;
        let error = read_from(Endless(&mut taken), 100_000).unwrap_err();
        assert_eq!(error.to_string(), "more than 100000 bytes");
        assert_eq!(taken, 100_001);
    }

    #[test]
    fn a_large_file_is_refused_before_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(101).unwrap();
        assert!(read(file.path(), 100).is_err());
        assert_eq!(read(file.path(), 101).unwrap().len(), 101);
    }
}
