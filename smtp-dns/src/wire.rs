//! Questions and the head of replies as bytes, on the codec of `domain`. What the
//! records of a reply mean is not decided here.

use bytes::{Bytes, BytesMut};
use domain::base::{
    Header, HeaderCounts, Message, MessageBuilder, NameBuilder, ParsedName, Rtype,
    iana::{Opcode, Rcode},
};

use super::{QueryKind, names::is_same_name};

/// The size of datagram that a question with EDNS allows, in bytes. It fits
/// every usual path without fragments.
const EDNS_PAYLOAD: u16 = 1232;

/// The type of a question on the wire. Native lookups have none.
pub(super) const fn record_type(kind: QueryKind) -> Option<Rtype> {
    match kind {
        QueryKind::Mx => Some(Rtype::MX),
        QueryKind::Ns => Some(Rtype::NS),
        QueryKind::A => Some(Rtype::A),
        QueryKind::Aaaa => Some(Rtype::AAAA),
        QueryKind::Cname => Some(Rtype::CNAME),
        QueryKind::Tlsa => Some(Rtype::TLSA),
        QueryKind::Srv => Some(Rtype::SRV),
        QueryKind::Txt => Some(Rtype::TXT),
        QueryKind::Native(_) => None,
    }
}

/// A question as bytes; `None` if the name does not fit into one. With `edns`
/// it asks for validation (AD and DO bits).
pub(super) fn question(id: u16, name: &str, kind: QueryKind, edns: bool) -> Option<Bytes> {
    let mut wire_name = NameBuilder::new_bytes();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire_name.append_label(label.as_bytes()).ok()?;
    }
    let mut message = MessageBuilder::from_target(BytesMut::new()).ok()?;
    message.header_mut().set_id(id);
    message.header_mut().set_rd(true);
    message.header_mut().set_ad(edns);
    let mut question = message.question();
    let asked = (wire_name.into_name().ok()?, record_type(kind)?);
    question.push(asked).ok()?;
    let mut additional = question.additional();
    if edns {
        let with_options = additional.opt(|options| {
            options.set_udp_payload_size(EDNS_PAYLOAD);
            options.set_dnssec_ok(true);
            Ok(())
        });
        with_options.ok()?;
    }
    Some(additional.finish().freeze())
}

/// The head of a reply.
#[derive(Debug)]
pub(super) struct Head {
    header: Header,
    counts: HeaderCounts,
    /// The only question, if there is exactly one and it can be read.
    question: Option<(String, Rtype)>,
    /// The begin of the answer section; `None` if the questions end in the
    /// middle.
    pub(super) answers_at: Option<usize>,
}

impl Head {
    /// Reads the head of a reply. `None` if the bytes are no reply to a query.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let message = Message::from_slice(packet).ok()?;
        let (header, counts) = (message.header(), message.header_counts());
        if !header.qr() || header.opcode() != Opcode::QUERY {
            return None;
        }
        let mut questions = message.question();
        let mut question = None;
        let complete = questions.by_ref().all(|next| {
            question = next
                .ok()
                .map(|next| (name_text(next.qname()), next.qtype()));
            question.is_some()
        });
        Some(Self {
            question: question.filter(|_| counts.qdcount() == 1),
            answers_at: complete.then(|| questions.pos()),
            header,
            counts,
        })
    }

    /// Returns whether this replies to the question `id` for `name` and `kind`.
    pub(super) fn is_for(&self, id: u16, name: &str, kind: QueryKind) -> bool {
        let same_question = match &self.question {
            Some((asked, record)) => {
                is_same_name(asked, name) && Some(*record) == record_type(kind)
            }
            // A server that does not understand the question repeats none.
            None => self.code() == Rcode::FORMERR && self.counts.qdcount() == 0,
        };
        self.header.id() == id && same_question
    }

    /// The response code, without the bits that EDNS adds.
    pub(super) fn code(&self) -> Rcode {
        self.header.rcode()
    }

    /// The number of records that the answer section should have.
    pub(super) fn answers(&self) -> u16 {
        self.counts.ancount()
    }

    /// Returns whether the server vouches for the reply (AD bit).
    pub(super) fn is_authentic(&self) -> bool {
        self.header.ad()
    }

    /// Returns whether there is more than has fitted into the datagram.
    pub(super) fn is_truncated(&self) -> bool {
        self.header.tc()
    }

    /// A reply that says neither yes nor no: a server without recursion that
    /// points nowhere. The C library goes on to the next server.
    pub(super) fn is_lame(&self) -> bool {
        self.code() == Rcode::NOERROR
            && self.answers() == 0
            && self.counts.arcount() == 0
            && !self.header.aa()
            && !self.header.ra()
    }
}

/// A name as text without a final dot, the root as an empty text. Characters
/// that mean something in zone files are escaped, hence such a name fails the
/// test for host names.
pub(super) fn name_text(name: &ParsedName<&[u8]>) -> String {
    let mut text = String::new();
    for label in name.iter().filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        for &byte in label.as_slice() {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                0x21..=0x7e => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    text
}
