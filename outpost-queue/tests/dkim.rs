//! DKIM signatures, judged by the verifier of the library that makes them. The keys are for these tests alone.

#![cfg(feature = "dkim")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;

use async_trait::async_trait;
use futures_util::FutureExt;
use mailrs_dkim::{DkimResolver, DkimResult, verify};
use outpost_queue::{
    model::Timestamp,
    tlsrpt::{DkimError, DkimSigner, Signer},
};

const NOW: Timestamp = Timestamp::from_micros(1_796_083_200_999_999);
const MESSAGE: &str = "Date: Tue, 01 Dec 2026 00:00:00 +0000\r
From: TLS reports <tlsrpt-noreply@mta.example.org>\r
To: a@example.net\r
Subject: Report Domain: example.net\r
 Submitter: mta.example.org\r
Message-ID: <1@mta.example.org>\r
TLS-Report-Domain: example.net\r
TLS-Report-Submitter: mta.example.org\r
TLS-Required: No\r
Auto-Submitted: auto-generated\r
MIME-Version: 1.0\r
Content-Type: multipart/report\r
X-Other: 1\r
\r
A report.\r
";

fn file(name: &str) -> Vec<u8> {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    std::fs::read(keys.join(name)).unwrap()
}

fn signer(key: &str) -> DkimSigner {
    DkimSigner::new("example.org", "tls", &file(key)).unwrap()
}

fn signed(key: &str, message: &str) -> String {
    signer(key).sign(message.as_bytes(), NOW).unwrap() + message
}

/// A world in which one record is known.
struct Record(String);

#[async_trait]
impl DkimResolver for Record {
    async fn lookup_txt(&self, name: &str) -> Result<Vec<String>, mailrs_dkim::DkimError> {
        assert_eq!(name, "tls._domainkey.example.org");
        Ok(vec![self.0.clone()])
    }
}

fn verdict(message: &str, record: &str) -> DkimResult {
    let record = Record(String::from_utf8(file(record)).unwrap());
    let verdict = verify(&record, message.as_bytes()).now_or_never();
    verdict.expect("nothing is waited for")
}

const KEYS: [(&str, &str, &str); 3] = [
    ("rsa.pem", "rsa.txt", "rsa-sha256"),
    ("rsa-pkcs1.pem", "rsa.txt", "rsa-sha256"),
    ("ed25519.pem", "ed25519.txt", "ed25519-sha256"),
];

#[test]
fn what_is_signed_verifies_with_the_record_of_its_key_alone() {
    for (key, record, algorithm) in KEYS {
        let signed = signed(key, MESSAGE);
        assert_eq!(verdict(&signed, record), DkimResult::Pass, "{signed}");
        assert_eq!(signer(key).algorithm(), algorithm);
        assert!(signed.contains(&format!(" a={algorithm};")), "{signed}");
        let other = if record == "rsa.txt" {
            "ed25519.txt"
        } else {
            "rsa.txt"
        };
        assert_ne!(verdict(&signed, other), DkimResult::Pass);
    }
    assert_eq!(
        signer("rsa.pem").record_name(),
        "tls._domainkey.example.org"
    );
}

#[test]
fn a_change_of_the_body_or_of_a_field_is_seen() {
    for (key, record, _) in KEYS {
        let signed = signed(key, MESSAGE);
        let changes = [
            ("A report.", "A report!"),
            ("A report.\r\n", "A report.\r\nMore.\r\n"),
            ("Date: Tue", "Date: Wed"),
            ("TLS reports <", "Somebody <"),
            ("From: TLS", "From: <b@evil.example>\r\nFrom: TLS"),
            ("To: a@", "To: b@"),
            ("Report Domain: example.net", "Report Domain: example.com"),
            ("<1@mta", "<2@mta"),
            (
                "TLS-Report-Domain: example.net",
                "TLS-Report-Domain: example.com",
            ),
            ("TLS-Report-Submitter: mta", "TLS-Report-Submitter: mtb"),
            ("TLS-Required: No", "TLS-Required: Yes"),
            ("auto-generated", "auto-replied"),
            ("MIME-Version: 1.0", "MIME-Version: 1.1"),
            ("multipart/report", "multipart/mixed"),
            ("t=1796083200;", "t=1796083201;"),
        ];
        for (from, to) in changes {
            assert_eq!(signed.matches(from).count(), 1, "{from}");
            let changed = signed.replace(from, to);
            assert_eq!(verdict(&changed, record), DkimResult::Fail, "{key}: {to}");
        }
        // What is not signed may change, and so may white space.
        for (from, to) in [
            ("X-Other: 1", "X-Other: 2"),
            ("Subject: Report ", "subject:  Report\r\n\t"),
            ("A report.", "A \t report. "),
        ] {
            let changed = signed.replace(from, to);
            assert_ne!(changed, signed);
            assert_eq!(verdict(&changed, record), DkimResult::Pass, "{key}: {to}");
        }
    }
}

