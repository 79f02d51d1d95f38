//! Reports.

use core::time::Duration;
use std::{borrow::Cow, net::IpAddr, path::PathBuf, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny},
    ser::SerializeStruct,
};
use smtp_proto::{address::Address, reply::Reply, session::Stage, status::EnhancedStatus};

use super::form::{Checked, Named, Numbered, Text, form, required, word};
use crate::{
    report::{
        Action, Encryption, LogText, Outcome, Relay, Report, Scope, Status, Times, TlsSummary,
    },
    request::{OriginalRecipient, Recipient},
    server::{Endpoint, Server},
    tls::Trust,
};

/// A recipient with its verdict, as an entry of a report: for who writes them one by one.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The recipient.
    pub recipient: &'a Recipient,
    /// The verdict on it.
    pub outcome: &'a Outcome,
}

/// `address` to `report` are Postfix's; what follows is ours.
#[derive(Serialize)]
struct Entry<'a> {
    address: &'a Address,
    status: &'a str,
    dsn: EnhancedStatus,
    relay: &'a Relay,
    text: &'a str,
    /// The action of the success report that this client owes the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
    action: &'a str,
    scope: &'a str,
    uncertain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a Server>,
    connection_uses: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_id: Option<&'a str>,
    tls: Option<TlsEntry<'a>>,
    times: Times,
}

/// The result of TLS; `null` where nothing was tried. The same names as for a probe.
#[derive(Serialize)]
struct TlsEntry<'a> {
    established: bool,
    error: Option<&'a str>,
    version: Option<&'a str>,
    cipher: Option<&'a str>,
    bits: Option<u16>,
    trust: Option<&'a str>,
    problem: Option<&'a str>,
}

impl Serialize for Verdict<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { recipient, outcome } = *self;
        let entry = Entry {
            address: &recipient.address,
            status: outcome.word,
            dsn: outcome.code,
            relay: &outcome.relay,
            text: &outcome.text,
            report: outcome
                .owes_success_report(recipient)
                .then(|| outcome.action.as_str()),
            original: recipient.original.as_deref(),
            action: outcome.action.as_str(),
            scope: outcome.scope.as_str(),
            uncertain: outcome.uncertain,
            host: outcome.relay.host(),
            server: outcome.relay.server().map(|server| &**server),
            connection_uses: outcome.connection_uses,
            stage: outcome.stage,
            reply: outcome.reply.as_ref(),
            queue_id: outcome.remote_queue_id(),
            tls: outcome.encryption.as_ref().and_then(tls),
            times: outcome.times,
        };
        entry.serialize(to)
    }
}

fn tls(encryption: &Encryption) -> Option<TlsEntry<'_>> {
    let (failure, tls) = (encryption.failure(), encryption.tls());
    (failure.is_some() || tls.is_some()).then(|| TlsEntry {
        established: tls.is_some(),
        error: failure,
        version: tls.map(|tls| tls.version),
        cipher: tls.map(|tls| tls.cipher.as_str()),
        bits: tls.map(|tls| tls.bits),
        trust: tls.map(|tls| tls.trust.as_str()),
        problem: tls.and_then(|tls| tls.problem.as_deref()),
    })
}

impl Serialize for TlsSummary {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut tls = to.serialize_struct("TlsSummary", 5)?;
        tls.serialize_field("version", self.version)?;
        tls.serialize_field("cipher", &self.cipher)?;
        tls.serialize_field("bits", &self.bits)?;
        tls.serialize_field("trust", self.trust.as_str())?;
        tls.serialize_field("problem", &self.problem.as_deref())?;
        tls.end()
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut server = to.serialize_struct("Server", 3)?;
        server.serialize_field("host", &self.host)?;
        server.serialize_field("address", &self.address())?;
        server.serialize_field("port", &self.port())?;
        server.end()
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut times = to.serialize_struct("Times", 4)?;
        times.serialize_field("queue", &self.queue.as_secs_f64())?;
        times.serialize_field("setup", &self.setup.as_secs_f64())?;
        times.serialize_field("connection", &self.connection.as_secs_f64())?;
        times.serialize_field("transmission", &self.transmission.as_secs_f64())?;
        times.end()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let entry = |(recipient, outcome)| Verdict { recipient, outcome };
        let entries: Vec<_> = self.recipients.iter().map(|(r, o)| entry((r, o))).collect();
        let mut report = to.serialize_struct("Report", 1)?;
        report.serialize_field("recipients", &entries)?;
        report.end()
    }
}

