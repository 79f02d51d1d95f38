//! Addresses in header fields, which `smtp_generic_maps` change.

use super::*;

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
fn a_long_list_of_addresses_makes_pauses() {
    let table = "smtp_generic_maps = pcre:{{/^(?:a|a(?!b)){1,10}c$$/ x@y}}\n";
    let address = format!("{}@example.org", "a".repeat(40));
    let list = vec![address; 8].join(",\n ");
    let given = Case::new(table).pass([format!("To: {list}\n\n").as_bytes()]);
    assert_eq!((given.failure, given.pauses), (None, 8 / 4));
}
