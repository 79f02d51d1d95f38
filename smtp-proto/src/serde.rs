//! The serialized forms of values (feature `serde`): a text each, as it stands in a request
//! or report, and a reply as its code, enhanced status and lines. What is read is checked as
//! by the constructors.

use alloc::string::{String, ToString};
use core::{fmt, marker::PhantomData};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
    ser::SerializeStruct,
};

use crate::{
    address::{Address, ReversePath},
    dsn::{Notify, Ret},
    reply::Reply,
    session::{PixWorkarounds, Stage},
    status::EnhancedStatus,
};

/// Reads a text, and makes a value of it.
struct TextVisitor<T>(fn(&str) -> Result<T, String>, PhantomData<T>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// Writes values as their `Display`.
macro_rules! write_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

/// Reads values from a text.
macro_rules! read_from_text {
    ($($type:ty: $read:expr),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(TextVisitor($read, PhantomData))
            }
        }
    )*};
}

write_as_text!(
    Address,
    ReversePath,
    Ret,
    Notify,
    EnhancedStatus,
    Stage,
    PixWorkarounds
);

read_from_text!(
    Address: |text| Address::parse(text).map_err(|why| why.to_string()),
    ReversePath: |text| ReversePath::parse(text).map_err(|why| why.to_string()),
    Ret: |text| Ret::parse(text).ok_or_else(|| neither(text, "FULL", "HDRS")),
    Notify: |text| Notify::parse(text).ok_or_else(|| {
        [
            "\"",
            text,
            "\" is not NEVER or a list of SUCCESS, FAILURE, DELAY",
        ]
        .concat()
    }),
    EnhancedStatus: |text| match EnhancedStatus::parse(text) {
        Some((status, used)) if used == text.len() => Ok(status),
        _ => Err(["\"", text, "\" is no enhanced status code"].concat()),
    },
);

fn neither(found: &str, one: &str, other: &str) -> String {
    [
        "\"",
        found,
        "\" is neither \"",
        one,
        "\" nor \"",
        other,
        "\"",
    ]
    .concat()
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut reply = to.serialize_struct("Reply", 3)?;
        reply.serialize_field("code", &self.code())?;
        reply.serialize_field("dsn", &self.status())?;
        reply.serialize_field("lines", &Lines(self))?;
        reply.end()
    }
}

struct Lines<'a>(&'a Reply);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.lines())
    }
}
