//! The parameter table: one entry for each name that `main.cf` may hold for this client.
//!
//! An entry says what the parameter means, which type it has, how it is called for SMTP and for
//! LMTP, its default, and how far it is honoured. Everything else about parameters is derived from
//! these entries: the typed structs, parsing, the listings, `PARAMETERS.md` and the spelling hints.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{Grammar, Protocol};

/// What a value looks like; for documentation and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `yes` or `no`, in any case.
    Bool,
    /// A whole number without a sign, at most 2147483647.
    Number,
    /// A whole number with a unit: `s`, `m`, `h`, `d` or `w`. Without one, the unit of the default.
    Time,
    /// Free text.
    Text,
    /// Words separated by commas or white space.
    List,
    /// One of these words, or several where the documentation says so.
    Words(&'static [&'static str]),
    /// Lookup tables, `type:name`, separated by commas or white space.
    Tables,
    /// The name of a file or folder.
    Path,
}

/// How far a parameter is honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The setting has the effect that Postfix documents.
    Supported,
    /// The setting is accepted and has another effect, or needs none; the text says which.
    Mapped(&'static str),
    /// The setting has no effect; the text says why. Setting it gives a warning.
    Refused(&'static str),
    /// Only the default is done; the text says what is not. Another value is an error: without what it asks for, mail
    /// would go another way, or less safely.
    Denied(&'static str),
    /// Postfix itself dropped the parameter; the text says since when. Setting it gives a warning.
    Removed(&'static str),
}

/// One spelling of a parameter together with its default, unexpanded as `postconf -d` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name in `main.cf`.
    pub name: &'static str,
    /// The default text, which may refer to other parameters.
    pub default: &'static str,
}

/// One entry of the parameter table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// The documentation, line by line.
    pub docs: &'static [&'static str],
    /// The group that the entry belongs to: the name of the field in [`Config`](super::Config).
    pub group: &'static str,
    /// The field within the group; none for names that only exist for expansion or for messages.
    pub field: Option<&'static str>,
    /// The shape of the value.
    pub kind: Kind,
    /// The name for SMTP, if SMTP has it.
    pub smtp: Option<Named>,
    /// The name for LMTP, if LMTP has it; the same as for SMTP where both share one parameter.
    pub lmtp: Option<Named>,
    /// The value that the field has under the protocol that lacks the parameter.
    pub absent: &'static str,
    /// The least number or the shortest text that is accepted.
    pub min: u64,
    /// The greatest number that is accepted.
    pub max: u64,
    /// The words that are accepted; empty: any text.
    pub words: &'static [&'static str],
    /// The form that a text has to have.
    pub grammar: Grammar,
    /// How far the parameter is honoured.
    pub status: Status,
    /// The release of Postfix that brought the parameter. Empty: 3.7, or an older one.
    pub since: &'static str,
    /// Other values that come to the same as the default, such as the default of a later release.
    pub same: &'static [&'static str],
    /// Whether the value may hold a secret, which no message shows.
    pub private: bool,
    /// Whether listings show it. Postfix does not list old and removed names.
    pub listed: bool,
}

/// The greatest number that a numerical or time parameter can hold, as in Postfix.
pub const MAX_NUMBER: u64 = i32::MAX as u64;

const BLANK: Parameter = Parameter {
    docs: &[],
    group: "",
    field: None,
    kind: Kind::Text,
    smtp: None,
    lmtp: None,
    absent: "",
    min: 0,
    max: MAX_NUMBER,
    words: &[],
    grammar: Grammar::Any,
    status: Status::Supported,
    since: "",
    same: &[],
    private: false,
    listed: true,
};

/// A parameter that both protocols share under one name.
pub(crate) const fn shared(name: &'static str, default: &'static str) -> Parameter {
    let named = Some(Named { name, default });
    Parameter {
        smtp: named,
        lmtp: named,
        ..BLANK
    }
}

/// A parameter with a name for each protocol and one default.
pub(crate) const fn twins(
    smtp: &'static str,
    lmtp: &'static str,
    default: &'static str,
) -> Parameter {
    apart(smtp, default, lmtp, default)
}

/// A parameter with a name and a default for each protocol.
pub(crate) const fn apart(
    smtp: &'static str,
    smtp_default: &'static str,
    lmtp: &'static str,
    lmtp_default: &'static str,
) -> Parameter {
    Parameter {
        smtp: Some(Named {
            name: smtp,
            default: smtp_default,
        }),
        lmtp: Some(Named {
            name: lmtp,
            default: lmtp_default,
        }),
        ..BLANK
    }
}

/// A parameter of SMTP alone; `absent` is what the field holds for LMTP.
pub(crate) const fn smtp_only(
    name: &'static str,
    default: &'static str,
    absent: &'static str,
) -> Parameter {
    Parameter {
        smtp: Some(Named { name, default }),
        absent,
        ..BLANK
    }
}

impl Parameter {
    pub(crate) const fn min(self, min: u64) -> Self {
        Self { min, ..self }
    }

    pub(crate) const fn max(self, max: u64) -> Self {
        Self { max, ..self }
    }

    pub(crate) const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    pub(crate) const fn grammar(self, grammar: Grammar) -> Self {
        Self { grammar, ..self }
    }

    pub(crate) const fn tables(self) -> Self {
        Self {
            kind: Kind::Tables,
            ..self
        }
    }

