//! TLSA records: which of them count, and which certificate or key each means
//! (RFC 6698, RFC 7671, RFC 7672; `src/tls/tls_dane.c`).

use super::fingerprint::Digest;
use crate::dns::{Record, RecordData};

/// The whole certificate, or its public key, as a record selects it.
const CERTIFICATE: u8 = 0;
const PUBLIC_KEY: u8 = 1;
/// The usages that mail knows: DANE-TA and DANE-EE.
pub(crate) const TRUST_ANCHOR: u8 = 2;
pub(crate) const END_ENTITY: u8 = 3;
/// The matching type without a digest, and one that Postfix keeps for itself.
const FULL: u8 = 0;
const RESERVED: u8 = 255;

/// A TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tlsa {
    /// 2: an issuer above the server's certificate; 3: the server's certificate.
    pub usage: u8,
    /// 0: the certificate; 1: its public key.
    pub selector: u8,
    /// 0: as it is; else a digest of it.
    pub matching: u8,
    /// What it is compared with.
    pub data: Vec<u8>,
}

impl Tlsa {
    fn read(record: &Record) -> Option<Self> {
        let RecordData::Tlsa {
            usage,
            selector,
            matching,
            data,
        } = &record.data
        else {
            return None;
        };
        Some(Self {
            usage: *usage,
            selector: *selector,
            matching: *matching,
            data: data.clone(),
        })
    }
}

impl core::fmt::Display for Tlsa {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        let hex = |f: &mut core::fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
        };
        match (self.data.first_chunk::<32>(), self.data.last_chunk::<32>()) {
            (Some(head), Some(tail)) if self.data.len() > 64 => {
                hex(f, head)?;
                f.write_str("...")?;
                hex(f, tail)
            }
            _ => hex(f, &self.data),
        }
    }
}

/// Which digests TLSA records may use, strongest first (`tls_dane_digests`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaneDigests(Vec<(u8, Digest)>);

impl Default for DaneDigests {
    fn default() -> Self {
        Self(vec![(2, Digest::Sha512), (1, Digest::Sha256)])
    }
}

impl DaneDigests {
    /// Reads a list of names, strongest first, with a number for all but `sha256`
    /// and `sha512`. What is wrong with a word goes into the list of warnings, and
    /// the word is passed over.
    pub fn parse(words: &[String]) -> (Self, Vec<String>) {
        let (mut list, mut warnings) = (Vec::new(), Vec::new());
        let mut off = Vec::new();
        for word in words {
            match Self::word(word) {
                Ok((number, _)) if list.iter().any(|(known, _)| *known == number) => {
                    warnings.push(format!("matching type {number} specified more than once"));
                }
                Ok((number, Some(digest))) => list.push((number, digest)),
                Ok((number, None)) => off.push(number),
                Err(Some(warning)) => warnings.push(warning),
                Err(None) => {}
            }
        }
        list.retain(|(number, _)| !off.contains(number));
        (Self(list), warnings)
    }

    /// The fault of a word of the list, if it cannot be read.
    pub fn refusal(word: &str) -> Option<String> {
        let why = Self::word(word).err()?;
        Some(why.unwrap_or_else(|| format!("no digest algorithm in \"{word}\"")))
    }

    /// One word: `name` or `name=number`; an empty name switches a number off.
    fn word(word: &str) -> Result<(u8, Option<Digest>), Option<String>> {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let number = match number {
            "" => None,
            text => match text.parse::<u8>() {
                Ok(number) if number != FULL && number != RESERVED => Some(number),
                Ok(_) => {
                    return Err(Some(format!(
                        "Reserved matching type number in tls_dane_digests: {name}={text}"
                    )));
                }
                Err(_) => {
                    return Err(Some(format!(
                        "Invalid matching type number in tls_dane_digests: {name}={text}"
                    )));
                }
            },
        };
        if name.is_empty() {
            return number.map(|number| (number, None)).ok_or(None);
        }
        let digest = Digest::parse(name);
        let number = match (number, digest) {
            (Some(number), _) => number,
            (None, Some(Digest::Sha256)) => 1,
            (None, Some(Digest::Sha512)) => 2,
            (None, _) => {
                return Err(Some(format!(
                    "tls_dane_digests: digest algorithm {name} needs an explicit number"
                )));
            }
        };
        match (number, digest) {
            (1, found) if found != Some(Digest::Sha256) => Err(Some(
                "tls_dane_digests: matching type 1 can only be sha256".into(),
            )),
            (2, found) if found != Some(Digest::Sha512) => Err(Some(
                "tls_dane_digests: matching type 2 can only be sha512".into(),
            )),
            (_, None) => Err(Some(format!(
                "tls_dane_digests: digest algorithm \"{name}\"({number}) unknown"
            ))),
            (number, digest) => Ok((number, digest)),
        }
    }

