//! The mail with a report (RFC 8460 section 5.3).

use core::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use smtp_policy::request::Recipient;
use smtp_proto::Address;

use super::{Reporter, day::Day, document::Document};
use crate::{
    model::{Kind, Timestamp},
    operation::{Addressee, Submission, Submitted},
    report::date,
};

/// The length of a line of base64.
const LINE: usize = 76;

/// The subject of a letter.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub(super) reporter: &'a Reporter,
    pub(super) day: Day,
    pub(super) domain: &'a str,
    pub(super) document: &'a Document,
    pub(super) file: &'a [u8],
    pub(super) now: Timestamp,
}

impl Letter<'_> {
    /// The message to an address. It is of the null sender, since nobody reads what comes back, and waives TLS: a
    /// report about TLS that fails has to arrive all the same.
    pub(super) fn submission(&self, to: &Address) -> Result<Submission, String> {
        let text = self.signed(self.text(to))?;
        let envelope = serde_json::json!({
            "sender": "",
            "encoding": "7bit",
            "size": text.len(),
            "waive_tls": true,
        });
        let addressee = Addressee {
            recipient: Recipient::new(to.clone()),
            destination: (self.reporter.route)(to),
        };
        Ok(Submission {
            kind: Kind::Report,
            sender: String::new(),
            envelope: envelope.to_string(),
            recipients: vec![addressee],
            recipient_limit: 0,
            text: Submitted::Text(Bytes::from(text)),
        })
    }

    /// The text with its signature, if there is somebody who signs. It is signed as it goes out, with CR LF.
    fn signed(&self, text: String) -> Result<String, String> {
        let Some(signer) = &self.reporter.signer else {
            return Ok(text);
        };
        let header = signer.sign(text.replace('\n', "\r\n").as_bytes(), self.now)?;
        let header = header.replace("\r\n", "\n");
        let is_field = |header: &str| {
            header.contains(':') && !header.contains("\n\n") && !header.contains('\r')
        };
        match is_field(&header) {
            true => Ok(format!("{}\n{text}", header.trim_end())),
            false => Err("what the signer made is no header field".to_owned()),
        }
    }

    fn text(&self, to: &Address) -> String {
        let Self {
            reporter, domain, ..
        } = self;
        let (submitter, id) = (&reporter.submitter, &self.document.report_id);
        let boundary = format!("=_tlsrpt.{}.{}", self.day, self.now.micros());
        let day = self.day;
        let mut text = String::with_capacity(1500 + self.file.len() * 4 / 3);
        let header = [
            format!("Date: {}", date(self.now)),
            format!("From: {}", reporter.from),
            format!("To: {}", to.quoted_822()),
            format!(
                "Subject: Report Domain: {domain}\n Submitter: {submitter}\n Report-ID: <{id}>"
            ),
            format!("Message-ID: <{id}>"),
            format!("TLS-Report-Domain: {domain}"),
            format!("TLS-Report-Submitter: {submitter}"),
            "TLS-Required: No".to_owned(),
            "Auto-Submitted: auto-generated".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            format!(
                "Content-Type: multipart/report; report-type=\"tlsrpt\";\n boundary=\"{boundary}\""
            ),
            String::new(),
            format!("--{boundary}"),
            "Content-Type: text/plain; charset=us-ascii".to_owned(),
            String::new(),
            format!("This is an aggregate TLS report about {domain} from {submitter},"),
            format!("for {day} (UTC)."),
            String::new(),
            format!("--{boundary}"),
            "Content-Type: application/tlsrpt+gzip".to_owned(),
            "Content-Transfer-Encoding: base64".to_owned(),
            format!(
                "Content-Disposition: attachment;\n filename=\"{}\"",
                self.file_name()
            ),
            String::new(),
        ];
        for line in header {
            text.push_str(&line);
            text.push('\n');
        }
        let encoded = STANDARD.encode(self.file);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        // A String takes everything.
        let _ = writeln!(text, "\n--{boundary}--");
        text
    }

    /// The name of the file (RFC 8460 section 5.1).
    fn file_name(&self) -> String {
        let (start, end) = (self.day.start(), self.day.last());
        let submitter = &self.reporter.submitter;
        format!("{submitter}!{}!{start}!{end}.json.gz", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::tlsrpt::Signer;

    #[derive(Debug)]
    struct Sign(&'static str);

    impl Signer for Sign {
        fn sign(&self, message: &[u8], now: Timestamp) -> Result<String, String> {
            assert_eq!(now.micros(), 1_459_555_200_000_000);
            assert!(message.ends_with(b"--\r\n") && !message.windows(2).any(|two| two == b"\n\n"));
            match self.0 {
                "" => Err("no key".to_owned()),
                header => Ok(header.to_owned()),
            }
        }
    }

    fn written(reporter: &Reporter, file: &[u8]) -> Result<String, String> {
        let day = Day::of(core::time::Duration::from_secs(1_459_468_800));
        let document = Document::new(reporter, day, "example.net", &BTreeMap::new());
        let letter = Letter {
            reporter,
            day,
            domain: "example.net",
            document: &document,
            file,
            now: Timestamp::from_micros(1_459_555_200_000_000),
        };
        let to = Address::parse("a@example.net").unwrap();
        let submission = letter.submission(&to)?;
        assert_eq!(
            (submission.kind, submission.recipients.len()),
            (Kind::Report, 1)
        );
        assert_eq!(submission.sender, "");
        assert!(submission.envelope.contains("\"waive_tls\":true"));
        match submission.text {
            Submitted::Text(text) => Ok(String::from_utf8(text.to_vec()).unwrap()),
            Submitted::Before(..) => Err("no text".to_owned()),
        }
    }

    fn reporter() -> Reporter {
        Reporter::new("mta.example.org", |address| {
            format!("smtp:{}", address.domain().unwrap())
                .parse()
                .unwrap()
        })
    }

    #[test]
    fn a_letter_has_the_fields_and_parts_of_the_standard() {
        let text = written(&reporter(), &[7; 100]).unwrap();
        let expected = "Date: Sat, 02 Apr 2016 00:00:00 +0000
From: TLS reports <tlsrpt-noreply@mta.example.org>
To: a@example.net
Subject: Report Domain: example.net
 Submitter: mta.example.org
 Report-ID: <2016-04-01.example.net@mta.example.org>
Message-ID: <2016-04-01.example.net@mta.example.org>
TLS-Report-Domain: example.net
TLS-Report-Submitter: mta.example.org
TLS-Required: No
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: multipart/report; report-type=\"tlsrpt\";
 boundary=\"=_tlsrpt.2016-04-01.1459555200000000\"

--=_tlsrpt.2016-04-01.1459555200000000
Content-Type: text/plain; charset=us-ascii

This is an aggregate TLS report about example.net from mta.example.org,
for 2016-04-01 (UTC).

--=_tlsrpt.2016-04-01.1459555200000000
Content-Type: application/tlsrpt+gzip
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
 filename=\"mta.example.org!example.net!1459468800!1459555199.json.gz\"

BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==

--=_tlsrpt.2016-04-01.1459555200000000--
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_signature_stands_before_everything_else() {
        let with = |header| Reporter {
            signer: Some(Arc::new(Sign(header))),
            ..reporter()
        };
        let signed = written(&with("DKIM-Signature: v=1;\r\n b=x\r\n"), b"x").unwrap();
        assert!(
            signed.starts_with("DKIM-Signature: v=1;\n b=x\nDate: "),
            "{signed}"
        );
        assert_eq!(written(&with(""), b"x"), Err("no key".to_owned()));
        assert!(written(&with("x"), b"x").is_err());
        assert!(written(&with("a: b\r\n\r\nc"), b"x").is_err());
    }
}
