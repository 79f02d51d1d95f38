//! The pipe as a whole: what comes out of a message under a main.cf, in any
//! pieces, and what becomes of messages and tables that mean harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;
use smtp_proto::mime::RecordEnd;

use super::*;
use postfix_config::MainCf;

use crate::{
    Protocol,
    line_ends::StrayCr,
    settings::Settings,
    tables::{
        TableFailure,
        testing::{byte_maps, maps, strings},
    },
    tls::TlsLevel,
};

/// What a pipe gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Given {
    text: Vec<u8>,
    notes: Vec<String>,
    asked: Vec<String>,
    failure: Option<PipeFailure>,
    /// The most bytes that were given in one step, and between two chunks.
    largest: usize,
    pauses: usize,
}

type Answers<'a> = BTreeMap<&'a str, Result<&'a str, &'a str>>;

struct Case<'a> {
    rules: Arc<ContentRules>,
    convert: bool,
    inserted: Vec<Bytes>,
    stray_cr: StrayCr,
    answers: Answers<'a>,
}

impl<'a> Case<'a> {
    fn new(main_cf: &str) -> Self {
        let main_cf = format!("myhostname = client.example.org\n{main_cf}");
        let main_cf = MainCf::parse(&main_cf, "main.cf", Path::new("/nonexistent")).unwrap();
        let config = main_cf.config(Protocol::Smtp).unwrap();
        let (general, from) = (&config.general, &config.content);
        let mut settings = Settings::smtp().host(general.myhostname.parse().unwrap());
        let content = &mut settings.content;
        content.header_checks = byte_maps(&from.header_checks);
        content.mime_header_checks = byte_maps(&from.mime_header_checks);
        content.nested_header_checks = byte_maps(&from.nested_header_checks);
        content.body_checks = byte_maps(&from.body_checks);
        content.generic = maps(&from.generic_maps);
        let rewriting = &mut content.rewriting;
        rewriting.destinations = strings(&general.mydestination);
        rewriting
            .delimiters
            .clone_from(&general.recipient_delimiter);
        let propagated = &general.propagate_unmatched_extensions;
        rewriting.propagate_extension = propagated.iter().any(|word| word == "generic");
        rewriting.origin = Some(general.myorigin.parse().unwrap());
        let domain = || general.mydomain.parse().unwrap();
        rewriting.domain = general.append_dot_mydomain.then(domain);
        settings.tls.level = TlsLevel::None;
        let rules = settings.build().unwrap().content_rules;
        Self {
            rules,
            convert: false,
            inserted: Vec::new(),
            stray_cr: StrayCr::Pass,
            answers: BTreeMap::new(),
        }
    }

    fn converting(mut self) -> Self {
        self.convert = true;
        self
    }

    fn answering(mut self, key: &'a str, answer: Result<&'a str, &'a str>) -> Self {
        self.answers.insert(key, answer);
        self
    }

    fn pass<'t>(&self, chunks: impl IntoIterator<Item = &'t [u8]>) -> Given {
        let (rules, inserted) = (Arc::clone(&self.rules), self.inserted.clone());
        let mut pipe = Pipe::new(rules, inserted, self.stray_cr, self.convert);
        let mut chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        let mut given = Given::default();
        let mut taken = 0;
        loop {
            let before = given.text.len();
            match pipe.step() {
                PipeStep::Record(record) => {
                    given.text.extend_from_slice(&record.text);
                    given
                        .text
                        .extend((record.end == RecordEnd::Line).then_some(b'\n'));
                }
                PipeStep::Chunk(chunk) => given.text.extend_from_slice(&chunk),
                PipeStep::More => {
                    assert_eq!(pipe.offset(), taken);
                    let chunk = chunks.next().unwrap_or_default();
                    taken += chunk.len() as u64;
                    pipe.push(Bytes::copy_from_slice(chunk));
                }
                PipeStep::Ask(query) => {
                    assert!(matches!(pipe.step(), PipeStep::Waiting));
                    let answer = self.answers.get(query.key.as_str());
                    pipe.answered(match answer {
                        Some(Ok(text)) => Ok(Some((*text).to_owned())),
                        Some(Err(reason)) => Err(TableFailure {
                            table: query.table.clone(),
                            reason: (*reason).to_owned(),
                        }),
                        None => Ok(None),
                    });
                    given.asked.push(query.key);
                }
                PipeStep::Waiting => panic!("nothing was asked"),
                PipeStep::Pause => given.pauses += 1,
                PipeStep::Info(text) | PipeStep::Warning(text) => given.notes.push(text),
                PipeStep::Done => return given,
                PipeStep::Failed(failure) => {
                    given.failure = Some(failure);
                    return given;
                }
            }
            given.largest = given.largest.max(given.text.len() - before);
        }
    }

    fn text(&self, message: &str) -> String {
        String::from_utf8(self.pass([message.as_bytes()]).text).unwrap()
    }
}

