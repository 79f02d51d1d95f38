//! Attribute lists, the language of Postfix's processes: names with values, in an order
//! that both sides know.
//!
//! On the wire a list is `name NUL value NUL` repeated, then one NUL. Nothing says of
//! which type a value is, or how many attributes follow: each message is a type here,
//! a [`List`], and [`ListReader`] reads it as strictly as Postfix does: these names in
//! this order and no others. A negative number travels as the unsigned number of the
//! same bits.
//!
//! Answers to Postfix's `src/util/attr_scan0.c` and `attr_print0.c`.
//!
//! ```
//! use postfix_ipc::attr::{List, ListReader};
//! use postfix_ipc::report::StatusReply;
//!
//! let mut reader = ListReader::new("private/bounce");
//! reader.push(b"status\x004294967295");
//! assert_eq!(reader.next_list::<StatusReply>()?, None);
//! reader.push(b"\0\0");
//! assert_eq!(reader.next_list::<StatusReply>()?, Some(StatusReply { status: -1 }));
//!
//! reader.push(b"state\0");
//! let error = reader.next_list::<StatusReply>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "unexpected attribute state from private/bounce (expecting: status)"
//! );
//! assert_eq!(StatusReply { status: -1 }.encode(), b"status\x004294967295\0\0");
//! # Ok::<(), postfix_ipc::attr::ListError>(())
//! ```

mod error;
mod list;
mod number;
mod reader;
mod value;

pub use error::{Fault, ListError, Part};
pub(crate) use list::attributes;
pub use list::{Attribute, Attributes, List, Stop, Writer};
pub use number::Malformed;
pub use reader::{LIST_LIMIT, ListReader, NAME_LIMIT, VALUE_LIMIT};
pub use value::{Data, Nul, Value};
