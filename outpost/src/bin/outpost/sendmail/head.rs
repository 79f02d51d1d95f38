//! The header of a message: whose it is, whom it goes to, and what a mail system has to change in
//! it (Postfix: `src/cleanup/cleanup_message.c`). Fields that stay are not touched.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, BufRead},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Zoned, tz::TimeZone};
use outpost::{Address, ReversePath, address};

use super::input::Text;

/// The most bytes of a header. It is held in memory.
const LIMIT: usize = 1024 * 1024;
/// Fields that no message takes along (`message_drop_headers`).
const DROPPED: [&str; 4] = ["bcc", "content-length", "resent-bcc", "return-path"];
/// Fields with recipients (`-t`).
const RECIPIENTS: [&str; 3] = ["to", "cc", "bcc"];
const RESENT_RECIPIENTS: [&str; 3] = ["resent-to", "resent-cc", "resent-bcc"];
const RESENT: &str = "resent-";

/// A header, and what was read of the text behind it.
#[derive(Debug, Default)]
pub(super) struct Head {
    fields: Vec<Field>,
    /// The line that is no field and does not separate the header from the text: it belongs to
    /// the text.
    first: Vec<u8>,
}

/// A field with its continuation lines.
#[derive(Debug)]
struct Field {
    /// The name in lower case.
    name: String,
    /// All its bytes, line ends too.
    bytes: Vec<u8>,
}

/// Facts about the sender, for use where a header does not state them.
#[derive(Clone, Debug)]
pub(super) struct Origin<'a> {
    /// The envelope sender.
    pub(super) sender: &'a ReversePath,
    /// The name of a person.
    pub(super) full_name: Option<&'a str>,
    /// The name of this machine.
    pub(super) host: &'a str,
    /// The time.
    pub(super) now: Zoned,
}

