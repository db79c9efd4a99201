//! Reads `tests/vectors/lines/*.jsonl`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A packet of a suite, and what the suite expects of it.
pub(super) struct Vector {
    pub(super) suite: String,
    pub(super) test: String,
    /// Keys of `[statsd]` that differ from the defaults.
    pub(super) config: String,
    pub(super) bytes: Vec<u8>,
    pub(super) want: Value,
    /// Whether the suite also expects that a part of the packet is refused.
    pub(super) refuses: bool,
}

impl Vector {
    /// The packet as one line of ASCII text.
    pub(super) fn shown(&self) -> String {
        self.bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
    }
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// All vectors, by suite.
pub(super) fn vectors() -> Vec<Vector> {
    let files = fs::read_dir(folder().join("lines")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    let mut vectors = Vec::new();
    for file in files {
        let suite = file.file_stem().unwrap().to_str().unwrap();
        for (at, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{}:{}: {error}", file.display(), at + 1));
            vectors.push(vector(suite, &value));
        }
    }
    vectors
}

fn vector(suite: &str, value: &Value) -> Vector {
    for key in value.as_object().unwrap().keys() {
        let known = ["test", "config", "line", "latin1", "lines", "want", "refuses"];
        assert!(known.contains(&key.as_str()), "{suite}: unknown key {key}");
    }
    let bytes = if let Some(line) = value["line"].as_str() {
        line.as_bytes().to_vec()
    } else if let Some(line) = value["latin1"].as_str() {
        line.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect()
    } else {
        texts(&value["lines"]).join("\n").into_bytes()
    };
    Vector {
        suite: suite.to_owned(),
        test: value["test"].as_str().unwrap().to_owned(),
        config: value["config"].as_str().unwrap_or_default().to_owned(),
        bytes,
        want: value["want"].clone(),
        refuses: value["refuses"].as_bool().unwrap_or_default(),
    }
}

/// A list of texts: as an array, or as `{"text": "a{}", "from": 0, "to": 9}`, or as `{"text": "a",
/// "times": 9}`.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let number = |key: &str| value[key].as_u64().unwrap();
    match value {
        Value::Null => Vec::new(),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap().into()).collect(),
        _ => {
            let text = value["text"].as_str().unwrap();
            let numbers = match value["times"].as_u64() {
                Some(times) => 0..=times - 1,
                None => number("from")..=number("to"),
            };
            numbers.map(|number| text.replace("{}", &number.to_string())).collect()
        }
    }
}
