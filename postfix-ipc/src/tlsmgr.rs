//! The TLS manager: entropy and the cache of sessions (`src/tls/tls_mgr.c`).
//!
//! Sessions are those of OpenSSL, in DER.
//!
//! ```
//! use postfix_ipc::{attr::List, tlsmgr::Seed};
//!
//! assert_eq!(Seed { size: 32 }.encode(), b"request\0seed\0size\x0032\0\0");
//! ```

use crate::attr::{Data, Value, attributes};

attributes! {
    /// The request for entropy.
    #[derive(Copy)]
    pub struct Seed ["request" = "seed"] {
        /// The number of bytes.
        size: i32 => "size",
    }
}

attributes! {
    /// The answer.
    pub struct SeedReply {
        /// Zero if there is some.
        status: i32 => "status",
        /// The bytes.
        seed: Data => "seed",
    }
}

attributes! {
    /// The question for what the cache may be used for.
    pub struct CachePolicy ["request" = "policy"] {
        /// `smtp` or `lmtp`.
        cache: Value => "cache_type",
    }
}

attributes! {
    /// The answer.
    #[derive(Copy)]
    pub struct CachePolicyReply {
        /// Zero if it is known.
        status: i32 => "status",
        /// Other than zero if sessions may be kept.
        cachable: i32 => "cachable",
        /// The seconds that they live.
        timeout: i32 => "timeout",
    }
}

attributes! {
    /// The question for a session.
    pub struct Lookup ["request" = "lookup"] {
        /// `smtp` or `lmtp`.
        cache: Value => "cache_type",
        /// The server: `SERVICE&NEXTHOP&HOST&ADDRESS&&…`.
        id: Value => "cache_id",
    }
}

attributes! {
    /// The answer.
    pub struct LookupReply {
        /// Zero if there is one, else -1.
        status: i32 => "status",
        /// The session.
        session: Data => "session",
    }
}

attributes! {
    /// A session to keep.
    pub struct Update ["request" = "update"] {
        /// `smtp` or `lmtp`.
        cache: Value => "cache_type",
        /// The server.
        id: Value => "cache_id",
        /// The session.
        session: Data => "session",
    }
}

attributes! {
    /// A session to forget.
    pub struct Delete ["request" = "delete"] {
        /// `smtp` or `lmtp`.
        cache: Value => "cache_type",
        /// The server.
        id: Value => "cache_id",
    }
}
