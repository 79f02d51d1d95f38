//! The part of a message that goes back to its sender.

use smtp_policy::report::Original;

use crate::{
    model::Message,
    store::{StoreError, Transaction},
};

/// The most bytes of a header that are returned (`header_size_limit`, which is that of one field).
const HEADER_LIMIT: usize = 102_400;

/// Text that was read for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// There is none any more.
    Nothing,
    /// The header, or its beginning.
    Header(Vec<u8>),
    /// All of it.
    Message(Vec<u8>),
}

impl Returned {
    /// The form for the notification.
    pub(crate) fn as_original(&self) -> Original<'_> {
        match self {
            Self::Nothing => Original::Absent,
            Self::Header(text) => Original::Header(text),
            Self::Message(text) => Original::Message(text),
        }
    }
}

/// Reads as much of a text as a report returns: all of it if that is `wanted` and not more than `limit` bytes, otherwise the
/// header. No more pieces are read than that takes.
pub(crate) async fn original<T: Transaction>(
    tx: &mut T,
    message: &Message,
    wanted: bool,
    limit: u64,
) -> Result<Returned, StoreError> {
    let whole = wanted && message.size <= limit;
    let mut text = Vec::new();
    for number in 0.. {
        let Some(piece) = tx.chunk(message.id, number).await? else {
            break;
        };
        // The line ends that end a header can stand in two pieces.
        let seen = text.len().saturating_sub(1);
        text.extend_from_slice(&piece);
        if whole {
            continue;
        }
        if let Some(end) = header_end(&text, seen) {
            text.truncate(end);
            break;
        }
        if text.len() >= HEADER_LIMIT {
            break;
        }
    }
    if !whole && text.len() > HEADER_LIMIT {
        text.truncate(HEADER_LIMIT);
        let line = text.iter().rposition(|byte| *byte == b'\n');
        text.truncate(line.map_or(0, |at| at + 1));
    }
    Ok(match (text.is_empty(), whole) {
        (true, _) => Returned::Nothing,
        (false, true) => Returned::Message(text),
        (false, false) => Returned::Header(text),
    })
}

/// The length of the header, if its end is behind the `seen` bytes that were looked at before.
fn header_end(text: &[u8], seen: usize) -> Option<usize> {
    if text.first() == Some(&b'\n') {
        return Some(0);
    }
    let rest = text.get(seen..)?;
    let at = rest.windows(2).position(|pair| pair == b"\n\n")?;
    Some(seen + at + 1)
}
