//! Scenarios: recorded cases of what the Postfix SMTP/LMTP client does. This is
//! the data model and the loader; it interprets nothing.
//!
//! The format is described in `smtp-sim/scenarios/README.md`. A scenario says how
//! the client is configured, what DNS and the servers answer, what is to be
//! delivered, and what was observed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use smtp_proto::Protocol;

use crate::dns_server::ZoneEntry;
pub use crate::request::{policy, results, to_request};

/// The word that stands for the directory of `main.cf` in parameter values,
/// next hops, names of UNIX-domain endpoints, and in what is compared.
pub const CONFIG_DIRECTORY: &str = "${config_directory}";

/// One recorded case.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    /// The name, which is also the name of its file.
    pub name: String,
    /// The rule that the case pins down, in one sentence.
    #[serde(default)]
    pub about: String,
    /// Which of the two clients delivers.
    #[serde(default, deserialize_with = "protocol")]
    pub protocol: Protocol,
    /// The `main.cf` settings, by parameter name.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Tables and PEM files, by file name.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The DNS zone, by name; see [`crate::dns_server`].
    #[serde(default)]
    pub dns: BTreeMap<String, ZoneEntry>,
    /// The scripts of the servers, by endpoint; see [`Endpoint`].
    #[serde(default)]
    pub servers: BTreeMap<String, ServerScript>,
    /// What to deliver, one after the other.
    pub requests: Vec<RequestSpec>,
    /// What Postfix did.
    #[serde(default)]
    pub expect: Picture,
    /// Whether the order of the sessions is left out of the comparison.
    #[serde(default)]
    pub unordered_sessions: bool,
    /// Paths that are not compared, such as `recipients[0][1].text`.
    #[serde(default)]
    pub ignore: Vec<String>,
}

/// What one scripted server does; see [`crate::server`].
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ServerScript {
    /// The host name in the default greeting and EHLO reply; absent: `server.example`.
    pub name: Option<String>,
    /// The lines after the first of the EHLO or LHLO reply.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// The same inside TLS; absent: `extensions` without STARTTLS.
    pub tls_extensions: Option<Vec<String>>,
    /// Deviations from the default behaviour; the first that fits is used.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Certificates and demands of the TLS server; absent: no TLS.
    pub tls: Option<TlsScript>,
    /// Whether the TLS handshake comes right after the connection.
    #[serde(default)]
    pub wrapper_tls: bool,
    /// `stall`: the port is open, but connection attempts get no answer.
    pub accept: Option<Accept>,
    /// After this many connections the port is closed; absent: never.
    pub max_sessions: Option<u32>,
    /// Whether the transcript begins with the client's source address.
    #[serde(default)]
    pub record_peer: bool,
    /// Whether the transcript shows a pause before the final dot.
    #[serde(default)]
    pub note_pause: bool,
    /// The protocol of this server; absent: that of the scenario.
    #[serde(default, deserialize_with = "own_protocol")]
    pub protocol: Option<Protocol>,
}

/// How an endpoint takes connections when it does not simply accept them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// The queue of waiting connections is full: no answer at all.
    Stall,
}

/// The TLS side of a scripted server. All certificates and keys are PEM text.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TlsScript {
    /// The server certificate, followed by its intermediates.
    #[serde(default)]
    pub certificate: String,
    /// The private key of the certificate.
    #[serde(default)]
    pub key: String,
    /// Other certificates by server name indication.
    #[serde(default)]
    pub by_sni: BTreeMap<String, KeyPair>,
    /// The authority of client certificates; present: the server asks for one.
    pub client_ca: Option<String>,
    /// `require`: a client without a certificate is turned away.
    pub client_certificate: Option<String>,
    /// The lowest protocol version, such as `TLSv1.2`.
    pub min_version: Option<String>,
    /// The highest protocol version.
    pub max_version: Option<String>,
    /// The cipher list, in OpenSSL's words.
    pub ciphers: Option<String>,
}

