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
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("the table is on fire"))
    );
}
