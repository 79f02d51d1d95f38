//! What becomes of the message text and its addresses between the request and the
//! server.

use core::time::Duration;

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    report::{Outcome, Relay},
    request::{DeliveryFlags, Encoding, Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

use crate::{World, brief};

const EIGHT_BIT: &str = "Content-Transfer-Encoding: 8bit\n\nGr\u{fc}\u{df}e\n";

fn request(to: &[&str]) -> Request {
    let recipients = to
        .iter()
        .map(|a| Recipient::new(Address::parse(a).unwrap()))
        .collect();
    let sender = ReversePath::parse("from@example.org").unwrap();
    let mut request = Request::new(
        Protocol::Smtp,
        "example.com".parse().unwrap(),
        sender,
        recipients,
    );
    request.encoding = Encoding::EightBit;
    request
}

fn flagged(letters: &str, to: &[&str]) -> Request {
    let mut request = request(to);
    request.flags = DeliveryFlags {
        delivered_to: letters.contains('D'),
        original_to: letters.contains('O'),
        return_path: letters.contains('R'),
        final_delivery: false,
    };
    request
}

fn deliver(world: &mut World, main_cf: &str, text: &str, request: Request) -> Vec<Outcome> {
    world.text = Bytes::copy_from_slice(text.as_bytes());
    world.run(main_cf, request)
}

/// What came behind DATA.
fn received(world: &World) -> Vec<&str> {
    let lines = world.heard.iter().map(String::as_str);
    lines
        .skip_while(|line| *line != "DATA")
        .skip(1)
        .take_while(|line| *line != ".")
        .collect()
}

#[test]
fn eight_bit_text_is_converted_for_a_server_that_cannot_take_it() {
    let mut world = World::new();
    deliver(&mut world, "", EIGHT_BIT, request(&["a@example.com"]));
    let want = [
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Gr=C3=BC=C3=9Fe",
    ];
    assert_eq!(received(&world), want);
}

#[test]
fn each_server_gets_what_it_can_take() {
    let offering = &[("EHLO", "250-mx\r\n250 8BITMIME")];
    let busy = &[(".", "450 4.3.2 later")];
    let mut world = World::new()
        .with_server("192.0.2.1", busy)
        .with_backup("192.0.2.2", offering);
    let outcomes = deliver(&mut world, "", EIGHT_BIT, request(&["a@example.com"]));
    assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
    let lines = |text: &str| world.heard.iter().filter(|line| *line == text).count();
    assert_eq!((lines("Gr=C3=BC=C3=9Fe"), lines("Gr\u{fc}\u{df}e")), (1, 1));
    let senders = world.heard.iter().filter(|line| line.starts_with("MAIL"));
    let declared: Vec<bool> = senders
        .map(|line| line.ends_with(" BODY=8BITMIME"))
        .collect();
    assert_eq!(declared, [false, true]);
}

#[test]
fn a_message_that_nests_without_end_is_returned_and_no_other_server_tried() {
    let mut text = String::new();
    for level in 0..1000 {
        text.push_str(&format!(
            "Content-Type: multipart/x; boundary=b{level}-\n\n--b{level}-\n"
        ));
    }
    let mut world = World::new().with_backup("192.0.2.2", &[]);
    let outcomes = deliver(&mut world, "", &text, request(&["a@example.com"]));
    assert_eq!(brief(&outcomes), ["bounced 5.6.0"]);
    assert_eq!(outcomes[0].text, "MIME nesting exceeds safety limit");
    assert_eq!(world.connects, 1);
    assert!(!world.heard.iter().any(|line| line == "." || line == "QUIT"));
}

#[test]
fn a_table_that_fails_in_the_text_defers_and_the_next_server_is_tried() {
    let mut world = World::new().with_backup("192.0.2.2", &[]);
    world.tables.insert("checks", Err("on fire"));
    let main_cf = "smtp_body_checks = external:checks\n";
    let outcomes = deliver(&mut world, main_cf, EIGHT_BIT, request(&["a@example.com"]));
    assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
    assert_eq!(
        outcomes[0].text,
        "local data error while talking to mx2.example[192.0.2.2]"
    );
    assert_eq!(world.connects, 2);
    assert!(world.notes.iter().any(|note| note.contains("on fire")));
    assert!(
        world
            .notes
            .contains(&"smtp body checks lookup error".to_owned())
    );
    assert!(!world.heard.iter().any(|line| line == "."));
}

/// A table whose look-ups go back as far as they may, without failing.
const SLOW: &str = "pcre:{{/^(?:a|a(?!b)){1,10}c$$/ x@y}}";

#[test]
fn the_end_of_the_whole_time_is_seen_between_slow_look_ups() {
    let line = format!("{}\n", "a".repeat(40));
    let text = format!("X: y\n\n{}", line.repeat(1000));
    let main_cf = format!("smtp_body_checks = {SLOW}\n");
    let mut world = World::new();
    world.pause = Duration::from_secs(10_000);
    let outcomes = deliver(&mut world, &main_cf, &text, request(&["a@example.com"]));
    assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
    // A look-up counts as a quarter of the steps between two pauses.
    assert_eq!(world.pauses, 2);
    let lines = world.heard.iter().filter(|line| line.starts_with('a'));
    assert!(lines.count() <= 8);
}

#[test]
fn the_end_of_the_whole_time_is_seen_between_slow_addresses() {
    let to: Vec<String> = (0..100)
        .map(|number| format!("{}{number}@example.com", "a".repeat(40)))
        .collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let main_cf = format!("smtp_generic_maps = {SLOW}\n");
    let mut world = World::new();
    world.pause = Duration::from_secs(10_000);
    let outcomes = deliver(&mut world, &main_cf, "x\n", request(&to));
    assert!(
        brief(&outcomes)
            .iter()
            .all(|outcome| outcome == "deferred 4.3.0")
    );
    assert_eq!((world.pauses, world.connects), (2, 0));
}

#[test]
fn the_log_is_ascii_without_smtputf8_enable() {
    for (enable, expected) in [("yes", "Gr\u{fc}\u{df}e"), ("no", "Gr????e")] {
        let main_cf =
            format!("smtputf8_enable = {enable}\nsmtp_header_checks = pcre:{{{{/^X/ INFO}}}}\n");
        let mut world = World::new();
        let text = "X: Gr\u{fc}\u{df}e\n\nx\n";
        deliver(&mut world, &main_cf, text, request(&["a@example.com"]));
        let note = world.notes.iter().find(|note| note.contains("header X"));
        assert!(note.unwrap().contains(expected), "{:?}", world.notes);
    }
}

#[test]
fn a_table_outside_the_engine_is_asked_about_every_line() {
    let mut world = World::new();
    world.tables.insert("checks", Ok("REPLACE Seen: x"));
    let main_cf = "smtp_header_checks = external:checks\n";
    let outcomes = deliver(
        &mut world,
        main_cf,
        "A: b\nC: d\n\ne\n",
        request(&["a@example.com"]),
    );
    assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
    assert_eq!(received(&world), ["Seen: x", "Seen: x", "", "e"]);
    assert!(
        world
            .notes
            .contains(&"replace: header A: b: Seen: x".to_owned())
    );
}

#[test]
fn generic_maps_change_the_envelope() {
    let mut world = World::new();
    let main_cf =
        "smtp_generic_maps = inline:{from@example.org=<>,{a@example.com=\"x y\"@example.net}}\n";
    let to = ["a@example.com", "b@example.com"];
    let outcomes = deliver(&mut world, main_cf, "A: b\n", request(&to));
    assert_eq!(brief(&outcomes), ["sent 2.0.0", "sent 2.0.0"]);
    let want = [
        "MAIL FROM:<>",
        "RCPT TO:<\"x y\"@example.net>",
        "RCPT TO:<b@example.com>",
    ];
    assert!(
        want.iter()
            .all(|want| world.heard.iter().any(|line| line == want))
    );
}

#[test]
fn generic_maps_outside_the_engine_are_asked_before_there_is_a_server() {
    let mut world = World::new();
    world.tables.insert("generic", Ok("other@example.net"));
    let main_cf = "smtp_generic_maps = external:generic\n";
    deliver(
        &mut world,
        main_cf,
        "To: x@y\n",
        request(&["a@example.com"]),
    );
    assert!(
        world
            .heard
            .contains(&"MAIL FROM:<other@example.net>".to_owned())
    );
    assert!(
        world
            .heard
            .contains(&"RCPT TO:<other@example.net>".to_owned())
    );
    assert_eq!(received(&world), ["To: other@example.net"]);

    for (answer, text) in [
        (
            Err("on fire"),
            "smtp_generic_maps map lookup problem for from@example.org",
        ),
        (
            Ok(","),
            "smtp_generic_maps map lookup problem for from@example.org",
        ),
        (Ok("<>"), "generic maps give \"\": the address is empty"),
    ] {
        let mut world = World::new();
        world.tables.insert("generic", answer);
        let outcomes = deliver(&mut world, main_cf, "", request(&["a@example.com"]));
        assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
        assert_eq!((outcomes[0].text.as_str(), world.connects), (text, 0));
    }
}

#[test]
fn a_mapped_address_cannot_break_out_of_its_command() {
    let mut world = World::new();
    world.tables.insert("generic", Ok("a@b\r\nRCPT TO:<c@d>"));
    let main_cf = "smtp_generic_maps = external:generic\n";
    deliver(&mut world, main_cf, "A: b\n", request(&["a@example.com"]));
    assert!(
        !world
            .heard
            .iter()
            .any(|line| line.starts_with("RCPT TO:<c@d>"))
    );
}

#[test]
fn a_recipient_that_the_message_was_delivered_to_before_is_returned() {
    let mut world = World::new();
    let header = "X: y\n".repeat(20_000);
    let text = format!("{header}Delivered-To: A@example.com\n\nx\n");
    let outcomes = deliver(&mut world, "", &text, flagged("D", &["a@example.com"]));
    assert_eq!(brief(&outcomes), ["bounced 5.4.6"]);
    assert_eq!(outcomes[0].text, "mail forwarding loop for a@example.com");
    let service = Relay::Service(Protocol::Smtp.into());
    assert_eq!((&outcomes[0].relay, world.connects), (&service, 0));

    let text = format!("{header}\nDelivered-To: a@example.com\n");
    let outcomes = deliver(&mut world, "", &text, flagged("DR", &["a@example.com"]));
    assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
    let start = [
        "Return-Path: <from@example.org>",
        "Delivered-To: a@example.com",
        "X: y",
    ];
    assert_eq!(received(&world)[..3], start);
}

#[test]
fn a_field_for_one_recipient_cannot_be_added_for_two() {
    for (letters, fails) in [("D", true), ("O", true), ("R", false)] {
        let mut world = World::new();
        let to = ["a@example.com", "b@example.com"];
        let outcomes = deliver(&mut world, "", "A: b\n", flagged(letters, &to));
        if fails {
            assert_eq!(brief(&outcomes), ["deferred 4.3.5", "deferred 4.3.5"]);
            assert_eq!(outcomes[1].text, "mail system configuration error");
            let warning = format!("flag `{letters}' requires smtp_destination_recipient_limit = 1");
            assert!(world.notes.contains(&warning));
        } else {
            assert_eq!(brief(&outcomes), ["sent 2.0.0", "sent 2.0.0"]);
        }
        assert_eq!(world.connects, usize::from(!fails));
    }
}

#[test]
fn a_long_text_waits_at_its_source_however_it_grows() {
    let body = "\u{e9}".repeat(30) + "\n";
    let text = format!("Content-Transfer-Encoding: 8bit\n\n{}", body.repeat(10_000));
    let main_cf = "smtp_body_checks = regexp:{{/=$$/ PREPEND and a line before each}}\n";
    let mut world = World::new();
    let outcomes = deliver(&mut world, main_cf, &text, request(&["a@example.com"]));
    assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
    assert!(received(&world).len() > 30_000);
    assert!(world.most_queued < 70_000, "{}", world.most_queued);
}

/// The text of a smuggler: a server that takes a CR for a line end sees two messages.
const STRAY: &str = "Subject: x\r\n\r\na\r.\r\nMAIL FROM:<b@example.com>\rend\r";
const REPLACED: [&str; 4] = ["Subject: x", "", "a .", "MAIL FROM:<b@example.com> end "];

#[test]
fn a_stray_carriage_return_goes_out_as_a_blank_to_every_server() {
    let busy = &[(".", "450 4.3.2 later")];
    for main_cf in ["", "smtp_body_checks = regexp:{{/nothing/ DUNNO}}\n"] {
        let mut world = World::new()
            .with_server("192.0.2.1", busy)
            .with_backup("192.0.2.2", &[]);
        let outcomes = deliver(&mut world, main_cf, STRAY, request(&["a@example.com"]));
        assert_eq!(brief(&outcomes), ["sent 2.0.0"]);
        assert_eq!(received(&world), REPLACED);
        for line in &REPLACED[2..] {
            let times = world.heard.iter().filter(|heard| heard == line).count();
            assert_eq!(times, 2, "{line:?}");
        }
        assert!(!world.heard.iter().any(|line| line.contains('\r')));
    }
}

#[test]
fn a_stray_carriage_return_goes_out_as_a_blank_in_converted_text() {
    let text = format!("{EIGHT_BIT}a\rb\r\n.\r\n");
    let mut world = World::new();
    deliver(&mut world, "", &text, request(&["a@example.com"]));
    let lines = received(&world);
    assert_eq!(lines[2..], ["Gr=C3=BC=C3=9Fe", "a b", ".."]);
}

#[test]
fn a_stray_carriage_return_is_data_where_it_is_to_pass() {
    let mut world = World::new();
    let mut request = request(&["a@example.com"]);
    request.encoding = Encoding::SevenBit;
    request.stray_cr = StrayCr::Pass;
    deliver(&mut world, "", "a\r.\r\nb\n", request);
    assert_eq!(received(&world), ["a\r.\r", "b"]);
}

#[test]
fn a_mail_loop_shows_in_a_text_with_cr_lf_as_well() {
    let text = "Delivered-To: a@example.com\r\n\r\nx\r\n";
    let mut world = World::new();
    let outcomes = deliver(&mut world, "", text, flagged("D", &["a@example.com"]));
    assert_eq!(brief(&outcomes), ["bounced 5.4.6"]);
}

#[test]
fn a_stray_carriage_return_that_is_refused_returns_the_message() {
    let mut world = World::new().with_backup("192.0.2.2", &[]);
    let mut request = request(&["a@example.com", "b@example.com"]);
    request.stray_cr = StrayCr::Refuse;
    let outcomes = deliver(&mut world, "", "a\r\nb\rc\n", request.clone());
    assert_eq!(brief(&outcomes), ["bounced 5.6.0", "bounced 5.6.0"]);
    assert_eq!(
        outcomes[0].text,
        "line 2 of the message has a carriage return without a line feed"
    );
    assert_eq!(world.connects, 1);
    assert!(!world.heard.iter().any(|line| line == "." || line == "QUIT"));

    let outcomes = deliver(&mut World::new(), "", "a\r\nb\r\n", request);
    assert_eq!(brief(&outcomes), ["sent 2.0.0", "sent 2.0.0"]);
}
