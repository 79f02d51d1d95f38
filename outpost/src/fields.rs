//! Strict reading of a JSON object: every key has a type, unknown keys are
//! errors, and an error names the place and the key.

use std::fmt;

use serde_json::{Map, Value};
use smtp_policy::report::LogText;

/// A fault of a JSON value, and its place: one line, which may quote the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(LogText);

impl Fault {
    /// A fault at a place such as `request 2`.
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

/// A JSON object that is read key by key.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: String,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Begins to read `value`, which stands at the place `at`.
    pub(crate) fn of(value: &'a Value, at: impl Into<String>) -> Result<Self, Fault> {
        let at = at.into();
        match value {
            Value::Object(map) => Ok(Self {
                map,
                at,
                known: Vec::new(),
            }),
            other => Err(Fault::new(
                &at,
                format!("expected an object, found {}", kind(other)),
            )),
        }
    }

    /// Where the object stands.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// A text, when the key is there.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, Fault> {
        self.typed(key, "a text", Value::as_str)
    }

    /// True or false; false when the key is not there.
    pub(crate) fn flag(&mut self, key: &'static str) -> Result<bool, Fault> {
        Ok(self
            .typed(key, "true or false", Value::as_bool)?
            .unwrap_or(false))
    }

    /// A whole number from zero on, when the key is there.
    pub(crate) fn number(&mut self, key: &'static str) -> Result<Option<u64>, Fault> {
        self.typed(key, "a whole number from 0 on", Value::as_u64)
    }

    /// A list, when the key is there.
    pub(crate) fn list(&mut self, key: &'static str) -> Result<Option<&'a [Value]>, Fault> {
        self.typed(key, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// An object in its turn, when the key is there.
    pub(crate) fn object(&mut self, key: &'static str) -> Result<Option<Fields<'a>>, Fault> {
        let at = format!("{}: {key}", self.at);
        self.any(key).map(|value| Fields::of(value, at)).transpose()
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| Fault::new(&self.at, format!("key \"{key}\" is missing")))
    }

    /// A fault about the value of one key.
    pub(crate) fn fault(&self, key: &str, what: impl fmt::Display) -> Fault {
        Fault::new(&self.at, format!("key \"{key}\": {what}"))
    }

    /// Ends the reading: a key that was not asked for is a fault.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        match self
            .map
            .keys()
            .find(|key| !self.known.contains(&key.as_str()))
        {
            None => Ok(()),
            Some(key) => Err(Fault::new(
                &self.at,
                format!(
                    "unknown key \"{key}\" (known are {})",
                    self.known.join(", ")
                ),
            )),
        }
    }

    fn any(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map.get(key)
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(value) = self.any(key) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.fault(key, format!("expected {expected}, found {}", kind(value)))),
        }
    }
}

/// What a value is, in words for an error message.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_key_is_named_with_the_known_ones() {
        let value = json!({ "sender": "", "colour": "red" });
        let mut fields = Fields::of(&value, "request 2").unwrap();
        assert_eq!(fields.text("sender"), Ok(Some("")));
        let fault = fields.finish().unwrap_err().to_string();
        assert_eq!(
            fault,
            "request 2: unknown key \"colour\" (known are sender)"
        );
    }

    #[test]
    fn a_wrong_type_names_the_key_and_both_types() {
        let value = json!({ "age": "old", "size": -1, "probe": null });
        let mut fields = Fields::of(&value, "request 1").unwrap();
        let said = |fault: Fault| fault.to_string();
        assert_eq!(
            said(fields.number("age").unwrap_err()),
            "request 1: key \"age\": expected a whole number from 0 on, found a text"
        );
        assert!(said(fields.number("size").unwrap_err()).contains("found a number"));
        assert!(said(fields.flag("probe").unwrap_err()).contains("found null"));
    }
}
