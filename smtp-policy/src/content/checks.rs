//! Header and body checks: what a table says about a header field or a body line,
//! and what is done about it (`smtp_header_checks` and its like; Postfix:
//! `src/global/header_body_checks.c`).

use smtp_proto::mime::header_name_len;

use crate::{
    report::LogText,
    tables::{
        Maps,
        byte_text::{narrow, narrow_text, widen},
    },
};

/// How much of a header field or line is shown in the log, in bytes.
const SHOWN: usize = 60;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A whole header field.
    Header,
    /// A record of the body.
    Body,
}

/// What becomes of the text that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays.
    Keep,
    /// It stays, with a line before it.
    Prepend(Vec<u8>),
    /// It is replaced.
    Replace(Vec<u8>),
    /// It is left out.
    Drop,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// An action on this message, to be shown with its name.
    Action(LogText),
    /// Something wrong with a table.
    Warning(LogText),
}

/// A header field or a record as tables see it, one character for each byte.
#[derive(Debug)]
pub(super) struct Subject(String);

impl Subject {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(widen(bytes))
    }

    /// What is looked up: the text up to the first NUL.
    pub(super) fn key(&self) -> &str {
        self.0.split('\0').next().unwrap_or_default()
    }
}

/// The tables of one kind of check, with the name of their parameter.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckMaps {
    pub(super) parameter: String,
    pub(super) maps: Maps,
}

impl CheckMaps {
    /// Does what a table says. A command that is not known, or cannot be done, is
    /// left aside with a warning.
    pub(super) fn act(
        &self,
        place: Place,
        result: &str,
        subject: &Subject,
    ) -> (Verdict, Option<Remark>) {
        let (command, rest) = result.split_once([' ', '\t']).unwrap_or((result, ""));
        let text = rest.trim_start_matches(is_space);
        let text = text.split('\0').next().unwrap_or_default();
        let log = |action: &str| Some(Remark::Action(log_line(action, place, subject.key(), text)));
        match command.to_ascii_uppercase().as_str() {
            "WARN" => (Verdict::Keep, log("warning")),
            "INFO" => (Verdict::Keep, log("info")),
            "REPLACE" => match self.new_text("REPLACE", place, text) {
                Ok(text) => (Verdict::Replace(text), log("replace")),
                Err(warning) => (Verdict::Keep, Some(warning)),
            },
            "PREPEND" => match self.new_text("PREPEND", place, text) {
                Ok(text) => (Verdict::Prepend(text), log("prepend")),
                Err(warning) => (Verdict::Keep, Some(warning)),
            },
            "STRIP" => (Verdict::Drop, log("strip")),
            "IGNORE" => (Verdict::Drop, None),
            "DUNNO" | "OK" => (Verdict::Keep, None),
            _ => {
                let parameter = &self.parameter;
                let result = narrow_text(result);
                let text = format!("unsupported command in {parameter} map: {result}");
                (Verdict::Keep, Some(Remark::Warning(text.into())))
            }
        }
    }

    /// A new text as bytes, its lines apart by LF. Or what is wrong with it.
    fn new_text(&self, action: &str, place: Place, text: &str) -> Result<Vec<u8>, Remark> {
        let parameter = &self.parameter;
        let shown = narrow_text(text);
        let why = if text.is_empty() {
            format!("{action} action without text in {parameter} map")
        } else if place == Place::Header && header_name_len(text.as_bytes()).is_none() {
            format!(
                "bad {action} header text \"{shown}\" in {parameter} map -- \
                 need \"headername: headervalue\""
            )
        } else {
            // Postfix would send any of them as it is.
            match in_lines(place, text) {
                Ok(text) => return Ok(narrow(&text)),
                Err(why) => format!("bad {action} text \"{shown}\" in {parameter} map -- {why}"),
            }
        };
        Err(Remark::Warning(why.into()))
    }
}

/// A new text that is one line, or one header field. Parts of the text that
/// was checked can be in it, and so its folds, or a CR that is none of a line end.
fn in_lines(place: Place, text: &str) -> Result<String, &'static str> {
    let text = text.replace("\r\n", "\n");
    let mut more = text.split('\n').skip(1);
    let whole = match place {
        Place::Header => more.all(|line| line.starts_with([' ', '\t'])),
        Place::Body => more.next().is_none(),
    };
    match (whole, text.contains('\r')) {
        (false, _) => Err("more than one line"),
        (true, true) => Err("a carriage return that ends no line"),
        (true, false) => Ok(text),
    }
}

