//! The tables of a main.cf as settings have them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::compile::*;
use super::*;
use smtp_policy::dns::ResolverConfig;
use smtp_policy::settings::{Credentials, Settings};
use smtp_policy::tables::KeyCase;

fn client(folder: &Path, main_cf: &str) -> Result<Arc<Settings>, CompileError> {
    let main_cf = MainCf::parse(main_cf, "main.cf", folder).unwrap();
    let policy = compile(&main_cf, ResolverConfig::default(), &[])?;
    Ok(Arc::clone(policy.settings(Protocol::Smtp)))
}

/// The parameters with tables, and how Postfix compares keys in them.
const CASES: [(&str, KeyCase); 13] = [
    ("smtp_generic_maps", KeyCase::Unicode),
    ("smtp_tls_policy_maps", KeyCase::Unicode),
    ("smtp_tls_per_site", KeyCase::Unicode),
    ("smtp_sasl_password_maps", KeyCase::Unicode),
    ("smtp_reply_filter", KeyCase::Ascii),
    ("smtp_dns_reply_filter", KeyCase::Ascii),
    ("smtp_header_checks", KeyCase::Exact),
    ("smtp_mime_header_checks", KeyCase::Exact),
    ("smtp_nested_header_checks", KeyCase::Exact),
    ("smtp_body_checks", KeyCase::Exact),
    ("smtp_discard_ehlo_keyword_address_maps", KeyCase::Exact),
    ("smtp_pix_workaround_maps", KeyCase::Exact),
    ("smtp_delivery_status_filter", KeyCase::Exact),
];

/// Returns whether a key is in the tables of a parameter.
fn finds(client: &Settings, parameter: &str, key: &str) -> bool {
    let content = &client.content;
    let maps = match parameter {
        "smtp_generic_maps" => &content.generic,
        "smtp_tls_policy_maps" => &client.tls.policy,
        "smtp_tls_per_site" => &client.tls.per_site,
        "smtp_sasl_password_maps" => match &client.login.as_ref().unwrap().credentials {
            Credentials::Passwords(passwords) => passwords.expose(),
            other => panic!("{other:?}"),
        },
        "smtp_reply_filter" => {
            let table = client.verdict.reply_filter.as_ref().unwrap();
            return table.lookup(key).unwrap().is_some();
        }
        "smtp_dns_reply_filter" => &client.lookup.filter,
        "smtp_header_checks" => &content.header_checks,
        "smtp_mime_header_checks" => &content.mime_header_checks,
        "smtp_nested_header_checks" => &content.nested_header_checks,
        "smtp_body_checks" => &content.body_checks,
        "smtp_discard_ehlo_keyword_address_maps" => &client.hello.discard_by_address,
        "smtp_pix_workaround_maps" => &client.hello.pix.by_address,
        "smtp_delivery_status_filter" => &client.verdict.status_filter,
        other => panic!("{other}"),
    };
    maps.lookup(key).unwrap().is_some()
}

#[test]
fn each_parameter_compares_keys_as_postfix_does() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"KEY x\nSTRASSE x\nlow x\n").unwrap();
    let file = file.path().display();
    for (parameter, case) in CASES {
        for table in [
            "inline:{KEY=x,STRASSE=x,low=x}".to_owned(),
            format!("texthash:{file}"),
            format!("hash:{file}"),
        ] {
            for utf8 in ["yes", "no"] {
                let main_cf = format!(
                    "smtputf8_enable = {utf8}\nsmtp_sasl_auth_enable = yes\n\
                         smtp_sasl_password_maps = static:x\n{parameter} = {table}\n"
                );
                let client = client(Path::new("/"), &main_cf).unwrap();
                let finds = |key: &str| finds(&client, parameter, key);
                let about = format!("{parameter} = {table}, smtputf8_enable = {utf8}");
                // What postmap(1) makes is in lower case.
                let made = table.starts_with("hash:");
                let folds = case != KeyCase::Exact;
                assert_eq!(finds("KEY"), folds || !made, "{about}");
                assert_eq!(finds("key"), folds || made, "{about}");
                assert_eq!(finds("LOW"), folds, "{about}");
                let all = case == KeyCase::Unicode && utf8 == "yes";
                assert_eq!(finds("Straße"), all, "{about}");
            }
        }
    }
}

#[test]
fn lists_ask_their_tables_in_lower_case() {
    let main_cf = "smtp_connection_cache_destinations = inline:{A.EXAMPLE=x,b.example=x}, C.EXAMPLE\n\
                       debug_peer_list = inline:{A.EXAMPLE=x,b.example=x}, C.EXAMPLE\n";
    let client = client(Path::new("/nonexistent"), main_cf).unwrap();
    for (name, found) in [
        ("a.example", false),
        ("A.EXAMPLE", false),
        ("B.Example", true),
        ("c.example", true),
    ] {
        assert_eq!(
            client.reuse.destinations.contains(name),
            Ok(found),
            "{name}"
        );
        assert_eq!(
            client.verdict.debug_peers.contains_host(name, "192.0.2.1"),
            Ok(found),
            "{name}"
        );
    }
}

#[test]
fn an_external_table_is_refused_where_none_can_be_asked() {
    for (parameter, shown) in [
        ("smtp_dns_reply_filter", "external:records"),
        ("smtp_reply_filter", "external:records"),
    ] {
        let main_cf = format!("{parameter} = external:records\n");
        let error = client(Path::new("/nonexistent"), &main_cf)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("main.cf: line 1: {parameter}: {shown}: ")),
            "{error}"
        );
    }
    let main_cf = "smtp_dns_reply_filter = inline:{a=IGNORE}, external:records\n";
    assert!(client(Path::new("/nonexistent"), main_cf).is_err());
}
