//! Values: from the text of a parameter, after expansion, to a Rust type.

use std::path::PathBuf;
use std::time::Duration;

use super::parameter::{Kind, Parameter};

/// A type that a parameter can have. Errors say what is wrong with the text or the value.
///
/// A value comes from a text, or from a program that has put it into a field. Both are held to
/// [`check`](Self::check). The `Default` stands in after an error, so that all errors of a file are
/// found in one pass.
pub(crate) trait Setting: Sized + Default {
    const KIND: Kind;

    /// Reads a text, as far as it takes to have a value of this type.
    fn read(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String>;

    /// Checks whether the parameter can have this value.
    fn check(&self, parameter: &Parameter) -> Result<(), String>;

    /// The text of the value, to which other parameters refer; none if it is not set.
    fn text(&self) -> Option<String>;

    /// Reads a text and checks its value.
    fn parse(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String> {
        let value = Self::read(text, parameter, default)?;
        value.check(parameter)?;
        Ok(value)
    }

    /// Returns whether the value is set, so that it does not follow from other parameters.
    fn is_set(&self) -> bool {
        true
    }

    /// Takes note of whether the value is set.
    fn mark(&mut self, _is_set: bool) {}

    /// Spells the value as the table has it.
    fn respell(&mut self, _parameter: &Parameter) {}

    /// The value that a careless program puts into the field; none if the type has no wrong ones.
    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self>;
}

/// White space and commas separate the words of a list.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

/// A value as messages quote it.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!(
            "\"{}…\"",
            text.get(..end).unwrap_or_default().escape_debug()
        ),
        None => format!("\"{}\"", text.escape_debug()),
    }
}

/// The refusal of a word that is none of the known ones.
pub(crate) fn unknown_word(word: &str, known: &[&str]) -> String {
    let known: Vec<&str> = known
        .iter()
        .map(|word| if word.is_empty() { "(empty)" } else { *word })
        .collect();
    format!("{} is not one of: {}", shown(word), known.join(", "))
}

fn check_range(value: u64, text: &str, parameter: &Parameter) -> Result<(), String> {
    if value < parameter.min {
        return Err(format!("{} is less than {}", shown(text), parameter.min));
    }
    if value > parameter.max {
        return Err(format!("{} is more than {}", shown(text), parameter.max));
    }
    Ok(())
}

impl Setting for bool {
    const KIND: Kind = Kind::Bool;

    fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("yes") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("no") {
            Ok(false)
        } else {
            Err(format!("{} is neither yes nor no", shown(text)))
        }
    }

    fn check(&self, _: &Parameter) -> Result<(), String> {
        Ok(())
    }

    fn text(&self) -> Option<String> {
        Some(if *self { "yes" } else { "no" }.to_owned())
    }

    #[cfg(test)]
    fn unchecked(_: &str) -> Option<Self> {
        None
    }
}

impl Setting for u32 {
    const KIND: Kind = Kind::Number;

    fn read(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("bad number {}", shown(text)));
        }
        let value = text.parse::<u64>().unwrap_or(u64::MAX);
        check_range(value, text, parameter)?;
        u32::try_from(value).map_err(|_| format!("{} is more than {}", shown(text), u32::MAX))
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        check_range((*self).into(), &self.to_string(), parameter)
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The number of seconds in a unit of time.
fn unit_seconds(unit: char) -> Option<u64> {
    match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        'w' => Some(7 * 24 * 60 * 60),
        _ => None,
    }
}

impl Setting for Duration {
    const KIND: Kind = Kind::Time;

    fn read(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        if number.is_empty() {
            return Err(format!("bad time {}", shown(text)));
        }
        // Without a unit, the one of the default applies: "smtp_sasl_auth_cache_time = 2" are days.
        // Only the first letter of the unit counts, so that "5min" means what it says.
        let unit = unit.chars().next().unwrap_or_else(|| {
            default
                .chars()
                .next_back()
                .filter(|c| unit_seconds(*c).is_some())
                .unwrap_or('s')
        });
        let Some(scale) = unit_seconds(unit) else {
            return Err(format!("bad time unit in {}", shown(text)));
        };
        let seconds = number
            .parse::<u64>()
            .unwrap_or(u64::MAX)
            .saturating_mul(scale);
        check_range(seconds, text, parameter)?;
        Ok(Duration::from_secs(seconds))
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        let text = format!("{}s", self.as_secs_f64());
        check_range(self.as_secs(), &text, parameter)?;
        // A fraction on top of the greatest number of seconds is too much.
        let whole = self.subsec_nanos() == 0 || self.as_secs() < parameter.max;
        whole
            .then_some(())
            .ok_or_else(|| format!("{} is more than {}", shown(&text), parameter.max))
    }

    fn text(&self) -> Option<String> {
        Some(format!("{}s", self.as_secs()))
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        let seconds = text.strip_suffix('s')?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// Main.cf can hold no null byte, and what is handed to the operating system ends at one.
fn check_null(text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err(format!("null byte in {}", shown(text))),
        false => Ok(()),
    }
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn read(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        let mut value = text.to_owned();
        value.respell(parameter);
        Ok(value)
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        check_null(self)?;
        if (self.len() as u64) < parameter.min {
            return Err("the value must not be empty".to_owned());
        }
        let known = |word: &&str| word.eq_ignore_ascii_case(self);
        if !parameter.words.is_empty() && !parameter.words.iter().any(known) {
            return Err(unknown_word(self, parameter.words));
        }
        parameter.grammar.check(self)
    }

    fn text(&self) -> Option<String> {
        Some(self.clone())
    }

    fn respell(&mut self, parameter: &Parameter) {
        let known = parameter
            .words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(self));
        if let Some(word) = known {
            (*word).clone_into(self);
        }
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Setting for Vec<String> {
    const KIND: Kind = Kind::List;

    fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        Ok(words(text).map(str::to_owned).collect())
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        for word in self {
            check_null(word)?;
            if !parameter.words.is_empty() && !parameter.words.contains(&word.as_str()) {
                return Err(unknown_word(word, parameter.words));
            }
            if word.is_empty() {
                return Err("a word of the list is empty".to_owned());
            }
        }
        if (self.len() as u64) < parameter.min {
            return Err("the list must not be empty".to_owned());
        }
        parameter.grammar.check(&self.join(" "))
    }

    fn text(&self) -> Option<String> {
        Some(self.join(", "))
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        Some(words(text).map(str::to_owned).collect())
    }
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;

    fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        Ok(PathBuf::from(text))
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        check_null(&self.to_string_lossy())?;
        if (self.as_os_str().len() as u64) < parameter.min {
            return Err("the value must not be empty".to_owned());
        }
        Ok(())
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string_lossy().into_owned())
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        Some(PathBuf::from(text))
    }
}
