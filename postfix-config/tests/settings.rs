//! The two ways to settings: a main.cf and the builder give the same for the same meaning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use postfix_config::{MainCf, Protocol, compile};
use smtp_policy::{
    dns::ResolverConfig,
    route::{AddressPreference, DnsSupport, HostLookup},
    settings::{BestMx, PixWords, ProbeTarget, Settings, SettingsBuilder},
    tls::{CipherGrade, Fingerprints, MatchName, ServerName, TlsLevel},
};
use smtp_proto::session::{DeadlineRule, HelloChoice};

/// Settings of main.cf with which its defaults are those of the builder: names, and opportunistic TLS.
const BASE: &str = "compatibility_level = 3.6\nmyhostname = a.example\nappend_at_myorigin = no\n\
                    append_dot_mydomain = no\nsmtp_tls_security_level = may\nlmtp_tls_security_level = may\n\
                    smtp_requiretls_policy = enforce\nlmtp_requiretls_policy = enforce\n";

fn by_text(text: &str, protocol: Protocol) -> String {
    let text = format!("{BASE}{text}");
    // A setting that is made twice is worth a warning.
    let mut main_cf = MainCf::parse("", "main.cf", "/nowhere".as_ref()).unwrap();
    for line in text.lines() {
        main_cf.set(line).unwrap();
    }
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
    format!("{:#?}", policy.settings(protocol))
}

fn by_code(protocol: Protocol, edit: impl FnOnce(&mut SettingsBuilder)) -> String {
    let settings = match protocol {
        Protocol::Smtp => Settings::smtp(),
        Protocol::Lmtp => Settings::lmtp(),
    };
    let mut settings = settings.host("a.example".parse().unwrap());
    edit(&mut settings);
    format!("{:#?}", settings.build().unwrap())
}

/// Lines that differ, for whoever has to find out why.
fn assert_same(text: &str, code: &str, about: &str) {
    let lines = text.lines().zip(code.lines());
    let differ: Vec<_> = lines.filter(|(text, code)| text != code).take(5).collect();
    assert!(
        differ.is_empty() && text.len() == code.len(),
        "{about}: {differ:#?}"
    );
}

#[test]
fn defaults_are_the_same_both_ways() {
    for protocol in Protocol::ALL {
        assert_same(
            &by_text("", protocol),
            &by_code(protocol, |_| {}),
            protocol.as_str(),
        );
    }
}

