//! Kept connections, and how much goes to one destination at once.

use std::time::Duration;

use crate::Derived;
use crate::parameter::{params, shared, twins};

params! {
    "cache";
    /// The connection cache and the destination limits.
    pub struct CacheParams {
        /// Destinations whose connections are always kept for the next message: domains, hosts,
        /// addresses or socket paths without port and brackets, files, or tables.
        connection_cache_destinations: String =
            twins("smtp_connection_cache_destinations", "lmtp_connection_cache_destinations", "");
        /// Whether connections are also kept when a request says that more mail for the destination
        /// is about to follow.
        connection_cache_on_demand: bool =
            twins("smtp_connection_cache_on_demand", "lmtp_connection_cache_on_demand", "yes");
        /// How long a kept connection may be idle.
        connection_cache_time_limit: Duration =
            twins("smtp_connection_cache_time_limit", "lmtp_connection_cache_time_limit", "2s")
                .min(1);
        /// How old a connection may be and still be kept, from its setup on.
        connection_reuse_time_limit: Duration =
            twins("smtp_connection_reuse_time_limit", "lmtp_connection_reuse_time_limit", "300s")
                .min(1);
        /// How often a connection may be used again. 0 means no limit.
        connection_reuse_count_limit: u32 =
            twins("smtp_connection_reuse_count_limit", "lmtp_connection_reuse_count_limit", "0");
        /// Limit for one exchange with Postfix's connection cache service.
        connection_cache_protocol_timeout: Duration =
            shared("connection_cache_protocol_timeout", "5s")
                .min(1)
                .mapped("the cache is part of this process");
        /// The name of the service that keeps connections.
        connection_cache_service_name: String = shared("connection_cache_service_name", "scache")
            .min(1)
            .mapped("the cache is part of this process");
        /// The longest time that any kept connection may be idle, whatever
        /// `smtp_connection_cache_time_limit` says.
        connection_cache_ttl_limit: Duration =
            shared("connection_cache_ttl_limit", "2s").min(1);
        /// How many deliveries to one destination may run at the same time; 0 means no limit. In
        /// Postfix the queue manager sees to it, here the client of the runtime.
        destination_concurrency_limit: Derived<u32> = twins(
            "smtp_destination_concurrency_limit",
            "lmtp_destination_concurrency_limit",
            "$default_destination_concurrency_limit",
        );
        /// How many recipients one delivery to a destination may have. In Postfix the queue manager
        /// sees to it, here the client of the runtime.
        destination_recipient_limit: Derived<u32> = twins(
            "smtp_destination_recipient_limit",
            "lmtp_destination_recipient_limit",
            "$default_destination_recipient_limit",
        );
        /// The default of `smtp_destination_concurrency_limit` and its LMTP twin.
        default_destination_concurrency_limit: u32 =
            shared("default_destination_concurrency_limit", "20");
        /// The default of `smtp_destination_recipient_limit` and its LMTP twin.
        default_destination_recipient_limit: u32 =
            shared("default_destination_recipient_limit", "50");
    }
    rows {
        /// Stands in the manual for the parameters of all transports; it is no name that can be
        /// set.
        Number = shared("transport_destination_concurrency_limit", "20")
            .refused("a template; set smtp_destination_concurrency_limit or its lmtp_ twin")
            .unlisted();
        /// Stands in the manual for the parameters of all transports; it is no name that can be
        /// set.
        Number = shared("transport_destination_recipient_limit", "50")
            .refused("a template; set smtp_destination_recipient_limit or its lmtp_ twin")
            .unlisted();
        /// Whether old versions of Postfix kept LMTP connections open.
        Bool = shared("lmtp_cache_connection", "yes")
            .removed(
                "replaced by lmtp_connection_cache_destinations and its relatives in Postfix 2.3",
            );
    }
}
