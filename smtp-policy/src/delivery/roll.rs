//! Who is still to be delivered: the marks of smtp(8)'s recipient list
//! (`src/smtp/smtp_rcpt.c`), and the two numberings of recipients, which are types of
//! their own so that they are not mixed up.

use std::collections::BTreeSet;

use crate::request::RcptIndex;

/// A recipient, by its position in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rcpt(pub(super) RcptIndex);

/// A recipient, by its position in a transaction: that of its RCPT command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(pub(super) usize);

/// The recipients of a transaction, in the order of their RCPT commands.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Rcpt>);

impl Batch {
    /// The recipient at a position of the transaction; `None` beyond its end.
    pub(super) fn get(&self, position: Position) -> Option<Rcpt> {
        self.0.get(position.0).copied()
    }

    /// The recipients, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Rcpt> {
        self.0.iter().copied()
    }
}

impl FromIterator<Rcpt> for Batch {
    fn from_iter<T: IntoIterator<Item = Rcpt>>(recipients: T) -> Self {
        Self(recipients.into_iter().collect())
    }
}

/// The recipients of a delivery and where each one stands.
#[derive(Debug)]
pub(super) struct Roll {
    marks: Vec<Mark>,
    /// Who may have the message already, although no server has said so.
    doubtful: BTreeSet<Rcpt>,
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

    /// All recipients, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = Rcpt> + use<> {
        (0..self.marks.len()).map(Rcpt)
    }

    /// The recipients that have neither a verdict nor a failure in the present session, in
    /// order.
    pub(super) fn open(&self) -> impl Iterator<Item = Rcpt> {
        self.all().filter(|rcpt| self.is_open(*rcpt))
    }

    /// The recipients that have no verdict, in order.
    pub(super) fn left(&self) -> impl Iterator<Item = Rcpt> {
        let settled = |rcpt: &Rcpt| self.marks.get(rcpt.0) == Some(&Mark::Settled);
        self.all().filter(move |rcpt| !settled(rcpt))
    }

    pub(super) fn is_open(&self, rcpt: Rcpt) -> bool {
        self.marks.get(rcpt.0) == Some(&Mark::Open)
    }

    pub(super) fn all_settled(&self) -> bool {
        self.marks.iter().all(|mark| *mark == Mark::Settled)
    }

    /// Some server may have accepted a recipient. Whatever later servers say, the doubt
    /// remains.
    pub(super) fn doubt(&mut self, rcpt: Rcpt) {
        self.doubtful.insert(rcpt);
    }

    /// Whether some server may have accepted a recipient.
    pub(super) fn is_doubtful(&self, rcpt: Rcpt) -> bool {
        self.doubtful.contains(&rcpt)
    }

    /// The number of recipients some server may have accepted.
    pub(super) fn doubts(&self) -> usize {
        self.doubtful.len()
    }

    /// Leaves a recipient for another server.
    pub(super) fn keep(&mut self, rcpt: Rcpt) {
        if let Some(mark @ Mark::Open) = self.marks.get_mut(rcpt.0) {
            *mark = Mark::Kept;
        }
    }

    /// Settles a recipient. False if it was settled before: a verdict is given
    /// once.
    #[must_use = "a recipient that was settled before is not reported again"]
    pub(super) fn settle(&mut self, rcpt: Rcpt) -> bool {
        match self.marks.get_mut(rcpt.0) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(recipients: impl Iterator<Item = Rcpt>) -> Vec<RcptIndex> {
        recipients.map(|rcpt| rcpt.0).collect()
    }

    #[test]
    fn a_recipient_is_settled_once() {
        let mut roll = Roll::new(2);
        assert!(roll.settle(Rcpt(1)));
        assert!(!roll.settle(Rcpt(1)));
        assert!(!roll.settle(Rcpt(7)));
        assert_eq!(numbers(roll.left()), [0]);
        roll.keep(Rcpt(0));
        assert_eq!(numbers(roll.open()), [] as [usize; 0]);
        assert_eq!(numbers(roll.left()), [0]);
        roll.reopen();
        assert_eq!(numbers(roll.open()), [0]);
        assert!(!roll.all_settled());
    }

    #[test]
    fn positions_of_a_transaction_lead_to_the_recipients_that_are_in_it() {
        let mut roll = Roll::new(3);
        assert!(roll.settle(Rcpt(1)));
        let batch: Batch = roll.open().collect();
        assert_eq!(batch.get(Position(1)), Some(Rcpt(2)));
        assert_eq!(batch.get(Position(2)), None);
    }
}
