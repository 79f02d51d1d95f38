//! Messages that the example signs verify with the record of its key, until they are changed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use async_trait::async_trait;
use futures_util::FutureExt;
use mailrs_dkim::{DkimError, DkimResolver, DkimResult, verify};

#[allow(dead_code, reason = "its main is not called")]
#[path = "../examples/signed.rs"]
mod signed;

fn file(name: &str) -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../outpost-queue/tests/keys");
    std::fs::read_to_string(keys.join(name)).unwrap()
}

struct Record;

#[async_trait]
impl DkimResolver for Record {
    async fn lookup_txt(&self, name: &str) -> Result<Vec<String>, DkimError> {
        assert_eq!(name, "mail._domainkey.example.org");
        Ok(vec![file("rsa.txt")])
    }
}

fn verdict(message: &str) -> Option<DkimResult> {
    verify(&Record, message.as_bytes()).now_or_never()
}

#[test]
fn a_message_is_signed_as_it_goes_out() {
    let text = "From: me@example.org\nTo: ann@example.com\nSubject: hello\n\nHi there.\n";
    let signed = signed::sign(&file("rsa.pem"), "example.org", text).unwrap();
    assert_eq!(verdict(&signed), Some(DkimResult::Pass), "{signed}");
    let changed = signed.replace("Hi there.", "Hi Bob.");
    assert_eq!(verdict(&changed), Some(DkimResult::Fail));
    let second = signed.replace("From: ", "From: b@example.net\r\nFrom: ");
    assert_eq!(verdict(&second), Some(DkimResult::Fail));
    assert!(signed::sign("no key", "example.org", text).is_err());
}
