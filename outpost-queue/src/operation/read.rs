//! The text of a message is read in pieces.

use bytes::Bytes;

use crate::{
    model::MessageId,
    store::{Operation, StoreError, Transaction},
};

/// Reads a piece of a text.
#[derive(Clone, Copy, Debug)]
pub struct ReadText {
    /// The message.
    pub message: MessageId,
    /// The number of the piece, from zero on.
    pub number: u32,
}

impl Operation for ReadText {
    /// None behind the end of the text.
    type Output = Option<Bytes>;

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Option<Bytes>, StoreError> {
        tx.chunk(self.message, self.number).await
    }
}
