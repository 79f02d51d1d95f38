//! Tables of proxymap(8), which a check does not ask: they are only named.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use postfix_config::tables::{KeyEncoding, ProxyClient, RemoteTable};

/// The tables that proxymap(8) would be asked for.
#[derive(Debug, Default)]
pub(super) struct Proxied(Mutex<BTreeSet<String>>);

/// A table that nobody asks anything.
#[derive(Debug)]
struct Unasked;

impl Proxied {
    /// Their types and names.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProxyClient for Proxied {
    fn open(self: Arc<Self>, table: &str, _: KeyEncoding) -> Result<Arc<dyn RemoteTable>, String> {
        self.lock().insert(table.to_owned());
        Ok(Arc::new(Unasked))
    }
}

impl RemoteTable for Unasked {
    fn has_fixed_keys(&self) -> bool {
        true
    }

    fn lookup(&self, _: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Err("a check asks nobody".to_owned())
    }
}
