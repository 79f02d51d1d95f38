//! The faults of a list, in Postfix's words.

use core::fmt;
use std::sync::Arc;

use smtp_policy::report::printable;

use super::{number::Malformed, value::Value};

/// The error of a list that could not be read. Its `Display` is Postfix's warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
    /// The other end, as it is named in warnings: `private/bounce`, `smtp socket`.
    pub peer: Arc<str>,
    /// The fault.
    pub fault: Fault,
}

/// The part of a list that was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The name, or the NUL that ends the list.
    Name,
    /// The value.
    Value,
    /// All of it.
    List,
}

/// The fault of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Another attribute than the one that is due.
    Unexpected {
        /// Its name.
        name: Value,
        /// The name that is due, or `(list terminator)`.
        expected: &'static str,
    },
    /// The list ended before this attribute.
    Missing(&'static str),
    /// An attribute that can have one value only has another.
    Value {
        /// Its name.
        name: &'static str,
        /// The value that came.
        value: Value,
        /// The value that is due.
        expected: &'static str,
    },
    /// A value is not of its type.
    Malformed {
        /// The type, and its rule.
        how: Malformed,
        /// The value.
        text: Value,
    },
    /// More bytes than the limit: [`VALUE_LIMIT`](super::VALUE_LIMIT),
    /// [`NAME_LIMIT`](super::NAME_LIMIT) or [`LIST_LIMIT`](super::LIST_LIMIT).
    TooLong {
        /// The part that goes beyond it.
        part: Part,
        /// The limit in bytes.
        limit: usize,
    },
    /// The input ended within a list, between its names and values.
    End(Part),
    /// The input ended within a name or a value.
    Cut(Part),
    /// Nothing came within the time limit.
    Timeout(Part),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "input attribute name",
            Self::Value => "input attribute value",
            Self::List => "input attribute list",
        })
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, fault } = self;
        let peer = printable(peer);
        match fault {
            Fault::Unexpected { name, expected } => {
                write!(
                    f,
                    "unexpected attribute {name} from {peer} (expecting: {expected})"
                )
            }
            Fault::Missing(name) => write!(f, "missing attribute {name} in input from {peer}"),
            Fault::Value {
                name,
                value,
                expected,
            } => write!(
                f,
                "unexpected {name} {value} from {peer} (expected: {expected})"
            ),
            Fault::Malformed {
                how: how @ Malformed::Statistics { .. },
                ..
            } => how.fmt(f),
            // A value of 100 bytes at most, as Postfix has it.
            Fault::Malformed { how, text } => {
                write!(
                    f,
                    "{how} from {peer} while reading {}: {text:.100}",
                    Part::Value
                )
            }
            Fault::TooLong { part, limit } => {
                write!(
                    f,
                    "more than {limit} bytes from {peer} while reading {part}"
                )
            }
            Fault::End(part) => {
                write!(f, "premature end-of-input on {peer} while reading {part}")
            }
            Fault::Cut(part) => {
                write!(
                    f,
                    "unexpected end-of-input from {peer} while reading {part}"
                )
            }
            Fault::Timeout(part) => write!(f, "timeout on {peer} while reading {part}"),
        }
    }
}

impl core::error::Error for ListError {}
