//! The services of Postfix that a delivery agent speaks to, and the announcement with which
//! the server of each conversation begins.
//!
//! ```
//! use postfix_ipc::{announce::{Announcement, Service}, attr::{List, ListReader}};
//!
//! assert_eq!(Service::Bounce.path("bounce"), "private/bounce");
//! assert_eq!(Announcement::of(Service::Delivery).encode().len(), 36);
//!
//! let mut reader = ListReader::new("private/bounce");
//! reader.push(b"protocol\0delivery_status_protocol\0\0");
//! let announcement: Option<Announcement> = reader.next_list()?;
//! assert!(announcement.is_some_and(|it| it.is_of(Service::Bounce)));
//! # Ok::<(), postfix_ipc::attr::ListError>(())
//! ```

use core::fmt;

use crate::attr::{Fault, ListError, Value, attributes};

/// A service, as the protocol that is spoken to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// A delivery agent, which the queue manager speaks to.
    Delivery,
    /// bounce(8), final failures.
    Bounce,
    /// bounce(8), temporary failures.
    Defer,
    /// bounce(8), reports on success and on probes of sendmail(1).
    Trace,
    /// verify(8).
    Verify,
    /// trivial-rewrite(8).
    Rewrite,
    /// flush(8).
    Flush,
    /// cleanup(8).
    Cleanup,
    /// scache(8).
    ConnectionCache,
    /// tlsmgr(8).
    TlsManager,
    /// proxymap(8).
    ProxyMap,
    /// tlsproxy(8).
    TlsProxy,
}

/// The folder of the queue directory in which a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// For Postfix's own processes.
    Private,
    /// For commands of users, too.
    Public,
}

impl Class {
    /// The name of the folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of the table of services.
struct Row {
    service: Service,
    class: Class,
    /// The parameter that names the service, and its default; none for a delivery agent.
    parameter: Option<(&'static str, &'static str)>,
    protocol: &'static str,
}

const fn row(
    service: Service,
    class: Class,
    parameter: Option<(&'static str, &'static str)>,
    protocol: &'static str,
) -> Row {
    Row {
        service,
        class,
        parameter,
        protocol,
    }
}

/// All services, in the order of [`Service`].
#[rustfmt::skip]
const SERVICES: &[Row] = &[
    row(Service::Delivery, Class::Private, None, "delivery_request_protocol"),
    row(Service::Bounce, Class::Private, Some(("bounce_service_name", "bounce")), "delivery_status_protocol"),
    row(Service::Defer, Class::Private, Some(("defer_service_name", "defer")), "delivery_status_protocol"),
    row(Service::Trace, Class::Private, Some(("trace_service_name", "trace")), "delivery_status_protocol"),
    // Misspelt on the wire.
    row(Service::Verify, Class::Private, Some(("address_verify_service_name", "verify")), "address_verification_prrotocol"),
    row(Service::Rewrite, Class::Private, Some(("rewrite_service_name", "rewrite")), "trivial_rewrite_protocol"),
    row(Service::Flush, Class::Public, Some(("flush_service_name", "flush")), "queue_flush_protocol"),
    row(Service::Cleanup, Class::Public, Some(("cleanup_service_name", "cleanup")), "cleanup_protocol"),
    row(Service::ConnectionCache, Class::Private, Some(("connection_cache_service_name", "scache")), "connection_cache_protocol"),
    row(Service::TlsManager, Class::Private, Some(("tlsmgr_service_name", "tlsmgr")), "tlsmgr_protocol"),
    row(Service::ProxyMap, Class::Private, Some(("proxymap_service_name", "proxymap")), "proxymap_protocol"),
    row(Service::TlsProxy, Class::Private, Some(("tlsproxy_service_name", "tlsproxy")), "tlsproxy_protocol"),
];

impl Service {
    /// All services.
    pub fn all() -> impl Iterator<Item = Self> {
        SERVICES.iter().map(|row| row.service)
    }

    fn row(self) -> Option<&'static Row> {
        SERVICES.iter().find(|row| row.service == self)
    }

    /// The folder in which the service listens.
    pub fn class(self) -> Class {
        self.row().map_or(Class::Private, |row| row.class)
    }

    /// The parameter of main.cf that names the service; `None` for a delivery agent, whose
    /// name the transport table gives.
    pub fn parameter(self) -> Option<&'static str> {
        Some(self.row()?.parameter?.0)
    }

    /// The name of the service unless main.cf says otherwise.
    pub fn default_name(self) -> Option<&'static str> {
        Some(self.row()?.parameter?.1)
    }

    /// The protocol that the server announces.
    pub fn protocol(self) -> &'static str {
        self.row().map_or("", |row| row.protocol)
    }

    /// The socket, relative to the queue directory, of a service of this name.
    pub fn path(self, name: &str) -> String {
        format!("{}/{name}", self.class())
    }
}

attributes! {
    /// The first list of a conversation, which the server sends.
    pub struct Announcement {
        /// The protocol that the server speaks.
        protocol: Value => "protocol",
    }
}

attributes! {
    /// The first list that cleanup(8) sends: its announcement, with the name that the message
    /// will have in the queue.
    pub struct CleanupAnnouncement ["protocol" = "cleanup_protocol"] {
        /// The queue id of the message that is about to be submitted.
        queue_id: Value => "queue_id",
    }
}

impl Announcement {
    /// The announcement of a service, as its server sends it.
    pub fn of(service: Service) -> Self {
        let protocol = Value::masked(service.protocol());
        Self { protocol }
    }

    /// True if the server speaks the protocol of this service.
    pub fn is_of(&self, service: Service) -> bool {
        self.protocol == service.protocol()
    }

    /// Checks that `peer` speaks the protocol of this service.
    ///
    /// # Errors
    /// It speaks another.
    pub fn check(self, service: Service, peer: &str) -> Result<(), ListError> {
        if self.is_of(service) {
            return Ok(());
        }
        Err(ListError {
            peer: peer.into(),
            fault: Fault::Value {
                name: "protocol",
                value: self.protocol,
                expected: service.protocol(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::List;

    #[test]
    fn the_table_has_a_row_for_each_service() {
        for service in Service::all() {
            assert!(!service.protocol().is_empty(), "{service:?}");
            assert_eq!(
                service.default_name().is_some(),
                service.parameter().is_some()
            );
        }
        assert_eq!(Service::TlsProxy as usize + 1, SERVICES.len());
        let public: Vec<_> = Service::all()
            .filter(|service| service.class() == Class::Public)
            .collect();
        assert_eq!(public, [Service::Flush, Service::Cleanup]);
    }

    #[test]
    fn a_wrong_announcement_is_told_as_postfix_tells_it() {
        let announcement = Announcement::of(Service::Verify);
        assert_eq!(
            announcement.encode(),
            b"protocol\0address_verification_prrotocol\0\0"
        );
        let error = announcement.check(Service::Bounce, "private/bounce");
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err(
                "unexpected protocol address_verification_prrotocol from private/bounce \
                 (expected: delivery_status_protocol)"
                    .to_owned()
            )
        );
    }
}
