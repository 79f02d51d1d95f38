//! Generic maps: the addresses of this place as the world knows them, in the
//! envelope and in header fields (`smtp_generic_maps`; Postfix:
//! `src/smtp/smtp_map11.c`, `src/global/mail_addr_map.c`).

use super::{
    canonical::Canonical,
    pipe::STEPS_AT_ONCE,
    settings::Content,
    tokens::{Token, Tokens, parse, quote, scan, unquote},
};
use crate::{
    Protocol,
    local::LocalDomains,
    tables::{AddressMatch, AddressSearch, AddressStep, Maps, TableFailure, TableQuery},
};

/// The rules by which addresses are mapped.
#[derive(Debug)]
pub(crate) struct Generic {
    /// The name of the parameter, for log lines.
    parameter: String,
    maps: Maps,
    canonical: Canonical,
    local: LocalDomains,
    /// Whether an extension that was not part of the key is added to the result.
    propagate: bool,
}

/// What a look-up has come to.
#[derive(Debug)]
pub(crate) enum Lookup<T> {
    /// The result.
    Done(T),
    /// A table outside of the process has to be asked first.
    Ask(TableQuery),
    /// A table cannot say, or says what makes no sense. The text is for the log.
    Failed(String),
}

impl Generic {
    pub(crate) fn new(protocol: Protocol, content: &Content, local: LocalDomains) -> Self {
        Self {
            parameter: format!("{protocol}_generic_maps"),
            maps: content.generic.clone(),
            canonical: Canonical::new(&content.rewriting),
            local,
            propagate: content.rewriting.propagate_extension,
        }
    }

    /// What an address (in internal form) is mapped to, in internal form. More
    /// than one address is a warning, none a failure.
    fn result(
        &self,
        address: &str,
        found: &AddressMatch,
        notes: &mut Vec<String>,
    ) -> Lookup<String> {
        let value = found.value.split('\0').next().unwrap_or_default();
        let mut text = value.to_owned();
        if text.starts_with('@') {
            let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
            let extension = found.extension.as_deref().unwrap_or_default();
            let user = local.strip_suffix(extension).unwrap_or(local);
            text = quote(&format!("{user}{text}"));
        }
        let nobody = matches!(text.as_str(), "" | "<>");
        let tokens = parse(if nobody { "\"\"" } else { &text });
        let mut addresses = tokens.list.iter().filter_map(|token| match token {
            Token::Address(tokens) => Some(tokens),
            _ => None,
        });
        let parameter = &self.parameter;
        let Some(first) = addresses.next() else {
            notes.push(format!(
                "{parameter} lookup of {address} returns non-address result \"{text}\""
            ));
            return Lookup::Failed(format!("{parameter} map lookup problem for {address}"));
        };
        if addresses.next().is_some() {
            notes.push(format!("multi-valued {parameter} result for {address}"));
        }
        let mut mapped = unquote(&self.canonical.of(&first.external()));
        if let Some(extension) = found.extension.as_deref().filter(|_| self.propagate) {
            let end = mapped.rfind('@').unwrap_or(mapped.len());
            mapped.insert_str(end, extension);
        }
        Lookup::Done(mapped)
    }
}

/// The mapping of one address.
#[derive(Debug)]
pub(crate) struct AddressMapping {
    address: String,
    /// `None` if there is nothing to look up, or no way to.
    search: Result<AddressSearch, TableFailure>,
}

impl AddressMapping {
    /// Begins to map an address in internal form. The null address is never
    /// mapped.
    pub(crate) fn new(rules: &Generic, address: &str) -> Self {
        let local = &rules.local;
        let search = local
            .kind(address)
            .map(|domain| AddressSearch::new(&rules.maps, address, &local.rules(domain)));
        Self {
            address: address.to_owned(),
            search,
        }
    }

