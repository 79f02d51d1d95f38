//! The wish of a request for a look at the servers instead of a delivery.

use std::net::IpAddr;

/// The part that is to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// Only servers with this address are visited; `None`: all of them.
    pub only: Option<IpAddr>,
}

impl Survey {
    /// A survey that visits only the servers with this address.
    pub fn only(address: IpAddr) -> Self {
        Self {
            only: Some(address),
        }
    }
}
