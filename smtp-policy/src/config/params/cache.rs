//! Kept connections, and how much goes to one destination at once.

use std::time::Duration;

use crate::config::parameter::{params, shared, twins};

params! {
    "cache";
    /// The connection cache and the destination limits.
    pub struct CacheParams {
        /// Destinations whose connections are always looked up in and stored to the cache. Matched
        /// against the bare domain of each nexthop (or UNIX path).
        connection_cache_destinations: String =
            twins("smtp_connection_cache_destinations", "lmtp_connection_cache_destinations", "");
        /// Yes: honour the per-request load/store hints of the queue manager (flags 2048 and 4096),
        /// given when deliveries to a destination follow each other closely.
        connection_cache_on_demand: bool =
            twins("smtp_connection_cache_on_demand", "lmtp_connection_cache_on_demand", "yes");
        /// How long an idle connection is kept in scache; sent as TTL with each save (scache caps it
        /// with `connection_cache_ttl_limit`).
        connection_cache_time_limit: Duration =
            twins("smtp_connection_cache_time_limit", "lmtp_connection_cache_time_limit", "2s")
            .min(1);
        /// A connection may be used until this long after it was set up; after that it is closed
        /// instead of saved.
        connection_reuse_time_limit: Duration =
            twins("smtp_connection_reuse_time_limit", "lmtp_connection_reuse_time_limit", "300s")
            .min(1);
        /// Maximum number of reuses of one connection (a connection used N+1 times has been reused N
        /// times); reaching it makes the session expired.
        connection_reuse_count_limit: u32 =
            twins("smtp_connection_reuse_count_limit", "lmtp_connection_reuse_count_limit", "0");
        /// Limit for one request/reply with the scache service; on failure the cache is treated as
        /// empty or the save is dropped with a warning.
        connection_cache_protocol_timeout: Duration =
            shared("connection_cache_protocol_timeout", "5s")
            .min(1)
            .mapped("the cache is part of this process");
        /// The name of the service that keeps connections.
        connection_cache_service_name: String = shared("connection_cache_service_name", "scache")
            .min(1)
            .mapped("the cache is part of this process");
        /// The longest time that the service keeps any connection.
        connection_cache_ttl_limit: Duration = shared("connection_cache_ttl_limit", "2s")
            .min(1)
            .mapped("the cache is part of this process; see smtp_connection_cache_time_limit");
        /// How many deliveries to one destination may run at the same time; 0 means no limit. In
        /// Postfix the queue manager sees to it, here the client of the runtime.
        destination_concurrency_limit: u32 =
            twins("smtp_destination_concurrency_limit", "lmtp_destination_concurrency_limit", "$default_destination_concurrency_limit");
        /// How many recipients one delivery to a destination may have. In Postfix the queue manager
        /// sees to it, here the client of the runtime.
        destination_recipient_limit: u32 =
            twins("smtp_destination_recipient_limit", "lmtp_destination_recipient_limit", "$default_destination_recipient_limit");
        /// Default of `transport_destination_concurrency_limit` (qmgr).
        default_destination_concurrency_limit: u32 =
            shared("default_destination_concurrency_limit", "20");
        /// Default of `transport_destination_recipient_limit` (qmgr).
        default_destination_recipient_limit: u32 =
            shared("default_destination_recipient_limit", "50");
    }
    rows {
        /// Stands in the manual for the parameters of all transports; it is no name that can be set.
        Number = shared("transport_destination_concurrency_limit", "20")
            .refused("a template; set smtp_destination_concurrency_limit or its lmtp_ twin")
            .unlisted();
        /// Stands in the manual for the parameters of all transports; it is no name that can be set.
        Number = shared("transport_destination_recipient_limit", "50")
            .refused("a template; set smtp_destination_recipient_limit or its lmtp_ twin")
            .unlisted();
        /// Historical: LMTP kept its connection open between deliveries. Replaced by
        /// `lmtp_connection_cache_*`. Unknown to 3.x.
        Bool = shared("lmtp_cache_connection", "yes")
            .removed("replaced by lmtp_connection_cache_destinations and its relatives in Postfix 2.3");
    }
}
