//! `regexp:` and `pcre:` tables: rules with a pattern and an answer, regexp_table(5), pcre_table(5).
//!
//! Sources: Postfix `src/util/dict_regexp.c`, `src/util/dict_pcre.c`, `src/util/mac_parse.c`.

use super::lines::logical_lines;
use super::octets::Octets;
use super::patterns::{Expression, Flags};
use super::rules::{Rule, Rules, after_word, negation};
use smtp_policy::tables::words::{is_space, trim};
use smtp_policy::tables::{Steps, Table, TableFailure};

/// Which of the two kinds of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `regexp:`, POSIX expressions.
    Regexp,
    /// `pcre:`, Perl-like expressions.
    Pcre,
}

impl Dialect {
    /// The table type as it is written.
    fn as_str(self) -> &'static str {
        match self {
            Dialect::Regexp => "regexp",
            Dialect::Pcre => "pcre",
        }
    }
}

/// A table of patterns.
#[derive(Debug)]
pub(super) struct PatternTable {
    spec: String,
    octets: Octets,
    rules: Rules<Condition, Vec<Part>>,
}

/// What must hold for a rule to answer.
#[derive(Debug)]
struct Condition {
    line: usize,
    first: Pattern,
    /// The second pattern of `/pattern1/!/pattern2/ answer`.
    second: Option<Pattern>,
}

/// An expression that must match, or must not.
#[derive(Debug)]
struct Pattern {
    expression: Expression,
    positive: bool,
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `$1`: what the group with this number has matched.
    Group(usize),
}

/// Reads the text of a table. Lines with mistakes are skipped with a warning.
pub(super) fn read(
    dialect: Dialect,
    octets: Octets,
    name: &str,
    bytes: &[u8],
    warnings: &mut Vec<String>,
) -> PatternTable {
    let mut rules = Rules::new();
    for line in logical_lines(name, bytes, warnings) {
        let mut reader = LineReader {
            dialect,
            octets,
            line: line.number,
            notes: Vec::new(),
        };
        let rule = reader.rule(trim(&line.text), rules.in_block());
        let LineReader { notes, .. } = reader;
        let failed = rule.as_ref().err().cloned();
        for note in notes.into_iter().chain(failed) {
            warnings.push(format!(
                "{} map {name}, line {}: {note}",
                dialect.as_str(),
                line.number
            ));
        }
        if let Ok(rule) = rule {
            rules.push(line.number, rule);
        }
    }
    for line in rules.unclosed() {
        warnings.push(format!(
            "{} map {name}, line {line}: IF has no matching ENDIF",
            dialect.as_str()
        ));
    }
    PatternTable {
        spec: format!("{}:{name}", dialect.as_str()),
        octets,
        rules,
    }
}

/// Reads one line; errors are the warning with which it is skipped.
struct LineReader {
    dialect: Dialect,
    octets: Octets,
    line: usize,
    /// Warnings about a line that is used all the same.
    notes: Vec<String>,
}

impl LineReader {
    fn rule(&mut self, line: &str, in_block: bool) -> Result<Rule<Condition, Vec<Part>>, String> {
        if !line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return self.answer(line);
        }
        if let Some(rest) = after_word(line, "if") {
            let (pattern, rest) = self.pattern(rest)?;
            let rest = trim(rest);
            if !rest.is_empty() {
                self.notes.push(format!(
                    "ignoring extra text after IF statement: \"{rest}\""
                ));
                self.notes.push(
                    "do not prepend whitespace to statements between IF and ENDIF".to_owned(),
                );
            }
            return Ok(Rule::If {
                condition: self.condition(pattern, None),
            });
        }
        if let Some(rest) = after_word(line, "endif") {
            if !in_block {
                return Err("ignoring ENDIF without matching IF".to_owned());
            }
            if !trim(rest).is_empty() {
                self.notes
                    .push("ignoring extra text after ENDIF".to_owned());
            }
            return Ok(Rule::EndIf);
        }
        Err("ignoring unrecognized request".to_owned())
    }

    /// Reads `/pattern/flags answer` and `/pattern1/flags!/pattern2/flags answer`.
    fn answer(&mut self, line: &str) -> Result<Rule<Condition, Vec<Part>>, String> {
        let (first, mut rest) = self.pattern(line)?;
        let mut second = None;
        if rest.starts_with('!') && self.dialect == Dialect::Regexp {
            let (pattern, after) = self.pattern(rest)?;
            second = Some(pattern);
            rest = after;
        }
        let text = trim(rest);
        if text.is_empty() {
            self.notes
                .push("no replacement text: using empty string".to_owned());
        }
        let answer = parts(text).map_err(|reason| {
            self.notes.push(reason);
            "bad replacement syntax: skipping this rule".to_owned()
        })?;
        let highest = answer
            .iter()
            .map(|part| match part {
                Part::Group(number) => *number,
                Part::Text(_) => 0,
            })
            .max()
            .unwrap_or(0);
        if highest > 0 && !first.positive {
            return Err(
                "$number found in negative match replacement text: skipping this rule".to_owned(),
            );
        }
        if highest > first.expression.groups() {
            return Err(format!(
                "out of range replacement index \"{highest}\": skipping this rule"
            ));
        }
        Ok(Rule::Answer {
            condition: self.condition(first, second),
            answer,
        })
    }

    fn condition(&self, first: Pattern, second: Option<Pattern>) -> Condition {
        Condition {
            line: self.line,
            first,
            second,
        }
    }

    /// Reads `!/pattern/flags` and gives the rest of the line.
    fn pattern<'a>(&mut self, text: &'a str) -> Result<(Pattern, &'a str), String> {
        let (positive, text) = negation(text);
        let mut chars = text.chars();
        let delimiter = chars.next().ok_or("no regexp: skipping this rule")?;
        let inside = chars.as_str();
        let (source, rest) = up_to(inside, delimiter).ok_or_else(|| {
            format!("no closing regexp delimiter \"{delimiter}\": skipping this rule")
        })?;
        let end = |c| is_space(c) || (c == '!' && self.dialect == Dialect::Regexp);
        let length = rest.find(end).unwrap_or(rest.len());
        let (letters, rest) = rest.split_at(length);
        let flags = self.flags(letters)?;
        let source = self.octets.mask(source);
        let expression = Expression::compile(self.dialect, &source, flags)
            .map_err(|reason| format!("{reason}: skipping this rule"))?;
        let pattern = Pattern {
            expression,
            positive,
        };
        Ok((pattern, rest))
    }

    /// Reads the letters after a pattern; each toggles a flag.
    fn flags(&mut self, letters: &str) -> Result<Flags, String> {
        let mut flags = Flags::new(self.dialect);
        for letter in letters.chars() {
            if letter == 'X' && self.dialect == Dialect::Pcre {
                self.notes
                    .push("ignoring obsolete regexp option \"X\"".to_owned());
            } else if !flags.toggle(self.dialect, letter) {
                return Err(format!(
                    "unknown regexp option \"{letter}\": skipping this rule"
                ));
            }
        }
        Ok(flags)
    }
}