form!(ReportForm {
    recipients: Numbered<EntryForm>,
});

form!(EntryForm {
    address: Address,
    status: Text,
    dsn: EnhancedStatus,
    relay: Text,
    text: Text,
    report: IgnoredAny,
    original: Checked<OriginalRecipient>,
    action: Text,
    scope: Text,
    uncertain: bool,
    host: IgnoredAny,
    server: ServerForm,
    connection_uses: u32,
    stage: Text,
    reply: ReplyForm,
    queue_id: IgnoredAny,
    tls: Option<TlsForm>,
    times: TimesForm,
});

form!(ServerForm {
    host: Text,
    address: Text,
    port: Option<u16>,
});

form!(ReplyForm {
    code: u16,
    dsn: IgnoredAny,
    lines: Vec<Text>,
});

form!(TlsForm {
    established: bool,
    error: Option<Text>,
    version: Option<Text>,
    cipher: Option<Text>,
    bits: Option<u16>,
    trust: Option<Text>,
    problem: Option<Text>,
});

form!(TimesForm {
    queue: f64,
    setup: f64,
    connection: f64,
    transmission: f64,
});

/// The words of a log line, with the status and the action that go with each.
const WORDS: [(&str, (&str, Status)); 6] = [
    ("sent", ("sent", Status::Sent)),
    ("deferred", ("deferred", Status::Deferred)),
    ("bounced", ("bounced", Status::Bounced)),
    ("SOFTBOUNCE", ("SOFTBOUNCE", Status::Deferred)),
    ("deliverable", ("deliverable", Status::Sent)),
    ("undeliverable", ("undeliverable", Status::Bounced)),
];
const ACTIONS: [(&str, Action); 4] = [
    ("relayed", Action::Relayed),
    ("delivered", Action::Delivered),
    ("failed", Action::Failed),
    ("delayed", Action::Delayed),
];
const SCOPES: [(&str, Scope); 4] = [
    ("session", Scope::Session),
    ("site", Scope::Site),
    ("message", Scope::Message),
    ("recipient", Scope::Recipient),
];
const TRUSTS: [(&str, Trust); 4] = [
    ("Anonymous", Trust::Anonymous),
    ("Untrusted", Trust::Untrusted),
    ("Trusted", Trust::Trusted),
    ("Verified", Trust::Verified),
];
/// The versions that TLS can have here.
const VERSIONS: [(&str, &str); 2] = [("TLSv1.2", "TLSv1.2"), ("TLSv1.3", "TLSv1.3")];
/// The stages, each by the first of its name.
const STAGES: [Stage; 16] = [
    Stage::Banner,
    Stage::Ehlo,
    Stage::Helo,
    Stage::Lhlo,
    Stage::StartTls,
    Stage::TlsHandshake,
    Stage::Auth,
    Stage::XforwardNameAddr,
    Stage::Mail,
    Stage::Rcpt(0),
    Stage::Data,
    Stage::Text,
    Stage::EndOfData,
    Stage::Abort,
    Stage::RsetProbe,
    Stage::Quit,
];

impl Named for EntryForm {
    const NAME: &'static str = "recipient";
}

impl<'de> Deserialize<'de> for Report {
    /// Reads a report. The position of a recipient in its stage is not told, so that it is
    /// zero.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = ReportForm::deserialize(from)?;
        let Numbered(entries) = required("recipients", form.recipients)?;
        let recipients = entries.into_iter().map(EntryForm::read::<D::Error>);
        Ok(Self::new(recipients.collect::<Result<_, _>>()?))
    }
}

