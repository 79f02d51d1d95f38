//! The place of a text while it is read: memory, and with the feature `spool` a temporary file for
//! what is big.

use std::io;

use crate::message::Text;

/// The biggest text that is kept in memory, in bytes.
#[cfg(feature = "spool")]
const IN_MEMORY: usize = 1024 * 1024;

/// A text that is being read.
#[cfg(feature = "spool")]
#[derive(Debug)]
pub(crate) struct Spool(tempfile::SpooledTempFile);

#[cfg(feature = "spool")]
impl Default for Spool {
    fn default() -> Self {
        Self(tempfile::spooled_tempfile(IN_MEMORY))
    }
}

#[cfg(feature = "spool")]
impl Spool {
    /// Keeps the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.0, bytes)
    }

    /// The text that was kept.
    pub(crate) fn into_text(self) -> io::Result<Text> {
        match self.0.into_inner() {
            tempfile::SpooledData::InMemory(kept) => Ok(Text::memory(kept.into_inner().into())),
            tempfile::SpooledData::OnDisk(file) => Text::file(file),
        }
    }
}

/// A text that is being read.
#[cfg(not(feature = "spool"))]
#[derive(Debug, Default)]
pub(crate) struct Spool(Vec<u8>);

#[cfg(not(feature = "spool"))]
#[expect(clippy::unnecessary_wraps, reason = "a file may fail")]
impl Spool {
    /// Keeps the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// The text that was kept.
    pub(crate) fn into_text(self) -> io::Result<Text> {
        Ok(Text::memory(self.0.into()))
    }
}
