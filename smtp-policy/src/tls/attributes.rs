//! One entry of the policy table: a level and what belongs to it
//! (`src/smtp/smtp_tls_policy.c`, tls_policy_lookup_one).

use super::level::TlsLevel;
use crate::{
    dns::names::{Wildcard, is_valid_hostname},
    tables::words::{split, unbrace},
};

/// What an entry says besides the level. What it does not say is left to the
/// parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) ciphers: Option<String>,
    pub(crate) protocols: Option<String>,
    pub(crate) servername: Option<String>,
    /// Names or fingerprints.
    pub(crate) matches: Vec<String>,
    pub(crate) exclude: Option<String>,
    /// Trust anchor files.
    pub(crate) tafiles: Vec<String>,
    pub(crate) connection_reuse: Option<bool>,
}

/// Reads an entry. Warnings are what Postfix logs behind the name of the table and
/// the key; an `Err` is one that makes the entry worthless.
pub(crate) fn parse(
    entry: &str,
    warnings: &mut Vec<String>,
) -> Result<(TlsLevel, Attributes), String> {
    let mut words = split(entry).into_iter();
    let level = words.next().ok_or("invalid empty policy")?;
    let level =
        TlsLevel::parse(level).ok_or_else(|| format!("invalid security level \"{level}\""))?;
    if level == TlsLevel::None {
        let ignored = |word| format!("ignoring attribute \"{word}\" with TLS disabled");
        warnings.extend(words.map(ignored));
        return Ok((level, Attributes::default()));
    }
    let mut attributes = Attributes::default();
    for word in words {
        let malformed = |error| format!("malformed attribute/value pair \"{word}\": {error}");
        let bare = if word.starts_with('{') {
            unbrace(word).map_err(malformed)?
        } else {
            word
        };
        let (name, value) = name_and_value(bare).map_err(|error| malformed(error.to_owned()))?;
        attributes.set(level, name, &value)?;
    }
    Ok((level, attributes))
}

fn name_and_value(pair: &str) -> Result<(&str, String), &'static str> {
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value)),
        None => (pair.trim(), None),
    };
    if name.is_empty() {
        return Err("missing attribute name");
    }
    let value = value.filter(|_| !name.contains(char::is_whitespace));
    let value = value.ok_or("missing '=' after attribute name")?;
    // A line break within braces is as good as a blank.
    let value = value.trim().replace(|c: char| c.is_ascii_whitespace(), " ");
    Ok((name, value))
}

impl Attributes {
    fn set(&mut self, level: TlsLevel, name: &str, value: &str) -> Result<(), String> {
        let empty = || format!("attribute \"{name}\" has empty value");
        let out_of_place = || format!("attribute \"{name}\" invalid at security level \"{level}\"");
        match name.to_ascii_lowercase().as_str() {
            "ciphers" if value.is_empty() => return Err(empty()),
            "ciphers" => once(&mut self.ciphers, name, value)?,
            "protocols" => once(&mut self.protocols, name, value)?,
            "exclude" => once(&mut self.exclude, name, value)?,
            "servername" => {
                once(&mut self.servername, name, value)?;
                if !is_valid_hostname(value, Wildcard::Forbidden) {
                    return Err(format!("\"{name}={value}\" specifies an invalid hostname"));
                }
            }
            "match" if value.is_empty() => return Err(empty()),
            "match" => {
                let separator = match level {
                    TlsLevel::Fingerprint => '|',
                    TlsLevel::Verify | TlsLevel::Secure => ':',
                    _ => return Err(out_of_place()),
                };
                let parts = value.split(separator).filter(|part| !part.is_empty());
                self.matches.extend(parts.map(str::to_owned));
            }
            "tafile" if !level.needs_authority() => return Err(out_of_place()),
            "tafile" if value.is_empty() => return Err(empty()),
            "tafile" => self.tafiles.push(value.to_owned()),
            "connection_reuse" if value.eq_ignore_ascii_case("yes") => {
                self.connection_reuse = Some(true);
            }
            "connection_reuse" if value.eq_ignore_ascii_case("no") => {
                self.connection_reuse = Some(false);
            }
            "connection_reuse" => {
                return Err(format!("attribute \"{name}\" has bad value: \"{value}\""));
            }
            _ => return Err(format!("invalid attribute name: \"{name}\"")),
        }
        Ok(())
    }
}

