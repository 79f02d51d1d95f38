//! The policies that are known, by domain: when a record or a policy is asked for
//! again, and what holds meanwhile (RFC 8461 sections 3.3 and 5.1). A value without
//! a clock; times are Unix times, so that it can be kept over restarts.

use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

use super::{Mode, StsPolicy};

/// The most domains that are remembered.
const LIMIT: usize = 10_000;
/// How long what was found out about a domain holds without asking again: also
/// that it has no policy, and that its policy cannot be fetched, for which RFC 8461
/// section 3.3 names this time.
const RECHECK: Duration = Duration::from_secs(300);
/// After this time a policy is fetched again though its id is the same, so that it
/// does not run out as long as mail is sent there.
const REFRESH: Duration = Duration::from_secs(86_400);

/// The policies that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StsCache {
    domains: BTreeMap<String, Entry>,
}

/// A policy that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it says.
    pub policy: Arc<StsPolicy>,
    /// The id that its domain's record had.
    pub id: String,
    /// When it was fetched, in Unix time.
    pub fetched: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    kept: Option<Kept>,
    /// When somebody last looked whether there is another.
    checked: Duration,
}

/// What to do about a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: this is its policy, or it has none.
    Known(Option<Arc<StsPolicy>>),
    /// Look for its record, or, after that, fetch its policy.
    Ask,
}

impl Kept {
    fn holds(&self, now: Duration) -> bool {
        now.saturating_sub(self.fetched) < self.policy.max_age
    }
}

impl StsCache {
    /// What is known about a domain without asking.
    pub(super) fn consult(&self, domain: &str, now: Duration) -> Next {
        match self.domains.get(domain) {
            Some(entry) if now.saturating_sub(entry.checked) < RECHECK => match &entry.kept {
                Some(kept) if !kept.holds(now) => Next::Ask,
                _ => Next::Known(self.policy(domain, now)),
            },
            _ => Next::Ask,
        }
    }

    /// The domain has this id now, or no usable record. A policy that is kept holds
    /// though its record is gone.
    pub(super) fn on_record(&mut self, domain: &str, id: Option<&str>, now: Duration) -> Next {
        let fresh = |kept: &Kept| {
            id == Some(&kept.id) && kept.holds(now) && now.saturating_sub(kept.fetched) < REFRESH
        };
        let kept = self
            .domains
            .get(domain)
            .and_then(|entry| entry.kept.as_ref());
        if id.is_some() && !kept.is_some_and(fresh) {
            return Next::Ask;
        }
        self.check(domain, now);
        Next::Known(self.policy(domain, now))
    }

    /// The policy for this id was fetched at a time, or could not be: what holds now.
    pub(super) fn on_policy(
        &mut self,
        domain: &str,
        id: &str,
        policy: Option<StsPolicy>,
        fetched: Duration,
        now: Duration,
    ) -> Option<Arc<StsPolicy>> {
        self.check(domain, now);
        let Some(policy) = policy.map(Arc::new) else {
            return self.policy(domain, now);
        };
        if let Some(entry) = self.domains.get_mut(domain) {
            entry.kept = Some(Kept {
                policy: Arc::clone(&policy),
                id: id.to_owned(),
                fetched,
            });
        }
        Some(policy).filter(|policy| policy.mode != Mode::None)
    }

