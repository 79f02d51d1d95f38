//! From the text of a parameter to a list of tables, or to a list of members.

use std::path::Path;

use super::lines::logical_lines;
use super::open::{TableContext, nested, open_in, read_file};
use smtp_policy::tables::block::Block;
use smtp_policy::tables::byte_text::widen;
use smtp_policy::tables::match_list::{Member, Pattern};
use smtp_policy::tables::words::split;
use smtp_policy::tables::{KeyCase, Maps, MatchKind, MatchList, SecretMaps, TableError};

/// Opens the tables of a list, separated by commas or white space; text in braces is one piece.
/// Relative file names are taken from `dir`. An empty list is an empty `Maps`.
///
/// Warnings about lines of tables are lost and `randmap:` always makes the same picks; see
/// [`maps_in`].
///
/// # Errors
///
/// If one of the tables cannot be opened.
pub fn maps(specs: &str, dir: &Path) -> Result<Maps, TableError> {
    maps_in(specs, &mut TableContext::new(dir))
}

/// Like [`maps`], with the seed and the collected warnings of a context.
///
/// # Errors
///
/// If one of the tables cannot be opened.
pub fn maps_in(specs: &str, context: &mut TableContext<'_>) -> Result<Maps, TableError> {
    let mut maps = Maps::default();
    for spec in split(specs) {
        match spec.strip_prefix("external:") {
            Some("") => return Err(TableError::new(spec, "an external table needs a name")),
            Some(name) => maps.push_external(name),
            None => maps.push(spec, open_in(spec, context)?),
        }
    }
    Ok(maps)
}

/// Like [`maps_in`], for keys that are bytes in no particular encoding: each character of a
/// key or a result stands for the byte of that number, and tables are read in that way.
///
/// # Errors
///
/// If one of the tables cannot be opened.
pub fn byte_maps_in(specs: &str, context: &mut TableContext<'_>) -> Result<Maps, TableError> {
    let specs = widen(specs.as_bytes());
    context.reading_bytes(|context| maps_in(&specs, context))
}

/// Like [`maps_in`], for tables that hold secrets.
///
/// # Errors
///
/// If one of the tables cannot be opened. The error does not quote the list.
pub fn secret_maps_in(
    specs: &str,
    context: &mut TableContext<'_>,
) -> Result<SecretMaps, TableError> {
    let earlier = context.take_warnings();
    let opened = maps_in(specs, context);
    let new = context.take_warnings();
    context.warnings_mut().extend(earlier);
    context
        .warnings_mut()
        .extend(new.iter().map(|warning| without_quotation(warning)));
    opened.map(SecretMaps::new).map_err(|error| TableError {
        table: without_contents(&error.table),
        reason: without_quotation(&error.reason),
    })
}

/// `type:` of `type:contents`; names of files stay.
fn without_contents(spec: &str) -> String {
    let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
    if name.starts_with('/') && !name.contains('{') {
        return spec.to_owned();
    }
    format!("{kind}:…")
}