/// A certificate chain and its private key, as PEM text.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct KeyPair {
    /// The certificate, followed by its intermediates.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// One deviation of a scripted server; all conditions that are given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Rule {
    /// The event: `CONNECT`, a verb, `.` (end of content), `RESPONSE`.
    pub on: String,
    /// Only the n-th such event of the connection, counted from 1.
    pub nth: Option<u32>,
    /// Only on the n-th connection to this endpoint, counted from 1.
    pub session: Option<u32>,
    /// Only if the line is exactly this.
    pub line: Option<String>,
    /// Only if the line holds this text, in any case.
    pub contains: Option<String>,
    /// Only inside (true) or outside (false) TLS.
    pub tls: Option<bool>,
    /// The lines of the reply; an empty list: no reply; absent: the default reply.
    pub reply: Option<Vec<String>>,
    /// Bytes to send after, or instead of, the reply.
    pub raw_base64: Option<String>,
    /// How long to wait before the reply, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Byte offsets at which the reply is cut into separate writes.
    #[serde(default)]
    pub chunks: Vec<usize>,
    /// The pause between these writes in milliseconds; absent: 30.
    pub chunk_gap_ms: Option<u64>,
    /// What follows the reply.
    pub then: Option<Then>,
    /// On DATA: stop in the middle of the content.
    pub stop_data: Option<StopData>,
    /// On DATA: take no content.
    #[serde(default)]
    pub stop_reading: bool,
}

/// What a scripted server does after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Close the connection.
    Close,
    /// Reset the connection.
    Reset,
    /// Answer nothing more until the client gives up.
    Silent,
    /// On STARTTLS: answer the first TLS bytes with a line of text, then close.
    Garbage,
}

/// Where a scripted server stops taking content.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StopData {
    /// After this many bytes of content.
    pub after_bytes: usize,
    /// What to say before the connection is closed.
    #[serde(default)]
    pub reply: Vec<String>,
}

/// One delivery of a scenario, with its text.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RequestSpec {
    /// The message text with lines ended by LF, in base64.
    #[serde(default)]
    pub message_base64: String,
    /// How long to wait before the request, in milliseconds.
    #[serde(default)]
    pub pause_ms: u64,
    /// All other fields: a request in its [serialized form](smtp_policy::schema).
    #[serde(flatten)]
    pub request: Map<String, Value>,
}

/// What is compared of a run: sessions as the servers saw them, and results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// The connections in the order in which the servers accepted them.
    #[serde(default)]
    pub sessions: Vec<SessionRecord>,
    /// The results for each recipient of each request.
    #[serde(default)]
    pub recipients: Vec<Vec<RecipientResult>>,
}

/// What one server saw on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The endpoint, as the scenario names it.
    pub server: String,
    /// Kind (`S`, `C`, `R`, `T`, `X`, `P`, `D`) and text of each entry.
    pub transcript: Vec<(String, String)>,
    /// The verbs of the client's commands, grouped as they arrived.
    #[serde(default)]
    pub pipeline_groups: Vec<Vec<String>>,
    /// The content of each message that came to its end, as sent, in base64.
    #[serde(default)]
    pub data_base64: Vec<String>,
}

/// The result for one recipient, in Postfix's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientResult {
    /// The recipient address.
    pub address: String,
    /// `sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable`, `undeliverable`.
    pub status: String,
    /// The enhanced status code.
    pub dsn: String,
    /// `name[address]:port` or `none`.
    pub relay: String,
    /// The reply or reason as Postfix logs it in parentheses.
    pub text: String,
    /// `relayed` or `delivered`, where the client itself reports success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// Reads `smtp` or `lmtp`.
fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<Protocol, D::Error> {
    let word = String::deserialize(from)?;
    let known = Protocol::ALL
        .into_iter()
        .find(|known| known.as_str() == word);
    known.ok_or_else(|| D::Error::unknown_variant(&word, &["smtp", "lmtp"]))
}

fn own_protocol<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Protocol>, D::Error> {
    protocol(from).map(Some)
}

/// Why a scenario could not be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file or folder could not be read.
    Read(PathBuf, io::Error),
    /// The file is not a scenario.
    Format(PathBuf, serde_json::Error),
    /// A request is not acceptable: which value, and why.
    Request(serde_json::Error),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => write!(f, "cannot read {}", path.display()),
            Self::Format(path, _) => write!(f, "{} is not a scenario", path.display()),
            Self::Request(why) => write!(f, "the request is not acceptable: {why}"),
        }
    }
}

impl std::error::Error for ScenarioError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Format(_, error) | Self::Request(error) => Some(error),
        }
    }
}

/// Loads one scenario file.
pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    let text = std::fs::read(path).map_err(|error| ScenarioError::Read(path.to_owned(), error))?;
    serde_json::from_slice(&text).map_err(|error| ScenarioError::Format(path.to_owned(), error))
}

