//! [`OldFile`]: the settings of an old configuration, each with its path and its line. A setting
//! that was taken is marked, so that the others can be reported. Pure.

use ahash::AHashMap;

use super::syntax::{ParsedData, ParsedValue};

/// A setting of the old file.
#[derive(Clone, Debug)]
pub(super) struct OldSetting {
    /// `graphite.legacyNamespace`, or `servers[1].address` for one of several objects in a list.
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) value: OldValue,
    is_taken: bool,
    /// Whether a later line sets it again.
    pub(super) is_replaced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum OldValue {
    Text(String),
    /// An expression that only the old server can compute, or a list with one.
    Code(String),
    List(Vec<String>),
}

#[derive(Debug, Default)]
pub(super) struct OldFile {
    /// In the order of the file.
    settings: Vec<OldSetting>,
    /// The index of each setting. Of a path that is given twice the last one counts.
    indices: AHashMap<String, usize>,
    /// The paths of the objects in each list of objects.
    items: AHashMap<String, Vec<String>>,
}

impl OldFile {
    pub(super) fn new(root: ParsedValue) -> Self {
        let mut file = Self::default();
        file.add(String::new(), root);
        file
    }

    fn add(&mut self, path: String, parsed: ParsedValue) {
        let ParsedValue { line, data } = parsed;
        match data {
            ParsedData::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let below = if path.is_empty() { key } else { format!("{path}.{key}") };
                    self.add(below, value);
                }
            }
            ParsedData::List(items) if items.iter().any(|item| !is_plain(&item.data)) => {
                let is_only = items.len() == 1;
                let path_of = |at| if is_only { path.clone() } else { format!("{path}[{at}]") };
                let paths = (0..items.len()).map(path_of).collect::<Vec<_>>();
                self.items.insert(path.clone(), paths.clone());
                for (below, item) in paths.into_iter().zip(items) {
                    self.add(below, item);
                }
            }
            ParsedData::Map(_) => self.insert(path, line, OldValue::List(Vec::new())),
            ParsedData::Text(text) => self.insert(path, line, OldValue::Text(text)),
            ParsedData::Code(code) => self.insert(path, line, OldValue::Code(code)),
            ParsedData::List(items) => {
                let is_code = items.iter().any(|item| matches!(item.data, ParsedData::Code(_)));
                let texts = items.into_iter().map(|item| match item.data {
                    ParsedData::Text(text) | ParsedData::Code(text) => text,
                    ParsedData::List(_) | ParsedData::Map(_) => String::new(),
                });
                let texts: Vec<String> = texts.collect();
                let value = if is_code {
                    OldValue::Code(format!("[{}]", texts.join(", ")))
                } else {
                    OldValue::List(texts)
                };
                self.insert(path, line, value);
            }
        }
    }

    fn insert(&mut self, path: String, line: usize, value: OldValue) {
        if let Some(first) = self.indices.insert(path.clone(), self.settings.len()) {
            self.settings[first].is_replaced = true;
        }
        let [is_taken, is_replaced] = [false; 2];
        self.settings.push(OldSetting { path, line, value, is_taken, is_replaced });
    }

    /// Returns a setting without marking it.
    pub(super) fn get(&self, path: &str) -> Option<&OldSetting> {
        self.indices.get(path).map(|&at| &self.settings[at])
    }

    /// Whether there is a setting or an object at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.get(path).is_some() || !self.items(path).is_empty()
    }

    /// Returns a setting that was not taken yet, and marks it.
    pub(super) fn take(&mut self, path: &str) -> Option<OldSetting> {
        let setting = &mut self.settings[*self.indices.get(path)?];
        if setting.is_taken {
            return None;
        }
        setting.is_taken = true;
        Some(setting.clone())
    }

    /// Returns the paths of the objects in the list at `path`. An object in place of the list is
    /// one object.
    pub(super) fn items(&self, path: &str) -> Vec<String> {
        if let Some(items) = self.items.get(path) {
            return items.clone();
        }
        let start = format!("{path}.");
        let is_object = self.settings.iter().any(|setting| setting.path.starts_with(&start));
        if is_object { vec![path.into()] } else { Vec::new() }
    }

    /// Returns the keys of the object at `path` that are not taken yet, in the order of the file.
    pub(super) fn keys(&self, path: &str) -> Vec<String> {
        let start = if path.is_empty() { String::new() } else { format!("{path}.") };
        let below = |setting: &OldSetting| {
            let key = setting.path.strip_prefix(&start)?;
            (!setting.is_taken).then(|| key.to_owned())
        };
        self.settings.iter().filter_map(below).collect()
    }

    /// Returns the settings that were not taken, in the order of the file.
    pub(super) fn rest(self) -> Vec<OldSetting> {
        self.settings.into_iter().filter(|setting| !setting.is_taken).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.settings.len()
    }
}

fn is_plain(data: &ParsedData) -> bool {
    matches!(data, ParsedData::Text(_) | ParsedData::Code(_))
}

impl OldSetting {
    /// Returns the value as one text. Elements of a list are separated by commas.
    pub(super) fn text(&self) -> String {
        match &self.value {
            OldValue::Text(text) | OldValue::Code(text) => text.trim().into(),
            OldValue::List(texts) => texts.join(", "),
        }
    }

    /// Returns the elements of a list. A text is a list of one element.
    pub(super) fn words(&self) -> Vec<String> {
        match &self.value {
            OldValue::Text(text) | OldValue::Code(text) => vec![text.trim().into()],
            OldValue::List(texts) => texts.clone(),
        }
    }

    /// Returns the value of a switch. Returns `None` if it is another value.
    pub(super) fn is_on(&self) -> Option<bool> {
        let text = self.text().to_ascii_lowercase();
        match text.as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" | "" => Some(false),
            _ => None,
        }
    }

    /// Returns the setting as a comment names it: `flushInterval (line 3): 5000`. Secrets are
    /// masked, and so is what would end the comment's line.
    pub(super) fn origin(&self) -> String {
        format!("{} (line {}): {}", shown(&self.path), self.line, self.shown_value())
    }

    /// Returns the value as a comment shows it.
    pub(super) fn shown_value(&self) -> String {
        let path = self.path.to_ascii_lowercase();
        let is_secret = ["password", "token", "credentials", "secret", "apikey", "api_key", "hmac"];
        if is_secret.iter().any(|word| path.contains(word)) {
            return "***".into();
        }
        match &self.value {
            OldValue::List(texts) => format!("[{}]", shown(&texts.join(", "))),
            _ => shown(&self.text()),
        }
    }
}

/// Returns a text as a comment can have it: in one line, at most 60 characters.
pub(super) fn shown(text: &str) -> String {
    let clean = |letter: char| if letter.is_control() { '?' } else { letter };
    let mut short: String = text.chars().take(60).map(clean).collect();
    if text.chars().nth(60).is_some() {
        short += "...";
    }
    short
}
