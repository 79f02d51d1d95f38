//! The dialogue of one connection, kept for the postmaster (`src/smtp/smtp_chat.c`).
//! Its beginning and its end are kept, whatever a server says and however many
//! recipients there are; what lies between is counted.

use std::collections::VecDeque;

use smtp_proto::session::Said;

/// How many bytes of the beginning are kept, and how many of the end.
const PART: usize = 32 * 1024;

/// What a line costs besides its bytes.
const LINE_COST: usize = 32;

/// The lines of a dialogue as a notice shows them.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    head: Vec<String>,
    head_size: usize,
    tail: VecDeque<String>,
    tail_size: usize,
    left_out: usize,
}

impl Transcript {
    /// Adds what was said.
    pub(crate) fn add(&mut self, said: &Said) {
        match said {
            Said::Client(line) => self.push(format!("Out: {line}")),
            Said::Server(line) => self.push(format!("In:  {line}")),
            Said::Replacement(line) => {
                self.push("Replaced-by: ".into());
                self.push(format!("     {line}"));
            }
        }
    }

    /// The lines, with one that says how many are missing if some are.
    pub(crate) fn lines(&self) -> Vec<String> {
        let gap =
            (self.left_out > 0).then(|| format!("[{} lines are left out here]", self.left_out));
        let head = self.head.iter().cloned();
        head.chain(gap).chain(self.tail.iter().cloned()).collect()
    }

    fn push(&mut self, line: String) {
        let cost = line.len().saturating_add(LINE_COST);
        if self.left_out == 0 && self.tail.is_empty() && self.head_size.saturating_add(cost) <= PART
        {
            self.head_size += cost;
            self.head.push(line);
            return;
        }
        self.tail_size = self.tail_size.saturating_add(cost);
        self.tail.push_back(line);
        while self.tail_size > PART
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_size -= oldest.len().saturating_add(LINE_COST);
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_sides_are_told_apart() {
        let mut transcript = Transcript::default();
        transcript.add(&Said::Server("220 mx".into()));
        transcript.add(&Said::Replacement("220 other".into()));
        transcript.add(&Said::Client("EHLO me".into()));
        let expected = [
            "In:  220 mx",
            "Replaced-by: ",
            "     220 other",
            "Out: EHLO me",
        ];
        assert_eq!(transcript.lines(), expected);
    }

    #[test]
    fn of_an_endless_dialogue_the_two_ends_are_kept() {
        let mut transcript = Transcript::default();
        for number in 0..100_000 {
            transcript.add(&Said::Client(format!("RCPT TO:<user{number}@example.com>")));
        }
        let lines = transcript.lines();
        let size: usize = lines.iter().map(String::len).sum();
        assert!(size <= 2 * PART, "{size}");
        assert!(lines.first().unwrap().ends_with("<user0@example.com>"));
        assert!(lines.last().unwrap().ends_with("<user99999@example.com>"));
        let gap = lines.iter().find(|line| line.starts_with('[')).unwrap();
        let missing = 100_000 - (lines.len() - 1);
        assert_eq!(*gap, format!("[{missing} lines are left out here]"));
    }

    #[test]
    fn a_line_as_long_as_all_the_room_does_not_stay() {
        let mut transcript = Transcript::default();
        transcript.add(&Said::Server("x".repeat(PART)));
        transcript.add(&Said::Client("QUIT".into()));
        assert_eq!(
            transcript.lines(),
            ["[1 lines are left out here]", "Out: QUIT"]
        );
    }
}
