//! Lines about TLS.

use super::*;

#[test]
fn lines_about_tls_policies() {
    check([
        (
            Event::TlsPolicyWarning { text: "odd".into() },
            Level::Warning,
            "odd",
        ),
        (
            Event::TlsPolicyUnknown {
                what: "lookup error",
                destination: "example.com".into(),
                host: "mx.example".into(),
                why: "client TLS configuration problem".into(),
            },
            Level::Warning,
            "TLS policy lookup error for example.com/mx.example: client TLS configuration problem",
        ),
        (
            Event::WrapperModeUnprotected {
                protocol: Protocol::Smtp,
            },
            Level::Warning,
            "smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\" (or stronger)",
        ),
        (
            Event::OpportunisticTlsOnSocket {},
            Level::Warning,
            "opportunistic TLS encryption is not appropriate for unix-domain destinations.",
        ),
    ]);
}

#[test]
fn lines_about_what_keeps_tls_away() {
    check([
        (
            Event::StarttlsOffered { server: server() },
            Level::Info,
            "Host offered STARTTLS: [mx.example]",
        ),
        (
            Event::PlaintextDiscarded {
                server: server(),
                bytes: 9,
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: discarding 9 bytes of plaintext that follow the STARTTLS \
             reply",
        ),
        (
            Event::TlsUnavailable {
                server: server(),
                why: "no engine".into(),
            },
            Level::Warning,
            "no engine",
        ),
        (
            Event::HandshakeFailed {
                server: server(),
                why: "lost connection".into(),
            },
            Level::Info,
            "SSL_connect error to mx.example[192.0.2.1]:25: lost connection",
        ),
        (
            Event::CertificateProblem {
                server: server(),
                problem: Problem::WrongName,
            },
            Level::Info,
            "server certificate verification failed for mx.example[192.0.2.1]:25: num=62:hostname \
             mismatch",
        ),
    ]);
}

#[test]
fn lines_about_tls_that_is_there() {
    check([
        (
            Event::TlsResumed { server: server() },
            Level::Info,
            "mx.example[192.0.2.1]:25: Reusing old session",
        ),
        (
            Event::TlsEstablished {
                server: server(),
                tls: tls(Trust::Verified),
            },
            Level::Info,
            "Verified TLS connection established to mx.example[192.0.2.1]:25: TLSv1.3 with cipher \
             TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA \
             (prime256v1)",
        ),
        (
            Event::TlsReused {
                server: server(),
                tls: Arc::new(TlsSummary::new("TLSv1.2", "C", 128, Trust::Untrusted)),
            },
            Level::Info,
            "Untrusted TLS connection reused to mx.example[192.0.2.1]:25: TLSv1.2 with cipher C \
             (128/128 bits)",
        ),
        (
            Event::StsTestFailed {
                domain: "example.com".into(),
                server: server(),
            },
            Level::Warning,
            "MTA-STS policy of example.com is in testing mode: the certificate of \
             mx.example[192.0.2.1]:25 does not fulfil it",
        ),
        (
            Event::EarlyMailReply {
                server: server(),
                protocol: Protocol::Smtp,
            },
            Level::Warning,
            "server mx.example[192.0.2.1] violates smtp_tls_block_early_mail_reply policy",
        ),
        (
            Event::TlsReport {
                result: TlsResult {
                    policy: PolicyType::Sts,
                    domain: "example.com".into(),
                    mx_host: "mx.example".into(),
                    failure: Some(ResultType::CertificateExpired),
                },
            },
            Level::Debug,
            "TLS report: sts example.com mx.example: certificate-expired",
        ),
    ]);
}