/// A message up to where it quotes something.
fn without_quotation(text: &str) -> String {
    match text.split_once(['"', '\'', '{']) {
        Some((start, _)) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// Reads a list of members.
///
/// # Errors
///
/// If a file or table cannot be opened, files refer to each other too deeply, nothing follows a
/// `!`, or a network block is malformed.
pub fn match_list_in(
    text: &str,
    kind: MatchKind,
    context: &mut TableContext<'_>,
) -> Result<MatchList, TableError> {
    let mut members = Vec::new();
    read(text, true, kind, context, &mut members)?;
    Ok(MatchList::new(context.case(), members))
}

fn read(
    text: &str,
    positive: bool,
    kind: MatchKind,
    context: &mut TableContext<'_>,
    members: &mut Vec<Member>,
) -> Result<(), TableError> {
    for word in split(text) {
        if word.starts_with('#') {
            context.warn(format!(
                "#comment after other text is not allowed: {word}: ignoring the rest"
            ));
            break;
        }
        let item = word.trim_start_matches('!');
        let positive = positive == ((word.len() - item.len()) % 2 == 0);
        if item.is_empty() {
            return Err(TableError {
                table: text.to_owned(),
                reason: "no pattern after '!'".to_owned(),
            });
        }
        if item.starts_with('/') {
            let (title, bytes) = read_file(item, item, context)?;
            let lines = logical_lines(&title, &bytes, context.warnings_mut());
            nested(item, context, |context| {
                lines
                    .iter()
                    .try_for_each(|line| read(&line.text, positive, kind, context, members))
            })?;
            continue;
        }
        let pattern = pattern(item, kind, context)?;
        members.push(Member { positive, pattern });
    }
    Ok(())
}

fn pattern(
    item: &str,
    kind: MatchKind,
    context: &mut TableContext<'_>,
) -> Result<Pattern, TableError> {
    if !item.starts_with('[') && item.contains(':') {
        let table = context.comparing(KeyCase::Exact, |context| open_in(item, context))?;
        return Ok(Pattern::Table { table, kind });
    }
    let folded = context.case().fold(item).into_owned();
    if kind == MatchKind::Strings {
        return Ok(Pattern::String(folded));
    }
    // As in Postfix, what is neither a name nor made of the characters of addresses matches nothing.
    let fits = |c: char| c.is_ascii_hexdigit() || ".:[]/".contains(c);
    let is_block = item.contains([':', '/', '[']) && item.chars().all(fits);
    if is_block {
        return Block::parse(item, true)
            .map(Pattern::Block)
            .map_err(|reason| TableError {
                table: item.to_owned(),
                reason,
            });
    }
    Ok(Pattern::Host {
        name: folded,
        subdomains: kind == MatchKind::HostsWithSubdomains,
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    #[test]
    fn no_error_and_no_warning_quotes_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), " bob:hush\n\"bob:hush\nc \u{e9}\nd").unwrap();
        let mut context = TableContext::new(dir.path());
        context.warn("earlier \"quoted\"".to_owned());
        for specs in [
            "inline:{a=hush",
            "inline:{a hush}",
            "inline:{{a=hush}x}",
            "nosuch:hush",
            "static:{hush",
            "unionmap:{inline:{a hush}}",
            "/nowhere/pw",
        ] {
            let error = secret_maps_in(specs, &mut context).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.replace("hush:…", "").contains("hush"),
                "{specs}: {shown}"
            );
        }
        let maps = secret_maps_in("texthash:pw, static:hush", &mut context).unwrap();
        assert_eq!(maps.expose().lookup("x"), Ok(Some("hush".to_owned())));
        let shown = format!("{maps:?} {context:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(
            shown.contains("earlier \\\"quoted\\\"") && shown.contains("unbalanced"),
            "{shown}"
        );
    }

    fn list(text: &str, kind: MatchKind) -> MatchList {
        match_list_in(text, kind, &mut TableContext::new(Path::new(""))).unwrap()
    }

    #[test]
    fn strings_match_whole_and_without_regard_to_case() {
        let rows = [
            ("", "a", false),
            ("a b, C", "c", true),
            ("a", "x.a", false),
            ("!a, a, b", "a", false),
            ("!a, a, b", "b", true),
            ("!!a", "a", true),
            ("[Relay.Example]:25", "[relay.example]:25", true),
            ("inline:{a=1}, b", "A", true),
            ("!inline:{a=1}, static:all", "a", false),
            ("!inline:{a=1}, static:all", "z", true),
        ];
        for (text, subject, expected) in rows {
            let list = list(text, MatchKind::Strings);
            assert_eq!(list.contains(subject), Ok(expected), "{text} ~ {subject}");
        }
    }

    #[test]
    fn hosts_match_by_name_by_domain_and_by_address() {
        use MatchKind::{Hosts, HostsWithSubdomains as Sub};
        let rows = [
            ("example.com", Sub, "example.com", "192.0.2.1", true),
            ("example.com", Sub, "a.b.Example.com", "192.0.2.1", true),
            ("example.com", Sub, "notexample.com", "192.0.2.1", false),
            ("example.com", Hosts, "a.example.com", "192.0.2.1", false),
            (".example.com", Hosts, "a.example.com", "192.0.2.1", true),
            (".example.com", Hosts, "example.com", "192.0.2.1", false),
            ("192.0.2.1", Sub, "x", "192.0.2.1", true),
            ("192.0.2.0/24", Sub, "x", "192.0.2.77", true),
            ("192.0.2.0/24", Sub, "x", "192.0.3.77", false),
            ("!192.0.2.7, 192.0.2.0/24", Sub, "x", "192.0.2.7", false),
            ("[2001:db8::]/32", Sub, "x", "2001:db8:1::1", true),
            ("[2001:db8:0::1]", Sub, "x", "2001:DB8::1", true),
            ("[192.0.2.1]", Sub, "x", "192.0.2.1", true),
            ("192.0.2.1", Sub, "x", "unix-socket", false),
            ("[example.com]", Sub, "example.com", "192.0.2.1", false),
            (
                "inline:{example.com=y}",
                Sub,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            (
                "inline:{example.com=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                false,
            ),
            (
                "inline:{.example.com=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            (
                "inline:{192.0.2.1=y}",
                Hosts,
                "a.example.com",
                "192.0.2.1",
                true,
            ),
            ("cidr:{{192.0.2.0/24 y}}", Hosts, "a", "192.0.2.1", true),
            (
                "regexp:{{/^com$/ y}}",
                Sub,
                "example.com",
                "192.0.2.1",
                false,
            ),
        ];
        for (text, kind, name, address, expected) in rows {
            assert_eq!(
                list(text, kind).contains_host(name, address),
                Ok(expected),
                "{text} ~ {name} {address}"
            );
        }
    }

    #[test]
    fn mistakes_are_refused_and_failures_are_passed_on() {
        let mut context = TableContext::new(Path::new(""));
        for text in ["a, !", "/no/such/file", "ldap:x", "10.0.0.1/8", "[::1"] {
            let result = match_list_in(text, MatchKind::Hosts, &mut context);
            assert!(result.is_err(), "{text}");
        }
        let list = list("a, fail:x", MatchKind::Strings);
        assert_eq!(list.contains("a"), Ok(true));
        assert!(list.contains("b").is_err());
    }

    #[test]
    fn files_are_read_in_place_and_may_not_include_themselves_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let mut context = TableContext::new(dir.path());
        let name = path.display().to_string();
        std::fs::write(&path, "# some\nb, c\n!d e\n").unwrap();
        let list = match_list_in(&name, MatchKind::Strings, &mut context).unwrap();
        let found: Vec<bool> = ["b", "c", "d", "e", "f"]
            .iter()
            .map(|text| list.contains(text).unwrap())
            .collect();
        assert_eq!(found, [true, true, false, true, false]);
        let negated = match_list_in(&format!("!{name}"), MatchKind::Strings, &mut context);
        let negated = negated.unwrap();
        assert_eq!(negated.contains("b"), Ok(false));
        assert_eq!(negated.contains("d"), Ok(true));
        std::fs::write(&path, &name).unwrap();
        let error = match_list_in(&name, MatchKind::Strings, &mut context).unwrap_err();
        assert!(error.reason.contains("nested"), "{error}");
    }
}
