//! Messages as types: what a list of attributes is made of, and how it goes to and from
//! bytes.

use super::{
    error::{Fault, Part},
    number::Malformed,
    reader::{NAME_LIMIT, VALUE_LIMIT},
    value::Value,
};

/// A message, or a group of attributes that is part of one.
pub trait List: Sized {
    /// Reads the attributes in their order, without the NUL that ends a list.
    fn read(from: &mut Attributes<'_>) -> Result<Self, Stop>;

    /// Writes the attributes in their order, without the NUL that ends a list.
    fn write(&self, to: &mut Writer);

    /// The list on the wire, with its end.
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.bytes.push(0);
        writer.bytes
    }
}

/// The type of a value.
pub trait Attribute: Sized {
    /// Reads the text, which has no NUL.
    fn read(text: &[u8]) -> Result<Self, Malformed>;

    /// Appends the text, which has no NUL.
    fn write(&self, to: &mut Vec<u8>);
}

/// The reason for which reading a list came to a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// More bytes are needed.
    Wait {
        /// The part of the list that they belong to.
        part: Part,
        /// True if some bytes of it are there.
        begun: bool,
    },
    /// The list is not as it should be.
    Fault(Fault),
}

/// The attributes that have come so far.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The bytes that were not read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the value of the attribute with this name.
    pub(crate) fn attribute<T: Attribute>(&mut self, name: &'static str) -> Result<T, Stop> {
        self.one_of([name]).map(|(_, value)| value)
    }

    /// Reads an attribute with one of these names. The last of them is the one that
    /// complaints ask for.
    pub(crate) fn one_of<T: Attribute, const N: usize>(
        &mut self,
        names: [&'static str; N],
    ) -> Result<(&'static str, T), Stop> {
        let expected = names.last().copied().unwrap_or_default();
        let found = self.token(Part::Name)?;
        if found.is_empty() {
            return Err(Stop::Fault(Fault::Missing(expected)));
        }
        let Some(name) = names.into_iter().find(|name| name.as_bytes() == found) else {
            let name = Value::token(found);
            return Err(Stop::Fault(Fault::Unexpected { name, expected }));
        };
        let text = self.token(Part::Value)?;
        let malformed = |how| {
            let text = Value::token(text);
            Stop::Fault(Fault::Malformed { how, text })
        };
        T::read(text).map(|value| (name, value)).map_err(malformed)
    }

    /// Reads an attribute that has one value only.
    pub(crate) fn constant(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<(), Stop> {
        let value: Value = self.attribute(name)?;
        if value == expected {
            return Ok(());
        }
        Err(Stop::Fault(Fault::Value {
            name,
            value,
            expected,
        }))
    }

    /// Reads the end of the list.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        let found = self.token(Part::Name)?;
        if found.is_empty() {
            return Ok(());
        }
        Err(Stop::Fault(Fault::Unexpected {
            name: Value::token(found),
            expected: "(list terminator)",
        }))
    }

    /// The bytes up to the next NUL.
    fn token(&mut self, part: Part) -> Result<&'a [u8], Stop> {
        let limit = match part {
            Part::Name => NAME_LIMIT,
            Part::Value | Part::List => VALUE_LIMIT,
        };
        let rest = self.rest;
        let (token, behind) = match memchr::memchr(0, rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..)),
            None => (rest, None),
        };
        if token.len() > limit {
            return Err(Stop::Fault(Fault::TooLong { part, limit }));
        }
        let begun = !token.is_empty();
        self.rest = behind.ok_or(Stop::Wait { part, begun })?;
        Ok(token)
    }
}

/// The bytes of a list that is being written. Nothing that goes into it can hold a NUL.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Writes an attribute.
    pub(crate) fn attribute(&mut self, name: &'static str, value: &impl Attribute) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        value.write(&mut self.bytes);
        self.bytes.push(0);
    }

    /// Writes an attribute that has one value only.
    pub(crate) fn constant(&mut self, name: &'static str, value: &'static str) {
        for text in [name, value] {
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(0);
        }
    }
}

/// Defines a list as a table of its attributes in their order: field, type, name on the
/// wire. `_` in place of a name is a group of attributes, or a field that knows its name.
/// Attributes with one value only stand before the table.
macro_rules! attributes {
    (
        $(#[$about:meta])*
        pub struct $list:ident $([$key:literal = $word:literal])* {
            $($(#[$doc:meta])* $field:ident: $type:ty => $name:tt,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $list {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $crate::attr::List for $list {
            fn read(from: &mut $crate::attr::Attributes<'_>) -> Result<Self, $crate::attr::Stop> {
                $(from.constant($key, $word)?;)*
                Ok(Self { $($field: $crate::attr::attributes!(@read from $name $type),)* })
            }

            fn write(&self, to: &mut $crate::attr::Writer) {
                $(to.constant($key, $word);)*
                $($crate::attr::attributes!(@write to $name self.$field);)*
            }
        }
    };
    (@read $from:ident _ $type:ty) => { <$type as $crate::attr::List>::read($from)? };
    (@read $from:ident $name:literal $type:ty) => { $from.attribute($name)? };
    (@write $to:ident _ $self:ident.$field:ident) => { $crate::attr::List::write(&$self.$field, $to) };
    (@write $to:ident $name:literal $self:ident.$field:ident) => { $to.attribute($name, &$self.$field) };
}
pub(crate) use attributes;
