//! Destinations against small DNS zones: which candidates in which order, or
//! which failure. The zones and expectations mirror recordings of Postfix
//! 3.7.11 where there is one for the case.
//!
//! Questions are answered by the zone as by a resolver that follows aliases in
//! the same reply, once in the order of asking, once in the reverse order: the
//! result must be the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use smtp_policy::dns::{
    Answer, Failure, Family, NativeFailure, Query, QueryKind, Record, RecordData,
};
use smtp_policy::route::idna::Idna;
use smtp_policy::route::{
    AddressPreference, Destination, DnsSupport, Families, FilterFailure, HostLookup,
    InetDestination, NexthopRules, OwnAddresses, PortNames, RecordFilter, Resolution, Resolved,
    RouteNote, RoutePolicy,
};

/// What a zone has for a name.
#[derive(Clone, Debug, Default)]
struct Entry {
    ad: bool,
    failures: Vec<(Option<QueryKind>, Failure)>,
    records: Vec<RecordData>,
    alias: Option<String>,
    /// What the host table of the system says.
    native: Vec<IpAddr>,
}

/// A zone from lines `name TYPE value`, separated by semicolons: `MX n host`,
/// `A`, `AAAA`, `CNAME`, `AD` (all answers are validated), `NS` (the name
/// exists), `FAIL code` and `FAIL-MX code` (`FAIL-A`, `FAIL-AAAA`), `HOSTS`.
fn zone(text: &str) -> BTreeMap<String, Entry> {
    let mut zone: BTreeMap<String, Entry> = BTreeMap::new();
    for line in text.split(';').map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let entry = zone.entry(words[0].to_owned()).or_default();
        match words[1..] {
            ["MX", preference, host] => entry.records.push(RecordData::Mx {
                preference: preference.parse().unwrap(),
                host: host.trim_end_matches('.').to_owned(),
            }),
            ["A", address] => entry.records.push(RecordData::A(address.parse().unwrap())),
            ["AAAA", address] => entry
                .records
                .push(RecordData::Aaaa(address.parse().unwrap())),
            ["CNAME", target] => entry.alias = Some(target.to_owned()),
            ["HOSTS", address] => entry.native.push(address.parse().unwrap()),
            ["AD"] => entry.ad = true,
            ["NS"] => {}
            [fail, code] if fail.starts_with("FAIL") => {
                let kind = match fail {
                    "FAIL-MX" => Some(QueryKind::Mx),
                    "FAIL-A" => Some(QueryKind::A),
                    "FAIL-AAAA" => Some(QueryKind::Aaaa),
                    _ => None,
                };
                entry.failures.push((kind, failure(code)));
            }
            _ => panic!("bad line {line}"),
        }
    }
    zone
}

fn failure(code: &str) -> Failure {
    let native = |kind: NativeFailure| Failure::Native {
        retry: kind.is_temporary(),
        kind,
        message: "the reason".into(),
    };
    match code {
        "SERVFAIL" | "TIMEOUT" => Failure::TryAgain,
        "FORMERR" => Failure::NonRecoverable,
        "MALFORMED" => Failure::Malformed("a warning".into()),
        "GARBLED" => Failure::Garbled(String::new()),
        "LOOP" => Failure::Loop,
        "UNEXPECTED" => Failure::Unexpected,
        "EAI_AGAIN" => native(NativeFailure::Again),
        "EAI_NONAME" => native(NativeFailure::NoName),
        "EAI_SYSTEM" => native(NativeFailure::System),
        "EAI_OTHER" => native(NativeFailure::Other),
        other => panic!("bad code {other}"),
    }
}

