//! What cannot be used is refused, with place, parameter and reason.

use std::path::Path;

use postfix_config::MainCf;
use smtp_policy::Protocol;

use crate::{parse, refusal, smtp, warnings};

#[test]
fn refusals_name_the_file_the_line_and_the_parameter() {
    let cases = [
        (
            "\n\nsmtp_helo_timeout = 5x\n",
            "main.cf: line 3: smtp_helo_timeout: bad time unit in \"5x\"",
        ),
        (
            "smtp_helo_timeout = x",
            "main.cf: line 1: smtp_helo_timeout: bad time \"x\"",
        ),
        (
            "smtp_helo_timeout = 0",
            "main.cf: line 1: smtp_helo_timeout: \"0\" is less than 1",
        ),
        (
            "smtp_mail_timeout = 99999w",
            "main.cf: line 1: smtp_mail_timeout: \"99999w\" is more than 2147483647",
        ),
        (
            "smtp_connect_timeout =",
            "main.cf: line 1: smtp_connect_timeout: bad time \"\"",
        ),
        (
            "soft_bounce = maybe",
            "main.cf: line 1: soft_bounce: \"maybe\" is neither yes nor no",
        ),
        (
            "smtp_mx_address_limit = five",
            "main.cf: line 1: smtp_mx_address_limit: bad number \"five\"",
        ),
        (
            "smtp_mx_address_limit = -1",
            "main.cf: line 1: smtp_mx_address_limit: bad number \"-1\"",
        ),
        (
            "smtp_min_data_rate = 0",
            "main.cf: line 1: smtp_min_data_rate: \"0\" is less than 1",
        ),
        (
            "delay_logging_resolution_limit = 7",
            "main.cf: line 1: delay_logging_resolution_limit: \"7\" is more than 6",
        ),
        (
            "smtp_helo_name =",
            "main.cf: line 1: smtp_helo_name: the value must not be empty",
        ),
        (
            "smtp_address_preference = ipv5",
            "main.cf: line 1: smtp_address_preference: \"ipv5\" is not one of: any, ipv6, ipv4",
        ),
        (
            "inet_protocols = ipv4, ipv5",
            "main.cf: line 1: inet_protocols: \"ipv5\" is not one of: all, ipv4, ipv6",
        ),
        (
            "smtp_host_lookup =",
            "main.cf: line 1: smtp_host_lookup: the value must not be empty",
        ),
        (
            "smtp_tls_security_level = strong",
            "main.cf: line 1: smtp_tls_security_level: \"strong\" is not one of: (empty), none, may, encrypt, fingerprint, dane, dane-only, verify, secure",
        ),
        (
            "smtp_helo_name = a b",
            "main.cf: line 1: smtp_helo_name: \"a b\" is empty or has white space or control characters in it",
        ),
        (
            "lmtp_lhlo_name = ${myhostname?{in $mydomain}}",
            "main.cf: line 1: lmtp_lhlo_name: \"in localdomain\" is empty or has white space or control characters in it",
        ),
        (
            "\nmyhostname = a b",
            "main.cf: line 2: myhostname: \"a b\" is empty or has white space or control characters in it",
        ),
        (
            "smtp_tls_protocols = >=TLSv1.2, TSLv1.3",
            "main.cf: line 1: smtp_tls_protocols: \">=TLSv1.2, TSLv1.3\" is not a list of TLS protocols",
        ),
        (
            "smtp_tls_exclude_ciphers = RC4:!aNULL",
            "main.cf: line 1: smtp_tls_exclude_ciphers: invalid unary '!+-@' in cipher exclusion: !aNULL",
        ),
        (
            "smtp_tls_fingerprint_digest = crc32",
            "main.cf: line 1: smtp_tls_fingerprint_digest: unknown digest algorithm \"crc32\"",
        ),
        (
            "tls_dane_digests = sha526 sha256",
            "main.cf: line 1: tls_dane_digests: digest algorithm sha526 needs an explicit number",
        ),
        (
            "smtp_bind_address = ::1",
            "main.cf: line 1: smtp_bind_address: \"::1\" is not an IPv4 address",
        ),
        (
            "dnssec_probe = nonsense",
            "main.cf: line 1: dnssec_probe: \"nonsense\": the format is qtype:qname",
        ),
        (
            "compatibility_level = new",
            "main.cf: line 1: compatibility_level: malformed compatibility level \"new\"",
        ),
        (
            "lmtp_rcpt_timeout = 3y",
            "main.cf: line 1: lmtp_rcpt_timeout: bad time unit in \"3y\"",
        ),
        (
            "# c\nnonsense\n",
            "main.cf: line 2: missing '=' after attribute name: \"nonsense\"",
        ),
        (
            "two words = 1\n",
            "main.cf: line 1: missing '=' after attribute name: \"two words = 1\"",
        ),
        ("= 1\n", "main.cf: line 1: missing attribute name: \"= 1\""),
        (
            "a = 1\nb\n  c\n",
            "main.cf: line 2: missing '=' after attribute name: \"b  c\"",
        ),
        ("a = b\n c\0d\n", "main.cf: line 2: null byte in text"),
        (
            "relayhost = $a\na = $b\nb = $a\n",
            "main.cf: line 1: relayhost: unreasonable nesting of references at \"$a\" (does it refer to itself?)",
        ),
        (
            "relayhost = ${x\n",
            "main.cf: line 1: relayhost: unbalanced braces or parentheses at \"{x\"",
        ),
    ];
    for (text, expected) in cases {
        let ours = refusal(text);
        // Which of the two names of a loop is met at the limit is a matter of parity.
        assert_eq!(ours.replace("\"$b\"", "\"$a\""), expected, "{text:?}");
    }
}

