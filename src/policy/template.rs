//! What the keys of a rule hold that select names and change them: regular expressions, texts with
//! captures, and tags.

use std::fmt;

use super::glob::{CAPTURES_MAX, Captures, Elements, Glob};
use crate::protocol::{bare_name, tags_of};

/// A clean name as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct RuleName<'a> {
    /// The name without its tags.
    pub bare: &'a [u8],
    /// From the first `;` on, or empty.
    pub(super) tags: &'a [u8],
    /// Those of `bare`.
    pub(super) elements: Elements,
}

impl<'a> RuleName<'a> {
    pub fn new(clean: &'a [u8]) -> Self {
        let (bare, tags) = clean.split_at(bare_name(clean).len());
        Self { bare, tags, elements: Elements::of_name(bare) }
    }

    /// The keys and values of the tags.
    pub(super) fn tags(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        tags_of(self.tags)
    }
}

/// A regular expression for names. Its search takes time in proportion to the length of the name,
/// of which it reads at most [`REGEX_NAME_BYTES`].
#[derive(Clone, Debug)]
pub struct NameRegex(regex_lite::Regex);

/// The bytes that a compiled expression may take. The time of a search is in proportion to it.
const REGEX_BYTES: usize = 16 << 10;

/// The bytes of a name that an expression reads. A search takes about 30 ns for each byte. A client
/// that makes up names of many kilobytes would otherwise keep the server from other work.
const REGEX_NAME_BYTES: usize = 1024;

impl NameRegex {
    /// Returns what is wrong with the expression, if it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let built = regex_lite::RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
        built.map(Self).map_err(|error| error.to_string())
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.0.captures_len() - 1
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        readable(name).is_some_and(|name| self.0.is_match(name))
    }

    pub(super) fn captures(&self, name: &[u8]) -> Option<Captures> {
        let found = self.0.captures(readable(name)?)?;
        let range =
            |group: usize| found.get(group).map_or((0, 0), |group| (group.start(), group.end()));
        Some((1..found.len()).take(CAPTURES_MAX).map(range).collect())
    }
}

/// Returns the bytes of a clean name that an expression reads.
fn readable(name: &[u8]) -> Option<&str> {
    str::from_utf8(&name[..name.len().min(REGEX_NAME_BYTES)]).ok()
}

impl PartialEq for NameRegex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A text in which `$1` or `${1}` stands for what the first wildcard or group matched. `$0` is the
/// whole name without tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// A part of a template.
enum TemplatePiece<'a> {
    Text(&'a str),
    Capture(usize),
}

impl Template {
    /// Returns `None` if the text is empty, a `$` has no number, or another byte cannot be part of
    /// a name.
    pub fn new(text: &str) -> Option<Self> {
        let template = Self(text.into());
        let is_fine = |piece: Option<TemplatePiece<'_>>| match piece {
            Some(TemplatePiece::Text(text)) => {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.=".contains(&byte))
            }
            Some(TemplatePiece::Capture(_)) => true,
            None => false,
        };
        (!text.is_empty() && template.pieces().all(is_fine)).then_some(template)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The highest number after a `$`, or 0.
    pub fn highest(&self) -> usize {
        let number = |piece: Option<TemplatePiece<'_>>| match piece {
            Some(TemplatePiece::Capture(number)) => number,
            _ => 0,
        };
        self.pieces().map(number).max().unwrap_or(0)
    }

    /// The parts of the text. A part is `None` if a `$` has no number.
    fn pieces(&self) -> impl Iterator<Item = Option<TemplatePiece<'_>>> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some(reference) = rest.strip_prefix('$') else {
                let (text, after) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
                rest = after;
                return Some(Some(TemplatePiece::Text(text)));
            };
            let number = match reference.strip_prefix('{') {
                Some(inner) => inner.split_once('}').map(|(number, after)| {
                    rest = after;
                    number
                }),
                None => {
                    let is_other = |letter: char| !letter.is_ascii_digit();
                    let (number, after) =
                        reference.split_at(reference.find(is_other).unwrap_or(reference.len()));
                    rest = after;
                    Some(number)
                }
            };
            let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = number.and_then(|text| text.parse().ok());
            if number.is_none() {
                rest = "";
            }
            Some(number.map(TemplatePiece::Capture))
        })
    }

    /// Appends the text with the captures of a name.
    pub(super) fn expand(&self, name: &[u8], captures: &Captures, out: &mut Vec<u8>) {
        for piece in self.pieces().flatten() {
            out.extend_from_slice(match piece {
                TemplatePiece::Text(text) => text.as_bytes(),
                TemplatePiece::Capture(0) => name,
                TemplatePiece::Capture(number) => {
                    captures.get(number - 1).map_or(&[][..], |(start, end)| &name[*start..*end])
                }
            });
        }
    }
}

/// A tag that a rule adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTag {
    pub key: String,
    pub value: Template,
}

/// A tag that a name must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPattern {
    pub key: String,
    /// `None` if the tag may have any value.
    pub value: Option<Glob>,
}

/// A new key for the tags that have a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRename {
    pub from: String,
    pub to: String,
}

/// The number of values that a tag may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagLimit {
    /// `None` is for each key that no other limit names.
    pub key: Option<String>,
    pub most: u32,
}

impl fmt::Display for TagLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(out, "{key}={}", self.most),
            None => write!(out, "{}", self.most),
        }
    }
}