fn log_line(action: &str, place: Place, subject: &str, text: &str) -> LogText {
    let place = match place {
        Place::Header => "header",
        Place::Body => "body",
    };
    let end = subject
        .char_indices()
        .nth(SHOWN)
        .map_or(subject.len(), |(at, _)| at);
    let subject = narrow_text(subject.get(..end).unwrap_or(subject));
    let colon = if text.is_empty() { "" } else { ": " };
    let text = narrow_text(text);
    format!("{action}: {place} {subject}{colon}{text}").into()
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_can_say() {
        let checks = CheckMaps {
            parameter: "smtp_header_checks".into(),
            maps: Maps::default(),
        };
        let keep = || Verdict::Keep;
        let action = |text: &str| Some(Remark::Action(text.into()));
        let warning = |text: &str| Some(Remark::Warning(text.into()));
        for (place, result, verdict, remark) in [
            (
                Place::Header,
                "WARN",
                keep(),
                action("warning: header Subject: x"),
            ),
            (
                Place::Header,
                "warn \t why not",
                keep(),
                action("warning: header Subject: x: why not"),
            ),
            (
                Place::Body,
                "INFO y",
                keep(),
                action("info: body Subject: x: y"),
            ),
            (
                Place::Header,
                "REPLACE X: y",
                Verdict::Replace("X: y".into()),
                action("replace: header Subject: x: X: y"),
            ),
            (
                Place::Body,
                "replace a b",
                Verdict::Replace("a b".into()),
                action("replace: body Subject: x: a b"),
            ),
            (
                Place::Body,
                "PREPEND a",
                Verdict::Prepend("a".into()),
                action("prepend: body Subject: x: a"),
            ),
            (
                Place::Header,
                "STRIP",
                Verdict::Drop,
                action("strip: header Subject: x"),
            ),
            (Place::Header, "IGNORE what", Verdict::Drop, None),
            (Place::Header, "DUNNO", keep(), None),
            (Place::Header, "ok", keep(), None),
            (
                Place::Header,
                "REPLACE",
                keep(),
                warning("REPLACE action without text in smtp_header_checks map"),
            ),
            (
                Place::Header,
                "PREPEND no header",
                keep(),
                warning(
                    "bad PREPEND header text \"no header\" in smtp_header_checks map -- \
                     need \"headername: headervalue\"",
                ),
            ),
            (
                Place::Body,
                "REPLACE a\r\n.\r\nQUIT\0",
                keep(),
                warning(
                    "bad REPLACE text \"a??.??QUIT\" in smtp_header_checks map -- \
                     more than one line",
                ),
            ),
            (
                Place::Header,
                "PREPEND X: a\n\tb",
                Verdict::Prepend("X: a\n\tb".into()),
                action("prepend: header Subject: x: X: a??b"),
            ),
            (
                Place::Header,
                "PREPEND X: a\r\n\tb",
                Verdict::Prepend("X: a\n\tb".into()),
                action("prepend: header Subject: x: X: a???b"),
            ),
            (
                Place::Header,
                "REPLACE X: a\rb",
                keep(),
                warning(
                    "bad REPLACE text \"X: a?b\" in smtp_header_checks map -- \
                     a carriage return that ends no line",
                ),
            ),
            (
                Place::Header,
                "PREPEND X: a\r\r\n\tb",
                keep(),
                warning(
                    "bad PREPEND text \"X: a????b\" in smtp_header_checks map -- \
                     a carriage return that ends no line",
                ),
            ),
            (
                Place::Body,
                "PREPEND .\r",
                keep(),
                warning(
                    "bad PREPEND text \".?\" in smtp_header_checks map -- \
                     a carriage return that ends no line",
                ),
            ),
            (
                Place::Header,
                "REPLACE X: a\n\nb",
                keep(),
                warning(
                    "bad REPLACE text \"X: a??b\" in smtp_header_checks map -- more than one line",
                ),
            ),
            (
                Place::Header,
                "REJECT secret\n",
                keep(),
                warning("unsupported command in smtp_header_checks map: REJECT secret?"),
            ),
            (
                Place::Header,
                "WARNING",
                keep(),
                warning("unsupported command in smtp_header_checks map: WARNING"),
            ),
        ] {
            let subject = Subject::new(b"Subject: x");
            assert_eq!(
                checks.act(place, result, &subject),
                (verdict, remark),
                "{result}"
            );
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_header_is_logged() {
        let checks = CheckMaps::default();
        let subject = Subject::new(&[b'x'; 100]);
        let (_, remark) = checks.act(Place::Body, "STRIP", &subject);
        assert_eq!(
            remark,
            Some(Remark::Action(
                format!("strip: body {}", "x".repeat(60)).into()
            ))
        );
    }
}