#[test]
fn all_errors_of_a_file_are_found_at_once() {
    let main = parse("soft_bounce = x\nsmtp_rcpt_timeout = x\nlmtp_rcpt_timeout = x\n");
    let names: Vec<_> = main
        .errors()
        .into_iter()
        .filter_map(|error| error.parameter)
        .collect();
    assert_eq!(
        names,
        ["smtp_rcpt_timeout", "soft_bounce", "lmtp_rcpt_timeout"]
    );
}

#[test]
fn a_doubling_chain_of_references_ends() {
    for seed in ["", "x"] {
        let mut text = format!("a0 = {seed}\n");
        for n in 1..60 {
            text.push_str(&format!("a{n} = $a{m}$a{m}\n", m = n - 1));
        }
        text.push_str("relayhost = $a59\n");
        assert_eq!(
            refusal(&text),
            "main.cf: line 61: relayhost: the value becomes too long when expanded"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = MainCf::read("/nonexistent/main.cf")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nonexistent/main.cf: cannot be read: "),
        "{error}"
    );
}

#[test]
fn a_file_is_read_and_its_folder_becomes_config_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("main.cf");
    std::fs::write(
        &path,
        "# caf\u{e9}\nsmtp_reply_filter = pcre:$config_directory/filter\n",
    )
    .unwrap();
    let main = MainCf::read(&path).unwrap();
    let config = main.config(Protocol::Smtp).unwrap();
    assert_eq!(
        config.verdict.reply_filter,
        format!("pcre:{}/filter", dir.path().display())
    );
    assert_eq!(config.general.config_directory, dir.path());
    assert_eq!(main.directory(), dir.path());

    std::fs::write(&path, b"# caf\xe9\nmyhostname = caf\xe9\n").unwrap();
    let error = MainCf::read(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: line 2: the text is not UTF-8", path.display())
    );
}

#[test]
fn a_file_without_end_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large.cf");
    std::fs::File::create(&large)
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    for path in [
        large.as_path(),
        Path::new("/dev/zero"),
        Path::new("/dev/full"),
    ] {
        assert_eq!(
            MainCf::read(path).unwrap_err().to_string(),
            format!(
                "{}: cannot be read: more than 67108864 bytes",
                path.display()
            )
        );
    }
    let error = MainCf::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("cannot be read: Is a directory"), "{error}");
    assert_eq!(MainCf::read("/dev/null").unwrap().errors(), vec![]);
}

#[test]
fn a_line_of_a_megabyte_is_just_a_long_value() {
    let long = "x".repeat(1 << 20);
    let config = smtp(&format!(
        "smtp_bind_address =\nsmtp_pix_workarounds = {long}\n"
    ));
    assert_eq!(config.helo.pix_workarounds, long);
    assert!(refusal(&long).len() < 200);
    assert!(refusal(&format!("soft_bounce = {long}")).len() < 200);
    assert_eq!(warnings(&format!("{long} = 1")).len(), 1);
}
