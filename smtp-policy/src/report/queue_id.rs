//! The name that a server gave a message, read off its reply. No rule makes servers tell
//! it, so that this is a table of what the common ones say.

use smtp_proto::reply::Reply;

/// The place of the name.
enum Place {
    /// Behind this text.
    Behind(&'static str),
    /// Before this text.
    Before(&'static str),
}

/// The first that fits holds.
const PLACES: [(Place, &str); 7] = [
    (Place::Behind("queued as "), "Postfix, and many others"),
    (Place::Behind("[InternalId="), "Exchange"),
    (Place::Behind(" id="), "Exim"),
    (Place::Behind(" qp "), "qmail"),
    (Place::Before(" Message accepted"), "Sendmail, OpenSMTPD"),
    (Place::Before(" Saved"), "Dovecot, over LMTP"),
    (Place::Before(" - gsmtp"), "Google"),
];

/// The queue id in the last line of a reply to the end of the text: `4X1` of
/// `250 2.0.0 Ok: queued as 4X1`. `None` where the reply has none in a place where one of
/// the common servers puts it: Postfix, Exchange, Exim, qmail, Sendmail, OpenSMTPD,
/// Dovecot, and what behaves like them.
///
/// ```
/// use smtp_policy::report::queue_id;
/// use smtp_proto::Reply;
///
/// let reply = Reply::new(250, "250 OK id=1rA2b3-0000Cd-4E");
/// assert_eq!(queue_id(&reply), Some("1rA2b3-0000Cd-4E"));
/// ```
pub fn queue_id(reply: &Reply) -> Option<&str> {
    let line = reply.lines().last()?;
    let found = PLACES.iter().find_map(|(place, _)| match place {
        Place::Behind(mark) => line.split_once(mark)?.1.split(is_end).next(),
        Place::Before(mark) => line.split_once(mark)?.0.rsplit(is_end).next(),
    })?;
    // A code is no name: `250 Message accepted`.
    let is_name = !found.is_empty() && found.bytes().all(|byte| byte.is_ascii_graphic());
    (is_name && !line.starts_with(found)).then_some(found)
}

/// True for what a name ends at.
fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | ']' | '[' | '(' | ')' | '<' | '>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_servers_tell_the_name() {
        for (line, name) in [
            ("250 2.0.0 Ok: queued as 4bXyZ12abcz1", Some("4bXyZ12abcz1")),
            ("250 2.0.0 Ok: queued as 4B2C1, thanks", Some("4B2C1")),
            ("250 OK id=1rA2b3-0000Cd-4E", Some("1rA2b3-0000Cd-4E")),
            ("250 ok 1700000000 qp 12345", Some("12345")),
            (
                "250 2.0.0 3ATBx1Zq012345 Message accepted for delivery",
                Some("3ATBx1Zq012345"),
            ),
            (
                "250 2.0.0 5a1b2c3d Message accepted for delivery",
                Some("5a1b2c3d"),
            ),
            (
                "250 2.6.0 <a@b> [InternalId=123456, Hostname=x.example] 9 bytes Queued mail",
                Some("123456"),
            ),
            (
                "250 2.0.0 <u@example.com> gQ4aBwk+Zm== Saved",
                Some("gQ4aBwk+Zm=="),
            ),
            (
                "250 2.0.0 OK  1700000000 a1-20020ab0 - gsmtp",
                Some("a1-20020ab0"),
            ),
            ("250 2.0.0 Ok", None),
            ("250 Message accepted", None),
            ("250 2.0.0 Ok: queued as ", None),
            ("250 2.0.0 Ok: queued as \u{fc}", None),
        ] {
            let reply = Reply::new(250, line);
            assert_eq!(queue_id(&reply), name, "{line}");
        }
    }

    #[test]
    fn only_the_last_line_counts() {
        let reply = Reply::new(250, "250-queued as OLD\n250 queued as NEW");
        assert_eq!(queue_id(&reply), Some("NEW"));
    }
}
