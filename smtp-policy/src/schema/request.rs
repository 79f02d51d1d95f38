//! Requests.

use core::time::Duration;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Error},
    ser::SerializeMap,
};
use smtp_proto::{
    address::{Address, ReversePath},
    dsn::{Notify, Ret},
};

use super::form::{Checked, Named, Numbered, Text, form, required, word};
use crate::{
    Protocol,
    line_ends::StrayCr,
    request::{
        CacheHints, ClientInfo, ClientSource, ClientValue, DeliveryFlags, Encoding, EnvelopeId,
        Nexthop, Orcpt, OriginalRecipient, QueueId, Recipient, Request, ServiceName, TlsWish,
    },
};

const ENCODINGS: [(&str, Encoding); 2] =
    [("7bit", Encoding::SevenBit), ("8bit", Encoding::EightBit)];
const STRAY_CRS: [(&str, StrayCr); 3] = [
    ("replace", StrayCr::Replace),
    ("refuse", StrayCr::Refuse),
    ("pass", StrayCr::Pass),
];
const SOURCES: [(&str, Option<ClientSource>); 3] = [
    ("local", Some(ClientSource::Local)),
    ("remote", Some(ClientSource::Remote)),
    ("", None),
];

form!(RequestForm {
    id: Checked<QueueId>,
    protocol: Checked<Protocol>,
    nexthop: Checked<Nexthop>,
    sender: ReversePath,
    recipients: Numbered<Recipient>,
    envid: Checked<EnvelopeId>,
    ret: Ret,
    smtputf8: bool,
    header_utf8: bool,
    encoding: EncodingForm,
    stray_cr: StrayCrForm,
    size: u64,
    client: ClientInfo,
    flags: DeliveryFlags,
    probe: bool,
    connection_cache: CacheHints,
    require_tls: bool,
    waive_tls: bool,
    age: u64,
});

form!(RecipientForm {
    address: Address,
    original: Checked<OriginalRecipient>,
    orcpt: Checked<Orcpt>,
    notify: Notify,
});

form!(ClientForm {
    name: Checked<ClientValue>,
    address: Checked<ClientValue>,
    port: Checked<ClientValue>,
    proto: Checked<ClientValue>,
    helo: Checked<ClientValue>,
    ident: Checked<ClientValue>,
    source: SourceForm,
});

/// Reads a word of a table.
macro_rules! words {
    ($($name:ident($type:ty): $words:expr;)*) => {$(
        struct $name($type);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                word(&Text::deserialize(from)?, &$words).map(Self)
            }
        }
    )*};
}

words! {
    EncodingForm(Encoding): ENCODINGS;
    StrayCrForm(StrayCr): STRAY_CRS;
    SourceForm(Option<ClientSource>): SOURCES;
}

/// The value of a text that may be left out, or be empty.
fn optional<T>(value: Option<Checked<T>>) -> Option<T> {
    value.and_then(|Checked(value)| value)
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = RequestForm::deserialize(from)?;
        let nexthop = required("nexthop", optional(form.nexthop))?;
        let Numbered(recipients) = required("recipients", form.recipients)?;
        if recipients.is_empty() {
            return Err(D::Error::custom("key \"recipients\": there is none"));
        }
        let protocol = optional(form.protocol).unwrap_or_default();
        let sender = form.sender.unwrap_or(ReversePath::Null);
        let mut request = Self::new(protocol, nexthop, sender, recipients);
        request.id = optional(form.id).unwrap_or_default();
        request.envid = optional(form.envid);
        request.ret = form.ret;
        request.smtputf8 = form.smtputf8.unwrap_or_default();
        request.header_utf8 = form.header_utf8.unwrap_or_default();
        request.encoding = form.encoding.map(|form| form.0).unwrap_or_default();
        request.stray_cr = form.stray_cr.map(|form| form.0).unwrap_or_default();
        request.size = form.size;
        request.client = form.client;
        request.flags = form.flags.unwrap_or_default();
        request.probe = form.probe.unwrap_or_default();
        request.cache = form.connection_cache.unwrap_or_default();
        request.tls = match (form.require_tls, form.waive_tls) {
            (Some(true), Some(true)) => {
                let why = "key \"waive_tls\": TLS cannot be required and waived";
                return Err(D::Error::custom(why));
            }
            (Some(true), _) => TlsWish::Required,
            (_, Some(true)) => TlsWish::Waived,
            _ => TlsWish::Unsaid,
        };
        request.age = Duration::from_secs(form.age.unwrap_or_default());
        Ok(request)
    }
}

impl Named for Recipient {
    const NAME: &'static str = "recipient";
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = RecipientForm::deserialize(from)?;
        let mut recipient = Self::new(required("address", form.address)?);
        recipient.original = optional(form.original);
        recipient.orcpt = optional(form.orcpt);
        recipient.notify = form.notify.unwrap_or_default();
        Ok(recipient)
    }
}

impl<'de> Deserialize<'de> for ClientInfo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = ClientForm::deserialize(from)?;
        let value = |value| optional(value).unwrap_or_default();
        Ok(Self {
            name: value(form.name),
            address: value(form.address),
            port: value(form.port),
            proto: value(form.proto),
            helo: value(form.helo),
            ident: value(form.ident),
            source: form.source.and_then(|form| form.0),
        })
    }
}

