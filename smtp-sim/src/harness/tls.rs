//! TLS policy: entries of the policy table, and TLSA records.

use std::{cell::RefCell, net::Ipv4Addr, sync::Arc, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    delivery::{Delivery, TableQuery},
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData, ResolverConfig},
    policy::Policy,
    request::{Recipient, Request},
    tls::{Demand, TlsConnector, TlsEngine, TlsLevel, TlsSetup, TlsTrouble, Tlsa},
};
use smtp_proto::{Address, ReversePath};

use super::{
    read,
    toy::{Seen, Surroundings, drive},
};

const MAIN_CF: &str = "myhostname = client.example\n\
    smtp_randomize_addresses = no\n\
    smtp_host_lookup = dns\n\
    smtp_dns_support_level = dnssec\n\
    smtp_tls_security_level = dane\n\
    smtp_tls_policy_maps = external:policies\n";

/// The levels at which no mail goes out without TLS, whatever is found.
const MANDATORY: [&str; 5] = ["encrypt", "fingerprint", "dane-only", "verify", "secure"];
/// The others that a table can name.
const OPTIONAL: [&str; 3] = ["none", "may", "dane"];

/// An engine that writes down what a handshake was to be made with, and fails.
#[derive(Debug)]
struct Recorder;

thread_local! {
    static SETUPS: RefCell<Vec<TlsSetup>> = const { RefCell::new(Vec::new()) };
    static POLICY: Option<Arc<Policy>> = policy();
}

impl TlsConnector for Recorder {
    fn engine(&self, setup: &TlsSetup) -> Result<Box<dyn TlsEngine>, TlsTrouble> {
        SETUPS.with_borrow_mut(|setups| setups.push(setup.clone()));
        Err(TlsTrouble("no handshake here".into()))
    }
}

fn policy() -> Option<Arc<Policy>> {
    let main_cf = MainCf::parse(MAIN_CF, "main.cf", "/nowhere".as_ref()).ok()?;
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).ok()?;
    Some(Arc::new(policy.with_tls(Arc::new(Recorder))))
}

/// What an input says.
struct Case {
    /// The server offers STARTTLS.
    offers: bool,
    /// The answers about the mail exchanger, its address and its TLSA records are
    /// signed.
    signed: [bool; 3],
    /// The message has waited long enough for plaintext to be tried.
    waited: bool,
    /// What the table says; nothing if it is empty.
    entry: String,
    records: Vec<Tlsa>,
}

/// An entry of the policy table (up to the first line end, behind a byte of flags)
/// and TLSA records, for a server whose handshake always fails.
///
/// An entry whose level nobody knows lets no connection be opened. No mail goes out
/// where TLS is demanded: by the level, or by signed TLSA records. Every record that
/// takes part in a handshake can be compared with a certificate, and with one that
/// can, the handshake is for DANE.
///
/// # Panics
/// One of these does not hold.
pub fn tls(input: &[u8]) {
    let Some(case) = read::<Case>(input) else {
        return;
    };
    let policy = POLICY.with(Clone::clone);
    assert!(policy.is_some(), "the configuration of the target is bad");
    if let (Some(policy), Some(request)) = (policy, case.request()) {
        SETUPS.take();
        let seen = case.deliver(Delivery::new(request, policy, 7));
        case.check(&seen, &SETUPS.take());
    }
}

impl Arbitrary<'_> for Case {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let flags: u8 = bytes.arbitrary()?;
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let rest = bytes.peek_bytes(bytes.len()).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let entry = bytes.bytes(end.unwrap_or(rest.len()))?;
        let _: u8 = bytes.arbitrary()?;
        let mut records = Vec::new();
        while bytes.len() >= 4 {
            records.push(record(bytes)?);
        }
        Ok(Self {
            offers: flag(0),
            signed: [flag(1), flag(2), flag(3)],
            waited: flag(4),
            entry: String::from_utf8_lossy(entry).trim().to_owned(),
            records,
        })
    }
}

