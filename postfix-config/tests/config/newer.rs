//! A main.cf of a newer Postfix: what is known, what warns, what is refused.

use std::collections::BTreeSet;

use postfix_config::{Parameter, compile};
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    tls::{RequireTls, TlsLevel},
};

use crate::{data, parse, refusal, warnings};

const DEFAULTS: &str = include_str!("newer-defaults.txt");

/// The settings of the main.cf that a release comes with, where they are the same in all.
const INSTALLED: &str = "\
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/libexec/postfix
data_directory = /var/lib/postfix
mail_owner = postfix
unknown_local_recipient_reject_code = 550
debug_peer_level = 2
debugger_command =
\t PATH=/bin:/usr/bin:/usr/local/bin:/usr/X11R6/bin
\t ddd $daemon_directory/$process_name $process_id & sleep 5
sendmail_path =
newaliases_path =
mailq_path =
setgid_group =
html_directory =
manpage_directory =
sample_directory =
readme_directory =
meta_directory = /etc/postfix
inet_protocols = ipv4
";

/// The settings in which the releases differ.
const RELEASES: [(&str, &str, TlsLevel); 6] = [
    ("3.7", "", TlsLevel::None),
    (
        "3.8",
        "shlib_directory = /usr/lib/postfix/${mail_version}\n",
        TlsLevel::None,
    ),
    (
        "3.9",
        "shlib_directory = /usr/lib/postfix/${mail_version}\n",
        TlsLevel::None,
    ),
    (
        "3.10",
        "shlib_directory = /usr/lib/postfix/${mail_version}\n",
        TlsLevel::None,
    ),
    ("3.11", "shlib_directory =\n", TlsLevel::May),
    ("3.12", "shlib_directory =\n", TlsLevel::May),
];

#[test]
fn the_main_cf_that_a_release_comes_with_is_used_without_a_warning() {
    for (release, more, level) in RELEASES {
        let text = format!("compatibility_level = {release}\n{INSTALLED}{more}");
        let main = parse(&text);
        let policy = compile(&main, ResolverConfig::default(), &[]).unwrap();
        assert_eq!(policy.warnings(), <[String; 0]>::default(), "{release}");
        assert_eq!(
            policy.settings(Protocol::Smtp).tls.level,
            level,
            "{release}"
        );
        assert_eq!(policy.settings(Protocol::Lmtp).tls.level, TlsLevel::None);
    }
}

#[test]
fn the_defaults_of_newer_releases_are_known_and_never_warn() {
    let mut names = BTreeSet::new();
    for line in data(DEFAULTS) {
        let (_, setting) = line.split_once(' ').unwrap();
        let name = setting.split_once(" =").unwrap().0;
        assert!(Parameter::find(name).is_some(), "{name}");
        names.insert(name);
        let text = format!("{setting}\n");
        assert_eq!(warnings(&text), Vec::<String>::new(), "{setting}");
        compile(&parse(&text), ResolverConfig::default(), &[]).unwrap();
    }
    let newer = Parameter::all().filter(|parameter| !parameter.since.is_empty());
    for named in newer.flat_map(Parameter::spellings) {
        assert!(names.contains(named.name), "{} has no line", named.name);
    }
}

#[test]
fn what_would_send_mail_another_way_is_refused() {
    for (setting, why) in [
        (
            "use_srv_lookup = submission",
            "use_srv_lookup: only the default is supported: SRV",
        ),
        (
            "smtp_sasl_password_result_delimiter = ::",
            "smtp_sasl_password_result_delimiter: \"::\" is not one character",
        ),
        (
            "lmtp_sasl_password_result_delimiter =",
            "lmtp_sasl_password_result_delimiter: \"\" is not one character",
        ),
    ] {
        let ours = refusal(&format!("\n{setting}\n"));
        assert!(
            ours.starts_with(&format!("main.cf: line 2: {why}")),
            "{ours}"
        );
    }
}

