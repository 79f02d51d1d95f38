//! The message text and the envelope on the wire.

use crate::config::parameter::{params, shared, twins};

params! {
    "content";
    /// Line length, quoting, address rewriting, content checks and conversion.
    pub struct ContentParams {
        /// Upper bound on message text between line ends when sending content. A longer line is cut
        /// after exactly this many bytes; CR LF SPACE is inserted and the space counts as first byte
        /// of the next piece. 0 disables cutting. The dot-stuffing dot is not counted.
        line_length_limit: u32 = twins("smtp_line_length_limit", "lmtp_line_length_limit", "998");
        /// Yes: the local part in MAIL FROM/RCPT TO is put in RFC 5321 quoted-string form when it is
        /// not a dot-string. no: address is sent literally as stored.
        quote_rfc821_envelope: bool =
            twins("smtp_quote_rfc821_envelope", "lmtp_quote_rfc821_envelope", "yes");
        /// Rewrites the envelope sender and recipients in MAIL/RCPT, and addresses in primary headers
        /// that carry sender or recipient addresses. Result is canonicalised by trivial-rewrite; an
        /// @domain result keeps the local part; unmatched extension is propagated if
        /// `propagate_unmatched_extensions` contains generic. ORCPT, status logging and bounce
        /// records keep the original. Lookup error terminates the process (fatal).
        generic_maps: String = twins("smtp_generic_maps", "lmtp_generic_maps", "")
            .tables()
            .not_yet("generic address rewriting");
        /// Checks on primary message headers while sending. Actions: INFO, WARN, REPLACE text,
        /// PREPEND text, IGNORE, STRIP, DUNNO, OK; any other action logs a warning and is skipped.
        /// Key is the whole logical header (continuation lines joined by newline). Lookup error
        /// aborts the delivery attempt with 4.3.0.
        header_checks: String = twins("smtp_header_checks", "lmtp_header_checks", "")
            .tables()
            .not_yet("header and body checks");
        /// Same as `smtp_header_checks` for MIME headers: headers of MIME body parts and also the
        /// MIME-type headers (Content-*, MIME-Version) of the primary and nested headers.
        mime_header_checks: String = twins("smtp_mime_header_checks", "lmtp_mime_header_checks", "")
            .tables()
            .not_yet("header and body checks");
        /// Same for non-MIME headers inside message/rfc822 (and unencoded message/global)
        /// attachments.
        nested_header_checks: String =
            twins("smtp_nested_header_checks", "lmtp_nested_header_checks", "")
            .tables()
            .not_yet("header and body checks");
        /// Applied to each queue-file body record, including attachments, boundaries, the empty
        /// separator line and epilogue. Same action set. No size limit applies in the client.
        body_checks: String = twins("smtp_body_checks", "lmtp_body_checks", "")
            .tables()
            .not_yet("header and body checks");
        /// Yes: never convert 8-bit content to 7-bit when the server lacks 8BITMIME. no: convert
        /// unless the message encoding attribute is 7bit. Conversion also suppresses the SIZE
        /// parameter.
        disable_mime_output_conversion: bool = shared("disable_mime_output_conversion", "no")
            .not_yet("8-bit to 7-bit conversion");
        /// Boundary strings are truncated to this length when the MIME parser (used for 8bit to 7bit
        /// conversion and header/body checks) remembers and compares them.
        mime_boundary_length_limit: u32 = shared("mime_boundary_length_limit", "2048")
            .min(1)
            .not_yet("8-bit to 7-bit conversion");
        /// Maximum multipart nesting the client MIME parser follows. Exceeding it while converting to
        /// 7-bit is a delivery error; when the parser runs only for checks the excess is silently not
        /// parsed.
        mime_nesting_limit: u32 = shared("mime_nesting_limit", "100")
            .min(1)
            .not_yet("8-bit to 7-bit conversion");
    }
    rows {
    }
}
