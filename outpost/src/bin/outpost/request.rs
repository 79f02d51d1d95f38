//! request.json: several requests, in the order in which they begin.
//!
//! The file is `{"protocol": "smtp" | "lmtp", "requests": [...]}`. A request is what
//! [`smtp_policy::schema`] says, with the message (`message_base64`) and the pause before it
//! (`pause_ms`). One that cannot be understood does not keep the others from being
//! delivered.

use std::{fmt, fs::File, path::Path, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use outpost::{Message, SizeLimit};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use smtp_policy::{
    Protocol,
    report::LogText,
    request::{Encoding, Request},
};

use crate::job::Job;

/// The most that a file of requests may have.
const LIMIT: SizeLimit = SizeLimit::mebibytes(256);

/// A fault of a request or of the file, and its place: one line, which may quote the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(LogText);

impl Fault {
    /// A fault of what has this name.
    pub(crate) fn new(at: &str, what: impl fmt::Display) -> Self {
        Self(format!("{at}: {what}").into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

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
    read_all(value, &name.to_string()).map_err(anyhow::Error::from)
}

/// The file; each request is read by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    protocol: Option<Value>,
    requests: Vec<Value>,
}

fn read_all(value: Value, name: &str) -> Result<Vec<Result<Job, Fault>>, Fault> {
    if !value.is_object() {
        return Err(Fault::new(name, "expected an object"));
    }
    let fault = |why: serde_json::Error| Fault::new(name, why);
    let file: RequestFile = serde_json::from_value(value).map_err(fault)?;
    let protocol = match file.protocol {
        Some(protocol) => field(name, "protocol", protocol)?,
        None => Protocol::Smtp,
    };
    Ok(file
        .requests
        .into_iter()
        .zip(1..)
        .map(|(value, number)| {
            read_one(
                value,
                protocol,
                &format!("{name}: request {number}"),
                number,
            )
        })
        .collect())
}

/// Reads one request. What the schema leaves open is what a queue manager would say that
/// hands it over.
fn read_one(value: Value, protocol: Protocol, at: &str, number: u32) -> Result<Job, Fault> {
    let Value::Object(mut map) = value else {
        return Err(Fault::new(at, "expected an object"));
    };
    let text: Option<String> = take(&mut map, at, "message_base64")?;
    let text = text.ok_or_else(|| Fault::new(at, "missing field `message_base64`"))?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|why| Fault::new(at, format!("key \"message_base64\": {why}")))?;
    let message = Message::exact(bytes);
    let pause = take(&mut map, at, "pause_ms")?.unwrap_or(0);
    map.entry("protocol").or_insert(protocol.as_str().into());
    map.entry("id").or_insert(format!("R{number}").into());
    // cleanup(8) of the queue manager that speaks here has seen the text.
    map.entry("stray_cr").or_insert("pass".into());
    let mut request: Request =
        serde_json::from_value(Value::Object(map)).map_err(|why| Fault::new(at, why))?;
    if request.encoding == Encoding::Unknown {
        request.encoding = message.facts().encoding();
    }
    Ok(Job {
        // The requests of a file are what a queue manager would hand over.
        whole: true,
        pause: Duration::from_millis(pause),
        ..Job::new(request, message)
    })
}

fn take<T: DeserializeOwned>(
    map: &mut Map<String, Value>,
    at: &str,
    key: &'static str,
) -> Result<Option<T>, Fault> {
    map.remove(key)
        .map(|value| field(at, key, value))
        .transpose()
}

fn field<T: DeserializeOwned>(at: &str, key: &str, value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|why| Fault::new(at, format!("key \"{key}\": {why}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;
    use smtp_policy::request::ClientSource;
    use smtp_proto::{
        address::ReversePath,
        dsn::{Notify, Ret},
    };

    use super::*;

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
        read_all(file, "r.json")
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
                "key \"nexthop\": invalid type: integer `7`, expected a text",
            ),
            (
                "recipients",
                json!([{ "address": "" }]),
                "key \"recipients\": recipient 1: key \"address\": ",
            ),
            (
                "message_base64",
                json!(7),
                "key \"message_base64\": invalid type: integer",
            ),
            ("message_base64", json!("?"), "key \"message_base64\": "),
            ("pause_ms", json!(-1), "key \"pause_ms\": invalid value"),
            ("colour", json!(1), "unknown field `colour`"),
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
    fn a_request_that_is_no_object_or_has_no_text_is_a_fault() {
        let fault = one(&json!(7)).unwrap_err();
        assert_eq!(fault, "r.json: request 1: expected an object");
        let mut request = full();
        request.as_object_mut().unwrap().remove("message_base64");
        let fault = one(&request).unwrap_err();
        assert_eq!(fault, "r.json: request 1: missing field `message_base64`");
    }

    #[test]
    fn the_file_itself_must_have_the_right_shape() {
        for (file, said) in [
            (json!([]), "r.json: expected an object"),
            (
                json!({ "protocol": "http", "requests": [] }),
                "r.json: key \"protocol\": the protocol is none of smtp, lmtp",
            ),
            (
                json!({ "protocol": "smtp" }),
                "r.json: missing field `requests`",
            ),
            (
                json!({ "requests": [], "request": 1 }),
                "r.json: unknown field `request`",
            ),
        ] {
            let fault = read_all(file, "r.json").unwrap_err().to_string();
            assert!(fault.starts_with(said), "{fault:?}");
        }
    }
}
