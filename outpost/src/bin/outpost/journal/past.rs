//! The results of earlier runs, as a journal has them.
//!
//! Names are kept as digests, so that a journal of a million recipients takes some dozens of
//! megabytes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use sha2::{Digest, Sha256};

use super::record::{Record, VERSION};
use crate::job::Origin;

/// The most bytes of a line.
const LINE_LIMIT: u64 = 16 * 1024 * 1024;

/// The standing of a recipient after earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was sent, or bounced: there is nothing left to do.
    Settled,
    /// It was deferred, or never in doubt.
    Open,
    /// Its message may have been accepted.
    InDoubt,
}

/// Part of a SHA-256 digest, enough to tell names apart.
type Mark = [u8; 16];

/// The books of earlier runs.
#[derive(Debug, Default)]
pub(super) struct Past {
    recipients: BTreeMap<Mark, Standing>,
    texts: BTreeMap<Mark, Mark>,
    has_begun: bool,
    /// The length up to the last whole line, if a piece of one is behind it.
    torn_at: Option<u64>,
}

/// A fault in a journal and its place: the part of a message behind the journal's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Past {
    /// Reads a journal from its beginning.
    pub(super) fn read(file: impl Read + Seek, sources: &[String]) -> Result<Self, Fault> {
        let mut past = Self::default();
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let (mut line, mut whole) = (Vec::new(), 0_u64);
        for number in 1_u64.. {
            line.clear();
            let mut room = (&mut reader).take(LINE_LIMIT);
            room.read_until(b'\n', &mut line).map_err(unreadable)?;
            if line.is_empty() {
                break;
            }
            if !line.ends_with(b"\n") {
                if line.len() as u64 == LINE_LIMIT {
                    return Err(Fault(format!(":{number}: the line is too long")));
                }
                past.torn_at = Some(whole);
                break;
            }
            whole += line.len() as u64;
            let record = serde_json::from_slice(&line)
                .map_err(|why| Fault(format!(":{number}: {}", without_place(&why))))?;
            past.take(record, number == 1, sources)
                .map_err(|why| Fault(format!(":{number}: {why}")))?;
        }
        Ok(past)
    }

    fn take(
        &mut self,
        record: Record<'_>,
        is_first: bool,
        wanted: &[String],
    ) -> Result<(), Cow<'static, str>> {
        match record {
            Record::Journal { .. } if !is_first => {
                return Err("a second beginning of a journal".into());
            }
            Record::Journal { version, .. } if version != VERSION => {
                return Err(format!("version {version} of the form is not known").into());
            }
            Record::Journal { sources, .. } if *sources != *wanted => {
                let (theirs, ours) = (sources.join(", "), wanted.join(", "));
                return Err(format!("it is about other sources: {theirs}, not {ours}").into());
            }
            Record::Journal { .. } => self.has_begun = true,
            _ if is_first => return Err("it does not begin as a journal does".into()),
            Record::Doubt {
                source,
                digest,
                recipients,
                cleared,
                ..
            } => {
                self.note_text(&source, &digest);
                for one in recipients {
                    self.set(&source, &digest, &one, Standing::InDoubt);
                }
                for one in cleared {
                    self.clear(&source, &digest, &one);
                }
            }
            Record::Verdict {
                source,
                digest,
                recipient,
                status,
                uncertain,
                ..
            } => {
                let standing = match &*status {
                    "sent" | "bounced" => Standing::Settled,
                    "deferred" if uncertain => Standing::InDoubt,
                    "deferred" => Standing::Open,
                    other => return Err(format!("the status {other:?} is not known").into()),
                };
                self.note_text(&source, &digest);
                self.set(&source, &digest, &recipient, standing);
            }
        }
        Ok(())
    }

    /// Nothing was in the file, or a piece of the first line.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_begun
    }

    /// The length of the file up to the last whole line, where a piece follows.
    pub(super) fn torn_at(&self) -> Option<u64> {
        self.torn_at
    }

    /// Returns whether the journal knows another text by this name.
    pub(super) fn has_other_text(&self, origin: &Origin) -> bool {
        let text = self.texts.get(&mark(&[&origin.key]));
        text.is_some_and(|text| *text != mark(&[&origin.digest]))
    }

    /// Returns the standing of a recipient.
    pub(super) fn standing(&self, origin: &Origin, recipient: &str) -> Option<Standing> {
        let mark = mark(&[&origin.key, &origin.digest, recipient]);
        self.recipients.get(&mark).copied()
    }

    fn note_text(&mut self, source: &str, digest: &str) {
        self.texts.insert(mark(&[source]), mark(&[digest]));
    }

    fn set(&mut self, source: &str, digest: &str, recipient: &str, standing: Standing) {
        let mark = mark(&[source, digest, recipient]);
        self.recipients.insert(mark, standing);
    }

    /// Somebody is not in doubt any more, unless there is a verdict.
    fn clear(&mut self, source: &str, digest: &str, recipient: &str) {
        let mark = mark(&[source, digest, recipient]);
        if let Some(standing @ Standing::InDoubt) = self.recipients.get_mut(&mark) {
            *standing = Standing::Open;
        }
    }
}

