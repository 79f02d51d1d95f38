//! Every transition of a delivery between its phases, as a table. It drives nothing: the
//! phases decide, and what they did is written down, so that tests and simulations can
//! show that the table is complete and that all of it happens.
//!
//! ```
//! use smtp_policy::delivery::{PHASE_TRANSITIONS, PhaseName};
//!
//! let ends = |name| PHASE_TRANSITIONS.iter().filter(move |row| row.to == name).count();
//! assert_eq!(ends(PhaseName::Done), 1);
//! ```

use PhaseName::{
    Choosing, Connecting, Done, LookingUp, Preparing, Resolving, Reusing, Securing, Start, Talking,
};

/// The name of a phase of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PhaseName {
    /// The beginning, also that of mail that was passed to `best_mx_transport`.
    Start,
    /// The generic maps are asked about the envelope, and the header is searched for a
    /// loop.
    Preparing,
    /// The next server is chosen, or the next destination.
    Choosing,
    /// A destination is turned into addresses.
    Resolving,
    /// The TLS policy of a server is found out.
    Securing,
    /// The connection cache is asked.
    Reusing,
    /// Tables are asked about a server.
    LookingUp,
    /// A connection is being opened.
    Connecting,
    /// A connection is open.
    Talking,
    /// Everybody was reported.
    Done,
}

impl PhaseName {
    /// All phases, in the order of a delivery.
    pub const ALL: [Self; 10] = [
        Start, Preparing, Choosing, Resolving, Securing, Reusing, LookingUp, Connecting, Talking,
        Done,
    ];

    /// The name as in the source.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Preparing => "Preparing",
            Self::Choosing => "Choosing",
            Self::Resolving => "Resolving",
            Self::Securing => "Securing",
            Self::Reusing => "Reusing",
            Self::LookingUp => "LookingUp",
            Self::Connecting => "Connecting",
            Self::Talking => "Talking",
            Self::Done => "Done",
        }
    }
}

/// A way from one phase to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseTransition {
    /// The phase that is left.
    pub from: PhaseName,
    /// The phase that begins.
    pub to: PhaseName,
    /// The occasion, in words.
    pub when: &'static str,
}

/// Rows of the table, one a line.
macro_rules! rows {
    ($($from:ident => $to:ident: $when:expr;)*) => {
        &[$(PhaseTransition { from: $from, to: $to, when: $when }),*]
    };
}

/// All transitions, in the order of a delivery. No two have the same ends. A delivery
/// begins at [`PhaseName::Start`] and ends at [`PhaseName::Done`].
pub const PHASE_TRANSITIONS: &[PhaseTransition] = rows! {
    Start => Preparing: "addresses are mapped, or Delivered-To is looked for";
    Start => Choosing: "there is nothing to prepare, the request is refused, or it was stopped";

    Preparing => Choosing: "everything is prepared, the request is refused, or it was stopped";

    Choosing => Start: "the mail is passed to best_mx_transport";
    Choosing => Resolving: "it is the turn of a destination with addresses to be found";
    Choosing => Securing: "the TLS policy of the next server is not known";
    Choosing => Reusing: "there may be a kept connection";
    Choosing => LookingUp: "a new connection is to be made";
    Choosing => Done: "everybody has a verdict";

    Resolving => Choosing: "the addresses are known, or why there are none";

    Securing => Choosing: "the policy is known, or why there is none";

    Reusing => Choosing: "there is no kept connection by the next hop, or to one of the best servers";
    Reusing => LookingUp: "there is no kept connection to this server";
    Reusing => Talking: "there is a kept connection";

    LookingUp => Connecting: "all is known about the server";
    LookingUp => Choosing: "the delivery was stopped";

    Connecting => Talking: "the connection is open";
    Connecting => Choosing: "there is no connection to be had";

    Talking => Choosing: "the connection is closed or kept";
    Talking => LookingUp: "the kept connection is dead, and a new one is to be made";
};

/// The moves between phases that one or more deliveries have made, for measuring what
/// tests and simulations reach. It has room for moves that are not in the table, so that
/// they are noticed.
///
/// ```
/// use smtp_policy::delivery::{PhaseName, PhasesTaken};
///
/// let moves = [(PhaseName::Choosing, PhaseName::Done), (PhaseName::Start, PhaseName::Done)];
/// let taken: PhasesTaken = moves.into_iter().collect();
/// assert_eq!(taken.rows().count(), 1);
/// assert_eq!(taken.strays().collect::<Vec<_>>(), [(PhaseName::Start, PhaseName::Done)]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhasesTaken {
    /// For each phase by its number, the phases that came next, a bit for each.
    next: [u16; PhaseName::ALL.len()],
}

impl PhasesTaken {
    /// The numbers of the rows of [`PHASE_TRANSITIONS`] that were taken, in order.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        let rows = PHASE_TRANSITIONS.iter().enumerate();
        rows.filter(|(_, row)| self.has(row.from, row.to))
            .map(|(number, _)| number)
    }

    /// Moves that no row of [`PHASE_TRANSITIONS`] has. There are none, or the table is wrong.
    pub fn strays(&self) -> impl Iterator<Item = (PhaseName, PhaseName)> + '_ {
        let known = |from, to| {
            let is_it = |row: &PhaseTransition| (row.from, row.to) == (from, to);
            PHASE_TRANSITIONS.iter().any(is_it)
        };
        let all = PhaseName::ALL.into_iter();
        all.flat_map(|from| PhaseName::ALL.into_iter().map(move |to| (from, to)))
            .filter(move |(from, to)| self.has(*from, *to) && !known(*from, *to))
    }

    /// The moves that were made here or there.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (next, others) in self.next.iter_mut().zip(other.next) {
            *next |= others;
        }
        self
    }

    fn has(&self, from: PhaseName, to: PhaseName) -> bool {
        let next = self.next.get(from as usize);
        next.is_some_and(|next| next & (1 << to as u8) != 0)
    }

    /// Writes down a move. To stay in a phase is none.
    pub(super) fn note(&mut self, from: PhaseName, to: PhaseName) {
        if from != to
            && let Some(next) = self.next.get_mut(from as usize)
        {
            *next |= 1 << to as u8;
        }
    }
}

impl FromIterator<(PhaseName, PhaseName)> for PhasesTaken {
    /// Moves from one phase to another, which need not be in the table.
    fn from_iter<T: IntoIterator<Item = (PhaseName, PhaseName)>>(moves: T) -> Self {
        let mut taken = Self::default();
        for (from, to) in moves {
            taken.note(from, to);
        }
        taken
    }
}