#[test]
fn the_policy_for_requiretls_is_read_when_the_configuration_is() {
    let text = "mydomain = Own.example\n";
    let policy = compile(&parse(text), ResolverConfig::default(), &[]).unwrap();
    let demand = |protocol, name| policy.settings(protocol).tls.require.demand(name).unwrap();
    for (name, smtp) in [
        ("own.example", RequireTls::Opportunistic),
        ("mx.own.example", RequireTls::Opportunistic),
        ("localhost", RequireTls::Opportunistic),
        ("192.0.2.1", RequireTls::Opportunistic),
        ("2001:db8::1", RequireTls::Opportunistic),
        ("example.com", RequireTls::Enforce),
    ] {
        assert_eq!(demand(Protocol::Smtp, name), smtp, "{name}");
        assert_eq!(demand(Protocol::Lmtp, name), RequireTls::Opportunistic);
    }
    for (setting, why) in [
        ("smtp_requiretls_policy = enforced", "enforced: expecting"),
        (
            "lmtp_requiretls_policy = nosuch:x",
            "nosuch:x: unsupported table type",
        ),
        (
            "smtp_requiretls_policy = external:x, enforce",
            "external:x: an external table",
        ),
    ] {
        let main = parse(&format!("{setting}\n"));
        let error = compile(&main, ResolverConfig::default(), &[]).unwrap_err();
        let (name, _) = setting.split_once(" =").unwrap();
        let start = format!("main.cf: line 1: {name}: {why}");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[cfg(feature = "sasl")]
#[test]
fn passwords_are_read_with_their_delimiter() {
    for (text, delimiter) in [
        ("", ':'),
        ("smtp_sasl_password_result_delimiter = |\n", '|'),
    ] {
        let text =
            format!("smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:x\n{text}");
        let policy = compile(&parse(&text), ResolverConfig::default(), &[]).unwrap();
        let login = policy.settings(Protocol::Smtp).login.as_ref().unwrap();
        assert_eq!(login.delimiter, delimiter);
    }
}

#[test]
fn obsolete_demands_for_tls_count_beside_a_default() {
    for (text, level) in [
        ("", TlsLevel::May),
        ("smtp_enforce_tls = yes\n", TlsLevel::Verify),
        (
            "smtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n",
            TlsLevel::Encrypt,
        ),
        (
            "smtp_enforce_tls = yes\nsmtp_tls_security_level = may\n",
            TlsLevel::May,
        ),
        ("smtp_tls_security_level =\n", TlsLevel::None),
        (
            "smtp_tls_security_level =\nsmtp_use_tls = yes\n",
            TlsLevel::May,
        ),
    ] {
        let main = parse(&format!("compatibility_level = 3.11\n{text}"));
        let policy = compile(&main, ResolverConfig::default(), &[]).unwrap();
        assert_eq!(policy.settings(Protocol::Smtp).tls.level, level, "{text:?}");
    }
}

#[test]
fn levels_of_tls_logging_are_numbers_and_names() {
    for (text, summary, cache) in [
        ("0", false, false),
        ("1", true, false),
        ("1,trace", true, false),
        ("2, trace", true, true),
        ("9", true, true),
        ("Routine", true, false),
        ("debug", true, true),
        ("trace", false, false),
        ("cache", false, true),
        ("summary", true, false),
    ] {
        let main = parse(&format!("smtp_tls_loglevel = {text}\n"));
        let policy = compile(&main, ResolverConfig::default(), &[]).unwrap();
        let log = &policy.settings(Protocol::Smtp).tls.log;
        assert_eq!((log.summary, log.cache), (summary, cache), "{text}");
        let warned = policy.warnings().iter().any(|text| text.contains("trace"));
        assert_eq!(warned, text.contains("trace"), "{text}");
    }
}

#[test]
fn senders_are_heard_unless_the_configuration_says_otherwise() {
    for (text, require, waiver) in [
        ("", true, true),
        ("requiretls_enable = no\n", false, true),
        ("tls_required_enable = no\n", true, false),
    ] {
        let policy = compile(&parse(text), ResolverConfig::default(), &[]).unwrap();
        for protocol in Protocol::ALL {
            let tls = &policy.settings(protocol).tls;
            let demand = tls.require.demand("example.com").unwrap();
            assert_eq!(demand != RequireTls::Disable, require);
            assert_eq!(tls.heed_waiver, waiver);
        }
    }
}

#[test]
fn each_client_has_its_own_rule_for_patterns_of_mta_sts() {
    for (text, smtp, lmtp) in [
        ("", true, true),
        ("smtp_tls_enforce_sts_mx_patterns = no\n", false, true),
        ("lmtp_tls_enforce_sts_mx_patterns = no\n", true, false),
    ] {
        let policy = compile(&parse(text), ResolverConfig::default(), &[]).unwrap();
        let enforces = |protocol| policy.settings(protocol).tls.enforce_sts_patterns;
        assert_eq!(
            (enforces(Protocol::Smtp), enforces(Protocol::Lmtp)),
            (smtp, lmtp),
            "{text}"
        );
    }
}

#[test]
fn a_domain_name_can_be_had_in_ascii() {
    for (expression, expected) in [
        ("${domain_to_ascii{$mydomain}}", "example.org"),
        (".${ domain_to_ascii { a.example } }", ".a.example"),
        (
            "${domain_to_ascii{b\u{fc}cher.example}}",
            "xn--bcher-kva.example",
        ),
    ] {
        let main = parse(&format!("mydomain = example.org\nmine = {expression}\n"));
        let ours = main.expanded("mine", Protocol::Smtp).unwrap().unwrap();
        assert_eq!(ours, expected, "{expression}");
    }
    for (expression, why) in [
        ("${upper{x}}", "unknown function \"upper\""),
        (
            "${domain_to_ascii{x}?y}",
            "the end of the reference expected at \"?y\"",
        ),
        ("${domain_to_ascii{\u{fc}..x}}", "bad domain name \""),
    ] {
        let ours = refusal(&format!("relayhost = {expression}\n"));
        assert!(ours.contains(why), "{ours}");
    }
}
