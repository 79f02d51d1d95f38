//! One entry of the policy table: a level and what belongs to it
//! (`src/smtp/smtp_tls_policy.c`, tls_policy_lookup_one).

use super::{
    fingerprint::Fingerprints,
    level::TlsLevel,
    names::{MatchName, ServerName},
    protocols::{CipherExclusions, CipherGrade, NotUnderstood, Protocols},
};
use crate::{
    dns::names::{Wildcard, is_valid_hostname},
    sts::names_host,
    tables::words::{split, unbrace},
};

/// What an entry says besides the level. What it does not say is left to the
/// parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) ciphers: Option<Result<CipherGrade, NotUnderstood>>,
    pub(crate) protocols: Option<Result<Protocols, NotUnderstood>>,
    pub(crate) servername: Option<ServerName>,
    /// Names, at levels that want them.
    pub(crate) names: Vec<MatchName>,
    /// Fingerprints, at their level.
    pub(crate) fingerprints: Option<Fingerprints>,
    pub(crate) exclude: Option<Result<CipherExclusions, NotUnderstood>>,
    /// Trust anchor files.
    pub(crate) tafiles: Vec<String>,
    pub(crate) connection_reuse: Option<bool>,
    pub(crate) published: Published,
}

/// The word of an entry about the policy that the domain publishes, from which whoever made the entry has it. But for the patterns it
/// is meant for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// `policy_type`: `tlsa`, `sts` or `no-policy-found`.
    kind: Option<String>,
    /// `policy_ttl`, `policy_domain` and `policy_failure`.
    ttl: Option<String>,
    domain: Option<String>,
    failure: Option<String>,
    /// `policy_string` was there.
    has_text: bool,
    /// `mx_host_pattern`: the mail exchangers that an MTA-STS policy names.
    patterns: Vec<String>,
}

impl Published {
    const KINDS: [&str; 3] = ["tlsa", "sts", "no-policy-found"];

    /// Takes an attribute; false if it is none of these.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let text = || value.to_owned();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match name.to_ascii_lowercase().as_str() {
            "policy_type" if Self::KINDS.contains(&value) => once(&mut self.kind, name, text())?,
            "policy_ttl" if is_number => once(&mut self.ttl, name, text())?,
            "policy_domain" if is_valid_hostname(value, Wildcard::Forbidden) => {
                once(&mut self.domain, name, text())?;
            }
            "policy_failure" => once(&mut self.failure, name, text())?,
            "policy_string" => self.has_text = true,
            "mx_host_pattern" => self.patterns.push(text()),
            "policy_type" | "policy_ttl" | "policy_domain" => {
                return Err(format!(
                    "attribute \"{name}\" has a malformed value: \"{value}\""
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Checks that nothing is said of a policy whose type is not.
    fn check(&self) -> Result<(), String> {
        match self.kind.is_none() && *self != Self::default() {
            true => Err("attributes of a published policy without policy_type".to_owned()),
            false => Ok(()),
        }
    }
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
    attributes.published.check()?;
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
    /// Has a server match the patterns of an MTA-STS policy, and its certificate its own name
    /// (`smtp_tls_enforce_sts_mx_patterns`). False if `host` is none of them.
    pub(crate) fn enforce_sts(&mut self, host: &str) -> bool {
        let patterns = &self.published.patterns;
        let is_sts = self.published.kind.as_deref() == Some("sts");
        if !is_sts || self.names.is_empty() || patterns.is_empty() {
            return true;
        }
        self.names = vec![MatchName::Hostname];
        names_host(patterns, host)
    }

    /// The domain of the published policy, for the log.
    pub(crate) fn published_by(&self) -> &str {
        self.published.domain.as_deref().unwrap_or_default()
    }

    fn set(&mut self, level: TlsLevel, name: &str, value: &str) -> Result<(), String> {
        let empty = || format!("attribute \"{name}\" has empty value");
        let out_of_place = || format!("attribute \"{name}\" invalid at security level \"{level}\"");
        match name.to_ascii_lowercase().as_str() {
            "ciphers" if value.is_empty() => return Err(empty()),
            "ciphers" => once(&mut self.ciphers, name, value.parse())?,
            "protocols" => once(&mut self.protocols, name, value.parse())?,
            "exclude" => once(&mut self.exclude, name, value.parse())?,
            "servername" => {
                let server = ServerName::parse(value);
                if server.is_invalid() || value.is_empty() {
                    return Err(format!("\"{name}={value}\" specifies an invalid hostname"));
                }
                once(&mut self.servername, name, server)?;
            }
            "match" if value.is_empty() => return Err(empty()),
            "match" if level == TlsLevel::Fingerprint => {
                let texts = value.split('|').filter(|part| !part.is_empty());
                let own = self.fingerprints.get_or_insert_default();
                own.extend(Fingerprints::read(texts));
            }
            "match" if level.needs_authority() => {
                let words = value.split(':').filter(|part| !part.is_empty());
                self.names.extend(words.map(MatchName::parse));
            }
            "match" => return Err(out_of_place()),
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
            // As in a Postfix whose TLS library has no raw public keys (RFC 7250).
            "enable_rpk" if ["yes", "no"].contains(&value.to_ascii_lowercase().as_str()) => {}
            "enable_rpk" => {
                return Err(format!("attribute \"{name}\" has bad value: \"{value}\""));
            }
            _ if self.published.set(name, value)? => {}
            _ => return Err(format!("invalid attribute name: \"{name}\"")),
        }
        Ok(())
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    if slot.is_some() {
        return Err(format!("attribute \"{name}\" is specified multiple times"));
    }
    *slot = Some(value);
    Ok(())
}

/// The trust anchor files that an entry names, whatever else it says.
pub fn tafiles(entry: &str) -> Vec<String> {
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
                     {protocols = >=TLSv1.2} servername=hostname connection_reuse=YES tafile=/ta enable_rpk=Yes";
        let (level, found) = parse(entry, &mut Vec::new()).unwrap();
        assert_eq!(level, TlsLevel::Secure);
        let names: Vec<String> = found.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.example", ".b.example", "nexthop"]);
        assert_eq!(found.ciphers, Some(Ok(CipherGrade::High)));
        assert_eq!(found.protocols, Some(">=TLSv1.2".parse()));
        assert_eq!(found.servername, Some(ServerName::Hostname));
        assert_eq!(found.connection_reuse, Some(true));
        assert_eq!(found.tafiles, ["/ta"]);
        let (_, found) = parse("fingerprint match=AA:BB|CC", &mut Vec::new()).unwrap();
        let fingerprints = found.fingerprints.unwrap();
        assert_eq!(fingerprints.values(), [vec![0xaa, 0xbb], vec![0xcc]]);
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
                "may enable_rpk=maybe",
                "attribute \"enable_rpk\" has bad value: \"maybe\"",
            ),
            (
                "secure policy_type=dane",
                "attribute \"policy_type\" has a malformed value: \"dane\"",
            ),
            (
                "secure policy_type=sts policy_ttl=x",
                "attribute \"policy_ttl\" has a malformed value: \"x\"",
            ),
            (
                "secure policy_type=sts policy_type=sts",
                "attribute \"policy_type\" is specified multiple times",
            ),
            (
                "secure match=a mx_host_pattern=a",
                "attributes of a published policy without policy_type",
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
