//! From text to typed values, for both protocols.

use std::time::Duration;

use postfix_config::{Config, MainCf};
use smtp_policy::Protocol;
use smtp_policy::dns::SearchMode;
use smtp_policy::route::{AddressPreference, DnsSupport, Families, HostLookup};
use smtp_policy::settings::ProbeTarget;

use crate::{lmtp, parse, smtp};

#[test]
fn defaults_in_code_are_those_of_an_empty_file() {
    for protocol in Protocol::ALL {
        assert_eq!(MainCf::default().errors(), vec![]);
        let from_text = MainCf::default().config(protocol).unwrap();
        assert_eq!(Config::default_for(protocol), from_text);
    }
    let smtp = Config::default_for(Protocol::Smtp);
    assert_eq!(*smtp.general.myhostname, "localhost.localdomain");
    assert_eq!(smtp.connect.tcp_port, "smtp");
    assert_eq!(smtp.timeout.connect_timeout, Duration::from_secs(30));
    assert_eq!(smtp.content.line_length_limit, 998);
    assert_eq!(
        smtp.connect.inet_protocols,
        Families {
            ipv4: true,
            ipv6: true
        }
    );
    assert_eq!(*smtp.cache.destination_concurrency_limit, 20);
    assert!(smtp.helo.skip_quit_response && !*smtp.timeout.per_request_deadline);
    let lmtp = Config::default_for(Protocol::Lmtp);
    assert_eq!(lmtp.connect.tcp_port, "24");
    assert_eq!(lmtp.timeout.connect_timeout, Duration::ZERO);
    assert!(!lmtp.helo.skip_quit_response);
    assert_eq!(lmtp.tls.tls_secure_cert_match, "nexthop");
}

#[test]
fn each_protocol_reads_its_own_names() {
    let text = "smtp_helo_name = s\nlmtp_lhlo_name = l\nsmtp_per_record_deadline = yes\n";
    assert_eq!(*smtp(text).helo.helo_name, "s");
    assert_eq!(*lmtp(text).helo.helo_name, "l");
    assert!(*smtp(text).timeout.per_request_deadline);
    assert!(!*lmtp(text).timeout.per_request_deadline);
    assert_eq!(
        *smtp("smtp_helo_name = $process_name").helo.helo_name,
        "smtp"
    );
    assert_eq!(
        *lmtp("lmtp_lhlo_name = $service_name").helo.helo_name,
        "lmtp"
    );
}

#[test]
fn values_become_types() {
    let config = smtp(
        "smtp_address_preference = IPv6\nsmtp_host_lookup = dns, native\n\
         smtp_dns_resolver_options = res_dnsrch\nsmtp_address_verify_target = data\n\
         smtp_dns_support_level = dnssec\ninet_protocols = ipv4\nsoft_bounce = YES\n\
         smtp_fallback_relay = a.example, [b.example]:26\tc\nsmtp_quit_timeout = 2h\n\
         smtp_sasl_auth_cache_time = 2\nsmtp_rset_timeout = 5min\nsmtp_helo_timeout = 1w\n",
    );
    assert_eq!(config.lookup.address_preference, AddressPreference::Ipv6);
    assert_eq!(
        config.lookup.host_lookup,
        HostLookup {
            dns: true,
            native: true
        }
    );
    assert_eq!(
        config.lookup.dns_resolver_options,
        SearchMode {
            defnames: false,
            dnsrch: true
        }
    );
    assert_eq!(config.verdict.address_verify_target, ProbeTarget::Data);
    assert_eq!(*config.lookup.dns_support_level, DnsSupport::Dnssec);
    assert_eq!(
        config.connect.inet_protocols,
        Families {
            ipv4: true,
            ipv6: false
        }
    );
    assert!(config.verdict.soft_bounce);
    assert_eq!(
        *config.connect.fallback_relay,
        ["a.example", "[b.example]:26", "c"]
    );
    assert_eq!(config.timeout.quit_timeout, Duration::from_secs(7200));
    // Without a unit the one of the default counts; of a longer unit, the first letter.
    assert_eq!(
        config.sasl.sasl_auth_cache_time,
        Duration::from_secs(2 * 86_400)
    );
    assert_eq!(config.timeout.rset_timeout, Duration::from_secs(300));
    assert_eq!(config.timeout.helo_timeout, Duration::from_secs(604_800));
}

