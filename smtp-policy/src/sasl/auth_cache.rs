//! Logins that the server rejected for good (535), so that they are not tried
//! again at once (`smtp_sasl_auth_cache_name`, `smtp_sasl_auth_cache_time`). A
//! value without a clock; it holds digests of passwords. Times are Unix times, so that
//! what one process has learned can be told to another.

use core::{fmt, time::Duration};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smtp_proto::status::EnhancedStatus;

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
    /// The logins that have worked, by the same: none of them fails because somebody says so whose
    /// own attempt was earlier.
    worked: BTreeMap<(String, String), (Fingerprint, Duration)>,
}

struct Entry {
    password: Fingerprint,
    failed: Failed,
    since: Duration,
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
            worked: BTreeMap::new(),
        }
    }

    /// The failure of this login, unless it is too old or the password is another
    /// one; it is then forgotten.
    pub(crate) fn find(
        &mut self,
        host: &str,
        user: &str,
        password: &Fingerprint,
        now: Duration,
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
        now: Duration,
    ) {
        let key = (host.to_owned(), user.to_owned());
        self.worked.remove(&key);
        make_room(&mut self.entries, &key, |entry| entry.since);
        self.entries.insert(
            key,
            Entry {
                password,
                failed,
                since: now,
            },
        );
    }

    /// Forgets the failure of a login that has worked.
    pub(crate) fn worked(&mut self, host: &str, user: &str, password: Fingerprint, now: Duration) {
        let key = (host.to_owned(), user.to_owned());
        if self
            .entries
            .get(&key)
            .is_some_and(|entry| entry.password == password)
        {
            self.entries.remove(&key);
        }
        make_room(&mut self.worked, &key, |(_, since)| *since);
        self.worked.insert(key, (password, now));
    }

    fn has_worked_since(&self, login: &FailedLogin) -> bool {
        let key = (login.host.clone(), login.user.clone());
        let worked = self.worked.get(&key);
        worked.is_some_and(|(password, since)| {
            *password == login.fingerprint && *since >= login.since
        })
    }

    /// Takes what another process has learned, unless it is old news.
    fn learn(&mut self, login: FailedLogin) -> bool {
        if self.has_worked_since(&login) {
            return false;
        }
        let key = (login.host, login.user);
        let known = self.entries.get(&key);
        if known.is_some_and(|entry| entry.since >= login.since) {
            return false;
        }
        let failed = Failed {
            status: login.status,
            text: login.text,
        };
        self.store(&key.0, &key.1, login.fingerprint, failed, login.since);
        true
    }
}

/// Makes room for one more, if there is none.
fn make_room<V>(
    map: &mut BTreeMap<(String, String), V>,
    key: &(String, String),
    since: impl Fn(&V) -> Duration,
) {
    if map.len() < LIMIT || map.contains_key(key) {
        return;
    }
    let oldest = map.iter().min_by_key(|(_, value)| since(value));
    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
        map.remove(&oldest);
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

/// A login that a server rejected for good (535), for another process that has the same credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct FailedLogin {
    /// The server, as the log has it.
    pub host: String,
    /// The user.
    pub user: String,
    /// The SHA-256 of user name, a zero byte and password. Whoever has it can try passwords that are easy to
    /// guess: it is to be kept as well as what tables hold.
    pub fingerprint: [u8; 32],
    /// The status in the server's reply.
    pub status: EnhancedStatus,
    /// The server's reply, in one line.
    pub text: String,
    /// When it was, in Unix time.
    pub since: Duration,
}

impl fmt::Debug for FailedLogin {
    /// Leaves the fingerprint out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedLogin")
            .field("host", &self.host)
            .field("user", &self.user)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The failed logins that the deliveries of a policy remember (`smtp_sasl_auth_cache_name`). Clones are the same
/// memory.
#[derive(Clone, Debug)]
pub struct FailedLogins(Arc<Mutex<AuthCache>>);

impl FailedLogins {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self(Arc::new(Mutex::new(AuthCache::new(lifetime))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AuthCache> {
        // A panic elsewhere leaves the entries whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time for which a failure is remembered (`smtp_sasl_auth_cache_time`).
    pub fn lifetime(&self) -> Duration {
        self.lock().lifetime
    }

    /// All that are remembered, by host and user. At most a thousand.
    pub fn all(&self) -> Vec<FailedLogin> {
        let memory = self.lock();
        let all = memory
            .entries
            .iter()
            .map(|((host, user), entry)| FailedLogin {
                host: host.clone(),
                user: user.clone(),
                fingerprint: entry.password,
                status: entry.failed.status,
                text: entry.failed.text.clone(),
                since: entry.since,
            });
        all.collect()
    }

    /// Remembers what another process has learned, in place of an earlier failure. Returns whether it is news: it is
    /// not if a later failure of that user is known, or the login has worked since.
    pub fn learn(&self, login: FailedLogin) -> bool {
        self.lock().learn(login)
    }

    /// Returns whether the login has worked since it failed elsewhere.
    pub fn has_worked_since(&self, login: &FailedLogin) -> bool {
        self.lock().has_worked_since(login)
    }

    /// Forgets a failure, unless it is another one than this by now.
    pub fn forget(&self, login: &FailedLogin) {
        let mut memory = self.lock();
        let key = (login.host.clone(), login.user.clone());
        let same =
            |entry: &Entry| entry.since == login.since && entry.password == login.fingerprint;
        if memory.entries.get(&key).is_some_and(same) {
            memory.entries.remove(&key);
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

    const DAY: Duration = Duration::from_secs(86_400);

    fn failed(text: &str) -> Failed {
        Failed {
            status: EnhancedStatus::new(5, 7, 8),
            text: text.into(),
        }
    }

    fn day(n: u32) -> Duration {
        DAY * n
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
            let now = Duration::from_secs(n as u64);
            cache.store("mx", &n.to_string(), [0; 32], failed("535"), now);
        }
        assert_eq!(cache.entries.len(), LIMIT);
        assert_eq!(cache.find("mx", "0", &[0; 32], Duration::ZERO), None);
        assert!(cache.find("mx", "1", &[0; 32], Duration::ZERO).is_some());
    }

    #[test]
    fn what_others_have_learned_is_taken_unless_it_is_old_news() {
        let login = |password: u8, since: u32| FailedLogin {
            host: "mx".into(),
            user: "bob".into(),
            fingerprint: [password; 32],
            status: EnhancedStatus::new(5, 7, 8),
            text: "535 no".into(),
            since: day(since),
        };
        let (here, there) = (FailedLogins::new(DAY * 90), FailedLogins::new(DAY * 90));
        here.lock()
            .store("mx", "bob", [1; 32], failed("535 no"), day(1));
        assert_eq!(here.all(), [login(1, 1)]);
        assert!(there.learn(login(1, 1)) && !there.learn(login(1, 1)));
        assert!(!there.learn(login(2, 0)));
        assert!(there.lock().find("mx", "bob", &[1; 32], day(2)).is_some());
        // It has worked here: what failed before that does not count, what fails later does.
        there.lock().worked("mx", "bob", [1; 32], day(3));
        assert!(there.all().is_empty() && !there.learn(login(1, 3)));
        assert!(there.learn(login(2, 3)) && there.learn(login(1, 4)));
        there.forget(&login(1, 3));
        assert_eq!(there.all(), [login(1, 4)]);
        there.forget(&login(1, 4));
        assert!(there.all().is_empty());
        assert!(!format!("{:?} {there:?}", login(7, 1)).contains('7'));
    }
}
