//! Tests of the words on TLS in reports: how mail went, and why TLS failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::common::tls as server;

use crate::common::{MESSAGE, Run, folder, run_with_input, write};
use serde_json::{Value, json};
use server::{Tls, certificate, serve};

/// Delivers there at a level, with further settings, and shows the report as text and as
/// JSON.
fn deliver(nexthop: &str, settings: &[&str], exit: i32) -> (Run, Value) {
    let mut args = vec![
        "deliver",
        "--nexthop",
        nexthop,
        "--from",
        "a@x",
        "--to",
        "b@x",
    ];
    settings
        .iter()
        .for_each(|setting| args.extend(["-o", setting]));
    let text = run_with_input(&args, MESSAGE.as_bytes()).exits(exit);
    args.extend(["--report", "json"]);
    let json = run_with_input(&args, MESSAGE.as_bytes()).exits(exit);
    let tls = json.report()["requests"][0]["recipients"][0]["tls"].clone();
    (text, tls)
}

#[test]
fn mail_that_was_sent_says_how_it_went_and_whether_to_the_right_server() {
    let (pem, config) = certificate("mx.example");
    let folder = folder();
    let file = write(&folder, "mx.pem", pem);
    let nexthop = serve(Tls::Start(config));
    let trusted = format!("smtp_tls_CAfile={file}");

    let (text, tls) = deliver(&nexthop, &["smtp_tls_security_level=encrypt"], 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, not verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    let row = "\n  TLS        TLS_AES_256_GCM_SHA384, self-signed certificate\n";
    assert!(text.stdout.contains(row), "{text:#?}");
    let expected = json!({
        "established": true, "error": null, "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384", "bits": 256, "trust": "Untrusted",
        "problem": "self-signed certificate",
    });
    assert_eq!(tls, expected);

    let verify = [
        "smtp_tls_security_level=verify",
        "smtp_tls_verify_cert_match=mx.example",
        &trusted,
    ];
    let (text, tls) = deliver(&nexthop, &verify, 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    assert_eq!(
        (&tls["trust"], &tls["problem"]),
        (&json!("Verified"), &Value::Null)
    );

    let may = ["smtp_tls_security_level=may", trusted.as_str()];
    let (text, tls) = deliver(&nexthop, &may, 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, trusted issuer, not verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    assert_eq!(tls["trust"], "Trusted");
}

#[test]
fn a_failure_of_tls_has_its_reason() {
    let (pem, config) = certificate("mx.example");
    let folder = folder();
    let file = write(&folder, "mx.pem", pem);
    let trusted = format!("smtp_tls_CAfile={file}");
    let nexthop = serve(Tls::Start(config));
    let encrypt = "smtp_tls_security_level=encrypt";
    let verify = "smtp_tls_security_level=verify";
    let wrong = "smtp_tls_verify_cert_match=other.example";
    let names = "hostname mismatch: the certificate is for mx.example";
    let unverified = "Server certificate not verified";
    let table = [
        (
            serve(Tls::Alert),
            vec![encrypt],
            "Cannot start TLS",
            "failed: alert: handshake failure",
        ),
        (
            nexthop.clone(),
            vec![verify],
            unverified,
            "self-signed certificate",
        ),
        (nexthop, vec![verify, wrong, &trusted], unverified, names),
    ];
    for (nexthop, settings, reason, why) in table {
        let (text, tls) = deliver(&nexthop, &settings, 75);
        let words = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("reason {reason}")), "{text:#?}");
        assert!(words.contains(why), "{why}: {text:#?}");
        let told = [&tls["error"], &tls["problem"]].map(|text| text.as_str().unwrap_or_default());
        assert!(why.ends_with(&told.concat()), "{why}: {tls}");
        assert!(!told.concat().is_empty(), "{why}: {tls}");
    }
}

#[test]
fn mail_that_went_in_plaintext_although_tls_was_offered_says_why() {
    let nexthop = serve(Tls::Refuse);
    let (text, tls) = deliver(&nexthop, &["smtp_tls_security_level=may"], 0);
    let why = "STARTTLS was refused: 454 4.7.0 no key at hand";
    let verdict = "<b@x>: sent (2.0.0, plaintext)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    let row = format!("  TLS        not used: {why}\n");
    assert!(text.stdout.contains(&row), "{text:#?}");
    assert_eq!(
        (&tls["established"], &tls["error"]),
        (&json!(false), &json!(why))
    );
}
