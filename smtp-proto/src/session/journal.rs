//! The dialogue as text, for transcripts and verbose logs: each command and each
//! reply line, without the message. It is kept only if the profile asks for it
//! ([`Profile::journal`](super::Profile::journal)).
//!
//! What is said in a SASL exchange is left out, whoever says it: it could hold a
//! password, in base64 or in clear. (Postfix writes it down.)

use alloc::{borrow::ToOwned, collections::VecDeque, format, string::String, vec::Vec};
use core::{
    mem::take,
    ops::{Deref, DerefMut},
};

use crate::{
    queue::SendQueue,
    reply::{Reply, ReplyNote},
};

/// What stands for something that is left out.
const HIDDEN: &str = "[hidden]";

/// The most lines that wait to be taken; what comes then is not written down.
const LINES_LIMIT: usize = 4096;

/// A line of the dialogue, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A command of the client, or the dot that ends the text.
    Client(String),
    /// A line of the server, as it came.
    Server(String),
    /// What the reply filter made of the line before.
    Replacement(String),
}

/// The lines that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Journal {
    lines: Vec<Said>,
    /// A SASL exchange is under way.
    secret: bool,
    /// Lines of the reply that is being read, before and after the filter.
    replaced: VecDeque<(String, String)>,
}

impl Journal {
    fn client(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            self.write(Said::Client(line.to_owned()));
        }
    }

    fn secret(&mut self, shown: &str, hidden: &[u8]) {
        let hidden = if hidden.is_empty() { "" } else { HIDDEN };
        self.secret = true;
        self.write(Said::Client(format!("{shown}{hidden}")));
    }

    fn notes(&mut self, notes: &[ReplyNote]) {
        for note in notes {
            if let ReplyNote::Replaced { old, new } = note {
                self.replaced.push_back((old.clone(), new.clone()));
            }
        }
    }

    fn server(&mut self, reply: &Reply) {
        let mut replaced = take(&mut self.replaced);
        let challenge = self.secret && reply.is_intermediate();
        self.secret = challenge;
        if challenge {
            return self.write(Said::Server(format!("{} {HIDDEN}", reply.code())));
        }
        for line in reply.lines() {
            if let Some((_, new)) = replaced.front()
                && new == line
                && let Some((old, new)) = replaced.pop_front()
            {
                self.write(Said::Server(old));
                self.write(Said::Replacement(new));
            } else {
                self.write(Said::Server(line.to_owned()));
            }
        }
    }

    fn write(&mut self, line: Said) {
        if self.lines.len() < LINES_LIMIT {
            self.lines.push(line);
        }
    }
}

/// What is to be sent, with the journal of what is said in it.
#[derive(Debug, Default)]
pub(super) struct Output {
    queue: SendQueue,
    journal: Option<Journal>,
}

impl Output {
    pub(super) fn new(journal: bool) -> Self {
        Self {
            queue: SendQueue::new(),
            journal: journal.then(Journal::default),
        }
    }

    /// Sends a command. Message text goes into the queue itself.
    pub(super) fn write(&mut self, command: &[u8]) {
        if let Some(journal) = &mut self.journal {
            journal.client(command);
        }
        self.queue.write(command);
    }

    /// Sends the command that `encode` appends, if it makes one.
    pub(super) fn write_with<T>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let (made, command) = self.queue.write_with(encode);
        if made.is_some()
            && let Some(journal) = &mut self.journal
        {
            journal.client(command);
        }
        made
    }

    /// Sends a line of a SASL exchange: `shown`, and `hidden`, which is not written
    /// down. Challenges that follow are not written down either.
    pub(super) fn write_secret(&mut self, shown: &str, hidden: &[u8]) {
        if let Some(journal) = &mut self.journal {
            journal.secret(shown, hidden);
        }
        let parts = [shown.as_bytes(), hidden, b"\r\n"];
        parts.into_iter().for_each(|part| self.queue.write(part));
    }

    /// Writes down a reply, if it is complete, with what was noted while it was
    /// read.
    pub(super) fn heard(&mut self, reply: Option<&Reply>, notes: &[ReplyNote]) {
        if let Some(journal) = &mut self.journal {
            journal.notes(notes);
            reply.into_iter().for_each(|reply| journal.server(reply));
        }
    }

    pub(super) fn take_journal(&mut self) -> Vec<Said> {
        self.journal
            .as_mut()
            .map(|journal| take(&mut journal.lines))
            .unwrap_or_default()
    }
}

impl Deref for Output {
    type Target = SendQueue;

    fn deref(&self) -> &SendQueue {
        &self.queue
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut SendQueue {
        &mut self.queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Output {
        Output::new(true)
    }

    fn client(line: &str) -> Said {
        Said::Client(line.into())
    }

    fn server(line: &str) -> Said {
        Said::Server(line.into())
    }

    #[test]
    fn an_exchange_of_secrets_is_left_out_until_its_last_reply() {
        let mut output = journal();
        let heard =
            |output: &mut Output, code, text| output.heard(Some(&Reply::new(code, text)), &[]);
        output.write_secret("AUTH LOGIN", b"");
        heard(&mut output, 334, "334 VXNlcm5hbWU6");
        output.write_secret("", b"c2VjcmV0");
        heard(&mut output, 399, "399 c2VjcmV0");
        output.write_secret("", b"c2VjcmV0");
        heard(&mut output, 535, "535 5.7.8 no");
        output.write_secret("AUTH PLAIN ", b"c2VjcmV0");
        heard(&mut output, 334, "334 c2VjcmV0");
        output.write_secret("*", b"");
        heard(&mut output, 235, "235 fine");
        output.write(b"MAIL FROM:<>\r\n");
        let expected = [
            client("AUTH LOGIN"),
            server("334 [hidden]"),
            client("[hidden]"),
            server("399 [hidden]"),
            client("[hidden]"),
            server("535 5.7.8 no"),
            client("AUTH PLAIN [hidden]"),
            server("334 [hidden]"),
            client("*"),
            server("235 fine"),
            client("MAIL FROM:<>"),
        ];
        assert_eq!(output.take_journal(), expected);
        assert_eq!(output.take_journal(), []);
    }

    #[test]
    fn a_replaced_line_is_written_down_before_and_after() {
        let mut output = journal();
        let note = ReplyNote::Replaced {
            old: "250-STARTTLS".into(),
            new: "250-NOTHING".into(),
        };
        let reply = Reply::new(250, "250-mx\n250-NOTHING\n250 DSN");
        output.heard(None, &[note]);
        output.heard(Some(&reply), &[]);
        let expected = [
            server("250-mx"),
            server("250-STARTTLS"),
            Said::Replacement("250-NOTHING".into()),
            server("250 DSN"),
        ];
        assert_eq!(output.take_journal(), expected);
    }

    #[test]
    fn nothing_is_written_down_unasked_and_not_without_end() {
        let mut output = Output::new(false);
        output.write(b"QUIT\r\n");
        assert_eq!(output.take_journal(), []);
        let mut output = journal();
        for _ in 0..2 * LINES_LIMIT {
            output.write(b"RSET\r\n");
        }
        assert_eq!(output.take_journal().len(), LINES_LIMIT);
    }
}
