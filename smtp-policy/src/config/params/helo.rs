//! The beginning and the end of a session: greeting, EHLO, extensions, QUIT.

use std::time::Duration;

use crate::config::parameter::{apart, params, smtp_only, twins};

params! {
    "helo";
    /// How a server is greeted, which of its extensions are used, and workarounds for broken
    /// servers.
    pub struct HeloParams {
        /// The name to send with EHLO, HELO or LHLO.
        helo_name: String = twins("smtp_helo_name", "lmtp_lhlo_name", "$myhostname").min(1);
        /// SMTP only. yes: first command is EHLO whatever the banner says (unless a PIX workaround
        /// disabled ESMTP). no: EHLO only if a banner word after the code equals ESMTP
        /// (case-insensitive), else HELO.
        always_send_ehlo: bool = smtp_only("smtp_always_send_ehlo", "yes", "yes");
        /// SMTP only. yes: always start with HELO; wins over `smtp_always_send_ehlo`. No extension is
        /// used (no STARTTLS, AUTH, SIZE, PIPELINING). Does not apply to the handshake after a
        /// completed TLS negotiation, which always uses EHLO.
        never_send_ehlo: bool = smtp_only("smtp_never_send_ehlo", "no", "no");
        /// Named capabilities in the server EHLO reply are treated as not offered. silent-discard
        /// only suppresses the log line. Applies again to the EHLO after STARTTLS. Unknown words are
        /// silently ignored.
        discard_ehlo_keywords: String =
            twins("smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords", "");
        /// Per-server list of EHLO keywords to ignore; key is the printable server address. If found
        /// it replaces `smtp_discard_ehlo_keywords` for this handshake (also the handshake after
        /// STARTTLS). Lookup error aborts with 4.3.0 local data error.
        discard_ehlo_keyword_address_maps: String =
            twins("smtp_discard_ehlo_keyword_address_maps", "lmtp_discard_lhlo_keyword_address_maps", "")
            .tables();
        /// Which workarounds to turn on when the greeting looks like a PIX fixup banner (whole reply
        /// consists of the characters 2, 0, *, blank, tab, newline). `disable_esmtp`: use HELO;
        /// delay_dotcrlf: see the two time parameters. Unknown words are ignored, empty disables.
        pix_workarounds: String =
            twins("smtp_pix_workarounds", "lmtp_pix_workarounds", "disable_esmtp,delay_dotcrlf");
        /// Per-server replacement for `smtp_pix_workarounds`, consulted only after a PIX-like banner,
        /// key is the printable address without port or brackets. A lookup error is treated as not
        /// found. Found value replaces the default list (may be empty text only if the table type
        /// allows).
        pix_workaround_maps: String =
            twins("smtp_pix_workaround_maps", "lmtp_pix_workaround_maps", "")
            .tables();
        /// When the delay_dotcrlf workaround is active: flush everything before the final dot, then
        /// sleep this long, then send the dot.
        pix_workaround_delay_time: Duration =
            twins("smtp_pix_workaround_delay_time", "lmtp_pix_workaround_delay_time", "10s")
            .min(1);
        /// Delay_dotcrlf is used only if the message arrived at least this long ago (incoming arrival
        /// time compared with the time of the last stream I/O, i.e. the greeting). 0: also for fresh
        /// mail.
        pix_workaround_threshold_time: Duration =
            twins("smtp_pix_workaround_threshold_time", "lmtp_pix_workaround_threshold_time", "500s");
        /// Yes: a 5xx greeting is treated as a temporary condition by changing the class digit of its
        /// enhanced status to 4 (text unchanged), so the next server is tried and the mail is finally
        /// deferred. no: 5xx greeting bounces all recipients at once without trying other servers.
        skip_5xx_greeting: bool = twins("smtp_skip_5xx_greeting", "lmtp_skip_5xx_greeting", "yes");
        /// Yes: QUIT is sent but its reply is not read. no: read the QUIT reply (bounded by
        /// `smtp_quit_timeout`); failures of that reply never affect delivery status. LMTP default is
        /// no.
        skip_quit_response: bool =
            apart("smtp_skip_quit_response", "yes", "lmtp_skip_quit_response", "no");
        /// If the server announced XFORWARD, send before MAIL FROM up to two XFORWARD commands with
        /// the attributes the server listed and that are known for this message. Rejection is only
        /// logged.
        send_xforward_command: bool =
            twins("smtp_send_xforward_command", "lmtp_send_xforward_command", "no")
            .not_yet("XFORWARD");
    }
    rows {
        /// Historical: treat a 4xx greeting as a reason to try the next server. Since 2.1 this is
        /// unconditional; the name is unknown to 3.x and has no effect.
        Bool = smtp_only("smtp_skip_4xx_greeting", "yes", "yes")
            .removed("a 4xx greeting always leads to the next server, since Postfix 2.1");
    }
}
