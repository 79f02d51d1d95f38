//! Settings that a program makes in a [`Config`], on the wire: as strict as those of
//! main.cf, and what follows from them follows.

use std::sync::Arc;

use postfix_config::{CompileError, Config, compile_configs};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    policy::Policy,
    request::{Recipient, Request},
    route::DnsSupport,
    settings::SecurityOptions,
};
use smtp_proto::{Address, ReversePath};

use crate::{Rules, World, brief};

const TLS: Rules = &[("EHLO", "250-mx\r\n250 STARTTLS"), ("STARTTLS", "CLOSE")];
const AUTH: Rules = &[("EHLO", "250-mx\r\n250 AUTH PLAIN"), ("AUTH", "235 ok")];

fn policy(edit: impl FnOnce(&mut Config)) -> Result<Policy, CompileError> {
    let mut smtp = Config::default_for(Protocol::Smtp);
    edit(&mut smtp);
    compile_configs([smtp], "/nowhere".as_ref(), ResolverConfig::default(), &[])
}

fn request() -> Request {
    let to = Recipient::new(Address::parse("to@example.com").unwrap());
    let sender = ReversePath::parse("from@example.org").unwrap();
    Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        sender,
        vec![to],
    )
}

/// The commands that a server hears under these settings, and the verdict; nothing if they are refused.
fn dialogue(rules: Rules, edit: impl FnOnce(&mut Config)) -> (Vec<String>, String) {
    let mut world = World::new().with_server("192.0.2.1", rules);
    match policy(edit) {
        Ok(policy) => {
            let outcomes = world.run_under(Arc::new(policy), request());
            (world.heard, brief(&outcomes).concat())
        }
        Err(_) => (Vec::new(), "refused".to_owned()),
    }
}

fn says(heard: &[String], verb: &str) -> bool {
    heard.iter().any(|line| line.starts_with(verb))
}

fn login(config: &mut Config, options: &[&str]) {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    config.sasl.sasl_auth_enable = true;
    config.sasl.sasl_password_maps = smtp_proto::Secret::new("static:bob:swordfish");
    config.sasl.sasl_security_options = words(options);
}

#[test]
fn a_misspelt_tls_level_sends_nothing_in_plaintext() {
    let (heard, verdict) = dialogue(TLS, |config| {
        config.tls.tls_security_level = "encript".into();
    });
    assert!(!says(&heard, "MAIL"), "{heard:?}");
    assert_eq!(verdict, "refused");
    let (heard, verdict) = dialogue(&[], |config| {
        config.tls.tls_security_level = "Encrypt".into();
    });
    assert!(!says(&heard, "MAIL"), "{heard:?}");
    assert_eq!(verdict, "deferred 4.7.4");
}

#[test]
fn a_misspelt_security_option_lets_no_password_out() {
    let (heard, verdict) = dialogue(AUTH, |config| login(config, &["noplaintxt"]));
    assert!(!says(&heard, "AUTH"), "{heard:?}");
    assert_eq!(verdict, "refused");
    let (heard, verdict) = dialogue(AUTH, |config| login(config, &["noplaintext"]));
    assert!(!says(&heard, "AUTH"), "{heard:?}");
    assert_eq!(verdict, "deferred 4.7.0");
    let (heard, verdict) = dialogue(AUTH, |config| login(config, &["noanonymous"]));
    assert!(says(&heard, "AUTH PLAIN"), "{heard:?}");
    assert_eq!(verdict, "sent 2.0.0");
}

#[test]
fn the_name_of_this_machine_is_what_it_says_in_ehlo() {
    let (heard, _) = dialogue(&[], |config| {
        config.general.myhostname = "app.example.org".into();
    });
    assert_eq!(
        heard.first().map(String::as_str),
        Some("EHLO app.example.org")
    );
    let (heard, _) = dialogue(&[], |config| {
        config.general.myhostname = "app.example.org".into();
        config.helo.helo_name = "out.example.org".into();
    });
    assert_eq!(
        heard.first().map(String::as_str),
        Some("EHLO out.example.org")
    );
}

#[test]
fn security_options_reach_the_lists_that_follow_from_them() {
    let policy = policy(|config| login(config, &["noanonymous"])).unwrap();
    let login = policy.settings(Protocol::Smtp).login.clone().unwrap();
    assert_eq!(login.tls, SecurityOptions::NOANONYMOUS);
    assert_eq!(login.verified_tls, SecurityOptions::NOANONYMOUS);
}

#[test]
fn turning_dns_off_turns_it_off() {
    let policy = policy(|config| config.lookup.disable_dns_lookups = true).unwrap();
    let lookup = &policy.settings(Protocol::Smtp).lookup;
    assert!(lookup.dns == DnsSupport::Disabled);
    assert_eq!(
        (lookup.host_lookup.dns, lookup.host_lookup.native),
        (false, true)
    );
}
