//! The small enumerations and sets that parameters hold.

use super::parameter::{Kind, Parameter};
use super::value::{Setting, unknown_word, words};
use smtp_policy::dns::SearchMode;
use smtp_policy::route::{AddressPreference, DnsSupport, Families, HostLookup};
use smtp_policy::settings::{AddressFormat, ProbeTarget};

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
    Families,
    "all" => |p| *p = Self { ipv4: true, ipv6: true },
    "ipv4" => |p| p.ipv4 = true,
    "ipv6" => |p| p.ipv6 = true,
);
word_set!(HostLookup, "dns" => |h| h.dns = true, "native" => |h| h.native = true);
word_set!(
    SearchMode,
    "res_defnames" => |o| o.defnames = true,
    "res_dnsrch" => |o| o.dnsrch = true,
);