fn once(slot: &mut Option<String>, name: &str, value: &str) -> Result<(), String> {
    if slot.is_some() {
        return Err(format!("attribute \"{name}\" is specified multiple times"));
    }
    *slot = Some(value.to_owned());
    Ok(())
}

/// The trust anchor files that an entry names, whatever else it says.
#[cfg(feature = "tls")]
pub(crate) fn tafiles(entry: &str) -> Vec<String> {
    let pairs = split(entry).into_iter().skip(1).filter_map(|word| {
        let bare = if word.starts_with('{') {
            unbrace(word).ok()?
        } else {
            word
        };
        name_and_value(bare).ok()
    });
    pairs
        .filter(|(name, _)| name.eq_ignore_ascii_case("tafile"))
        .map(|(_, value)| value)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_level_and_attributes() {
        let entry = "secure match=a.example:.b.example, match=nexthop ciphers=high \
                     {protocols = >=TLSv1.2} servername=hostname connection_reuse=YES tafile=/ta";
        let (level, found) = parse(entry, &mut Vec::new()).unwrap();
        assert_eq!(level, TlsLevel::Secure);
        assert_eq!(found.matches, ["a.example", ".b.example", "nexthop"]);
        assert_eq!(found.ciphers.as_deref(), Some("high"));
        assert_eq!(found.protocols.as_deref(), Some(">=TLSv1.2"));
        assert_eq!(found.servername.as_deref(), Some("hostname"));
        assert_eq!(found.connection_reuse, Some(true));
        assert_eq!(found.tafiles, ["/ta"]);
        let (_, found) = parse("fingerprint match=AA:BB|CC", &mut Vec::new()).unwrap();
        assert_eq!(found.matches, ["AA:BB", "CC"]);
    }

    #[test]
    fn what_is_wrong_is_said_as_postfix_says_it() {
        let table = [
            ("", "invalid empty policy"),
            ("bogus", "invalid security level \"bogus\""),
            ("halfdane", "invalid security level \"halfdane\""),
            ("may x=y", "invalid attribute name: \"x\""),
            (
                "may match=a",
                "attribute \"match\" invalid at security level \"may\"",
            ),
            (
                "encrypt tafile=/x",
                "attribute \"tafile\" invalid at security level \"encrypt\"",
            ),
            ("may ciphers=", "attribute \"ciphers\" has empty value"),
            (
                "may ciphers=high ciphers=high",
                "attribute \"ciphers\" is specified multiple times",
            ),
            (
                "may protocols=a protocols=b",
                "attribute \"protocols\" is specified multiple times",
            ),
            (
                "may servername=-x",
                "\"servername=-x\" specifies an invalid hostname",
            ),
            (
                "may connection_reuse=maybe",
                "attribute \"connection_reuse\" has bad value: \"maybe\"",
            ),
            (
                "may high",
                "malformed attribute/value pair \"high\": missing '=' after attribute name",
            ),
            (
                "may =high",
                "malformed attribute/value pair \"=high\": missing attribute name",
            ),
        ];
        for (entry, expected) in table {
            assert_eq!(
                parse(entry, &mut Vec::new()).unwrap_err(),
                expected,
                "{entry:?}"
            );
        }
    }

    #[test]
    fn attributes_without_tls_are_ignored_with_a_warning_each() {
        let mut warnings = Vec::new();
        let (level, found) = parse("none match=x, nonsense", &mut warnings).unwrap();
        assert_eq!((level, found), (TlsLevel::None, Attributes::default()));
        assert_eq!(warnings.len(), 2);
    }
}
