//! Reading of objects in which every field has its name in every error.

use core::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// Makes a struct of optional fields that is read from a map: an unknown field is an error,
/// and an error of a value has the field's name in front.
macro_rules! form {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Default)]
        struct $name {
            $($field: Option<$type>,)*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        use serde::de::Error;
                        const KNOWN: &[&str] = &[$(stringify!($field)),*];
                        let mut form = $name::default();
                        while let Some(key) = map.next_key::<String>()? {
                            match key.as_str() {
                                $(stringify!($field) => {
                                    if form.$field.is_some() {
                                        return Err(A::Error::duplicate_field(stringify!($field)));
                                    }
                                    let value = map.next_value::<$type>().map_err(|why| {
                                        A::Error::custom(format_args!("key \"{key}\": {why}"))
                                    })?;
                                    form.$field = Some(value);
                                })*
                                other => return Err(A::Error::unknown_field(other, KNOWN)),
                            }
                        }
                        Ok(form)
                    }
                }

                from.deserialize_map(Fields)
            }
        }
    };
}
pub(super) use form;

/// The value of a field that must be there.
pub(super) fn required<T, E: de::Error>(name: &'static str, value: Option<T>) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

/// A value that is read from a text. Where the text cannot be empty, an empty one says the
/// same as none.
pub(super) struct Checked<T>(pub(super) Option<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(from)?;
        match text.parse() {
            Ok(value) => Ok(Self(Some(value))),
            Err(_) if text.is_empty() => Ok(Self(None)),
            Err(why) => Err(de::Error::custom(why)),
        }
    }
}

/// A text.
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }

        from.deserialize_str(Any)
    }
}

/// One of several words, by their values.
pub(super) fn word<T: Copy, E: de::Error>(text: &Text, words: &[(&str, T)]) -> Result<T, E> {
    let Text(text) = text;
    let found = words.iter().find(|(word, _)| word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        E::custom(format_args!("\"{text}\" is none of {}", known.join(", ")))
    })
}

/// A list whose errors have the number of the element in front, counted from 1, and its
/// kind.
pub(super) struct Numbered<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de> + Named> Deserialize<'de> for Numbered<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Named> Visitor<'de> for Elements<T> {
            type Value = Numbered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                loop {
                    let next = list.next_element::<T>().map_err(|why| {
                        let (name, number) = (T::NAME, all.len() + 1);
                        de::Error::custom(format_args!("{name} {number}: {why}"))
                    })?;
                    match next {
                        Some(next) => all.push(next),
                        None => return Ok(Numbered(all)),
                    }
                }
            }
        }

        from.deserialize_seq(Elements(PhantomData))
    }
}

/// The kind of an element in errors.
pub(super) trait Named {
    /// A noun.
    const NAME: &'static str;
}
