//! Answers DNS questions as a validating resolver on this machine would, out of
//! answers of servers that need not be trusted (RFC 4035).
//!
//! A [`Lookup`] asks; what goes to a server otherwise comes
//! here, and what comes back has the AD bit where the signatures hold, and is
//! SERVFAIL where they do not. So the search list, aliases, the order of the servers
//! and the patience with them stay what they are. The servers have to pass signatures
//! on, as any resolver does that knows of DNSSEC. The signatures are hickory's work.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hickory_net::{
    DnsError, NetError, dnssec::DnssecDnsHandle, runtime::TokioRuntimeProvider, xfer::DnsHandle,
};
use hickory_proto::{
    dnssec::{Proof, TrustAnchors, rdata::DNSSECRData},
    op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, MessageType, ResponseCode},
    rr::{Name, RData, Record},
    serialize::txt::ParseError,
};
use runtime_common::Clocked;
use smtp_policy::dns::{Answer, DnsStep, Failure, Lookup};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{sleep, timeout},
};

use crate::runtime::Tokio;

/// The longest datagram that is read whole, in bytes: more than any resolver puts into one.
const DATAGRAM: usize = 8 * 1024;

/// A validator of DNS answers, with the keys that it trusts.
#[derive(Clone)]
pub struct Validator {
    anchors: Arc<TrustAnchors>,
    /// One for each server, since each keeps what it has found of its answers.
    handles: Arc<Mutex<BTreeMap<SocketAddr, DnssecDnsHandle<Upstream>>>>,
}

