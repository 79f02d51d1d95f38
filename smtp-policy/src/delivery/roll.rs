//! Who is still to be delivered: the marks of smtp(8)'s recipient list
//! (`src/smtp/smtp_rcpt.c`).

use std::collections::BTreeSet;

use crate::request::RcptIndex;

/// The recipients of a delivery and where each one stands.
#[derive(Debug)]
pub(super) struct Roll {
    marks: Vec<Mark>,
    /// Who may have the message already, although no server has said so.
    doubtful: BTreeSet<RcptIndex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Nothing is known in the present session.
    Open,
    /// Stays for another server.
    Kept,
    /// Reported; nothing more can happen to it.
    Settled,
}

impl Roll {
    pub(super) fn new(recipients: usize) -> Self {
        Self {
            marks: vec![Mark::Open; recipients],
            doubtful: BTreeSet::new(),
        }
    }

    /// Who has neither a verdict nor a failure in the present session, in order.
    pub(super) fn open(&self) -> Vec<RcptIndex> {
        self.with(|mark| mark == Mark::Open)
    }

    /// Who has no verdict, in order.
    pub(super) fn left(&self) -> Vec<RcptIndex> {
        self.with(|mark| mark != Mark::Settled)
    }

    pub(super) fn is_open(&self, index: RcptIndex) -> bool {
        self.marks.get(index) == Some(&Mark::Open)
    }

    pub(super) fn all_settled(&self) -> bool {
        self.marks.iter().all(|mark| *mark == Mark::Settled)
    }

    /// Some server may have accepted a recipient. Whatever later servers say, the doubt
    /// remains.
    pub(super) fn doubt(&mut self, index: RcptIndex) {
        self.doubtful.insert(index);
    }

    /// Whether some server may have accepted a recipient.
    pub(super) fn is_doubtful(&self, index: RcptIndex) -> bool {
        self.doubtful.contains(&index)
    }

    /// The number of recipients some server may have accepted.
    pub(super) fn doubts(&self) -> usize {
        self.doubtful.len()
    }

    /// Leaves a recipient for another server.
    pub(super) fn keep(&mut self, index: RcptIndex) {
        if let Some(mark @ Mark::Open) = self.marks.get_mut(index) {
            *mark = Mark::Kept;
        }
    }

    /// Settles a recipient. False if it was settled before: a verdict is given
    /// once.
    #[must_use = "a recipient that was settled before is not reported again"]
    pub(super) fn settle(&mut self, index: RcptIndex) -> bool {
        match self.marks.get_mut(index) {
            Some(mark) if *mark != Mark::Settled => {
                *mark = Mark::Settled;
                true
            }
            _ => false,
        }
    }

    /// A session has ended: who was kept is open again for the next one.
    pub(super) fn reopen(&mut self) {
        for mark in &mut self.marks {
            if *mark == Mark::Kept {
                *mark = Mark::Open;
            }
        }
    }

    fn with(&self, which: impl Fn(Mark) -> bool) -> Vec<RcptIndex> {
        self.marks
            .iter()
            .enumerate()
            .filter_map(|(index, mark)| which(*mark).then_some(index))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_settled_once() {
        let mut roll = Roll::new(2);
        assert!(roll.settle(1));
        assert!(!roll.settle(1));
        assert!(!roll.settle(7));
        assert_eq!(roll.left(), [0]);
        roll.keep(0);
        assert_eq!((roll.open(), roll.left()), (vec![], vec![0]));
        roll.reopen();
        assert_eq!(roll.open(), [0]);
        assert!(!roll.all_settled());
    }
}
