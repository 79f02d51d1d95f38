//! The two ways to a configuration, text and code, over the whole parameter table.

use std::collections::BTreeSet;
use std::path::Path;

use super::compile_configs;
use super::main_cf;
use super::source::Source;
use super::{Config, ConfigError, Kind, MainCf, Parameter, Protocol};
use smtp_policy::dns::ResolverConfig;

/// Words of which some are wrong for each parameter that can have a wrong value.
const WORDS: &[&str] = &[
    "",
    "0",
    "7",
    "2147483648",
    "0s",
    "5s",
    "2147483648s",
    "encript",
    "a b",
    ">=TLSv1.2",
    "!aNULL",
    "sha256",
    "127.0.0.1",
    "[::1]",
    "ns:.",
    "Encrypt",
    "noanonymous",
    "3.6",
    "a\u{7}b",
    "a$b",
];

impl Config {
    /// Puts a value into the field of a parameter as a careless program would.
    fn put(&mut self, name: &str, text: &str) -> bool {
        self.general.put(name, text)
            || self.connect.put(name, text)
            || self.lookup.put(name, text)
            || self.helo.put(name, text)
            || self.timeout.put(name, text)
            || self.content.put(name, text)
            || self.verdict.put(name, text)
            || self.cache.put(name, text)
            || self.sasl.put(name, text)
            || self.tls.put(name, text)
            || self.daemon.put(name, text)
            || self.newer.put(name, text)
    }
}

/// The complaints without the places where the values were set.
fn complaints(errors: &[ConfigError]) -> Vec<String> {
    let line = |error: &ConfigError| format!("{:?}: {:?}", error.parameter, error.problem);
    errors.iter().map(line).collect()
}

fn by_text(name: &str, text: &str, protocol: Protocol) -> Result<Config, Vec<String>> {
    let mut main = MainCf::default();
    main.set(&format!("{name} = {}", text.replace('$', "$$")))
        .unwrap();
    let mut source = Source::new(&main, protocol);
    let config = Config::load(&mut source);
    match source.into_errors() {
        errors if errors.is_empty() => Ok(config),
        errors => Err(complaints(&errors)),
    }
}

/// The same by code. None: the field cannot hold such a value.
fn by_code(name: &str, text: &str, default: &Config) -> Option<Result<Config, Vec<String>>> {
    let mut config = default.clone();
    let settled = config.put(name, text).then(|| config.settled())?;
    Some(settled.map_err(|errors| complaints(&errors)))
}

#[test]
fn every_parameter_is_held_to_the_same_rules_in_text_and_in_code() {
    let defaults = Protocol::ALL.map(Config::default_for);
    let mut refused = BTreeSet::new();
    for (parameter, named) in Parameter::sorted().filter(|(row, _)| row.field.is_some()) {
        let protocol = main_cf::spoken_in(named.name);
        let default = defaults.iter().find(|config| config.protocol == protocol);
        let default = default.unwrap();
        let mut can_be_wrong = false;
        for word in WORDS {
            let Some(code) = by_code(named.name, word, default) else {
                continue;
            };
            can_be_wrong = true;
            let text = by_text(named.name, word, protocol);
            assert_eq!(text, code, "{} = {word:?}", named.name);
            if let Err(complaints) = text {
                let ours = |line: &String| {
                    line.contains(named.name)
                        || named.name == "myhostname" && line.contains("mydomain")
                };
                let ours = complaints.iter().any(ours);
                assert!(ours, "{} = {word:?}: {complaints:?}", named.name);
                refused.insert(named.name);
            }
        }
        let has_rule = !parameter.words.is_empty()
            || parameter.grammar != super::Grammar::Any
            || parameter.min > 0;
        if has_rule && can_be_wrong {
            assert!(
                refused.contains(named.name),
                "nothing is wrong for {}",
                named.name
            );
        }
    }
    assert!(refused.len() > 60, "{}", refused.len());
}

#[test]
fn a_default_that_refers_to_others_is_derived() {
    let derived = |name: &str| {
        let mut config = Config::default_for(main_cf::spoken_in(name));
        let texts = config.texts();
        let before = texts.contains_key(name);
        // A field that is set in code has a text afterwards; a derived one has none before.
        let possible = config.put(name, "x");
        (before, possible && config.texts().contains_key(name))
    };
    for (parameter, named) in Parameter::sorted().filter(|(row, _)| row.field.is_some()) {
        let computed = ["myhostname", "mydomain"].contains(&named.name);
        if named.default.contains('$') || computed {
            assert!(!derived(named.name).0, "{}", named.name);
        } else if parameter.kind == Kind::Text {
            // The field is one for both names.
            let is_derived = parameter
                .spellings()
                .any(|named| named.default.contains('$'));
            assert_eq!(derived(named.name), (!is_derived, true), "{}", named.name);
        }
    }
}

#[test]
fn all_mistakes_in_code_are_named_at_once() {
    let [mut smtp, mut lmtp] = Protocol::ALL.map(Config::default_for);
    smtp.tls.tls_security_level = "encript".into();
    smtp.general.myhostname = "a b".into();
    lmtp.general.myhostname = "a b".into();
    lmtp.sasl.sasl_security_options = vec!["noplaintxt".into()];
    let directory = Path::new("/nowhere");
    let error = compile_configs([smtp, lmtp], directory, ResolverConfig::default(), &[]);
    let error = error.unwrap_err();
    let lines: Vec<String> = error.errors().iter().map(ToString::to_string).collect();
    let starts = [
        "set in code: myhostname: \"a b\" is empty or has white space",
        "set in code: smtp_tls_security_level: \"encript\" is not one of: (empty), none, may",
        "set in code: lmtp_sasl_security_options: \"noplaintxt\" is not one of: noplaintext",
    ];
    assert!(
        lines
            .iter()
            .zip(starts)
            .all(|(line, start)| line.starts_with(start)),
        "{lines:#?}"
    );
}

#[test]
fn two_configurations_for_one_protocol_are_refused() {
    let [smtp, _] = Protocol::ALL.map(Config::default_for);
    let directory = Path::new("/nowhere");
    let twice = [smtp.clone(), smtp];
    let error = compile_configs(twice, directory, ResolverConfig::default(), &[]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("there are two configurations for smtp"),
        "{error}"
    );
}

#[test]
fn what_a_file_says_survives_a_way_through_code() {
    let text = "fallback_relay = old.example\nsmtp_per_record_deadline = yes\nmine = own.example\n\
                smtp_helo_name = $mine\nmydomain = example.org\nlmtp_dns_support_level =\n\
                disable_dns_lookups = yes\nsmtp_tls_security_level = dane\n";
    let mut main = MainCf::parse(text, "main.cf", Path::new("/etc/outpost")).unwrap();
    main.set_host_name("box");
    let [smtp, lmtp] = Protocol::ALL.map(|protocol| main.config(protocol).unwrap());
    assert_eq!(*smtp.general.myhostname, "box.example.org");
    let directory = Path::new("/etc/outpost");
    let by_text = super::compile(&main, ResolverConfig::default(), &[]).unwrap();
    let by_code = compile_configs([smtp, lmtp], directory, ResolverConfig::default(), &[]);
    let by_code = by_code.unwrap();
    for protocol in Protocol::ALL {
        let [text, code] = [&by_text, &by_code].map(|p| format!("{:?}", p.settings(protocol)));
        assert_eq!(text, code);
    }
}
