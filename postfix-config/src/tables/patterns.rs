//! Compiled expressions of `regexp:` and `pcre:` tables.

use std::sync::OnceLock;

use fancy_regex::{Error, Regex, RegexBuilder, RuntimeError};

use super::pattern_file::Dialect;
use super::{pcre, regexp};
use smtp_policy::tables::Steps;

/// How long the source of an expression may be, in bytes.
const MAX_SOURCE: usize = 32 * 1024;

/// How large a compiled expression may be, in bytes.
const MAX_COMPILED: usize = 8 * 1024 * 1024;

/// The number of steps back a match may take before the lookup fails. PCRE counts otherwise, and
/// has a limit of ten million.
const MAX_BACK: usize = 250_000;

/// The number of steps back a match may take that are not counted: few expressions take more, and
/// the engine does not say how many it took.
const FREE_BACK: usize = 1_000;

/// The letters after a pattern. Each toggles the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`: no distinction of case. On by default.
    pub(super) any_case: bool,
    /// `m`: `^` and `$` also match at line feeds inside the text. In POSIX expressions, `.` and `[^…]`
    /// then do not match line feeds.
    pub(super) lines: bool,
    /// `x` of `regexp:`: extended expressions, not basic ones. On by default.
    pub(super) extended: bool,
    /// `x` of `pcre:`: white space in the pattern does not count.
    pub(super) spaced: bool,
    /// `s`: `.` matches line feeds. On by default.
    pub(super) dot_all: bool,
    /// `A`: matches at the start of the text only.
    pub(super) anchored: bool,
    /// `E`: `$` does not match before a line feed that ends the text.
    pub(super) end_only: bool,
    /// `U`: repetitions are short unless `?` follows.
    pub(super) ungreedy: bool,
}

impl Flags {
    /// The defaults.
    pub(super) fn new(dialect: Dialect) -> Self {
        Flags {
            any_case: true,
            lines: false,
            extended: true,
            spaced: false,
            dot_all: true,
            anchored: false,
            // POSIX has no such exception.
            end_only: dialect == Dialect::Regexp,
            ungreedy: false,
        }
    }

    /// Toggles the flag of a letter. False if the dialect has no such letter.
    pub(super) fn toggle(&mut self, dialect: Dialect, letter: char) -> bool {
        let flag = match (dialect, letter) {
            (_, 'i') => &mut self.any_case,
            (_, 'm') => &mut self.lines,
            (Dialect::Regexp, 'x') => &mut self.extended,
            (Dialect::Pcre, 'x') => &mut self.spaced,
            (Dialect::Pcre, 's') => &mut self.dot_all,
            (Dialect::Pcre, 'A') => &mut self.anchored,
            (Dialect::Pcre, 'E') => &mut self.end_only,
            (Dialect::Pcre, 'U') => &mut self.ungreedy,
            _ => return false,
        };
        *flag = !*flag;
        true
    }
}

/// A compiled expression. It reads [masked](super::octets) texts.
#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    /// For texts that end in a line feed, where `$` may match before it.
    before_line_feed: Option<Program>,
}

/// An expression in the syntax of the crate.
#[derive(Debug)]
struct Program {
    text: String,
    flags: Flags,
    /// With the limit of steps that are not counted.
    quick: Regex,
    /// The same with more patience, once a text has needed it.
    patient: OnceLock<Result<Regex, String>>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in one line.
    pub(super) fn compile(dialect: Dialect, source: &str, flags: Flags) -> Result<Self, String> {
        if source.len() > MAX_SOURCE {
            return Err(format!("expression longer than {MAX_SOURCE} bytes"));
        }
        if dialect == Dialect::Regexp {
            let text = regexp::translate(source, flags)?;
            // One flag decides about line feeds everywhere.
            let dot_all = !flags.lines;
            let flags = Flags { dot_all, ..flags };
            return Ok(Expression {
                program: Program::new(text, flags)?,
                before_line_feed: None,
            });
        }
        let translate = |end| {
            pcre::translate(source, flags, end)
                .map_err(|reason| format!("error in regex: {reason}"))
        };
        let text = translate(pcre::End::Text)?;
        // A second expression only where it makes a difference, because it is slower to match.
        let lax = translate(pcre::End::LineFeed)?;
        let differs = !flags.end_only && lax != text;
        let lax = differs.then(|| Program::new(lax, flags));
        Ok(Expression {
            program: Program::new(text, flags)?,
            before_line_feed: lax.transpose()?,
        })
    }

