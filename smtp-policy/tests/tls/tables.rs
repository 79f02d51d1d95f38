//! The policy table and the per-site table, as rows of entry and outcome.

use std::fs;

use tempfile::TempDir;

use crate::{
    certificates::{Authority, pem, self_signed},
    server::Offer,
    world::{World, brief},
};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Mail {
    Plain,
    Secret,
    Held,
}

fn outcome(world: &World, brief: &str) -> Mail {
    match (brief.starts_with("sent"), world.mail()) {
        (true, (true, false)) => Mail::Plain,
        (true, (false, true)) => Mail::Secret,
        (false, (false, false)) => Mail::Held,
        other => panic!("{other:?}"),
    }
}

/// A table of these entries, which are separated by a comma and a blank.
fn inline(entries: &str) -> String {
    let braced = |entry: &str| format!("{{{}}}", entry.trim_matches(['{', '}']));
    format!(
        "inline:{{{}}}",
        entries
            .split(", ")
            .map(braced)
            .collect::<Vec<_>>()
            .join(" ")
    )
}

#[test]
fn the_policy_table_is_asked_for_the_destination_and_its_parents() {
    let server = self_signed(&["x.example"]);
    let table = [
        // destination, global level, table, mail
        ("example.com", "none", "example.com = encrypt", Mail::Secret),
        ("example.com", "encrypt", "example.com = none", Mail::Plain),
        (
            "example.com",
            "encrypt",
            "example.com = none match=x",
            Mail::Plain,
        ),
        ("example.com", "none", ".com = encrypt", Mail::Secret),
        ("example.com", "none", "com = encrypt", Mail::Plain),
        ("example.com", "none", ".example.com = encrypt", Mail::Plain),
        (
            "example.com",
            "none",
            ".com = encrypt, example.com = none",
            Mail::Plain,
        ),
        (
            "example.com",
            "none",
            "[example.com] = encrypt",
            Mail::Plain,
        ),
        (
            "example.com",
            "none",
            "mx1.example.net = encrypt",
            Mail::Plain,
        ),
        (
            "[mx1.example.net]",
            "none",
            "[mx1.example.net] = encrypt",
            Mail::Secret,
        ),
        (
            "[mx1.example.net]",
            "none",
            "mx1.example.net = encrypt",
            Mail::Plain,
        ),
        (
            "[mx1.example.net]",
            "none",
            ".example.net = encrypt",
            Mail::Plain,
        ),
        (
            "[mx1.example.net]:25",
            "none",
            "[mx1.example.net] = encrypt",
            Mail::Plain,
        ),
        (
            "[mx1.example.net]:25",
            "none",
            "[mx1.example.net]:25 = encrypt",
            Mail::Secret,
        ),
        ("example.com", "may", "example.com = verify", Mail::Held),
        ("example.com", "may", "example.com = bogus", Mail::Held),
        (
            "example.com",
            "may",
            "{example.com = may nonsense}",
            Mail::Held,
        ),
        (
            "example.com",
            "may",
            "{example.com = may ciphers=best}",
            Mail::Held,
        ),
        (
            "example.com",
            "may",
            "{example.com = may protocols=TLSv1.2}",
            Mail::Secret,
        ),
        (
            "example.com",
            "may",
            "{example.com = may protocols=TLSv1}",
            Mail::Held,
        ),
    ];
    for (nexthop, level, entries, mail) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        world.nexthop = nexthop;
        let found = world.deliver(&format!(
            "smtp_tls_security_level = {level}\nsmtp_tls_policy_maps = {}\n",
            inline(entries)
        ));
        assert_eq!(
            outcome(&world, &brief(&found)),
            mail,
            "{nexthop} {entries}: {}",
            found.text
        );
    }
}

#[test]
fn the_per_site_table_weighs_destination_and_host() {
    let server = self_signed(&["x.example"]);
    let table = [
        ("none", "example.com = MAY", Mail::Secret),
        ("none", "mx1.example.net = may", Mail::Secret),
        ("may", "example.com = NONE", Mail::Plain),
        ("encrypt", "example.com = NONE", Mail::Plain),
        (
            "may",
            "example.com = NONE, mx1.example.net = MAY",
            Mail::Plain,
        ),
        (
            "may",
            "example.com = MAY, mx1.example.net = NONE",
            Mail::Plain,
        ),
        (
            "may",
            "example.com = NONE, mx1.example.net = MUST_NOPEERMATCH",
            Mail::Secret,
        ),
        (
            "may",
            "example.com = MUST, mx1.example.net = NONE",
            Mail::Held,
        ),
        ("none", "example.com = MUST", Mail::Held),
        ("none", "example.com = MUST_NOPEERMATCH", Mail::Secret),
        // A wildcard does not lower the level of the parameters; a demand may.
        ("verify", "example.com = MAY", Mail::Held),
        ("verify", "example.com = MUST_NOPEERMATCH", Mail::Secret),
        ("may", "example.com = PERHAPS", Mail::Held),
    ];
    for (level, entries, mail) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        let found = world.deliver(&format!(
            "smtp_tls_security_level = {level}\nsmtp_tls_per_site = {}\n",
            inline(entries)
        ));
        assert_eq!(
            outcome(&world, &brief(&found)),
            mail,
            "{level} {entries}: {}",
            found.text
        );
    }
}