/// A TLSA record: a byte for each of its fields, then one for the length of its data,
/// so that certificates and digests can be put there as they are.
fn record(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Tlsa> {
    let [usage, selector, matching, length] = bytes.arbitrary()?;
    let data = bytes.bytes(usize::from(length).min(bytes.len()))?;
    Ok(Tlsa {
        usage,
        selector,
        matching,
        data: data.to_vec(),
    })
}

impl Case {
    fn request(&self) -> Option<Request> {
        let sender = ReversePath::parse("from@example.org").ok()?;
        let recipient = Recipient::new(Address::parse("to@example.com").ok()?);
        let mut request = Request::new(
            Protocol::Smtp,
            "example.com".parse().ok()?,
            sender,
            vec![recipient],
        );
        request.age = Duration::from_secs(if self.waited { 100_000 } else { 0 });
        Some(request)
    }

    fn deliver(&self, mut job: Delivery) -> Seen {
        let mut look_up = |query: &TableQuery| {
            (query.key == "example.com" && !self.entry.is_empty()).then(|| self.entry.clone())
        };
        let mut reply = |line: &[u8]| {
            let reply: &[u8] = match line.split(|byte| b" \r".contains(byte)).next()? {
                b"" => b"220 mx ESMTP\r\n",
                b"EHLO" if self.offers => b"250-mx\r\n250 STARTTLS\r\n",
                b"STARTTLS" => b"220 go\r\n",
                b"DATA" => b"354 go\r\n",
                b"QUIT" => return None,
                b"Subject:" => b"",
                _ => b"250 ok\r\n",
            };
            Some(reply.to_vec())
        };
        let mut around = Surroundings {
            resolve: &mut |query| self.answer(query),
            look_up: &mut look_up,
            reply: &mut reply,
            text: Bytes::from_static(b"Subject: x\n"),
        };
        drive(&mut job, &mut around)
    }

    fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        let [exchanger, host, records] = self.signed;
        let (data, validated) = match query.kind {
            QueryKind::Mx => {
                let host = "mx.example.com".to_owned();
                let preference = 10;
                (vec![RecordData::Mx { preference, host }], exchanger)
            }
            QueryKind::A => {
                let address = Ipv4Addr::new(192, 0, 2, 1);
                (vec![RecordData::A(address)], host)
            }
            QueryKind::Tlsa => (self.records.iter().map(record_data).collect(), records),
            _ => (Vec::new(), false),
        };
        if data.is_empty() {
            return Err(Failure::NoData);
        }
        let record = |data| Record {
            owner: query.name.clone(),
            ttl: 60,
            data,
            validated,
        };
        Ok(Answer {
            records: data.into_iter().map(record).collect(),
            canonical: query.name.clone(),
            validated,
        })
    }

    /// The level that the entry names, in lower case.
    fn level(&self) -> Option<String> {
        let is_separator = |c: char| c == ',' || c.is_ascii_whitespace();
        let mut words = self
            .entry
            .split(is_separator)
            .filter(|word| !word.is_empty());
        words.next().map(str::to_ascii_lowercase)
    }

    fn check(&self, seen: &Seen, setups: &[TlsSetup]) {
        let level = self.level().unwrap_or_else(|| "dane".into());
        let level = level.as_str();
        let known = MANDATORY.contains(&level) || OPTIONAL.contains(&level);
        assert!(
            known || seen.written.is_empty(),
            "connects under a policy that makes no sense"
        );
        let dane = matches!(level, "dane" | "dane-only");
        let certain = self.signed == [true; 3] && !self.records.is_empty();
        let said_mail = seen.written.iter().any(|bytes| {
            let mut lines = bytes.split(|byte| *byte == b'\n');
            lines.any(|line| line.starts_with(b"MAIL FROM"))
        });
        if said_mail {
            assert!(!MANDATORY.contains(&level), "no TLS, and mail all the same");
            assert!(!(dane && certain), "TLSA records do not count");
        }
        for setup in setups {
            assert!(level != "none", "a handshake that nobody wants");
            if let Demand::Dane { records, .. } = &setup.demand {
                assert!(dane, "DANE out of nowhere");
                assert!(records.iter().all(is_usable), "an unusable TLSA record");
            } else if dane && certain {
                assert!(setup.level == TlsLevel::Encrypt, "DANE is forgotten");
                // Whether bytes are a certificate is not for this target to say.
                let usable = |record: &Tlsa| is_usable(record) && record.matching != 0;
                assert!(!self.records.iter().any(usable), "a record is forgotten");
            }
        }
    }
}

fn record_data(record: &Tlsa) -> RecordData {
    RecordData::Tlsa {
        usage: record.usage,
        selector: record.selector,
        matching: record.matching,
        data: record.data.clone(),
    }
}

/// Whether a record can be compared with a certificate (RFC 6698 section 2.1, RFC
/// 7672 section 3.1): the usages for mail, a certificate or a key, whole or as one
/// of the two digests.
fn is_usable(record: &Tlsa) -> bool {
    let fits = match record.matching {
        0 => record.data.first() == Some(&0x30) && record.data.len() >= 2,
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    fits && matches!(record.usage, 2 | 3) && record.selector < 2
}
