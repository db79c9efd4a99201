//! One line: its series name, its timestamp, and where its samples begin.

use memchr::memchr;

use super::binary;
use super::dialect::Dialect;
use super::grammar::Grammar;
use super::group::{LineSection, Samples, sections};
use super::names::NameWriter;
use super::number::seconds;
use super::reject::Reject;
use super::sample::Sample;

/// Reads lines and binary messages, keeping the buffers that names are rewritten in.
#[derive(Debug)]
pub struct LineReader {
    grammar: Grammar,
    names: NameWriter,
}

/// What a line turned out to be.
#[derive(Clone, Debug)]
pub enum ParsedLine<'a> {
    Metrics(MetricLine<'a>),
    /// A DogStatsD event or service check: recognised, not ours to aggregate.
    Event,
    Bad(Reject),
}

/// A line whose name and sections are sound; its values are read one by one.
#[derive(Clone, Debug)]
pub struct MetricLine<'a> {
    /// The canonical name, tags included.
    pub name: &'a [u8],
    /// Seconds since 1970, of a value that has its own time.
    pub timestamp: Option<u64>,
    /// The name holds tags as Influx writes them, but that dialect is off: their commas were dropped.
    pub has_unread_tags: bool,
    body: &'a [u8],
}

/// A sound binary message.
#[derive(Clone, Copy, Debug)]
pub struct BinaryMessage<'a> {
    /// As of [`MetricLine`].
    pub name: &'a [u8],
    pub has_unread_tags: bool,
    pub sample: Sample<'a>,
}

impl<'a> MetricLine<'a> {
    pub fn samples(&self) -> Samples<'a> {
        Samples::new(self.body, self.timestamp.is_some())
    }
}

impl LineReader {
    pub fn new(grammar: Grammar) -> Self {
        Self { grammar, names: NameWriter::default() }
    }

    pub(crate) fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Reads a line that [`trimmed`] has cut and that is not empty.
    pub fn read<'a>(&'a mut self, line: &'a [u8]) -> ParsedLine<'a> {
        if line.starts_with(b"_e{") || line.starts_with(b"_sc|") {
            return ParsedLine::Event;
        }
        match self.read_line(line) {
            Ok(line) => ParsedLine::Metrics(line),
            Err(reject) => ParsedLine::Bad(reject),
        }
    }

    fn read_line<'a>(&'a mut self, line: &'a [u8]) -> Result<MetricLine<'a>, Reject> {
        let colon = memchr(b':', line).ok_or(Reject::NoValue)?;
        let name = &line[..colon];
        let body = &line[colon + 1..];
        self.names.clear();
        let bare = self.names.take_inline(&self.grammar, name);
        let timestamp = self.read_sections(body)?;
        let name = self.names.canonical(&self.grammar, bare)?;
        Ok(MetricLine { name, timestamp, has_unread_tags: bare.has_unread_tags, body })
    }

    /// Reads a message of statsite's binary protocol, which ends where `message` does. Its key is cleaned, and read for tags,
    /// as a line's name is.
    pub fn read_binary<'a>(&'a mut self, message: &'a [u8]) -> Result<BinaryMessage<'a>, Reject> {
        let (key, sample) = binary::read(message)?;
        self.names.clear();
        let bare = self.names.take_inline(&self.grammar, key);
        let name = self.names.canonical(&self.grammar, bare)?;
        Ok(BinaryMessage { name, has_unread_tags: bare.has_unread_tags, sample })
    }

    /// Tags and time stand behind the values they hold for, so they are looked for first.
    fn read_sections(&mut self, body: &[u8]) -> Result<Option<u64>, Reject> {
        let mut timestamp = None;
        let names = &mut self.names;
        let grammar = &self.grammar;
        let reads_tags = grammar.dialects.has(Dialect::Dogstatsd);
        sections(body, |section| match section {
            LineSection::Tags(tags) if reads_tags => names.add_section(grammar, tags),
            LineSection::Time(text) => {
                timestamp.get_or_insert_with(|| seconds(text).ok_or(Reject::BadTimestamp));
            }
            LineSection::Tags(_) | LineSection::Other => {}
        })?;
        timestamp.transpose()
    }
}

/// A line without what may stand at its end and means nothing: `\r`, spaces, NULs.
pub(crate) fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b' ' | 0));
    &line[..end.map_or(0, |last| last + 1)]
}
