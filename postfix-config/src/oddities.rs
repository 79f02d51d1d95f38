//! Settings that work, but probably not as their author meant them.

use std::time::Duration;

use super::error::{ConfigWarning, Oddity, Origin};
use super::expand::expand;
use super::main_cf::{shown, spoken_in};
use super::parameter::{Kind, Named, Parameter, Status};
use super::suggest::Hints;
use super::value::Setting;
use super::{MainCf, Protocol, params, routing};

impl MainCf {
    /// Names the oddities of the settings: overridden lines, unknown names, and settings that have
    /// no effect here. By place in the file, then those made over it.
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        let mut warnings = self.remarks.clone();
        let mut hints = Hints::new();
        let user_defined = self.user_defined();
        for (name, entry) in &self.entries {
            if entry.origin == Origin::Default {
                continue;
            }
            let oddity = match Parameter::find(name) {
                Some((parameter, _)) => self.oddity(name, &entry.value, parameter),
                None if self.is_routing(name) => Some(Oddity::NotFollowed {
                    name: name.clone(),
                    value: entry.value.clone(),
                }),
                None if params::is_foreign(name) || user_defined.contains(name.as_str()) => None,
                None => Some(unknown(name, &entry.value, &mut hints)),
            };
            if let Some(oddity) = oddity {
                warnings.push(ConfigWarning {
                    origin: entry.origin.clone(),
                    oddity,
                });
            }
        }
        warnings.sort_by_key(|warning| match warning.origin {
            Origin::File { line, .. } => line,
            _ => usize::MAX,
        });
        warnings
    }

    /// An oddity of a setting whose name is known.
    fn oddity(&self, name: &str, value: &str, parameter: &Parameter) -> Option<Oddity> {
        let (name, value) = (name.to_owned(), shown(name, value.to_owned()));
        match parameter.status {
            Status::Supported | Status::Mapped(_) | Status::Denied(_) => None,
            Status::Removed(since) => Some(Oddity::Removed { name, value, since }),
            Status::Refused(_) if self.is_default(&name) => None,
            Status::Refused(why) => Some(Oddity::Refused { name, value, why }),
        }
    }

    /// Returns whether a setting would have Postfix route mail in another way than by default.
    fn is_routing(&self, name: &str) -> bool {
        let Some(default) = routing::default_of(name) else {
            return false;
        };
        let expand = |text: &str| expand(text, &|name| self.raw(name, Protocol::Smtp));
        let value = expand(self.written(name).unwrap_or_default());
        !matches!(&value, Ok(value) if value.is_empty()) && value != expand(default)
    }

    /// Returns whether a parameter is not set, or set to what comes to the same as a default of it.
    pub(super) fn is_default(&self, name: &str) -> bool {
        let Some((parameter, named)) = Parameter::find(name) else {
            return false;
        };
        let Some(value) = self.written(name) else {
            return true;
        };
        let mut defaults = std::iter::once(named.default).chain(parameter.same.iter().copied());
        defaults.any(|default| self.comes_to(value, parameter, Named { default, ..named }))
    }

    /// Returns whether a value comes to the same as this default.
    fn comes_to(&self, value: &str, parameter: &Parameter, named: Named) -> bool {
        let protocol = spoken_in(named.name);
        let expand = |text: &str| expand(text, &|name| self.raw(name, protocol));
        let (Ok(value), Ok(default)) = (expand(value), expand(named.default)) else {
            return false;
        };
        match parameter.kind {
            Kind::Time => {
                let time = |text: &str| Duration::parse(text, parameter, named.default);
                matches!((time(&value), time(&default)), (Ok(value), Ok(default)) if value == default)
            }
            Kind::Bool => value.eq_ignore_ascii_case(&default),
            _ => value == default,
        }
    }
}

/// The warning about a name that nobody knows. Its value is not shown where the name may be a slip
/// for that of a parameter with a secret.
fn unknown(name: &str, value: &str, hints: &mut Hints) -> Oddity {
    let is_secret = hints.are_spent();
    let suggestion = hints.hint(name);
    Oddity::Unknown {
        name: name.to_owned(),
        value: match is_secret {
            true => "…".to_owned(),
            false => shown(suggestion.unwrap_or(name), value.to_owned()),
        },
        suggestion,
    }
}
