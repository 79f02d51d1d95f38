//! Chance from a seed: the only source of it in a simulated world, hence the same
//! seed gives the same world. Not for keys.

use std::time::Duration;

use smtp_policy::driver::Seeds;

/// A row of throws that all follow from one seed.
///
/// ```
/// use smtp_sim::dice::Dice;
/// assert_eq!(Dice::new(7).below(100), Dice::new(7).below(100));
/// ```
#[derive(Debug)]
pub struct Dice(Seeds);

impl Dice {
    /// The row that follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(Seeds::new(seed))
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product, which is below the bound without a division.
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// The same for a count.
    pub fn count(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// True once in `times`; always for one and for zero.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of some things, each with the same chance.
    pub fn one_of<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        match self.count(others.len() + 1) {
            0 => first,
            at => others.get(at - 1).copied().unwrap_or(first),
        }
    }

    /// A duration below `bound`, in whole microseconds.
    pub fn time(&mut self, bound: Duration) -> Duration {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_some_things_comes_up() {
        let mut dice = Dice::new(1);
        let mut seen = std::collections::BTreeSet::new();
        seen.extend((0..100).map(|_| dice.one_of(1, &[2, 3])));
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_bound_is_never_reached() {
        let mut dice = Dice::new(2);
        assert!((0..1000).all(|_| dice.below(3) < 3));
        assert_eq!(dice.below(0), 0);
        assert!(dice.once_in(1));
    }
}
