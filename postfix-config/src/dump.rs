//! What `outpost config` prints: the lines of Postfix's `postconf`, `-d` and `-n`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::main_cf::spoken_in;
use super::{MainCf, Named, Parameter, Status, params};

/// Which parameters to list, and with which values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// All known parameters and those that settings refer to, as set or else by default.
    #[default]
    All,
    /// All known parameters with their defaults, whatever is set (`-d`).
    Defaults,
    /// The parameters that are set, whether or not to the default (`-n`).
    Explicit,
}

/// One line of a listing: a name, and a value that is not expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name of the parameter.
    pub name: String,
    /// Its value as written, or its default.
    pub value: String,
}

impl fmt::Display for Listed {
    /// As postconf prints it: `name = value`, with single blanks between words and none at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} =", self.name)?;
        let is_space = |c| matches!(c, ' ' | '\t' | '\r' | '\n');
        for word in self.value.split(is_space).filter(|word| !word.is_empty()) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl MainCf {
    /// The parameters, sorted by name. A setting of another Postfix daemon counts as known if it is
    /// set; an unknown name is only shown if a known setting refers to it.
    pub fn listing(&self, listing: Listing) -> Vec<Listed> {
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        if listing != Listing::Explicit {
            for (parameter, named) in Parameter::sorted() {
                if parameter.listed {
                    lines.insert(named.name, self.shown_default(named));
                }
            }
        }
        if listing != Listing::Defaults {
            let user_defined = self.user_defined();
            for (name, value) in self.set_names() {
                let shown = match Parameter::find(name) {
                    Some((parameter, _)) => is_alive(parameter),
                    None => params::is_foreign(name) || user_defined.contains(name),
                };
                if shown {
                    lines.insert(name, value.to_owned());
                }
            }
        }
        lines
            .into_iter()
            .map(|(name, value)| Listed {
                name: name.to_owned(),
                value,
            })
            .collect()
    }

    /// One parameter by name, as `postconf NAME` shows it; old names are known here too. With
    /// [`Listing::Explicit`] it must be set. None: postconf would say `unknown parameter`.
    pub fn listed(&self, name: &str, listing: Listing) -> Option<Listed> {
        let line = self
            .listing(listing)
            .into_iter()
            .find(|listed| listed.name == name);
        line.or_else(|| match Parameter::find(name) {
            Some((parameter, named)) if listing != Listing::Explicit && is_alive(parameter) => {
                Some(Listed {
                    name: name.to_owned(),
                    value: self.shown_default(named),
                })
            }
            _ => None,
        })
    }

    /// The default as postconf prints it: the two that depend on the machine are computed, the
    /// names of the process stay empty.
    fn shown_default(&self, named: Named) -> String {
        let computed = match named.name {
            "myhostname" | "mydomain" => self.computed(named.name, spoken_in(named.name)),
            _ => None,
        };
        computed.map_or_else(|| named.default.to_owned(), Cow::into_owned)
    }
}

/// Whether Postfix still reads the name: an old name it does, a removed one or a template not.
fn is_alive(parameter: &Parameter) -> bool {
    parameter.listed || matches!(parameter.status, Status::Mapped(_))
}
