//! Splits the text of a configuration file into sections and entries. Pure.
//!
//! [`GivenSettings`] holds the keys that are set, each with its [`SettingPlace`]. A
//! [`Config`](super::Config) does not show whether a value was given or is the default.
//!
//! ```text
//! # a comment, at the start of a line      ; so is this
//! [section]                                # or after white space
//! key = value                              # white space around a value is not part of it
//! command = a # b | "c"                   # in [exec] the value is the rest of the line
//! key = "a value # with \"anything\" \\"   # in double quotes nothing is a comment
//! ```
//! This file accepts any section and key; `parse` checks that they exist. A flawed line never hides
//! the flaws of later lines.

use std::fmt;

use ahash::AHashMap;

use super::limits::{CONTENT_MAX, KEYS_MAX, MISTAKES_MAX, NAME_MAX, SECTIONS_MAX};

/// The sections of a file, and the lines that could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// In the order of their first header. A repeated header continues its section.
    pub(super) sections: Vec<IniSection>,
    pub(super) flaws: Vec<Flaw>,
}

/// A section of a file with its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IniSection {
    pub(super) name: String,
    /// Where its first header is.
    pub(super) place: SettingPlace,
    pub(super) entries: Vec<KeyValue>,
}

/// A `key = value` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: SettingPlace,
}

/// Where a section, a key or a flaw is. Places sort in the order in which they take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingPlace {
    /// A line of the file. The first line is 1.
    Line(usize),
    /// The index of an entry of [`Overrides`](super::Overrides).
    Override(usize),
}

impl SettingPlace {
    /// The place of what the file does not set, for mistakes of the file as a whole.
    pub(super) const START: Self = Self::Line(1);

    /// Returns the number of the line. Returns 0 for a setting from outside of the file.
    pub fn line(self) -> usize {
        match self {
            Self::Line(line) => line,
            Self::Override(_) => 0,
        }
    }
}

/// The sections and keys of a file, of the environment and of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenSettings {
    sections: Vec<IniSection>,
}

impl GivenSettings {
    pub(super) fn new(sections: Vec<IniSection>) -> Self {
        Self { sections }
    }

    pub(super) fn sections(&self) -> &[IniSection] {
        &self.sections
    }

    pub(super) fn section(&self, header: &str) -> Option<&IniSection> {
        self.sections.iter().find(|section| section.name == header)
    }

    /// Returns a key of the section with this header. Returns `None` if it is not set.
    pub(super) fn entry(&self, header: &str, key: &str) -> Option<&KeyValue> {
        self.section(header)?.entry(key)
    }

    /// Whether a key is set, and not to an empty text.
    pub(super) fn has_value(&self, header: &str, key: &str) -> bool {
        self.entry(header, key).is_some_and(|entry| !entry.value.is_empty())
    }

    /// Returns the place of a key. Returns that of its section if the key is not set, and `None` if
    /// there is no such section.
    pub fn place(&self, header: &str, key: &str) -> Option<SettingPlace> {
        let section = self.section(header)?;
        Some(section.entry(key).map_or(section.place, |entry| entry.place))
    }
}

/// What is wrong with a line or a setting. With the name of its file it becomes a [`Mistake`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) place: SettingPlace,
    pub(super) what: String,
}

/// What is wrong with a line of a configuration file, a variable or an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `statsd.conf:3`, or the name of the variable or the option.
    pub place: String,
    /// What is wrong and what was expected. It names the section and the key.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what } = self;
        write!(out, "{place}: {what}")
    }
}

/// Splits a file into sections and entries. It stops after [`MISTAKES_MAX`] flaws, since no more
/// are reported.
pub(super) fn read(text: &[u8]) -> Document {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader::default();
    let mut content_bytes = 0;
    for (index, raw) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        if !matches!(raw.trim_ascii_start().first(), Some(b'#' | b';')) {
            content_bytes += raw.len();
        }
        if content_bytes > CONTENT_MAX {
            let what = String::from("expected at most 128k in a file beside its comments");
            reader.document.flaws.push(Flaw { place: SettingPlace::Line(line), what });
            break;
        }
        if let Err(what) = reader.line(line, raw) {
            reader.document.flaws.push(Flaw { place: SettingPlace::Line(line), what });
        }
        if reader.document.flaws.len() > MISTAKES_MAX {
            break;
        }
    }
    reader.document
}

impl IniSection {
    /// Returns the first entry with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&KeyValue> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reads a file line by line.
#[derive(Default)]
struct Reader<'a> {
    document: Document,
    /// The index of each section in the document, by name.
    indices: AHashMap<&'a str, usize>,
    current: Current,
}

