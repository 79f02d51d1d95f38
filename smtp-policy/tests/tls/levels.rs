//! Which level leads where, by what the server does.

use std::time::Duration;

use crate::{
    certificates::self_signed,
    server::Offer,
    world::{World, brief},
};

/// Where the mail went.
const PLAIN: (bool, bool) = (true, false);
const SECRET: (bool, bool) = (false, true);
const NOWHERE: (bool, bool) = (false, false);

fn check(level: &str, offer: Offer, age: u64, expected: &str, mail: (bool, bool)) -> World {
    let mut world = World::new(offer);
    world.age = Duration::from_secs(age);
    let outcome = world.deliver(&format!("smtp_tls_security_level = {level}\n"));
    let found = format!("{} {}", brief(&outcome), outcome.text);
    assert!(found.starts_with(expected), "{level}: {found}");
    assert_eq!(world.mail(), mail, "{level}: {found}");
    world
}

#[test]
fn without_a_demand_tls_is_taken_where_it_is_offered() {
    let tls = || Offer::StartTls(self_signed(&["x.example"]).server());
    check("none", tls(), 0, "sent", PLAIN);
    check("may", tls(), 0, "sent", SECRET);
    check("may", Offer::Nothing, 0, "sent", PLAIN);
    check("may", Offer::Refuse("454 4.7.0 later"), 0, "sent", PLAIN);
    check("encrypt", tls(), 0, "sent", SECRET);
}

#[test]
fn a_demand_that_is_not_met_is_a_failure_of_the_server() {
    let mx = "mx1.example.net[192.0.2.1]";
    let table = [
        (
            Offer::Nothing,
            "deferred 4.7.4 TLS is required, but was not offered by host".to_owned(),
        ),
        (
            Offer::Refuse("454 4.7.0 later"),
            format!("deferred 4.7.0 TLS is required, but host {mx} refused to start TLS: 454"),
        ),
        (
            Offer::Refuse("502 5.5.1 never"),
            "bounced 5.5.1 TLS is required".to_owned(),
        ),
        (
            Offer::Garbage,
            "deferred 4.7.5 Cannot start TLS: handshake failure".to_owned(),
        ),
        (
            Offer::Stall,
            "deferred 4.7.5 Cannot start TLS: handshake failure".to_owned(),
        ),
        (
            Offer::Close,
            "deferred 4.7.5 Cannot start TLS: handshake failure".to_owned(),
        ),
    ];
    for (offer, expected) in table {
        check("encrypt", offer, 1000, &expected, NOWHERE);
    }
}

#[test]
fn plaintext_is_tried_after_a_failed_handshake_only_for_mail_that_has_waited() {
    for offer in [Offer::Garbage, Offer::Stall, Offer::Close] {
        let world = check(
            "may",
            offer.clone(),
            299,
            "deferred 4.7.5 Cannot start TLS",
            NOWHERE,
        );
        assert_eq!(world.past.len(), 1);
        let world = check("may", offer, 300, "sent 2.0.0", PLAIN);
        assert_eq!(world.past.len(), 2);
    }
}

#[test]
fn plaintext_is_tried_when_a_tls_session_breaks_in_the_middle() {
    let offer = || Offer::CloseAtMail(self_signed(&["x.example"]).server());
    let world = check("may", offer(), 0, "deferred 4.4.2 lost connection", SECRET);
    assert_eq!(world.past.len(), 1);
    let world = check("may", offer(), 300, "sent 2.0.0", (true, true));
    assert_eq!(world.past.len(), 2);
    check(
        "encrypt",
        offer(),
        300,
        "deferred 4.4.2 lost connection",
        SECRET,
    );
}

#[test]
fn plaintext_is_not_tried_where_a_login_could_go_with_it() {
    let mut world = World::new(Offer::Garbage);
    world.age = Duration::from_secs(1000);
    let outcome = world.deliver(
        "smtp_tls_security_level = may\nsmtp_sasl_auth_enable = yes\n\
         smtp_sasl_password_maps = inline:{{example.com = user:secret}}\n",
    );
    assert_eq!(
        (brief(&outcome).as_str(), world.mail()),
        ("deferred 4.7.5", NOWHERE)
    );
}

#[test]
fn a_probe_is_tried_in_plaintext_whatever_its_age() {
    let mut world = World::new(Offer::Garbage);
    world.probe = true;
    let outcome = world.deliver("smtp_tls_security_level = may\n");
    assert_eq!((outcome.word, world.past.len()), ("deliverable", 2));
}

#[test]
fn injected_plaintext_changes_nothing_and_is_told() {
    let offer = Offer::Inject(self_signed(&["x.example"]).server());
    let world = check("encrypt", offer, 0, "sent 2.0.0", SECRET);
    assert!(world.noted("discarding 29 bytes of plaintext that follow the STARTTLS reply"));
    // What was injected offered a login; the MAIL command came after a new EHLO.
    assert!(
        world.past[0]
            .secret
            .iter()
            .any(|line| line.starts_with("EHLO"))
    );
}

#[test]
fn a_connection_lost_before_the_reply_to_starttls_is_lost_there() {
    let mut world = World::new(Offer::Refuse("454 later"));
    // As long as greeting and EHLO reply.
    world.budget = 52;
    let outcome = world.deliver("smtp_tls_security_level = encrypt\n");
    let end = "while receiving the STARTTLS response";
    assert!(
        outcome.text.starts_with("lost connection"),
        "{}",
        outcome.text
    );
    assert!(outcome.text.ends_with(end), "{}", outcome.text);
}