/// The digest of some texts. None of them has a NUL.
fn mark(parts: &[&str]) -> Mark {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let mut mark = Mark::default();
    for (into, byte) in mark.iter_mut().zip(hash.finalize()) {
        *into = byte;
    }
    mark
}

fn unreadable(error: io::Error) -> Fault {
    Fault(format!(" cannot be read: {error}"))
}

/// Returns the JSON reader's message without the place, since each line is a text by itself.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = text.rfind(" at line 1 column ");
    place
        .and_then(|place| text.get(..place))
        .unwrap_or(&text)
        .to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const BEGIN: &str = r#"{"event":"journal","version":1,"time":"t","sources":["/d"]}"#;

    fn read(lines: &str) -> Result<Past, String> {
        Past::read(Cursor::new(lines), &["/d".to_owned()]).map_err(|fault| fault.to_string())
    }

    fn origin() -> Origin {
        Origin {
            name: "d/a".into(),
            key: "/d/a".into(),
            digest: "00".into(),
        }
    }

    fn doubt(recipients: &str, cleared: &str) -> String {
        format!(
            r#"{{"event":"doubt","time":"t","source":"/d/a","digest":"00","recipients":[{recipients}],"cleared":[{cleared}]}}"#
        )
    }

    fn verdict(status: &str) -> String {
        format!(
            r#"{{"event":"verdict","time":"t","source":"/d/a","digest":"00","recipient":"a@x","status":"{status}","dsn":"2.0.0","text":"ok"}}"#
        )
    }

    #[test]
    fn the_last_word_about_a_recipient_counts() {
        let uncertain = verdict("deferred").replace(r#","dsn""#, r#","uncertain":true,"dsn""#);
        let doubtful = doubt(r#""a@x""#, "");
        let clear = doubt("", r#""a@x""#);
        for (lines, expected) in [
            (vec![], None),
            (vec![doubtful.clone()], Some(Standing::InDoubt)),
            (vec![doubtful.clone(), clear.clone()], Some(Standing::Open)),
            (
                vec![doubtful.clone(), verdict("sent")],
                Some(Standing::Settled),
            ),
            (vec![verdict("bounced"), clear], Some(Standing::Settled)),
            (
                vec![doubtful.clone(), verdict("deferred")],
                Some(Standing::Open),
            ),
            (vec![uncertain], Some(Standing::InDoubt)),
            (vec![verdict("deferred"), doubtful], Some(Standing::InDoubt)),
        ] {
            let text = format!("{BEGIN}\n{}\n", lines.join("\n"));
            let past = read(text.trim_end_matches("\n\n")).unwrap_or_default();
            let text = if lines.is_empty() {
                format!("{BEGIN}\n")
            } else {
                text
            };
            let past = if lines.is_empty() {
                read(&text).unwrap()
            } else {
                past
            };
            assert_eq!(past.standing(&origin(), "a@x"), expected, "{text}");
            assert_eq!(past.standing(&origin(), "b@x"), None);
        }
    }

    #[test]
    fn a_text_that_has_changed_is_noticed() {
        let past = read(&format!("{BEGIN}\n{}\n", verdict("sent"))).unwrap();
        assert!(!past.has_other_text(&origin()));
        let other = Origin {
            digest: "11".into(),
            ..origin()
        };
        assert!(past.has_other_text(&other));
        assert_eq!(past.standing(&other, "a@x"), None);
    }

    #[test]
    fn a_torn_last_line_is_left_out_wherever_it_is_torn() {
        let whole = format!("{BEGIN}\n{}\n", doubt(r#""a@x""#, ""));
        let text = format!("{whole}{}\n", verdict("sent"));
        for cut in 0..text.len() {
            let past = read(text.get(..cut).unwrap()).unwrap();
            let is_whole = text.get(..cut).unwrap().ends_with('\n') || cut == 0;
            assert_eq!(past.torn_at().is_none(), is_whole, "{cut}");
            if cut >= whole.len() {
                assert_eq!(past.standing(&origin(), "a@x"), Some(Standing::InDoubt));
            }
            assert_eq!(past.is_empty(), cut <= BEGIN.len(), "{cut}");
        }
    }

    #[test]
    fn anything_else_that_is_broken_is_an_error_with_its_line() {
        let sent = verdict("sent");
        for (text, said) in [
            ("\n".to_owned(), ":1: "),
            (
                format!("{sent}\n"),
                ":1: it does not begin as a journal does",
            ),
            (format!("{BEGIN}\n{BEGIN}\n"), ":2: a second beginning"),
            (
                format!("{BEGIN}\n{sent}\nx\n{sent}\n"),
                ":3: expected value",
            ),
            (format!("{BEGIN}\n\0\0\n"), ":2: expected value"),
            (format!("{BEGIN}\n{{}}\n"), ":2: missing field `event`"),
            (
                format!("{BEGIN}\n{}\n", verdict("lost")),
                ":2: the status \"lost\" is not known",
            ),
            (
                format!("{}\n", BEGIN.replace(":1,", ":2,")),
                ":1: version 2 of the form is not known",
            ),
            (
                format!("{}\n", BEGIN.replace("/d", "/e")),
                ":1: it is about other sources: /e, not /d",
            ),
        ] {
            let fault = read(&text).unwrap_err();
            assert!(fault.starts_with(said), "{fault:?} for {text:?}");
        }
    }
}