fn evaluate(zone: &BTreeMap<String, Entry>, query: &Query) -> Result<Answer, Failure> {
    let mut name = query.name.clone();
    let mut validated = query.validate;
    loop {
        let Some(entry) = zone.get(&name) else {
            return Err(if matches!(query.kind, QueryKind::Native(_)) {
                failure("EAI_NONAME")
            } else {
                at(query, &name, Failure::NotFound)
            });
        };
        validated &= entry.ad;
        let applies = |kind: &Option<QueryKind>| kind.is_none() || *kind == Some(query.kind);
        if let Some((_, failure)) = entry.failures.iter().find(|(kind, _)| applies(kind)) {
            return Err(at(query, &name, failure.clone()));
        }
        if let QueryKind::Native(family) = query.kind {
            return native(entry, family);
        }
        if let Some(target) = &entry.alias {
            name.clone_from(target);
            continue;
        }
        let of_type = entry
            .records
            .iter()
            .filter(|data| data.kind() == query.kind);
        let records: Vec<Record> = of_type
            .map(|data| Record {
                owner: name.clone(),
                ttl: 60,
                data: data.clone(),
                validated,
            })
            .collect();
        if records.is_empty() {
            return Err(at(query, &name, Failure::NoData));
        }
        return Ok(Answer {
            records,
            canonical: name,
            validated,
        });
    }
}

fn at(query: &Query, name: &str, failure: Failure) -> Failure {
    if query.name == name {
        return failure;
    }
    Failure::Aliased {
        name: name.to_owned(),
        failure: Box::new(failure),
    }
}

fn native(entry: &Entry, family: Family) -> Result<Answer, Failure> {
    let wanted = |address: &&IpAddr| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    let data = |address: &IpAddr| match address {
        IpAddr::V4(address) => RecordData::A(*address),
        IpAddr::V6(address) => RecordData::Aaaa(*address),
    };
    let record = |address| Record {
        owner: String::new(),
        ttl: 0,
        data: data(address),
        validated: false,
    };
    let records: Vec<Record> = entry.native.iter().filter(wanted).map(record).collect();
    Ok(Answer {
        records,
        ..Answer::default()
    })
}

/// Resolves `nexthop`; also the questions that were asked.
fn resolve(
    policy: &RoutePolicy,
    seed: u64,
    nexthop: &str,
    zone: &BTreeMap<String, Entry>,
    reverse: bool,
) -> (Resolved, Vec<Query>) {
    let rules = NexthopRules {
        socket_prefixes: !policy.mail_domains,
        ports: PortNames::default(),
        default_service: "25".parse().unwrap(),
        idna: Some(Idna::NonTransitional),
    };
    let Destination::Inet(destination) = rules.destination(nexthop).unwrap() else {
        panic!("{nexthop}");
    };
    let mut resolution = Resolution::new(&destination, Arc::new(policy.clone()), seed);
    let mut open = Vec::new();
    let mut asked = Vec::new();
    loop {
        open.extend(resolution.questions());
        assert!(open.len() <= 16, "too many questions at once");
        if open.is_empty() {
            let resolved = resolution.take().expect("no questions and no result");
            assert!(resolution.take().is_none(), "two results");
            return (resolved, asked);
        }
        assert_eq!(resolution.take(), None, "a result before the last answer");
        let (id, query) = if reverse {
            open.pop().unwrap()
        } else {
            open.remove(0)
        };
        resolution.answer(id, evaluate(zone, &query));
        resolution.answer(id, Err(Failure::TryAgain));
        asked.push(query);
    }
}

/// The result as text: candidates `host[address]`, or status and reason.
fn shown(resolved: &Resolved) -> String {
    match &resolved.result {
        Err(failure) => failure.to_string(),
        Ok(list) => {
            assert!(!list.is_empty());
            let one = |c: &smtp_policy::route::Candidate| format!("{}[{}]", c.host, c.address);
            list.iter().map(one).collect::<Vec<_>>().join(" ")
        }
    }
}

fn policy() -> RoutePolicy {
    RoutePolicy {
        randomize: false,
        own: Arc::new(OwnAddresses {
            interfaces: vec!["127.0.0.1".parse().unwrap()],
            proxies: vec!["192.0.2.99".parse().unwrap()],
        }),
        ..RoutePolicy::smtp()
    }
}

fn result_of(policy: &RoutePolicy, nexthop: &str, zone_text: &str) -> Resolved {
    let zone = zone(zone_text);
    let (forward, _) = resolve(policy, 1, nexthop, &zone, false);
    let (backward, _) = resolve(policy, 1, nexthop, &zone, true);
    assert_eq!(
        forward, backward,
        "the order of answers matters for {nexthop}"
    );
    forward
}

