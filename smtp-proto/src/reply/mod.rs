//! Replies of the server: what they are ([`Reply`]), how they are read from
//! the connection ([`ReplyReader`]) and what the one to EHLO or LHLO offers
//! ([`Capabilities`]). What a reply means in a given state is not decided here.

mod ehlo;
mod input;
mod reader;

use alloc::{string::String, sync::Arc};
use core::fmt;

pub use ehlo::{Capabilities, Keyword, KeywordSet, XforwardSet};
pub use reader::{
    FilterFailure, LineFilter, ReplyError, ReplyLimits, ReplyNote, ReplyReader, ReplyText,
};

use crate::status::EnhancedStatus;

/// A whole reply, one line or many.
///
/// ```
/// use smtp_proto::Reply;
///
/// let reply = Reply::new(550, "550-5.1.1 who\n550 5.1.2 is that?");
/// assert_eq!(reply.class(), 5);
/// assert_eq!(reply.status().to_string(), "5.1.2");
/// assert_eq!(reply.one_line(), "550-5.1.1 who 550 5.1.2 is that?");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: EnhancedStatus,
    text: Arc<str>,
    irregular: bool,
}

impl Reply {
    /// A reply with this code, 0 to 999, and this text, lines separated by LF. The enhanced status
    /// is found as in [`status`](Self::status), whether or not the lines begin with the code.
    pub fn new(code: u16, text: impl Into<Arc<str>>) -> Reply {
        let text = text.into();
        let last = text.rsplit('\n').next().unwrap_or_default();
        let status = match last.split_at_checked(3) {
            Some((digits, rest)) if digits.parse() == Ok(code) => status_of(code, rest),
            _ => status_of(code, last),
        };
        Reply {
            code,
            status,
            text,
            irregular: false,
        }
    }

    /// The three-digit code of the last line, 0 to 999.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The first digit of the code, 0 to 9.
    pub fn class(&self) -> u8 {
        (self.code / 100 % 10) as u8
    }

    /// Whether the code is 2xx.
    pub fn is_success(&self) -> bool {
        self.class() == 2
    }

    /// Whether the code is 3xx.
    pub fn is_intermediate(&self) -> bool {
        self.class() == 3
    }

    /// The enhanced status of the reply.
    ///
    /// For codes 2xx, 4xx and 5xx it is the one that the last line gives after its code, if it is
    /// of the same class, otherwise `2.0.0`, `4.0.0` or `5.0.0`. For all other codes it is `5.5.0`:
    /// they are protocol errors where a final reply is due.
    pub fn status(&self) -> EnhancedStatus {
        self.status
    }

    /// All lines with their codes, joined by LF. No line is added once there are 2048 bytes
    /// ([`ReplyLimits::text`]).
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, shared with the reply.
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The lines of the text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// The text with a blank for each LF, as it stands in logs and bounces.
    pub fn one_line(&self) -> String {
        self.text.replace('\n', " ")
    }

    /// Whether lines that are no reply lines were read into this reply. The server may be out of
    /// step then: such a connection is not to be used again.
    pub fn is_irregular(&self) -> bool {
        self.irregular
    }
}

/// The reply in one line, as [`Reply::one_line`] gives it.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            f.write_str(if index > 0 { " " } else { "" })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// The enhanced status of a last line, given what follows its code.
fn status_of(code: u16, rest: &str) -> EnhancedStatus {
    let class = (code / 100 % 10) as u8;
    if !matches!(class, 2 | 4 | 5) {
        return EnhancedStatus::new(5, 5, 0);
    }
    let blanks = rest.bytes().take_while(|byte| *byte == b' ').count();
    match EnhancedStatus::parse(rest.get(blanks..).unwrap_or_default()) {
        Some((status, _)) if status.class() == class => status,
        _ => EnhancedStatus::new(class, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_status_comes_from_the_last_line_and_agrees_with_the_code() {
        for (code, text, status) in [
            (550, "550 5.1.1 no such user", "5.1.1"),
            (550, "550  5.1.1 two blanks", "5.1.1"),
            (550, "550", "5.0.0"),
            (550, "550 4.1.1 other class", "5.0.0"),
            (550, "550 5.1 two parts", "5.0.0"),
            (550, "550 5.1.1111 long", "5.0.0"),
            (550, "550 5.999.999 big", "5.999.999"),
            (550, "550-5.1.1 first\n550 5.1.2 last", "5.1.2"),
            (550, "550-5.1.1 first\n550 last", "5.0.0"),
            (250, "250 Ok", "2.0.0"),
            (354, "354 3.0.0 go on", "5.5.0"),
            (150, "150 5.1.1 strange", "5.5.0"),
            (0, "no code", "5.5.0"),
            (450, "4.3.0 text without code", "4.3.0"),
        ] {
            assert_eq!(
                Reply::new(code, text).status().to_string(),
                status,
                "{text}"
            );
        }
    }
}
