//! The small enumerations and sets that parameters hold.

use super::parameter::{Kind, Parameter};
use super::value::{Setting, unknown_word, words};
use crate::request::TextError;

/// Which of the two protocols a request or a configuration is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 5321: mail between hosts; next hops are domains with MX records.
    #[default]
    Smtp,
    /// RFC 2033: mail to a final store; next hops are hosts or sockets, and each recipient has a reply of
    /// its own after the text.
    Lmtp,
}

impl Protocol {
    /// Both protocols, SMTP first.
    pub const ALL: [Protocol; 2] = [Protocol::Smtp, Protocol::Lmtp];

    /// `smtp` or `lmtp`: the name of the Postfix program for this protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Lmtp => "lmtp",
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = TextError;

    /// Reads `smtp` or `lmtp`, in lower case.
    fn from_str(name: &str) -> Result<Self, TextError> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or(TextError::none_of("protocol", "smtp, lmtp"))
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `inet_protocols`: the address families that are looked up and connected to.
///
/// With neither, every delivery is deferred with 4.4.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InetProtocols {
    /// IPv4: A records.
    pub ipv4: bool,
    /// IPv6: AAAA records.
    pub ipv6: bool,
}

/// `smtp_address_preference`: which address family comes first among equally preferred hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPreference {
    /// Neither: both families are mixed.
    #[default]
    Any,
    /// IPv6 first.
    Ipv6,
    /// IPv4 first.
    Ipv4,
}

/// `smtp_host_lookup`: how the name of a host becomes addresses.
///
/// With both, the operating system is asked when the DNS says that the name or its addresses do not
/// exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLookup {
    /// Ask the DNS.
    pub dns: bool,
    /// Ask the operating system (`getaddrinfo`, hence `/etc/hosts`).
    pub native: bool,
}

/// `smtp_dns_support_level`: how much of the DNS is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsSupport {
    /// No DNS: no MX lookups, hosts by the operating system only.
    Disabled,
    /// MX and host lookups without validation.
    #[default]
    Enabled,
    /// Lookups that ask for DNSSEC validation; needed for the DANE levels.
    Dnssec,
}

/// `smtp_dns_resolver_options`: whether short host names are completed with local domains.
///
/// Host lookups only; MX and TLSA questions are always asked as they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResolverOptions {
    /// `res_defnames`: append the first search domain to a name without dots.
    pub defnames: bool,
    /// `res_dnsrch`: try the search list of the resolver configuration.
    pub dnsrch: bool,
}

/// `smtp_address_verify_target`: where an address probe stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeTarget {
    /// After the replies to RCPT TO.
    #[default]
    Rcpt,
    /// After the reply to DATA, where some servers refuse.
    Data,
}

/// `info_log_address_format`: how addresses look in log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFormat {
    /// Quoted where the syntax of headers needs it: `<"a b"@example.com>`.
    #[default]
    External,
    /// As stored: `<a b@example.com>`.
    Internal,
}

/// Makes an enumeration of one word a parameter type. Words count in any case, as Postfix's name codes.
macro_rules! one_word {
    ($ty:ty, $( $word:literal => $value:expr ),+ $(,)?) => {
        impl Setting for $ty {
            const KIND: Kind = Kind::Words(&[$($word),+]);

            fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
                $( if text.eq_ignore_ascii_case($word) { return Ok($value); } )+
                Err(unknown_word(text, &[$($word),+]))
            }

            fn check(&self, _: &Parameter) -> Result<(), String> {
                Ok(())
            }

            fn text(&self) -> Option<String> {
                let words = [$(($word, $value)),+];
                let found = words.into_iter().rfind(|(_, value)| value == self);
                found.map(|(word, _)| word.to_owned())
            }

            #[cfg(test)]
            fn unchecked(_: &str) -> Option<Self> {
                None
            }
        }
    };
}

one_word!(AddressPreference, "any" => Self::Any, "ipv6" => Self::Ipv6, "ipv4" => Self::Ipv4);
one_word!(ProbeTarget, "rcpt" => Self::Rcpt, "data" => Self::Data);
one_word!(AddressFormat, "external" => Self::External, "internal" => Self::Internal);
one_word!(
    DnsSupport,
    // Empty: settled by `disable_dns_lookups` when the whole configuration is known.
    "" => Self::Enabled,
    "disabled" => Self::Disabled,
    "enabled" => Self::Enabled,
    "dnssec" => Self::Dnssec,
);

/// Makes a set of words a parameter type. Case counts, as in Postfix's name masks.
macro_rules! word_set {
    ($ty:ty, $( $word:literal => $set:expr ),+ $(,)?) => {
        impl Setting for $ty {
            const KIND: Kind = Kind::Words(&[$($word),+]);

            fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
                let mut value = Self::default();
                for word in words(text) {
                    match word {
                        $( $word => { let set: fn(&mut Self) = $set; set(&mut value); } )+
                        _ => return Err(unknown_word(word, &[$($word),+])),
                    }
                }
                Ok(value)
            }

            fn check(&self, parameter: &Parameter) -> Result<(), String> {
                match parameter.min > 0 && *self == Self::default() {
                    true => Err("the value must not be empty".to_owned()),
                    false => Ok(()),
                }
            }

            fn text(&self) -> Option<String> {
                let words: &[(&str, fn(&mut Self))] = &[$(($word, $set)),+];
                let adds_nothing = |set: fn(&mut Self)| {
                    let mut with = *self;
                    set(&mut with);
                    with == *self
                };
                let words = words.iter().filter(|(_, set)| adds_nothing(*set));
                Some(words.map(|(word, _)| *word).collect::<Vec<_>>().join(" "))
            }

            #[cfg(test)]
            fn unchecked(_: &str) -> Option<Self> {
                None
            }
        }
    };
}

word_set!(
    InetProtocols,
    "all" => |p| *p = Self { ipv4: true, ipv6: true },
    "ipv4" => |p| p.ipv4 = true,
    "ipv6" => |p| p.ipv6 = true,
);
word_set!(HostLookup, "dns" => |h| h.dns = true, "native" => |h| h.native = true);
word_set!(
    ResolverOptions,
    "res_defnames" => |o| o.defnames = true,
    "res_dnsrch" => |o| o.dnsrch = true,
);
