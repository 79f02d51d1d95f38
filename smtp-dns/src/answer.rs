//! The records of a reply: which of them answer the question, which are
//! rejected, and what a reply without any means. Answers to `dns_get_answer`
//! in Postfix's `src/dns/dns_lookup.c`.

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::{ParsedName, RecordHeader, Rtype, iana::Class, iana::Rcode};
use domain::dep::octseq::Parser;

use super::names::{Wildcard, is_root, is_valid_address, is_valid_hostname};
use super::wire::{Head, name_text, record_type};
use super::{Answer, Failure, Query, QueryKind, Record, RecordData};

/// What a reply holds.
#[derive(Debug)]
pub(super) enum Found {
    /// Records of the type asked for.
    Records(Answer),
    /// Only an alias; the question is to be asked again for its target.
    Alias {
        /// The name that the alias points to.
        target: String,
        /// The servers vouched for the alias.
        validated: bool,
    },
}

/// Reads `packet` as the reply to `query`, without asking again for the target
/// of an alias: then, and if the packet is no reply, it is
/// [`Failure::Unexpected`]. Id and question of the reply are not compared.
///
/// [`Lookup`](super::Lookup) does all this by itself; the function serves
/// tests and programs that have the packet already.
pub fn answer_dns_stub(packet: &[u8], query: &Query) -> Result<Answer, Failure> {
    let head = Head::read(packet).ok_or(Failure::Unexpected)?;
    if let Some(failure) = failure_of(&head) {
        return Err(failure);
    }
    let mut warnings = Vec::new();
    match read_answers(packet, &head, &query.name, query.kind, true, &mut warnings)? {
        Found::Records(answer) => Ok(answer),
        Found::Alias { .. } => Err(Failure::Unexpected),
    }
}

/// The failure that the head of a reply stands for, as `res_query` sets
/// `h_errno`.
pub(super) fn failure_of(head: &Head) -> Option<Failure> {
    match head.code() {
        Rcode::NOERROR if head.answers() > 0 => None,
        Rcode::NOERROR => Some(Failure::NoData),
        Rcode::NXDOMAIN => Some(Failure::NotFound),
        Rcode::SERVFAIL => Some(Failure::TryAgain),
        _ => Some(Failure::NonRecoverable),
    }
}

/// Why a single record is of no use.
enum Rejected {
    /// It holds an invalid name.
    Invalid,
    /// It cannot be read.
    Garbled,
}

/// Reads the answer section. `trusted` says that the servers vouched for all
/// aliases before. Warnings to log are appended to `warnings`; if the result
/// is an error, they are in there as well.
pub(super) fn read_answers(
    packet: &[u8],
    head: &Head,
    name: &str,
    kind: QueryKind,
    trusted: bool,
    warnings: &mut Vec<String>,
) -> Result<Found, Failure> {
    let mut reader = Reader {
        packet,
        name,
        warnings,
    };
    let result = reader.read(head, kind, trusted);
    let text = || warnings.join("\n");
    result.map_err(|bad| match bad {
        Bad::Invalid => Failure::Malformed(text()),
        Bad::Garbled => Failure::Garbled(text()),
        Bad::Unexpected => Failure::Unexpected,
    })
}

/// Why a whole reply is of no use.
enum Bad {
    Invalid,
    Garbled,
    Unexpected,
}

struct Reader<'a> {
    packet: &'a [u8],
    name: &'a str,
    warnings: &'a mut Vec<String>,
}

