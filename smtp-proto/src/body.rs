//! Placeholder.
use crate::queue::SendQueue;
use bytes::Bytes;
/// Body encoder.
#[derive(Debug)]
pub struct BodyEncoder {
    folded: bool,
}
impl BodyEncoder {
    /// New.
    pub fn new(_line_length_limit: usize) -> Self {
        Self { folded: false }
    }
    /// Push.
    pub fn push(&mut self, chunk: Bytes, out: &mut SendQueue) {
        out.link(chunk);
    }
    /// Finish.
    pub fn finish(&mut self, _out: &mut SendQueue) {}
    /// Folded.
    pub fn folded(&self) -> bool {
        self.folded
    }
}
