//! Under which name a connection is kept.

/// The key of a kept connection. It holds everything that must be equal for a
/// connection to serve another message: the client, and the next hop or the
/// endpoint (`src/smtp/smtp_key.c`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    /// `None` where a field makes no difference.
    fields: Vec<Option<String>>,
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
    /// The label of a destination: which next hop the connection was made for, and
    /// for which sender if that makes a difference.
    pub(crate) fn destination(service: &str, sender: Option<&str>, nexthop: &str) -> Self {
        Self::of([Some("destination"), Some(service), sender, Some(nexthop)])
    }

    /// The label of an endpoint: which address and port it leads to; and for which
    /// sender, and under which names of destination and host, if that makes a
    /// difference.
    pub(crate) fn endpoint(
        service: &str,
        sender: Option<&str>,
        names: Option<(&str, &str)>,
        address: &str,
        port: u16,
    ) -> Self {
        let (destination, host) = names.unzip();
        let port = port.to_string();
        Self::of([
            Some("endpoint"),
            Some(service),
            sender,
            destination,
            host,
            Some(address),
            Some(&port),
        ])
    }

    fn of<'a>(fields: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        Self {
            fields: fields
                .into_iter()
                .map(|field| field.map(str::to_owned))
                .collect(),
        }
    }
}
