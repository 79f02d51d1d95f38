//! The recordings as data.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

/// One file.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) json: Json,
}

/// All recordings of deliveries.
pub(crate) fn all() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut recordings: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| Recording {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            json: serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
        })
        .filter(|recording| recording.json["deliveries"].is_array())
        .collect();
    recordings.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(recordings.len(), 55);
    recordings
}

/// The recording with this name, of whatever kind.
pub(crate) fn named(name: &str) -> Json {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Recording {
    /// The deliveries, in their order.
    pub(crate) fn deliveries(&self) -> &[Json] {
        self.json["deliveries"].as_array().unwrap()
    }

    /// The conversations with other services.
    pub(crate) fn talks(&self) -> &[Json] {
        self.json["service_talks"].as_array().unwrap()
    }

    /// The whole queue file before this delivery, and that of the same file before.
    pub(crate) fn queue_file(&self, delivery: &Json) -> Option<Vec<u8>> {
        let file = delivery["queue_file"].as_object()?;
        if let Some(text) = file.get("base64") {
            return Some(bytes(text));
        }
        let first = self.deliveries().iter().map(|it| &it["queue_file"]);
        let mut first = first.filter(|it| it["path"] == file["path"]);
        let mut whole = bytes(&first.next().unwrap()["base64"]);
        for change in file["changed_before"].as_array().unwrap() {
            let at = usize::try_from(change[0].as_u64().unwrap()).unwrap();
            whole[at] = change[2].as_str().unwrap().as_bytes()[0];
        }
        Some(whole)
    }
}

/// The bytes of a field in base64.
pub(crate) fn bytes(field: &Json) -> Vec<u8> {
    STANDARD.decode(field.as_str().unwrap()).unwrap()
}

/// Names and values, as a recording has them decoded.
pub(crate) fn pairs(list: &Json) -> Vec<(&str, &str)> {
    let pairs = list.as_array().unwrap().iter();
    pairs
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

/// The folder that the texts of the recordings call `@ROOT@`, and their bytes by its name.
pub(crate) const ROOT: &str = "/mnt/d";

/// Asserts that a value is the one of a recording.
pub(crate) fn assert_same(found: &str, recorded: &str, what: &str) {
    assert_eq!(found, recorded.replace("@ROOT@", ROOT), "{what}");
}
