//! `cdb:` tables: constant databases, in the form that postmap(1) gives them.
//!
//! The file begins with 256 pairs of numbers, each the place and length of a hash table; the tables hold pairs of the hash of a
//! key and the place of its record. All numbers are 32 bits, the lowest byte first. It is in memory as it is in the file, and
//! every place in it was looked at when it was opened.
//!
//! Sources: <https://cr.yp.to/cdb/cdb.txt>, Postfix `src/util/dict_cdb.c`.

use std::slice::ChunksExact;

use super::octets::Octets;
use smtp_policy::tables::{KeyCase, Table, TableFailure};

/// The number of hash tables.
const TABLES: u32 = 256;

/// The length of a pair of numbers, in bytes.
const PAIR: usize = 8;

/// A database in memory.
pub(super) struct Cdb {
    spec: String,
    bytes: Vec<u8>,
    /// The way in which keys are looked up.
    asked: KeyCase,
    octets: Octets,
}

/// A number in the file that leads out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Corrupt;

impl Cdb {
    /// Takes the contents of a file.
    ///
    /// # Errors
    ///
    /// They are no such database.
    pub(super) fn read(
        spec: &str,
        bytes: Vec<u8>,
        asked: KeyCase,
        octets: Octets,
    ) -> Result<Self, String> {
        let cdb = Cdb {
            spec: spec.to_owned(),
            bytes,
            asked,
            octets,
        };
        match cdb.check() {
            Ok(()) => Ok(cdb),
            Err(Corrupt) => Err("the database is corrupt".to_owned()),
        }
    }

    /// Looks at each place that the file names. Neither tables nor records share bytes, so that no more is looked at, and no more
    /// is handed out, than the file is long.
    fn check(&self) -> Result<(), Corrupt> {
        let mut slots = 0_usize;
        for number in 0..TABLES {
            slots = slots.saturating_add(self.slots(number)?.len());
        }
        if slots > self.bytes.len() {
            return Err(Corrupt);
        }
        let mut length = 0_usize;
        for record in self.records() {
            let (key, value) = record?;
            length = length
                .saturating_add(key.len())
                .saturating_add(value.len())
                .saturating_add(PAIR);
        }
        match length > self.bytes.len() {
            true => Err(Corrupt),
            false => Ok(()),
        }
    }