impl EntryForm {
    fn read<E: de::Error>(self) -> Result<(Recipient, Outcome), E> {
        let mut recipient = Recipient::new(required("address", self.address)?);
        recipient.original = self.original.and_then(|Checked(original)| original);
        let (name, status) = word(&required("status", self.status)?, &WORDS)?;
        let text = required("text", self.text)?.0;
        let mut outcome = Outcome::new(status, required("dsn", self.dsn)?, text);
        outcome.word = name;
        outcome.relay = relay(&required("relay", self.relay)?.0, self.server)?;
        if let Some(action) = self.action {
            outcome.action = word(&action, &ACTIONS)?;
        }
        if let Some(scope) = self.scope {
            outcome.scope = word(&scope, &SCOPES)?;
        }
        outcome.uncertain = self.uncertain.unwrap_or_default();
        outcome.connection_uses = self.connection_uses.unwrap_or_default();
        outcome.stage = self.stage.map(|Text(name)| stage(&name)).transpose()?;
        outcome.reply = self.reply.map(ReplyForm::read).transpose()?;
        outcome.encryption = match self.tls.flatten() {
            Some(tls) => Some(tls.read()?),
            None => outcome.relay.server().map(|_| Encryption::default()),
        };
        outcome.times = self
            .times
            .map(TimesForm::read)
            .transpose()?
            .unwrap_or_default();
        Ok((recipient, outcome))
    }
}

fn relay<E: de::Error>(text: &str, server: Option<ServerForm>) -> Result<Relay, E> {
    Ok(match (server, text) {
        (Some(server), _) => Relay::Server(Arc::new(server.read()?)),
        (None, "none") => Relay::None,
        (None, name) => {
            let service = name.parse();
            let unknown = |_| E::custom(format_args!("relay \"{name}\" has no key \"server\""));
            Relay::Service(service.map_err(unknown)?)
        }
    })
}

fn stage<E: de::Error>(name: &str) -> Result<Stage, E> {
    let found = STAGES.into_iter().find(|stage| stage.as_str() == name);
    found.ok_or_else(|| E::custom(format_args!("\"{name}\" is no stage")))
}

impl ServerForm {
    fn read<E: de::Error>(self) -> Result<Server, E> {
        let (host, address) = (
            required("host", self.host)?.0,
            required("address", self.address)?.0,
        );
        let endpoint = match self.port.flatten() {
            Some(port) => {
                let address: IpAddr = address.parse().map_err(E::custom)?;
                Endpoint::Inet((address, port).into())
            }
            None => Endpoint::Unix(PathBuf::from(address)),
        };
        Ok(Server::new(host, endpoint))
    }
}

impl ReplyForm {
    fn read<E: de::Error>(self) -> Result<Reply, E> {
        let lines: Vec<String> = required("lines", self.lines)?
            .into_iter()
            .map(|Text(line)| line)
            .collect();
        Ok(Reply::new(required("code", self.code)?, lines.join("\n")))
    }
}

impl TlsForm {
    fn read<E: de::Error>(self) -> Result<Encryption, E> {
        let text = |field: Option<Option<Text>>| field.flatten().map(|Text(text)| text);
        let error = text(self.error).map(LogText::from);
        if !self.established.unwrap_or_default() {
            return Ok(match error {
                Some(why) => Encryption::Failed(why),
                None => Encryption::default(),
            });
        }
        let version = required("version", self.version.flatten())?;
        let trust = required("trust", self.trust.flatten())?;
        let mut tls = TlsSummary::new(
            word(&version, &VERSIONS)?,
            required("cipher", text(self.cipher))?,
            required("bits", self.bits.flatten())?,
            word(&trust, &TRUSTS)?,
        );
        tls.problem = text(self.problem).map(LogText::from);
        Ok(Encryption::Tls(Arc::new(tls)))
    }
}

impl TimesForm {
    fn read<E: de::Error>(self) -> Result<Times, E> {
        let seconds = |value: Option<f64>| {
            Duration::try_from_secs_f64(value.unwrap_or_default()).map_err(E::custom)
        };
        Ok(Times {
            queue: seconds(self.queue)?,
            setup: seconds(self.setup)?,
            connection: seconds(self.connection)?,
            transmission: seconds(self.transmission)?,
        })
    }
}
