//! request.json: several requests, in the order in which they begin.
//!
//! The file is `{"protocol": "smtp" | "lmtp", "requests": [...]}`. A request that
//! cannot be understood does not keep the others from being delivered.

use std::{fs::File, path::Path, str::FromStr, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    request::{
        CacheHints, ClientInfo, ClientSource, DeliveryFlags, Encoding, QueueId, Recipient, Request,
        TextError, TlsWish,
    },
};
use smtp_proto::{
    address::{Address, ReversePath},
    dsn::{Notify, Ret},
};

use crate::{
    fields::{Fault, Fields, kind},
    job::{Job, encoding_of},
    message::Message,
    size::SizeLimit,
};

/// The most that a file of requests may have.
const LIMIT: SizeLimit = SizeLimit::mebibytes(256);

/// Reads a file of requests.
///
/// # Errors
/// The file cannot be read or is not JSON of the right shape. What is wrong
/// with a single request stands in its place in the list.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<Result<Job, Fault>>> {
    let name = path.display();
    let text = File::open(path)
        .and_then(|file| LIMIT.read(file))
        .with_context(|| format!("cannot read {name}"))?;
    let value: Value =
        serde_json::from_slice(&text).with_context(|| format!("{name} is not valid JSON"))?;
    read_all(&value, &name.to_string()).map_err(anyhow::Error::from)
}

fn read_all(value: &Value, name: &str) -> Result<Vec<Result<Job, Fault>>, Fault> {
    let mut fields = Fields::of(value, name)?;
    let protocol = match fields.text("protocol")? {
        None | Some("smtp") => Protocol::Smtp,
        Some("lmtp") => Protocol::Lmtp,
        Some(other) => return Err(fields.fault("protocol", neither(other, "smtp", "lmtp"))),
    };
    let requests = fields.list("requests")?;
    let requests = fields.required("requests", requests)?;
    fields.finish()?;
    Ok(requests
        .iter()
        .zip(1..)
        .map(|(value, number)| read_one(value, protocol, name, number))
        .collect())
}

fn read_one(value: &Value, protocol: Protocol, name: &str, number: u32) -> Result<Job, Fault> {
    let mut fields = Fields::of(value, format!("{name}: request {number}"))?;
    let nexthop = checked(&mut fields, "nexthop")?;
    let nexthop = fields.required("nexthop", nexthop)?;
    let sender = fields.text("sender")?.unwrap_or_default();
    let sender = ReversePath::parse(sender).map_err(|error| fields.fault("sender", error))?;
    let recipients = recipients(&mut fields)?;
    let message = message(&mut fields)?;

    let mut request = Request::new(protocol, nexthop, sender, recipients);
    request.id = match checked(&mut fields, "id")? {
        Some(id) => id,
        None => QueueId::parse(format!("R{number}")).map_err(|why| fields.fault("id", why))?,
    };
    request.envid = checked(&mut fields, "envid")?;
    request.ret = match fields.text("ret")? {
        None => None,
        Some(ret) => {
            Some(Ret::parse(ret).ok_or_else(|| fields.fault("ret", neither(ret, "FULL", "HDRS")))?)
        }
    };
    request.smtputf8 = fields.flag("smtputf8")?;
    if fields.flag("require_tls")? {
        request.tls = TlsWish::Required;
    }
    request.encoding = match fields.text("encoding")? {
        None => encoding_of(message.facts),
        Some("7bit") => Encoding::SevenBit,
        Some("8bit") => Encoding::EightBit,
        Some(other) => return Err(fields.fault("encoding", neither(other, "7bit", "8bit"))),
    };
    // cleanup(8) of the queue manager that speaks here has seen the text.
    request.stray_cr = StrayCr::Pass;
    request.size = fields.number("size")?;
    request.client = client(&mut fields)?;
    request.flags = flags(&mut fields)?;
    request.probe = fields.flag("probe")?;
    request.cache = cache(&mut fields)?;
    request.age = Duration::from_secs(fields.number("age")?.unwrap_or(0));
    let pause = Duration::from_millis(fields.number("pause_ms")?.unwrap_or(0));
    fields.finish()?;
    Ok(Job {
        // The requests of a file are what a queue manager would hand over.
        whole: true,
        pause,
        ..Job::new(request, message)
    })
}

fn recipients(fields: &mut Fields<'_>) -> Result<Vec<Recipient>, Fault> {
    let list = fields.list("recipients")?;
    let list = fields.required("recipients", list)?;
    if list.is_empty() {
        return Err(fields.fault("recipients", "there is none"));
    }
    let at = fields.at().to_owned();
    list.iter()
        .zip(1..)
        .map(|(value, number)| recipient(value, format!("{at}: recipient {number}")))
        .collect()
}

