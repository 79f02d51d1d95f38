//! Facts for SMTP TLS reporting (RFC 8460).

use std::{fs, sync::Arc};

use rcgen::date_time_ymd;
use smtp_policy::{
    dns::{QueryKind, RecordData},
    request::TlsWish,
    sts::{FetchError, Fetched, MtaSts},
};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, pem, self_signed, sha256},
    server::Offer,
    world::{Entry, World, bare_policy},
};

const MX: &str = "mx1.example.net";

fn file(mode: &str, mx: &str) -> Result<Fetched, FetchError> {
    Ok(Fetched {
        status: 200,
        content_type: "text/plain".into(),
        body: format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n").into(),
        age: std::time::Duration::ZERO,
    })
}

/// What is noted, as `policy domain host result`.
fn results(dir: &TempDir, mut world: World, level: &str, on: bool) -> Vec<String> {
    let main_cf = format!("smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = {level}\n");
    let mut policy = bare_policy(dir.path(), &main_cf).with_mta_sts(MtaSts::default());
    if on {
        policy = policy.with_tls_results();
    }
    world.deliver_by(Arc::new(policy));
    let line = |result: &smtp_policy::report::TlsResult| {
        let what = result.failure.map_or("success", |failure| failure.as_str());
        let (policy, host) = (result.policy.as_str(), &result.mx_host);
        format!("{policy} {} {host} {what}", result.domain)
    };
    world.results.iter().map(line).collect()
}

#[test]
fn each_session_and_each_policy_that_fails_is_noted() {
    let ca = Authority::new("ca");
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    let good = ca.issue(&[MX]);
    let tls = || Offer::StartTls(good.server());
    let with_sts = |offer, web: Result<Fetched, FetchError>| {
        let text = RecordData::Txt(b"v=STSv1; id=1".to_vec());
        let address = RecordData::A("198.51.100.1".parse().unwrap());
        let mut world = World::new(offer)
            .with(
                QueryKind::Txt,
                "_mta-sts.example.com",
                Entry::Plain(vec![text]),
            )
            .with(
                QueryKind::A,
                "mta-sts.example.com",
                Entry::Plain(vec![address]),
            );
        world.web = web;
        world
    };
    let with_tlsa = |matching, digest: &[u8]| {
        let data = sha256(digest);
        let record = RecordData::Tlsa {
            usage: 3,
            selector: 0,
            matching,
            data,
        };
        let name = "_25._tcp.mx1.example.net";
        World::new(tls()).with(QueryKind::Tlsa, name, Entry::Signed(vec![record]))
    };
    let wrong_name = ca.issue(&["x.example"]);
    let expired = ca.issue_with(&[MX], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let own = self_signed(&[MX]);
    let enforce = || file("enforce", MX);
    let table: Vec<(&str, World, &[&str])> = vec![
        ("may", World::new(tls()), &["no-policy-found success"]),
        (
            "may",
            World::new(Offer::Nothing),
            &["no-policy-found starttls-not-supported"],
        ),
        (
            "encrypt",
            World::new(Offer::Refuse("454 4.7.0 later")),
            &["no-policy-found starttls-not-supported"],
        ),
        (
            "may",
            World::new(Offer::Garbage),
            &["no-policy-found validation-failure"],
        ),
        ("none", World::new(Offer::Nothing), &[]),
        ("may", with_sts(tls(), enforce()), &["sts success"]),
        (
            "may",
            with_sts(Offer::Nothing, enforce()),
            &["sts starttls-not-supported"],
        ),
        (
            "may",
            with_sts(Offer::StartTls(wrong_name.server()), enforce()),
            &["sts certificate-host-mismatch"],
        ),
        (
            "may",
            with_sts(Offer::StartTls(expired.server()), enforce()),
            &["sts certificate-expired"],
        ),
        (
            "may",
            with_sts(Offer::StartTls(own.server()), enforce()),
            &["sts certificate-not-trusted"],
        ),
        (
            "may",
            with_sts(Offer::StartTls(own.server()), file("testing", MX)),
            &["sts certificate-not-trusted"],
        ),
        (
            "may",
            with_sts(tls(), file("enforce", "x.example")),
            &["sts validation-failure"],
        ),
        (
            "may",
            with_sts(tls(), file("testing", "x.example")),
            &["sts validation-failure"],
        ),
        (
            "may",
            with_sts(tls(), Err(FetchError::TimedOut)),
            &["sts sts-policy-fetch-error", "no-policy-found success"],
        ),
        (
            "may",
            with_sts(tls(), Err(FetchError::Certificate("x".into()))),
            &["sts sts-webpki-invalid", "no-policy-found success"],
        ),
        (
            "may",
            with_sts(tls(), file("force", MX)),
            &["sts sts-policy-invalid", "no-policy-found success"],
        ),
        ("dane", with_tlsa(1, good.certificate()), &["tlsa success"]),
        (
            "dane",
            with_tlsa(1, b"another"),
            &["tlsa validation-failure"],
        ),
        (
            "dane",
            with_tlsa(9, b"another"),
            &["tlsa tlsa-invalid", "no-policy-found success"],
        ),
        ("dane-only", World::new(tls()), &["tlsa dane-required"]),
        (
            "dane",
            World::new(tls()).with(QueryKind::Tlsa, "_25._tcp.mx1.example.net", Entry::Servfail),
            &["tlsa dnssec-invalid"],
        ),
    ];
    for (level, world, expected) in table {
        let found = results(&dir, world, level, true);
        let expected: Vec<String> = expected
            .iter()
            .map(|line| line.replacen(' ', " example.com mx1.example.net ", 1))
            .collect();
        assert_eq!(found, expected, "{level}");
    }
    assert_eq!(results(&dir, World::new(tls()), "may", false), [""; 0]);
    for mut world in [
        World::new(tls()),
        with_sts(tls(), Err(FetchError::TimedOut)),
    ] {
        world.wish = TlsWish::Waived;
        assert_eq!(results(&dir, world, "may", true), [""; 0]);
    }
}
