//! `cidr:` tables, cidr_table(5): network blocks and what to answer for addresses in them.
//!
//! Sources: Postfix `src/util/dict_cidr.c`, `src/util/cidr_match.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::lines::logical_lines;
use super::rules::{Rule, Rules, after_word, negation};
use super::words::{is_space, trim};
use super::{Table, TableFailure};

/// A network block, or all addresses of the same family outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    net: IpNet,
    inside: bool,
}

impl Block {
    /// Reads `address`, `address/length`, `[address]`, `[address/length]` or `[address]/length`.
    /// The bits after the length must be zero.
    ///
    /// # Errors
    ///
    /// Postfix's words for what is wrong.
    pub(super) fn parse(pattern: &str, inside: bool) -> Result<Self, String> {
        let (address, length) = dissect(pattern)?;
        let parsed = parse_address(address);
        let Some(length) = length else {
            let net = parsed
                .map(IpNet::from)
                .ok_or_else(|| format!("bad address pattern: \"{address}\""))?;
            return Ok(Block { net, inside });
        };
        let error = |what: &str| format!("{what} in \"{address}/{length}\"");
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error("bad mask value"));
        }
        let room = if address.contains(':') { 128 } else { 32 };
        let bits = length
            .parse::<u8>()
            .ok()
            .filter(|&bits| bits <= room)
            .ok_or_else(|| error("bad mask length"))?;
        let net = parsed
            .and_then(|address| IpNet::new(address, bits).ok())
            .ok_or_else(|| error("bad network value"))?;
        if net.addr() != net.network() {
            return Err(format!(
                "non-null host address bits in \"{address}/{length}\", \
                 perhaps you should use \"{}/{bits}\" instead",
                net.network()
            ));
        }
        Ok(Block { net, inside })
    }

    /// Whether the address meets the condition. An address of the other family never does, not even
    /// the condition "outside".
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let same_family = self.net.addr().is_ipv4() == address.is_ipv4();
        same_family && self.net.contains(&address) == self.inside
    }
}

/// Takes a pattern apart into address and length.
fn dissect(pattern: &str) -> Result<(&str, Option<&str>), String> {
    let split = |text| match str::split_once(text, '/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Some(rest) = pattern.strip_prefix('[') else {
        return Ok(split(pattern));
    };
    let (inside, after) = rest
        .split_once(']')
        .ok_or_else(|| format!("missing ']' character after \"[{rest}\""))?;
    match after.strip_prefix('/') {
        Some(length) => Ok((inside, Some(length))),
        None if after.is_empty() => Ok(split(inside)),
        None => Err(format!("garbage after \"[{inside}]\"")),
    }
}

/// Reads an address as `inet_pton` does: IPv6 if there is a colon in it.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    } else {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::from)
    }
}

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
