//! No text makes the configuration panic or run away.

use std::path::Path;

use postfix_config::{Listing, MainCf};
use proptest::prelude::*;
use smtp_policy::Protocol;

/// Texts made of the pieces that mean something in main.cf.
fn main_cf_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "$",
        "{",
        "}",
        "(",
        ")",
        "?",
        ":",
        "==",
        "<",
        "level",
        " ",
        "\n",
        "\n ",
        "#",
        "=",
        "a",
        "relayhost",
        "smtp_helo_timeout",
        "soft_bounce = ",
        "5",
        "m",
        "é",
        "\0",
        "${",
        "${{",
        ",",
        "mydomain",
        "myhostname",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn exercise(text: &str) {
    if let Ok(mut main) = MainCf::parse(text, "main.cf", Path::new("/")) {
        for protocol in Protocol::ALL {
            let _ = main.config(protocol);
        }
        let _ = (main.warnings(), main.errors(), main.listing(Listing::All));
        let _ = main.set(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        exercise(&text);
        exercise(&format!("relayhost = {text}"));
    }

    #[test]
    fn arbitrary_pieces_of_main_cf_never_panic(text in main_cf_like()) {
        exercise(&text);
        exercise(&format!("relayhost = {text}\nmyhostname = {text}\n"));
    }
}
