//! The work that lookups take, and may take. It is counted and not timed, so that the
//! same table and key always have the same end.

/// The number of steps back a lookup may take in all its expressions together.
const MOST_BACK: u64 = 1_000_000;

/// The work of a lookup, in steps: about one for each character that an expression looks
/// at, and one for each time that it has to go back and try another way.
///
/// Steps forward are bounded by the lengths of table and key, and only counted. Steps back
/// can be as many as there are ways to read a text, and have a limit: a lookup that takes
/// more of them fails.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    taken: u64,
    back: u64,
}

impl Steps {
    /// The number of steps taken so far.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Counts that an expression goes over a text of this length.
    pub fn forward(&mut self, length: usize) {
        self.taken = self.taken.saturating_add(length as u64);
    }

    /// Counts that an expression is about to take at most so many steps back.
    ///
    /// # Errors
    ///
    /// The lookup may not take so many.
    pub fn back(&mut self, steps: u64) -> Result<(), String> {
        self.back = self.back.saturating_add(steps);
        if self.back > MOST_BACK {
            return Err(format!("more than {MOST_BACK} steps back in a lookup"));
        }
        self.taken = self.taken.saturating_add(steps);
        Ok(())
    }
}