/// A setting, by the name that the cases below use.
fn with(setting: &str) -> RoutePolicy {
    let mut policy = policy();
    for word in setting.split_whitespace() {
        match word {
            "lmtp" => policy.mail_domains = false,
            "ipv4" => policy.families.ipv6 = false,
            "ipv6" => policy.families.ipv4 = false,
            "nonet" => {
                policy.families = Families {
                    ipv4: false,
                    ipv6: false,
                }
            }
            "prefer4" => policy.preference = AddressPreference::Ipv4,
            "prefer6" => policy.preference = AddressPreference::Ipv6,
            "limit2" => policy.address_limit = 2,
            "unbalanced" => policy.balance = false,
            "nodns" => policy.dns = DnsSupport::Disabled,
            "dnssec" => policy.dns = DnsSupport::Dnssec,
            "native" => {
                policy.host_lookup = HostLookup {
                    dns: false,
                    native: true,
                }
            }
            "dns+native" => policy.host_lookup.native = true,
            "nothing" => policy.host_lookup.dns = false,
            "ignore_mx_error" => policy.ignore_mx_error = true,
            "defer" => policy.defer_without_mx_address = true,
            "cname" => policy.cname_overrides_name = true,
            "idna2003" => policy.idna = Idna::Transitional,
            filter => policy.filter = Some(Arc::new(Drop(filter.to_owned()))),
        }
    }
    policy
}

/// Drops records whose text holds a word; `broken` and `unknown` fail.
#[derive(Debug)]
struct Drop(String);

impl RecordFilter for Drop {
    fn parameter(&self) -> &str {
        "smtp_dns_reply_filter"
    }

    fn action(&self, record: &str) -> Result<Option<String>, FilterFailure> {
        match self.0.as_str() {
            "broken" => Err(FilterFailure),
            "unknown" => Ok(Some("REJECT now".into())),
            word => Ok(record.contains(word).then(|| "ignore".to_owned())),
        }
    }
}

const HNF: &str = "Host or domain name not found. Name service error for name=";

