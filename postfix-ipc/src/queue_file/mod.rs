//! The queue file: where it is, what it is made of, and how the text of a message is read
//! from it.
//!
//! A queue file is a sequence of records, which mail filters change in place: a pointer
//! overwrites the beginning of an old record, and leads to new ones at the end of the file.
//! [`Walk`] follows them; it asks for bytes by offset and opens nothing. [`Content`] makes
//! lines of the records of the text, and [`ContentText`] is that as a
//! [`TextSource`](smtp_policy::text::TextSource). Everything else than such records is a [`Corruption`].
//!
//! Answers to Postfix's `src/global/record.c`, `rec_type.h` and `mail_queue.c`.
//!
//! ```
//! use postfix_ipc::queue_file::ContentText;
//! use smtp_policy::text::TextSource;
//!
//! // The text begins behind the M record. A mail filter has put a field behind the first.
//! let file = b"M\0N\x04a: bp\x0f             33N\x02hiX\0E\0N\x04c: dp\x0f             25";
//! let read = |offset: u64, length: usize| {
//!     let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
//!     Ok(rest.iter().copied().take(length).collect::<Vec<u8>>().into())
//! };
//! let mut text = ContentText::new(read, 2);
//! assert_eq!(text.read(0, 100)?, "a: b\nc: d\nhi\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod content;
mod corruption;
mod mark;
mod path;
mod record;
mod source;
mod walk;

pub use content::{Content, ContentStep};
pub use corruption::Corruption;
pub use mark::{BadOffset, CORRUPT_MODE, Mark};
pub use path::{BadName, Hashing, QueueFile};
pub use record::{LINE_LIMIT, Record, RecordKind};
pub use source::ContentText;
pub use walk::{READ_SIZE, Walk, WalkStep};
