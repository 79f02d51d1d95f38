//! Envelopes and next hops as people type and paste them.
#![allow(clippy::unwrap_used)]

use crate::common::{MESSAGE, Run, Sink, run, run_with_input};

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

#[test]
fn a_name_that_only_the_hosts_file_has_gets_a_hint() {
    let sink = Sink::start(&[]);
    let nexthop = format!("localhost:{}", sink.address.port());
    let envelope = ["--from", "a@x.example", "--to", "b@x.example"];
    let hint = "hint: localhost is in /etc/hosts, where nobody looks with smtp_host_lookup = dns; \
                '-o smtp_host_lookup=dns,native' does";
    let dns = ["deliver", "--dns", "127.0.0.1:9", "--nexthop", &nexthop];
    for bracketed in [false, true] {
        let bracketed = if bracketed { "[localhost]" } else { &nexthop };
        let args = ["deliver", "--dns", "127.0.0.1:9", "--nexthop", bracketed];
        let run = run_with_input(&[&args[..], &envelope].concat(), MESSAGE.as_bytes());
        run.exits(75).complains(hint);
    }
    let probe = ["probe", "--dns", "127.0.0.1:9", &nexthop];
    run(&probe).exits(75).complains(hint);
    // As the hint says.
    let native = [
        "-o",
        "smtp_host_lookup=dns,native",
        "-o",
        "inet_protocols=ipv4",
    ];
    let done = run_with_input(&[&dns[..], &native, &envelope].concat(), MESSAGE.as_bytes());
    assert_eq!(done.stderr, "");
}

#[test]
fn mta_sts_says_where_it_has_no_effect() {
    let envelope = ["--from", "a@x.example", "--to", "b@x.example"];
    let domains = "a policy is for a domain whose mail exchangers are looked up";
    for (nexthop, more, reason) in [
        ("[127.0.0.1]:9", &[][..], domains),
        ("127.0.0.1:9", &[], domains),
        ("x.example:587", &[], "a policy is for port 25"),
        (
            "x.example",
            &["--protocol", "lmtp"],
            "it is for SMTP, not LMTP",
        ),
        (
            "unix:/no/such",
            &["--protocol", "lmtp"],
            "it is for SMTP, not LMTP",
        ),
        (
            "x.example",
            &["-o", "smtp_tls_security_level=secure"],
            "smtp_tls_security_level asks for more already",
        ),
    ] {
        let nexthop_args = [
            "deliver",
            "--mta-sts",
            "--dns",
            "127.0.0.1:9",
            "--nexthop",
            nexthop,
        ];
        let args = [&nexthop_args[..], more, &envelope].concat();
        let name = nexthop.trim_start_matches("unix:");
        let warning = format!("warning: --mta-sts has no effect on {name}: {reason}");
        run_with_input(&args, MESSAGE.as_bytes()).complains(&warning);
    }
    let args = [
        "deliver",
        "--mta-sts",
        "--dns",
        "127.0.0.1:9",
        "--nexthop",
        "x.example",
    ];
    let run = run_with_input(&[&args[..], &envelope].concat(), MESSAGE.as_bytes());
    assert_eq!(run.stderr, "");
}

#[test]
fn a_next_hop_that_makes_no_sense_is_a_wrong_command_line() {
    let envelope = ["--from", "a@x.example", "--to", "b@x.example"];
    for (nexthop, reason) in [
        (
            "[127.0.0.1",
            "missing \"]\" in server description: [127.0.0.1",
        ),
        ("[127.0.0.1]:99999", "bad network port: 99999"),
        ("x.example:smpt", "unknown service: smpt"),
        (",", "null destination"),
        ("a b/c", "valid hostname or network address required"),
    ] {
        let args = [&["deliver", "--nexthop", nexthop], &envelope[..]].concat();
        let said = format!("--nexthop '{nexthop}': {reason}");
        let refused = run_with_input(&args, MESSAGE.as_bytes()).exits(64);
        assert_eq!(refused.complains(&said).stdout, "");
        let said = format!("destination '{nexthop}': ");
        run(&["probe", nexthop]).exits(64).complains(&said);
    }
}
