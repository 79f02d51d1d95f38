//! The lines of main.cf: comments, continuation lines, `name = value`.
//!
//! A line that begins with white space continues the one before it. Comments, empty lines and lines
//! of white space may stand in between (Postfix: readlline.c, split_nameval.c).

use super::error::{ConfigError, ConfigWarning, Oddity, Origin, Problem};

/// One setting with the number of its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// Splits `name = value`. The error is a sentence without place or quotation.
pub(crate) fn split_setting(text: &str) -> Result<(&str, &str), &'static str> {
    let text = trim(text);
    if text.is_empty() || text.starts_with('=') {
        return Err("missing attribute name");
    }
    let missing = "missing '=' after attribute name";
    let (name, value) = text.split_once('=').ok_or(missing)?;
    let name = trim(name);
    if name.bytes().any(is_space) {
        return Err(missing);
    }
    Ok((name, trim(value)))
}

/// Cuts the bytes of a file into settings. `file` is its name, for messages.
pub(crate) fn lines(
    bytes: &[u8],
    file: &str,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Vec<Line>, ConfigError> {
    let mut reader = Reader {
        file,
        warnings,
        pending: None,
        lines: Vec::new(),
    };
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        reader.physical_line(index + 1, raw)?;
    }
    reader.finish()?;
    Ok(reader.lines)
}

struct Reader<'a> {
    file: &'a str,
    warnings: &'a mut Vec<ConfigWarning>,
    pending: Option<(usize, String)>,
    lines: Vec<Line>,
}

impl Reader<'_> {
    fn origin(&self, line: usize) -> Origin {
        Origin::File {
            name: self.file.to_owned(),
            line,
        }
    }

    fn error(&self, line: usize, text: impl Into<String>) -> ConfigError {
        ConfigError {
            origin: self.origin(line),
            parameter: None,
            problem: Problem::Syntax(text.into()),
        }
    }

    fn physical_line(&mut self, number: usize, raw: &[u8]) -> Result<(), ConfigError> {
        match raw.iter().copied().find(|byte| !is_space(*byte)) {
            None | Some(b'#') => return Ok(()),
            Some(_) => {}
        }
        // Postfix would silently drop what follows a null byte.
        if raw.contains(&0) {
            return Err(self.error(number, "null byte in text"));
        }
        let Ok(text) = std::str::from_utf8(raw) else {
            return Err(self.error(number, "the text is not UTF-8"));
        };
        if raw.first().copied().is_some_and(is_space) {
            match &mut self.pending {
                Some((_, line)) => line.push_str(text),
                None => {
                    let text = text.chars().take(30).collect();
                    let oddity = Oddity::LeadingSpace { text };
                    self.warnings.push(ConfigWarning {
                        origin: self.origin(number),
                        oddity,
                    });
                }
            }
            return Ok(());
        }
        self.finish()?;
        self.pending = Some((number, text.to_owned()));
        Ok(())
    }

    /// Ends the line that may still be continued.
    fn finish(&mut self) -> Result<(), ConfigError> {
        let Some((number, text)) = self.pending.take() else {
            return Ok(());
        };
        match split_setting(&text) {
            Ok((name, value)) => {
                let (name, value) = (name.to_owned(), value.to_owned());
                self.lines.push(Line {
                    number,
                    name,
                    value,
                });
                Ok(())
            }
            Err(why) => {
                let shown: String = text.chars().take(60).collect();
                Err(self.error(number, format!("{why}: \"{}\"", shown.escape_debug())))
            }
        }
    }
}
