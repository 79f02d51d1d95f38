//! A policy: what the file at `/.well-known/mta-sts.txt` says (RFC 8461 section
//! 3.2), and which mail exchangers it allows (section 4.1).

use core::{fmt, time::Duration};

use super::{FetchError, Fetched, fetch::SIZE_LIMIT};
use crate::dns::names::{Wildcard, is_valid_hostname};

/// The longest time that a policy can be kept: a year, in seconds.
const MAX_AGE_LIMIT: u64 = 31_557_600;
/// How many digits `max_age` has at most.
const MAX_AGE_DIGITS: usize = 10;

/// What a domain's policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// What is to be done about it.
    pub mode: Mode,
    /// How long the policy may be kept: at most a year. Zero is for one delivery.
    pub max_age: Duration,
    /// The mail exchangers: names, or `*.` and a name for all that have one label
    /// more.
    pub mx: Vec<String>,
}

/// What a policy is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A server that does not fulfil it gets no mail.
    Enforce,
    /// A server that does not fulfil it gets mail all the same; it is noted.
    Testing,
    /// There is no policy any more.
    None,
}

impl Mode {
    /// The modes.
    #[cfg(feature = "serde")]
    pub(crate) const ALL: [Self; 3] = [Self::Enforce, Self::Testing, Self::None];

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// Why a domain that has a record has no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StsError {
    /// It could not be fetched.
    Fetch(FetchError),
    /// The web server has another answer than 200; the status.
    Status(u16),
    /// What was fetched is not `text/plain`; what it is.
    ContentType(String),
    /// What was fetched is no policy; why.
    Invalid(&'static str),
}

impl fmt::Display for StsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the web server answers {status}"),
            Self::ContentType(kind) => {
                write!(f, "the content type is \"{kind:.100}\", not text/plain")
            }
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StsError {}

impl From<FetchError> for StsError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl fmt::Display for StsPolicy {
    /// The file, as [`parse`](Self::parse) reads it: one field a line, each with its LF.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version: STSv1\nmode: {}", self.mode.as_str())?;
        for mx in &self.mx {
            writeln!(f, "mx: {mx}")?;
        }
        writeln!(f, "max_age: {}", self.max_age.as_secs())
    }
}

impl StsPolicy {
    /// The policy in what a web server answered.
    ///
    /// # Errors
    /// It is not a file of plain text with a policy, of at most 64 KiB.
    pub fn from_answer(answer: &Fetched) -> Result<Self, StsError> {
        if answer.status != 200 {
            return Err(StsError::Status(answer.status));
        }
        let kind = &answer.content_type;
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/plain") {
            return Err(StsError::ContentType(kind.clone()));
        }
        if answer.body.len() > SIZE_LIMIT {
            return Err(StsError::Fetch(FetchError::TooLarge));
        }
        Self::parse(&answer.body).map_err(StsError::Invalid)
    }

    /// Reads a policy. Lines end in LF or CRLF; fields that nobody knows are ignored,
    /// and of fields that stand there twice all but the first, except for `mx`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = core::str::from_utf8(text).map_err(|_| "the policy is not UTF-8")?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        let lines = text.split('\n').map(str::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or("the policy has a line without a colon")?;
            let value = value.trim_ascii_start();
            match name {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" => mx.push(pattern(value).ok_or("an mx is no domain name")?),
                _ => {}
            }
        }
        match version {
            Some("STSv1") => {}
            Some(_) => return Err("the version of the policy is not STSv1"),
            None => return Err("the policy has no version"),
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            Some(_) => return Err("the mode is neither enforce nor testing nor none"),
            None => return Err("the policy has no mode"),
        };
        let max_age = seconds(max_age.ok_or("the policy has no max_age")?)?;
        if mx.is_empty() && mode != Mode::None {
            return Err("the policy has no mx");
        }
        Ok(Self { mode, max_age, mx })
    }

    /// Whether a mail exchanger is one of the policy's. A leading `*` stands for
    /// exactly one label.
    pub fn allows(&self, host: &str) -> bool {
        names_host(&self.mx, host)
    }
}

/// Returns whether one of the patterns of a policy stands for a mail exchanger.
pub(crate) fn names_host(patterns: &[String], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    patterns
        .iter()
        .any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(parent)
            }),
            None => host.eq_ignore_ascii_case(pattern),
        })
}

fn pattern(value: &str) -> Option<String> {
    let name = value.strip_prefix("*.").unwrap_or(value);
    is_valid_hostname(name, Wildcard::Forbidden).then(|| value.to_owned())
}

