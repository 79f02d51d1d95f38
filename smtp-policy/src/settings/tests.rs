//! Tests of what the builder refuses, and of the presets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{sync::Arc, time::Duration};

use smtp_proto::Secret;

use super::*;
use crate::{
    Protocol,
    policy::Policy,
    route::{DnsSupport, Families, HostLookup},
    tables::{SecretMaps, Table, TableFailure},
    tls::{CipherGrade, TlsConnector, TlsEngine, TlsLevel, TlsSetup, TlsTrouble},
};

/// A TLS engine that is never asked for.
#[derive(Debug)]
struct NoTls;

impl TlsConnector for NoTls {
    fn engine(&self, _: &TlsSetup) -> Result<Box<dyn TlsEngine>, TlsTrouble> {
        Err(TlsTrouble("none".into()))
    }
}

#[derive(Debug)]
struct Same;

impl Table for Same {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        Ok(Some(key.to_owned()))
    }
}

/// Settings that anything can be demanded of.
fn sound(protocol: Protocol) -> SettingsBuilder {
    let mut settings = match protocol {
        Protocol::Smtp => Settings::smtp(),
        Protocol::Lmtp => Settings::lmtp(),
    };
    settings.tls.engine = Some(Arc::new(NoTls));
    settings
}

fn refused(edit: impl FnOnce(&mut SettingsBuilder)) -> Vec<&'static str> {
    let mut settings = sound(Protocol::Smtp);
    edit(&mut settings);
    match settings.build() {
        Ok(_) => Vec::new(),
        Err(error) => error.mistakes().iter().map(|m| m.setting).collect(),
    }
}

#[test]
fn the_defaults_of_both_protocols_are_sound() {
    for protocol in Protocol::ALL {
        let settings = sound(protocol).build().unwrap();
        assert_eq!(settings.protocol(), protocol);
        assert_eq!(settings.warnings(), [] as [&str; 0]);
    }
}

#[test]
fn each_kind_of_nonsense_is_refused() {
    type Edit = fn(&mut SettingsBuilder);
    let rows: &[(&str, Edit)] = &[
        ("identity.mail_name", |s| s.identity.mail_name.clear()),
        ("identity.double_bounce", |s| {
            s.identity.double_bounce = "a\nb".into();
        }),
        ("identity.postmaster", |s| {
            s.identity.postmaster = "a\r".into();
        }),
        ("lookup.filter", |s| {
            s.lookup.filter.push_external("records");
        }),
        ("lookup.families", |s| {
            s.lookup.families = Families::default();
        }),
        ("lookup.host_lookup", |s| {
            s.lookup.host_lookup = HostLookup::default();
        }),
        ("lookup.host_lookup", |s| {
            s.lookup.dns = DnsSupport::Disabled;
        }),
        ("tls.level", |s| s.tls.level = TlsLevel::HalfDane),
        ("tls.level", |s| s.tls.level = TlsLevel::Dane),
        ("tls.level", |s| s.tls.level = TlsLevel::Fingerprint),
        ("tls.level", |s| {
            s.tls.level = TlsLevel::Secure;
            s.tls.engine = None;
        }),
        ("tls.level", |s| {
            s.tls.level = TlsLevel::Verify;
            s.tls.verify_match.clear();
        }),
        ("tls.level", |s| {
            s.tls.level = TlsLevel::Encrypt;
            s.tls.mandatory.protocols = "TLSv1.1".parse().unwrap();
        }),
        ("tls.level", |s| {
            s.tls.level = TlsLevel::May;
            s.tls.opportunistic.protocols = "TLSv1.2".parse().unwrap();
            s.tls.opportunistic.ciphers = CipherGrade::Null;
        }),
        ("tls.level", |s| {
            dane(s);
            s.lookup.search.dnsrch = true;
        }),
        ("tls.level", |s| {
            dane(s);
            s.lookup.ignore_mx_error = true;
        }),
        ("tls.dane.digests", |s| {
            dane(s);
            s.tls.dane.digests = crate::tls::DaneDigests::parse(&[]).0;
        }),
        ("tls.dane.insecure_mx", |s| {
            s.tls.dane.insecure_mx = TlsLevel::None;
        }),
        ("tls.wrapper", |s| {
            s.tls.wrapper = true;
            s.tls.level = TlsLevel::May;
        }),
        ("tls.server_name", |s| {
            s.tls.server_name = crate::tls::ServerName::parse("-x-");
        }),
        ("tls.anchors", |s| s.tls.anchors = Some(Err("gone".into()))),
        ("login.credentials", |s| {
            let none = |_: &TokenRequest| Err(TokenFailure::new("none"));
            s.login = Some(Login::new(Credentials::token(" ", none)));
        }),
        ("login.credentials", |s| {
            s.login = Some(Login::new(SecretMaps::default()));
        }),
        ("timeouts.session.mail", |s| {
            s.timeouts.session.mail = Duration::ZERO;
        }),
        ("timeouts.connect", |s| {
            s.timeouts.connect = Some(Duration::ZERO);
        }),
        ("timeouts.delivery", |s| {
            s.timeouts.delivery = Duration::ZERO;
        }),
        ("limits.header", |s| s.limits.header = 0),
        ("limits.boundary", |s| s.limits.boundary = 0),
        ("limits.nesting", |s| s.limits.nesting = 0),
        ("log.resolution", |s| s.log.resolution = 7),
    ];
    for (setting, edit) in rows {
        let found = refused(edit);
        assert!(found.contains(setting), "{setting}: {found:?}");
    }
    assert_eq!(refused(dane), [] as [&str; 0]);
}

