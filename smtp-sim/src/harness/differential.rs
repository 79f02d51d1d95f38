//! Replies as lettre reads them (`transport/smtp/response.rs` there): where it
//! differs, there is a reason with a name, or something is wrong on one side.

use lettre::transport::smtp::response::Response;
use smtp_proto::{Reply, ReplyLimits, ReplyReader};

/// Why two parsers may read a reply differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A line ends in a bare LF, which Postfix takes for a line end and lettre does
    /// not.
    BareLf,
    /// A code that RFC 5321 4.2.1 does not know, such as 199 or 260. Postfix takes
    /// any three digits.
    UnknownCode,
    /// The lines have different codes. Postfix takes the last.
    Codes,
    /// A last line with nothing behind the code. RFC 5321 4.2.1 tells clients to
    /// take it, lettre does not.
    BareCode,
    /// A line that is no reply line, which Postfix reads over.
    Garbage,
    /// Bytes that are no UTF-8. Lettre is given text, and this side makes question
    /// marks of them.
    NotText,
}

/// Replies, as this project and as lettre read them.
///
/// # Panics
/// The parsers differ, and none of the reasons applies.
pub fn differential(input: &[u8]) {
    let mut reader = ReplyReader::new(ReplyLimits::default(), None);
    reader.push(input);
    let ours = reader.next().and_then(Result::ok);
    let used = input.len().saturating_sub(reader.buffered());
    // No more than the reply itself: lettre would go on to the next for a line end.
    let matter = if ours.is_some() {
        input.get(..used).unwrap_or(input)
    } else {
        input
    };
    let theirs = std::str::from_utf8(matter)
        .ok()
        .and_then(|text| text.parse::<Response>().ok());
    let same = match (&ours, &theirs) {
        (Some(ours), Some(theirs)) => {
            ours.code() == u16::from(theirs.code()) && same_text(ours, theirs)
        }
        (None, None) => true,
        _ => false,
    };
    assert!(
        same || difference(matter).is_some(),
        "read differently without a reason: {ours:?} {theirs:?}"
    );
}

/// Whether the lines are the same, as far as this side keeps them: it
/// takes CRs off the end of a line, ends it at a NUL, makes question marks of control
/// characters, and keeps so much of a line and of all.
fn same_text(ours: &Reply, theirs: &Response) -> bool {
    let limits = ReplyLimits::default();
    let code = ours.code();
    let count = theirs.message().count();
    let lines = theirs.message().enumerate().map(|(number, text)| {
        let mark = if number + 1 == count { ' ' } else { '-' };
        let line = format!("{code:03}{mark}{text}");
        let line = if line.len() < limits.line {
            line.trim_end_matches('\r')
        } else {
            &line
        };
        let cut = line.split('\0').next().unwrap_or_default();
        cut.replace(|c: char| c.is_ascii_control(), "?")
    });
    let expected = lines.collect::<Vec<_>>().join("\n");
    let whole = expected.len() < limits.text.min(limits.line);
    if whole {
        ours.text() == expected
    } else {
        let head = expected.get(..limits.line / 2).unwrap_or_default();
        ours.text().starts_with(head)
    }
}

/// The first reason in the bytes of a reply.
fn difference(matter: &[u8]) -> Option<Difference> {
    let Ok(text) = std::str::from_utf8(matter) else {
        return Some(Difference::NotText);
    };
    let mut first = None;
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix("\r\n") else {
            // Half a line is no reply for anybody.
            return line.ends_with('\n').then_some(Difference::BareLf);
        };
        let (code, rest) = line.split_at_checked(3).unwrap_or_default();
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Difference::Garbage);
        }
        if !known(code) {
            return Some(Difference::UnknownCode);
        }
        match rest.chars().next() {
            None | Some('\r' | '\0') => return Some(Difference::BareCode),
            Some(' ' | '-') => {}
            Some(_) => return Some(Difference::Garbage),
        }
        if *first.get_or_insert(code) != code {
            return Some(Difference::Codes);
        }
    }
    None
}

/// The codes that RFC 5321 4.2.1 has a meaning for.
fn known(code: &str) -> bool {
    code.starts_with(['2', '3', '4', '5'])
        && code
            .get(1..)
            .is_some_and(|rest| rest.starts_with(['0', '1', '2', '3', '4', '5']))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_one_that_lettre_and_postfix_differ_in() {
        let table: [(&[u8], Difference); 9] = [
            (b"250 ok\n", Difference::BareLf),
            (b"199 ok\r\n", Difference::UnknownCode),
            (b"260 ok\r\n", Difference::UnknownCode),
            (b"250-a\r\n251 b\r\n", Difference::Codes),
            (b"250\r\n", Difference::BareCode),
            (b"hello\r\n250 ok\r\n", Difference::Garbage),
            (b"\r\n250 ok\r\n", Difference::Garbage),
            (b"250\tok\r\n250 ok\r\n", Difference::Garbage),
            (b"250 \xff\r\n", Difference::NotText),
        ];
        for (reply, expected) in table {
            assert_eq!(difference(reply), Some(expected), "{reply:?}");
            let theirs = std::str::from_utf8(reply).ok();
            assert!(theirs.is_none_or(|text| text.parse::<Response>().is_err()));
            let mut reader = ReplyReader::new(ReplyLimits::default(), None);
            reader.push(reply);
            assert!(reader.next().unwrap().is_ok(), "{reply:?}");
            differential(reply);
        }
        assert_eq!(difference(b"250-a\r\n250 b\r\n"), None);
    }
}
