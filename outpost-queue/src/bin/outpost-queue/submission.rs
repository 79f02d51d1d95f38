//! From an envelope and a message to what the queue takes.

use bytes::{Bytes, BytesMut};
use outpost::{
    Envelope, Message, TextSource,
    message::Text,
    smtp_policy::{Protocol, request::Nexthop},
};
use outpost_queue::{
    model::{DestinationName, MessageId},
    operation::{Addressee, Append, Begin, Submission, SubmissionKey, Submit, Submitted},
    store::{CHUNK, Store},
};

use crate::{
    exit::{Exit, Failure, OrExit},
    settings::Settings,
};

/// The number of bytes of a text that go into one transaction.
const AT_ONCE: usize = 4 * CHUNK;

/// The way of a message out of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The protocol that is spoken.
    pub(crate) protocol: Protocol,
    /// The next hop of all recipients; none: the domain of each.
    pub(crate) nexthop: Option<Nexthop>,
}

/// Puts messages into the queue, all or none.
///
/// # Errors
/// A recipient has no domain that mail can go to; a text cannot be read; the store says no.
pub(crate) async fn submit(
    store: &impl Store,
    messages: Vec<(Envelope, Message)>,
    route: &Route,
    settings: &Settings,
) -> Result<Vec<MessageId>, Failure> {
    let mut submissions = Vec::with_capacity(messages.len());
    for (envelope, message) in messages {
        let (mut text, facts) = message.into_parts();
        let mut recipients = Vec::with_capacity(envelope.recipients.len());
        for recipient in &envelope.recipients {
            let nexthop = nexthop(route, recipient.address.domain())
                .map_err(|why| format!("recipient '{}': {why}", recipient.address))
                .map_err(|why| Failure::new(Exit::Usage, why))?;
            recipients.push(Addressee {
                destination: DestinationName::new(route.protocol, &nexthop),
                recipient: recipient.clone(),
            });
        }
        let any = Nexthop::parse("localhost").or_exit(Exit::Software)?;
        let mut request = envelope.request(route.protocol, any, &facts);
        request.smtputf8 &= settings.smtputf8;
        let limit = settings.recipient_limit;
        let submission = Submission::of_request(&request, recipients, limit);
        let mut submission = submission.or_exit(Exit::Software)?;
        submission.text = keep(store, &mut text).await?;
        submissions.push(submission);
    }
    let key = SubmissionKey::random();
    Ok(store.run(Submit { key, submissions }).await?)
}

fn nexthop(route: &Route, domain: Option<&str>) -> Result<Nexthop, String> {
    match (&route.nexthop, domain) {
        (_, None | Some("")) => Err("there is no domain".to_owned()),
        (Some(nexthop), _) => Ok(nexthop.clone()),
        (None, Some(domain)) => Nexthop::parse(domain).map_err(|why| why.to_string()),
    }
}

/// The text as it goes along with the message, or its name if it was written before, since it is big.
async fn keep(store: &impl Store, text: &mut Text) -> Result<Submitted, Failure> {
    let first = read(text, 0)?;
    if first.len() < AT_ONCE {
        return Ok(Submitted::Text(first));
    }
    let message = store.run(Begin).await?;
    let (mut size, mut piece) = (0, first);
    while !piece.is_empty() {
        let number = u32::try_from(size / CHUNK as u64).or_exit(Exit::Data)?;
        size += piece.len() as u64;
        let append = Append {
            message,
            number,
            text: piece,
        };
        store.run(append).await?;
        piece = read(text, size)?;
    }
    Ok(Submitted::Before(message, size))
}

/// The bytes from an offset on: as many as go into one transaction, fewer only at the end.
fn read(text: &mut Text, offset: u64) -> Result<Bytes, Failure> {
    let mut piece = BytesMut::new();
    while piece.len() < AT_ONCE {
        let room = AT_ONCE - piece.len();
        let chunk = text
            .read(offset + piece.len() as u64, room)
            .or_exit(Exit::Data)?;
        if chunk.is_empty() {
            break;
        }
        piece.extend_from_slice(&chunk);
    }
    Ok(piece.freeze())
}
