//! The pipe as a whole: what comes out of a message under a main.cf, in any
//! pieces, and what becomes of messages and tables that mean harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod addresses;
mod tables;

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