impl<'de> Deserialize<'de> for DeliveryFlags {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut flags = Self::default();
        for letter in Text::deserialize(from)?.0.chars() {
            match letter {
                'D' => flags.delivered_to = true,
                'O' => flags.original_to = true,
                'R' => flags.return_path = true,
                'X' => flags.final_delivery = true,
                other => {
                    let what = format!("unknown letter \"{other}\" (known are D, O, R, X)");
                    return Err(de::Error::custom(what));
                }
            }
        }
        Ok(flags)
    }
}

impl Serialize for DeliveryFlags {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let letters = [
            (self.delivered_to, 'D'),
            (self.original_to, 'O'),
            (self.return_path, 'R'),
            (self.final_delivery, 'X'),
        ];
        let set = letters.into_iter().filter(|(is_set, _)| *is_set);
        to.serialize_str(&set.map(|(_, letter)| letter).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for CacheHints {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut hints = Self::default();
        for hint in Vec::<Text>::deserialize(from)? {
            match word(&hint, &[("load", 'l'), ("store", 's')])? {
                'l' => hints.load = true,
                _ => hints.store = true,
            }
        }
        Ok(hints)
    }
}

impl Serialize for CacheHints {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let hints = [(self.load, "load"), (self.store, "store")];
        let set = hints.into_iter().filter(|(is_set, _)| *is_set);
        to.collect_seq(set.map(|(_, hint)| hint))
    }
}

/// A map without what is absent or off.
struct Sparse<M>(M);

impl<M: SerializeMap> Sparse<M> {
    /// An entry, unless its value is the one that is left out.
    fn entry<T: Serialize + PartialEq>(
        &mut self,
        key: &'static str,
        value: &T,
        absent: &T,
    ) -> Result<(), M::Error> {
        match value == absent {
            true => Ok(()),
            false => self.0.serialize_entry(key, value),
        }
    }

    /// An entry that may have no value.
    fn maybe<T: Serialize>(
        &mut self,
        key: &'static str,
        value: Option<&T>,
    ) -> Result<(), M::Error> {
        match value {
            Some(value) => self.0.serialize_entry(key, value),
            None => Ok(()),
        }
    }
}

/// The word for a value.
fn word_for<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    let found = words.iter().find(|(_, known)| known == value);
    found.map(|(word, _)| *word)
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.survey.is_some() {
            return Err(serde::ser::Error::custom("a survey has no serialized form"));
        }
        let mut map = Sparse(to.serialize_map(None)?);
        map.entry("id", &self.id.as_str(), &"")?;
        map.maybe("protocol", Some(&self.protocol))?;
        map.maybe("nexthop", Some(&self.nexthop))?;
        map.maybe("sender", Some(&self.sender))?;
        map.maybe("recipients", Some(&self.recipients))?;
        map.maybe("envid", self.envid.as_ref())?;
        map.maybe("ret", self.ret.as_ref())?;
        map.entry("smtputf8", &self.smtputf8, &false)?;
        map.entry("header_utf8", &self.header_utf8, &false)?;
        map.maybe("encoding", word_for(&ENCODINGS, &self.encoding).as_ref())?;
        if self.stray_cr != StrayCr::default() {
            map.maybe("stray_cr", word_for(&STRAY_CRS, &self.stray_cr).as_ref())?;
        }
        map.maybe("size", self.size.as_ref())?;
        map.maybe("client", self.client.as_ref())?;
        map.entry("flags", &self.flags, &DeliveryFlags::default())?;
        map.entry("probe", &self.probe, &false)?;
        map.entry("connection_cache", &self.cache, &CacheHints::default())?;
        map.entry("require_tls", &(self.tls == TlsWish::Required), &false)?;
        map.entry("waive_tls", &(self.tls == TlsWish::Waived), &false)?;
        map.entry("age", &self.age.as_secs(), &0)?;
        map.0.end()
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = Sparse(to.serialize_map(None)?);
        map.maybe("address", Some(&self.address))?;
        map.maybe("original", self.original.as_ref())?;
        map.maybe("orcpt", self.orcpt.as_ref())?;
        map.entry("notify", &self.notify, &Notify::NONE)?;
        map.0.end()
    }
}

impl Serialize for ClientInfo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = Sparse(to.serialize_map(None)?);
        let values = [
            ("name", &self.name),
            ("address", &self.address),
            ("port", &self.port),
            ("proto", &self.proto),
            ("helo", &self.helo),
            ("ident", &self.ident),
        ];
        for (key, value) in values {
            map.entry(key, &value.as_str(), &"")?;
        }
        if self.source.is_some() {
            map.maybe("source", word_for(&SOURCES, &self.source).as_ref())?;
        }
        map.0.end()
    }
}

/// Writes values as their text, and reads them from it.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let Text(text) = Text::deserialize(from)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

texts!(
    QueueId,
    Nexthop,
    EnvelopeId,
    Orcpt,
    OriginalRecipient,
    ClientValue,
    ServiceName
);
