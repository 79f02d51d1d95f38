//! Questions and the head of replies as bytes, on the codec of hickory-proto.
//! What the records of a reply mean is not decided here.

use hickory_proto::op::{Edns, Header, MessageType, OpCode, ResponseCode};
use hickory_proto::op::{Message, Query as WireQuery};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

use super::{QueryKind, names::is_same_name};

/// The size of datagram that a question with EDNS allows, in bytes. It fits
/// every usual path without fragments.
const EDNS_PAYLOAD: u16 = 1232;

/// The type of a question on the wire. Native lookups have none.
pub(super) const fn record_type(kind: QueryKind) -> Option<RecordType> {
    match kind {
        QueryKind::Mx => Some(RecordType::MX),
        QueryKind::Ns => Some(RecordType::NS),
        QueryKind::A => Some(RecordType::A),
        QueryKind::Aaaa => Some(RecordType::AAAA),
        QueryKind::Cname => Some(RecordType::CNAME),
        QueryKind::Tlsa => Some(RecordType::TLSA),
        QueryKind::Srv => Some(RecordType::SRV),
        QueryKind::Txt => Some(RecordType::TXT),
        QueryKind::Native(_) => None,
    }
}

/// A question as bytes; `None` if the name does not fit into one. With `edns`
/// it asks for validation (AD and DO bits).
pub(super) fn question(id: u16, name: &str, kind: QueryKind, edns: bool) -> Option<Vec<u8>> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire_name = Name::from_labels(labels.map(str::as_bytes)).ok()?;
    wire_name.set_fqdn(true);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(WireQuery::query(wire_name, record_type(kind)?));
    if edns {
        message.metadata.authentic_data = true;
        let mut options = Edns::new();
        options.set_max_payload(EDNS_PAYLOAD);
        options.set_dnssec_ok(true);
        message.set_edns(options);
    }
    message.to_bytes().ok()
}

/// The head of a reply.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) header: Header,
    /// The only question, if there is exactly one and it can be read.
    question: Option<(String, RecordType)>,
    /// Where the answer section begins; `None` if the questions end in the
    /// middle.
    pub(super) answers_at: Option<usize>,
}

impl Head {
    /// Reads the head of a reply. `None` if the bytes are no reply to a query.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let mut decoder = BinDecoder::new(packet);
        let header = Header::read(&mut decoder).ok()?;
        let reply = header.metadata.message_type == MessageType::Response
            && header.metadata.op_code == OpCode::Query;
        if !reply {
            return None;
        }
        let mut question = None;
        let mut complete = true;
        for _ in 0..header.counts.queries {
            match WireQuery::read(&mut decoder) {
                Ok(query) => question = Some((name_text(query.name()), query.query_type())),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        Some(Self {
            question: question.filter(|_| header.counts.queries == 1),
            answers_at: complete.then(|| decoder.index()),
            header,
        })
    }

    /// Whether this replies to the question `id` for `name` and `kind`.
    pub(super) fn is_for(&self, id: u16, name: &str, kind: QueryKind) -> bool {
        let same_question = match &self.question {
            Some((asked, record)) => {
                is_same_name(asked, name) && Some(*record) == record_type(kind)
            }
            // A server that does not understand the question repeats none.
            None => self.code() == ResponseCode::FormErr && self.header.counts.queries == 0,
        };
        self.header.metadata.id == id && same_question
    }

    /// The response code, without the bits that EDNS adds.
    pub(super) fn code(&self) -> ResponseCode {
        self.header.metadata.response_code
    }

    /// A reply that says neither yes nor no: a server without recursion that
    /// points nowhere. The C library goes on to the next server.
    pub(super) fn is_lame(&self) -> bool {
        let header = &self.header;
        self.code() == ResponseCode::NoError
            && header.counts.answers == 0
            && header.counts.additionals == 0
            && !header.metadata.authoritative
            && !header.metadata.recursion_available
    }
}

/// A name as text without a final dot, the root as an empty text. Characters
/// that mean something in zone files are escaped, hence such a name fails the
/// test for host names.
pub(super) fn name_text(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for &byte in label {
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