    /// Whether no digest counts at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn digest(&self, matching: u8) -> Option<Digest> {
        self.0
            .iter()
            .find(|(number, _)| *number == matching)
            .map(|(_, digest)| *digest)
    }

    /// How strong a matching type is; greater is stronger.
    fn strength(&self, matching: u8) -> usize {
        let place = self.0.iter().position(|(number, _)| *number == matching);
        place.map_or(0, |place| self.0.len() - place)
    }
}

/// The records of an answer, whatever they are worth.
pub(crate) fn all(records: &[Record]) -> Vec<Tlsa> {
    records.iter().filter_map(Tlsa::read).collect()
}

/// The records of an answer that are for mail, and warnings about the others.
pub(crate) fn for_mail(records: &[Record], warnings: &mut Vec<String>) -> Vec<Tlsa> {
    let mut kept = Vec::new();
    for record in records {
        let Some(tlsa) = Tlsa::read(record) else {
            continue;
        };
        let owner = &record.owner;
        if tlsa.data.is_empty() {
            warnings.push(format!("{owner}: truncated TLSA RR length == 3"));
        } else if !matches!(tlsa.usage, TRUST_ANCHOR | END_ENTITY) {
            warnings.push(format!(
                "{owner} unsupported TLSA certificate usage: {tlsa}"
            ));
        } else if tlsa.matching == RESERVED {
            warnings.push(format!(
                "{owner} reserved private-use matching type: {tlsa}"
            ));
        } else {
            kept.push(tlsa);
        }
    }
    kept
}

/// The records that can be compared with a certificate, and warnings about the
/// others.
pub(crate) fn usable(
    records: &[Tlsa],
    digests: &DaneDigests,
    peer: &str,
    warnings: &mut Vec<String>,
) -> Vec<Tlsa> {
    let fits = |record: &Tlsa| {
        let selects = matches!(record.selector, CERTIFICATE | PUBLIC_KEY);
        let length = digests.digest(record.matching).map(Digest::size);
        selects
            && if record.matching == FULL {
                is_der(&record.data)
            } else {
                length == Some(record.data.len())
            }
    };
    let (good, bad): (Vec<_>, Vec<_>) = records.iter().partition(|record| fits(record));
    warnings.extend(
        bad.iter()
            .map(|record| format!("{peer}: unusable TLSA RR: {record}")),
    );
    agile(good, digests)
}

/// Digest agility (RFC 7671 section 9): of the records with the same usage and
/// selector only those with the strongest digest count, besides those without one.
fn agile(records: Vec<&Tlsa>, digests: &DaneDigests) -> Vec<Tlsa> {
    let strongest = |record: &Tlsa| {
        let alike = records
            .iter()
            .filter(|r| (r.usage, r.selector) == (record.usage, record.selector));
        alike
            .map(|r| digests.strength(r.matching))
            .max()
            .unwrap_or(0)
    };
    records
        .iter()
        .filter(|r| r.matching == FULL || digests.strength(r.matching) == strongest(r))
        .map(|record| (*record).clone())
        .collect()
}

/// Whether bytes are one ASN.1 sequence, as certificates and public keys are.
fn is_der(bytes: &[u8]) -> bool {
    let body = |length: usize, head: usize| length.checked_add(head) == Some(bytes.len());
    match bytes {
        [0x30, short, ..] if *short < 0x80 => body(usize::from(*short), 2),
        [0x30, 0x81, length, ..] => body(usize::from(*length), 3),
        [0x30, 0x82, high, low, ..] => body(usize::from(u16::from_be_bytes([*high, *low])), 4),
        [0x30, 0x83, a, b, c, ..] => body(u32::from_be_bytes([0, *a, *b, *c]) as usize, 5),
        _ => false,
    }
}

