//! Message text off the wire: dots taken away, CRLF to LF, the end found.

/// Reads text in any chunks up to the line with a single dot (RFC 5321 section
/// 4.5.2). A CR or LF alone is data.
#[derive(Debug, Default)]
pub(crate) struct Unstuffer {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    LineStart,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot and a CR at the start of a line.
    DotCr,
    Middle,
    /// After a CR within a line.
    Cr,
}

impl Unstuffer {
    /// Takes wire bytes and appends text to `out`. When the end is among them,
    /// returns how many bytes it took up to and with the end.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            // Everything up to the next CR within a line is text as it is.
            if self.state == State::Middle {
                let run = rest
                    .iter()
                    .position(|byte| *byte == b'\r')
                    .unwrap_or(rest.len());
                out.extend_from_slice(rest.get(..run).unwrap_or_default());
                at += run;
            }
            let Some(byte) = bytes.get(at) else { break };
            at += 1;
            if self.byte(*byte, out) {
                return Some(at);
            }
        }
        None
    }

    /// True at the end of the text.
    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        self.state = match (self.state, byte) {
            (State::LineStart, b'.') => State::Dot,
            (State::Dot, b'\r') => State::DotCr,
            (State::DotCr, b'\n') => {
                self.state = State::LineStart;
                return true;
            }
            (State::Cr, b'\n') => {
                out.push(b'\n');
                State::LineStart
            }
            (state, byte) => {
                if matches!(state, State::Cr | State::DotCr) {
                    out.push(b'\r');
                }
                if byte == b'\r' {
                    State::Cr
                } else {
                    out.push(byte);
                    State::Middle
                }
            }
        };
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_it_was_in_any_chunks() {
        let cases: &[(&[u8], &[u8])] = &[
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\n"),
            (b"..\r\n..a\r\n.\r\n", b".\n.a\n"),
            (b"a\r\n\r\nb\nc\rd\r\r\n.\r\n", b"a\n\nb\nc\rd\r\n"),
            (b"a\n.\r\nb\r\n.\r\n", b"a\n.\nb\n"),
            (b"a\r\n.\rb\r\n.\n\r\n.\r\n", b"a\n\rb\n\n\n"),
        ];
        for (wire, text) in cases {
            let mut sent = wire.to_vec();
            sent.extend_from_slice(b"QUIT\r\n");
            for size in [1, 2, 3, 100] {
                let (mut unstuffer, mut out, mut taken) = (Unstuffer::default(), Vec::new(), 0);
                for chunk in sent.chunks(size) {
                    if let Some(end) = unstuffer.push(chunk, &mut out) {
                        taken += end;
                        break;
                    }
                    taken += chunk.len();
                }
                let wire = wire.escape_ascii();
                assert_eq!(
                    out.escape_ascii().to_string(),
                    text.escape_ascii().to_string(),
                    "{wire}"
                );
                assert_eq!(&sent[taken..], b"QUIT\r\n", "{wire} in chunks of {size}");
            }
        }
    }
}
