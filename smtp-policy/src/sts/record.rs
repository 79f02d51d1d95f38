//! The text record at `_mta-sts.DOMAIN` (RFC 8461 section 3.1).

/// The most characters that an id has.
const ID_LIMIT: usize = 32;

/// The id of a domain's policy, from all text records at `_mta-sts.DOMAIN`. `None`
/// if the domain has no policy, for which it is enough that there is not exactly one
/// record that begins with `v=STSv1;`, or that it makes no sense.
pub fn policy_id<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut found = records.into_iter().filter_map(fields);
    match (found.next(), found.next()) {
        (Some(rest), None) => id(rest),
        _ => None,
    }
}

/// What stands behind `v=STSv1;`.
fn fields(record: &[u8]) -> Option<&[u8]> {
    let rest = record.strip_prefix(b"v=STSv1")?;
    rest.trim_ascii_start().strip_prefix(b";")
}

fn id(fields: &[u8]) -> Option<String> {
    let mut id = None;
    let mut fields = fields.split(|byte| *byte == b';').peekable();
    while let Some(field) = fields.next() {
        let field = field.trim_ascii();
        if field.is_empty() && fields.peek().is_none() {
            break;
        }
        let at = field.iter().position(|byte| *byte == b'=')?;
        let (name, value) = field.split_at_checked(at)?;
        let value = value.strip_prefix(b"=")?;
        if name == b"id" && id.is_none() {
            id = Some(value);
        }
    }
    let id = id?;
    let valid = (1..=ID_LIMIT).contains(&id.len()) && id.iter().all(u8::is_ascii_alphanumeric);
    valid.then(|| id.iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> Option<String> {
        policy_id(records.iter().map(|record| record.as_bytes()))
    }

    #[test]
    fn exactly_one_record_of_the_version_counts() {
        let good = "v=STSv1; id=20160831085700Z;";
        let other = "v=spf1 -all";
        let id = Some("20160831085700Z".to_owned());
        assert_eq!(of(&[good]), id);
        assert_eq!(of(&[other, good, "v=STSv2; id=1;"]), id);
        assert_eq!(of(&[good, good]), None);
        assert_eq!(of(&[good, "v=STSv1; id=???"]), None);
        assert_eq!(of(&[other]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_record_is_read_as_the_grammar_has_it() {
        let long = format!("v=STSv1; id={}", "1".repeat(32));
        let longer = format!("v=STSv1; id={}", "1".repeat(33));
        let table = [
            ("v=STSv1; id=1", Some("1")),
            ("v=STSv1;id=1;", Some("1")),
            ("v=STSv1 ; id=1 ; ", Some("1")),
            ("v=STSv1; x=y; id=1; z=a=b", Some("1")),
            ("v=STSv1; id=1; id=2", Some("1")),
            (&long, Some("11111111111111111111111111111111")),
            (&longer, None),
            ("v=STSv1; id=", None),
            ("v=STSv1; id=1-2", None),
            ("v=STSv1; ID=1", None),
            ("v=STSv1;", None),
            ("v=STSv1; nonsense; id=1", None),
            ("v=STSv1;; id=1", None),
            ("V=STSv1; id=1", None),
            ("id=1; v=STSv1", None),
            (" v=STSv1; id=1", None),
        ];
        for (record, expected) in table {
            assert_eq!(of(&[record]).as_deref(), expected, "{record:?}");
        }
    }
}
