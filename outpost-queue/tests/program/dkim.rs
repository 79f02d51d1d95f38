//! Tests of the key that signs reports about TLS.
#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::common::{MESSAGE, Queue, Run};

/// A queue with a key of the tests beside it.
struct Keyed {
    queue: Queue,
    key: String,
}

impl Keyed {
    fn new(name: &str, mode: u32) -> Self {
        let queue = Queue::new();
        let key = queue.path("key.pem");
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
        fs::copy(keys.join(name), &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        queue.run(&["migrate"]).exits(0);
        Self { queue, key }
    }

    /// Runs a command with a selector, the key and further settings.
    fn run(&self, command: &[&str], settings: &[&str]) -> Run {
        let key = format!("queue_tls_report_dkim_key_file={}", self.key);
        let usual = [
            "inet_interfaces=127.0.0.1",
            "myhostname=box.example",
            "queue_tls_report_dkim_selector=tls",
            key.as_str(),
        ];
        let settings = usual.iter().chain(settings).flat_map(|one| ["-o", one]);
        let args: Vec<&str> = command.iter().copied().chain(settings).collect();
        self.queue.run_with(&args, MESSAGE.as_bytes())
    }
}

const RUN: &[&str] = &["run", "--tls-reports", "--drain"];

#[test]
fn a_check_says_which_record_a_key_needs() {
    let of = |name, settings: &[&str]| Keyed::new(name, 0o600).run(&["check"], settings).exits(0);
    let here = "tls._domainkey.box.example";
    of("ed25519.pem", &[]).says(&format!(
        "signed (ed25519-sha256) with the key whose record is {here}\n"
    ));
    of("rsa.pem", &[]).says("(rsa-sha256)").says(here);
    let above = [
        "myhostname=mta.box.example",
        "queue_tls_report_dkim_domain=box.example",
    ];
    of("rsa-pkcs1.pem", &above).says(here);
    // Supervisors hand secrets to a service by its group.
    Keyed::new("rsa.pem", 0o440).run(&["check"], &[]).exits(0);
}

#[test]
fn nothing_runs_without_a_signature_that_is_wanted() {
    let key_file = "queue_tls_report_dkim_key_file";
    for (name, mode, settings, parameter, why) in [
        ("ed25519.pem", 0o644, &[][..], key_file, "use chmod 600"),
        ("ed25519.pem", 0o620, &[], key_file, "0620"),
        ("rsa-1024.pem", 0o600, &[], key_file, "has 1024 bits"),
        ("ec.pem", 0o600, &[], key_file, "neither RSA nor Ed25519"),
        ("encrypted.pem", 0o600, &[], key_file, "openssl pkey -in"),
        ("rsa.txt", 0o600, &[], key_file, "no private key in PEM"),
        (
            "rsa.pem",
            0o600,
            &["queue_tls_report_dkim_domain=home.example"],
            "queue_tls_report_dkim_domain",
            "home.example does not sign for box.example",
        ),
        (
            "rsa.pem",
            0o600,
            &["queue_tls_report_dkim_domain=b\u{f6}x.example"],
            "queue_tls_report_dkim_domain",
            "xn--",
        ),
        (
            "rsa.pem",
            0o600,
            &["queue_tls_report_dkim_selector=a..b"],
            "queue_tls_report_dkim_selector",
            "is no selector",
        ),
    ] {
        let keyed = Keyed::new(name, mode);
        for command in [RUN, &["check"]] {
            let run = keyed
                .run(command, settings)
                .exits(78)
                .says(parameter)
                .says(why);
            let names_file = run.stderr.contains(&keyed.key);
            assert_eq!(names_file, parameter == key_file, "{run:?}");
        }
    }
    let keyed = Keyed::new("rsa.pem", 0o600);
    fs::remove_file(&keyed.key).unwrap();
    for command in [RUN, &["check"]] {
        keyed
            .run(command, &[])
            .exits(78)
            .says(&keyed.key)
            .says("No such file");
    }
    // Who makes no reports need not be able to read it.
    keyed.run(&["submit", "a@x.example"], &[]).exits(0);
}

#[test]
fn a_part_of_the_settings_is_no_signature() {
    let queue = Queue::new();
    let key = format!("queue_tls_report_dkim_key_file={}", queue.path("key.pem"));
    for (setting, name) in [
        (key.as_str(), "key_file"),
        ("queue_tls_report_dkim_selector=tls", "selector"),
        ("queue_tls_report_dkim_domain=example.org", "domain"),
    ] {
        for command in [RUN, &["check"], &["submit", "a@x.example"]] {
            let args = [command, &["-o", setting]].concat();
            let name = format!("queue_tls_report_dkim_{name}: it is of no use without");
            queue.run(&args).exits(78).says(&name);
        }
    }
}

#[test]
fn who_reports_without_a_signature_is_warned_unless_a_relay_may_sign() {
    let warning = "have no DKIM signature";
    let keyed = Keyed::new("rsa.pem", 0o600);
    let nowhere = keyed.queue.path("none/queue.db");
    let reports = |settings: &[&str]| {
        // What is wrong with the store is found out after that.
        let settings = settings.iter().flat_map(|one| ["-o", one]);
        let args = ["run", "--tls-reports", "--store", &nowhere];
        let args: Vec<&str> = args.into_iter().chain(settings).collect();
        crate::common::run(&args).exits(69)
    };
    reports(&[]).says(warning);
    let run = reports(&["relayhost=[relay.example]"]);
    assert!(!run.stderr.contains(warning), "{run:?}");
    let key = format!("queue_tls_report_dkim_key_file={}", keyed.key);
    let selector = "queue_tls_report_dkim_selector=tls";
    let run = reports(&["myhostname=box.example", &key, selector]);
    assert!(!run.stderr.contains(warning), "{run:?}");
}
