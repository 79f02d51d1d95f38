//! The messages of a run, from wherever the user keeps them: message files, directories,
//! Maildirs, mboxes, standard input. They are read one by one, as they are needed.
//!
//! The sources are looked at once in the beginning, so that a wrong name is told before
//! anything is sent. What cannot be read later on is the fault of that message alone.

mod folder;
mod mbox;

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    vec,
};

use anyhow::Context;
use outpost::{Message, message::Intake};

use self::mbox::Mbox;
use crate::{
    cli::InputKind,
    exit::{Exit, Failure, OrExit},
    output::complain,
    request::Fault,
};

/// The name of standard input on the command line.
const STANDARD_INPUT: &str = "-";
/// The beginning of each message of an mbox.
const FROM_LINE: &[u8] = b"From ";

/// One message, or why it could not be read.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The name for people, which follows from the command line.
    pub(crate) name: String,
    /// The name in a journal, which does not depend on how the command line was written.
    pub(crate) key: String,
    /// The message.
    pub(crate) message: Result<Message, Fault>,
}

/// All messages of the command line, in their order.
#[derive(Debug)]
pub(crate) struct Sources {
    left: vec::IntoIter<Source>,
    current: Option<Source>,
    intake: Intake,
    /// The number of messages, where it is known.
    count: Option<u64>,
    keys: Vec<String>,
}

/// One argument of the command line.
#[derive(Debug)]
struct Source {
    name: String,
    key: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Input,
    Message(PathBuf),
    /// Files of one folder or two.
    Folder(vec::IntoIter<folder::Entry>),
    Mbox(Box<Mbox<File>>),
    /// Nothing is left of it.
    Done,
}

impl Sources {
    /// Looks at all sources.
    ///
    /// # Errors
    /// One of them is not there, cannot be read, or is not of the kind that was named.
    pub(crate) fn open(
        paths: &[PathBuf],
        kind: InputKind,
        intake: Intake,
    ) -> Result<Self, Failure> {
        let sources: Vec<Source> = paths
            .iter()
            .map(|path| Source::open(path, kind, intake))
            .collect::<anyhow::Result<_>>()
            .or_exit(Exit::Data)?;
        let count = sources.iter().map(Source::count).sum();
        let keys = sources.iter().map(|source| source.key.clone()).collect();
        Ok(Self {
            left: sources.into_iter(),
            current: None,
            intake,
            count,
            keys,
        })
    }

    /// The only message that there can be: that of a single file, or standard input.
    pub(crate) fn single(&mut self) -> Option<anyhow::Result<Message>> {
        match self.left.as_slice() {
            [
                Source {
                    kind: Kind::Input, ..
                },
            ] => Some(from_input(self.intake)),
            [
                Source {
                    kind: Kind::Message(path),
                    ..
                },
            ] => Some(Message::open_with(path, self.intake).map_err(anyhow::Error::from)),
            _ => None,
        }
    }

    /// The number of messages; `None` where it is not known before they are read.
    pub(crate) fn total(&self) -> Option<u64> {
        self.count
    }

    /// The sources by the names that they have in a journal.
    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }
}

impl Iterator for Sources {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self
                .current
                .as_mut()
                .and_then(|source| source.next(self.intake))
            {
                return Some(piece);
            }
            self.current = Some(self.left.next()?);
        }
    }
}

impl Source {
    fn open(path: &Path, kind: InputKind, intake: Intake) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        if name == STANDARD_INPUT {
            return Ok(Self {
                key: name.clone(),
                name,
                kind: Kind::Input,
            });
        }
        let found = Self::find(path, kind, intake).with_context(|| match kind {
            InputKind::Auto | InputKind::Message => format!("cannot read the message {name}"),
            _ => format!("cannot read {name}"),
        })?;
        let key = fs::canonicalize(path).with_context(|| format!("cannot read {name}"))?;
        let key = key.display().to_string();
        Ok(Self {
            name,
            key,
            kind: found,
        })
    }

    fn find(path: &Path, kind: InputKind, intake: Intake) -> anyhow::Result<Kind> {
        let data = fs::metadata(path)?;
        let is_maildir = || path.join("new").is_dir() && path.join("cur").is_dir();
        Ok(match kind {
            InputKind::Directory => folder::list(path)?,
            InputKind::Maildir => folder::maildir(path)?,
            InputKind::Auto if data.is_dir() && is_maildir() => folder::maildir(path)?,
            InputKind::Auto if data.is_dir() => folder::list(path)?,
            InputKind::Mbox => Kind::Mbox(Box::new(Mbox::open(path, intake)?)),
            InputKind::Auto if data.is_file() && begins_as_mbox(path)? => {
                Kind::Mbox(Box::new(Mbox::open(path, intake)?))
            }
            InputKind::Auto | InputKind::Message => Kind::Message(path.to_owned()),
        })
    }

    /// The number of messages; `None` if it is not known.
    fn count(&self) -> Option<u64> {
        match &self.kind {
            Kind::Input | Kind::Message(_) => Some(1),
            Kind::Folder(entries) => Some(entries.len() as u64),
            Kind::Mbox(_) => None,
            Kind::Done => Some(0),
        }
    }

    fn next(&mut self, intake: Intake) -> Option<Piece> {
        let fault = |at: &str, error: anyhow::Error| Fault::new(at, format_args!("{error:#}"));
        match &mut self.kind {
            Kind::Input => {
                self.kind = Kind::Done;
                let message = from_input(intake).map_err(|error| fault(&self.name, error));
                Some(self.piece(message))
            }
            Kind::Message(path) => {
                let message = Message::open_with(path, intake).map_err(anyhow::Error::from);
                self.kind = Kind::Done;
                let message = message.map_err(|error| fault(&self.name, error));
                Some(self.piece(message))
            }
            Kind::Folder(entries) => {
                let entry = entries.next()?;
                let name = entry.path.display().to_string();
                let message = Message::open_with(&entry.path, intake).map_err(anyhow::Error::from);
                Some(Piece {
                    message: message.map_err(|error| fault(&name, error)),
                    key: format!("{}/{}", self.key, entry.key),
                    name,
                })
            }
            Kind::Mbox(mbox) => {
                let (number, message) = mbox.next()?;
                let name = format!("{}#{number}", self.name);
                Some(Piece {
                    message: message.map_err(|error| fault(&name, error)),
                    key: format!("{}#{number}", self.key),
                    name,
                })
            }
            Kind::Done => None,
        }
    }

    fn piece(&self, message: Result<Message, Fault>) -> Piece {
        Piece {
            name: self.name.clone(),
            key: self.key.clone(),
            message,
        }
    }
}

/// Reads the message from standard input.
fn from_input(intake: Intake) -> anyhow::Result<Message> {
    let input = io::stdin();
    if input.is_terminal() {
        complain("reading the message from the terminal, up to Ctrl-D");
    }
    let message = Message::read_with(input.lock(), intake);
    message.map_err(|error| error.with_origin("from standard input").into())
}

fn begins_as_mbox(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    let room = FROM_LINE.len() as u64;
    File::open(path)?.take(room).read_to_end(&mut start)?;
    Ok(start == FROM_LINE)
}
