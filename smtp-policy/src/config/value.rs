//! Values: from the text of a parameter, after expansion, to a Rust type.

use std::path::PathBuf;
use std::time::Duration;

use super::parameter::{Kind, Parameter};

/// A type that a parameter can have. Errors say what is wrong with the text.
///
/// The `Default` stands in after an error, so that all errors of a file are found in one pass.
pub(crate) trait Setting: Sized + Default {
    const KIND: Kind;

    fn parse(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String>;
}

/// White space and commas separate the words of a list.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

fn shown(text: &str) -> String {
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

    fn parse(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("yes") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("no") {
            Ok(false)
        } else {
            Err(format!("{} is neither yes nor no", shown(text)))
        }
    }
}

impl Setting for u32 {
    const KIND: Kind = Kind::Number;

    fn parse(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("bad number {}", shown(text)));
        }
        let value = text.parse::<u64>().unwrap_or(u64::MAX);
        check_range(value, text, parameter)?;
        u32::try_from(value).map_err(|_| format!("{} is more than {}", shown(text), u32::MAX))
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

    fn parse(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String> {
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
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        if (text.len() as u64) < parameter.min {
            return Err("the value must not be empty".to_owned());
        }
        if !parameter.words.is_empty() {
            let known = parameter
                .words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text));
            return match known {
                Some(word) => Ok((*word).to_owned()),
                None => Err(unknown_word(text, parameter.words)),
            };
        }
        Ok(text.to_owned())
    }
}

impl Setting for Vec<String> {
    const KIND: Kind = Kind::List;

    fn parse(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        if !parameter.words.is_empty()
            && let Some(word) = words(text).find(|word| !parameter.words.contains(word))
        {
            return Err(unknown_word(word, parameter.words));
        }
        let list: Vec<String> = words(text).map(str::to_owned).collect();
        if (list.len() as u64) < parameter.min {
            return Err("the list must not be empty".to_owned());
        }
        Ok(list)
    }
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;

    fn parse(text: &str, parameter: &Parameter, _: &str) -> Result<Self, String> {
        if (text.len() as u64) < parameter.min {
            return Err("the value must not be empty".to_owned());
        }
        Ok(PathBuf::from(text))
    }
}
