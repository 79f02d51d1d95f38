//! A notice to the postmaster about a session that went wrong, as data and as
//! mail (`src/smtp/smtp_chat.c`, smtp_chat_notify). It is not sent from here: the
//! engine hands it out with a [`Note`](crate::delivery::Note), and whoever
//! watches the delivery may make mail of it.
//!
//! ```
//! use smtp_policy::{Protocol, report::Notice};
//!
//! let notice = Notice {
//!     protocol: Protocol::Smtp,
//!     mail_name: "Outpost".into(),
//!     sender: "double-bounce@client.example".into(),
//!     from: "MAILER-DAEMON@client.example".into(),
//!     recipient: "postmaster".into(),
//!     relay: "mx.example[192.0.2.1]:25".into(),
//!     transcript: vec!["In:  220 mx.example".into(), "Out: HELO client.example".into()],
//! };
//! let mail = notice.message("Mon, 1 Jan 2024 00:00:00 +0000");
//! assert!(mail.contains("\nSubject: Outpost SMTP client: errors from mx.example[192.0.2.1]:25\n"));
//! assert!(mail.contains("\n In:  220 mx.example\n Out: HELO client.example\n"));
//! ```

use std::fmt::Write;

use super::text::wrap;
use crate::{Protocol, printable::printable};

/// The columns of a line of the transcript, and by how much a line that goes on is
/// indented.
const WIDTH: usize = 78;
const INDENT: usize = 4;

/// What the postmaster is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which client speaks.
    pub protocol: Protocol,
    /// The name of the mail system (`mail_name`).
    pub mail_name: String,
    /// The envelope sender that the notice is to have: mail to it goes nowhere, so
    /// that notices about notices cannot go round.
    pub sender: String,
    /// The address for the header, without angle brackets.
    pub from: String,
    /// Who gets the notice (`error_notice_recipient`), perhaps without a domain.
    pub recipient: String,
    /// The server, as `host[address]:port`.
    pub relay: String,
    /// What was said: lines that begin with `In:` or `Out:`. What belongs to a
    /// login is left out.
    pub transcript: Vec<String>,
}

impl Notice {
    /// The notice as mail, with lines that end in LF. `date` is for the Date header
    /// field (RFC 5322 section 3.3).
    pub fn message(&self, date: &str) -> String {
        let client = match self.protocol {
            Protocol::Smtp => "SMTP",
            Protocol::Lmtp => "LMTP",
        };
        let relay = printable(&self.relay);
        let mut body =
            format!("Unexpected response from {relay}.\n\nTranscript of session follows.\n\n");
        for line in &self.transcript {
            // The blank in front keeps what a server says from looking like ours.
            for piece in wrap(&printable(line), WIDTH, INDENT) {
                let _ = writeln!(body, " {piece}");
            }
        }
        body.push_str("\nFor other details, see the local mail logfile\n");

        let mut message = format!("Date: {}\n", printable(date));
        let _ = writeln!(
            message,
            "From: Mail Delivery System <{}>",
            printable(&self.from)
        );
        let _ = writeln!(message, "To: Postmaster <{}>", printable(&self.recipient));
        let mail_name = printable(&self.mail_name);
        let _ = writeln!(
            message,
            "Subject: {mail_name} {client} client: errors from {relay}"
        );
        if !body.is_ascii() {
            message.push_str(
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
            );
        }
        message.push('\n');
        message.push_str(&body);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(transcript: &[&str]) -> Notice {
        Notice {
            protocol: Protocol::Lmtp,
            mail_name: "Postfix".into(),
            sender: "double-bounce@client.example".into(),
            from: "MAILER-DAEMON@client.example".into(),
            recipient: "postmaster@client.example".into(),
            relay: "mx.example[192.0.2.1]:24".into(),
            transcript: transcript.iter().map(|&line| line.into()).collect(),
        }
    }

    #[test]
    fn the_layout_is_that_of_postfix() {
        let long = format!("In:  500 5.5.1 {}end", "word ".repeat(20));
        let mail = notice(&["Out: LHLO x", "Replaced-by: ", "     500 \u{7}no", &long]);
        let expected = "\
Date: Mon, 1 Jan 2024 00:00:00 +0000
From: Mail Delivery System <MAILER-DAEMON@client.example>
To: Postmaster <postmaster@client.example>
Subject: Postfix LMTP client: errors from mx.example[192.0.2.1]:24

Unexpected response from mx.example[192.0.2.1]:24.

Transcript of session follows.

 Out: LHLO x
 Replaced-by:
      500 ?no
 In:  500 5.5.1 word word word word word word word word word word word word
     word word word word word word word word end

For other details, see the local mail logfile
";
        assert_eq!(mail.message("Mon, 1 Jan 2024 00:00:00 +0000"), expected);
    }

    #[test]
    fn a_server_cannot_write_header_fields() {
        let mut evil = notice(&["In:  250 x\r\n\r\nBcc: me"]);
        evil.relay = "mx\nBcc: me[192.0.2.1]:24".into();
        let mail = evil.message("today\nBcc: me");
        assert!(!mail.contains("\nBcc"), "{mail}");
    }
}