#[test]
fn without_rules_chunks_go_through_as_they_are() {
    let case = Case {
        inserted: vec!["X: y".into()],
        ..Case::new("")
    };
    let given = case.pass([&b"a : b\nc"[..], b"\r\0d", b"\xff"]);
    assert_eq!(given.text, b"X: y\na : b\nc\r\0d\xff");
    assert_eq!(Case::new("").text(""), "");
}

#[test]
fn added_fields_go_the_way_of_the_others() {
    let main_cf = "smtp_generic_maps = inline:{a@b.example=c@d.example}\n\
                   smtp_header_checks = regexp:{{/^Delivered-To/ STRIP}}\n";
    let inserted = vec![
        "Return-Path: <a@b.example>".into(),
        "Delivered-To: x@y.example".into(),
    ];
    let case = Case {
        inserted,
        ..Case::new(main_cf)
    };
    assert_eq!(
        case.text("E: f\n\ng\n"),
        "Return-Path: <c@d.example>\nE: f\n\ng\n"
    );
}

#[test]
fn generic_maps_change_addresses_and_leave_the_rest() {
    let main_cf = "smtp_generic_maps = inline:{@int.example=@ext.example,joe=joe.public@ext.example,\
                   {two@x.example=a@b, c@d},{null@x.example=<>},{bare@x.example=bare}}\n\
                   append_dot_mydomain = no\n";
    let case = Case::new(main_cf);
    for (field, want) in [
        ("To: a@int.example", "To: a@ext.example"),
        (
            "to :a@int.example,b@int.example",
            "to: a@ext.example, b@ext.example",
        ),
        ("To:   a@other.example  ", "To:   a@other.example  "),
        (
            "To: \"A, B\" <a@int.example> (c)",
            "To: \"A, B\" <a@ext.example>(c)",
        ),
        ("To: g: a@int.example;", "To: g: a@ext.example;"),
        (
            "To: a@int.example b@int.example",
            "To: a@ext.example, b@ext.example",
        ),
        ("To: \"a b\"@int.example", "To: \"a b\"@ext.example"),
        ("To: joe@client.example.org", "To: joe.public@ext.example"),
        ("To: joe", "To: joe.public@ext.example"),
        ("To: two@x.example", "To: a@b"),
        ("To: null@x.example", "To: \"\""),
        ("To: bare@x.example", "To: bare@client.example.org"),
        ("To: <>", "To: <>"),
        ("Subject: a@int.example", "Subject: a@int.example"),
        ("Resent-From: a@int.example", "Resent-From: a@ext.example"),
        ("To: gr\u{fc}n@int.example", "To: gr\u{fc}n@ext.example"),
    ] {
        assert_eq!(
            case.text(&format!("{field}\n\nTo: a@int.example\n")),
            format!("{want}\n\nTo: a@int.example\n")
        );
    }
}