#[test]
fn every_chunking_gives_the_same_dialogue() {
    let offer = Offer::StartTls(self_signed(&["x.example"]).server());
    for piece in [1, 7, 100, 1500] {
        let mut world = World::new(offer.clone());
        world.piece = piece;
        let outcome = world.deliver("smtp_tls_security_level = encrypt\n");
        assert_eq!(brief(&outcome), "sent 2.0.0", "{piece}");
        assert!(world.past[0].goodbye, "{piece}");
    }
}

#[test]
fn wrapper_mode_greets_inside_tls_and_needs_a_demand() {
    let offer = || Offer::Wrapped(self_signed(&["x.example"]).server());
    let mut world = World::new(offer());
    let main_cf = "smtp_tls_wrappermode = yes\nsmtp_tls_security_level = encrypt\n";
    assert_eq!(brief(&world.deliver(main_cf)), "sent 2.0.0");
    assert!(world.past[0].plain.is_empty());
    assert!(!world.past[0].secret.iter().any(|line| line == "STARTTLS"));

    let mut world = World::new(offer());
    let outcome = world.deliver("smtp_tls_wrappermode = yes\nsmtp_tls_security_level = may\n");
    assert_eq!(
        (brief(&outcome).as_str(), world.past.len()),
        ("deferred 4.3.0", 0)
    );
    assert!(world.noted("smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\""));
}

#[test]
fn versions_that_the_server_lacks_are_a_failed_handshake() {
    let server = self_signed(&["x.example"]);
    let old = || Offer::StartTls(server.server_with(&[&rustls::version::TLS12], None));
    let table = [
        (">=TLSv1.3", "deferred 4.7.5"),
        (">=TLSv1.2", "sent 2.0.0"),
        ("TLSv1.2", "sent 2.0.0"),
        ("!TLSv1.2", "deferred 4.7.5"),
        ("<=TLSv1.1", "deferred 4.7.5"),
    ];
    for (list, expected) in table {
        let mut world = World::new(old());
        let outcome = world.deliver(&format!(
            "smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = {list}\n"
        ));
        assert_eq!(brief(&outcome), expected, "{list}");
        assert_eq!(world.mail().1, expected.starts_with("sent"), "{list}");
    }
}

#[test]
fn what_an_entry_of_the_table_says_and_nobody_can_read_is_a_failed_handshake() {
    let server = self_signed(&["x.example"]);
    let table = [
        ("protocols=nonsense", "Invalid TLS protocol list"),
        ("exclude=!AES", "invalid unary"),
    ];
    for (attribute, note) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        let outcome = world.deliver(&format!(
            "smtp_tls_policy_maps = inline:{{{{example.com = encrypt {attribute}}}}}\n"
        ));
        assert_eq!(brief(&outcome), "deferred 4.7.5", "{attribute}");
        assert!(world.noted(note), "{attribute}: {:?}", world.notes);
    }
}

#[test]
fn cipher_settings_choose_among_the_ciphers_that_there_are() {
    let server = self_signed(&["x.example"]);
    let both = || server.server();
    let old = || server.server_with(&[&rustls::version::TLS12], None);
    let table = [
        (
            both(),
            "smtp_tls_mandatory_ciphers = high",
            "sent 2.0.0",
            "AES_256_GCM",
        ),
        (
            old(),
            "smtp_tls_mandatory_ciphers = export",
            "sent 2.0.0",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            old(),
            "smtp_tls_exclude_ciphers = AES256",
            "sent 2.0.0",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            old(),
            "smtp_tls_mandatory_exclude_ciphers = AESGCM, RC4",
            "sent 2.0.0",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
        (
            both(),
            "smtp_tls_mandatory_ciphers = null",
            "deferred 4.7.5",
            "error setting cipher grade",
        ),
    ];
    for (config, setting, expected, note) in table {
        let mut world = World::new(Offer::StartTls(config));
        let outcome = world.deliver(&format!(
            "smtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\n{setting}\n"
        ));
        assert_eq!(brief(&outcome), expected, "{setting}");
        assert!(world.noted(note), "{setting}: {:?}", world.notes);
    }
    let mut world = World::new(Offer::StartTls(both()));
    world.deliver("smtp_tls_security_level = may\nsmtp_tls_ciphers = null\n");
    assert_eq!(world.mail(), SECRET);
}

#[test]
fn an_offer_is_noted_where_it_is_not_taken() {
    let offer = Offer::StartTls(self_signed(&["x.example"]).server());
    let mut world = World::new(offer);
    world.deliver("smtp_tls_security_level = none\nsmtp_tls_note_starttls_offer = yes\n");
    assert!(world.noted("Host offered STARTTLS: [mx1.example.net]"));
}

#[test]
fn the_summary_is_logged_where_it_is_wanted() {
    let offer = Offer::StartTls(self_signed(&["x.example"]).server());
    let line = "Untrusted TLS connection established to mx1.example.net[192.0.2.1]:25: TLSv1.3 \
                with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 \
                server-signature ECDSA (prime256v1) server-digest SHA256";
    for (level, logged) in [("0", false), ("1", true), ("2", true)] {
        let mut world = World::new(offer.clone());
        world.deliver(&format!(
            "smtp_tls_security_level = may\nsmtp_tls_loglevel = {level}\n"
        ));
        assert_eq!(world.noted(line), logged, "{level}: {:?}", world.notes);
    }
}