/// The text before the delimiter and the text after it. A backslash hides the character after it.
fn up_to(text: &str, delimiter: char) -> Option<(&str, &str)> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == delimiter {
            return Some((text.get(..at)?, chars.as_str()));
        }
    }
    None
}

/// Takes an answer apart at `$1`, `${1}`, `$(1)` and `$$`.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let (name, after) = group_name(text, after)?;
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(Part::Group(group_number(name)?));
        rest = after;
    }
    literal.push_str(rest);
    // Without any part the answer is the empty string.
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// The name after a `$`, and the text after the name.
fn group_name<'a>(all: &str, text: &'a str) -> Result<(&'a str, &'a str), String> {
    let (open, close) = match text.chars().next() {
        Some('{') => ('{', '}'),
        Some('(') => ('(', ')'),
        _ => {
            let length = text
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(text.len());
            return named(all, text.split_at(length));
        }
    };
    let mut level = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            level += 1;
        } else if c == close {
            level = level.saturating_sub(1);
            if level == 0 {
                let name = text.get(1..at).unwrap_or("");
                return named(all, (name, text.get(at + 1..).unwrap_or("")));
            }
        }
    }
    Err(format!("truncated macro reference: \"{all}\""))
}

fn named<'a>(all: &str, split: (&'a str, &'a str)) -> Result<(&'a str, &'a str), String> {
    if split.0.is_empty() {
        return Err(format!("empty macro name: \"{all}\""));
    }
    Ok(split)
}

fn group_number(name: &str) -> Result<usize, String> {
    if !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("non-numeric replacement index \"{name}\""));
    }
    match name.parse::<usize>().unwrap_or(usize::MAX) {
        0 => Err(format!("out of range replacement index \"{name}\"")),
        number => Ok(number),
    }
}

impl PatternTable {
    fn failure(&self, line: usize, reason: &str) -> TableFailure {
        TableFailure {
            table: self.spec.clone(),
            reason: format!("line {line}: {reason}"),
        }
    }

    fn holds(
        &self,
        line: usize,
        pattern: &Pattern,
        key: &str,
        steps: &mut Steps,
    ) -> Result<bool, TableFailure> {
        let found = pattern
            .expression
            .is_match(key, steps)
            .map_err(|reason| self.failure(line, &reason))?;
        Ok(found == pattern.positive)
    }

    /// The answer of a rule, if its condition holds.
    fn answer(
        &self,
        condition: &Condition,
        answer: &[Part],
        key: &str,
        steps: &mut Steps,
    ) -> Result<Option<String>, TableFailure> {
        let line = condition.line;
        if !self.holds(line, &condition.first, key, steps)? {
            return Ok(None);
        }
        if let Some(second) = &condition.second
            && !self.holds(line, second, key, steps)?
        {
            return Ok(None);
        }
        let mut text = String::new();
        let mut groups = None;
        for part in answer {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Group(number) => {
                    if groups.is_none() {
                        let found = condition.first.expression.captures(key, steps);
                        groups = Some(found.map_err(|reason| self.failure(line, &reason))?);
                    }
                    let group = groups.as_ref().and_then(|groups| groups.get(*number));
                    let group = group.map_or("", String::as_str);
                    let group = self.octets.unmask(group).ok_or_else(|| {
                        self.failure(line, &format!("${number} is half a character"))
                    })?;
                    text.push_str(&group);
                }
            }
        }
        Ok(Some(text))
    }
}

impl Table for PatternTable {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        self.lookup_within(key, &mut Steps::default())
    }

    fn lookup_within(&self, key: &str, steps: &mut Steps) -> Result<Option<String>, TableFailure> {
        let key = &*self.octets.mask(key);
        self.rules.find(|condition, answer| match answer {
            None => {
                let holds = self.holds(condition.line, &condition.first, key, steps)?;
                Ok(holds.then(String::new))
            }
            Some(answer) => self.answer(condition, answer, key, steps),
        })
    }

    fn is_pattern(&self) -> bool {
        true
    }
}