/// Name, setting, next hop, zone, result. `{HNF}` stands for the usual words.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    // Which hosts, in which order.
    ("preference", "", "example.com",
     "example.com MX 20 a.example.com; example.com MX 10 b.example.com; a.example.com A 127.0.0.11; b.example.com A 127.0.0.12",
     "b.example.com[127.0.0.12] a.example.com[127.0.0.11]"),
    ("equal preference keeps the order of the answer", "", "example.com",
     "example.com MX 10 b.example.com; example.com MX 10 a.example.com; a.example.com A 127.0.0.11; b.example.com A 127.0.0.12",
     "b.example.com[127.0.0.12] a.example.com[127.0.0.11]"),
    ("several addresses", "", "example.com",
     "example.com MX 10 a.example.com; a.example.com A 127.0.0.11; a.example.com A 127.0.0.12; a.example.com AAAA ::2",
     "a.example.com[127.0.0.11] a.example.com[127.0.0.12] a.example.com[::2]"),
    ("brackets: no MX lookup", "", "[mx1.example.com]",
     "mx1.example.com A 127.0.0.11; mx1.example.com MX 1 mx2.example.com; mx2.example.com A 127.0.0.12",
     "mx1.example.com[127.0.0.11]"),
    ("LMTP: no MX lookup", "lmtp", "mx1.example.com",
     "mx1.example.com A 127.0.0.11; mx1.example.com MX 1 mx2.example.com; mx2.example.com A 127.0.0.12",
     "mx1.example.com[127.0.0.11]"),
    ("address in brackets", "", "[127.0.0.11]", "", "127.0.0.11[127.0.0.11]"),
    ("address without brackets", "", "127.0.0.11", "", "127.0.0.11[127.0.0.11]"),
    ("IPv6 address", "", "[ipv6:::2]:10031", "", "::2[::2]"),
    ("address of a family that is not used", "ipv4", "[::2]", "",
     "5.4.4 Name service error for ::2: invalid host or domain name"),
    ("no MX but address", "", "example.com", "example.com A 127.0.0.11", "example.com[127.0.0.11]"),
    ("domain is an alias", "", "example.com",
     "example.com CNAME example.net; example.net MX 5 mx1.example.com; mx1.example.com A 127.0.0.11",
     "mx1.example.com[127.0.0.11]"),
    ("MX host is an alias", "", "example.com",
     "example.com MX 5 alias.example.com; alias.example.com CNAME mx1.example.com; mx1.example.com A 127.0.0.11",
     "alias.example.com[127.0.0.11]"),
    ("MX host is an alias, and its name counts", "cname", "example.com",
     "example.com MX 5 alias.example.com; alias.example.com CNAME mx1.example.com; mx1.example.com A 127.0.0.11",
     "mx1.example.com[127.0.0.11]"),
    ("numeric MX host", "", "example.com", "example.com MX 5 127.0.0.11", "127.0.0.11[127.0.0.11]"),
    ("first MX host does not exist", "", "example.com",
     "example.com MX 10 a.example.com; example.com MX 20 b.example.com; b.example.com A 127.0.0.12",
     "b.example.com[127.0.0.12]"),
    ("first MX host fails for now", "", "example.com",
     "example.com MX 10 a.example.com; example.com MX 20 b.example.com; a.example.com FAIL SERVFAIL; b.example.com A 127.0.0.12",
     "b.example.com[127.0.0.12]"),
    ("one family fails for now", "", "[a.example.com]",
     "a.example.com FAIL-A SERVFAIL; a.example.com AAAA ::2", "a.example.com[::2]"),
    ("U-labels are asked for in ASCII", "", "bücher.example",
     "xn--bcher-kva.example A 127.0.0.11", "xn--bcher-kva.example[127.0.0.11]"),
    ("U-labels as IDNA 2003 read them", "idna2003", "[faß.example]",
     "fass.example A 127.0.0.11", "fass.example[127.0.0.11]"),
    // Address families.
    ("IPv4 preferred", "prefer4", "[dual.example.com]",
     "dual.example.com AAAA ::2; dual.example.com A 127.0.0.11", "dual.example.com[127.0.0.11] dual.example.com[::2]"),
    ("IPv6 preferred", "prefer6", "[dual.example.com]",
     "dual.example.com A 127.0.0.11; dual.example.com AAAA ::2", "dual.example.com[::2] dual.example.com[127.0.0.11]"),
    ("the MX preference comes before the family", "prefer6", "example.com",
     "example.com MX 1 a.example.com; example.com MX 2 b.example.com; a.example.com A 127.0.0.11; b.example.com AAAA ::2",
     "a.example.com[127.0.0.11] b.example.com[::2]"),
    ("balance before the limit", "prefer4 limit2", "[dual.example.net]",
     "dual.example.net A 127.0.0.21; dual.example.net A 127.0.0.22; dual.example.net A 127.0.0.23; dual.example.net AAAA ::2",
     "dual.example.net[127.0.0.21] dual.example.net[::2]"),
    ("no balance: the list is whole", "limit2 unbalanced", "[dual.example.net]",
     "dual.example.net A 127.0.0.21; dual.example.net A 127.0.0.22; dual.example.net AAAA ::2",
     "dual.example.net[127.0.0.21] dual.example.net[127.0.0.22] dual.example.net[::2]"),
    ("IPv4 only", "ipv4", "[six.example.com]", "six.example.com AAAA ::2",
     "5.4.4 {HNF}six.example.com type=A: Host found but no data record of requested type"),
    ("IPv6 only", "ipv6", "example.com", "example.com A 127.0.0.11; example.com AAAA ::2", "example.com[::2]"),
    ("no family", "nonet", "example.com", "", "4.4.4 all network protocols are disabled"),
    // MX lookups that fail.
    ("domain does not exist", "", "example.com", "", "5.4.4 {HNF}example.com type=AAAA: Host not found"),
    ("neither MX nor address", "", "example.com", "example.com NS",
     "5.4.4 {HNF}example.com type=AAAA: Host found but no data record of requested type"),
    ("target of an alias does not exist", "", "example.com", "example.com CNAME gone.example.com",
     "5.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("null MX", "", "example.com", "example.com MX 0 .; example.com A 127.0.0.11",
     "5.1.0 Domain example.com does not accept mail (nullMX)"),
    ("null MX among others", "ignore_mx_error", "example.net",
     "example.net MX 10 a.example.net; example.net MX 0 .; a.example.net A 127.0.0.21",
     "5.1.0 Domain example.net does not accept mail (nullMX)"),
    ("MX lookup fails for now", "", "example.com", "example.com FAIL-MX SERVFAIL; example.com A 127.0.0.11",
     "4.4.3 {HNF}example.com type=MX: Host not found, try again"),
    ("MX lookup fails for now, ignored", "ignore_mx_error", "example.com",
     "example.com FAIL-MX SERVFAIL; example.com A 127.0.0.11", "example.com[127.0.0.11]"),
    ("all lookups fail for now, ignored", "ignore_mx_error", "example.com", "example.com FAIL SERVFAIL",
     "4.4.3 {HNF}example.com type=AAAA: Host not found, try again"),
    ("MX lookup fails for good", "", "example.com", "example.com FAIL-MX FORMERR",
     "5.4.3 {HNF}example.com type=MX: Non-recoverable error"),
    ("MX lookup fails for good, ignored", "ignore_mx_error", "example.com",
     "example.com FAIL-MX FORMERR; example.com A 127.0.0.11", "example.com[127.0.0.11]"),
    ("MX records are all invalid", "", "example.com", "example.com FAIL-MX MALFORMED",
     "5.4.4 Name service error for name=example.com type=MX: Malformed or unexpected name server reply"),
    ("MX records are all invalid, ignored", "ignore_mx_error", "example.com",
     "example.com FAIL-MX MALFORMED; example.com A 127.0.0.11", "example.com[127.0.0.11]"),
    ("MX reply is garbled", "", "example.com", "example.com FAIL-MX GARBLED",
     "4.4.3 Name service error for name=example.com type=MX: Malformed or unexpected name server reply"),
    ("MX reply without MX", "", "example.com", "example.com FAIL-MX UNEXPECTED; example.com A 127.0.0.11",
     "example.com[127.0.0.11]"),
    ("aliases in a circle", "", "example.com", "example.com FAIL LOOP", "5.4.4 Name server loop for example.com"),
    // Host lookups that fail.
    ("host does not exist", "", "[gone.example.com]", "",
     "5.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("host lookup fails for now", "", "example.com", "example.com MX 10 a.example.com; a.example.com FAIL SERVFAIL",
     "4.4.3 {HNF}a.example.com type=AAAA: Host not found, try again"),
    ("the better of two failures counts, with its text", "", "[a.example.com]", "a.example.com FAIL-A SERVFAIL",
     "4.4.3 {HNF}a.example.com type=A: Host not found, try again"),
    ("host lookup fails for good", "", "[a.example.com]", "a.example.com FAIL-A FORMERR",
     "5.4.3 {HNF}a.example.com type=A: Non-recoverable error"),
    ("address records are invalid", "", "[a.example.com]", "a.example.com FAIL-AAAA MALFORMED",
     "5.4.4 Name service error for name=a.example.com type=AAAA: Malformed or unexpected name server reply"),
    ("no MX host has an address", "", "example.com", "example.com MX 10 gone.example.com",
     "5.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("no MX host has an address, deferred", "defer", "example.com", "example.com MX 10 gone.example.com",
     "4.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("a failure for now makes later ones soft", "", "example.com",
     "example.com MX 10 a.example.com; example.com MX 20 gone.example.com; a.example.com FAIL SERVFAIL",
     "4.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("a hard failure before does not", "", "example.com",
     "example.com MX 10 gone.example.com; example.com MX 20 b.example.com; b.example.com FAIL FORMERR",
     "5.4.3 {HNF}b.example.com type=AAAA: Non-recoverable error"),
    ("hosts are judged best first, whatever the order of the reply", "", "example.com",
     "example.com MX 20 gone.example.com; example.com MX 10 b.example.com; b.example.com FAIL FORMERR",
     "5.4.4 {HNF}gone.example.com type=AAAA: Host not found"),
    ("this system is found behind better hosts, whatever the order of the reply", "", "example.com",
     "example.com MX 20 me.example.com; example.com MX 10 a.example.com; me.example.com A 127.0.0.1; a.example.com A 127.0.0.11",
     "a.example.com[127.0.0.11]"),
    // The operating system's host table.
    ("DNS only does not look there", "ipv4", "[localhost]", "localhost FAIL-A UNEXPECTED; localhost HOSTS 127.0.0.2",
     "5.4.4 Name service error for name=localhost type=A: Malformed or unexpected name server reply"),
    ("native", "ipv4 native", "[localhost]", "localhost HOSTS 127.0.0.2", "localhost[127.0.0.2]"),
    ("without DNS", "ipv4 nodns", "localhost", "localhost MX 1 mx1.example.com; localhost HOSTS 127.0.0.2",
     "localhost[127.0.0.2]"),
    ("DNS first, then native", "dns+native", "[table]", "table HOSTS 127.0.0.2; table HOSTS ::2",
     "table[127.0.0.2] table[::2]"),
    ("DNS has it", "dns+native", "[table]", "table HOSTS 127.0.0.2; table A 127.0.0.3", "table[127.0.0.3]"),
    ("DNS fails for now", "dns+native", "[table]", "table HOSTS 127.0.0.2; table FAIL-A SERVFAIL",
     "4.4.3 {HNF}table type=A: Host not found, try again"),
    ("native: no such host", "native", "[gone]", "", "5.4.4 unable to look up host gone: the reason"),
    ("native: try again", "native", "[a]", "a FAIL EAI_AGAIN", "4.4.4 unable to look up host a: the reason"),
    ("native: system error", "native", "[a]", "a FAIL EAI_SYSTEM", "4.3.0 unable to look up host a: the reason"),
    ("native: other error", "native", "[a]", "a FAIL EAI_OTHER", "5.3.0 unable to look up host a: the reason"),
    ("native: no address", "native", "[a]", "a NS", "5.4.4 a: host not found"),
    ("neither DNS nor native", "nothing", "[a]", "", "4.3.0 server unavailable or unable to receive mail"),
    // This system in the list.
    ("loops back", "", "example.com",
     "example.com MX 10 client.example.org; example.com MX 20 b.example.com; b.example.com A 127.0.0.12; client.example.org A 127.0.0.1",
     "5.4.6 mail for example.com loops back to myself"),
    ("loops back through a proxy", "", "example.com", "example.com MX 10 a.example.com; a.example.com A 192.0.2.99",
     "5.4.6 mail for example.com loops back to myself"),
    ("secondary: only better hosts", "", "example.com",
     "example.com MX 10 a.example.com; example.com MX 20 client.example.org; example.com MX 20 b.example.com; example.com MX 30 c.example.com;
      a.example.com A 127.0.0.11; b.example.com A 127.0.0.12; c.example.com A 127.0.0.13; client.example.org A 127.0.0.1",
     "a.example.com[127.0.0.11]"),
    ("the better host has no address", "", "example.com",
     "example.com MX 10 gone.example.com; example.com MX 20 client.example.org; client.example.org A 127.0.0.1",
     "4.4.4 unable to find primary relay for example.com"),
    ("no loop on another port", "", "example.net:10025", "example.net MX 1 a.example.net; a.example.net A 127.0.0.1",
     "a.example.net[127.0.0.1]"),
    ("no loop in LMTP", "lmtp", "[127.0.0.1]", "", "127.0.0.1[127.0.0.1]"),
    ("host loops back", "", "[client.example.org]", "client.example.org A 127.0.0.11; client.example.org A 127.0.0.1",
     "5.4.6 mail for client.example.org loops back to myself"),
    // The reply filter.
    ("filter drops a host", "127.0.0.11", "example.com",
     "example.com MX 10 a.example.com; example.com MX 20 b.example.com; a.example.com A 127.0.0.11; b.example.com A 127.0.0.12",
     "b.example.com[127.0.0.12]"),
    ("filter drops all MX", "MX", "example.com", "example.com MX 10 a.example.com; a.example.com A 127.0.0.11",
     "4.7.0 Error looking up name=example.com type=MX: DNS reply filter drops all results"),
    ("filter drops all addresses", "127.0.0.11", "[a.example.com]", "a.example.com A 127.0.0.11",
     "4.7.0 Error looking up name=a.example.com type=A: DNS reply filter drops all results"),
    ("filter fails", "broken", "example.com", "example.com MX 10 a.example.com; a.example.com A 127.0.0.11",
     "4.4.3 Error looking up name=example.com type=MX: Invalid DNS reply filter syntax"),
    ("filter with an unknown action", "unknown", "[a.example.com]", "a.example.com A 127.0.0.11",
     "4.4.3 Error looking up name=a.example.com type=A: Invalid DNS reply filter syntax"),
];

