//! The message text that a phase has asked for, and for how long it is waited for. Postfix has
//! no limit there, since its text is in a file.

use smtp_proto::time::Time;

use super::context::Context;

/// The text that a phase has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// None.
    Nothing,
    /// The next piece.
    Piece,
    /// The same. The source does not have it yet, and is given up at this time.
    PieceBy(Time),
}

impl Wanted {
    /// Returns whether there is something to come.
    pub(super) const fn is_something(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// The source does not have the piece yet.
    pub(super) const fn wait_until(&mut self, until: Time) {
        if matches!(self, Self::Piece) {
            *self = Self::PieceBy(until);
        }
    }

    /// When the source is given up, if it is waited for; else [`Time::FAR`].
    pub(super) const fn until(self) -> Time {
        match self {
            Self::Nothing | Self::Piece => Time::FAR,
            Self::PieceBy(until) => until,
        }
    }

    /// Returns whether the source is waited for.
    pub(super) const fn waits(self) -> bool {
        matches!(self, Self::PieceBy(_))
    }

    /// Returns whether the source is given up.
    pub(super) fn is_overdue(self, cx: &Context) -> bool {
        self.until() <= cx.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::context;
    use core::time::Duration;

    #[test]
    fn the_first_wait_for_a_piece_sets_its_limit() {
        let (soon, later) = [1, 2].map(Duration::from_secs).map(Time::at).into();
        let mut cx = context(1);
        let mut wanted = Wanted::Nothing;
        wanted.wait_until(soon);
        assert_eq!(wanted, Wanted::Nothing);
        wanted = Wanted::Piece;
        assert!(!wanted.waits() && !wanted.is_overdue(&cx));
        wanted.wait_until(soon);
        wanted.wait_until(later);
        assert_eq!(wanted, Wanted::PieceBy(soon));
        assert!(wanted.waits() && !wanted.is_overdue(&cx));
        cx.set_now(soon);
        assert!(wanted.is_overdue(&cx));
    }
}
