//! What is odd gives a warning, and nothing else does.

use postfix_config::{Parameter, Status, compile};
use smtp_policy::dns::ResolverConfig;

use crate::{parse, refusal, warnings};

#[test]
fn odd_settings_give_warnings() {
    let cases: &[(&str, &[&str])] = &[
        (
            "smtp_helo_timeut = 5",
            &[
                "main.cf: line 1: unused parameter: smtp_helo_timeut=5 (did you mean smtp_helo_timeout?)",
            ],
        ),
        (
            "completely_different = 5",
            &["main.cf: line 1: unused parameter: completely_different=5"],
        ),
        (
            "smtpd_baner = x",
            &["main.cf: line 1: unused parameter: smtpd_baner=x (did you mean smtpd_banner?)"],
        ),
        (
            "smtp_skip_4xx_greeting = yes",
            &[
                "main.cf: line 1: unused parameter: smtp_skip_4xx_greeting=yes (a 4xx greeting always leads to the next server, since Postfix 2.1)",
            ],
        ),
        (
            "tls_dane_digest_agility = on",
            &[
                "main.cf: line 1: unused parameter: tls_dane_digest_agility=on (always on since Postfix 3.2)",
            ],
        ),
        (
            "smtp_helo_name = a\nsmtp_helo_name = b",
            &["main.cf: line 2: overriding earlier entry: smtp_helo_name=a"],
        ),
        ("smtp_helo_name = a\nsmtp_helo_name = a", &[]),
        (
            "  text\nsmtp_helo_name = a",
            &["main.cf: line 1: logical line must not start with whitespace: \"  text\""],
        ),
        ("smtpd_banner = x\nalias_maps =\nvirtual_maps = a\n", &[]),
        ("slow_destination_concurrency_limit = 1", &[]),
        ("mine = x\nhers = $mine\nrelayhost = ${hers?{$hers}}", &[]),
        (
            "smtpd_restriction_classes = strict, lax\nstrict = permit\nlax = permit",
            &[],
        ),
        ("myhostname = a.b\nsmtp_helo_timeout = 5", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(&warnings(text), expected, "{text:?}");
    }
}

#[test]
fn a_misspelt_name_of_one_protocol_is_taken_for_a_name_of_that_protocol() {
    let cases = [
        ("lmtp_helo_timeout", "lmtp_lhlo_timeout"),
        ("lmtp_helo_timeuot", "lmtp_lhlo_timeout"),
        ("lmtp_helo_name", "lmtp_lhlo_name"),
        ("lmtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords"),
        ("lmtp_rcpt_timeot", "lmtp_rcpt_timeout"),
        ("smtp_lhlo_timeout", "smtp_helo_timeout"),
        ("smtp_rcpt_timeot", "smtp_rcpt_timeout"),
        ("smtpd_lhlo_timeout", "smtp_helo_timeout"),
    ];
    for (name, known) in cases {
        assert_eq!(
            warnings(&format!("{name} = 5")),
            [format!(
                "main.cf: line 1: unused parameter: {name}=5 (did you mean {known}?)"
            )]
        );
    }
}

#[test]
fn a_file_full_of_unknown_names_gets_a_few_hints() {
    let text: String = (0..1000)
        .map(|n| format!("smtp_helo_timeout{n} = 5\n"))
        .collect();
    let warnings = warnings(&text);
    assert_eq!(warnings.len(), 1000);
    let hints = warnings.iter().filter(|text| text.contains("did you mean"));
    assert_eq!(hints.count(), 100);
}

#[test]
fn routing_that_is_set_and_not_followed_gives_a_warning() {
    let names = [
        "canonical_maps",
        "content_filter",
        "default_transport",
        "local_transport",
        "recipient_canonical_maps",
        "relay_transport",
        "relocated_maps",
        "sender_canonical_maps",
        "sender_dependent_default_transport_maps",
        "sender_dependent_relayhost_maps",
        "transport_maps",
        "virtual_alias_maps",
        "virtual_transport",
    ];
    for name in names {
        let found = warnings(&format!("\n{name} = smtp:[there.example]"));
        let start = format!("main.cf: line 2: not followed: {name}=smtp:[there.example] (");
        assert!(
            found.len() == 1 && found[0].starts_with(&start),
            "{found:?}"
        );
        assert_eq!(warnings(&format!("{name} =")), Vec::<String>::new());
        assert_eq!(
            warnings(&format!("{name} = $mine\nmine =")),
            Vec::<String>::new()
        );
    }
    for default in [
        "default_transport = smtp",
        "relay_transport = relay",
        "local_transport = local:$myhostname",
        "virtual_transport = virtual",
        "virtual_alias_maps = $virtual_maps",
        "relayhost = [there.example]",
    ] {
        assert_eq!(warnings(default), Vec::<String>::new());
    }
    let main = parse("transport_maps = hash:/etc/postfix/transport");
    let policy = compile(&main, ResolverConfig::default(), &[]).unwrap();
    assert_eq!(policy.warnings().len(), 1, "{:?}", policy.warnings());
}

#[test]
fn a_setting_without_effect_warns_unless_it_is_the_default() {
    for parameter in Parameter::all() {
        for named in parameter.spellings() {
            let default = warnings(&format!("{} = {}", named.name, named.default));
            let other = warnings(&format!("{} = something_else", named.name));
            match parameter.status {
                Status::Supported | Status::Mapped(_) => {
                    assert_eq!((default.len(), other.len()), (0, 0), "{}", named.name);
                }
                Status::Refused(text) => {
                    assert_eq!((default.len(), other.len()), (0, 1), "{}", named.name);
                    assert!(other[0].contains(text), "{}", other[0]);
                }
                Status::Denied(text) => {
                    assert_eq!((default.len(), other.len()), (0, 0), "{}", named.name);
                    assert!(refusal(&format!("{} = something_else", named.name)).contains(text));
                }
                Status::Removed(text) => {
                    assert!(other[0].contains(text), "{}", other[0]);
                }
            }
        }
    }
}

#[test]
fn a_value_equal_to_the_default_in_other_words_gives_no_warning() {
    assert_eq!(
        warnings("smtp_tls_key_file = $smtp_tls_cert_file"),
        Vec::<String>::new()
    );
    assert_eq!(
        warnings("disable_mime_output_conversion = NO"),
        Vec::<String>::new()
    );
    assert_eq!(
        warnings("smtp_sasl_auth_cache_time = 2160h"),
        Vec::<String>::new()
    );
}
