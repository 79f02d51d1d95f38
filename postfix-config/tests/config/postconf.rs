//! Defaults, listings and expansions against recordings of Postfix's postconf.

use postfix_config::{Listed, Listing, MainCf, Parameter};
use smtp_policy::Protocol;

use crate::{data, parse, refusal};

const DEFAULTS: &str = include_str!("postconf-d.txt");
const EXPANSIONS: &str = include_str!("expansions.tsv");
const BAD_EXPANSIONS: &str = include_str!("bad-expansions.txt");
const SAMPLE: &str = include_str!("sample.cf");
const SAMPLE_EXPLICIT: &str = include_str!("sample-n.txt");
const SAMPLE_EXPANDED: &str = include_str!("sample-nx.txt");
const SAMPLE_ALL: &str = include_str!("sample-all.txt");

/// Names whose default depends on the machine or the process that made the recording.
const MACHINE: &[&str] = &["myhostname", "mynetworks", "process_id", "process_name"];

/// Names whose default is that of a later release than the one that made the recording.
const LATER: &[&str] = &[
    "smtp_tls_dane_insecure_mx_policy",
    "smtp_tls_security_level",
];

fn is_recorded(name: &str) -> bool {
    let since = Parameter::find(name).map_or("", |(parameter, _)| parameter.since);
    since.is_empty() && !MACHINE.contains(&name) && !LATER.contains(&name)
}

fn lines(listed: &[Listed]) -> Vec<String> {
    listed
        .iter()
        .filter(|listed| is_recorded(&listed.name))
        .map(ToString::to_string)
        .collect()
}

#[test]
fn defaults_are_those_that_postconf_prints() {
    let ours = lines(&MainCf::default().listing(Listing::Defaults));
    let theirs = without_machine(DEFAULTS);
    for line in &ours {
        assert!(theirs.contains(&line.as_str()), "only ours: {line}");
    }
    assert_eq!(ours, theirs);
}

#[test]
fn a_sample_file_is_listed_as_by_postconf() {
    let main = parse(SAMPLE);
    let explicit: Vec<String> = main
        .listing(Listing::Explicit)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(explicit, data(SAMPLE_EXPLICIT).collect::<Vec<_>>());
    assert_eq!(
        lines(&main.listing(Listing::All)),
        without_machine(SAMPLE_ALL)
    );
}

/// A setting of the sample is never machine dependent, its default may be.
fn without_machine(text: &str) -> Vec<&str> {
    data(text)
        .filter(|line| is_recorded(line.split_once(" =").unwrap().0))
        .collect()
}

/// postconf prints values with single blanks.
fn single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_sample_file_is_expanded_as_by_postconf() {
    let main = parse(SAMPLE);
    for line in data(SAMPLE_EXPANDED) {
        let (name, value) = line.split_once(" =").unwrap();
        let ours = main.expanded(name, Protocol::Smtp).unwrap().unwrap();
        assert_eq!(single_blanks(&ours), value.trim_start(), "{name}");
    }
}

#[test]
fn expressions_expand_as_by_postconf() {
    let definitions =
        "one = 1\nempty =\nref = $one\nrefempty = $empty\ntext = some text\nlevel = 3.6\n";
    for line in data(EXPANSIONS) {
        let (expression, expected) = line.split_once('\t').unwrap();
        let main = parse(&format!("{definitions}relayhost = {expression}\n"));
        let ours = main.expanded("relayhost", Protocol::Smtp).unwrap().unwrap();
        assert_eq!(single_blanks(&ours), expected, "{expression}");
    }
}

#[test]
fn expressions_that_postfix_refuses_are_refused_with_place_and_name() {
    for expression in data(BAD_EXPANSIONS) {
        let text = format!("one = 1\nloop = $loop\nrelayhost = {expression}\n");
        let why = refusal(&text);
        assert!(
            why.starts_with("main.cf: line 3: relayhost: "),
            "{expression}: {why}"
        );
    }
}

#[test]
fn one_parameter_is_listed_by_name() {
    let main = parse("smtp_helo_name = x\nmine = 1\n");
    let show = |name, listing| main.listed(name, listing).map(|listed| listed.to_string());
    assert_eq!(
        show("smtp_helo_name", Listing::All).unwrap(),
        "smtp_helo_name = x"
    );
    assert_eq!(
        show("smtp_helo_name", Listing::Defaults).unwrap(),
        "smtp_helo_name = $myhostname"
    );
    assert_eq!(
        show("smtp_bind_address", Listing::All).unwrap(),
        "smtp_bind_address ="
    );
    assert_eq!(show("smtp_bind_address", Listing::Explicit), None);
    assert_eq!(
        show("fallback_relay", Listing::All).unwrap(),
        "fallback_relay ="
    );
    assert_eq!(show("smtp_skip_4xx_greeting", Listing::All), None);
    assert_eq!(show("mine", Listing::All), None);
}