    /// The policies, by domain.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Kept)> {
        self.domains
            .iter()
            .filter_map(|(domain, entry)| Some((domain.as_str(), entry.kept.as_ref()?)))
    }

    /// Remembers a policy that was found earlier, in place of what is known. Whether
    /// there is a newer one is looked up when it is needed.
    pub fn insert(&mut self, domain: &str, kept: Kept) {
        self.check(domain, Duration::ZERO);
        if let Some(entry) = self.domains.get_mut(domain) {
            entry.kept = Some(kept);
        }
    }

    /// The policy that is kept for a domain, though it may have run out.
    pub fn get(&self, domain: &str) -> Option<&Kept> {
        self.domains.get(domain)?.kept.as_ref()
    }

    /// Takes over what somebody else has fetched, unless what is kept was fetched no earlier. Returns whether it was.
    /// Whether there is a newer one is looked up when it is needed, as after [`insert`](Self::insert).
    pub(super) fn take_over(&mut self, domain: &str, kept: Kept) -> bool {
        let newer = self
            .get(domain)
            .is_none_or(|own| own.fetched < kept.fetched);
        if newer {
            self.insert(domain, kept);
        }
        newer
    }

    /// The policy that is kept for a domain and has not run out.
    fn policy(&self, domain: &str, now: Duration) -> Option<Arc<StsPolicy>> {
        let kept = self.domains.get(domain)?.kept.as_ref()?;
        let holds = kept.holds(now) && kept.policy.mode != Mode::None;
        holds.then(|| Arc::clone(&kept.policy))
    }

    fn check(&mut self, domain: &str, now: Duration) {
        if self.domains.len() >= LIMIT && !self.domains.contains_key(domain) {
            self.make_room(now);
        }
        let entry = self.domains.entry(domain.to_owned()).or_default();
        entry.checked = now;
        entry.kept = entry.kept.take().filter(|kept| kept.holds(now));
    }

    /// Forgets the domains without a policy, or if there are none, the one that
    /// nobody asked about for the longest time.
    fn make_room(&mut self, now: Duration) {
        self.domains
            .retain(|_, entry| entry.kept.as_ref().is_some_and(|kept| kept.holds(now)));
        if self.domains.len() < LIMIT {
            return;
        }
        let oldest = self.domains.iter().min_by_key(|(_, entry)| entry.checked);
        if let Some(domain) = oldest.map(|(domain, _)| domain.clone()) {
            self.domains.remove(&domain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_800_000_000 + seconds)
    }

    fn policy(mode: Mode, max_age: u64) -> StsPolicy {
        StsPolicy {
            mode,
            max_age: Duration::from_secs(max_age),
            mx: vec!["mx.example".into()],
        }
    }

    /// A cache that fetched a policy of this age limit at zero.
    fn cache(max_age: u64) -> StsCache {
        let mut cache = StsCache::default();
        let policy = policy(Mode::Enforce, max_age);
        assert!(
            cache
                .on_policy("a.example", "1", Some(policy), at(0), at(0))
                .is_some()
        );
        cache
    }

    fn is_known(next: &Next) -> bool {
        matches!(next, Next::Known(Some(_)))
    }

    #[test]
    fn nothing_is_asked_again_for_five_minutes() {
        let mut cache = cache(7 * DAY);
        assert_eq!(cache.consult("b.example", at(0)), Next::Ask);
        assert!(is_known(&cache.consult("a.example", at(299))));
        assert_eq!(cache.consult("a.example", at(300)), Next::Ask);
        assert_eq!(cache.on_record("b.example", None, at(0)), Next::Known(None));
        assert_eq!(cache.consult("b.example", at(299)), Next::Known(None));
        assert_eq!(cache.consult("b.example", at(300)), Next::Ask);
        assert_eq!(
            cache.on_policy("b.example", "1", None, at(300), at(300)),
            None
        );
        assert_eq!(cache.consult("b.example", at(599)), Next::Known(None));
    }

    #[test]
    fn a_policy_is_fetched_again_when_its_id_changes_or_after_a_day() {
        let mut cache = cache(7 * DAY);
        assert!(is_known(&cache.on_record(
            "a.example",
            Some("1"),
            at(DAY - 1)
        )));
        assert_eq!(
            cache.on_record("a.example", Some("2"), at(DAY - 1)),
            Next::Ask
        );
        assert_eq!(cache.on_record("a.example", Some("1"), at(DAY)), Next::Ask);
        let other = policy(Mode::Testing, DAY);
        let now = cache.on_policy("a.example", "2", Some(other.clone()), at(DAY), at(DAY));
        assert_eq!(now.as_deref(), Some(&other));
        assert!(is_known(&cache.on_record(
            "a.example",
            Some("2"),
            at(DAY + 400)
        )));
    }

    #[test]
    fn a_kept_policy_holds_when_record_or_file_are_gone_until_it_runs_out() {
        let mut cache = cache(2 * DAY);
        assert!(is_known(&cache.on_record(
            "a.example",
            None,
            at(2 * DAY - 1)
        )));
        assert!(
            cache
                .on_policy("a.example", "2", None, at(2 * DAY - 1), at(2 * DAY - 1))
                .is_some()
        );
        // Behind its time it is not there any more, though it was just looked for.
        assert_eq!(cache.consult("a.example", at(2 * DAY)), Next::Ask);
        assert_eq!(
            cache.on_record("a.example", None, at(2 * DAY)),
            Next::Known(None)
        );
        assert_eq!(cache.iter().count(), 0);
    }

    #[test]
    fn a_policy_without_an_age_is_for_one_delivery() {
        let cache = cache(0);
        assert_eq!(cache.consult("a.example", at(0)), Next::Ask);
    }

    #[test]
    fn mode_none_takes_a_policy_back() {
        let mut cache = cache(7 * DAY);
        let none = policy(Mode::None, 7 * DAY);
        assert_eq!(
            cache.on_policy("a.example", "2", Some(none), at(1), at(1)),
            None
        );
        assert_eq!(cache.consult("a.example", at(2)), Next::Known(None));
        let next = cache.on_record("a.example", Some("2"), at(400));
        assert_eq!(next, Next::Known(None));
    }

    #[test]
    fn what_was_kept_over_a_restart_is_looked_up_before_it_is_used() {
        let mut cache = StsCache::default();
        let kept = Kept {
            policy: Arc::new(policy(Mode::Enforce, 7 * DAY)),
            id: "1".into(),
            fetched: at(0),
        };
        cache.insert("a.example", kept.clone());
        assert_eq!(cache.iter().collect::<Vec<_>>(), [("a.example", &kept)]);
        assert_eq!(cache.consult("a.example", at(1)), Next::Ask);
        assert!(is_known(&cache.on_record("a.example", None, at(1))));
    }

    #[test]
    fn a_full_cache_forgets_those_without_a_policy_first() {
        let mut cache = cache(7 * DAY);
        for number in 0..LIMIT - 1 {
            cache.on_record(&format!("{number}.example"), None, at(1));
        }
        assert_eq!(cache.domains.len(), LIMIT);
        cache.on_record("one.more.example", None, at(2));
        assert_eq!(cache.domains.len(), 2);
        assert!(is_known(&cache.consult("a.example", at(2))));
        for number in 0..LIMIT {
            let policy = Some(policy(Mode::Enforce, DAY));
            cache.on_policy(&format!("{number}.example"), "1", policy, at(3), at(3));
        }
        assert_eq!(cache.domains.len(), LIMIT);
        assert_eq!(cache.consult("a.example", at(3)), Next::Ask);
    }
}
