//! Numbers that look random, from a seed: the only source of chance in this
//! crate and in those above it, hence the same seed gives the same behaviour.
//! Not for keys.

/// The generator `splitmix64`.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// A generator that starts at `seed`. Every seed is as good as another, zero too.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws the next number, any of the 2^64 with the same chance.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number of 16 bits, any with the same chance: the id of a question.
    pub fn next_u16(&mut self) -> u16 {
        let [high, low, ..] = self.next_u64().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Draws a number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Puts `items` in a random order, every order with the same chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in 0..items.len() {
            let other = index + self.below(items.len() - index);
            items.swap(index, other);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_known_sequence() {
        let mut numbers = SplitMix::new(1234567);
        assert_eq!(numbers.next_u64(), 6457827717110365317);
        assert_eq!(numbers.next_u64(), 3203168211198807973);
    }

    #[test]
    fn a_shuffle_keeps_the_items_and_reaches_every_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut items = [1, 2, 3];
            SplitMix::new(seed).shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
    }
}