    /// How many groups there are to refer to.
    pub(super) fn groups(&self) -> usize {
        self.program.quick.captures_len().saturating_sub(1)
    }

    /// Whether the expression matches somewhere in the text.
    ///
    /// # Errors
    ///
    /// If that cannot be found out within the limits.
    pub(super) fn is_match(&self, text: &str, steps: &mut Steps) -> Result<bool, String> {
        self.program_for(text)
            .run(text, steps, |regex| regex.is_match(text).map_err(Box::new))
    }

    /// What the groups have matched; empty without a match. Number 0 is the whole match.
    ///
    /// # Errors
    ///
    /// If that cannot be found out within the limits.
    pub(super) fn captures(&self, text: &str, steps: &mut Steps) -> Result<Vec<String>, String> {
        let program = self.program_for(text);
        let captures = program.run(text, steps, |regex| regex.captures(text).map_err(Box::new))?;
        Ok(captures.map_or_else(Vec::new, |captures| {
            captures
                .iter()
                .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()))
                .collect()
        }))
    }

    fn program_for(&self, text: &str) -> &Program {
        match &self.before_line_feed {
            Some(program) if text.ends_with('\n') => program,
            _ => &self.program,
        }
    }
}

impl Program {
    fn new(text: String, flags: Flags) -> Result<Self, String> {
        Ok(Self {
            quick: build(&text, flags, FREE_BACK)?,
            patient: OnceLock::new(),
            text,
            flags,
        })
    }

    /// Matches within the limits.
    fn run<'t, T>(
        &'t self,
        text: &str,
        steps: &mut Steps,
        attempt: impl Fn(&'t Regex) -> Result<T, Box<Error>>,
    ) -> Result<T, String> {
        steps.forward(text.len());
        let found = attempt(&self.quick);
        match found {
            Err(error) if is_limit(&error) => {}
            found => return found.map_err(|error| reason(*error)),
        }
        steps.back(MAX_BACK as u64)?;
        let patient = self
            .patient
            .get_or_init(|| build(&self.text, self.flags, MAX_BACK));
        attempt(patient.as_ref().map_err(Clone::clone)?).map_err(|error| reason(*error))
    }
}

fn build(text: &str, flags: Flags, most_back: usize) -> Result<Regex, String> {
    // As part of the expression, since what the builder sets cannot be unset in it.
    let set: String = [
        (flags.any_case, 'i'),
        (flags.lines, 'm'),
        (flags.dot_all, 's'),
    ]
    .into_iter()
    .filter_map(|(set, letter)| set.then_some(letter))
    .collect();
    let text = match set.as_str() {
        "" => text.to_owned(),
        set => format!("(?{set}){text}"),
    };
    RegexBuilder::new(&text)
        .backtrack_limit(most_back)
        .delegate_size_limit(MAX_COMPILED)
        .delegate_dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| format!("error in regex: {}", reason(error)))
}

/// Returns whether a match took too many steps back.
fn is_limit(error: &Error) -> bool {
    matches!(
        error,
        Error::RuntimeError(RuntimeError::BacktrackLimitExceeded)
    )
}

