//! What `outpost config` prints: the lines of Postfix's `postconf`, `-d` and `-n`.

use std::collections::BTreeMap;
use std::fmt;

use super::main_cf::spoken_in;
use super::{MainCf, Parameter, params};

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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // postconf leaves no blank at the end of a line.
        if self.value.is_empty() {
            write!(f, "{} =", self.name)
        } else {
            write!(f, "{} = {}", self.name, self.value)
        }
    }
}

impl MainCf {
    /// The parameters, sorted by name. A setting of another Postfix daemon counts as known if it is
    /// set; an unknown name is only shown if a known setting refers to it.
    pub fn listing(&self, listing: Listing) -> Vec<Listed> {
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        if listing != Listing::Explicit {
            for (parameter, named) in Parameter::sorted().filter(|(parameter, _)| parameter.listed)
            {
                debug_assert!(parameter.listed);
                let default = self.default_text(named.name, spoken_in(named.name));
                lines.insert(named.name, default.unwrap_or_default());
            }
        }
        if listing != Listing::Defaults {
            let user_defined = self.user_defined();
            for (name, value) in self.set_names() {
                let shown = match Parameter::find(name) {
                    Some((parameter, _)) => parameter.listed,
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

    /// One parameter by name, as `postconf NAME` shows it; with [`Listing::Explicit`] only if it is
    /// set. None: postconf would say `unknown parameter`.
    pub fn listed(&self, name: &str, listing: Listing) -> Option<Listed> {
        self.listing(listing)
            .into_iter()
            .find(|listed| listed.name == name)
    }
}