#[test]
fn every_destination_comes_to_what_postfix_makes_of_it() {
    for (name, setting, nexthop, zone, expected) in CASES {
        let resolved = result_of(&with(setting), nexthop, zone);
        assert_eq!(shown(&resolved), expected.replace("{HNF}", HNF), "{name}");
    }
}

#[test]
fn being_a_mail_exchanger_is_told_with_and_without_candidates() {
    let secondary = "example.com MX 10 a.example.com; example.com MX 20 me.example.com; \
                     a.example.com A 127.0.0.11; me.example.com A 127.0.0.1";
    let primary = "example.com MX 10 me.example.com; me.example.com A 127.0.0.1";
    let other = "example.com MX 10 a.example.com; a.example.com A 127.0.0.11";
    for (zone, expected) in [(secondary, true), (primary, true), (other, false)] {
        assert_eq!(
            result_of(&policy(), "example.com", zone).i_am_mx,
            expected,
            "{zone}"
        );
    }
    let failure = result_of(&policy(), "example.com", primary)
        .result
        .unwrap_err();
    assert!(failure.is_loop());
    assert!(!result_of(&policy(), "[me.example.com]", primary).i_am_mx);
}

#[test]
fn warnings_are_those_of_postfix() {
    let cases = [
        (
            "",
            "example.com MX 10 gone.example.com",
            "no MX host for example.com has a valid address record",
        ),
        (
            "",
            "example.com MX 5 127.0.0.11",
            "numeric domain name in resource data of MX record for example.com: 127.0.0.11",
        ),
        (
            "127.0.0.11",
            "example.com MX 5 a.example.com; a.example.com A 127.0.0.11; a.example.com A 127.0.0.12",
            "ignoring DNS RR: a.example.com. 60 IN A 127.0.0.11",
        ),
        (
            "unknown",
            "example.com MX 5 a.example.com",
            "smtp_dns_reply_filter: unknown DNS filter action: \"REJECT now\"",
        ),
        ("", "example.com FAIL-MX MALFORMED", "a warning"),
        (
            "",
            "example.com FAIL-MX LOOP",
            "dns_lookup: Name server loop for example.com",
        ),
    ];
    for (setting, zone, expected) in cases {
        let notes = result_of(&with(setting), "example.com", zone).notes;
        assert_eq!(notes.first().map(RouteNote::text), Some(expected), "{zone}");
    }
}

