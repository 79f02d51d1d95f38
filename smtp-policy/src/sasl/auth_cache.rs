//! Logins that the server rejected for good (535), so that they are not tried
//! again at once (`smtp_sasl_auth_cache_name`, `smtp_sasl_auth_cache_time`). A
//! value without a clock; it holds digests of passwords.

use core::{fmt, time::Duration};
use std::collections::BTreeMap;

use smtp_proto::{status::EnhancedStatus, time::Time};

/// The most logins that are remembered. Beyond that, the one that would be
/// forgotten first is.
const LIMIT: usize = 1000;

/// A digest that stands for a password.
pub(crate) type Fingerprint = [u8; 32];

/// The memory of failed logins.
pub(crate) struct AuthCache {
    lifetime: Duration,
    /// By server name and user name.
    entries: BTreeMap<(String, String), Entry>,
}

struct Entry {
    password: Fingerprint,
    failed: Failed,
    since: Time,
}

/// The server's rejection of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) status: EnhancedStatus,
    pub(crate) text: String,
}

impl AuthCache {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            entries: BTreeMap::new(),
        }
    }

    /// The failure of this login, unless it is too old or the password is another
    /// one; it is then forgotten.
    pub(crate) fn find(
        &mut self,
        host: &str,
        user: &str,
        password: &Fingerprint,
        now: Time,
    ) -> Option<Failed> {
        let key = (host.to_owned(), user.to_owned());
        let entry = self.entries.get(&key)?;
        if entry.since + self.lifetime < now || entry.password != *password {
            self.entries.remove(&key);
            return None;
        }
        Some(entry.failed.clone())
    }

    /// Remembers a failure in place of an earlier one.
    pub(crate) fn store(
        &mut self,
        host: &str,
        user: &str,
        password: Fingerprint,
        failed: Failed,
        now: Time,
    ) {
        let key = (host.to_owned(), user.to_owned());
        if self.entries.len() >= LIMIT && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(
            key,
            Entry {
                password,
                failed,
                since: now,
            },
        );
    }
}

impl fmt::Debug for AuthCache {
    /// Shows the number of entries, and nothing about them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthCache")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
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

    const DAY: Duration = Duration::from_secs(86_400);

    fn failed(text: &str) -> Failed {
        Failed {
            status: EnhancedStatus::new(5, 7, 8),
            text: text.into(),
        }
    }

    fn day(n: u32) -> Time {
        Time::at(DAY * n)
    }

    #[test]
    fn a_failure_is_remembered_until_it_is_old_or_the_password_changes() {
        let mut cache = AuthCache::new(DAY * 90);
        cache.store("mx", "bob", [1; 32], failed("535 no"), day(0));
        assert_eq!(cache.find("mx", "eve", &[1; 32], day(1)), None);
        assert_eq!(cache.find("mx2", "bob", &[1; 32], day(1)), None);
        assert_eq!(
            cache.find("mx", "bob", &[1; 32], day(90)),
            Some(failed("535 no"))
        );
        assert_eq!(cache.find("mx", "bob", &[1; 32], day(91)), None);
        cache.store("mx", "bob", [1; 32], failed("535 no"), day(91));
        assert_eq!(cache.find("mx", "bob", &[2; 32], day(91)), None);
        assert_eq!(cache.find("mx", "bob", &[1; 32], day(91)), None);
    }

    #[test]
    fn the_oldest_failure_makes_room() {
        let mut cache = AuthCache::new(DAY);
        for n in 0..=LIMIT {
            let now = Time::at(Duration::from_secs(n as u64));
            cache.store("mx", &n.to_string(), [0; 32], failed("535"), now);
        }
        assert_eq!(cache.entries.len(), LIMIT);
        assert_eq!(cache.find("mx", "0", &[0; 32], Time::ZERO), None);
        assert!(cache.find("mx", "1", &[0; 32], Time::ZERO).is_some());
    }
}
