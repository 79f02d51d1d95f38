//! Header and body checks, and tables that are outside, fail or mean harm.

use super::*;

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
