//! Look-ups in tables that proxymap(8) opens (`src/global/dict_proxy.c`).
//!
//! The connection stays open. Each request names the table, since the server may have been
//! started anew. There are two [`Dialect`]s, and nothing in the announcement tells them apart: a server to
//! which the other one is spoken answers [`TableStatus::Bad`].
//!
//! ```
//! use postfix_ipc::{attr::{List, ListReader, Value}, proxymap::{Lookup, LookupFlags, LookupReply, TableStatus}};
//!
//! let lookup = Lookup {
//!     table: Value::new("hash:/etc/postfix/generic")?,
//!     flags: LookupFlags::Joint(64),
//!     key: Value::new("user@example.com")?,
//! };
//! let wire = b"request\0lookup\0table\0hash:/etc/postfix/generic\0flags\x0064\0key\0user@example.com\0\0";
//! assert_eq!(lookup.encode(), wire);
//!
//! let mut reader = ListReader::new("private/proxymap");
//! reader.push(b"status\x001\0value\0\0\0");
//! let reply: LookupReply = reader.next_list()?.ok_or("more")?;
//! assert_eq!(TableStatus::of(reply.status), Some(TableStatus::NoKey));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::attr::{Attribute, Attributes, Fault, List, Stop, Value, Writer, attributes};

/// The flags of all tables of fixed strings, in which parts of keys may be looked up (`DICT_FLAG_FIXED`).
pub const FIXED: i32 = 1 << 4;
/// Lock the file for each look-up (`DICT_FLAG_LOCK`).
pub const LOCK: i32 = 1 << 6;
/// Keys and values are UTF-8 (`DICT_FLAG_UTF8_REQUEST`).
pub const UTF8: i32 = 1 << 19;

const FLAGS: &str = "flags";
const INSTANCE_FLAGS: &str = "instance_flags";
const VALUE: &str = "value";

/// The form of requests, which depends on the release of Postfix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// A table has one set of flags (up to 3.10).
    #[default]
    Joint,
    /// The flags with which a table is opened and those of a look-up are apart (from 3.11 on).
    Separate,
}

attributes! {
    /// The request to open a table.
    pub struct Open ["request" = "open"] {
        /// Type and name: `hash:/etc/postfix/generic`.
        table: Value => "table",
        /// The flags with which it is opened.
        flags: OpenFlags => _,
    }
}

/// The flags with which a table is opened (`DICT_FLAG_…`), of those that make it another table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Their sum.
    pub bits: i32,
    /// The name of the attribute depends on it.
    pub dialect: Dialect,
}

impl List for OpenFlags {
    fn read(from: &mut Attributes<'_>) -> Result<Self, Stop> {
        let (name, bits) = from.one_of([INSTANCE_FLAGS, FLAGS])?;
        let dialect = match name {
            FLAGS => Dialect::Joint,
            _ => Dialect::Separate,
        };
        Ok(Self { bits, dialect })
    }

    fn write(&self, to: &mut Writer) {
        let name = match self.dialect {
            Dialect::Joint => FLAGS,
            Dialect::Separate => INSTANCE_FLAGS,
        };
        to.attribute(name, &self.bits);
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
        /// The flags of the table and of this look-up.
        flags: LookupFlags => _,
        /// The key.
        key: Value => "key",
    }
}

/// The flags of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFlags {
    /// Those with which the table was opened, and those of the look-up, in one number.
    Joint(i32),
    /// Two numbers.
    Separate {
        /// The flags with which the table was opened.
        instance: i32,
        /// The flags of the look-up: those that the server has answered with, with changes.
        request: i32,
    },
}

impl List for LookupFlags {
    fn read(from: &mut Attributes<'_>) -> Result<Self, Stop> {
        match from.one_of([INSTANCE_FLAGS, FLAGS])? {
            (FLAGS, bits) => Ok(Self::Joint(bits)),
            (_, instance) => Ok(Self::Separate {
                instance,
                request: from.attribute(FLAGS)?,
            }),
        }
    }

    fn write(&self, to: &mut Writer) {
        match self {
            Self::Joint(bits) => to.attribute(FLAGS, bits),
            Self::Separate { instance, request } => {
                to.attribute(INSTANCE_FLAGS, instance);
                to.attribute(FLAGS, request);
            }
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReply {
    /// A [`TableStatus`].
    pub status: i32,
    /// The flags of the table, in the dialect that has them here.
    pub flags: Option<i32>,
    /// The value, if there is one.
    pub value: Value,
}

impl List for LookupReply {
    fn read(from: &mut Attributes<'_>) -> Result<Self, Stop> {
        let status = from.attribute("status")?;
        let (name, text): (_, Value) = from.one_of([FLAGS, VALUE])?;
        if name == VALUE {
            return Ok(Self {
                status,
                flags: None,
                value: text,
            });
        }
        let malformed = |how| {
            Stop::Fault(Fault::Malformed {
                how,
                text: text.clone(),
            })
        };
        Ok(Self {
            status,
            flags: Some(i32::read(text.as_bytes()).map_err(malformed)?),
            value: from.attribute(VALUE)?,
        })
    }

    fn write(&self, to: &mut Writer) {
        to.attribute("status", &self.status);
        if let Some(flags) = &self.flags {
            to.attribute(FLAGS, flags);
        }
        to.attribute(VALUE, &self.value);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::ListReader;

    fn wire(list: &impl List) -> String {
        String::from_utf8_lossy(&list.encode()).replace('\0', ".")
    }

    #[test]
    fn each_dialect_has_its_own_attributes() {
        let table = Value::new("hash:/t").unwrap();
        let open = |dialect| Open {
            table: table.clone(),
            flags: OpenFlags { bits: 0, dialect },
        };
        assert_eq!(
            wire(&open(Dialect::Joint)),
            "request.open.table.hash:/t.flags.0.."
        );
        assert_eq!(
            wire(&open(Dialect::Separate)),
            "request.open.table.hash:/t.instance_flags.0.."
        );
        let lookup = |flags| Lookup {
            table: table.clone(),
            flags,
            key: Value::new("k").unwrap(),
        };
        assert_eq!(
            wire(&lookup(LookupFlags::Joint(64))),
            "request.lookup.table.hash:/t.flags.64.key.k.."
        );
        let separate = LookupFlags::Separate {
            instance: 64,
            request: 80,
        };
        assert_eq!(
            wire(&lookup(separate)),
            "request.lookup.table.hash:/t.instance_flags.64.flags.80.key.k.."
        );
    }

    #[test]
    fn answers_that_are_none_are_told_of() {
        for (said, text) in [
            (
                &b"value\0x\0"[..],
                "unexpected attribute value from p (expecting: status)",
            ),
            (
                b"status\x000\0key\0x\0",
                "unexpected attribute key from p (expecting: value)",
            ),
            (
                b"status\x000\0flags\0x\0",
                "malformed numerical data from p while reading input attribute value: x",
            ),
        ] {
            let mut reader = ListReader::new("p");
            reader.push(said);
            let error = reader.next_list::<LookupReply>().unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
