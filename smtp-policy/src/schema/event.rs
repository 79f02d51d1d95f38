//! Events.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    event::{Event, Level, Note},
    report::{LogText, Notice, Relay, TlsResult},
    server::ConnectError,
    survey::Finding,
    tables::TableFailure,
    tls::Problem,
};

#[derive(Serialize)]
struct NoteEntry<'a> {
    level: Level,
    log: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let entry = NoteEntry {
            level: self.level(),
            log: self.to_string(),
            event: &self.event,
        };
        entry.serialize(to)
    }
}

/// Writes values as their `Display`.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

texts!(
    ConnectError,
    Finding,
    Level,
    LogText,
    Problem,
    Relay,
    TableFailure
);

impl Serialize for TlsResult {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let failure = self.failure.map(crate::report::ResultType::as_str);
        let mut result = to.serialize_struct("TlsResult", 4)?;
        result.serialize_field("policy", self.policy.as_str())?;
        result.serialize_field("domain", &self.domain)?;
        result.serialize_field("mx_host", &self.mx_host)?;
        result.serialize_field("failure", &failure)?;
        result.end()
    }
}

impl Serialize for Notice {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut notice = to.serialize_struct("Notice", 7)?;
        notice.serialize_field("protocol", &self.protocol)?;
        notice.serialize_field("mail_name", &self.mail_name)?;
        notice.serialize_field("sender", &self.sender)?;
        notice.serialize_field("from", &self.from)?;
        notice.serialize_field("recipient", &self.recipient)?;
        notice.serialize_field("relay", &self.relay)?;
        notice.serialize_field("transcript", &self.transcript)?;
        notice.end()
    }
}