#[test]
fn address_lists_come_out_as_postfix_writes_them() {
    let case =
        Case::new("smtp_generic_maps = inline:{@i.example=@e.example}\nappend_dot_mydomain = no\n");
    for (list, want) in [
        (
            "A B <a@i.example> (c (d) \\) e), \"f, g\"@i.example",
            "A B <a@e.example>(c (d) \\) e), \"f, g\"@e.example",
        ),
        (
            "g: a@i.example, b@o.example;, undisclosed:;",
            "g: a@e.example, b@o.example;, undisclosed: ;",
        ),
        (
            "a@i.example b c <d@i.example>",
            "a@i.example b c <d@e.example>",
        ),
        (
            "<@r1,@r2:a@i.example>, @r1:a@i.example",
            "<\"\"@r1>, a@e.example",
        ),
        ("J. R. Smith <a@i.example>", "J.R.Smith <a@e.example>"),
        (
            "a\\@b@i.example, \"a\\\"b\\\\c\"@i.example",
            "\"a@b\"@e.example, \"a\\\"b\\\\c\"@e.example",
        ),
        (
            "a.b.@i.example, .a@i.example, a..b@i.example",
            "\"a.b.\"@e.example, \".a\"@e.example, \"a..b\"@e.example",
        ),
        (
            "a@[192.0.2.1], [x]@i.example",
            "a@[192.0.2.1], \"[x]\"@e.example",
        ),
        ("<>, <a@i.example", "<>, \"<a\"@e.example"),
        ("a@i.example>, b", "a@e.example>, b"),
        ("\"open, a@i.example", "\"open, a\"@e.example"),
        ("(open a@i.example", "(open a@i.example"),
        ("a@i.example,, b@i.example,", "a@e.example, , b@e.example, "),
        ("a : b@i.example", "\"a:b\"@e.example"),
        ("x <y> <a@i.example>", "x <y> <a@e.example>"),
        (
            "a@i.example (one) (two) b@i.example",
            "a@e.example, b@e.example (one) (two)",
        ),
        ("a%b!c@i.example", "a%b!c@e.example"),
        ("a @ i . example", "a@e.example"),
        (
            "=?utf-8?q?=C3=A9?= <a@i.example>;",
            "=?utf-8?q?=C3=A9?= <a@e.example>;",
        ),
        ("a@b@i.example", "\"a@b\"@e.example"),
        (
            "\t a@i.example\n\t(x),\n b@o.example",
            "a@e.example (x), b@o.example",
        ),
        ("|cmd@i.example", "|cmd@e.example"),
        ("a@i.example:b", "a@i.example:b"),
    ] {
        assert_eq!(case.text(&format!("To: {list}\n")), format!("To: {want}\n"));
    }
}

#[test]
fn a_long_list_of_addresses_is_folded_anew() {
    let case = Case::new("smtp_generic_maps = inline:{@int.example=@ext.example}\n");
    let field = format!("To: a@int.example{}", ", b@other.example".repeat(6));
    let text = case.text(&format!("{field}\n"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].starts_with("\tb@other.example"));
    assert!(lines.iter().all(|line| line.len() <= 70));
}

#[test]
fn too_much_text_around_an_address_is_left_out() {
    let case = Case::new("smtp_generic_maps = inline:{@int.example=@ext.example}\n");
    let given =
        case.pass([format!("To: {} <a@int.example>, b@c\n", "word ".repeat(60)).as_bytes()]);
    assert_eq!(given.text, b"To: <a@ext.example>, b@c\n");
    assert!(given.notes[0].starts_with("stripping too many comments from address: "));
}

#[test]
fn extensions_are_looked_for_and_kept_as_configured() {
    let maps = "smtp_generic_maps = inline:{a@b.example=c@d.example}\nrecipient_delimiter = +\n";
    let message = "To: a+x@b.example\n";
    assert_eq!(Case::new(maps).text(message), "To: c@d.example\n");
    let propagate = format!("{maps}propagate_unmatched_extensions = generic\n");
    assert_eq!(Case::new(&propagate).text(message), "To: c+x@d.example\n");
}