/// Which section the next entry belongs to.
#[derive(Clone, Copy, Default)]
enum Current {
    #[default]
    /// None: there was no header yet.
    Top,
    /// The section with this index.
    In(usize),
    /// An unknown one, after a flawed header. Its entries are skipped. Otherwise they would be
    /// reported as mistakes of the section before it.
    Lost,
}

impl<'a> Reader<'a> {
    /// Reads one line. Returns what is wrong with it.
    fn line(&mut self, line: usize, raw: &'a [u8]) -> Result<(), String> {
        // Before any check of the line can fail: also a header that is not UTF-8 ends its section.
        if raw.trim_ascii_start().starts_with(b"[") {
            self.current = Current::Lost;
        }
        if raw.contains(&0) {
            return Err("expected text without NUL bytes; was the file written to its end?".into());
        }
        let text = str::from_utf8(raw).map_err(|_| "expected text in UTF-8")?.trim();
        match text.as_bytes().first() {
            None | Some(b'#' | b';') => Ok(()),
            Some(b'[') => self.header(line, text),
            Some(_) => self.entry(line, text),
        }
    }

    fn header(&mut self, line: usize, text: &'a str) -> Result<(), String> {
        let (name, rest) =
            text[1..].split_once(']').ok_or("expected [section], its ] is missing")?;
        if name.trim().is_empty() || !is_comment(rest) {
            return Err("expected [section] and nothing else but a comment".into());
        }
        self.current = Current::In(self.section(line, name.trim())?);
        Ok(())
    }

    /// Returns the index of a section, and adds it at its first header.
    fn section(&mut self, line: usize, name: &'a str) -> Result<usize, String> {
        if let Some(&index) = self.indices.get(name) {
            return Ok(index);
        }
        if name.len() > NAME_MAX {
            return Err(format!("expected the name of a section, not {}", excerpt(name)));
        }
        let sections = &mut self.document.sections;
        if sections.len() == SECTIONS_MAX {
            return Err(format!("[{name}]: expected at most {SECTIONS_MAX} sections"));
        }
        self.indices.insert(name, sections.len());
        sections.push(IniSection {
            name: name.into(),
            place: SettingPlace::Line(line),
            entries: Vec::new(),
        });
        Ok(sections.len() - 1)
    }

    fn entry(&mut self, line: usize, text: &str) -> Result<(), String> {
        let (key, rest) = text.split_once('=').unwrap_or_default();
        let key = key.trim_end();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("expected `key = value` or `[section]`".into());
        }
        if key.len() > NAME_MAX {
            return Err(format!("expected the name of a key, not {}", excerpt(key)));
        }
        let index = match self.current {
            Current::In(index) => index,
            Current::Top => {
                return Err(format!("{key}: expected a [section] before the first key"));
            }
            Current::Lost => return Ok(()),
        };
        let section = &mut self.document.sections[index];
        let name = &section.name;
        if let Some(first) = section.entry(key) {
            let first = first.place.line();
            return Err(format!("[{name}] {key}: given twice, first in line {first}"));
        }
        if section.entries.len() == KEYS_MAX {
            return Err(format!("[{name}] {key}: expected at most {KEYS_MAX} keys in a section"));
        }
        let value = if takes_rest_of_line(name, key) {
            rest_of_line(rest).into()
        } else {
            value(rest).map_err(|what| format!("[{name}] {key}: {what}"))?
        };
        section.entries.push(KeyValue { key: key.into(), value, place: SettingPlace::Line(line) });
        Ok(())
    }
}

/// Returns a value as messages quote it: printable, at most 60 characters.
pub(super) fn excerpt(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// Whether the value of a key is a command for the shell. Quotes and `#` then belong to the
/// command.
pub(super) fn takes_rest_of_line(section: &str, key: &str) -> bool {
    key == "command" && section.split('.').next() == Some("exec")
}

/// Returns the rest of a line after the `=`. Returns an empty value if the rest is a comment.
fn rest_of_line(rest: &str) -> &str {
    if is_comment(rest) { "" } else { rest.trim() }
}

/// Returns a value as the file must write it. Quotes are added only where they are needed: a
/// database name of InfluxDB or a regular expression may contain a `#`, a `;`, a quote or spaces at
/// its ends.
pub(super) fn quoted(value: String) -> String {
    let is_plain = !value.contains(['"', '#', ';']) && value.trim() == value;
    if is_plain {
        return value;
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns the value after the `=`, without its quotes or a comment.
fn value(rest: &str) -> Result<String, &'static str> {
    match rest.trim_start().strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => Ok(bare(rest).into()),
    }
}

/// Returns a value without quotes. A comment begins at a `#` or `;` after white space, so `a#b` is
/// a value.
fn bare(rest: &str) -> &str {
    let opens_comment = |&(at, mark): &(usize, char)| {
        matches!(mark, '#' | ';') && rest[..at].ends_with(char::is_whitespace)
    };
    let end = rest.char_indices().find(opens_comment).map_or(rest.len(), |(at, _)| at);
    rest[..end].trim()
}

fn unquote(text: &str) -> Result<String, &'static str> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or("expected a closing double quote")? {
            '"' => break,
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                _ => return Err(r#"expected \" or \\ where a backslash stands in double quotes"#),
            },
            other => value.push(other),
        }
    }
    if !is_comment(chars.as_str()) {
        return Err("expected nothing but a comment after the closing double quote");
    }
    Ok(value)
}