#[test]
fn a_list_holds_at_most_a_hundred_records() {
    let many_addresses: String = (1..=60)
        .map(|n| format!("a.example.com A 192.0.2.{n}; a.example.com AAAA 2001:db8::{n};"))
        .collect();
    let many_hosts: String = (1..=120)
        .map(|n| format!("example.com MX {n} h{n}.example.com; h{n}.example.com A 198.51.100.{n};"))
        .collect();
    let policy = RoutePolicy {
        balance: false,
        ..policy()
    };
    let after = "DNS record count limit (100) exceeded -- dropping excess record(s) after";
    for (nexthop, zone, question) in [
        (
            "[a.example.com]",
            &many_addresses,
            "qname=a.example.com qtype=AAAA",
        ),
        ("example.com", &many_hosts, "qname=example.com qtype=MX"),
    ] {
        let resolved = result_of(&policy, nexthop, zone);
        assert_eq!(resolved.result.unwrap().len(), 100, "{nexthop}");
        assert_eq!(resolved.notes[0].text(), format!("{after} {question}"));
    }
}

#[test]
fn hosts_of_equal_preference_are_shuffled_and_come_before_worse_ones() {
    let zone = zone(
        "example.com MX 10 a.example.com; example.com MX 10 b.example.com; example.com MX 10 c.example.com; \
         example.com MX 20 d.example.com; a.example.com A 127.0.0.11; b.example.com A 127.0.0.12; \
         c.example.com A 127.0.0.13; d.example.com A 127.0.0.14",
    );
    let policy = RoutePolicy {
        randomize: true,
        ..policy()
    };
    let mut orders = BTreeSet::new();
    for seed in 0..100 {
        let (resolved, _) = resolve(&policy, seed, "example.com", &zone, false);
        let again = resolve(&policy, seed, "example.com", &zone, true).0;
        assert_eq!(resolved, again, "a seed gives one order");
        let hosts: Vec<Arc<str>> = resolved
            .result
            .unwrap()
            .into_iter()
            .map(|c| c.host)
            .collect();
        assert_eq!(&*hosts[3], "d.example.com");
        orders.insert(hosts);
    }
    assert_eq!(orders.len(), 6, "every order of the three occurs");
}

