//! A header field of the command line: `Name: value`.

use std::str::FromStr;

use bytes::Bytes;

/// The most bytes of a line without its end (RFC 5322 section 2.1.1).
const LINE_LIMIT: usize = 998;
/// The most bytes of a line where it can be folded.
const FOLD_AT: usize = 78;

/// A field that is right: its value ends no line, and no line of it is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    name: String,
    value: String,
}

impl Field {
    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The field as it goes into a header, folded at white space, with its line ends.
    pub(crate) fn lines(&self) -> Bytes {
        let mut text = self.folded();
        text.push('\n');
        text.into()
    }

    /// White space begins a line; what comes before it is on the line above.
    fn folded(&self) -> String {
        let mut text = format!("{}:", self.name);
        let mut width = text.len();
        let value = format!(" {}", self.value);
        let mut rest = value.as_str();
        let mut is_first = true;
        while !rest.is_empty() {
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let word = rest.get(blanks..).unwrap_or_default();
            let end = word.find([' ', '\t']).unwrap_or(word.len());
            let (piece, behind) = rest.split_at_checked(blanks + end).unwrap_or((rest, ""));
            // A line of white space alone would end the header for some.
            if !is_first && width + piece.len() > FOLD_AT && end > 0 {
                text.push('\n');
                width = 0;
            }
            text.push_str(piece);
            width += piece.len();
            rest = behind;
            is_first = false;
        }
        text
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
        if name.is_empty() || !name.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err("the name of a header field is ASCII without blanks".to_owned());
        }
        let value = value.trim_matches([' ', '\t']);
        if let Some(odd) = value.chars().find(|c| c.is_control() && *c != '\t') {
            let code = u32::from(odd);
            return Err(format!("the value has the control character U+{code:04X}"));
        }
        let field = Self {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        match field
            .folded()
            .split('\n')
            .find(|line| line.len() > LINE_LIMIT)
        {
            None => Ok(field),
            Some(_) => Err(format!(
                "the value has no blank at which it could be folded into lines of at most {LINE_LIMIT} bytes"
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_folded_where_it_has_blanks() {
        let word = "w".repeat(40);
        let long = "x".repeat(900);
        for (text, lines) in [
            ("A: b", "A: b\n".to_owned()),
            ("A:b", "A: b\n".to_owned()),
            ("A:", "A: \n".to_owned()),
            ("A: \t b \t", "A: b\n".to_owned()),
            (
                &format!("A: {word} {word}  {word}"),
                format!("A: {word}\n {word}\n  {word}\n"),
            ),
            (&format!("A: {long}"), format!("A: {long}\n")),
            (
                &format!("A: {long} {long}"),
                format!("A: {long}\n {long}\n"),
            ),
        ] {
            assert_eq!(text.parse::<Field>().unwrap().lines(), lines, "{text:?}");
        }
    }

    #[test]
    fn what_would_break_the_header_is_refused() {
        let long = format!("A: {}", "x".repeat(1000));
        for text in [
            "",
            "A",
            ": b",
            "A b: c",
            " A: b",
            "A\n: b",
            "Ü: b",
            "A: b\nC: d",
            "A: b\r\nC: d",
            "A: b\r",
            "A: \0",
            "A: \u{85}",
            "A: \u{1b}[31m",
            &long,
        ] {
            assert!(text.parse::<Field>().is_err(), "{text:?}");
        }
    }
}