#[test]
fn the_same_meaning_gives_the_same_settings() {
    type Edit = fn(&mut SettingsBuilder);
    let rows: &[(&str, Edit)] = &[
        ("smtp_helo_name = b.example", |s| {
            s.hello.name = "b.example".parse().unwrap();
        }),
        ("smtp_always_send_ehlo = no", |s| {
            s.hello.choice = HelloChoice::AsGreeted;
        }),
        ("smtp_pix_workarounds = delay_dotcrlf", |s| {
            s.hello.pix.words = PixWords::parse("delay_dotcrlf");
        }),
        (
            "smtp_dns_support_level = dnssec\nsmtp_address_preference = ipv4",
            |s| {
                s.lookup.dns = DnsSupport::Dnssec;
                s.lookup.preference = AddressPreference::Ipv4;
            },
        ),
        ("disable_dns_lookups = yes", |s| {
            s.lookup.dns = DnsSupport::Disabled;
            s.lookup.host_lookup = HostLookup {
                dns: false,
                native: true,
            };
        }),
        (
            "smtp_bind_address = [192.0.2.1]\nsmtp_bind_address6 = 2001:db8::1",
            |s| {
                s.connect.source4 = Some("192.0.2.1".parse().unwrap());
                s.connect.source6 = Some("2001:db8::1".parse().unwrap());
            },
        ),
        (
            "relayhost = [r.example]:26\nbest_mx_transport = smtp:b.example",
            |s| {
                s.connect.relayhost = Some("[r.example]:26".parse().unwrap());
                s.connect.best_mx = Some(BestMx {
                    transport: "smtp".into(),
                    nexthop: Some("b.example".parse().unwrap()),
                });
            },
        ),
        (
            "smtp_helo_timeout = 1m\nsmtp_per_request_deadline = yes",
            |s| {
                s.timeouts.session.helo = Duration::from_secs(60);
                s.timeouts.deadline = DeadlineRule::PerRequest { min_data_rate: 500 };
            },
        ),
        (
            "soft_bounce = yes\nnotify_classes = data\nsmtp_address_verify_target = data",
            |s| {
                s.verdict.soft_bounce = true;
                s.verdict.notify.data = true;
                s.verdict.probe_target = ProbeTarget::Data;
            },
        ),
        (
            "smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = AA:BB",
            |s| {
                s.tls.level = TlsLevel::Fingerprint;
                s.tls.fingerprints = Fingerprints::read(["aabb"]);
            },
        ),
        (
            "smtp_tls_mandatory_protocols = >=TLSv1.3\nsmtp_tls_ciphers = HIGH\nsmtp_tls_exclude_ciphers = aRSA",
            |s| {
                s.tls.mandatory.protocols = ">=TLSv1.3".parse().unwrap();
                s.tls.opportunistic.ciphers = CipherGrade::High;
                s.tls.opportunistic.exclude = "aRSA".parse().unwrap();
            },
        ),
        (
            "smtp_tls_secure_cert_match = Hostname:.b.example\nsmtp_tls_servername = hostname",
            |s| {
                s.tls.secure_match =
                    vec![MatchName::Hostname, MatchName::Below("b.example".into())];
                s.tls.server_name = ServerName::Hostname;
            },
        ),
        (
            "smtp_mx_address_limit = 0\nsmtp_destination_concurrency_limit = 3",
            |s| {
                s.limits.addresses = 0;
                s.limits.concurrency = 3;
            },
        ),
        (
            "smtp_connection_cache_time_limit = 9s\nconnection_cache_ttl_limit = 5s",
            |s| {
                s.reuse.idle = Duration::from_secs(5);
            },
        ),
    ];
    for (text, edit) in rows {
        assert_same(
            &by_text(text, Protocol::Smtp),
            &by_code(Protocol::Smtp, edit),
            text,
        );
    }
}

#[cfg(feature = "sasl")]
#[test]
fn security_options_of_main_cf_are_those_of_the_builder() {
    use smtp_policy::settings::SecurityOptions;

    let text = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:a:b\n\
                smtp_sasl_security_options = noplaintext, mutual_auth\n\
                smtp_sasl_tls_security_options = noanonymous";
    let main_cf = MainCf::parse(text, "main.cf", "/nowhere".as_ref()).unwrap();
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
    let login = policy.settings(Protocol::Smtp).login.clone().unwrap();
    let demanded = SecurityOptions::NOPLAINTEXT.and(SecurityOptions::MUTUAL_AUTH);
    assert_eq!(login.plaintext, demanded);
    assert_eq!(login.tls, SecurityOptions::NOANONYMOUS);
    assert_eq!(login.verified_tls, SecurityOptions::NOANONYMOUS);
}

#[test]
fn all_mistakes_of_a_file_are_named_at_once_with_their_lines() {
    let text = "smtp_generic_maps = nosuch:x\nsmtp_fallback_relay = [a.example, ok.example\n\
                smtp_body_checks = hash:/nonexistent/x\nsmtp_dns_reply_filter = external:y\n";
    let main_cf = MainCf::parse(text, "main.cf", "/nowhere".as_ref()).unwrap();
    let error = compile(&main_cf, ResolverConfig::default(), &[]).unwrap_err();
    let mut lines: Vec<String> = error.errors().iter().map(ToString::to_string).collect();
    lines.sort();
    let starts = [
        "main.cf: line 1: smtp_generic_maps: nosuch:x: unsupported table type",
        "main.cf: line 2: smtp_fallback_relay: missing \"]\" in server description",
        "main.cf: line 3: smtp_body_checks: hash:/nonexistent/x: open /nonexistent/x",
        "main.cf: line 4: smtp_dns_reply_filter: external:y: an external table",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{lines:#?}");
    }
}