#[test]
fn tables_that_fail_hold_the_mail() {
    for (setting, expected) in [
        (
            "smtp_tls_policy_maps = fail:x",
            "deferred 4.7.5 client TLS configuration problem",
        ),
        (
            "smtp_tls_per_site = fail:x",
            "deferred 4.3.0 Temporary lookup error",
        ),
    ] {
        let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
        let found = world.deliver(&format!("smtp_tls_security_level = may\n{setting}\n"));
        assert_eq!(format!("{} {}", brief(&found), found.text), expected);
        assert!(world.past.is_empty());
    }
}

#[test]
fn the_obsolete_switches_stand_for_levels() {
    let server = self_signed(&["x.example"]);
    let table = [
        ("", Mail::Plain),
        ("smtp_use_tls = yes", Mail::Secret),
        ("smtp_enforce_tls = yes", Mail::Held),
        (
            "smtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no",
            Mail::Secret,
        ),
        (
            "smtp_use_tls = yes\nsmtp_tls_security_level = none",
            Mail::Plain,
        ),
    ];
    for (settings, mail) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        let found = world.deliver(&format!("{settings}\n"));
        assert_eq!(outcome(&world, &brief(&found)), mail, "{settings}");
    }
}

#[test]
fn trust_anchor_files_of_the_table_are_read_at_the_start() {
    let anchor = Authority::new("anchor");
    let server = anchor.issue(&["example.com"]);
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("ta.pem"), pem("CERTIFICATE", &anchor.der)).unwrap();
    for (entry, mail) in [
        ("secure tafile=ta.pem", Mail::Secret),
        ("secure tafile=missing.pem", Mail::Held),
        ("secure match=other.example tafile=ta.pem", Mail::Held),
        ("secure", Mail::Held),
    ] {
        fs::write(dir.path().join("policy"), format!("example.com {entry}\n")).unwrap();
        let mut world = World::new(Offer::StartTls(server.server()));
        let found = world.deliver_in(dir.path(), "smtp_tls_policy_maps = texthash:policy\n");
        assert_eq!(
            outcome(&world, &brief(&found)),
            mail,
            "{entry}: {:?}",
            world.notes
        );
    }
}

#[test]
fn patterns_of_an_mta_sts_policy_hold_for_the_server_and_its_certificate() {
    let ca = Authority::new("ca");
    let server = ca.issue(&["mx1.example.net"]);
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    let (secret, held) = (Mail::Secret, Mail::Held);
    for (entry, enforced, loose) in [
        (
            "match=x.example policy_type=sts mx_host_pattern=*.example.net",
            secret,
            held,
        ),
        (
            "match=mx1.example.net policy_type=sts mx_host_pattern=mx1.example.net",
            secret,
            secret,
        ),
        (
            "match=mx1.example.net policy_type=sts mx_host_pattern=*.example.org",
            held,
            secret,
        ),
        (
            "match=mx1.example.net policy_type=sts policy_domain=a.example policy_ttl=9",
            secret,
            secret,
        ),
        (
            "match=mx1.example.net policy_type=tlsa mx_host_pattern=*.example.org",
            secret,
            secret,
        ),
        (
            "match=mx1.example.net mx_host_pattern=*.example.net",
            held,
            held,
        ),
    ] {
        for (enforce, mail) in [("yes", enforced), ("no", loose)] {
            let main_cf = format!(
                "smtp_tls_CAfile = ca.pem\nsmtp_tls_enforce_sts_mx_patterns = {enforce}\n\
                 smtp_tls_policy_maps = inline:{{{{example.com = secure {entry}}}}}\n"
            );
            let mut world = World::new(Offer::StartTls(server.server()));
            let found = world.deliver_in(dir.path(), &main_cf);
            let about = format!("{enforce} {entry}: {:?}", world.notes);
            assert_eq!(outcome(&world, &brief(&found)), mail, "{about}");
        }
    }
}