#[cfg(feature = "tls")]
impl Tlsa {
    /// Whether the record means this certificate, which has this public key (both
    /// in DER).
    pub(crate) fn fits(&self, certificate: &[u8], key: &[u8], digests: &DaneDigests) -> bool {
        let selected = if self.selector == PUBLIC_KEY {
            key
        } else {
            certificate
        };
        match digests.digest(self.matching) {
            _ if self.matching == FULL => selected == self.data,
            Some(digest) => digest.of(selected) == self.data,
            None => false,
        }
    }

    /// The issuer's certificate that the record itself holds.
    pub(crate) fn anchor_certificate(&self) -> Option<&[u8]> {
        let whole = (self.usage, self.selector, self.matching) == (TRUST_ANCHOR, CERTIFICATE, FULL);
        whole.then_some(self.data.as_slice())
    }

    /// The issuer's public key that the record itself holds.
    pub(crate) fn anchor_key(&self) -> Option<&[u8]> {
        let whole = (self.usage, self.selector, self.matching) == (TRUST_ANCHOR, PUBLIC_KEY, FULL);
        whole.then_some(self.data.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlsa(usage: u8, selector: u8, matching: u8, length: usize) -> Tlsa {
        Tlsa {
            usage,
            selector,
            matching,
            data: vec![7; length],
        }
    }

    #[test]
    fn only_records_that_can_be_compared_are_usable() {
        let digests = DaneDigests::default();
        let table = [
            (tlsa(3, 1, 1, 32), true),
            (tlsa(3, 0, 2, 64), true),
            (tlsa(2, 1, 1, 32), true),
            (tlsa(3, 1, 1, 31), false),
            (tlsa(3, 1, 1, 64), false),
            (tlsa(3, 2, 1, 32), false),
            (tlsa(3, 1, 3, 32), false),
            (tlsa(3, 1, 0, 32), false),
            (
                Tlsa {
                    data: vec![0x30, 2, 5, 0],
                    ..tlsa(3, 1, 0, 0)
                },
                true,
            ),
            (
                Tlsa {
                    data: vec![0x30, 3, 5, 0],
                    ..tlsa(3, 1, 0, 0)
                },
                false,
            ),
        ];
        for (record, expected) in table {
            let mut warnings = Vec::new();
            let kept = usable(std::slice::from_ref(&record), &digests, "mx", &mut warnings);
            assert_eq!(!kept.is_empty(), expected, "{record}");
            assert_eq!(warnings.is_empty(), expected, "{record}");
        }
    }

    #[test]
    fn only_the_strongest_digest_of_a_kind_counts() {
        let digests = DaneDigests::default();
        let full = Tlsa {
            data: vec![0x30, 0],
            ..tlsa(3, 1, 0, 0)
        };
        let records = [
            tlsa(3, 1, 1, 32),
            tlsa(3, 1, 2, 64),
            tlsa(3, 0, 1, 32),
            full.clone(),
            tlsa(2, 1, 1, 32),
        ];
        let kept = usable(&records, &digests, "mx", &mut Vec::new());
        assert_eq!(
            kept,
            [
                tlsa(3, 1, 2, 64),
                tlsa(3, 0, 1, 32),
                full,
                tlsa(2, 1, 1, 32)
            ]
        );
    }

    #[test]
    fn digests_are_read_in_the_order_of_their_strength() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (digests, warnings) = DaneDigests::parse(&words("sha512 sha256"));
        assert_eq!((digests, warnings), (DaneDigests::default(), vec![]));
        let (digests, _) = DaneDigests::parse(&words("sha256 sha512"));
        assert!(digests.strength(1) > digests.strength(2));
        let (digests, warnings) = DaneDigests::parse(&words("sha384=3 sha1 md5=1 x=9 sha256=0"));
        assert_eq!(digests.digest(3), Some(Digest::Sha384));
        assert_eq!(digests.digest(1), None);
        assert_eq!(warnings.len(), 4);
    }
}
