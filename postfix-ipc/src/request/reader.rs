//! The reader of a delivery request.

use core::fmt;
use std::sync::Arc;

use super::{DeliveryRequest, Recipient, RequestHead};
use crate::attr::{ListError, ListReader, Value};

/// The most recipients of a request. The queue manager's own limit,
/// `qmgr_message_recipient_limit`, is 20,000 unless it is raised.
pub const MAX_RECIPIENTS: usize = 100_000;
/// The most bytes of a request.
pub const REQUEST_LIMIT: usize = 64 * 1024 * 1024;

/// Reads one request, a piece at a time.
#[derive(Clone, Debug)]
pub struct RequestReader {
    lists: ListReader,
    /// The head, and how many recipients are to come.
    head: Option<(RequestHead, usize)>,
    recipients: Vec<Recipient>,
    /// The bytes that came.
    size: usize,
}

/// The error of a request that could not be read; the answer to it is
/// [`FinalReply::deferred`](super::FinalReply::deferred).
///
/// `Display` is Postfix's last warning; that of the `source` comes before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The head is not as it should be.
    Head(ListError),
    /// A recipient is not as it should be.
    Recipient(ListError),
    /// The head announces no recipients.
    NoRecipients {
        /// The queue id.
        queue_id: Value,
        /// The destination.
        nexthop: Value,
    },
    /// The head announces more recipients than [`MAX_RECIPIENTS`].
    TooManyRecipients {
        /// The queue id.
        queue_id: Value,
        /// The number.
        count: i32,
    },
    /// The request has more bytes than [`REQUEST_LIMIT`].
    TooLong,
}

impl RequestReader {
    /// A reader of what `peer` says; the name is for warnings.
    pub fn new(peer: impl Into<Arc<str>>) -> Self {
        Self {
            lists: ListReader::new(peer),
            head: None,
            recipients: Vec::new(),
            size: 0,
        }
    }

    /// Takes bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len());
        if self.size <= REQUEST_LIMIT {
            self.lists.push(bytes);
        }
    }

    /// The request, once all of it is there; then the reader begins anew.
    ///
    /// # Errors
    /// It is not as it should be, or too large.
    pub fn next_request(&mut self) -> Result<Option<DeliveryRequest>, RequestError> {
        if self.size > REQUEST_LIMIT {
            return Err(RequestError::TooLong);
        }
        if self.head.is_none() {
            let head: Option<RequestHead> = self.lists.next_list().map_err(RequestError::Head)?;
            self.head = head.map(counted).transpose()?;
        }
        let Some((_, count)) = &self.head else {
            return Ok(None);
        };
        while self.recipients.len() < *count {
            match self.lists.next_list().map_err(RequestError::Recipient)? {
                Some(recipient) => self.recipients.push(recipient),
                None => return Ok(None),
            }
        }
        let recipients = core::mem::take(&mut self.recipients);
        self.size = self.lists.buffered();
        Ok(self
            .head
            .take()
            .map(|(head, _)| DeliveryRequest { head, recipients }))
    }

    /// The fault of a stream that has ended before the request was there; `None` if
    /// nothing of it was: the queue manager has changed its mind.
    pub fn ended(&self) -> Option<RequestError> {
        match self.head {
            None => self.lists.ended().map(RequestError::Head),
            Some(_) => Some(RequestError::Recipient(self.lists.cut_off())),
        }
    }

    /// The fault of a stream that nothing came from within the time limit.
    pub fn timed_out(&self) -> RequestError {
        let fault = self.lists.timed_out();
        match self.head {
            None => RequestError::Head(fault),
            Some(_) => RequestError::Recipient(fault),
        }
    }

    /// The bytes held that are not yet part of a list.
    pub fn buffered(&self) -> usize {
        self.lists.buffered()
    }
}

/// A head with the number of its recipients.
fn counted(head: RequestHead) -> Result<(RequestHead, usize), RequestError> {
    let queue_id = head.queue_id.clone();
    match usize::try_from(head.recipient_count) {
        Ok(count @ 1..=MAX_RECIPIENTS) => Ok((head, count)),
        Ok(0) | Err(_) => Err(RequestError::NoRecipients {
            queue_id,
            nexthop: head.nexthop,
        }),
        Ok(_) => Err(RequestError::TooManyRecipients {
            queue_id,
            count: head.recipient_count,
        }),
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(_) => f.write_str("deliver_request_get: error receiving common attributes"),
            Self::Recipient(_) => {
                f.write_str("deliver_request_get: error receiving recipient attributes")
            }
            Self::NoRecipients { queue_id, nexthop } => write!(
                f,
                "{queue_id}: no recipients in delivery request for destination {nexthop}"
            ),
            Self::TooManyRecipients { queue_id, count } => write!(
                f,
                "{queue_id}: {count} recipients in delivery request, more than {MAX_RECIPIENTS}"
            ),
            Self::TooLong => {
                write!(f, "delivery request with more than {REQUEST_LIMIT} bytes")
            }
        }
    }
}

impl core::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Head(fault) | Self::Recipient(fault) => Some(fault),
            _ => None,
        }
    }
}