/// The part before the data of a record.
struct Fixed {
    owner: String,
    kind: Rtype,
    ttl: u32,
    /// Where the data begin and how long they are.
    at: usize,
    length: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self, head: &Head, kind: QueryKind, trusted: bool) -> Result<Found, Bad> {
        let mut at = head.answers_at.ok_or(Bad::Garbled)?;
        let authentic = head.is_authentic();
        let wanted = record_type(kind);
        let mut records = Vec::new();
        let mut alias = None;
        let mut empty = Bad::Unexpected;
        for _ in 0..head.answers() {
            let fixed = self.fixed(at)?;
            at = fixed.at + fixed.length;
            if Some(fixed.kind) == wanted {
                match self.data(&fixed) {
                    Ok(data) => records.push(Record {
                        owner: fixed.owner,
                        ttl: fixed.ttl,
                        data,
                        validated: trusted && authentic,
                    }),
                    Err(Rejected::Garbled) => empty = Bad::Garbled,
                    Err(Rejected::Invalid) if matches!(empty, Bad::Garbled) => {}
                    Err(Rejected::Invalid) => empty = Bad::Invalid,
                }
            } else if fixed.kind == Rtype::CNAME {
                let target = self.host(&fixed, 0).map_err(|rejected| match rejected {
                    Rejected::Invalid => Bad::Invalid,
                    Rejected::Garbled => Bad::Garbled,
                })?;
                alias = Some(target);
            }
        }
        if let Some(first) = records.first() {
            return Ok(Found::Records(Answer {
                canonical: first.owner.clone(),
                validated: trusted && authentic,
                records,
            }));
        }
        let target = alias.ok_or(empty)?;
        Ok(Found::Alias {
            target,
            validated: trusted && authentic,
        })
    }

    fn fixed(&mut self, at: usize) -> Result<Fixed, Bad> {
        let mut parser = self.parser(at).ok_or(Bad::Garbled)?;
        let head = RecordHeader::parse_ref(&mut parser).map_err(|_| Bad::Garbled)?;
        let (owner, kind) = (name_text(head.owner()), head.rtype());
        let (at, length) = (parser.pos(), usize::from(head.rdlen()));
        if head.class() != Class::IN {
            let class = head.class().to_int();
            self.warn(format!("dns_get_fixed: bad class: {class}"));
            return Err(Bad::Garbled);
        }
        let root = is_root(self.name) && is_root(&owner);
        if !root && !self.accept(&owner, "resource name", kind) {
            return Err(Bad::Invalid);
        }
        if at + length > self.packet.len() {
            return Err(Bad::Garbled);
        }
        Ok(Fixed {
            owner,
            kind,
            ttl: head.ttl().as_secs(),
            at,
            length,
        })
    }

    fn data(&mut self, fixed: &Fixed) -> Result<RecordData, Rejected> {
        match fixed.kind {
            Rtype::A => Ok(RecordData::A(Ipv4Addr::from(self.octets::<4>(fixed)?))),
            Rtype::AAAA => Ok(RecordData::Aaaa(Ipv6Addr::from(self.octets::<16>(fixed)?))),
            Rtype::CNAME => self.host(fixed, 0).map(RecordData::Cname),
            Rtype::NS => self.host(fixed, 0).map(RecordData::Ns),
            Rtype::MX => Ok(RecordData::Mx {
                preference: self.number(fixed, 0)?,
                host: self.host_or_root(fixed, 2)?,
            }),
            Rtype::SRV => Ok(RecordData::Srv {
                priority: self.number(fixed, 0)?,
                weight: self.number(fixed, 2)?,
                port: self.number(fixed, 4)?,
                target: self.host_or_root(fixed, 6)?,
            }),
            Rtype::TLSA => match self.bytes(fixed) {
                [usage, selector, matching, data @ ..] => Ok(RecordData::Tlsa {
                    usage: *usage,
                    selector: *selector,
                    matching: *matching,
                    data: data.to_vec(),
                }),
                _ => Err(Rejected::Garbled),
            },
            Rtype::TXT => joined(self.bytes(fixed)).map(RecordData::Txt),
            _ => Err(Rejected::Garbled),
        }
    }

    fn bytes(&self, fixed: &Fixed) -> &[u8] {
        let end = fixed.at.saturating_add(fixed.length);
        self.packet.get(fixed.at..end).unwrap_or_default()
    }

    fn octets<const N: usize>(&mut self, fixed: &Fixed) -> Result<[u8; N], Rejected> {
        let octets = self.bytes(fixed).try_into();
        octets.map_err(|_| {
            self.warn(format!(
                "extract_answer: bad address length: {}",
                fixed.length
            ));
            Rejected::Garbled
        })
    }

    /// The number of two bytes at `offset` of the data.
    fn number(&self, fixed: &Fixed, offset: usize) -> Result<u16, Rejected> {
        match self.bytes(fixed).get(offset..) {
            Some([high, low, ..]) => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(Rejected::Garbled),
        }
    }

    /// The name at `offset` of the data; empty for the root.
    fn host_or_root(&mut self, fixed: &Fixed, offset: usize) -> Result<String, Rejected> {
        if offset > fixed.length {
            return Err(Rejected::Garbled);
        }
        let mut parser = self.parser(fixed.at + offset).ok_or(Rejected::Garbled)?;
        let host = ParsedName::parse_ref(&mut parser).map_err(|_| Rejected::Garbled)?;
        let host = name_text(&host);
        if !host.is_empty() && !self.accept(&host, "resource data", fixed.kind) {
            return Err(Rejected::Invalid);
        }
        Ok(host)
    }

    /// The name at `offset` of the data, which must not be the root.
    fn host(&mut self, fixed: &Fixed, offset: usize) -> Result<String, Rejected> {
        let host = self.host_or_root(fixed, offset)?;
        if host.is_empty() {
            self.gripe(&host, "resource data", fixed.kind);
            return Err(Rejected::Invalid);
        }
        Ok(host)
    }

    /// A parser of the whole packet, since a name may point back, that goes on at
    /// `at`; `None` if that is behind its end.
    fn parser(&self, at: usize) -> Option<Parser<'a, [u8]>> {
        let mut parser = Parser::from_ref(self.packet);
        parser.seek(at).ok()?;
        Some(parser)
    }

    /// Whether a name of a reply may be used. Numeric names are wrong, but
    /// work elsewhere, hence they pass.
    fn accept(&mut self, name: &str, place: &str, kind: Rtype) -> bool {
        if is_valid_address(name) {
            // Routing warns about it where it matters: as a mail exchanger.
            return true;
        }
        let valid = is_valid_hostname(name, Wildcard::Allowed);
        if !valid {
            self.gripe(name, place, kind);
        }
        valid
    }

    fn gripe(&mut self, name: &str, place: &str, kind: Rtype) {
        let shown: String = name.chars().take(100).collect();
        let kind = type_text(kind);
        self.warn(format!(
            "malformed domain name in {place} of {kind} record for {}: {shown}",
            self.name
        ));
    }

    fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }
}

/// A type of record in Postfix's words (`src/dns/dns_strtype.c`).
fn type_text(kind: Rtype) -> String {
    match kind.to_mnemonic_str() {
        Some(name) => name.to_owned(),
        None => format!("Unknown type {}", kind.to_int()),
    }
}

/// The character strings of a text record in one piece (RFC 1035 section 3.3.14).
fn joined(mut data: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut text = Vec::with_capacity(data.len());
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(Rejected::Garbled)?;
        text.extend_from_slice(string);
        data = rest;
    }
    Ok(text)
}
