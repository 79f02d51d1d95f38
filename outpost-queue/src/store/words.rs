//! The numbers under which values are kept in databases: one table of them for all stores. A number never changes its
//! meaning, and none is used again.

use core::{fmt, str::FromStr};

use smtp_policy::{report::DsnKind, request::Recipient};
use smtp_proto::{Address, Notify};

use crate::model::{Fate, Hold, Kind, Lease, MessageState, TaskState, Timestamp, WorkerName};

use super::StoreError;

/// A value that is kept as a small number.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// All values with their numbers.
    const WORDS: &'static [(i16, Self)];

    /// The number of a value.
    fn number(self) -> i16 {
        let found = Self::WORDS.iter().find(|(_, value)| *value == self);
        // A test holds that each value has a number.
        found.map_or(i16::MIN, |(number, _)| *number)
    }

    /// The value of a number; none if it has no meaning here.
    fn of(number: i64) -> Option<Self> {
        let found = Self::WORDS
            .iter()
            .find(|(one, _)| i64::from(*one) == number);
        found.map(|(_, value)| *value)
    }
}

macro_rules! words {
    ($($type:ty { $($number:literal => $value:expr,)* })*) => {$(
        impl Word for $type {
            const WORDS: &'static [(i16, Self)] = &[$(($number, $value),)*];
        }
    )*};
}

words! {
    Kind {
        0 => Kind::Mail,
        1 => Kind::Report,
    }
    MessageState {
        0 => MessageState::Arriving,
        1 => MessageState::Queued,
        2 => MessageState::Finished,
    }
    Fate {
        0 => Fate::Pending,
        1 => Fate::Sent,
        2 => Fate::Bounced,
        3 => Fate::Cancelled,
    }
    // Those from 3 on are held.
    StateWord {
        0 => StateWord::New,
        1 => StateWord::Ready,
        2 => StateWord::Leased,
        3 => StateWord::Held(Hold::Operator),
        4 => StateWord::Held(Hold::Doubt),
        5 => StateWord::Held(Hold::Poison),
    }
    DsnKind {
        0 => DsnKind::Failure,
        1 => DsnKind::Delay,
        2 => DsnKind::Success,
    }
}

/// The state of a task without the lease, whose parts are columns of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateWord {
    /// [`TaskState::New`].
    New,
    /// [`TaskState::Ready`].
    Ready,
    /// [`TaskState::Leased`].
    Leased,
    /// [`TaskState::Held`].
    Held(Hold),
}

impl From<&TaskState> for StateWord {
    fn from(state: &TaskState) -> Self {
        match state {
            TaskState::New => Self::New,
            TaskState::Ready => Self::Ready,
            TaskState::Leased(_) => Self::Leased,
            TaskState::Held(hold) => Self::Held(*hold),
        }
    }
}

impl StateWord {
    /// The state with its lease, which is that of a [`Leased`](Self::Leased) one. None if it has no such lease.
    pub(crate) fn with(self, worker: Option<&str>, until: Option<Timestamp>) -> Option<TaskState> {
        Some(match self {
            Self::New => TaskState::New,
            Self::Ready => TaskState::Ready,
            Self::Held(hold) => TaskState::Held(hold),
            Self::Leased => TaskState::Leased(Lease {
                worker: WorkerName(worker?.into()),
                until: until?,
            }),
        })
    }
}

/// The wishes for reports with their bits.
const NOTIFY: [(i16, Notify); 4] = [
    (1, Notify::NEVER),
    (2, Notify::SUCCESS),
    (4, Notify::FAILURE),
    (8, Notify::DELAY),
];

/// The number of a set of wishes: their bits. Zero is none.
pub(crate) fn notify_number(notify: Notify) -> i16 {
    let asked = NOTIFY.iter().filter(|(_, one)| notify.contains(*one));
    asked.map(|(bit, _)| *bit).sum()
}

/// The set of wishes with a number. None if there is no such set.
pub(crate) fn notify(number: i64) -> Option<Notify> {
    let known: i16 = NOTIFY.iter().map(|(bit, _)| *bit).sum();
    let number = i16::try_from(number).ok()?;
    if number & !known != 0 {
        return None;
    }
    let asked = NOTIFY.iter().filter(|(bit, _)| number & bit != 0);
    let notify = asked.fold(Notify::NONE, |all, (_, one)| all | *one);
    let alone = !notify.contains(Notify::NEVER) || notify == Notify::NEVER;
    alone.then_some(notify)
}