/// Loads every `*.json` file of a folder, ordered by file name.
pub fn load_all(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let failed = |error| ScenarioError::Read(folder.to_owned(), error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

/// The folder with the recordings that belong to this crate.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// The names in the file `PENDING` of a folder: scenarios that cannot pass yet,
/// one per line. Empty lines and lines that begin with `#` are skipped.
pub fn pending(folder: &Path) -> Result<Vec<String>, ScenarioError> {
    let path = folder.join("PENDING");
    let text = std::fs::read_to_string(&path).map_err(|e| ScenarioError::Read(path, e))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// Writes `main.cf` and the files of a scenario into `dir`.
pub fn write_inputs(scenario: &Scenario, dir: &Path) -> io::Result<()> {
    std::fs::write(dir.join("main.cf"), main_cf(scenario))?;
    for (name, text) in &scenario.files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// The settings of a scenario as the text of a `main.cf` file.
pub fn main_cf(scenario: &Scenario) -> String {
    let mut text = String::new();
    for (name, value) in &scenario.params {
        text.push_str(name);
        text.push_str(" = ");
        text.push_str(&value.replace('\n', "\n    "));
        text.push('\n');
    }
    text
}

impl RequestSpec {
    /// The message text; empty if the base64 text is not valid.
    pub fn message(&self) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD
            .decode(&self.message_base64)
            .unwrap_or_default()
    }

    /// The size of the text with every line ended by CRLF.
    pub fn wire_size(&self) -> u64 {
        let message = self.message();
        let lines = message.iter().filter(|byte| **byte == b'\n').count();
        let unended = usize::from(message.last().is_some_and(|byte| *byte != b'\n'));
        u64::try_from(message.len() + lines + 2 * unended).unwrap_or(u64::MAX)
    }

    /// Whether a byte above 127 stands before the first empty line of the text.
    pub fn header_utf8(&self) -> bool {
        let message = self.message();
        message
            .split(|byte| *byte == b'\n')
            .take_while(|line| !line.is_empty())
            .any(|line| line.iter().any(|byte| *byte > 127))
    }
}

/// Where a scripted server listens, as the keys of `servers` name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// An address and TCP port.
    Inet(std::net::SocketAddr),
    /// The path of a UNIX-domain socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads `127.0.0.11:10025`, `[::1]:10025` or `unix:PATH`; the directory of
    /// `main.cf` is put in the place of [`CONFIG_DIRECTORY`]. `None`: neither.
    pub fn parse(text: &str, dir: &Path) -> Option<Endpoint> {
        match text.strip_prefix("unix:") {
            Some(path) => Some(Endpoint::Unix(PathBuf::from(in_directory(path, dir)))),
            None => text.parse().ok().map(Endpoint::Inet),
        }
    }
}

/// A text of a scenario with the directory of `main.cf` in its place.
pub fn in_directory(text: &str, dir: &Path) -> String {
    text.replace(CONFIG_DIRECTORY, &dir.to_string_lossy())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_of_the_project_loads_and_is_named_like_its_file() {
        let all = load_all(&folder()).unwrap();
        assert!(all.len() > 300, "{}", all.len());
        for scenario in all {
            assert!(folder().join(format!("{}.json", scenario.name)).exists());
            assert!(!scenario.requests.is_empty(), "{}", scenario.name);
            assert!(!scenario.expect.recipients.is_empty(), "{}", scenario.name);
            for endpoint in scenario.servers.keys() {
                assert!(
                    Endpoint::parse(endpoint, Path::new("/tmp")).is_some(),
                    "{endpoint}"
                );
            }
        }
    }

    #[test]
    fn only_recordings_that_exist_are_pending() {
        for name in pending(&folder()).unwrap() {
            assert!(folder().join(format!("{name}.json")).exists(), "{name}");
        }
    }

    #[test]
    fn the_size_counts_every_line_end_twice_and_completes_the_last_line() {
        let spec = |text: &str| RequestSpec {
            message_base64: base64::engine::general_purpose::STANDARD.encode(text),
            ..RequestSpec::default()
        };
        assert_eq!(spec("a\nb\n").wire_size(), 6);
        assert_eq!(spec("a\nb").wire_size(), 6);
        assert_eq!(spec("").wire_size(), 0);
    }

    #[test]
    fn only_the_header_decides_about_header_utf8() {
        let spec = |text: &str| RequestSpec {
            message_base64: base64::engine::general_purpose::STANDARD.encode(text),
            ..RequestSpec::default()
        };
        assert!(spec("Subject: \u{e4}\n\nx\n").header_utf8());
        assert!(!spec("Subject: a\n\n\u{e4}\n").header_utf8());
    }
}
