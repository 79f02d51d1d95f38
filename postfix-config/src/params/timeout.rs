//! Time limits of the dialogue.

use std::time::Duration;

use crate::Derived;
use crate::parameter::{apart, params, twins};

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
        /// Limit for each read and write of STARTTLS, of the TLS handshake and of its end.
        starttls_timeout: Duration =
            twins("smtp_starttls_timeout", "lmtp_starttls_timeout", "300s")
                .min(1);
        /// Limit for the XFORWARD commands and their replies.
        xforward_timeout: Duration =
            twins("smtp_xforward_timeout", "lmtp_xforward_timeout", "300s")
                .min(1);
        /// Limit for MAIL FROM and its reply.
        mail_timeout: Duration = twins("smtp_mail_timeout", "lmtp_mail_timeout", "300s").min(1);
        /// Limit for each RCPT TO and its reply.
        rcpt_timeout: Duration = twins("smtp_rcpt_timeout", "lmtp_rcpt_timeout", "300s").min(1);
        /// Limit for DATA and its reply.
        data_init_timeout: Duration =
            twins("smtp_data_init_timeout", "lmtp_data_init_timeout", "120s")
                .min(1);
        /// Limit for each write of message text; with `smtp_per_request_deadline`, what the whole
        /// text has to begin with.
        data_xfer_timeout: Duration =
            twins("smtp_data_xfer_timeout", "lmtp_data_xfer_timeout", "180s")
                .min(1);
        /// Limit for the reply to the final dot, for LMTP each of the replies. Too short a limit
        /// makes duplicates.
        data_done_timeout: Duration =
            twins("smtp_data_done_timeout", "lmtp_data_done_timeout", "600s")
                .min(1);
        /// Limit for the reply to RSET: at the end of a transaction that came to nothing, and when
        /// a kept connection is probed before its use.
        rset_timeout: Duration = twins("smtp_rset_timeout", "lmtp_rset_timeout", "20s").min(1);
        /// Limit for QUIT and, if it is waited for, its reply.
        quit_timeout: Duration = twins("smtp_quit_timeout", "lmtp_quit_timeout", "300s").min(1);
        /// Yes: a time limit covers a whole request, from sending a command to the end of its
        /// reply, and the message text may use the time that `smtp_min_data_rate` grants. no: it
        /// covers each read and write.
        per_request_deadline: Derived<bool> = apart(
            "smtp_per_request_deadline",
            "${smtp_per_record_deadline?{$smtp_per_record_deadline}:{no}}",
            "lmtp_per_request_deadline",
            "${lmtp_per_record_deadline?{$lmtp_per_record_deadline}:{no}}",
        );
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