/// A file of trust anchors that cannot be used.
#[derive(Debug)]
pub struct TrustAnchorError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for TrustAnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trust anchors {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for TrustAnchorError {}

impl Default for Validator {
    /// Trusts the keys of the root zone, of 2017 and of 2024.
    fn default() -> Self {
        Self::new(TrustAnchors::default())
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

impl Validator {
    /// Trusts the keys of a file of DNSKEY records in the form of a zone file, and no
    /// others. A name that is under none of them cannot be validated and fails.
    ///
    /// # Errors
    /// The file cannot be read, holds something else, or no key at all.
    pub fn with_trust_anchors(path: impl AsRef<Path>) -> Result<Self, TrustAnchorError> {
        let path = path.as_ref();
        let failure = |reason: String| TrustAnchorError {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
        let anchors: TrustAnchors = text
            .parse()
            .map_err(|error: ParseError| failure(error.to_string()))?;
        // Keys besides the root's are not counted.
        if anchors.is_empty() && !text.contains("DNSKEY") {
            return Err(failure("no DNSKEY record".to_owned()));
        }
        Ok(Self::new(anchors))
    }

    fn new(anchors: TrustAnchors) -> Self {
        Self {
            anchors: Arc::new(anchors),
            handles: Arc::default(),
        }
    }

    /// Answers a query. Each question that the lookup would send to a server comes here.
    pub(crate) async fn resolve(
        &self,
        clock: &Clocked<Tokio>,
        mut lookup: Lookup,
    ) -> Result<Answer, Failure> {
        let mut asked: Option<(SocketAddr, Bytes)> = None;
        loop {
            match lookup.poll(clock.time()) {
                DnsStep::Datagram { to, bytes } => asked = Some((to, bytes)),
                // What the validator says is never too long.
                DnsStep::Stream { .. } => lookup.stream(Err(())),
                DnsStep::Wait { until } => {
                    let limit = until.since(clock.time());
                    let Some((server, question)) = asked.take() else {
                        sleep(limit).await;
                        continue;
                    };
                    match timeout(limit, self.answer(server, &question)).await {
                        Ok(Ok(message)) => lookup.datagram(server, &message),
                        Ok(Err(_)) => lookup.datagram_failed(),
                        Err(_) => {}
                    }
                }
                DnsStep::Done(result) => return result,
            }
        }
    }

    /// The answer to a question that was meant for a server.
    ///
    /// # Errors
    /// The server does not answer, or the question makes no sense.
    async fn answer(&self, server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
        let question = Message::from_vec(question).map_err(io::Error::other)?;
        let query = question.queries.first().cloned();
        let query = query.ok_or(io::ErrorKind::InvalidInput)?;
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let handle = self.handle(server);
        let found = handle.lookup(query, options).next().await;
        reply(question, found.ok_or(io::ErrorKind::TimedOut)?)?
            .to_vec()
            .map_err(io::Error::other)
    }

    fn handle(&self, server: SocketAddr) -> DnssecDnsHandle<Upstream> {
        let make =
            || DnssecDnsHandle::with_trust_anchor(Upstream { server }, Arc::clone(&self.anchors));
        let handles = self.handles.lock();
        handles
            .unwrap_or_else(PoisonError::into_inner)
            .entry(server)
            .or_insert_with(make)
            .clone()
    }
}

/// Makes the reply that a validating resolver would give.
fn reply(question: Message, found: Result<DnsResponse, NetError>) -> io::Result<Message> {
    let mut reply = question.into_response();
    reply.metadata.recursion_available = true;
    reply.additionals.clear();
    let verdict = match found {
        Ok(response) => Some((proof(&response), response)),
        Err(NetError::Dns(DnsError::Nsec {
            response, proof, ..
        })) => Some((proof, *response)),
        Err(NetError::Io(error)) => return Err(io::Error::other(error)),
        Err(_) => None,
    };
    match verdict {
        Some((proof, response)) if proof != Proof::Bogus => {
            let response = response.into_message();
            reply.metadata.response_code = response.metadata.response_code;
            reply.metadata.authentic_data = proof == Proof::Secure;
            reply.answers = response.answers;
            reply.authorities = response.authorities;
        }
        _ => reply.metadata.response_code = ResponseCode::ServFail,
    }
    Ok(reply)
}

/// The worst proof of the records that matter: those of the answer, else those that
/// say that there is none. RFC 4035 section 3.2.3 wants all of them secure.
///
/// hickory takes an answer as it is when nothing beside it is signed, so two things
/// are looked at here: that what is not signed is about the names in question, and
/// that an answer made from a wildcard comes with its proof (RFC 4035 section 5.3.4).
fn proof(response: &Message) -> Proof {
    let asked = response.queries.first().map(|query| &query.name);
    let aliases = response.answers.iter().filter_map(|r| match &r.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    });
    let names: Vec<&Name> = asked.into_iter().chain(aliases).collect();
    let beside = |record: &&Record| !names.iter().any(|name| record.name.zone_of(name));
    let mut unsigned = data(&response.authorities).filter(|r| r.proof == Proof::Insecure);
    if unsigned.any(|record| beside(&record)) {
        return Proof::Bogus;
    }
    let worst = |records: &[Record]| data(records).map(|record| record.proof).reduce(worse);
    let proven = worst(&response.authorities) == Some(Proof::Secure);
    if response.answers.iter().any(is_from_wildcard) && !proven {
        return worst(&response.answers)
            .filter(|proof| *proof != Proof::Secure)
            .unwrap_or(Proof::Bogus);
    }
    worst(&response.answers)
        .or_else(|| worst(&response.authorities))
        .unwrap_or(Proof::Indeterminate)
}

/// The records without the signatures.
fn data(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(|r| !r.record_type().is_rrsig())
}

/// Returns whether a signature is over a name with fewer labels than the record's.
fn is_from_wildcard(record: &Record) -> bool {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => {
            signature.input().num_labels < record.name.num_labels()
        }
        _ => false,
    }
}

fn worse(one: Proof, other: Proof) -> Proof {
    let rank = |proof| match proof {
        Proof::Bogus => 0,
        Proof::Indeterminate => 1,
        Proof::Insecure => 2,
        Proof::Secure => 3,
    };
    if rank(one) <= rank(other) { one } else { other }
}

/// A server, without any trust in it.
#[derive(Clone, Copy, Debug)]
struct Upstream {
    server: SocketAddr,
}

impl DnsHandle for Upstream {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let server = self.server;
        Box::pin(stream::once(async move {
            let response = exchange(server, &request).await;
            DnsResponse::from_message(response.map_err(NetError::from)?).map_err(NetError::from)
        }))
    }
}

/// Asks over UDP, and over TCP what does not fit.
async fn exchange(server: SocketAddr, request: &Message) -> io::Result<Message> {
    let mut question = request.clone();
    // A server that validates must not keep from us what it finds bogus.
    question.metadata.checking_disabled = true;
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut datagram = [0; DATAGRAM];
    loop {
        let count = socket.recv(&mut datagram).await?;
        let datagram = datagram.get(..count).unwrap_or_default();
        let Some(response) = fitting(&question, datagram) else {
            continue;
        };
        if !response.metadata.truncation {
            return Ok(response);
        }
        let message = ask_stream(server, &bytes).await?;
        return fitting(&question, &message).ok_or_else(|| io::ErrorKind::InvalidData.into());
    }
}

/// One question and its answer over TCP, each with its length before it
/// (RFC 1035 section 4.2.2).
async fn ask_stream(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream
        .write_all(&[&length.to_be_bytes(), question].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A message, if it is an answer to the question.
fn fitting(question: &Message, bytes: &[u8]) -> Option<Message> {
    let response = Message::from_vec(bytes).ok()?;
    let fits = response.metadata.id == question.metadata.id
        && response.metadata.message_type == MessageType::Response
        && response.queries == question.queries;
    fits.then_some(response)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use hickory_proto::{
        op::Query,
        rr::{RecordType, rdata},
    };

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        record
    }

    fn address(owner: &str, proof: Proof) -> Record {
        record(owner, RData::A(rdata::A(Ipv4Addr::LOCALHOST)), proof)
    }

    fn alias(owner: &str, target: &str, proof: Proof) -> Record {
        record(owner, RData::CNAME(rdata::CNAME(name(target))), proof)
    }

    fn server(owner: &str, proof: Proof) -> Record {
        record(owner, RData::NS(rdata::NS(name("ns."))), proof)
    }

    #[test]
    fn an_answer_is_as_good_as_the_worst_of_it() {
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        let mx = "mx.dane.test.";
        let table = [
            (vec![address(mx, Secure)], vec![], Secure),
            (vec![address(mx, Insecure)], vec![], Insecure),
            (vec![address(mx, Secure), address(mx, Bogus)], vec![], Bogus),
            (
                vec![
                    alias(mx, "a.plain.test.", Secure),
                    address("a.plain.test.", Insecure),
                ],
                vec![server("plain.test.", Insecure)],
                Insecure,
            ),
            // What is not there.
            (vec![], vec![server("dane.test.", Secure)], Secure),
            (vec![], vec![server("dane.test.", Insecure)], Insecure),
            (vec![], vec![], Indeterminate),
            // An unsigned zone cannot say what a signed one does not have.
            (vec![], vec![server("plain.test.", Insecure)], Bogus),
            (
                vec![address(mx, Secure)],
                vec![server("plain.test.", Insecure)],
                Bogus,
            ),
        ];
        for (answers, authorities, expected) in table {
            let mut message = Message::query();
            message.add_query(Query::query(name(mx), RecordType::A));
            message.insert_answers(answers);
            message.insert_authorities(authorities);
            assert_eq!(proof(&message), expected, "{message:?}");
        }
    }

    /// The reply to a question for an address, when the server replies to all that
    /// it is asked with `answer`.
    async fn replied(validator: &Validator, answer: impl Fn(Message) -> Message) -> Message {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = socket.local_addr().unwrap();
        let serve = async {
            let mut bytes = [0; 1024];
            loop {
                let (count, from) = socket.recv_from(&mut bytes).await.unwrap();
                let question = Message::from_vec(&bytes[..count]).unwrap();
                assert!(question.metadata.checking_disabled);
                assert!(question.edns.as_ref().unwrap().flags().dnssec_ok);
                let reply = answer(question.into_response()).to_vec().unwrap();
                socket.send_to(&reply, from).await.unwrap();
            }
        };
        let mut question = Message::query();
        question.add_query(Query::query(name("mx.dane.test."), RecordType::A));
        let bytes = question.to_vec().unwrap();
        let reply = tokio::select! {
            reply = validator.answer(to, &bytes) => reply.unwrap(),
            () = serve => unreachable!(),
        };
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!(reply.metadata.id, question.metadata.id);
        assert_eq!(reply.queries, question.queries);
        reply
    }

    #[tokio::test]
    async fn what_is_not_signed_below_a_trusted_key_is_a_failure() {
        let reply = replied(&Validator::default(), |mut message| {
            message.metadata.authentic_data = true;
            if message.queries[0].query_type() == RecordType::A {
                message.add_answer(address("mx.dane.test.", Proof::Secure));
            }
            message
        })
        .await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        assert!(!reply.metadata.authentic_data);
        assert!(reply.answers.is_empty());
    }

    #[test]
    fn a_file_without_keys_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        let missing = Validator::with_trust_anchors(&path)
            .unwrap_err()
            .to_string();
        assert!(missing.contains("anchor: No such file"), "{missing}");
        for (text, reason) in [("", "no DNSKEY record"), ("; none\n", "no DNSKEY record")] {
            std::fs::write(&path, text).unwrap();
            let error = Validator::with_trust_anchors(&path)
                .unwrap_err()
                .to_string();
            assert!(error.ends_with(&format!("anchor: {reason}")), "{error}");
        }
        for text in [". IN DNSKEY 257 3", "rubbish", ". IN A 192.0.2.1"] {
            std::fs::write(&path, text).unwrap();
            let error = Validator::with_trust_anchors(&path)
                .unwrap_err()
                .to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