#[test]
fn ports_preferences_and_names_go_into_the_candidates() {
    let zone = "example.com MX 7 alias.example.com; alias.example.com CNAME mx.example.com; \
                mx.example.com A 127.0.0.11";
    let resolved = result_of(&policy(), "example.com:submission", zone);
    let candidate = &resolved.result.unwrap()[0];
    assert_eq!((candidate.port, candidate.preference), (587, 7));
    assert_eq!(&*candidate.host, "alias.example.com");
    assert_eq!(&*candidate.canonical, "mx.example.com");
}

#[test]
fn validation_is_asked_for_where_it_can_matter() {
    let signed = "example.com MX 1 mx.example.com; example.com AD; mx.example.com A 127.0.0.11; mx.example.com AD";
    let unsigned =
        "example.com MX 1 mx.example.com; mx.example.com A 127.0.0.11; mx.example.com AD";
    // Setting, insecure MX policy above `may`, zone, MX asked with validation,
    // hosts asked with validation, candidate: MX and host validated.
    let cases = [
        ("", false, signed, false, false, false, false),
        ("dnssec", false, signed, true, true, true, true),
        ("dnssec", false, unsigned, true, false, false, false),
        ("dnssec", true, unsigned, true, true, false, true),
        ("", true, unsigned, false, true, false, true),
    ];
    for (setting, insecure, text, ask_mx, ask_host, mx, host) in cases {
        let mut policy = with(setting);
        policy.validate_insecure_mx = insecure;
        let (resolved, asked) = resolve(&policy, 1, "example.com", &zone(text), false);
        let validates = |kind| asked.iter().find(|q| q.kind == kind).unwrap().validate;
        assert_eq!(validates(QueryKind::Mx), ask_mx, "{setting} {insecure}");
        assert_eq!(validates(QueryKind::A), ask_host, "{setting} {insecure}");
        let candidate = &resolved.result.unwrap()[0];
        assert_eq!(
            (candidate.mx_validated, candidate.host_validated),
            (mx, host)
        );
    }
    let (resolved, asked) = resolve(&with("dnssec"), 1, "[mx.example.com]", &zone(signed), false);
    assert!(asked.iter().all(|query| query.validate));
    assert!(resolved.result.unwrap()[0].host_validated);
}

