//! From replies to verdicts, and what is told about them.

use crate::parameter::{params, shared, twins};
use crate::{Derived, Grammar};
use smtp_policy::settings::{AddressFormat, ProbeTarget};

params! {
    "verdict";
    /// Reply rewriting, soft bounces, address probes, notices and log details.
    pub struct VerdictParams {
        /// One table that sees every line from the server, without its line end, and may replace it
        /// before it is parsed. If it fails, the session fails with 4.3.0.
        reply_filter: String = twins("smtp_reply_filter", "lmtp_reply_filter", "").tables();
        /// Whether every 5xx verdict becomes a temporary one, so that nothing is ever returned to
        /// the sender while a setup is tried out.
        soft_bounce: bool = shared("soft_bounce", "no");
        /// Tables that see each final verdict as `d.d.d text` and may replace it; 4 may become 5
        /// and the other way, but success stays success.
        delivery_status_filter: Derived<String> = twins(
            "smtp_delivery_status_filter",
            "lmtp_delivery_status_filter",
            "$default_delivery_status_filter",
        )
        .tables();
        /// The default of `smtp_delivery_status_filter` and its LMTP twin.
        default_delivery_status_filter: String = shared("default_delivery_status_filter", "")
            .tables();
        /// LMTP only: whether the server is the final destination, so that success is reported as
        /// delivered rather than relayed if the server does not support DSN.
        assume_final: bool = shared("lmtp_assume_final", "no");
        /// Where an address probe stops: after the replies to RCPT TO, or after the reply to DATA.
        address_verify_target: ProbeTarget =
            twins("smtp_address_verify_target", "lmtp_address_verify_target", "rcpt");
        /// The kinds of problems about which a transcript of the session goes to the postmaster; of
        /// these the client knows `data` and `protocol`.
        notify_classes: Vec<String> = shared("notify_classes", "resource, software")
            .words(&[
                "bounce", "2bounce", "data", "delay", "policy", "protocol", "resource",
                "software",
            ]);
        /// Who gets transcripts of sessions that went wrong.
        error_notice_recipient: String = shared("error_notice_recipient", "postmaster")
            .min(1)
            .grammar(Grammar::Line);
        /// Names, addresses and networks whose sessions are logged verbosely.
        debug_peer_list: String = shared("debug_peer_list", "");
        /// How much more is logged for the peers of `debug_peer_list`. Any level logs the dialogue,
        /// and no level logs passwords.
        debug_peer_level: u32 = shared("debug_peer_level", "2")
            .min(1);
        /// How many digits behind the point the delays in log lines have at most.
        delay_logging_resolution_limit: u32 = shared("delay_logging_resolution_limit", "2").max(6);
        /// How addresses look in log lines: `external` quotes them where headers would, `internal`
        /// shows them as stored.
        info_log_address_format: AddressFormat = shared("info_log_address_format", "external");
    }
    rows {
        /// The form of the From field in messages that Postfix makes.
        Text = shared("header_from_format", "standard")
            .refused("notices to the postmaster have the standard form");
    }
}
