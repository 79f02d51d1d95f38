//! What is known about the part of a message that the reader is in, and the
//! boundaries of the multiparts around it.

use alloc::vec::Vec;

use super::header::{MIME_SPECIALS, SPECIALS, Words};

/// A message or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) media: Media,
    pub(super) domain: Domain,
}

/// The types of content that differ in what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `multipart/*`
    Multipart,
    /// `message/rfc822`, whose content is a message.
    Rfc822,
    /// `message/global` (RFC 6532), whose content is a message, and can be encoded.
    Global,
    /// Another `message/*`
    Message,
    /// Anything else.
    Leaf,
}

/// The bytes of a body, by what its Content-Transfer-Encoding claims (RFC 2045
/// section 2.7 to 2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    SevenBit,
    EightBit,
    Binary,
}

impl Entity {
    /// What a message is without MIME header fields.
    pub(super) const TEXT: Self = Self {
        media: Media::Leaf,
        domain: Domain::SevenBit,
    };

    const MESSAGE: Self = Self {
        media: Media::Rfc822,
        domain: Domain::SevenBit,
    };

    /// Reads the value of a Content-Type field. False if it is a multipart for
    /// which there is no room.
    pub(super) fn read_type(&mut self, value: &[u8], boundaries: &mut Boundaries) -> bool {
        let mut words = Words::new(value, MIME_SPECIALS);
        let first = words.parameter().unwrap_or_default();
        let is = |at: usize, text| first.get(at).is_some_and(|word| word.is_token(text));
        let slash = matches!(first.get(1), Some(super::header::Word::Special(b'/')));
        let subtype = |text| slash && is(2, text);
        if is(0, "multipart") {
            self.media = Media::Multipart;
            let parts = if subtype("digest") {
                Self::MESSAGE
            } else {
                Self::TEXT
            };
            return boundaries.enter(words, parts);
        }
        // A type that means nothing here leaves it at what the part is by default.
        if first.is_empty() || is(0, "text") {
            self.media = Media::Leaf;
        } else if is(0, "message") {
            self.media = match () {
                () if subtype("rfc822") => Media::Rfc822,
                () if subtype("global") => Media::Global,
                () => Media::Message,
            };
        }
        true
    }

    /// Reads the value of a Content-Transfer-Encoding field. What is unknown
    /// changes nothing.
    pub(super) fn read_encoding(&mut self, value: &[u8]) {
        let Some(word) = Words::new(value, SPECIALS).next() else {
            return;
        };
        let domains = [
            ("7bit", Domain::SevenBit),
            ("8bit", Domain::EightBit),
            ("binary", Domain::Binary),
            ("base64", Domain::SevenBit),
            ("quoted-printable", Domain::SevenBit),
        ];
        if let Some((_, domain)) = domains.iter().find(|(name, _)| word.is_token(name)) {
            self.domain = *domain;
        }
    }
}

/// The boundaries of the multiparts that the reader is in, the innermost last.
#[derive(Debug)]
pub(super) struct Boundaries {
    open: Vec<Boundary>,
    length_limit: usize,
    nesting_limit: usize,
}

#[derive(Debug)]
struct Boundary {
    text: Vec<u8>,
    /// What its parts are unless they say otherwise.
    parts: Entity,
}

impl Boundaries {
    pub(super) fn new(length_limit: usize, nesting_limit: usize) -> Self {
        Self {
            open: Vec::new(),
            length_limit,
            nesting_limit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Enters a multipart with these parameters. All boundaries count if there
    /// are several, so that no part is missed. False if there is no room for one.
    fn enter(&mut self, mut parameters: Words<'_>, parts: Entity) -> bool {
        let mut fits = true;
        while let Some(words) = parameters.parameter() {
            let Ok([name, super::header::Word::Special(b'='), value]) = <[_; 3]>::try_from(words)
            else {
                continue;
            };
            if !name.is_token("boundary") {
                continue;
            }
            // The outermost multipart is no nesting.
            if self.open.len() > self.nesting_limit.saturating_add(1) {
                fits = false;
                continue;
            }
            let mut text = value.into_bytes();
            text.truncate(self.length_limit);
            self.open.push(Boundary { text, parts });
        }
        fits
    }

    /// Whether a line is a boundary. If it ends its multipart: `Some(None)`;
    /// otherwise what follows is a part, which is what the multipart's parts are
    /// without a header. Multiparts inside of that one end too.
    #[expect(
        clippy::option_option,
        reason = "no boundary, the last one, one before a part"
    )]
    pub(super) fn find(&mut self, line: &[u8]) -> Option<Option<Entity>> {
        let text = line.strip_prefix(b"--").filter(|text| !text.is_empty())?;
        let at = self
            .open
            .iter()
            .rposition(|open| text.starts_with(&open.text))?;
        self.open.truncate(at + 1);
        let found = self.open.last()?;
        // Whatever else is on the line does not matter: the text of the boundary
        // may have been cut.
        if text
            .get(found.text.len()..)
            .is_some_and(|rest| rest.starts_with(b"--"))
        {
            self.open.pop();
            return Some(None);
        }
        Some(Some(found.parts))
    }
}
