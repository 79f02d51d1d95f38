//! Internationalised domain names in ASCII (A-labels), as Postfix's
//! `src/util/midna_domain.c` makes them: UTS 46, with the host name rules on
//! the result.

use std::borrow::Cow;

#[cfg(feature = "idna")]
use ::idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

#[cfg(feature = "idna")]
use crate::dns::names::{Wildcard, is_valid_hostname};

/// How the four characters are treated that IDNA 2003 and 2008 read
/// differently (`enable_idna2003_compatibility`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idna {
    /// As letters of their own: IDNA 2008, the default.
    #[default]
    NonTransitional,
    /// As IDNA 2003 did: sharp s is `ss`, final sigma is sigma, joiners vanish.
    Transitional,
}

impl Idna {
    /// `name` in ASCII; an ASCII name as it is. `None` if there is no such
    /// name, or if the result is no valid host name; without the feature `idna`
    /// for all names that are not ASCII.
    pub fn to_ascii(self, name: &str) -> Option<Cow<'_, str>> {
        match name.is_ascii() {
            true => Some(Cow::Borrowed(name)),
            false => self.convert(name),
        }
    }

    #[cfg(not(feature = "idna"))]
    fn convert(self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }

    #[cfg(feature = "idna")]
    fn convert(self, name: &str) -> Option<Cow<'_, str>> {
        let mapped = match self {
            Self::NonTransitional => Cow::Borrowed(name),
            Self::Transitional => Cow::Owned(map_deviations(name)),
        };
        let ascii = Uts46::new()
            .to_ascii(
                mapped.as_bytes(),
                AsciiDenyList::EMPTY,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .ok()?;
        is_valid_hostname(&ascii, Wildcard::Forbidden).then(|| Cow::Owned(ascii.into_owned()))
    }
}

/// The transitional mapping of UTS 46, section 4: only the deviation
/// characters, the rest follows.
#[cfg(feature = "idna")]
fn map_deviations(name: &str) -> String {
    let mut mapped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '\u{df}' | '\u{1e9e}' => mapped.push_str("ss"),
            '\u{3c2}' => mapped.push('\u{3c3}'),
            '\u{200c}' | '\u{200d}' => {}
            other => mapped.push(other),
        }
    }
    mapped
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[cfg(not(feature = "idna"))]
    #[test]
    fn without_the_feature_only_ascii_names_pass() {
        let idna = Idna::NonTransitional;
        assert_eq!(idna.to_ascii("a.example").as_deref(), Some("a.example"));
        assert_eq!(idna.to_ascii("bücher.example"), None);
    }

    #[cfg(feature = "idna")]
    #[test]
    fn names_are_mapped_by_uts_46_in_both_ways() {
        let (new, old) = (Idna::NonTransitional, Idna::Transitional);
        let cases = [
            (new, "Example.COM", Some("Example.COM")),
            (new, "bücher.example", Some("xn--bcher-kva.example")),
            (new, "BÜCHER.example", Some("xn--bcher-kva.example")),
            (new, "faß.example", Some("xn--fa-hia.example")),
            (old, "faß.example", Some("fass.example")),
            (old, "βόλος.example", Some("xn--nxasmq6b.example")),
            (new, "ü..example", None),
            (new, "ü b.example", None),
            (new, "-ü.example", None),
            (new, "ü.example.", None),
        ];
        for (mode, name, expected) in cases {
            assert_eq!(mode.to_ascii(name).as_deref(), expected, "{mode:?} {name}");
        }
    }
}