fn dane(settings: &mut SettingsBuilder) {
    settings.lookup.dns = DnsSupport::Dnssec;
    settings.tls.level = TlsLevel::Dane;
}

#[test]
fn all_mistakes_are_named_at_once() {
    let found = refused(|settings| {
        settings.limits.header = 0;
        settings.timeouts.session.quit = Duration::ZERO;
        settings.tls.wrapper = true;
        settings.tls.level = TlsLevel::May;
        settings.lookup.families = Families::default();
    });
    let all = [
        "timeouts.session.quit",
        "limits.header",
        "lookup.families",
        "tls.wrapper",
    ];
    assert_eq!(found, all);
    let error = Settings::submission().build().unwrap_err().to_string();
    assert!(
        error.starts_with("tls.level: demands certificates"),
        "{error}"
    );
}

#[test]
fn a_table_that_may_say_another_level_goes_with_a_wrapper() {
    let mut settings = sound(Protocol::Smtp);
    settings.tls.wrapper = true;
    settings.tls.level = TlsLevel::May;
    settings.tls.policy.push("mine", Arc::new(Same));
    assert!(settings.build().is_ok());
}

#[test]
fn what_postfix_goes_on_with_is_let_pass_for_main_cf_only() {
    let mut settings = sound(Protocol::Smtp);
    settings.tls.wrapper = true;
    settings.tls.level = TlsLevel::May;
    assert!(settings.clone().build_like_postfix().is_ok());
    settings.limits.nesting = 0;
    assert!(settings.build_like_postfix().is_err());
}

#[test]
fn presets_are_secure() {
    let submission = Settings::submission();
    assert_eq!(submission.tls.level, TlsLevel::Secure);
    let login = submission
        .credentials("me", Secret::new("a:b,c{d"))
        .login
        .clone()
        .unwrap();
    assert!(login.plaintext == SecurityOptions::NOPLAINTEXT.and(SecurityOptions::NOANONYMOUS));
    let Credentials::Passwords(passwords) = &login.credentials else {
        panic!("{login:?}")
    };
    let found = passwords.expose().lookup("mail.example").unwrap();
    assert_eq!(found.as_deref(), Some("me:a:b,c{d"));
    assert!(!format!("{login:?}").contains("a:b"));

    let mut direct = Settings::direct("mail.example.org".parse().unwrap());
    direct.tls.engine = Some(Arc::new(NoTls));
    assert_eq!(direct.lookup.dns, DnsSupport::Dnssec);
    let direct = direct.build().unwrap();
    assert_eq!(direct.hello.name.as_str(), "mail.example.org");
    assert_eq!(direct.identity.host.as_str(), "mail.example.org");
}

#[test]
fn one_client_is_enough_for_a_policy() {
    let policy = Policy::new(sound(Protocol::Lmtp).build().unwrap());
    assert!(policy.settings(Protocol::Lmtp).is_given());
    assert!(!policy.settings(Protocol::Smtp).is_given());
    let policy = policy.with(sound(Protocol::Smtp).build().unwrap());
    assert!(policy.settings(Protocol::Smtp).is_given());
}
