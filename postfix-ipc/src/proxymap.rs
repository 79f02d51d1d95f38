//! Look-ups in tables that proxymap(8) opens (`src/global/dict_proxy.c`).
//!
//! The connection stays open. Each request names the table, since the server may have been
//! started anew. There is no recording of this conversation.
//!
//! ```
//! use postfix_ipc::{attr::{List, Value}, proxymap::{Lookup, LookupReply, TableStatus}};
//!
//! let lookup = Lookup {
//!     table: Value::new("hash:/etc/postfix/generic")?,
//!     instance_flags: 0,
//!     flags: 64,
//!     key: Value::new("user@example.com")?,
//! };
//! assert!(lookup.encode().starts_with(b"request\0lookup\0table\0hash:/etc/postfix/generic\0"));
//! let reply = LookupReply { status: 1, flags: 64, value: Value::EMPTY };
//! assert_eq!(TableStatus::of(reply.status), Some(TableStatus::NoKey));
//! # Ok::<(), postfix_ipc::attr::Nul>(())
//! ```

use crate::attr::{Value, attributes};

attributes! {
    /// The request to open a table.
    pub struct Open ["request" = "open"] {
        /// Type and name: `hash:/etc/postfix/generic`.
        table: Value => "table",
        /// The flags with which it is opened (`DICT_FLAG_…`), of those that make it another table.
        instance_flags: i32 => "instance_flags",
    }
}

attributes! {
    /// The answer.
    #[derive(Copy)]
    pub struct OpenReply {
        /// A [`TableStatus`].
        status: i32 => "status",
        /// The flags of the table, among them those of its type.
        flags: i32 => "flags",
    }
}

attributes! {
    /// The request for a value.
    pub struct Lookup ["request" = "lookup"] {
        /// Type and name.
        table: Value => "table",
        /// The flags with which it was opened.
        instance_flags: i32 => "instance_flags",
        /// The flags of this look-up.
        flags: i32 => "flags",
        /// The key.
        key: Value => "key",
    }
}

attributes! {
    /// The answer.
    pub struct LookupReply {
        /// A [`TableStatus`].
        status: i32 => "status",
        /// The flags of the table.
        flags: i32 => "flags",
        /// The value, if there is one.
        value: Value => "value",
    }
}

/// The end of a request (`PROXY_STAT_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableStatus {
    /// Done, or found.
    Done,
    /// There is no such key.
    NoKey,
    /// The look-up failed, and may work later.
    Retry,
    /// The request is not valid.
    Bad,
    /// The table is not among `proxy_read_maps`.
    Denied,
    /// The configuration of the table is wrong.
    Misconfigured,
}

impl TableStatus {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::NoKey,
        Self::Retry,
        Self::Bad,
        Self::Denied,
        Self::Misconfigured,
    ];

    /// The status of this number.
    pub fn of(number: i32) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        Self::ALL.get(place).copied()
    }
}