fn recipient(value: &Value, at: String) -> Result<Recipient, Fault> {
    let mut fields = Fields::of(value, at)?;
    let address = fields.text("address")?;
    let address = fields.required("address", address)?;
    let address = Address::parse(address).map_err(|error| fields.fault("address", error))?;
    let mut recipient = Recipient::new(address);
    recipient.original = checked(&mut fields, "original")?;
    recipient.orcpt = checked(&mut fields, "orcpt")?;
    if let Some(notify) = fields.text("notify")? {
        recipient.notify = Notify::parse(notify).ok_or_else(|| {
            let what = "is not NEVER or a list of SUCCESS, FAILURE, DELAY";
            fields.fault("notify", format!("\"{notify}\" {what}"))
        })?;
    }
    fields.finish()?;
    Ok(recipient)
}

fn message(fields: &mut Fields<'_>) -> Result<Message, Fault> {
    let text = fields.text("message_base64")?;
    let text = fields.required("message_base64", text)?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| fields.fault("message_base64", error))?;
    Ok(Message::exact(bytes))
}

fn client(fields: &mut Fields<'_>) -> Result<Option<ClientInfo>, Fault> {
    let Some(mut client) = fields.object("client")? else {
        return Ok(None);
    };
    let mut value = |key| checked(&mut client, key).map(Option::unwrap_or_default);
    let info = ClientInfo {
        name: value("name")?,
        address: value("address")?,
        port: value("port")?,
        proto: value("proto")?,
        helo: value("helo")?,
        ident: value("ident")?,
        source: match client.text("source")? {
            None | Some("") => None,
            Some("local") => Some(ClientSource::Local),
            Some("remote") => Some(ClientSource::Remote),
            Some(other) => return Err(client.fault("source", neither(other, "local", "remote"))),
        },
    };
    client.finish()?;
    Ok(Some(info))
}

/// A text that has a rule of its own. Where it cannot be empty, an empty one says the
/// same as none.
fn checked<T: FromStr<Err = TextError>>(
    fields: &mut Fields<'_>,
    key: &'static str,
) -> Result<Option<T>, Fault> {
    match fields.text(key)? {
        None => Ok(None),
        Some("") => Ok("".parse().ok()),
        Some(text) => text.parse().map(Some).map_err(|why| fields.fault(key, why)),
    }
}

fn flags(fields: &mut Fields<'_>) -> Result<DeliveryFlags, Fault> {
    let mut flags = DeliveryFlags::default();
    for letter in fields.text("flags")?.unwrap_or_default().chars() {
        match letter {
            'D' => flags.delivered_to = true,
            'O' => flags.original_to = true,
            'R' => flags.return_path = true,
            'X' => flags.final_delivery = true,
            other => {
                let what = format!("unknown letter \"{other}\" (known are D, O, R, X)");
                return Err(fields.fault("flags", what));
            }
        }
    }
    Ok(flags)
}

fn cache(fields: &mut Fields<'_>) -> Result<CacheHints, Fault> {
    let mut hints = CacheHints::default();
    for hint in fields.list("connection_cache")?.unwrap_or_default() {
        match hint.as_str() {
            Some("load") => hints.load = true,
            Some("store") => hints.store = true,
            Some(other) => {
                return Err(fields.fault("connection_cache", neither(other, "load", "store")));
            }
            None => {
                let what = format!("expected texts in the list, found {}", kind(hint));
                return Err(fields.fault("connection_cache", what));
            }
        }
    }
    Ok(hints)
}