impl Head {
    /// Reads a header. It ends with an empty line, or before a line that is no field.
    pub(super) fn read<R: BufRead>(text: &mut Text<R>) -> io::Result<Self> {
        let mut head = Self::default();
        let mut size = 0;
        let mut whole = true;
        while let Some(line) = text.line()? {
            size += line.len();
            if size > LIMIT {
                let what = format!("the header is larger than {LIMIT} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            let continues = !whole || line.starts_with(b" ") || line.starts_with(b"\t");
            whole = line.ends_with(b"\n");
            match (head.fields.last_mut(), field_name(&line)) {
                (Some(field), _) if continues => field.bytes.extend(line),
                _ if matches!(line.as_slice(), b"\n" | b"\r\n") => break,
                (_, Some(name)) if !continues => head.fields.push(Field { name, bytes: line }),
                _ => {
                    head.first = line;
                    break;
                }
            }
        }
        Ok(head)
    }

    /// The recipients that the header names: those of the `Resent-` fields if there are any, else of To, Cc
    /// and Bcc.
    ///
    /// # Errors
    /// A field has something in it that is no address.
    pub(super) fn recipients(&self) -> Result<Vec<Address>, String> {
        let is_resent = |field: &&Field| RESENT_RECIPIENTS.contains(&field.name.as_str());
        let names = match self.fields.iter().any(|field| is_resent(&field)) {
            true => RESENT_RECIPIENTS,
            false => RECIPIENTS,
        };
        let mut found = Vec::new();
        for field in self
            .fields
            .iter()
            .filter(|field| names.contains(&field.name.as_str()))
        {
            let wrong = |why: &str| format!("{}: {why}", field.shown_name());
            let value = field.value().ok_or_else(|| wrong("it is not UTF-8"))?;
            found.extend(address::parse_list(value).map_err(|why| wrong(&why.to_string()))?);
        }
        Ok(found)
    }

    /// The address that the message says it is from, if it is clear.
    pub(super) fn from(&self) -> Option<Address> {
        let field = self.find(if self.is_resent() {
            "resent-from"
        } else {
            "from"
        })?;
        let mut found = address::parse_list(field.value()?).ok()?;
        (!found.is_empty()).then(|| found.swap_remove(0))
    }

    /// Returns whether the sender waives TLS (`TLS-Required: no`, RFC 8689 section 5).
    pub(super) fn waives_tls(&self) -> bool {
        let value = self.find("tls-required").and_then(Field::value);
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case("no"))
    }

    /// The header as it goes out, with what follows it at once.
    pub(super) fn finish(self, origin: &Origin<'_>) -> Vec<u8> {
        let missing = self.missing(origin);
        let mut bytes = Vec::new();
        for field in self.fields {
            if !DROPPED.contains(&field.name.as_str()) {
                bytes.extend(field.bytes);
                if !bytes.ends_with(b"\n") {
                    bytes.push(b'\n');
                }
            }
        }
        bytes.extend(missing.into_bytes());
        bytes.push(b'\n');
        bytes.extend(self.first);
        bytes
    }

    /// The fields that every message has to have; of one that was sent again, those for this time.
    fn missing(&self, origin: &Origin<'_>) -> String {
        let prefix = if self.is_resent() { "Resent-" } else { "" };
        let has = |name: &str| {
            self.find(&format!("{prefix}{name}").to_lowercase())
                .is_some()
        };
        let mut text = String::new();
        if !has("message-id") {
            let id = message_id(&origin.now, origin.host);
            text.push_str(&format!("{prefix}Message-Id: {id}\n"));
        }
        if !has("date") {
            text.push_str(&format!("{prefix}Date: {}\n", date(&origin.now)));
        }
        if !has("from") {
            text.push_str(&format!("{prefix}From: {}\n", from(origin)));
        }
        text
    }

    fn is_resent(&self) -> bool {
        self.fields
            .iter()
            .any(|field| field.name.starts_with(RESENT))
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// Returns the text behind the colon, with its line ends.
    fn value(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        text.split_once(':').map(|(_, value)| value)
    }

    /// The name as it is written.
    fn shown_name(&self) -> String {
        let name = self
            .bytes
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(name).trim_end().to_owned()
    }
}

/// The name of a field that begins with this line, in lower case. White space may be before the
/// colon (`src/global/is_header.c`).
fn field_name(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(line.get(..colon)?).ok()?;
    let name = name.trim_end_matches([' ', '\t']);
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| name.to_ascii_lowercase())
}

/// An identifier that no other message has.
fn message_id(now: &Zoned, host: &str) -> String {
    // The keys of this hasher are random.
    let random = RandomState::new().hash_one(std::process::id());
    let time = now.with_time_zone(TimeZone::UTC).strftime("%Y%m%d%H%M%S");
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let host = match !host.is_empty() && host.bytes().all(good) {
        true => host,
        false => "localhost",
    };
    format!("<{time}.{random:016x}@{host}>")
}

fn date(now: &Zoned) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// `Name <address>`. The null sender is the mail system itself.
fn from(origin: &Origin<'_>) -> String {
    let Some(address) = origin.sender.address() else {
        return format!("MAILER-DAEMON@{}", origin.host);
    };
    let address = address.quoted_822();
    match origin.full_name.map(phrase).filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} <{address}>"),
        None => address.into_owned(),
    }
}

/// A name as a field can have it: as it is, in quotes, or as encoded words (RFC 2047 section 2).
fn phrase(name: &str) -> String {
    /// The most bytes of an encoded word are 75, of which 60 are left for text.
    const WORD: usize = 45;
    let is_odd = |c: char| c.is_control();
    let name = name.replace(is_odd, " ");
    let name = name.trim();
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if name.is_ascii() {
        return match name.chars().all(is_atom) && !name.contains("=?") {
            true => name.to_owned(),
            false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        };
    }
    let mut words = vec![String::new()];
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let encoded = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\n ")
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