#[test]
fn checks_see_what_they_are_for() {
    let all = "{{/^X/ STRIP}}";
    let message = "X: 1\nContent-Type: multipart/mixed; boundary=b\nX: 2\n\n--b\nX: 3\n\n--b\n\
                   Content-Type: message/rfc822\n\nX: 4\n\nX5\n--b--\n";
    for (parameter, left_out) in [
        ("smtp_header_checks", &["X: 1\n", "X: 2\n"][..]),
        ("smtp_mime_header_checks", &["X: 3\n"]),
        ("smtp_nested_header_checks", &["X: 4\n"]),
        ("smtp_body_checks", &["X5\n"]),
    ] {
        let case = Case::new(&format!("{parameter} = regexp:{all}\n"));
        let mut want = message.to_owned();
        for line in left_out {
            want = want.replacen(line, "", 1);
        }
        let given = case.pass([message.as_bytes()]);
        assert_eq!(String::from_utf8(given.text).unwrap(), want, "{parameter}");
        assert_eq!(given.notes.len(), left_out.len());
    }
}

#[test]
fn checks_see_bytes() {
    let case = Case::new(
        "smtp_body_checks = pcre:{{/^.\\xe9$$/ REPLACE latin},{/[\\x80-\\xff]/ REPLACE other}}\n",
    );
    let given = case.pass([&b"\nx\xe9\nx\xc3\xa9\n\xe6\x97\xa5\n\xc3\n"[..]]);
    assert_eq!(given.text, b"\nlatin\nother\nother\nother\n");
    let back = Case::new("smtp_body_checks = pcre:{{/(.*)!/ REPLACE $$1?}}\n");
    assert_eq!(
        back.pass([&b"\n\xe9\xc3\xa9!\n"[..]]).text,
        b"\n\xe9\xc3\xa9?\n"
    );
    let utf8 = Case::new("smtp_body_checks = pcre:{{/é(.)/ REPLACE ü$$1}}\n");
    assert_eq!(utf8.text("\néx\n"), "\nüx\n");
}

#[test]
fn checks_see_the_converted_text() {
    let case = Case::new("smtp_body_checks = regexp:{{/=C3=A9/ REPLACE seen}}\n").converting();
    assert_eq!(
        case.text("Content-Transfer-Encoding: 8bit\n\né\n"),
        "Content-Transfer-Encoding: quoted-printable\n\nseen\n"
    );
}

#[test]
fn a_prepended_fold_is_two_lines() {
    let case = Case::new("smtp_header_checks = pcre:{{/^A: (.*)/ PREPEND B: $$1}}\n");
    assert_eq!(case.text("A: b\n c\n"), "B: b\n c\nA: b\n c\n");
}

#[test]
fn a_table_outside_is_asked_in_the_middle_of_things() {
    let case = Case::new(
        "smtp_header_checks = external:h\nsmtp_body_checks = external:b\nsmtp_generic_maps = external:g\n",
    )
    .answering("To: a@b.example", Ok("REPLACE To: c@d.example, e@f.example"))
    .answering("c@d.example", Ok("x@y.example"))
    .answering("gr\u{fc}n", Ok("PREPEND gelb"));
    let given = case.pass([&b"To: a@b.example\n\ngr\xc3\xbcn\n"[..]]);
    assert_eq!(
        String::from_utf8(given.text).unwrap(),
        "To: x@y.example, e@f.example\n\ngelb\ngr\u{fc}n\n"
    );
    let want = [
        "To: a@b.example",
        "c@d.example",
        "e@f.example",
        "@f.example",
        "gr\u{fc}n",
    ];
    assert_eq!(given.asked, want);
}

