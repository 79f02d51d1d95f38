//! The outside of those who report: DNS and web servers.

use core::future::Future;

use bytes::Bytes;

use super::Endpoint;

/// What whoever reports needs of the world. A client of one of the runtimes is one.
pub trait Outside: Send + Sync {
    /// The text records at a name, each as one piece; none where there are none.
    ///
    /// # Errors
    /// The reason why it is not known whether there are any, in words. The report is tried again later.
    fn texts(&self, name: &str) -> impl Future<Output = Result<Vec<Vec<u8>>, String>> + Send;

    /// Sends a report by POST, as `application/tlsrpt+gzip`. Returns the status of the answer.
    ///
    /// # Errors
    /// The reason why there is none, in words. The report is tried again later.
    fn post(
        &self,
        endpoint: &Endpoint,
        file: Bytes,
    ) -> impl Future<Output = Result<u16, String>> + Send;
}
