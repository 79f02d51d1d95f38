//! The text record at `_smtp._tls.DOMAIN`: who wants reports (RFC 8460 section 3).

use smtp_policy::dns::names::{Wildcard, is_valid_hostname};
use smtp_proto::Address;

/// The longest record that is read, in bytes.
const RECORD_LIMIT: usize = 4096;
/// The longest address of a receiver, in bytes.
const URI_LIMIT: usize = 1000;
/// The most receivers that get a report; those behind them do not.
const RECEIVER_LIMIT: usize = 5;

/// Somebody who gets reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Receiver {
    /// By mail: `mailto:`.
    Mail(Address),
    /// By HTTPS: `https:`.
    Web(Endpoint),
}

/// A place on a web server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host, in small letters.
    pub host: String,
    /// The port: 443 unless the address has another.
    pub port: u16,
    /// The path with its slash, and the query if there is one.
    pub path: String,
}

impl core::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "https://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Those who want reports about a domain, from all text records at `_smtp._tls.DOMAIN`. None if nobody does, for which it
/// is enough that there is not exactly one record that begins with `v=TLSRPTv1;`, or that it makes no sense. Addresses
/// that make no sense are left out, and so are those of other schemes.
pub fn receivers<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<Receiver> {
    let mut found = records.into_iter().filter_map(fields);
    match (found.next(), found.next()) {
        (Some(fields), None) => rua(fields).map(read).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The part of a record behind `v=TLSRPTv1;`.
fn fields(record: &[u8]) -> Option<&[u8]> {
    let rest = record.strip_prefix(b"v=TLSRPTv1")?;
    rest.trim_ascii_start().strip_prefix(b";")
}

/// The value of the first `rua`; none if one of the fields is none.
fn rua(fields: &[u8]) -> Option<&str> {
    let fields = core::str::from_utf8(fields).ok()?;
    if fields.len() > RECORD_LIMIT {
        return None;
    }
    let mut rua = None;
    let mut fields = fields.split(';').map(str::trim_ascii).peekable();
    while let Some(field) = fields.next() {
        if field.is_empty() && fields.peek().is_none() {
            break;
        }
        let (name, value) = field.split_once('=')?;
        if name == "rua" {
            rua.get_or_insert(value);
        }
    }
    rua
}

fn read(rua: &str) -> Vec<Receiver> {
    let mut receivers = Vec::new();
    for uri in rua.split(',').map(str::trim_ascii) {
        if let Some(receiver) = receiver(uri)
            && !receivers.contains(&receiver)
            && receivers.len() < RECEIVER_LIMIT
        {
            receivers.push(receiver);
        }
    }
    receivers
}

fn receiver(uri: &str) -> Option<Receiver> {
    if uri.len() > URI_LIMIT || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        return mailbox(rest).map(Receiver::Mail);
    }
    let rest = rest.strip_prefix("//")?;
    let endpoint = scheme.eq_ignore_ascii_case("https").then(|| endpoint(rest));
    endpoint.flatten().map(Receiver::Web)
}

/// The address in a `mailto:`; header fields behind it are not heeded.
fn mailbox(text: &str) -> Option<Address> {
    let text = text.split('?').next()?;
    let address = Address::parse(&decoded(text)?).ok()?;
    let whole = address.as_str();
    let plain = whole.is_ascii() && !whole.bytes().any(|byte| byte.is_ascii_control());
    let named = is_host(address.domain()?) && !address.local_part().is_empty();
    (plain && named).then_some(address)
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let text = text.split('#').next()?;
    let end = text.find(['/', '?']).unwrap_or(text.len());
    let (authority, path) = text.split_at_checked(end)?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (authority, 443),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    is_host(host).then(|| Endpoint {
        host: host.to_ascii_lowercase(),
        port,
        path: format!("{slash}{path}"),
    })
}

/// Returns whether a text is the name of a host, and no address of one.
fn is_host(text: &str) -> bool {
    is_valid_hostname(text, Wildcard::Forbidden)
}

/// The text with its percent signs resolved (RFC 3986 section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        let byte = match first {
            b'%' => {
                let (digits, more) = rest.split_at_checked(2)?;
                rest = more;
                let digits = core::str::from_utf8(digits).ok()?;
                let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                u8::from_str_radix(digits, 16).ok().filter(|_| valid)?
            }
            byte => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(records: &[&str]) -> Vec<String> {
        let found = receivers(records.iter().map(|record| record.as_bytes()));
        let written = found.iter().map(|receiver| match receiver {
            Receiver::Mail(address) => format!("mailto:{address}"),
            Receiver::Web(endpoint) => endpoint.to_string(),
        });
        written.collect()
    }

    #[test]
    fn exactly_one_record_of_the_version_counts() {
        let good = "v=TLSRPTv1;rua=mailto:reports@example.com";
        let found = ["mailto:reports@example.com"];
        assert_eq!(of(&[good]), found);
        assert_eq!(
            of(&["v=spf1 -all", good, "v=TLSRPTv2;rua=mailto:x@x.example"]),
            found
        );
        assert_eq!(of(&[good, good]), [""; 0]);
        assert_eq!(of(&[]), [""; 0]);
    }

    #[test]
    fn a_record_is_read_as_the_grammar_has_it() {
        let table: &[(&str, &[&str])] = &[
            (
                "v=TLSRPTv1; rua=mailto:a@example.com; ",
                &["mailto:a@example.com"],
            ),
            (
                "v=TLSRPTv1 ;rua=MAILTO:a@example.com",
                &["mailto:a@example.com"],
            ),
            (
                "v=TLSRPTv1;x=y;rua=mailto:a@example.com;z=a=b",
                &["mailto:a@example.com"],
            ),
            (
                "v=TLSRPTv1;rua=mailto:a@example.com;rua=mailto:b@example.com",
                &["mailto:a@example.com"],
            ),
            (
                "v=TLSRPTv1;rua=mailto:a@example.com , https://R.example.net/v1?x=y#z",
                &["mailto:a@example.com", "https://r.example.net:443/v1?x=y"],
            ),
            (
                "v=TLSRPTv1;rua=https://r.example",
                &["https://r.example:443/"],
            ),
            (
                "v=TLSRPTv1;rua=https://r.example:8443?q",
                &["https://r.example:8443/?q"],
            ),
            (
                "v=TLSRPTv1;rua=mailto:a%2Bb%21@example.com?subject=x",
                &["mailto:a+b!@example.com"],
            ),
            (
                "v=TLSRPTv1;rua=mailto:a@x.example,mailto:a@x.example",
                &["mailto:a@x.example"],
            ),
            // What makes no sense is left out.
            (
                "v=TLSRPTv1;rua=ftp://x.example,mailto:a@x.example",
                &["mailto:a@x.example"],
            ),
            ("v=TLSRPTv1;rua=http://x.example/", &[]),
            ("v=TLSRPTv1;rua=https://192.0.2.1/", &[]),
            ("v=TLSRPTv1;rua=https://[::1]/", &[]),
            ("v=TLSRPTv1;rua=https://user@x.example/", &[]),
            ("v=TLSRPTv1;rua=https://x.example:0/", &[]),
            ("v=TLSRPTv1;rua=https://x.example:99999/", &[]),
            ("v=TLSRPTv1;rua=https:x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:a", &[]),
            ("v=TLSRPTv1;rua=mailto:@x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:a@[192.0.2.1]", &[]),
            ("v=TLSRPTv1;rua=mailto:a%0d%0aBcc:b@x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:a%@x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:a%+1@x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:\u{e9}@x.example", &[]),
            ("v=TLSRPTv1;rua=mailto:a b@x.example", &[]),
            ("v=TLSRPTv1;rua=", &[]),
            ("v=TLSRPTv1;", &[]),
            ("v=TLSRPTv1", &[]),
            ("v=TLSRPTv1;nonsense;rua=mailto:a@x.example", &[]),
            ("v=TLSRPTv1;;rua=mailto:a@x.example", &[]),
            ("V=TLSRPTv1;rua=mailto:a@x.example", &[]),
            ("v=tlsrptv1;rua=mailto:a@x.example", &[]),
            (" v=TLSRPTv1;rua=mailto:a@x.example", &[]),
            ("rua=mailto:a@x.example;v=TLSRPTv1", &[]),
        ];
        for (record, expected) in table {
            assert_eq!(of(&[record]), *expected, "{record:?}");
        }
    }

    #[test]
    fn a_record_has_its_bounds() {
        let many: Vec<String> = (0..9)
            .map(|number| format!("mailto:{number}@x.example"))
            .collect();
        let record = format!("v=TLSRPTv1;rua={}", many.join(","));
        assert_eq!(of(&[&record]).len(), RECEIVER_LIMIT);
        let long = format!(
            "v=TLSRPTv1;rua=mailto:a@x.example,https://x.example/{}",
            "x".repeat(URI_LIMIT)
        );
        assert_eq!(of(&[&long]), ["mailto:a@x.example"]);
        let longer = format!("{long},{}", "x".repeat(RECORD_LIMIT));
        assert_eq!(of(&[&longer]), [""; 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_fit_for_a_header_and_a_request(
            text in "(v=TLSRPTv1;)?[ -~\\t]{0,40}(rua=(mailto:|https://)[a-z@%0-9:/.,;?#!\\[\\]\r\n\u{0}\u{e9} -]{0,80})?"
        ) {
            for receiver in receivers([text.as_bytes()]) {
                match receiver {
                    Receiver::Mail(address) => {
                        let text = address.as_str();
                        prop_assert!(text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()));
                        prop_assert!(text.len() <= URI_LIMIT);
                    }
                    Receiver::Web(endpoint) => {
                        prop_assert!(is_host(&endpoint.host) && endpoint.path.starts_with('/'));
                        prop_assert!(endpoint.path.bytes().all(|byte| byte.is_ascii_graphic()));
                        prop_assert!(!endpoint.path.contains('#') && endpoint.port > 0);
                    }
                }
            }
        }

        #[test]
        fn any_bytes_can_be_read(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)) {
            let with_version = records.iter().map(|record| [b"v=TLSRPTv1;rua=mailto:", record.as_slice()].concat());
            let all: Vec<Vec<u8>> = records.iter().cloned().chain(with_version.take(1)).collect();
            receivers(all.iter().map(Vec::as_slice));
        }
    }
}