#[test]
fn a_table_that_fails_ends_the_text() {
    for (main_cf, message, notes) in [
        (
            "smtp_header_checks = fail:x\n",
            "A: b\n",
            &["smtp header checks lookup error"][..],
        ),
        (
            "smtp_body_checks = fail:x\n",
            "\nb\n",
            &["smtp body checks lookup error"],
        ),
        (
            "smtp_generic_maps = fail:x\n",
            "To: a@b\n",
            &["smtp_generic_maps map lookup problem for a@b"],
        ),
        (
            "smtp_generic_maps = inline:{{a@b=,}}\n",
            "To: a@b\n",
            &["smtp_generic_maps map lookup problem for a@b"],
        ),
    ] {
        let given = Case::new(main_cf).pass([message.as_bytes()]);
        assert_eq!(given.failure, Some(PipeFailure::Table), "{main_cf}");
        assert_eq!(&given.notes[1..], notes, "{main_cf}");
    }
}

#[test]
fn a_table_that_goes_back_too_often_fails_and_others_make_pauses() {
    // Each of these lines can be read in millions of ways.
    let line = format!("{}\n", "a".repeat(40));
    let message = format!("X: y\n\n{}", line.repeat(12));
    let check = |pattern: &str| {
        let table = format!("smtp_body_checks = pcre:{{{{/{pattern}/ DUNNO}}}}\n");
        Case::new(&table).pass([message.as_bytes()])
    };
    let given = check("^(?:a|a(?!b))*c$$");
    assert_eq!(given.failure, Some(PipeFailure::Table), "{:?}", given.notes);
    assert!(given.notes[0].contains("line 1: "), "{:?}", given.notes);
    // A few thousand steps are taken for each line, and count as a quarter of a million.
    let given = check("^(?:a|a(?!b)){1,10}c$$");
    assert_eq!((given.failure, given.pauses), (None, 12 / 4));
    assert_eq!(given.text, message.as_bytes());
    let given = check("^(a+)b\\1$$");
    assert_eq!((given.failure, given.pauses), (None, 0));
}

#[test]
fn a_long_list_of_addresses_makes_pauses() {
    let table = "smtp_generic_maps = pcre:{{/^(?:a|a(?!b)){1,10}c$$/ x@y}}\n";
    let address = format!("{}@example.org", "a".repeat(40));
    let list = vec![address; 8].join(",\n ");
    let given = Case::new(table).pass([format!("To: {list}\n\n").as_bytes()]);
    assert_eq!((given.failure, given.pauses), (None, 8 / 4));
}

#[test]
fn a_table_cannot_smuggle_lines_into_a_body() {
    for text in ["a\n.\nMAIL FROM:<x>", "a\r\n.\r\n"] {
        let action = format!("REPLACE {text}");
        let case = Case::new("smtp_body_checks = external:b\n").answering("line", Ok(&action));
        let given = case.pass([&b"\nline\n"[..]]);
        assert_eq!(given.text, b"\nline\n");
        assert_eq!(given.notes.len(), 1);
    }
    let case = Case::new("smtp_generic_maps = external:g\n").answering("a@b", Ok("c@d\r\nX: y"));
    assert_eq!(case.text("To: a@b\n").lines().count(), 1);
}

#[test]
fn a_table_cannot_smuggle_a_carriage_return_into_a_text() {
    for mapped in ["c\rd@e", "c@d\re", "c@d\r\n\te", "\"c\rd\"@e"] {
        let case = Case::new("smtp_generic_maps = external:g\n").answering("a@b", Ok(mapped));
        let text = case.text("To: a@b\n");
        assert!(!text.contains('\r'), "{mapped:?} {text:?}");
    }
    for action in ["REPLACE X: c\rd", "PREPEND X: c\r"] {
        let case = Case::new("smtp_header_checks = external:h\n").answering("A: b", Ok(action));
        assert_eq!(case.text("A: b\n"), "A: b\n");
    }
}

