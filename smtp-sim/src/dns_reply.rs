//! The answer of a name server to a question, as a DNS message. Scripted zones and simulated
//! name servers both say it this way.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{Name, Record};

/// The time to live of every answer, in seconds.
pub(crate) const TTL: u32 = 300;
/// The longest answer over UDP to a question without EDNS, in bytes.
const UDP_PLAIN: usize = 512;
/// The longest answer over UDP to a question with EDNS, in bytes.
const UDP_EDNS: u16 = 4096;

/// The answer of a name server to one question.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: ResponseCode,
    /// It vouches for the answer, where that is asked for.
    pub(crate) validated: bool,
    /// Over UDP it says only that there is more.
    pub(crate) truncated: bool,
    pub(crate) answers: Vec<Record>,
}

impl Reply {
    /// The message for a question. Over TCP it comes without its length.
    pub(crate) fn into_bytes(self, question: &Message, is_tcp: bool) -> Option<Vec<u8>> {
        let query = question.queries.first()?.clone();
        let dnssec_ok = question
            .edns
            .as_ref()
            .is_some_and(|edns| edns.flags().dnssec_ok);
        let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.checking_disabled = question.metadata.checking_disabled;
        answer.metadata.response_code = self.code;
        answer.metadata.authentic_data = self.validated
            && (dnssec_ok || question.metadata.authentic_data)
            && matches!(self.code, ResponseCode::NoError | ResponseCode::NXDomain);
        answer.queries.push(query);
        if question.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_EDNS).set_dnssec_ok(dnssec_ok);
            answer.edns = Some(edns);
        }
        if self.truncated && !is_tcp {
            answer.metadata.truncation = true;
        } else {
            answer.answers = self.answers;
        }
        let bytes = answer.to_vec().ok()?;
        let room = if answer.edns.is_some() {
            usize::from(UDP_EDNS)
        } else {
            UDP_PLAIN
        };
        if is_tcp || bytes.len() <= room {
            return Some(bytes);
        }
        answer.metadata.truncation = true;
        answer.answers.clear();
        answer.to_vec().ok()
    }
}

/// A name as text without its final dot, with the case of the question.
pub(crate) fn text_of(name: &Name) -> String {
    let labels: Vec<String> = name
        .iter()
        .map(|label| String::from_utf8_lossy(label).into_owned())
        .collect();
    labels.join(".")
}

/// A name from its text; the text may be UTF-8, and nothing is converted.
pub(crate) fn name_of(text: &str) -> Option<Name> {
    let labels = text
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).ok()
}
