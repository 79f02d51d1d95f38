//! The way of an event's words into one line of the log: no control character gets
//! through, whoever has had a say in the words.

use core::fmt::{self, Write};

use super::Charset;
use crate::{printable::printable, request::QueueId};

/// A writer of one line.
pub(super) struct Line<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    charset: Charset,
}

impl<'a, 'b> Line<'a, 'b> {
    pub(super) fn new(out: &'a mut fmt::Formatter<'b>, charset: Charset) -> Self {
        Self { out, charset }
    }
}

impl Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let shown = printable(text);
        if self.charset == Charset::Utf8 || shown.is_ascii() {
            return self.out.write_str(&shown);
        }
        shown.bytes().try_for_each(|byte| {
            let shown = if byte.is_ascii() { byte } else { b'?' };
            self.out.write_char(char::from(shown))
        })
    }
}

/// The message's name in front of a line about it; nothing where it has none.
pub(crate) struct About<'a>(pub(crate) &'a QueueId);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_empty() {
            true => Ok(()),
            false => write!(f, "{}: ", self.0),
        }
    }
}
