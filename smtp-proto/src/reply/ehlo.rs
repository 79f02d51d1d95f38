//! What the server offers in its reply to EHLO or LHLO, and which of its words
//! are not to be heard. It does not decide what to use.
//!
//! RFC 5321 4.1.1.1, read as Postfix reads it (`smtp_helo` in `src/smtp/smtp_proto.c`,
//! `src/global/ehlo_mask.c`): keywords in any case, parameters after a blank or `=`,
//! unknown lines ignored.

use alloc::string::String;
use alloc::vec::Vec;

use nom::bytes::complete::{take_while, take_while_m_n, take_while1};
use nom::combinator::recognize;
use nom::{IResult, Parser};

use super::Reply;
use crate::command::XforwardName;

/// An EHLO keyword that can be discarded (`smtp_discard_ehlo_keywords`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyword {
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `AUTH` (RFC 4954).
    Auth,
    /// `ETRN` (RFC 1985).
    Etrn,
    /// `PIPELINING` (RFC 2920).
    Pipelining,
    /// `SIZE` (RFC 1870).
    Size,
    /// `VERP`, of Postfix.
    Verp,
    /// `VRFY`.
    Vrfy,
    /// `XCLIENT`, of Postfix.
    Xclient,
    /// `XFORWARD`, of Postfix.
    Xforward,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    EnhancedStatusCodes,
    /// `DSN` (RFC 3461).
    Dsn,
    /// `SMTPUTF8` (RFC 6531).
    SmtpUtf8,
    /// `CHUNKING` (RFC 3030).
    Chunking,
    /// `silent-discard`: no keyword, but the wish that discarding is not logged.
    SilentDiscard,
}