#[test]
fn the_old_switch_turns_dns_off_while_the_level_is_empty() {
    let native = HostLookup {
        dns: false,
        native: true,
    };
    let off = smtp("disable_dns_lookups = yes").lookup;
    assert_eq!(
        (*off.dns_support_level, off.host_lookup),
        (DnsSupport::Disabled, native)
    );
    let on = smtp("disable_dns_lookups = yes\nsmtp_dns_support_level = enabled").lookup;
    assert_eq!(*on.dns_support_level, DnsSupport::Enabled);
    assert!(!on.disable_dns_lookups && on.host_lookup.dns);
    let level = smtp("smtp_dns_support_level = disabled").lookup;
    assert!(level.disable_dns_lookups);
    assert_eq!(level.host_lookup, native);
}

#[test]
fn the_host_name_comes_from_the_caller() {
    let names = |host: &str, text: &str| {
        let mut main = parse(text);
        main.set_host_name(host);
        let general = main.config(Protocol::Smtp).unwrap().general;
        (general.myhostname.to_string(), general.mydomain.to_string())
    };
    let pair = |host: &str, domain: &str| (host.to_owned(), domain.to_owned());
    assert_eq!(
        names("m.example.com", ""),
        pair("m.example.com", "example.com")
    );
    assert_eq!(names("m", ""), pair("m.localdomain", "localdomain"));
    assert_eq!(
        names("m", "mydomain = example.com"),
        pair("m.example.com", "example.com")
    );
    assert_eq!(names("m", "myhostname = a.b.c"), pair("a.b.c", "b.c"));
    assert_eq!(
        names("m", "myhostname = short"),
        pair("short", "localdomain")
    );
    assert_eq!(
        names("m.x", "myhostname = h.$mydomain\nmydomain = d"),
        pair("h.d", "d")
    );
}

#[test]
fn an_override_wins_over_the_file() {
    let mut main = parse("smtp_helo_name = file\nsmtp_tcp_port = 26\n");
    main.set(" smtp_helo_name = $override ").unwrap();
    main.set("override=over=there").unwrap();
    let config = main.config(Protocol::Smtp).unwrap();
    assert_eq!(
        (config.helo.helo_name.as_str(), &*config.connect.tcp_port),
        ("over=there", "26")
    );
    assert_eq!(main.warnings(), vec![]);
    main.set("soft_bounce=x").unwrap();
    assert_eq!(
        main.config(Protocol::Smtp).unwrap_err().to_string(),
        "parameter override: soft_bounce: \"x\" is neither yes nor no"
    );
    for (bad, why) in [
        (
            "smtp_helo_name",
            "missing '=' after attribute name: \"smtp_helo_name\"",
        ),
        ("=x", "missing attribute name: \"=x\""),
        ("a=\0", "null byte in text"),
    ] {
        assert_eq!(
            main.set(bad).unwrap_err().to_string(),
            format!("parameter override: {why}")
        );
    }
}

#[test]
fn continuation_lines_follow_readlline() {
    // The cases of the test program in Postfix's readlline.c.
    let cases = [
        ("n = abc\n def\n", "abc def"),
        ("n = abc\n #def\n ghi", "abc ghi"),
        ("n = abc\n#def\n ghi", "abc ghi"),
        ("n = abc\n \n ghi", "abc ghi"),
        ("n = abc\n\n ghi", "abc ghi"),
        ("n = abc\n #def\n", "abc"),
        ("n = abc\n ", "abc"),
        ("#abc\nn = def", "def"),
        (" #abc\nn = def", "def"),
        ("n =\n abc", "abc"),
        ("n = abc\r\n\tdef \t\r\n", "abc\r\tdef"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).written("n"), Some(expected), "{text:?}");
    }
}