fn seconds(value: &str) -> Result<Duration, &'static str> {
    let digits = (1..=MAX_AGE_DIGITS).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = value
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or("max_age is no number of seconds")?;
    Ok(Duration::from_secs(seconds.min(MAX_AGE_LIMIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: STSv1\nmode: enforce\nmx: mail.example.com\n\
                        mx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n";

    #[test]
    fn a_policy_says_mode_age_and_mail_exchangers() {
        let expected = StsPolicy {
            mode: Mode::Enforce,
            max_age: Duration::from_secs(604_800),
            mx: ["mail.example.com", "*.example.net", "backupmx.example.com"]
                .map(str::to_owned)
                .to_vec(),
        };
        let cases = [
            GOOD.to_owned(),
            GOOD.replace('\n', "\r\n"),
            GOOD.trim_end().to_owned(),
            format!("{GOOD}x-unknown: anything: at all\nversion: STSv9\nmode: none\nmax_age: x\n"),
            GOOD.replace(": ", ":\t ").replace('\n', " \n\n"),
        ];
        for case in cases {
            assert_eq!(
                StsPolicy::parse(case.as_bytes()).as_ref(),
                Ok(&expected),
                "{case:?}"
            );
        }
        let written = expected.to_string();
        assert_eq!(StsPolicy::parse(written.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_no_policy_is_said() {
        let table = [
            ("", "the policy has no version"),
            (
                "version: STSv1\nmode enforce",
                "the policy has a line without a colon",
            ),
            (
                "version: STSv2\nmode: none\nmax_age: 1",
                "the version of the policy is not STSv1",
            ),
            (
                "version: stsv1\nmode: none\nmax_age: 1",
                "the version of the policy is not STSv1",
            ),
            ("version: STSv1\nmax_age: 1", "the policy has no mode"),
            (
                "version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 1",
                "the mode is neither enforce nor testing nor none",
            ),
            ("version: STSv1\nmode: none", "the policy has no max_age"),
            (
                "version: STSv1\nmode: none\nmax_age: -1",
                "max_age is no number of seconds",
            ),
            (
                "version: STSv1\nmode: none\nmax_age: +1",
                "max_age is no number of seconds",
            ),
            (
                "version: STSv1\nmode: none\nmax_age: 00000000001",
                "max_age is no number of seconds",
            ),
            (
                "version: STSv1\nmode: testing\nmax_age: 1",
                "the policy has no mx",
            ),
            (
                "version: STSv1\nmode: none\nmax_age: 1\nmx: a.*.example",
                "an mx is no domain name",
            ),
            (
                "version: STSv1\nmode: none\nmax_age: 1\nmx: *",
                "an mx is no domain name",
            ),
            (
                "version: STSv1\nmode: none\nmax_age: 1\nmx: .a.example",
                "an mx is no domain name",
            ),
        ];
        for (text, why) in table {
            assert_eq!(StsPolicy::parse(text.as_bytes()), Err(why), "{text:?}");
        }
        assert_eq!(StsPolicy::parse(b"\xff"), Err("the policy is not UTF-8"));
        let none = StsPolicy::parse(b"version: STSv1\nmode: none\nmax_age: 9999999999").unwrap();
        assert_eq!(none.max_age, Duration::from_secs(MAX_AGE_LIMIT));
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let policy = StsPolicy::parse(GOOD.as_bytes()).unwrap();
        let table = [
            ("mail.example.com", true),
            ("MAIL.Example.COM.", true),
            ("mx1.example.net", true),
            ("MX1.EXAMPLE.NET", true),
            ("example.net", false),
            ("a.mx1.example.net", false),
            (".example.net", false),
            ("badexample.net", false),
            ("mail.example.com.evil.example", false),
            ("example.com", false),
        ];
        for (host, allowed) in table {
            assert_eq!(policy.allows(host), allowed, "{host}");
        }
    }

    #[test]
    fn only_a_file_of_plain_text_is_taken() {
        let answer = |status, content_type: &str, body: Vec<u8>| {
            StsPolicy::from_answer(&Fetched {
                status,
                content_type: content_type.into(),
                body: body.into(),
                age: Duration::ZERO,
            })
        };
        let good = || GOOD.as_bytes().to_vec();
        assert!(answer(200, "text/plain", good()).is_ok());
        assert!(answer(200, "Text/Plain ; charset=utf-8", good()).is_ok());
        for status in [201, 204, 301, 404, 500] {
            let failure = answer(status, "text/plain", good());
            assert_eq!(failure, Err(StsError::Status(status)));
        }
        for kind in ["", "text/html", "text/plainer", "application/octet-stream"] {
            let failure = answer(200, kind, good());
            assert_eq!(failure, Err(StsError::ContentType(kind.into())));
        }
        let mut large = good();
        large.resize(SIZE_LIMIT + 1, b'\n');
        let failure = answer(200, "text/plain", large.clone());
        assert_eq!(failure, Err(StsError::Fetch(FetchError::TooLarge)));
        large.truncate(SIZE_LIMIT);
        assert!(answer(200, "text/plain", large).is_ok());
    }
}