impl Keyword {
    /// Postfix's table and its order (`ehlo_mask_table`).
    const TABLE: [(Keyword, &'static str); 15] = [
        (Keyword::EightBitMime, "8BITMIME"),
        (Keyword::Auth, "AUTH"),
        (Keyword::Etrn, "ETRN"),
        (Keyword::Pipelining, "PIPELINING"),
        (Keyword::Size, "SIZE"),
        (Keyword::Verp, "VERP"),
        (Keyword::Vrfy, "VRFY"),
        (Keyword::Xclient, "XCLIENT"),
        (Keyword::Xforward, "XFORWARD"),
        (Keyword::StartTls, "STARTTLS"),
        (Keyword::EnhancedStatusCodes, "ENHANCEDSTATUSCODES"),
        (Keyword::Dsn, "DSN"),
        (Keyword::SmtpUtf8, "SMTPUTF8"),
        (Keyword::Chunking, "CHUNKING"),
        (Keyword::SilentDiscard, "SILENT-DISCARD"),
    ];

    /// The keyword of this name, in any case.
    pub fn parse(name: &str) -> Option<Keyword> {
        let found = |(_, known): &&(Keyword, &str)| known.eq_ignore_ascii_case(name);
        Self::TABLE.iter().find(found).map(|(keyword, _)| *keyword)
    }

    /// The name in upper case.
    pub fn as_str(self) -> &'static str {
        let found = |(keyword, _): &&(Keyword, &str)| *keyword == self;
        Self::TABLE.iter().find(found).map_or("", |(_, name)| *name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of EHLO keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeywordSet(u32);

impl KeywordSet {
    /// No keyword.
    pub const EMPTY: KeywordSet = KeywordSet(0);

    /// Reads a list of keywords with commas or white space between, in any case. Unknown words are
    /// ignored, so that lists can be shared between versions.
    pub fn parse(text: &str) -> KeywordSet {
        text.split([',', ' ', '\t', '\r', '\n'])
            .filter_map(Keyword::parse)
            .fold(KeywordSet::EMPTY, |set, keyword| set.with(keyword))
    }

    /// This set and `keyword`.
    pub const fn with(self, keyword: Keyword) -> KeywordSet {
        KeywordSet(self.0 | keyword.bit())
    }

    /// Whether `keyword` is in the set.
    pub const fn contains(self, keyword: Keyword) -> bool {
        self.0 & keyword.bit() != 0
    }

    /// Whether no keyword is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names as Postfix logs them: in upper case and in the order of its table,
    /// `silent-discard` too. SMTPUTF8 is logged as `EHLO_MASK_SMTPUTF8`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let inside = move |(keyword, _): &&(Keyword, &str)| self.contains(*keyword);
        let logged = |(keyword, name): &(Keyword, &'static str)| match keyword {
            Keyword::SmtpUtf8 => "EHLO_MASK_SMTPUTF8",
            _ => *name,
        };
        Keyword::TABLE.iter().filter(inside).map(logged)
    }
}

/// The attributes that the server takes in XFORWARD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XforwardSet(u8);

impl XforwardSet {
    /// No attribute: the server did not announce XFORWARD.
    pub const EMPTY: XforwardSet = XforwardSet(0);

    /// This set and `name`.
    pub const fn with(self, name: XforwardName) -> XforwardSet {
        XforwardSet(self.0 | (1 << name as u8))
    }

    /// Whether the server takes `name`.
    pub const fn contains(self, name: XforwardName) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    /// Whether the server takes none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What the server offers, without the keywords that are discarded.
///
/// ```
/// use smtp_proto::{Capabilities, KeywordSet, Reply};
///
/// let reply = Reply::new(250, "250-mx.example.com\n250-size 1000\n250-DSN\n250 PIPELINING");
/// let offered = Capabilities::parse(&reply, KeywordSet::parse("dsn"));
/// assert_eq!(offered.name, "mx.example.com");
/// assert_eq!(offered.size, Some(1000));
/// assert!(offered.pipelining && !offered.dsn);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The server's own name: the first word of the first line that has one, in its case. Empty if
    /// there is none.
    pub name: String,
    /// 8BITMIME: bytes above 127 may be sent.
    pub eight_bit_mime: bool,
    /// PIPELINING: commands may be sent before earlier ones are answered.
    pub pipelining: bool,
    /// DSN: ENVID, RET, ORCPT and NOTIFY are understood.
    pub dsn: bool,
    /// SMTPUTF8: addresses and headers may be UTF-8.
    pub smtputf8: bool,
    /// STARTTLS is offered.
    pub starttls: bool,
    /// SIZE: the largest message in bytes. `Some(0)`: announced without a limit, or with one that
    /// makes no sense.
    pub size: Option<u64>,
    /// What stood after SIZE if it was no number.
    pub bad_size: Option<String>,
    /// CHUNKING is offered. Postfix does not use it.
    pub chunking: bool,
    /// REQUIRETLS is offered (RFC 8689). Postfix does not know it, hence it cannot be
    /// discarded.
    pub require_tls: bool,
    /// For each AUTH line what follows the keyword: mechanisms with blanks between.
    pub auth: Vec<String>,
    /// The attributes of XFORWARD.
    pub xforward: XforwardSet,
    /// The keywords that were not to be heard, offered or not.
    pub discarded: KeywordSet,
}

/// The keyword of RFC 8689.
const REQUIRETLS: &str = "REQUIRETLS";

impl Capabilities {
    /// Reads the reply to EHLO or LHLO. Keywords in `discard` are passed over.
    ///
    /// The lines need not begin with the code: what comes before the first blank or hyphen counts as it.
    pub fn parse(reply: &Reply, discard: KeywordSet) -> Capabilities {
        let mut offered = Capabilities {
            discarded: discard,
            ..Capabilities::default()
        };
        let lines = reply.lines().filter_map(line);
        for (number, (word, parameters)) in lines.enumerate() {
            match Keyword::parse(word) {
                _ if number == 0 => offered.name = String::from(word),
                Some(keyword) if !discard.contains(keyword) => offered.add(keyword, parameters),
                None if word.eq_ignore_ascii_case(REQUIRETLS) => offered.require_tls = true,
                _ => {}
            }
        }
        offered
    }

    fn add(&mut self, keyword: Keyword, parameters: &str) {
        match keyword {
            Keyword::EightBitMime => self.eight_bit_mime = true,
            Keyword::Pipelining => self.pipelining = true,
            Keyword::Dsn => self.dsn = true,
            Keyword::SmtpUtf8 => self.smtputf8 = true,
            Keyword::StartTls => self.starttls = true,
            Keyword::Chunking => self.chunking = true,
            Keyword::Size => self.add_size(words(parameters).next()),
            Keyword::Auth => self.auth.push(String::from(parameters)),
            Keyword::Xforward => {
                let named = |word: &str| {
                    let found = |name: &XforwardName| name.as_str().eq_ignore_ascii_case(word);
                    XforwardName::ALL.into_iter().find(found)
                };
                let set = |set: XforwardSet, name| set.with(name);
                self.xforward = words(parameters).filter_map(named).fold(self.xforward, set);
            }
            // Nothing that the client uses.
            Keyword::Etrn
            | Keyword::Verp
            | Keyword::Vrfy
            | Keyword::Xclient
            | Keyword::EnhancedStatusCodes
            | Keyword::SilentDiscard => {}
        }
    }

    fn add_size(&mut self, limit: Option<&str>) {
        let size = self.size.get_or_insert(0);
        match limit {
            Some(word) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                // Too large for 64 bits is as good as no limit.
                *size = word.parse().unwrap_or(0);
            }
            Some(word) => self.bad_size = Some(String::from(word)),
            None => {}
        }
    }
}

/// One line: the code, which is dropped, the keyword and what follows it.
fn line(text: &str) -> Option<(&str, &str)> {
    let ends_code = |byte| matches!(byte, b'-' | b' ');
    let ends_word = |byte| matches!(byte, b' ' | b'\t' | b'=');
    // The hyphen or blank after the code is one character.
    let code = (
        take_while(ends_code),
        take_while1(|byte| !ends_code(byte)),
        take_while_m_n(0, 1, ends_code),
    );
    let before = recognize((code, take_while(ends_word)));
    let word = take_while1(|byte| !ends_word(byte));
    let read: IResult<&[u8], (&[u8], &[u8])> = (before, word).parse(text.as_bytes());
    let (_, (before, word)) = read.ok()?;
    let (word, after) = text.get(before.len()..)?.split_at_checked(word.len())?;
    // So is the separator after the keyword.
    Some((word, after.get(1..).unwrap_or_default()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t']).filter(|word| !word.is_empty())
}