#[test]
fn search_options_hold_for_hosts_only() {
    let mut policy = policy();
    policy.search.defnames = true;
    let zone = zone("example MX 1 mx; mx A 127.0.0.11");
    let (_, asked) = resolve(&policy, 1, "example", &zone, false);
    for query in asked {
        assert_eq!(
            query.search.defnames,
            query.kind != QueryKind::Mx,
            "{query:?}"
        );
    }
}

#[test]
fn all_hosts_are_asked_for_at_once() {
    let zone = zone("example.com MX 1 a.example.com; example.com MX 2 b.example.com");
    let destination = InetDestination {
        text: "example.com".into(),
        domain: "example.com".into(),
        bracketed: false,
        port: 25,
    };
    let mut resolution = Resolution::new(&destination, Arc::new(policy()), 1);
    let first = resolution.questions();
    assert_eq!(first.len(), 1);
    resolution.answer(first[0].0, evaluate(&zone, &first[0].1));
    let asked: Vec<(String, QueryKind)> = resolution
        .questions()
        .into_iter()
        .map(|(_, query)| (query.name, query.kind))
        .collect();
    let question = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        asked,
        [
            question("a.example.com", QueryKind::A),
            question("a.example.com", QueryKind::Aaaa),
            question("b.example.com", QueryKind::A),
            question("b.example.com", QueryKind::Aaaa),
        ]
    );
    assert!(
        resolution.questions().is_empty(),
        "a question is asked once"
    );
}