/// Whether the rest of a line holds nothing, or a comment after white space.
fn is_comment(rest: &str) -> bool {
    let text = rest.trim_start();
    text.is_empty() || (text.len() < rest.len() && text.starts_with(['#', ';']))
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    fn value_of(line: &str) -> String {
        let document = read(format!("[s]\n{line}").as_bytes());
        assert_eq!(document.flaws, [], "{line}");
        document.sections[0].entries[0].value.clone()
    }

    fn flaws(text: &[u8]) -> Vec<(usize, String)> {
        read(text).flaws.into_iter().map(|flaw| (flaw.place.line(), flaw.what)).collect()
    }

    #[test]
    fn values_end_where_a_comment_starts() {
        for (line, value) in [
            ("k = v", "v"),
            ("  k=v  \r", "v"),
            ("k = two words", "two words"),
            ("k = v # comment", "v"),
            ("k = v\t; comment", "v"),
            ("k = v#1;2", "v#1;2"),
            ("k =", ""),
            ("k =   # comment", ""),
            ("k = a=b", "a=b"),
            ("k = schön", "schön"),
            (r#"k = "a # b"  # comment"#, "a # b"),
            (r#"k = " say \"hi\" \\ ""#, r#" say "hi" \ "#),
            (r#"k = """#, ""),
            (r#"k = a "b""#, r#"a "b""#),
        ] {
            assert_eq!(value_of(line), value, "{line}");
        }
    }

    #[test]
    fn lines_are_counted_and_repeated_headers_go_on() {
        let document =
            read(b"\xef\xbb\xbf# top\n[a] ; first\nx = 1\n\n[ b ]\n;\ny = 2\n[a]\nz = 3");
        let entry = |key: &str, value: &str, line| {
            let place = SettingPlace::Line(line);
            KeyValue { key: key.into(), value: value.into(), place }
        };
        let a = IniSection {
            name: "a".into(),
            place: SettingPlace::Line(2),
            entries: vec![entry("x", "1", 3), entry("z", "3", 9)],
        };
        let b = IniSection {
            name: "b".into(),
            place: SettingPlace::Line(5),
            entries: vec![entry("y", "2", 7)],
        };
        assert_eq!(document, Document { sections: vec![a, b], flaws: vec![] });
    }

    #[test]
    fn a_flawed_line_is_reported_with_what_was_expected() {
        for (line, what) in [
            ("word", "expected `key = value`"),
            ("= 1", "expected `key = value`"),
            ("k # a = b", "expected `key = value`"),
            ("[s", "] is missing"),
            ("[]", "expected [section]"),
            ("[s] k = 1", "nothing else but a comment"),
            (r#"k = "v"#, "[s] k: expected a closing double quote"),
            (r#"k = "a\n""#, r#"expected \" or \\"#),
            ("k = \"v\"# x", "nothing but a comment"),
        ] {
            let found = flaws(format!("[s]\n{line}\n").as_bytes());
            assert_eq!(found.len(), 1, "{line}");
            assert!(found[0].0 == 2 && found[0].1.contains(what), "{line}: {found:?}");
        }
    }

    #[test]
    fn a_repeated_key_names_its_first_line() {
        let twice = flaws(b"[s]\nk = 1\n[t]\nk = 2\n[s]\nk = 3\n");
        assert_eq!(twice, [(6, "[s] k: given twice, first in line 2".into())]);
    }

    #[test]
    fn entries_behind_a_flawed_header_are_passed_over() {
        let lost = read(b"[a]\nx = 1\n[b\nx = 2\n[\xff]\nx = 3\n");
        assert_eq!(lost.flaws.iter().map(|flaw| flaw.place.line()).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(lost.sections[0].entries.len(), 1);
    }

    #[test]
    fn an_entry_needs_a_section_and_all_of_it_utf_8() {
        let expected = "k: expected a [section] before the first key";
        assert_eq!(flaws(b"k = 1"), [(1, expected.into())]);
        assert_eq!(flaws(b"[s]\nk = \xff\n"), [(2, "expected text in UTF-8".into())]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let alphabet = b"[]=\"\\#; \n\ra\xc3\xa9\xff\0";
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..24 {
                text.push(*random.pick(alphabet));
            }
            read(&text);
        }
    }
}
