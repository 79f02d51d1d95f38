//! Faults: what the sink does instead of taking mail.

use std::{fmt, str::FromStr};

/// One rule of misbehaviour, written `EVENT[#N][ TEXT]=ANSWER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    event: String,
    nth: Option<u32>,
    contains: Option<String>,
    answer: Answer,
}

/// The sink's action when a fault fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Give these reply lines.
    Reply(Vec<String>),
    /// Close the connection.
    Close,
    /// Reset the connection.
    Reset,
    /// Answer nothing more.
    Silent,
}

impl Fault {
    /// Returns whether this is the fault for the `count`-th `event` (upper case) of a
    /// connection, which came with `line`.
    pub(crate) fn fits(&self, event: &str, count: u32, line: &str) -> bool {
        self.is_about(event)
            && self.nth.is_none_or(|nth| nth == count)
            && self
                .contains
                .as_ref()
                .is_none_or(|text| line.to_lowercase().contains(&text.to_lowercase()))
    }

    /// Returns whether it is about events of this kind.
    pub(crate) fn is_about(&self, event: &str) -> bool {
        self.event == event
    }

    /// Returns the action to take.
    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }
}

/// An error in the text of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FaultError(String);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| FaultError(format!("fault '{text}': {why}"));
        let Some((when, answer)) = text.split_once('=') else {
            return Err(wrong("expected EVENT[#N][ TEXT]=ANSWER".to_owned()));
        };
        let (event, contains) = match when.trim().split_once(' ') {
            Some((event, contains)) => (event, Some(contains.trim().to_owned())),
            None => (when.trim(), None),
        };
        let (event, nth) = match event.split_once('#') {
            None => (event, None),
            Some((event, number)) => match number.parse() {
                Ok(nth) if nth > 0 => (event, Some(nth)),
                _ => return Err(wrong(format!("'{number}' is not a number from 1 on"))),
            },
        };
        if event != "." && (event.is_empty() || !event.chars().all(|c| c.is_ascii_alphabetic())) {
            return Err(wrong(format!("'{event}' is not an event")));
        }
        let answer = Answer::parse(answer).map_err(wrong)?;
        Ok(Self {
            event: event.to_ascii_uppercase(),
            nth,
            contains,
            answer,
        })
    }
}

impl Answer {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "close" => return Ok(Self::Close),
            "reset" => return Ok(Self::Reset),
            "silent" => return Ok(Self::Silent),
            _ => {}
        }
        let texts: Vec<&str> = text.trim().split("\\n").collect();
        let last = texts.len().saturating_sub(1);
        let mut lines = Vec::new();
        for (line, index) in texts.into_iter().zip(0..) {
            let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
            if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                let known = "close, reset or silent";
                return Err(format!(
                    "'{line}' neither begins with a reply code nor is {known}"
                ));
            }
            let rest = rest.trim_start_matches([' ', '-']);
            lines.push(format!(
                "{code}{}{rest}",
                if index == last { ' ' } else { '-' }
            ));
        }
        Ok(Self::Reply(lines))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fits_by_event_number_and_text() {
        let fault: Fault = "rcpt#2 Bob@=450 4.2.0 try later".parse().unwrap();
        assert!(fault.fits("RCPT", 2, "RCPT TO:<bob@example.com>"));
        assert!(!fault.fits("RCPT", 1, "RCPT TO:<bob@example.com>"));
        assert!(!fault.fits("RCPT", 2, "RCPT TO:<eve@example.com>"));
        assert!(!fault.fits("MAIL", 2, "MAIL FROM:<bob@example.com>"));
        assert_eq!(
            fault.answer(),
            &Answer::Reply(vec!["450 4.2.0 try later".to_owned()])
        );
    }

    #[test]
    fn answers_are_replies_of_any_length_or_ends() {
        let answer = |text: &str| text.parse::<Fault>().unwrap().answer;
        assert_eq!(answer(".=close"), Answer::Close);
        assert_eq!(answer("DATA=reset"), Answer::Reset);
        assert_eq!(answer("CONNECT=silent"), Answer::Silent);
        let long = Answer::Reply(vec!["250-one".to_owned(), "250 two = 2".to_owned()]);
        assert_eq!(answer("EHLO=250 one\\n250 two = 2"), long);
    }

    #[test]
    fn a_fault_that_makes_no_sense_is_told_apart() {
        for (text, why) in [
            ("RCPT", "expected EVENT[#N][ TEXT]=ANSWER"),
            ("RCPT#0=close", "'0' is not a number from 1 on"),
            (
                "RC PT#x=explode",
                "'explode' neither begins with a reply code",
            ),
            ("=close", "'' is not an event"),
            ("?=close", "'?' is not an event"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert_eq!(
                error.split_once(": ").unwrap().1.get(..why.len()),
                Some(why)
            );
        }
    }
}