fn neither(found: &str, one: &str, other: &str) -> String {
    format!("\"{found}\" is neither \"{one}\" nor \"{other}\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full() -> Value {
        json!({
            "nexthop": "[mx.example.com]:25", "sender": "s@example.org",
            "recipients": [{ "address": "r@example.com", "original": "o@example.com",
                             "orcpt": "rfc822;o@example.com", "notify": "SUCCESS,DELAY" }],
            "envid": "e", "ret": "HDRS", "smtputf8": true, "encoding": "8bit",
            "message_base64": "QTogYgoKeAo=", "size": 77,
            "client": { "name": "n", "address": "192.0.2.1", "port": "25", "proto": "ESMTP",
                        "helo": "h", "ident": "i", "source": "remote" },
            "flags": "DOR", "probe": true, "connection_cache": ["store", "load"],
            "age": 400, "pause_ms": 5
        })
    }

    fn one(value: &Value) -> Result<Job, String> {
        let file = json!({ "protocol": "lmtp", "requests": [value] });
        read_all(&file, "r.json")
            .unwrap()
            .remove(0)
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn every_key_reaches_the_request() {
        let job = one(&full()).unwrap();
        let request = job.request;
        assert_eq!(request.protocol, Protocol::Lmtp);
        assert_eq!(request.nexthop, "[mx.example.com]:25");
        assert_eq!(request.sender.as_str(), "s@example.org");
        let rcpt = &request.recipients[0];
        assert_eq!(rcpt.address.as_str(), "r@example.com");
        assert_eq!(rcpt.original.as_deref(), Some("o@example.com"));
        assert_eq!(rcpt.orcpt, "rfc822;o@example.com".parse().ok());
        assert!(rcpt.notify.contains(Notify::SUCCESS) && rcpt.notify.contains(Notify::DELAY));
        assert!(!rcpt.notify.contains(Notify::FAILURE));
        assert_eq!(request.envid.as_deref(), Some("e"));
        assert_eq!(request.ret, Some(Ret::Hdrs));
        assert!(request.smtputf8 && request.probe && !request.header_utf8);
        assert_eq!(request.encoding, Encoding::EightBit);
        assert_eq!(request.size, Some(77));
        let client = request.client.unwrap();
        assert_eq!(
            (client.name.as_str(), client.source),
            ("n", Some(ClientSource::Remote))
        );
        let flags = request.flags;
        assert!(flags.delivered_to && flags.original_to && flags.return_path);
        assert!(!flags.final_delivery);
        assert!(request.cache.load && request.cache.store);
        assert_eq!(request.age, Duration::from_secs(400));
        assert_eq!(job.pause, Duration::from_millis(5));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let job = one(
            &json!({ "nexthop": "x", "recipients": [{ "address": "r@x" }],
                               "message_base64": "w7wK" }),
        )
        .unwrap();
        assert_eq!(job.request.sender, ReversePath::Null);
        assert_eq!(job.request.encoding, Encoding::EightBit);
        assert_eq!(job.request.size, Some(4));
        assert_eq!(job.length, 3);
        assert_eq!(job.request.id, "R1");
    }

    #[test]
    fn a_fault_names_file_request_and_key() {
        let cases = [
            (
                "nexthop",
                json!(7),
                "key \"nexthop\": expected a text, found a number",
            ),
            ("sender", json!("a\nb"), "key \"sender\": "),
            ("recipients", json!([]), "key \"recipients\": there is none"),
            (
                "recipients",
                json!([7]),
                "recipient 1: expected an object, found a number",
            ),
            (
                "recipients",
                json!([{ "address": "" }]),
                "recipient 1: key \"address\": ",
            ),
            (
                "recipients",
                json!([{ "adress": "a@b" }]),
                "recipient 1: key \"address\" is missing",
            ),
            (
                "recipients",
                json!([{ "address": "a@b", "notify": "SOMETIMES" }]),
                "recipient 1: key \"notify\": \"SOMETIMES\" is not NEVER or a list",
            ),
            (
                "recipients",
                json!([{ "address": "a@b", "orcpt": "a@b" }]),
                "recipient 1: key \"orcpt\": the text of ORCPT is not type;address",
            ),
            (
                "ret",
                json!("ALL"),
                "key \"ret\": \"ALL\" is neither \"FULL\" nor \"HDRS\"",
            ),
            (
                "encoding",
                json!("9bit"),
                "key \"encoding\": \"9bit\" is neither",
            ),
            ("message_base64", json!("?"), "key \"message_base64\": "),
            (
                "size",
                json!(-1),
                "key \"size\": expected a whole number from 0 on",
            ),
            (
                "client",
                json!({ "nom": "x" }),
                "client: unknown key \"nom\"",
            ),
            (
                "client",
                json!({ "source": "here" }),
                "client: key \"source\": \"here\"",
            ),
            ("flags", json!("DZ"), "key \"flags\": unknown letter \"Z\""),
            (
                "probe",
                json!("yes"),
                "key \"probe\": expected true or false, found a text",
            ),
            (
                "connection_cache",
                json!(["keep"]),
                "key \"connection_cache\": \"keep\"",
            ),
            (
                "connection_cache",
                json!([1]),
                "key \"connection_cache\": expected texts",
            ),
            ("colour", json!(1), "unknown key \"colour\""),
        ];
        for (key, value, said) in cases {
            let mut request = full();
            request[key] = value;
            let fault = one(&request).unwrap_err();
            let wanted = format!("r.json: request 1: {said}");
            assert!(
                fault.starts_with(&wanted),
                "{key}: {fault:?} does not begin with {wanted:?}"
            );
        }
    }

    #[test]
    fn the_file_itself_must_have_the_right_shape() {
        for (file, said) in [
            (json!([]), "r.json: expected an object, found a list"),
            (
                json!({ "protocol": "http", "requests": [] }),
                "r.json: key \"protocol\": \"http\"",
            ),
            (
                json!({ "protocol": "smtp" }),
                "r.json: key \"requests\" is missing",
            ),
            (
                json!({ "requests": [], "request": 1 }),
                "r.json: unknown key \"request\"",
            ),
        ] {
            let fault = read_all(&file, "r.json").unwrap_err().to_string();
            assert!(fault.starts_with(said), "{fault:?}");
        }
    }
}