/// A row that is being read, for errors to name it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The table.
    pub(crate) table: &'static str,
    /// The name of the row: a number, or a text.
    pub(crate) id: &'a (dyn fmt::Display + Sync),
}

impl Place<'_> {
    /// The error that a column holds what it should not hold.
    pub(crate) fn damaged(self, column: &str, why: impl fmt::Display) -> StoreError {
        StoreError::Damaged(format!(
            "table {}, row {}, column {column}: {why}",
            self.table, self.id
        ))
    }

    /// The value of a small number.
    pub(crate) fn word<W: Word>(self, column: &str, number: i64) -> Result<W, StoreError> {
        W::of(number).ok_or_else(|| self.damaged(column, format_args!("{number} has no meaning")))
    }

    /// The value of a text.
    pub(crate) fn text<T: FromStr<Err: fmt::Display>>(
        self,
        column: &str,
        text: &str,
    ) -> Result<T, StoreError> {
        text.parse().map_err(|why| self.damaged(column, why))
    }

    /// A number that is not negative.
    pub(crate) fn count<N: TryFrom<i64>>(self, column: &str, number: i64) -> Result<N, StoreError> {
        let outside = |_| self.damaged(column, format_args!("{number} is out of range"));
        N::try_from(number).map_err(outside)
    }

    /// A recipient, from its columns `address`, `original`, `orcpt` and `notify`.
    pub(crate) fn recipient(
        self,
        address: &str,
        original: Option<&str>,
        orcpt: Option<&str>,
        number: i64,
    ) -> Result<Recipient, StoreError> {
        let address: Address = self.text("address", address)?;
        let mut recipient = Recipient::new(address);
        recipient.original = original
            .map(|text| self.text("original", text))
            .transpose()?;
        recipient.orcpt = orcpt.map(|text| self.text("orcpt", text)).transpose()?;
        let wrong = || self.damaged("notify", format_args!("{number} has no meaning"));
        recipient.notify = notify(number).ok_or_else(wrong)?;
        Ok(recipient)
    }
}

/// A time as it is kept: NULL where it is [`Timestamp::NEVER`].
pub(crate) fn time_number(time: Timestamp) -> Option<i64> {
    (time != Timestamp::NEVER).then_some(time.micros())
}

/// A time from how it is kept.
pub(crate) fn time(number: Option<i64>) -> Timestamp {
    number.map_or(Timestamp::NEVER, Timestamp::from_micros)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn all_differ<W: Word + core::fmt::Debug>(values: &[W]) {
        assert_eq!(W::WORDS.len(), values.len());
        for value in values {
            assert_eq!(W::of(i64::from(value.number())), Some(*value));
        }
    }

    #[test]
    fn each_value_has_a_number_of_its_own() {
        all_differ(&[Kind::Mail, Kind::Report]);
        all_differ(&[
            MessageState::Arriving,
            MessageState::Queued,
            MessageState::Finished,
        ]);
        all_differ(&[Fate::Pending, Fate::Sent, Fate::Bounced, Fate::Cancelled]);
        all_differ(&[DsnKind::Failure, DsnKind::Delay, DsnKind::Success]);
        let held = [Hold::Operator, Hold::Doubt, Hold::Poison].map(StateWord::Held);
        let others = [StateWord::New, StateWord::Ready, StateWord::Leased];
        all_differ(&[others, held].concat());
    }

    #[test]
    fn wishes_for_reports_come_back() {
        for number in -1..20 {
            let wanted = match number {
                0 | 1 => true,
                2..=14 => number % 2 == 0,
                _ => false,
            };
            let read = notify(number);
            assert_eq!(read.is_some(), wanted, "{number}");
            if let Some(read) = read {
                assert_eq!(i64::from(notify_number(read)), number);
            }
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let place = Place {
            table: "task",
            id: &17,
        };
        let error = place.word::<StateWord>("state", 9).unwrap_err();
        let said = "table task, row 17, column state: 9 has no meaning";
        assert_eq!(error, StoreError::Damaged(said.to_owned()));
        assert!(place.count::<u32>("attempts", -1).is_err());
        assert!(place.recipient("a b@x\n", None, None, 0).is_err());
        assert!(place.recipient("a@x", None, Some("nothing"), 0).is_err());
    }
}
