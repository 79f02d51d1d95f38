//! From replies to verdicts, and what is told about them.

use crate::config::choice::{AddressFormat, ProbeTarget};
use crate::config::parameter::{params, shared, twins};

params! {
    "verdict";
    /// Reply rewriting, soft bounces, address probes, notices and log details.
    pub struct VerdictParams {
        /// Every single line received from the server (also lines of a multi-line reply, also the
        /// greeting) is looked up without its CR LF; a hit replaces the line before any parsing. Only
        /// one table. Lookup error aborts the session as a local data error (4.3.0).
        reply_filter: String = twins("smtp_reply_filter", "lmtp_reply_filter", "").tables();
        /// Whether every 5xx verdict becomes a temporary one, so that nothing is ever returned to the
        /// sender while a setup is tried out.
        soft_bounce: bool = shared("soft_bounce", "no");
        /// Last-minute rewrite of enhanced status and text of each final recipient result (sent,
        /// deferred, bounced). The class may change between 4 and 5 but not between 2 and 4/5;
        /// invalid results are logged and ignored. Used once per final result, not for skipped
        /// servers.
        delivery_status_filter: String =
            twins("smtp_delivery_status_filter", "lmtp_delivery_status_filter", "$default_delivery_status_filter")
            .tables()
            .not_yet("delivery status filter");
        /// Default value of smtp_/`lmtp_delivery_status_filter` (and of the other delivery agents).
        default_delivery_status_filter: String = shared("default_delivery_status_filter", "")
            .tables()
            .not_yet("delivery status filter");
        /// LMTP only: whether the server is the final destination, so that success is reported as
        /// delivered rather than relayed if the server does not support DSN.
        assume_final: bool = shared("lmtp_assume_final", "no");
        /// Stage at which an address probe (trace-only request) stops: after the RCPT replies (then
        /// RSET and QUIT) or after the DATA reply (then abrupt close). Other value is fatal.
        address_verify_target: ProbeTarget =
            twins("smtp_address_verify_target", "lmtp_address_verify_target", "rcpt");
        /// The client sends a transcript at session end if protocol or data is listed and such an
        /// error occurred in the session, and the message sender is neither empty nor the
        /// double-bounce address. The default therefore sends none.
        notify_classes: Vec<String> = shared("notify_classes", "resource, software")
            .words(&["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"])
            .not_yet("notices to the postmaster");
        /// Recipient of session transcripts after protocol or data errors.
        error_notice_recipient: String = shared("error_notice_recipient", "postmaster")
            .min(1)
            .not_yet("notices to the postmaster");
        /// If the nexthop matches, verbose for the whole request; else a session is verbose if its
        /// server name or address matches.
        debug_peer_list: String = shared("debug_peer_list", "")
            .not_yet("verbose logging for chosen peers");
        /// Verbosity increment for matching peers. Zero or negative is fatal at start even if
        /// `debug_peer_list` is empty.
        debug_peer_level: u32 = shared("debug_peer_level", "2")
            .min(1)
            .not_yet("verbose logging for chosen peers");
        /// Maximum number of digits after the decimal point in delay= and delays=.
        delay_logging_resolution_limit: u32 = shared("delay_logging_resolution_limit", "2").max(6);
        /// Form of addresses in to=/orig_to=/from= log attributes: external quotes special local
        /// parts as in headers, internal logs the stored form. Invalid value is fatal at first use.
        info_log_address_format: AddressFormat = shared("info_log_address_format", "external");
    }
    rows {
    }
}
