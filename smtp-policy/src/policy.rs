//! What all deliveries share: the configuration of both clients, their tables,
//! the name servers, the addresses of this machine. A value that is made once and
//! handed around behind an `Arc`; nothing in it changes.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use crate::{
    config::{Config, ConfigError, MainCf, Protocol},
    delivery::Bind,
    dns::ResolverConfig,
    request::{CacheHints, Request},
    route::{self, Destination, NexthopError, OwnAddresses, PortNames, RoutePolicy},
    tables::{MatchList, Tables},
};

/// Everything a [`Delivery`](crate::delivery::Delivery) is decided by.
///
/// [`Policy::default`] is Postfix's defaults with name servers as
/// [`ResolverConfig::default`] has them.
#[derive(Debug)]
pub struct Policy {
    smtp: Client,
    lmtp: Client,
    resolver: Arc<ResolverConfig>,
    own: Arc<OwnAddresses>,
    /// Remarks about the configuration, such as unknown parameters.
    warnings: Vec<String>,
}

/// One of the two clients, with what follows from its configuration.
#[derive(Debug)]
struct Client {
    config: Arc<Config>,
    tables: Arc<Tables>,
    route: Arc<RoutePolicy>,
    ports: PortNames,
    cached: MatchList,
    bind: Option<Ipv4Addr>,
    bind6: Option<Ipv6Addr>,
}
