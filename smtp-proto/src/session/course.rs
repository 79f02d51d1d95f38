//! The state of a session with a record of its moves. It can be looked at by everybody;
//! it changes in one method here, which writes down from where to where.

use core::ops::Deref;

use super::{State, Transition, mail::Mail, place::Place, sasl::Auth, transitions::TRANSITIONS};

/// A state and how it came there.
#[derive(Debug)]
pub(super) struct Course {
    state: State,
    /// The place at the last look.
    place: Place,
    taken: Taken,
}

impl Course {
    pub(super) fn new(state: State) -> Self {
        Self {
            place: state.place(),
            taken: Taken::default(),
            state,
        }
    }

    /// Moves to another state.
    pub(super) fn go(&mut self, next: State) {
        self.change(|state| *state = next);
    }

    /// Changes a mail transaction, if there is one, which may move it to another phase.
    pub(super) fn in_mail<R>(&mut self, change: impl FnOnce(&mut Mail) -> R) -> Option<R> {
        self.change(|state| match state {
            State::Mail(mail) => Some(change(mail)),
            _ => None,
        })
    }

    /// The same for a SASL exchange.
    pub(super) fn in_auth<R>(&mut self, change: impl FnOnce(&mut Auth) -> R) -> Option<R> {
        self.change(|state| match state {
            State::Auth(auth) => Some(change(auth)),
            _ => None,
        })
    }

    /// The only way to change the state, and all that is in it.
    fn change<R>(&mut self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state);
        let to = self.state.place();
        if to != self.place {
            self.taken.note(self.place, to);
            self.place = to;
        }
        result
    }

    pub(super) const fn taken(&self) -> Taken {
        self.taken
    }
}

impl Deref for Course {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// The moves that one or more sessions have made, for measuring what tests and
/// simulations reach. It has room for moves that are not in the table, so that they are
/// noticed.
///
/// ```
/// use smtp_proto::session::{Place, TRANSITIONS, Taken};
///
/// let moves = [(Place::Banner, Place::Ehlo), (Place::Banner, Place::Text)];
/// let taken: Taken = moves.into_iter().collect();
/// let row = taken.rows().next().and_then(|row| TRANSITIONS.get(row));
/// assert_eq!(row.map(|row| (row.from, row.to)), Some((Place::Banner, Place::Ehlo)));
/// assert_eq!(taken.strays().collect::<Vec<_>>(), [(Place::Banner, Place::Text)]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// For each place by its number, the places that came next, a bit for each.
    next: [u32; Place::ALL.len()],
}

impl Taken {
    /// Whether the row of [`TRANSITIONS`] with this number was taken.
    pub fn contains(&self, row: usize) -> bool {
        let row = TRANSITIONS.get(row);
        row.is_some_and(|row| self.has(row.from, row.to))
    }

    /// The numbers of the rows of [`TRANSITIONS`] that were taken, in order.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..TRANSITIONS.len()).filter(|row| self.contains(*row))
    }

    /// Moves that no row of [`TRANSITIONS`] has. There are none, or the table is wrong.
    pub fn strays(&self) -> impl Iterator<Item = (Place, Place)> + '_ {
        let moves = |from: Place| Place::ALL.into_iter().map(move |to| (from, to));
        let known = |from, to| {
            let is_it = |row: &Transition| (row.from, row.to) == (from, to);
            TRANSITIONS.iter().any(is_it)
        };
        let all = Place::ALL.into_iter().flat_map(moves);
        all.filter(move |(from, to)| self.has(*from, *to) && !known(*from, *to))
    }

    /// What was taken here or there.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (next, others) in self.next.iter_mut().zip(other.next) {
            *next |= others;
        }
        self
    }

    fn has(&self, from: Place, to: Place) -> bool {
        let next = self.next.get(from as usize);
        next.is_some_and(|next| next & (1 << to as u8) != 0)
    }

    fn note(&mut self, from: Place, to: Place) {
        if let Some(next) = self.next.get_mut(from as usize) {
            *next |= 1 << to as u8;
        }
    }
}

impl FromIterator<(Place, Place)> for Taken {
    /// Moves from one place to another, which need not be in the table.
    fn from_iter<T: IntoIterator<Item = (Place, Place)>>(moves: T) -> Self {
        let mut taken = Self::default();
        for (from, to) in moves {
            taken.note(from, to);
        }
        taken
    }
}
