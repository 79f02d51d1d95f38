//! The connection cache: what scache(8) is asked and answers (`src/global/scache_clnt.c`).
//!
//! A descriptor goes with one NUL byte, which is a list without attributes: [`Carried`].
//! [`Dummy`] stands wherever one side waits for the other before and after it. After a
//! find with status zero the agent says [`Dummy`], gets the descriptor, and says [`Dummy`]
//! again; when an endpoint is saved the server says [`Dummy`], gets the descriptor, and
//! answers.
//!
//! ```
//! use postfix_ipc::{attr::{List, Value}, scache::FindEndpoint};
//!
//! let find = FindEndpoint { label: Value::new("smtp\n192.0.2.1\n25\n0\n")? };
//! assert!(find.encode().starts_with(b"request\0find_endp\0label\0smtp\n"));
//! # Ok::<(), postfix_ipc::attr::Nul>(())
//! ```

use crate::attr::{Attributes, List, Stop, Value, Writer, attributes};

/// The status of what was found or saved.
pub const FOUND: i32 = 0;
/// The status of what is not there; no descriptor follows.
pub const NOT_FOUND: i32 = 2;

attributes! {
    /// The question for a connection to a destination.
    pub struct FindDestination ["request" = "find_dest"] {
        /// The destination: `SERVICE\nNEXTHOP\n…`.
        label: Value => "label",
    }
}

attributes! {
    /// The answer: a connection and what is known of both its ends. Found, it is gone from the cache.
    pub struct FoundDestination {
        /// [`FOUND`] or [`NOT_FOUND`].
        status: i32 => "status",
        /// The properties of the destination: lines `name=value`, and an empty one.
        destination: Value => "property",
        /// The properties of the endpoint.
        endpoint: Value => "property",
    }
}

attributes! {
    /// The question for a connection to an endpoint.
    pub struct FindEndpoint ["request" = "find_endp"] {
        /// The endpoint: `SERVICE\nADDRESS\nPORT\nTLS-LEVEL\n…`.
        label: Value => "label",
    }
}

attributes! {
    /// The answer.
    pub struct FoundEndpoint {
        /// [`FOUND`] or [`NOT_FOUND`].
        status: i32 => "status",
        /// The properties of the endpoint.
        endpoint: Value => "property",
    }
}

attributes! {
    /// The link from a destination to an endpoint.
    pub struct SaveDestination ["request" = "save_dest"] {
        /// The seconds that it may be kept.
        ttl: i32 => "ttl",
        /// The destination.
        label: Value => "label",
        /// Its properties.
        destination: Value => "property",
        /// The endpoint.
        endpoint: Value => "label",
    }
}

attributes! {
    /// A connection, which follows.
    pub struct SaveEndpoint ["request" = "save_endp"] {
        /// The seconds that it may be kept.
        ttl: i32 => "ttl",
        /// The endpoint.
        label: Value => "label",
        /// Its properties.
        endpoint: Value => "property",
    }
}

attributes! {
    /// The sign that one side is ready.
    #[derive(Copy, Default)]
    pub struct Dummy ["dummy" = ""] {}
}

/// The byte that carries a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried;

impl List for Carried {
    fn read(_from: &mut Attributes<'_>) -> Result<Self, Stop> {
        Ok(Self)
    }

    fn write(&self, _to: &mut Writer) {}
}
