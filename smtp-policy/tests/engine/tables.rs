use crate::{World, brief};

const EXTERNAL: &str = "smtp_discard_ehlo_keyword_address_maps = external:words\n";

#[test]
fn a_table_outside_the_engine_is_asked_by_the_servers_address() {
    let mut world = World::new();
    world
        .tables
        .insert("words", Ok("pipelining, silent-discard"));
    assert_eq!(
        brief(&world.deliver(EXTERNAL, &["a@example.com"])),
        ["sent 2.0.0"]
    );
    assert!(!world.notes.iter().any(|note| note.contains("discarding")));
    world.tables.insert("words", Ok("pipelining"));
    world.deliver(EXTERNAL, &["a@example.com"]);
    assert!(
        world
            .notes
            .contains(&"discarding EHLO keywords: PIPELINING".to_owned())
    );
}

#[test]
fn a_table_that_fails_defers_the_mail() {
    let mut world = World::new();
    world.tables.insert("words", Err("the table is on fire"));
    let outcomes = world.deliver(EXTERNAL, &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["deferred 4.3.0"]);
    assert_eq!(
        outcomes[0].text,
        "local data error while talking to mx1.example[192.0.2.1]"
    );
    // The server has been asked for its keywords before they are looked for.
    assert_eq!(world.heard, ["EHLO client.example", "QUIT"]);
    assert_eq!(outcomes[0].relay.to_string(), "mx1.example[192.0.2.1]:25");
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("the table is on fire"))
    );
}

#[test]
fn verdicts_wait_for_an_external_status_filter_and_keep_their_order() {
    const FILTER: &str = "smtp_delivery_status_filter = external:dsf\n";
    let mut world = World::new().with_server("192.0.2.1", &[("RCPT TO:<b@", "550 5.1.1 no")]);
    let to = &["a@example.com", "b@example.com", "c@example.com"];
    let rows = [
        (
            Some(Ok("4.9.9 wait")),
            ["sent 2.0.0", "deferred 4.9.9", "sent 2.0.0"],
        ),
        (
            Some(Ok("2.9.9 fine")),
            ["sent 2.9.9", "bounced 5.1.1", "sent 2.9.9"],
        ),
        (
            Some(Err("on fire")),
            ["sent 2.0.0", "bounced 5.1.1", "sent 2.0.0"],
        ),
        (None, ["sent 2.0.0", "bounced 5.1.1", "sent 2.0.0"]),
    ];
    for (answer, expected) in rows {
        world.tables.clear();
        world.tables.extend(answer.map(|answer| ("dsf", answer)));
        world.notes.clear();
        assert_eq!(brief(&world.deliver(FILTER, to)), expected);
        assert_eq!(
            world.notes.is_empty(),
            answer.is_none(),
            "{:?}",
            world.notes
        );
    }
}

#[test]
fn soft_bounce_comes_after_the_status_filter() {
    let mut world = World::new().with_server("192.0.2.1", &[("RCPT", "450 4.2.2 full")]);
    let filter = "smtp_delivery_status_filter = static:{5.2.2 gone}\n";
    let outcomes = world.deliver(filter, &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["bounced 5.2.2"]);
    let filter = format!("{filter}soft_bounce = yes\n");
    let outcomes = world.deliver(&filter, &["a@example.com"]);
    assert_eq!(brief(&outcomes), ["SOFTBOUNCE 4.2.2"]);
    assert_eq!(outcomes[0].text, "gone");
}