    /// The keys and values, in no order.
    fn records(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Corrupt>> {
        let tables = (0..TABLES).filter_map(|number| self.slots(number).ok());
        tables
            .flat_map(pairs)
            .filter(|(_, place)| *place != 0)
            .map(|(_, place)| self.record(place))
    }

    /// The hash table of this number.
    fn slots(&self, number: u32) -> Result<&[u8], Corrupt> {
        let start = PAIR.saturating_mul(usize_of(number));
        let (place, slots) = self.pair(start)?;
        self.piece(usize_of(place), PAIR.saturating_mul(usize_of(slots)))
    }

    /// The key and the value at some place.
    fn record(&self, place: u32) -> Result<(&[u8], &[u8]), Corrupt> {
        let place = usize_of(place);
        let (key, value) = self.pair(place)?;
        let start = place.saturating_add(PAIR);
        let end = start.saturating_add(usize_of(key));
        Ok((
            self.piece(start, usize_of(key))?,
            self.piece(end, usize_of(value))?,
        ))
    }

    fn pair(&self, place: usize) -> Result<(u32, u32), Corrupt> {
        let piece = self.piece(place, PAIR)?;
        pairs(piece).next().ok_or(Corrupt)
    }

    fn piece(&self, start: usize, length: usize) -> Result<&[u8], Corrupt> {
        let end = start.saturating_add(length);
        self.bytes.get(start..end).ok_or(Corrupt)
    }

    /// The first value that was stored for a key.
    fn find(&self, key: &[u8]) -> Result<Option<&[u8]>, Corrupt> {
        let hash = hash(key);
        let slots = self.slots(hash % TABLES)?;
        let count = slots.len() / PAIR;
        let first = usize_of(hash / TABLES).checked_rem(count).unwrap_or(0);
        let (before, from) = slots.split_at_checked(first * PAIR).ok_or(Corrupt)?;
        for (known, place) in pairs(from).chain(pairs(before)) {
            if place == 0 {
                break;
            }
            if known == hash
                && let (found, value) = self.record(place)?
                && found == key
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The value for a key, which may have been stored with a null byte behind it, as the value is then.
    fn value(&self, key: &[u8]) -> Result<Option<&[u8]>, Corrupt> {
        let ended = [key, b"\0"].concat();
        let value = match self.find(&ended)? {
            Some(value) => Some(value),
            None => self.find(key)?,
        };
        Ok(value.map(until_null))
    }
}

impl Table for Cdb {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        let failed = |reason: &str| TableFailure {
            table: self.spec.clone(),
            reason: reason.to_owned(),
        };
        let key = self.asked.fold(key);
        let found = self.value(&self.octets.bytes(&key));
        let Some(value) = found.map_err(|Corrupt| failed("the database is corrupt"))? else {
            return Ok(None);
        };
        let text = self.octets.text(value.to_vec());
        text.map(Some)
            .ok_or_else(|| failed("the value is not UTF-8 text"))
    }

    fn values(&self) -> Vec<String> {
        let values = self.records().flatten();
        values
            .filter_map(|(_, value)| self.octets.text(until_null(value).to_vec()))
            .collect()
    }
}

/// It may hold secrets.
impl std::fmt::Debug for Cdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cdb")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// The pairs of numbers that some bytes are.
fn pairs(bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let chunks: ChunksExact<'_, u8> = bytes.chunks_exact(PAIR);
    chunks.filter_map(|chunk| {
        let (one, other) = chunk.split_first_chunk::<4>()?;
        let other = other.first_chunk::<4>()?;
        Some((u32::from_le_bytes(*one), u32::from_le_bytes(*other)))
    })
}

fn hash(key: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| hash.wrapping_mul(33) ^ u32::from(*byte);
    key.iter().fold(5381, step)
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A text of C, which ends before its first null byte.
fn until_null(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    /// A database of these entries, each hash table twice as long as it has entries.
    pub(crate) fn write(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 2048];
        let mut tables = vec![Vec::new(); 256];
        for (key, value) in entries {
            let hash = hash(key);
            tables[(hash % 256) as usize].push((hash, bytes.len() as u32));
            for length in [key.len(), value.len()] {
                bytes.extend((length as u32).to_le_bytes());
            }
            bytes.extend([*key, *value].concat());
        }
        for (number, table) in tables.iter().enumerate() {
            let head = [bytes.len() as u32, table.len() as u32 * 2];
            bytes[number * 8..number * 8 + 8].copy_from_slice(&head.map(u32::to_le_bytes).concat());
            let mut slots = vec![(0, 0); table.len() * 2];
            for entry in table {
                let mut slot = (entry.0 as usize / 256) % slots.len();
                while slots[slot].1 != 0 {
                    slot = (slot + 1) % slots.len();
                }
                slots[slot] = *entry;
            }
            for (hash, place) in slots {
                bytes.extend([hash, place].map(u32::to_le_bytes).concat());
            }
        }
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<Cdb, String> {
        Cdb::read("cdb:t", bytes, KeyCase::Unicode, Octets::Utf8)
    }

    /// Some keys fall into the same table.
    fn many(end: &str) -> Vec<u8> {
        let texts: Vec<(String, String)> = (0..2000)
            .map(|n| (format!("key{n}{end}"), format!("value {n}{end}")))
            .collect();
        let entries: Vec<(&[u8], &[u8])> = texts
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
            .collect();
        write(&entries)
    }

    #[test]
    fn entries_are_found_with_and_without_a_null_byte_behind_them() {
        for end in ["", "\0"] {
            let table = open(many(end)).unwrap();
            for number in 0..2000 {
                let answer = table.lookup(&format!("KEY{number}")).unwrap();
                assert_eq!(answer, Some(format!("value {number}")));
            }
            assert_eq!(table.lookup("key2000"), Ok(None));
            assert_eq!(table.values().len(), 2000);
        }
        let both = write(&[(b"a", b"plain"), (b"a\0", b"ended\0"), (b"a", b"second")]);
        assert_eq!(
            open(both).unwrap().lookup("a").unwrap().as_deref(),
            Some("ended")
        );
        let twice = write(&[(b"a", b"first"), (b"a", b"second")]);
        let table = open(twice).unwrap();
        assert_eq!(table.lookup("a").unwrap().as_deref(), Some("first"));
        assert_eq!(table.lookup("a\0b").unwrap().as_deref(), Some("first"));
        assert_eq!(open(write(&[])).unwrap().lookup("a"), Ok(None));
    }

    #[test]
    fn keys_and_values_are_bytes_where_tables_are_read_as_bytes() {
        let entries: &[(&[u8], &[u8])] = &[(b"\xe9", b"\xff\0"), ("ß".as_bytes(), b"\xff")];
        let bytes = write(entries);
        let table = Cdb::read("cdb:t", bytes.clone(), KeyCase::Exact, Octets::Characters).unwrap();
        assert_eq!(table.lookup("\u{e9}").unwrap().as_deref(), Some("\u{ff}"));
        let table = Cdb::read("cdb:t", bytes, KeyCase::Exact, Octets::Utf8).unwrap();
        assert_eq!(table.lookup("\u{e9}"), Ok(None));
        let failure = table.lookup("ß").unwrap_err();
        assert_eq!(failure.reason, "the value is not UTF-8 text");
    }

    #[test]
    fn a_database_that_is_cut_anywhere_is_corrupt() {
        let whole = many("\0");
        let end = whole.len();
        for length in (0..2050)
            .chain((2050..end).step_by(97))
            .chain(end - 40..end)
        {
            let cut = whole[..length].to_vec();
            assert!(open(cut).is_err(), "{length}");
        }
        assert!(open(whole).is_ok());
    }

    #[test]
    fn tables_or_records_that_share_bytes_are_corrupt() {
        let table = |bytes: &mut Vec<u8>, number: usize, slots: u32| {
            let head = [2048, slots].map(u32::to_le_bytes).concat();
            bytes[number * 8..number * 8 + 8].copy_from_slice(&head);
        };
        let mut shared = vec![0; 2048 + 8 * 64];
        (0..256).for_each(|number| table(&mut shared, number, 64));
        assert!(open(shared).is_err());

        let mut shared = vec![0; 2048];
        table(&mut shared, 0, 64);
        for _ in 0..64 {
            shared.extend([0, 2048 + 8 * 64].map(u32::to_le_bytes).concat());
        }
        shared.extend([0, 1000].map(u32::to_le_bytes).concat());
        shared.extend([b'x'; 1000]);
        assert!(open(shared.clone()).is_err());
        table(&mut shared, 0, 1);
        assert!(open(shared).is_ok());
    }
}