#[test]
fn nesting_without_end_is_a_failure_of_the_message() {
    let mut message = String::new();
    for level in 0..1000 {
        message.push_str(&format!(
            "Content-Type: multipart/x; boundary=b{level}-\n\n--b{level}-\n"
        ));
    }
    let given = Case::new("").converting().pass([message.as_bytes()]);
    assert!(matches!(given.failure, Some(PipeFailure::Nesting(_))));
    let checked = Case::new("smtp_body_checks = static:DUNNO\n");
    assert_eq!(checked.text(&message), message);
}

#[test]
fn whatever_comes_in_little_is_held() {
    let field = "x".repeat(70) + "\n ";
    let endless_header = format!("A: {}", field.repeat(100_000));
    let endless_line = "y".repeat(5_000_000);
    let addresses = format!("To: {}", "a@b.example,\n ".repeat(100_000));
    let case = Case::new(
        "smtp_generic_maps = inline:{a@b.example=c@d.example}\nsmtp_body_checks = static:DUNNO\n",
    )
    .converting();
    for message in [endless_header, addresses, format!("\n{endless_line}")] {
        let given = case.pass(message.as_bytes().chunks(65_536));
        assert_eq!(given.failure, None);
        assert!(given.largest < 110_000, "{}", given.largest);
    }
}

#[test]
fn nul_and_cr_in_eight_bit_text_are_encoded() {
    let case = Case::new("").converting();
    let given = case.pass([&b"Content-Transfer-Encoding: 8bit\n\na\0b\rc\xff\r\n"[..]]);
    assert!(given.text.ends_with(b"\n\na=00b=0Dc=FF=0D\n"));
}

fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Content-Type: multipart/mixed; boundary=b\n",
        "Content-Type: message/rfc822\n",
        "Content-Transfer-Encoding: 8bit\n",
        "--b\n",
        "--b--\n",
        "\n",
        "To : a@b.example, (x) c@b.example\n",
        "From: A B <a@b.example>\n",
        "X: drop\n",
        "\tfolded\n",
        "gr\u{fc}n = \n",
        ".dot\n",
        "a\r.\r\n",
        "To: a@b.example\r\n",
        "\r\n",
        "b\r\r\n\r",
        "no end",
    ])
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        lines in prop::collection::vec(line(), 0..14),
        cuts in prop::collection::vec(0_usize..400, 0..6),
        convert: bool,
        rules in 0_usize..4,
        stray_cr in prop::sample::select(vec![StrayCr::Replace, StrayCr::Refuse, StrayCr::Pass]),
    ) {
        let main_cf = [
            "",
            "smtp_generic_maps = inline:{@b.example=@d.example}\n",
            "smtp_header_checks = regexp:{{/drop/ STRIP},{/^To/ PREPEND Y: z}}\nsmtp_body_checks = regexp:{{/dot/ REPLACE .}}\n",
            "smtp_generic_maps = external:g\nsmtp_body_checks = external:b\n",
        ][rules];
        let inserted = vec!["Return-Path: <a@b.example>".into()];
        let case = |stray_cr| Case { convert, stray_cr, inserted: inserted.clone(), ..Case::new(main_cf) }
            .answering("a@b.example", Ok("e@f.example"))
            .answering("folded", Ok("WARN"));
        let case_as_it_is = case(StrayCr::Pass);
        let case = case(stray_cr);
        let message = lines.concat();
        let clean = message.replace("\r\n", "\n").replace('\r', " ");
        let message = message.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&message[from..cut]);
            from = cut;
        }
        pieces.push(&message[from..]);
        // How much goes out before a text is refused depends on the pieces.
        let same = |given: Given| match given.failure {
            Some(failure @ PipeFailure::StrayCr(_)) => Given { failure: Some(failure), ..Given::default() },
            _ => Given { largest: 0, ..given },
        };
        let whole = same(case.pass([message]));
        prop_assert_eq!(&same(case.pass(pieces)), &whole);
        prop_assert_eq!(&same(case.pass(message.chunks(1))), &whole);
        if stray_cr == StrayCr::Replace {
            prop_assert_eq!(same(case_as_it_is.pass([clean.as_bytes()])), whole);
        }
    }
}
