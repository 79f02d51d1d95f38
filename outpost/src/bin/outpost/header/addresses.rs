//! The addresses in a header, for the envelope.

use outpost::address;
use smtp_proto::address::{Address, ReversePath};

use super::Header;

/// The fields with recipients.
const RECIPIENTS: [&str; 3] = ["To", "Cc", "Bcc"];
/// The fields with the sender, the first of which that is there counts.
const SENDERS: [&str; 2] = ["Sender", "From"];
/// The field with the sender of an earlier delivery.
const RETURN_PATH: &str = "Return-Path";

/// The recipients in `To`, `Cc` and `Bcc`, in their order.
///
/// # Errors
/// A field cannot be understood.
pub(crate) fn recipients(header: &Header) -> Result<Vec<Address>, String> {
    let mut found = Vec::new();
    for name in RECIPIENTS {
        for value in header.values(name) {
            found.extend(list(name, &value)?);
        }
    }
    Ok(found)
}

/// The sender in `Return-Path`, or else `Sender`, or else `From`.
///
/// # Errors
/// There is none, or it cannot be understood.
pub(crate) fn sender(header: &Header) -> Result<ReversePath, String> {
    if let Some(value) = header.values(RETURN_PATH).next() {
        return match value.as_str() {
            "<>" => Ok(ReversePath::Null),
            _ => address::parse(&value)
                .map(ReversePath::Mailbox)
                .map_err(|why| format!("{RETURN_PATH}: {value}: {why}")),
        };
    }
    for name in SENDERS {
        if let Some(value) = header.values(name).next() {
            let first = list(name, &value)?.into_iter().next();
            let sender = first.ok_or_else(|| format!("{name}: there is no address"))?;
            return Ok(ReversePath::Mailbox(sender));
        }
    }
    Err("there is no sender: neither Return-Path nor Sender nor From".to_owned())
}

/// Takes out what is for the sender alone: `Bcc`, and `Return-Path`, which only the last
/// server may put in (RFC 5321 section 4.4).
pub(crate) fn remove_private(header: &mut Header) {
    header.remove("Bcc");
    header.remove("Resent-Bcc");
}

/// Takes out the sender of an earlier delivery, which only the last server may put in (RFC
/// 5321 section 4.4).
pub(crate) fn remove_return_path(header: &mut Header) {
    header.remove(RETURN_PATH);
}

/// The addresses of a field.
fn list(name: &str, value: &str) -> Result<Vec<Address>, String> {
    address::parse_list(value).map_err(|why| format!("{name}: {value}: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(value: &str) -> Result<Vec<String>, String> {
        let all = list("To", value)?;
        Ok(all.iter().map(|a| a.as_str().to_owned()).collect())
    }

    #[test]
    fn lists_are_understood() {
        for (value, expected) in [
            ("a@x", &["a@x"][..]),
            ("a@x, b@y", &["a@x", "b@y"]),
            ("Ann <a@x>,\"B, b\" <b@y> (c@z)", &["a@x", "b@y"]),
            ("friends: a@x, Ben <b@y>;, c@z", &["a@x", "b@y", "c@z"]),
            ("undisclosed-recipients:;", &[]),
            ("", &[]),
            ("=?utf-8?q?J=C3=B6rg?= <j@x>", &["j@x"]),
            ("grün@bücher.example", &["grün@bücher.example"]),
            ("<a@[127.0.0.1]>", &["a@[127.0.0.1]"]),
            ("\"two words\"@x", &["two words@x"]),
            ("Ann", &["Ann"]),
            ("\"a@b\" <c@x>", &["c@x"]),
        ] {
            assert_eq!(found(value).unwrap(), expected, "{value:?}");
        }
    }

    #[test]
    fn nobody_is_left_out_in_silence() {
        for value in [
            "a@x b@y",
            "Ann <a@x> b@y",
            "<a@x> <b@y>",
            "a@x; b@y",
            "a@@x",
            "Ann <a@x",
        ] {
            assert!(found(value).is_err(), "{value:?}: {:?}", found(value));
        }
    }
}
