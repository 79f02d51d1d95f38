//! Under which name a connection is kept.

/// The key of a kept connection. It holds everything that must be equal for a
/// connection to serve another message: the client, and the next hop or the
/// endpoint (`src/smtp/smtp_key.c`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    fields: Vec<String>,
}

/// The two names of one kept connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKeys {
    /// The next hop that it was made for, unless it leads to a less preferred
    /// server of that next hop.
    pub(crate) destination: Option<CacheKey>,
    /// The endpoint that it leads to; `None` for a UNIX-domain socket, which is
    /// found by its next hop only.
    pub(crate) endpoint: Option<CacheKey>,
}

impl CacheKeys {
    /// Both names, as far as there are two.
    pub fn iter(&self) -> impl Iterator<Item = &CacheKey> {
        self.destination.iter().chain(&self.endpoint)
    }
}

impl CacheKey {
    /// The label of a destination: which next hop the connection was made for.
    pub(crate) fn destination(service: &str, nexthop: &str) -> Self {
        Self {
            fields: vec!["destination".into(), service.into(), nexthop.into()],
        }
    }

    /// The label of an endpoint: which address and port it leads to.
    pub(crate) fn endpoint(service: &str, address: &str, port: u16) -> Self {
        Self {
            fields: vec![
                "endpoint".into(),
                service.into(),
                address.into(),
                port.to_string(),
            ],
        }
    }
}