#[test]
fn the_field_says_what_it_covers_in_lines_that_mail_can_have() {
    for (key, ..) in KEYS {
        let field = signer(key).sign(MESSAGE.as_bytes(), NOW).unwrap();
        assert!(field.ends_with("\r\n") && field.starts_with("DKIM-Signature: v=1; "));
        for line in field.lines() {
            let is_list = line.starts_with(" h=");
            assert!(is_list || line.len() <= 76, "{line}");
        }
        let flat: String = field.split_whitespace().collect();
        let tags: Vec<&str> = flat.split(';').collect();
        let (_, tags) = tags.split_first().unwrap();
        let names: Vec<&str> = tags
            .iter()
            .map(|tag| tag.split('=').next().unwrap())
            .collect();
        assert_eq!(names, ["a", "c", "d", "s", "h", "bh", "t", "b"]);
        let expected = "h=From:From:To:Subject:Date:Message-ID:MIME-Version:Content-Type:TLS-Report-Domain:\
            TLS-Report-Submitter:TLS-Required:Auto-Submitted";
        assert_eq!(tags[1], "c=relaxed/relaxed");
        assert_eq!(tags[4], expected);
    }
    let short = "From: a@example.org\r\nTo: b@example.net\r\n\r\n";
    let field = signer("ed25519.pem").sign(short.as_bytes(), NOW).unwrap();
    assert!(field.contains(" h=From:From:To;"), "{field}");
    for message in [
        "To: b@example.net\r\n\r\nFrom: body\r\n",
        "From: a@example.org\r\n",
    ] {
        assert!(
            signer("rsa.pem").sign(message.as_bytes(), NOW).is_err(),
            "{message}"
        );
    }
}

#[test]
fn keys_that_cannot_sign_are_refused_with_the_reason() {
    let refused = |pem: &[u8]| DkimSigner::new("example.org", "tls", pem).unwrap_err();
    assert_eq!(refused(&file("rsa-1024.pem")), DkimError::Short(1024));
    assert_eq!(refused(&file("ec.pem")), DkimError::Kind);
    assert_eq!(refused(&file("encrypted.pem")), DkimError::Encrypted);
    assert!(matches!(refused(b""), DkimError::NoKey(_)));
    assert!(matches!(refused(&file("rsa.txt")), DkimError::NoKey(_)));
    let rsa = String::from_utf8(file("rsa.pem")).unwrap();
    let cut: Vec<&str> = rsa.lines().collect();
    let cut = [&cut[..10], &cut[cut.len() - 1..]].concat().join("\n");
    assert!(matches!(refused(cut.as_bytes()), DkimError::Damaged(_)));
    let bits = refused(&file("rsa-1024.pem")).to_string();
    assert_eq!(bits, "the RSA key has 1024 bits, and 2048 are the least");
    let shown = format!("{:?}", signer("ed25519.pem"));
    assert_eq!(
        shown,
        "DkimSigner { record: \"tls._domainkey.example.org\", algorithm: \"ed25519-sha256\", .. }"
    );
}

#[test]
fn domains_and_selectors_are_names() {
    let key = file("ed25519.pem");
    let new = |domain: &str, selector: &str| DkimSigner::new(domain, selector, &key).map(drop);
    let long = ["a"; 100].join(".");
    let label = "a".repeat(64);
    for bad in [
        "",
        ".",
        "a..b",
        "a.",
        "-a",
        "a-",
        "a b",
        "a;b",
        "a\r\nb",
        "ä.example",
        &label,
    ] {
        assert_eq!(new(bad, "s"), Err(DkimError::Domain(bad.to_owned())));
        assert_eq!(new("a", bad), Err(DkimError::Selector(bad.to_owned())));
    }
    for good in ["a", "a.b", "2026-11.tls_1", "xn--4ca.example"] {
        assert_eq!((new(good, "s"), new("a", good)), (Ok(()), Ok(())));
    }
    assert_eq!((new(&long, "s"), new("a", &long)), (Ok(()), Ok(())));
    assert_eq!(new(&long, &long), Err(DkimError::TooLong));
}

#[test]
fn a_signature_is_aligned_with_its_domain_and_those_below() {
    let signer = DkimSigner::new("Example.org", "tls", &file("ed25519.pem")).unwrap();
    for domain in [
        "example.org",
        "EXAMPLE.org",
        "mta.example.org",
        "a.b.example.org",
    ] {
        assert!(signer.is_aligned_with(domain), "{domain}");
    }
    for domain in [
        "org",
        "badexample.org",
        "example.org.evil.example",
        "example.net",
        "",
    ] {
        assert!(!signer.is_aligned_with(domain), "{domain}");
    }
}
