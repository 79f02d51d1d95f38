//! The memory of MTA-STS policies.

use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeStruct};

use super::form::{Text, form, required};
use crate::sts::{Kept, Mode, StsCache, StsPolicy};

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    fetched: u64,
    mode: &'a str,
    max_age: u64,
    mx: &'a [String],
}

impl<'a> Entry<'a> {
    fn of(kept: &'a Kept) -> Self {
        let policy = &kept.policy;
        Self {
            id: &kept.id,
            fetched: kept.fetched.as_secs(),
            mode: policy.mode.as_str(),
            max_age: policy.max_age.as_secs(),
            mx: &policy.mx,
        }
    }
}

impl Serialize for StsCache {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let entries: BTreeMap<&str, Entry<'_>> = self
            .iter()
            .map(|(domain, kept)| (domain, Entry::of(kept)))
            .collect();
        let mut cache = to.serialize_struct("StsCache", 1)?;
        cache.serialize_field("policies", &entries)?;
        cache.end()
    }
}

form!(CacheForm {
    policies: BTreeMap<String, EntryForm>,
});

form!(EntryForm {
    id: Text,
    fetched: u64,
    mode: Text,
    max_age: u64,
    mx: Vec<Text>,
});

impl<'de> Deserialize<'de> for StsCache {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = CacheForm::deserialize(from)?;
        let mut cache = Self::default();
        for (domain, entry) in form.policies.unwrap_or_default() {
            let Text(mode) = required("mode", entry.mode)?;
            let found = Mode::ALL.into_iter().find(|one| one.as_str() == mode);
            let mode = found.ok_or_else(|| {
                D::Error::custom(format_args!("key \"mode\": \"{mode}\" is no mode"))
            })?;
            let mx = required("mx", entry.mx)?.into_iter().map(|Text(mx)| mx);
            let policy = StsPolicy {
                mode,
                max_age: Duration::from_secs(required("max_age", entry.max_age)?),
                mx: mx.collect(),
            };
            let kept = Kept {
                policy: Arc::new(policy),
                id: required("id", entry.id)?.0,
                fetched: Duration::from_secs(required("fetched", entry.fetched)?),
            };
            cache.insert(&domain, kept);
        }
        Ok(cache)
    }
}
