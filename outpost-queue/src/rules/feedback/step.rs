//! The size of one step of feedback (`src/qmgr/qmgr_feedback.c`).

use core::{fmt, str::FromStr};

/// The largest number that Postfix takes on either side of the slash.
const LARGEST: f64 = 2_147_483_647.0;

/// The size of one step of feedback, by the size of the window. The numbers are from zero to one.
///
/// Text form: `0.5`, `1/8`, `1/concurrency`, `1/sqrt_concurrency`.
///
/// ```
/// use outpost_queue::rules::Feedback;
/// assert_eq!("1/8".parse(), Ok(Feedback::Constant(0.125)));
/// assert_eq!("1 / SQRT_concurrency".parse(), Ok(Feedback::InverseRoot(1.0)));
/// let error = "2/concurrency".parse::<Feedback>().unwrap_err();
/// assert_eq!(error.to_string(), "feedback \"2/concurrency\": 2 is not between 0 and 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feedback {
    /// The same in each window.
    Constant(f64),
    /// This number over the window (`1/concurrency`).
    Inverse(f64),
    /// This number over the square root of the window (`1/sqrt_concurrency`).
    InverseRoot(f64),
}

/// A text that is no feedback, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackError {
    text: String,
    why: String,
}

impl fmt::Display for FeedbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = smtp_policy::report::printable(&self.text);
        write!(f, "feedback \"{text}\": {}", self.why)
    }
}

impl core::error::Error for FeedbackError {}

impl Feedback {
    /// The step in a window; one that is zero counts as one.
    pub(crate) fn value(self, window: u32) -> f64 {
        let window = f64::from(window.max(1));
        match self {
            Self::Constant(value) => value,
            Self::Inverse(value) => value / window,
            Self::InverseRoot(value) => value / window.sqrt(),
        }
    }

    const fn number(self) -> f64 {
        match self {
            Self::Constant(value) | Self::Inverse(value) | Self::InverseRoot(value) => value,
        }
    }

    /// This feedback, if its number is one that Postfix takes.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let number = self.number();
        match (0.0..=1.0).contains(&number) {
            true => Ok(self),
            false => Err(format!("{number} is not between 0 and 1")),
        }
    }
}

impl fmt::Display for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "{value}"),
            Self::Inverse(value) => write!(f, "{value}/concurrency"),
            Self::InverseRoot(value) => write!(f, "{value}/sqrt_concurrency"),
        }
    }
}

impl FromStr for Feedback {
    type Err = FeedbackError;

    fn from_str(text: &str) -> Result<Self, FeedbackError> {
        let wrong = |why| FeedbackError {
            text: text.to_owned(),
            why,
        };
        read(text).and_then(Self::checked).map_err(wrong)
    }
}

fn read(text: &str) -> Result<Feedback, String> {
    let Some((over, under)) = text.split_once('/') else {
        return Ok(Feedback::Constant(number(text)?));
    };
    let over = number(over)?;
    let under = under.trim();
    match under.to_ascii_lowercase().as_str() {
        "concurrency" => Ok(Feedback::Inverse(over)),
        "sqrt_concurrency" => Ok(Feedback::InverseRoot(over)),
        "" => Err("nothing follows the slash".to_owned()),
        _ => {
            let wrong = "is no number, concurrency or sqrt_concurrency";
            let under: f64 = under
                .parse()
                .map_err(|_| format!("what follows the slash {wrong}"))?;
            if !(1.0 / LARGEST..=LARGEST).contains(&under) {
                return Err(format!("{under} cannot follow the slash"));
            }
            Ok(Feedback::Constant(over / under))
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let number: f64 = match text {
        "" => return Err("there is no number".to_owned()),
        text => text.parse().map_err(|_| "it begins with no number")?,
    };
    match (0.0..=LARGEST).contains(&number) {
        true => Ok(number),
        false => Err(format!("{number} is not between 0 and 1")),
    }
}
