//! Connections that are kept: with TLS only where it is wished, and never for mail
//! that demands another level.

use smtp_proto::Time;

use crate::{
    certificates::self_signed,
    server::Offer,
    world::{World, brief},
};

const KEPT: &str = "smtp_connection_cache_destinations = example.com\n";

/// How many connections two messages take, under a main.cf each.
fn connections(first: &str, second: &str) -> (usize, World) {
    let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
    for main_cf in [first, second] {
        let outcome = world.deliver(&format!("{KEPT}{main_cf}"));
        assert_eq!(brief(&outcome), "sent 2.0.0");
    }
    let kept = world.cache.drain();
    let count = world.past.len() + kept.len();
    world
        .past
        .extend(kept.into_iter().map(|(server, _)| server));
    (count, world)
}

#[test]
fn a_connection_with_tls_is_kept_only_where_it_is_wished() {
    let encrypt = "smtp_tls_security_level = encrypt\n";
    assert_eq!(connections(encrypt, encrypt).0, 2);
    let wished = "smtp_tls_security_level = encrypt\nsmtp_tls_connection_reuse = yes\n";
    let (count, world) = connections(wished, wished);
    assert_eq!(count, 1);
    assert!(world.noted("TLS connection reused to mx1.example.net[192.0.2.1]:25"));
    let by_table = "smtp_tls_policy_maps = inline:{{example.com = encrypt connection_reuse=yes}}\n";
    assert_eq!(connections(by_table, by_table).0, 1);
}

#[test]
fn a_connection_without_tls_does_not_serve_mail_that_demands_it() {
    let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
    // Kept by its endpoint only: the next hop is an address.
    let main_cf = "smtp_connection_cache_destinations = 192.0.2.1\n";
    for (level, nexthop) in [("none", "[192.0.2.1]"), ("encrypt", "[192.0.2.1]:25")] {
        world.nexthop = nexthop;
        let outcome = world.deliver(&format!("{main_cf}smtp_tls_security_level = {level}\n"));
        assert_eq!(brief(&outcome), "sent 2.0.0");
    }
    let secret = world
        .past
        .iter()
        .filter(|s| s.secret.iter().any(|l| l.starts_with("MAIL")));
    assert_eq!(secret.count(), 1);
    assert_eq!(world.cache.drain().len(), 1);
    assert_eq!(world.now, Time::ZERO);
}

#[test]
fn what_is_said_inside_tls_while_the_connection_rests_is_no_reply() {
    for line in [
        "250 2.0.0 late",
        "250 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n250 lost",
        "421 idle",
    ] {
        let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
        world.at_rest = Some(line);
        let wished = "smtp_tls_security_level = encrypt\nsmtp_tls_connection_reuse = yes\n";
        for _ in 0..2 {
            let outcome = world.deliver(&format!("{KEPT}{wished}"));
            assert_eq!(outcome.text, "250 2.0.0 queued", "{line}");
        }
        assert_eq!(world.connects, 2, "{line}");
        let last = world.past[0].secret.last();
        assert_eq!(last.map(String::as_str), Some("RSET"), "{line}");
    }
}
