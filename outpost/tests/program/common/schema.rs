//! The published schemas of the package that is tested, and what tests hold against them.

#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use jsonschema::{Validator, draft202012};
use serde_json::{Value, json};

/// The folder of the schemas.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema")
}

/// A schema as it is published.
pub(crate) fn published(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.schema.json"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A validator that also refuses what the schema does not describe: a field that nobody has
/// written down must not go out.
pub(crate) struct Strict(Validator, Value);

impl Strict {
    pub(crate) fn new(name: &str) -> Self {
        let mut schema = published(name);
        let mut parts = BTreeSet::new();
        parts_of(&schema, &mut parts);
        close(&mut schema, &parts, None);
        let validator = draft202012::options().should_validate_formats(true);
        Self(validator.build(&schema).unwrap(), schema)
    }

    /// The faults of a value; none if it is as described.
    pub(crate) fn faults(&self, value: &Value) -> Vec<String> {
        let fault =
            |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        let mut faults: Vec<String> = self.0.iter_errors(value).map(fault).collect();
        // A kind of event is described under its name. In a queue there are kinds of notes besides.
        let kinds = ["kind", "event"].map(|tag| value[tag].as_str());
        for kind in kinds.into_iter().flatten() {
            if self.1["allOf"].is_array() && self.1["$defs"].get(kind).is_none() {
                faults.push(format!("{kind} is no kind that is described"));
            }
        }
        faults
    }

    /// Asserts that a value is as described.
    #[track_caller]
    pub(crate) fn takes(&self, value: &Value) {
        let faults = self.faults(value);
        assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
    }

    /// Asserts that each line is JSON as described, and returns them.
    #[track_caller]
    pub(crate) fn takes_lines(&self, text: &str) -> Vec<Value> {
        let lines = text.lines().map(|line| {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            self.takes(&line);
            line
        });
        lines.collect()
    }
}

/// Definitions that describe some fields of an object, and leave others to whoever refers to
/// them: by their names, or as what follows from a condition.
fn parts_of(schema: &Value, parts: &mut BTreeSet<String>) {
    let name = |reference: &Value| Some(reference.as_str()?.strip_prefix("#/$defs/")?.to_owned());
    match schema {
        Value::Object(map) => {
            parts.extend(map.get("then").and_then(|then| name(&then["$ref"])));
            let reference = map.get("$ref").and_then(name);
            parts.extend(reference.filter(|name| name.ends_with("Fields")));
            map.values().for_each(|value| parts_of(value, parts));
        }
        Value::Array(values) => values.iter().for_each(|value| parts_of(value, parts)),
        _ => {}
    }
}

/// Forbids fields that are not described, but in parts. `name` is that of the definition.
fn close(schema: &mut Value, parts: &BTreeSet<String>, name: Option<&str>) {
    match schema {
        Value::Object(map) => {
            let refers_to_part = map
                .get("$ref")
                .and_then(Value::as_str)
                .is_some_and(|reference| reference.ends_with("Fields"));
            for (key, value) in map.iter_mut() {
                match (key.as_str(), value) {
                    ("$defs" | "properties", Value::Object(named)) => {
                        let is_definitions = key == "$defs";
                        for (name, value) in named {
                            close(value, parts, is_definitions.then_some(name));
                        }
                    }
                    // Such a reference must not forbid what a sibling of it describes.
                    ("if" | "then", _) => {}
                    (_, value) => close(value, parts, None),
                }
            }
            let is_part = name.is_some_and(|name| parts.contains(name));
            let describes = map.contains_key("properties") || refers_to_part;
            if describes && !is_part && !map.contains_key("additionalProperties") {
                map.insert("unevaluatedProperties".into(), json!(false));
            }
        }
        Value::Array(values) => {
            values
                .iter_mut()
                .for_each(|value| close(value, parts, None));
        }
        _ => {}
    }
}
