//! The beginning and the end of a session: greeting, EHLO, extensions, QUIT.

use std::time::Duration;

use crate::parameter::{apart, params, smtp_only, twins};
use crate::{Derived, Grammar};

params! {
    "helo";
    /// How a server is greeted, which of its extensions are used, and workarounds for broken
    /// servers.
    pub struct HeloParams {
        /// The name to send with EHLO, HELO or LHLO.
        helo_name: Derived<String> = twins("smtp_helo_name", "lmtp_lhlo_name", "$myhostname")
            .min(1)
            .grammar(Grammar::Name);
        /// SMTP only: yes, begin with EHLO whatever the greeting says; no, only if one of its words
        /// is ESMTP, and else with HELO.
        always_send_ehlo: bool = smtp_only("smtp_always_send_ehlo", "yes", "yes");
        /// SMTP only: begin with HELO, hence use no extension. Wins over `smtp_always_send_ehlo`;
        /// after STARTTLS it is EHLO all the same.
        never_send_ehlo: bool = smtp_only("smtp_never_send_ehlo", "no", "no");
        /// Words of the EHLO reply that count as not offered, in any case. `silent-discard` keeps
        /// this out of the log; unknown words are skipped.
        discard_ehlo_keywords: String =
            twins("smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords", "");
        /// Tables from a server's address to the words that count as not offered by it; replaces
        /// `smtp_discard_ehlo_keywords` for that server. If a table fails, the session fails with
        /// 4.3.0.
        discard_ehlo_keyword_address_maps: String = twins(
            "smtp_discard_ehlo_keyword_address_maps",
            "lmtp_discard_lhlo_keyword_address_maps",
            "",
        )
        .tables();
        /// What to do about servers behind a PIX firewall, known by a greeting of nothing but `2`,
        /// `0`, `*` and blanks: `disable_esmtp` begins with HELO, `delay_dotcrlf` waits before the
        /// final dot. Unknown words are skipped.
        pix_workarounds: String =
            twins("smtp_pix_workarounds", "lmtp_pix_workarounds", "disable_esmtp,delay_dotcrlf");
        /// Tables from a server's address to the workarounds to use with it instead of
        /// `smtp_pix_workarounds`. A table that fails counts as not having the address.
        pix_workaround_maps: String =
            twins("smtp_pix_workaround_maps", "lmtp_pix_workaround_maps", "")
                .tables();
        /// With `delay_dotcrlf`, how long to wait before the final dot once everything before it is
        /// sent.
        pix_workaround_delay_time: Duration =
            twins("smtp_pix_workaround_delay_time", "lmtp_pix_workaround_delay_time", "10s")
                .min(1);
        /// With `delay_dotcrlf`, how old a message must be before the wait is used: the first
        /// attempt should not suffer from it. 0: always.
        pix_workaround_threshold_time: Duration =
            twins("smtp_pix_workaround_threshold_time", "lmtp_pix_workaround_threshold_time", "500s");
        /// Whether a 5xx greeting only means that this server is to be skipped, so that the next
        /// one is tried and the mail finally deferred. no: all recipients are returned at once.
        skip_5xx_greeting: bool = twins("smtp_skip_5xx_greeting", "lmtp_skip_5xx_greeting", "yes");
        /// Whether the connection is closed without waiting for the reply to QUIT. That reply never
        /// changes a verdict.
        skip_quit_response: bool =
            apart("smtp_skip_quit_response", "yes", "lmtp_skip_quit_response", "no");
        /// Whether to pass on what is known of the original client with XFORWARD, if the server
        /// offers it. A rejection changes nothing.
        send_xforward_command: bool =
            twins("smtp_send_xforward_command", "lmtp_send_xforward_command", "no");
    }
    rows {
        /// Whether a 4xx greeting led to the next server, in old versions of Postfix.
        Bool = smtp_only("smtp_skip_4xx_greeting", "yes", "yes")
            .removed("a 4xx greeting always leads to the next server, since Postfix 2.1");
    }
}
