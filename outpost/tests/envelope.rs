//! Envelopes and next hops as people type and paste them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{MESSAGE, Run, Sink, run_with_input};

fn deliver(sink: &Sink, envelope: &[&str]) -> Run {
    let nexthop = sink.nexthop();
    let args = [&["deliver", "--nexthop", &nexthop], envelope].concat();
    run_with_input(&args, MESSAGE.as_bytes())
}

#[test]
fn addresses_are_understood_as_they_are_pasted() {
    let mut sink = Sink::start(&[]);
    let envelope = [
        "--from",
        "Ann Lee <ann@example.org>",
        "--to",
        "<bob@example.com>",
        "--to",
        " carl@example.com ",
        "--to",
        "\"Doe, Dora\" <\"dora doe\"@example.com>",
    ];
    let run = deliver(&sink, &envelope).exits(0);
    assert_eq!(run.stderr, "");
    let line = sink.line();
    let wanted = "from=<ann@example.org> \
                  to=<bob@example.com>,<carl@example.com>,<\"dora doe\"@example.com>";
    assert!(line.contains(wanted), "{line}");
}

#[test]
fn what_is_not_one_address_is_refused() {
    let sink = Sink::start(&[]);
    let more = "expected one address; give the option once for each";
    for (address, reason) in [
        ("b@x.example, c@x.example", more),
        ("Bob <b@x.example>, Carl <c@x.example>", more),
        ("two words@x.example", "a ' ' is outside of quotes"),
        ("b@x.example (Bob)", "a ' ' is outside of quotes"),
        ("mailto:b@x.example", "a ':' is outside of quotes"),
        ("<b@x.example", "a '<' is outside of quotes"),
    ] {
        let to = ["--from", "a@x.example", "--to", address];
        let said = format!("--to '{address}': {reason}");
        deliver(&sink, &to).exits(64).complains(&said);
        let from = ["--from", address, "--to", "a@x.example"];
        let said = format!("--from '{address}': {reason}");
        deliver(&sink, &from).exits(64).complains(&said);
    }
    assert!(sink.messages().is_empty());
}

#[test]
fn a_recipient_that_is_named_twice_is_served_once() {
    let mut sink = Sink::start(&[]);
    let envelope = [
        "--from",
        "",
        "--to",
        "b@x.example",
        "--to",
        "<b@X.example>",
        "--to",
        "B@x.example",
    ];
    let run = deliver(&sink, &envelope).exits(0);
    assert_eq!(
        run.stderr,
        "outpost: warning: --to '<b@X.example>' is given twice\n"
    );
    assert!(sink.line().contains("to=<b@x.example>,<B@x.example> "));
}
