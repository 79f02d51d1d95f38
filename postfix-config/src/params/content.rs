//! The message text and the envelope on the wire.

use crate::parameter::{params, shared, twins};

params! {
    "content";
    /// Line length, quoting, address rewriting, content checks and conversion.
    pub struct ContentParams {
        /// How many bytes a line of message text may have on the wire. A longer one is cut, and the
        /// next line begins with a blank. 0 means no limit.
        line_length_limit: u32 = twins("smtp_line_length_limit", "lmtp_line_length_limit", "998");
        /// Whether local parts in MAIL FROM and RCPT TO are quoted where RFC 5321 asks for it. no:
        /// addresses are sent as they are, but for a local part with `<`, `>` or a control character.
        quote_rfc821_envelope: bool =
            twins("smtp_quote_rfc821_envelope", "lmtp_quote_rfc821_envelope", "yes");
        /// Tables that replace addresses of this machine by ones that are valid outside, in the
        /// envelope and in headers. An `@domain` result keeps the local part.
        generic_maps: String = twins("smtp_generic_maps", "lmtp_generic_maps", "")
            .tables();
        /// Tables that see each header of the message and may replace, drop, precede or log it.
        header_checks: String = twins("smtp_header_checks", "lmtp_header_checks", "")
            .tables();
        /// The same as `smtp_header_checks` for MIME headers, in the message and in its parts.
        mime_header_checks: String =
            twins("smtp_mime_header_checks", "lmtp_mime_header_checks", "")
                .tables();
        /// The same as `smtp_header_checks` for the headers of attached messages.
        nested_header_checks: String =
            twins("smtp_nested_header_checks", "lmtp_nested_header_checks", "")
                .tables();
        /// The same as `smtp_header_checks` for each line of the body, attachments included.
        body_checks: String = twins("smtp_body_checks", "lmtp_body_checks", "")
            .tables();
        /// Whether 8-bit text is sent as it is to servers without 8BITMIME. no: it is converted to
        /// quoted-printable, unless the message is 7-bit anyway.
        disable_mime_output_conversion: bool = shared("disable_mime_output_conversion", "no");
        /// How many bytes of a MIME boundary are remembered and compared.
        mime_boundary_length_limit: u32 = shared("mime_boundary_length_limit", "2048")
            .min(1);
        /// How deeply multipart structures are followed; deeper ones make the conversion to 7-bit
        /// fail.
        mime_nesting_limit: u32 = shared("mime_nesting_limit", "100")
            .min(1);
        /// From this many bytes on, no more lines are added to a header that is read for conversion,
        /// checks or address rewriting; the rest is left out.
        header_size_limit: u32 = shared("header_size_limit", "102400").min(1);
    }
    rows {
    }
}
