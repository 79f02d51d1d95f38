//! Time limits of the dialogue.

use std::time::Duration;

use crate::config::parameter::{apart, params, twins};

params! {
    "timeout";
    /// How long each stage of a session may take.
    pub struct TimeoutParams {
        /// Limit for setting up a connection; 0 leaves it to the operating system.
        connect_timeout: Duration =
            apart("smtp_connect_timeout", "30s", "lmtp_connect_timeout", "0s");
        /// Limit for each read and write from the greeting to the reply to EHLO, HELO or LHLO; also
        /// after STARTTLS.
        helo_timeout: Duration = twins("smtp_helo_timeout", "lmtp_lhlo_timeout", "300s").min(1);
        /// Limit for each read/write while waiting for the STARTTLS reply, during the TLS handshake
        /// and during TLS shutdown; also the time limit given to the tlsproxy service.
        starttls_timeout: Duration = twins("smtp_starttls_timeout", "lmtp_starttls_timeout", "300s")
            .min(1);
        /// Per-I/O limit for XFORWARD commands and replies.
        xforward_timeout: Duration = twins("smtp_xforward_timeout", "lmtp_xforward_timeout", "300s")
            .min(1);
        /// Limit for the MAIL FROM reply (with pipelining: used while waiting for this reply).
        mail_timeout: Duration = twins("smtp_mail_timeout", "lmtp_mail_timeout", "300s").min(1);
        /// Limit for each RCPT TO reply.
        rcpt_timeout: Duration = twins("smtp_rcpt_timeout", "lmtp_rcpt_timeout", "300s").min(1);
        /// Limit for the DATA command reply.
        data_init_timeout: Duration =
            twins("smtp_data_init_timeout", "lmtp_data_init_timeout", "120s")
            .min(1);
        /// Limit for each write of message content; with `smtp_per_request_deadline` it is the
        /// initial time budget for the whole content.
        data_xfer_timeout: Duration =
            twins("smtp_data_xfer_timeout", "lmtp_data_xfer_timeout", "180s")
            .min(1);
        /// Limit for (each) reply to the final dot.
        data_done_timeout: Duration =
            twins("smtp_data_done_timeout", "lmtp_data_done_timeout", "600s")
            .min(1);
        /// Limit for the RSET reply: both the final RSET after an aborted transaction and the RSET
        /// probe on a cached connection.
        rset_timeout: Duration = twins("smtp_rset_timeout", "lmtp_rset_timeout", "20s").min(1);
        /// Limit for sending QUIT and, if read, its reply. Expiry has no effect on delivery status.
        quit_timeout: Duration = twins("smtp_quit_timeout", "lmtp_quit_timeout", "300s").min(1);
        /// Yes: a time limit covers a whole request, from sending a command to the end of its reply,
        /// and the message text may use the time that `smtp_min_data_rate` grants. no: it covers each
        /// read and write.
        per_request_deadline: bool =
            apart("smtp_per_request_deadline", "${smtp_per_record_deadline?{$smtp_per_record_deadline}:{no}}", "lmtp_per_request_deadline", "${lmtp_per_record_deadline?{$lmtp_per_record_deadline}:{no}}");
        /// With `smtp_per_request_deadline`, each so many bytes of message text that were sent add
        /// one second to the time left.
        min_data_rate: u32 = twins("smtp_min_data_rate", "lmtp_min_data_rate", "500").min(1);
    }
    rows {
        /// The old name of `smtp_per_request_deadline`, and still its default.
        Bool = twins("smtp_per_record_deadline", "lmtp_per_record_deadline", "")
            .mapped("the old name; the default of smtp_per_request_deadline")
            .unlisted();
    }
}