    pub(crate) const fn private(self) -> Self {
        Self {
            private: true,
            ..self
        }
    }

    pub(crate) const fn mapped(self, how: &'static str) -> Self {
        Self {
            status: Status::Mapped(how),
            ..self
        }
    }

    pub(crate) const fn refused(self, why: &'static str) -> Self {
        Self {
            status: Status::Refused(why),
            ..self
        }
    }

    pub(crate) const fn denied(self, what: &'static str) -> Self {
        Self {
            status: Status::Denied(what),
            ..self
        }
    }

    pub(crate) const fn since(self, since: &'static str) -> Self {
        Self { since, ..self }
    }

    pub(crate) const fn same(self, same: &'static [&'static str]) -> Self {
        Self { same, ..self }
    }

    pub(crate) const fn removed(self, since: &'static str) -> Self {
        Self {
            status: Status::Removed(since),
            listed: false,
            ..self
        }
    }

    pub(crate) const fn unlisted(self) -> Self {
        Self {
            listed: false,
            ..self
        }
    }

    /// Completes an entry with what the `params!` macro knows about it.
    pub(crate) const fn describe(
        self,
        group: &'static str,
        field: Option<&'static str>,
        docs: &'static [&'static str],
        kind: Kind,
    ) -> Self {
        let kind = if self.words.is_empty() {
            match self.kind {
                Kind::Tables => Kind::Tables,
                _ => kind,
            }
        } else {
            Kind::Words(self.words)
        };
        Self {
            group,
            field,
            docs,
            kind,
            ..self
        }
    }

    /// The name and default for a protocol, if it has this parameter.
    pub const fn named(&self, protocol: Protocol) -> Option<Named> {
        match protocol {
            Protocol::Smtp => self.smtp,
            Protocol::Lmtp => self.lmtp,
        }
    }

    /// The spellings of this parameter, one or two.
    pub fn spellings(&self) -> impl Iterator<Item = Named> + use<> {
        let second = if self.smtp == self.lmtp {
            None
        } else {
            self.lmtp
        };
        self.smtp.into_iter().chain(second)
    }

    /// The documentation as one text.
    pub fn doc(&self) -> String {
        self.docs
            .iter()
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// All entries, group by group, in the order of their definition.
    pub fn all() -> impl Iterator<Item = &'static Parameter> {
        super::params::GROUPS.iter().flat_map(|group| group.iter())
    }

    /// The entry that has this name in `main.cf`, for whichever protocol, and its default.
    pub fn find(name: &str) -> Option<(&'static Parameter, Named)> {
        INDEX.get(name).copied()
    }

    /// Every name of the table in alphabetical (byte) order, with its entry and default.
    pub fn sorted() -> impl Iterator<Item = (&'static Parameter, Named)> {
        INDEX.values().copied()
    }
}

static INDEX: LazyLock<BTreeMap<&'static str, (&'static Parameter, Named)>> = LazyLock::new(|| {
    Parameter::all()
        .flat_map(|parameter| parameter.spellings().map(move |named| (parameter, named)))
        .map(|(parameter, named)| (named.name, (parameter, named)))
        .collect()
});

/// Defines one group of parameters: a struct with a typed field for each entry, and its rows of the
/// table. Names without a field follow under `rows`.
macro_rules! params {
    (
        $group:literal;
        $(#[doc = $intro:literal])+
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident : $ty:ty = $row:expr; )*
        }
        rows {
            $( $(#[doc = $row_doc:literal])+ $kind:ident = $bare:expr; )*
        }
    ) => {
        $(#[doc = $intro])+
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        impl $name {
            pub(crate) const ROWS: &'static [$crate::Parameter] = &[
                $( $row.describe(
                    $group,
                    Some(stringify!($field)),
                    &[$($doc),+],
                    <$ty as $crate::value::Setting>::KIND,
                ), )*
                $( $bare.describe($group, None, &[$($row_doc),+], $crate::Kind::$kind), )*
            ];

            pub(crate) fn load(source: &mut $crate::source::Source<'_>) -> Self {
                Self { $( $field: source.read(const { &$row }), )* }
            }

            /// Hands the texts of the fields that are set to `tell`, each with its entry.
            pub(crate) fn texts(&self, tell: &mut dyn FnMut(&$crate::Parameter, String)) {
                $( if let Some(text) = $crate::value::Setting::text(&self.$field) {
                    tell(const { &$row }, text);
                } )*
            }

            /// Checks the fields that are set, and derives the others.
            pub(crate) fn settle(&mut self, source: &mut $crate::source::Source<'_>) {
                $( source.settle(&mut self.$field, const { &$row }); )*
            }

            /// Puts a value into a field, by a name of its parameter, as a careless program would.
            /// Not all fields can have all values.
            #[cfg(test)]
            pub(crate) fn put(&mut self, name: &str, text: &str) -> bool {
                use $crate::value::Setting;
                $( {
                    const ROW: &$crate::Parameter = &$row;
                    if ROW.spellings().any(|named| named.name == name) {
                        let value = <$ty as Setting>::unchecked(text);
                        let is_possible = value.is_some();
                        if let Some(value) = value {
                            self.$field = value;
                        }
                        return is_possible;
                    }
                } )*
                false
            }
        }
    };
}
pub(crate) use params;
