//! The places of Postfix's other processes, for a delivery agent that master(8) starts.

use std::time::Duration;

use crate::Derived;
use crate::parameter::{params, shared};

params! {
    "daemon";
    /// The life of the agent's processes, the services that it speaks to, its log.
    pub struct DaemonParams {
        /// The time that a process waits for its next request before it ends.
        max_idle: Duration = shared("max_idle", "100s").min(1);
        /// The number of requests after which a process ends.
        max_use: u32 = shared("max_use", "100").min(1);
        /// Limit for each read and write in exchanges with Postfix's other processes.
        ipc_timeout: Duration = shared("ipc_timeout", "3600s").min(1);
        /// The time for which a connection to a service stays open that nothing is asked of.
        ipc_idle: Duration = shared("ipc_idle", "5s").min(1);
        /// The time after which a connection to a service is closed although it is used.
        ipc_ttl: Duration = shared("ipc_ttl", "1000s").min(1);
        /// The most processes of a service, unless master.cf says how many. Zero: no limit.
        default_process_limit: u32 = shared("default_process_limit", "100");
        /// The service that records what is returned to the sender.
        bounce_service_name: String = shared("bounce_service_name", "bounce").min(1);
        /// The service that records what is tried again.
        defer_service_name: String = shared("defer_service_name", "defer").min(1);
        /// The service that records what `sendmail -v` and NOTIFY=SUCCESS ask for.
        trace_service_name: String = shared("trace_service_name", "trace").min(1);
        /// The service that keeps the results of address probes.
        address_verify_service_name: String = shared("address_verify_service_name", "verify").min(1);
        /// Keeps the results of probes that say no.
        address_verify_negative_cache: bool = shared("address_verify_negative_cache", "yes");
        /// The service that knows which messages wait for which domain.
        flush_service_name: String = shared("flush_service_name", "flush").min(1);
        /// The domains whose waiting messages are known to it.
        fast_flush_domains: Derived<String> = shared("fast_flush_domains", "$relay_domains");
        /// The service that takes new messages, here notices to the postmaster.
        cleanup_service_name: String = shared("cleanup_service_name", "cleanup").min(1);
        /// The service that opens `proxy:` tables; which of them, its `proxy_read_maps` says. A program without Postfix's
        /// processes around it opens them itself.
        proxymap_service_name: String = shared("proxymap_service_name", "proxymap").min(1);
        /// The file that log lines go to, by way of `postlog_service_name`. Empty: to syslog.
        maillog_file: String = shared("maillog_file", "");
        /// The service that writes `maillog_file`.
        postlog_service_name: String = shared("postlog_service_name", "postlog").min(1);
        /// The facility of log lines in syslog.
        syslog_facility: String = shared("syslog_facility", "mail").min(1);
        /// The begin of the names of programs in log lines.
        syslog_name: Derived<String> =
            shared("syslog_name", "${multi_instance_name?{$multi_instance_name}:{postfix}}")
                .min(1);
        /// The folders of the queue that have subfolders, named by the first characters of a queue id.
        hash_queue_names: Vec<String> = shared("hash_queue_names", "deferred, defer");
        /// The number of levels of such subfolders.
        hash_queue_depth: u32 = shared("hash_queue_depth", "1").min(1).max(16);
    }
    rows {
    }
}
