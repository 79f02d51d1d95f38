//! The outside of those who report: DNS and web servers.

use core::future::Future;

use bytes::Bytes;

use super::Endpoint;

/// A reporter's access to what it needs of the world. A client of one of the runtimes is one.
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

#[cfg(any(feature = "smol", feature = "tokio"))]
mod client {
    //! The clients of the runtimes, which ask the name servers of their policy.

    use std::net::IpAddr;

    use bytes::Bytes;
    use runtime_common::{Client, Runtime};
    use smtp_policy::dns::{Answer, Failure, Query, QueryKind, RecordData};

    use super::{Endpoint, Outside};

    impl<R: Runtime> Outside for Client<R> {
        async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, String> {
            let query = Query::new(name.to_owned(), QueryKind::Txt);
            let records = there(self.resolve(query).await)?.records.into_iter();
            let texts = records.filter_map(|record| match record.data {
                RecordData::Txt(text) => Some(text),
                _ => None,
            });
            Ok(texts.collect())
        }

        async fn post(&self, endpoint: &Endpoint, file: Bytes) -> Result<u16, String> {
            let mut addresses = Vec::new();
            for kind in [QueryKind::Aaaa, QueryKind::A] {
                let query = Query::new(endpoint.host.clone(), kind);
                let records = there(self.resolve(query).await)?.records;
                addresses.extend(records.iter().filter_map(|record| record.data.address()));
            }
            if addresses.is_empty() {
                return Err(format!("no address of {}", endpoint.host));
            }
            upload(self, endpoint, addresses, file).await
        }
    }

    /// The answer, which has no records where there are none.
    fn there(answer: Result<Answer, Failure>) -> Result<Answer, String> {
        match answer {
            Err(failure) if is_none(&failure) => Ok(Answer::default()),
            answer => answer.map_err(|failure| failure.to_string()),
        }
    }

    fn is_none(failure: &Failure) -> bool {
        match failure {
            Failure::NotFound | Failure::NoData => true,
            Failure::Aliased { failure, .. } => is_none(failure),
            _ => false,
        }
    }

    #[cfg(feature = "mta-sts")]
    async fn upload<R: Runtime>(
        client: &Client<R>,
        endpoint: &Endpoint,
        addresses: Vec<IpAddr>,
        file: Bytes,
    ) -> Result<u16, String> {
        use std::{sync::Arc, time::Duration};

        /// The longest time that it may take: a worker does nothing else about reports meanwhile.
        const LIMIT: Duration = Duration::from_secs(20);
        let sts = client.policy().mta_sts();
        let upload = runtime_common::Upload {
            host: endpoint.host.clone(),
            port: endpoint.port,
            path: endpoint.path.clone(),
            addresses,
            content_type: "application/tlsrpt+gzip",
            body: file,
            limit: LIMIT,
            authorities: sts.map_or_else(Arc::default, |sts| Arc::clone(sts.authorities())),
        };
        client.upload(upload).await.map_err(|why| why.to_string())
    }

    /// Without the feature nothing can be sent.
    #[cfg(not(feature = "mta-sts"))]
    async fn upload<R: Runtime>(
        _: &Client<R>,
        _: &Endpoint,
        _: Vec<IpAddr>,
        _: Bytes,
    ) -> Result<u16, String> {
        Err("HTTPS is not available here".to_owned())
    }
}
