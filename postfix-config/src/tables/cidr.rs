//! `cidr:` tables, cidr_table(5): network blocks and what to answer for addresses in them.
//!
//! Sources: Postfix `src/util/dict_cidr.c`, `src/util/cidr_match.c`.

use super::lines::logical_lines;
use super::rules::{Rule, Rules, after_word, negation};
use smtp_policy::tables::block::{Block, parse_address};
use smtp_policy::tables::words::{is_space, trim};
use smtp_policy::tables::{Table, TableFailure};

/// A table of network blocks.
#[derive(Debug)]
pub(super) struct Cidr {
    rules: Rules<Block, String>,
}

/// Reads the text of a table. Lines with mistakes are skipped with a warning.
pub(super) fn read(name: &str, bytes: &[u8], warnings: &mut Vec<String>) -> Cidr {
    let mut rules = Rules::new();
    for line in logical_lines(name, bytes, warnings) {
        match rule_of(&line.text, rules.in_block()) {
            Ok(rule) => rules.push(line.number, rule),
            Err(reason) => warnings.push(format!(
                "cidr map {name}, line {}: {reason}: skipping this rule",
                line.number
            )),
        }
    }
    for line in rules.unclosed() {
        warnings.push(format!(
            "cidr map {name}, line {line}: IF has no matching ENDIF"
        ));
    }
    Cidr { rules }
}

fn rule_of(line: &str, in_block: bool) -> Result<Rule<Block, String>, String> {
    if let Some(rest) = after_word(line, "if") {
        let (inside, pattern) = negation(rest);
        let condition = Block::parse(some_pattern(trim(pattern))?, inside)?;
        return Ok(Rule::If { condition });
    }
    if let Some(rest) = after_word(line, "endif") {
        if !trim(rest).is_empty() {
            return Err("garbage after ENDIF".to_owned());
        }
        if !in_block {
            return Err("ENDIF without IF".to_owned());
        }
        return Ok(Rule::EndIf);
    }
    let (inside, rest) = negation(line);
    let (pattern, answer) = rest.split_once(is_space).unwrap_or((rest, ""));
    let condition = Block::parse(some_pattern(pattern)?, inside)?;
    let answer = trim(answer);
    if answer.is_empty() {
        return Err("no lookup result".to_owned());
    }
    Ok(Rule::Answer {
        condition,
        answer: answer.to_owned(),
    })
}

fn some_pattern(pattern: &str) -> Result<&str, String> {
    if pattern.is_empty() {
        return Err("no address pattern".to_owned());
    }
    Ok(pattern)
}

impl Table for Cidr {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        let Some(address) = parse_address(key) else {
            return Ok(None);
        };
        self.rules.find(|block, answer| {
            let holds = block.holds(address);
            Ok(holds.then(|| answer.cloned().unwrap_or_default()))
        })
    }

    fn is_pattern(&self) -> bool {
        true
    }
}