    /// The address that it is mapped to; `None` if it stays as it is. `notes` gets
    /// warnings.
    pub(crate) fn step(
        &mut self,
        rules: &Generic,
        notes: &mut Vec<String>,
    ) -> Lookup<Option<String>> {
        let address = &self.address;
        let step = match &mut self.search {
            Ok(search) => search.next(),
            Err(failure) => AddressStep::Done(Err(failure.clone())),
        };
        match step {
            AddressStep::Ask { table, key } => Lookup::Ask(TableQuery { table, key }),
            AddressStep::Done(Ok(None)) => Lookup::Done(None),
            AddressStep::Done(Ok(Some(found))) => match rules.result(address, &found, notes) {
                Lookup::Done(mapped) => Lookup::Done(Some(mapped)),
                Lookup::Ask(query) => Lookup::Ask(query),
                Lookup::Failed(why) => Lookup::Failed(why),
            },
            AddressStep::Done(Err(failure)) => {
                notes.push(failure.to_string());
                Lookup::Failed(format!(
                    "{} map lookup problem for {address}",
                    rules.parameter
                ))
            }
        }
    }

    /// The number of steps it has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.search.as_ref().map_or(0, AddressSearch::taken)
    }

    /// The answer to [`Lookup::Ask`].
    pub(crate) fn answered(&mut self, answer: Result<Option<String>, TableFailure>) {
        if let Ok(search) = &mut self.search {
            search.answered(answer);
        }
    }
}

/// The mapping of all addresses of a header field.
#[derive(Debug)]
pub(super) struct HeaderMapping {
    /// The name as it is written in the field.
    name: String,
    tokens: Tokens,
    /// The token that is next.
    at: usize,
    address: Option<AddressMapping>,
    mapped: bool,
    /// The steps that were taken since somebody asked.
    taken: u64,
}

impl HeaderMapping {
    /// Begins to map a field whose name has `name_len` bytes.
    pub(super) fn new(field: &str, name_len: usize) -> Self {
        let (name, value) = field.split_at_checked(name_len).unwrap_or((field, ""));
        let value = value.get(1..).unwrap_or_default();
        Self {
            name: name.to_owned(),
            tokens: parse(value),
            at: 0,
            address: None,
            mapped: false,
            taken: 0,
        }
    }

    /// The steps that were taken since the last call.
    pub(super) fn take_taken(&mut self) -> u64 {
        std::mem::take(&mut self.taken)
    }

    /// The field with its new addresses, one on each line; `None` inside if it stays as it
    /// is. `None`: much was looked up, and there is more to come.
    pub(super) fn step(
        &mut self,
        rules: &Generic,
        notes: &mut Vec<String>,
    ) -> Option<Lookup<Option<String>>> {
        while let Some(token) = self.tokens.list.get_mut(self.at) {
            if self.taken >= STEPS_AT_ONCE {
                return None;
            }
            if let Token::Address(tokens) = token {
                let internal = tokens.internal();
                let mapping = self
                    .address
                    .get_or_insert_with(|| AddressMapping::new(rules, &internal));
                let mapped = match mapping.step(rules, notes) {
                    Lookup::Done(mapped) => mapped,
                    Lookup::Ask(query) => return Some(Lookup::Ask(query)),
                    Lookup::Failed(why) => return Some(Lookup::Failed(why)),
                };
                self.taken = self.taken.saturating_add(mapping.taken());
                self.mapped |= mapped.is_some();
                *tokens = scan(&quote(&mapped.unwrap_or(internal)));
                self.address = None;
            }
            self.at += 1;
        }
        if !self.mapped {
            return Some(Lookup::Done(None));
        }
        let (value, stripped) = self.tokens.external_lines();
        let field = format!("{}: {value}", self.name);
        if stripped {
            notes.push(format!(
                "stripping too many comments from address: {}...",
                super::raw::beginning(&field, 100)
            ));
        }
        Some(Lookup::Done(Some(field)))
    }

    /// The answer to [`Lookup::Ask`].
    pub(super) fn answered(&mut self, answer: Result<Option<String>, TableFailure>) {
        if let Some(address) = &mut self.address {
            address.answered(answer);
        }
    }
}

/// Lines shorter than this many bytes are filled up with the next ones.
const FULL: usize = 70;

/// Joins the lines of a field to longer ones; all but the first begin with a TAB.
pub(super) fn fold(field: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in field.split(|byte| *byte == b'\n') {
        match lines.last_mut() {
            // The blank between them counts, the TAB does not.
            Some(last) if last.len() + 1 + line.len() < FULL => {
                last.push(b' ');
                last.extend_from_slice(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    for line in lines.iter_mut().skip(1) {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            line.insert(0, b'\t');
        }
    }
    lines
}
