//! What a session is told before it begins: protocol, names, limits,
//! workarounds. Values only, decided by the layer above.

use alloc::{string::String, sync::Arc};
use core::{fmt, time::Duration};

use crate::{
    command::HelloName,
    reply::{KeywordSet, LineFilter, ReplyLimits, ReplyText},
};

/// Which protocol a session speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// SMTP (RFC 5321): EHLO or HELO, one reply after the text.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO, one reply per accepted recipient after the text.
    Lmtp,
}

/// Which of EHLO and HELO an SMTP session says first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HelloChoice {
    /// EHLO always (`smtp_always_send_ehlo = yes`).
    #[default]
    Ehlo,
    /// EHLO if the greeting has the word ESMTP, else HELO
    /// (`smtp_always_send_ehlo = no`).
    AsGreeted,
    /// HELO always (`smtp_never_send_ehlo = yes`).
    Helo,
}

/// What is done about a Cisco PIX firewall's SMTP fixup, when the greeting looks
/// like one (`smtp_pix_workarounds`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixWorkarounds {
    /// Say HELO instead of EHLO.
    pub disable_esmtp: bool,
    /// Flush the text and pause this long before the final dot; `None` does not.
    pub delay_dotcrlf: Option<Duration>,
}

impl PixWorkarounds {
    /// Whether there is nothing to do.
    pub const fn is_empty(self) -> bool {
        !self.disable_esmtp && self.delay_dotcrlf.is_none()
    }
}

/// The words of `smtp_pix_workarounds`, with a blank between.
impl fmt::Display for PixWorkarounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.disable_esmtp, self.delay_dotcrlf.is_some()) {
            (true, true) => "disable_esmtp delay_dotcrlf",
            (true, false) => "disable_esmtp",
            (false, true) => "delay_dotcrlf",
            (false, false) => "",
        };
        f.write_str(words)
    }
}

/// The time limits of the stages, named as the parameters are without their
/// prefix and `_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Greeting, EHLO, HELO, LHLO and AUTH.
    pub helo: Duration,
    /// STARTTLS and the handshake.
    pub starttls: Duration,
    /// Each XFORWARD.
    pub xforward: Duration,
    /// MAIL FROM.
    pub mail: Duration,
    /// Each RCPT TO.
    pub rcpt: Duration,
    /// DATA.
    pub data_init: Duration,
    /// The message text.
    pub data_xfer: Duration,
    /// Each reply to the end of the text.
    pub data_done: Duration,
    /// RSET.
    pub rset: Duration,
    /// QUIT.
    pub quit: Duration,
}

impl Default for Timeouts {
    /// Postfix's defaults, which are within RFC 5321 section 4.5.3.2 but for the
    /// text (180 s there and here).
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            helo: minutes(5),
            starttls: minutes(5),
            xforward: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data_init: minutes(2),
            data_xfer: minutes(3),
            data_done: minutes(10),
            rset: Duration::from_secs(20),
            quit: minutes(5),
        }
    }
}

/// What a time limit limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlineRule {
    /// Each read or write anew: a server that sends a byte in time is never late.
    #[default]
    PerOperation,
    /// The stage as a whole (`smtp_per_request_deadline`). While text is sent,
    /// every `min_data_rate` bytes written give a second back, up to the limit.
    PerRequest {
        /// `smtp_min_data_rate` in bytes per second; zero counts as one.
        min_data_rate: u32,
    },
}

/// Everything that a [`Session`](super::Session) is told before it begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// The name given in EHLO, HELO or LHLO (`smtp_helo_name`, `lmtp_lhlo_name`).
    pub hello_name: HelloName,
    /// EHLO or HELO first. Without effect in LMTP.
    pub hello: HelloChoice,
    /// The name of this machine, for which the greeting is searched: a server
    /// that greets with it is a sign of a mail loop. Empty: no search.
    pub own_name: String,
    /// What to do if the greeting is that of a PIX.
    pub pix: PixWorkarounds,
    /// EHLO keywords that count as not offered.
    pub discard: KeywordSet,
    /// Whether a server is refused that replies to MAIL FROM inside TLS before it was
    /// asked (`smtp_tls_block_early_mail_reply`): somebody may have slipped in a
    /// command of their own.
    pub block_early_mail_reply: bool,
    /// Whether to close after QUIT without reading its reply
    /// (`smtp_skip_quit_response`).
    pub skip_quit_response: bool,
    /// The most bytes of text in a line, without the line end and without a
    /// stuffed dot; zero is no limit (`smtp_line_length_limit`).
    pub line_length_limit: usize,
    /// The time limits.
    pub timeouts: Timeouts,
    /// What the time limits limit.
    pub deadline: DeadlineRule,
    /// Limits on replies.
    pub reply_limits: ReplyLimits,
    /// Which bytes of replies are text.
    pub reply_text: ReplyText,
    /// Replaces reply lines before they are understood (`smtp_reply_filter`).
    pub reply_filter: Option<Arc<dyn LineFilter>>,
    /// Whether the dialogue is written down for
    /// [`Session::take_journal`](super::Session::take_journal).
    pub journal: bool,
}

impl Profile {
    /// A profile with Postfix's defaults for the protocol.
    pub fn new(dialect: Dialect, hello_name: HelloName) -> Self {
        Self {
            dialect,
            hello_name,
            hello: HelloChoice::default(),
            own_name: String::new(),
            pix: PixWorkarounds::default(),
            discard: KeywordSet::default(),
            block_early_mail_reply: false,
            skip_quit_response: dialect == Dialect::Smtp,
            line_length_limit: 998,
            timeouts: Timeouts::default(),
            deadline: DeadlineRule::default(),
            reply_limits: ReplyLimits::default(),
            reply_text: ReplyText::default(),
            reply_filter: None,
            journal: false,
        }
    }
}