/// The last line of a report, which is the one that says what is wrong.
fn reason(error: fancy_regex::Error) -> String {
    let report = error.to_string();
    report.lines().last().unwrap_or("").trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    fn compile(dialect: Dialect, source: &str, letters: &str) -> Result<Expression, String> {
        let mut flags = Flags::new(dialect);
        for letter in letters.chars() {
            assert!(flags.toggle(dialect, letter));
        }
        Expression::compile(dialect, source, flags)
    }

    #[test]
    fn flags_change_what_line_feeds_and_ends_mean() {
        use Dialect::{Pcre, Regexp};
        let rows = [
            (Regexp, "a.b", "", "a\nb", true),
            (Regexp, "a.b", "m", "a\nb", false),
            (Regexp, "a[^x]b", "", "a\nb", true),
            (Regexp, "a[^x]b", "m", "a\nb", false),
            (Regexp, "^b", "", "a\nb", false),
            (Regexp, "^b", "m", "a\nb", true),
            (Regexp, "b$", "", "b\n", false),
            (Pcre, "a.b", "", "a\nb", true),
            (Pcre, "a.b", "s", "a\nb", false),
            (Pcre, "^b", "", "a\nb", false),
            (Pcre, "^b", "m", "a\nb", true),
            (Pcre, "b$", "", "b\n", true),
            (Pcre, "b$", "", "b\n\n", false),
            (Pcre, "b$", "E", "b\n", false),
            (Pcre, "b\\Z", "E", "b\n", true),
            (Pcre, "b\\z", "", "a b\n", false),
            (Pcre, "b$\\n", "", "b\n", true),
            (Pcre, "(?m:b$)c|d$", "", "d\n", true),
            (Pcre, "(?m)b$", "", "b\nc", true),
            (Pcre, "[$]", "", "b\n", false),
            (Pcre, "\\p{Lu}", "", "a", false),
            (Pcre, "(?-i:A)", "", "a", false),
            (Pcre, "(?-s:.)", "", "\n", false),
            (Pcre, "(?-m:^b)", "m", "a\nb", false),
            (Pcre, "^(?=a){2}a", "", "a", true),
            (Pcre, "^(?=b)*a", "", "a", true),
            (Pcre, "^(?!a)+a", "", "a", false),
            (Pcre, "^\\X\\X$", "", "a\r\n", true),
            (Pcre, "(?n)^(a)$", "", "a", true),
            (Pcre, "^\\C$", "s", "\n", true),
            (Regexp, "a{2,1}", "", "aa", false),
        ];
        for (dialect, source, letters, text, expected) in rows {
            let Ok(expression) = compile(dialect, source, letters) else {
                assert!(!expected, "{dialect:?} {source} {letters}");
                continue;
            };
            let found = expression.is_match(text, &mut Steps::default());
            assert_eq!(
                found,
                Ok(expected),
                "{dialect:?} {source} {letters} {text:?}"
            );
        }
    }

    #[test]
    fn expressions_that_cost_too_much_are_refused_or_fail() {
        for source in [
            "(a{200}){200}(b{200}){200}(c{200}){200}".to_owned(),
            "(".repeat(5_000) + &")".repeat(5_000),
            "a".repeat(MAX_SOURCE + 1),
            format!("a{}", "+?".repeat(2_000)),
        ] {
            let start: String = source.chars().take(20).collect();
            assert!(compile(Dialect::Regexp, &source, "").is_err(), "{start}");
        }
        let expression = compile(Dialect::Pcre, "^(a+)+(?=b)\\1c$", "").unwrap();
        let text = format!("{}d", "a".repeat(60));
        let answer = expression.is_match(&text, &mut Steps::default());
        assert!(answer.is_err() || answer == Ok(false));
        let expression = compile(Dialect::Pcre, "^(?:a|a(?!b))*c$", "").unwrap();
        let mut steps = Steps::default();
        let failure = expression.is_match(&text, &mut steps).unwrap_err();
        assert!(failure.contains("acktrack"), "{failure}");
        // The next ones in the same lookup have to do with what is left.
        let fails = |steps: &mut Steps| expression.is_match(&text, steps).unwrap_err();
        assert!((0..3).all(|_| fails(&mut steps).contains("acktrack")));
        assert!(fails(&mut steps).contains("1000000 steps back"));
        assert!(steps.taken() < 1_001_000);
    }

    #[test]
    fn steps_are_counted_by_the_text_and_by_what_has_to_be_tried_again() {
        let taken = |source: &str, text: &str| {
            let mut steps = Steps::default();
            let expression = compile(Dialect::Pcre, source, "").unwrap();
            let found = expression.is_match(text, &mut steps);
            (found.is_ok(), steps.taken())
        };
        assert_eq!(taken("a.*b", &"a".repeat(500)), (true, 500));
        assert_eq!(taken("(a)\\1b", &"a".repeat(500)), (true, 500));
        let many = taken("^(?:a|a(?!b)){1,12}c$", &"a".repeat(40));
        assert_eq!(many, (true, 40 + MAX_BACK as u64));
    }

    #[test]
    fn what_the_crate_cannot_do_is_said_by_name() {
        for (source, part) in [
            ("a(?R)", "(?R"),
            ("(a)(?1)", "(?1"),
            ("(?|a|b)", "(?|"),
            ("(*SKIP)a", "(*"),
            ("(?(?=a)b)", "(?("),
        ] {
            let error = compile(Dialect::Pcre, source, "").unwrap_err();
            assert!(
                error.contains(part) && error.contains("not supported"),
                "{error}"
            );
        }
    }
}
