//! The message as it comes in: where it ends, and the lines before it that belong to a mailbox
//! file.

use std::io::{self, BufRead, Read};

/// The most of a line that is looked at in one piece, in bytes.
const PIECE: u64 = 64 * 1024;

/// The meaning of dots at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// None: the text ends where the input ends (`-i`).
    Text,
    /// A line with a single dot ends the text.
    End,
    /// As in SMTP (RFC 5321 section 4.5.2): a line with a single dot ends the text, and another
    /// line loses its first dot. Lines end in CR LF.
    Smtp,
    /// The same for a client whose lines end in LF.
    SmtpLf,
}

/// The text of one message in a longer input. It can be read like a file.
#[derive(Debug)]
pub(super) struct Text<R> {
    input: R,
    dots: Dots,
    /// The piece that is being read.
    piece: Vec<u8>,
    read: usize,
    /// The next piece begins a line.
    at_start: bool,
    /// The end has come.
    ended: bool,
    /// The end came with a dot.
    dotted: bool,
}

impl<R: BufRead> Text<R> {
    /// The text that begins here.
    pub(super) fn new(input: R, dots: Dots) -> Self {
        Self {
            input,
            dots,
            piece: Vec::new(),
            read: 0,
            at_start: true,
            ended: false,
            dotted: false,
        }
    }

    /// Returns whether a line with a dot has ended the text, and not the end of the input.
    pub(super) fn ended_with_dot(&self) -> bool {
        self.dotted
    }

    /// The next line with its end, or a piece of a long one; `None` at the end of the text.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.read < self.piece.len() {
            let rest = self.piece.split_off(self.read);
            self.piece.clear();
            self.read = 0;
            return Ok(Some(rest));
        }
        self.fetch()
    }

    /// Leaves out the lines `From …` that a mailbox file has before a message, and the same with
    /// `>` before them.
    pub(super) fn skip_from_lines(&mut self) -> io::Result<()> {
        while let Some(line) = self.line()? {
            let quotes = line.iter().take_while(|byte| **byte == b'>').count();
            let is_from = line
                .get(quotes..)
                .is_some_and(|rest| rest.starts_with(b"From "));
            if !is_from || !line.ends_with(b"\n") {
                self.piece = line;
                self.read = 0;
                break;
            }
        }
        Ok(())
    }

    fn fetch(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        let mut piece = Vec::new();
        while let Err(error) = (&mut self.input).take(PIECE).read_until(b'\n', &mut piece) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let starts = self.at_start;
        self.at_start = match self.dots {
            Dots::Smtp => piece.ends_with(b"\r\n"),
            _ => piece.ends_with(b"\n"),
        };
        if piece.is_empty() || (starts && self.is_end(&piece)) {
            self.ended = true;
            self.dotted = !piece.is_empty();
            return Ok(None);
        }
        if starts && matches!(self.dots, Dots::Smtp | Dots::SmtpLf) && piece.starts_with(b".") {
            piece.remove(0);
        }
        Ok(Some(piece))
    }

    fn is_end(&self, line: &[u8]) -> bool {
        match self.dots {
            Dots::Text => false,
            Dots::End => matches!(line, b".\n" | b".\r\n" | b"."),
            Dots::Smtp => line == b".\r\n",
            Dots::SmtpLf => matches!(line, b".\n" | b".\r\n"),
        }
    }
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.piece.len() {
            self.read = 0;
            self.piece = self.fetch()?.unwrap_or_default();
        }
        let rest = self.piece.get(self.read..).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The text, and what is left behind it; the input comes in pieces of `size`.
    fn read(input: &[u8], dots: Dots, size: usize) -> (String, String) {
        let mut input = BufReader::with_capacity(size, input);
        let mut text = Text::new(&mut input, dots);
        text.skip_from_lines().unwrap();
        let mut found = Vec::new();
        text.read_to_end(&mut found).unwrap();
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(found), text(rest))
    }

    #[test]
    fn dots_mean_what_they_are_said_to_mean() {
        for (dots, input, text, rest) in [
            (Dots::Text, "a\n.\nb\n", "a\n.\nb\n", ""),
            (Dots::End, "a\n.\nb\n", "a\n", "b\n"),
            (Dots::End, "a\r\n.\r\nb\n", "a\r\n", "b\n"),
            (Dots::End, "a\n..\n.b\nc.\n.", "a\n..\n.b\nc.\n", ""),
            (Dots::End, ".\nb", "", "b"),
            (
                Dots::Smtp,
                "a\r\n..\r\n.b\r\n.\r\nQUIT\r\n",
                "a\r\n.\r\nb\r\n",
                "QUIT\r\n",
            ),
            // Nobody smuggles a message past the end that others see.
            (
                Dots::Smtp,
                "a\n.\nb\n.\r\nc\r\n.\r\nx",
                "a\n.\nb\n.\r\nc\r\n",
                "x",
            ),
            (Dots::Smtp, "a\r\n.\nb\r\n.\r\nx", "a\r\n\nb\r\n", "x"),
            (Dots::SmtpLf, "a\n..\n.\nQUIT\n", "a\n.\n", "QUIT\n"),
        ] {
            for size in [1, 2, 1000] {
                let found = read(input.as_bytes(), dots, size);
                assert_eq!(
                    found,
                    (text.to_owned(), rest.to_owned()),
                    "{dots:?} {input:?} {size}"
                );
            }
        }
    }

    #[test]
    fn lines_of_a_mailbox_file_are_left_out_before_the_message_only() {
        for (input, text) in [
            ("From a@b Mon\nA: b\n\nFrom c\n", "A: b\n\nFrom c\n"),
            (">From a\n>>From b\nA: b\n", "A: b\n"),
            ("From: a\n", "From: a\n"),
            ("From a", "From a"),
            ("", ""),
        ] {
            assert_eq!(read(input.as_bytes(), Dots::Text, 3).0, text);
        }
    }

    #[test]
    fn a_dot_in_the_middle_of_a_long_line_ends_nothing() {
        let mut input = vec![b'x'; PIECE as usize];
        input.extend_from_slice(b".\nrest\n.\n");
        let (text, _) = read(&input, Dots::End, 4096);
        assert!(text.ends_with("x.\nrest\n"));
    }
}
