//! Compiled expressions of `regexp:` and `pcre:` tables.

use fancy_regex::{Regex, RegexBuilder};

use super::pattern_file::Dialect;
use super::{pcre, regexp};

/// How long the source of an expression may be, in bytes.
const MAX_SOURCE: usize = 32 * 1024;

/// How large a compiled expression may be, in bytes.
const MAX_COMPILED: usize = 8 * 1024 * 1024;

/// How many steps back a match may take before the lookup fails.
const MAX_BACKTRACKS: usize = 1_000_000;

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

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// `$` also matches before a line feed that ends the text.
    lax_end: bool,
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
        let translated = match dialect {
            Dialect::Regexp => regexp::translate(source, flags)?,
            Dialect::Pcre => pcre::translate(source, flags)
                .map_err(|reason| format!("error in regex: {reason}"))?,
        };
        // In POSIX expressions one flag decides about line feeds everywhere.
        let dot_all = match dialect {
            Dialect::Regexp => !flags.lines,
            Dialect::Pcre => flags.dot_all,
        };
        let regex = RegexBuilder::new(&translated)
            .case_insensitive(flags.any_case)
            .multi_line(flags.lines)
            .dot_matches_new_line(dot_all)
            .backtrack_limit(MAX_BACKTRACKS)
            .delegate_size_limit(MAX_COMPILED)
            .delegate_dfa_size_limit(MAX_COMPILED)
            .build()
            .map_err(|error| format!("error in regex: {}", one_line(&error.to_string())))?;
        let lax_end = !flags.end_only && !flags.lines;
        Ok(Expression { regex, lax_end })
    }

    /// How many groups there are to refer to.
    pub(super) fn groups(&self) -> usize {
        self.regex.captures_len().saturating_sub(1)
    }

    /// Whether the expression matches somewhere in the text.
    ///
    /// # Errors
    ///
    /// If that cannot be found out within the limits.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, String> {
        Ok(self.matched(text)?.is_some())
    }

    /// What the groups have matched; empty without a match. Number 0 is the whole match.
    ///
    /// # Errors
    ///
    /// If that cannot be found out within the limits.
    pub(super) fn captures(&self, text: &str) -> Result<Vec<String>, String> {
        let Some(text) = self.matched(text)? else {
            return Ok(Vec::new());
        };
        let captures = self
            .regex
            .captures(text)
            .map_err(|e| one_line(&e.to_string()))?;
        Ok(captures.map_or_else(Vec::new, |captures| {
            captures
                .iter()
                .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()))
                .collect()
        }))
    }

    /// The text that the expression matches: all of it, or all but the line feed at its end.
    fn matched<'t>(&self, text: &'t str) -> Result<Option<&'t str>, String> {
        let try_one = |text: &str| {
            self.regex
                .is_match(text)
                .map_err(|e| one_line(&e.to_string()))
        };
        if try_one(text)? {
            return Ok(Some(text));
        }
        match text.strip_suffix('\n') {
            Some(text) if self.lax_end && try_one(text)? => Ok(Some(text)),
            _ => Ok(None),
        }
    }
}

/// The last line of a report of several lines, which is the one that says what is wrong.
fn one_line(report: &str) -> String {
    report.lines().last().unwrap_or("").trim().to_owned()
}
