//! Reads one line: the name of its series, its timestamp, and the position of its samples.

use memchr::memchr;

use super::binary;
use super::grammar::{Dialect, Grammar, PackedValues};
use super::group::{LineContext, Samples, Section, sections};
use super::names::NameWriter;
use super::number::seconds;
use super::reject::Reject;
use super::sample::Sample;

/// Reads lines and binary messages. Keeps the buffers that names are rewritten in.
#[derive(Debug)]
pub struct LineReader {
    grammar: Grammar,
    names: NameWriter,
}

/// The result of reading a line.
#[derive(Clone, Debug)]
pub enum ParsedLine<'a> {
    Metrics(MetricLine<'a>),
    /// A DogStatsD event or service check, which is recognised but not aggregated.
    Event,
    Bad(Reject),
}

/// A line with a valid name and valid sections. Its values are parsed one by one.
#[derive(Clone, Debug)]
pub struct MetricLine<'a> {
    /// The canonical name, tags included.
    pub name: &'a [u8],
    /// Seconds since 1970, if the values have their own time.
    pub timestamp: Option<u64>,
    /// Whether the name looks as if it had tags of a dialect that is off. Their commas were
    /// dropped.
    pub has_unread_tags: bool,
    body: &'a [u8],
    is_tagged: bool,
    packed_values: PackedValues,
}

/// The result of reading the sections of a line.
struct LineSections {
    /// Seconds since 1970, if the values have their own time.
    timestamp: Option<u64>,
    /// Whether tags were read.
    is_tagged: bool,
}

/// A line with one section of tags, split and not read: it may be a line of a known series.
#[derive(Clone, Copy, Debug)]
pub struct UnreadLine<'a> {
    /// The name and the tags as the line writes them. The canonical name depends on nothing else.
    pub name: &'a [u8],
    pub tags: &'a [u8],
    body: &'a [u8],
    packed_values: PackedValues,
}

/// A valid binary message.
#[derive(Clone, Copy, Debug)]
pub struct BinaryMessage<'a> {
    /// The canonical name, tags included.
    pub name: &'a [u8],
    pub has_unread_tags: bool,
    pub sample: Sample<'a>,
}

impl<'a> MetricLine<'a> {
    pub fn samples(&self) -> Samples<'a> {
        let Self { timestamp, body, is_tagged, packed_values, .. } = *self;
        Samples::new(body, LineContext { is_timed: timestamp.is_some(), is_tagged, packed_values })
    }
}

impl<'a> UnreadLine<'a> {
    pub fn samples(&self) -> Samples<'a> {
        let packed_values = self.packed_values;
        Samples::new(self.body, LineContext { is_timed: false, is_tagged: true, packed_values })
    }
}

impl LineReader {
    pub fn new(grammar: Grammar) -> Self {
        Self { grammar, names: NameWriter::default() }
    }

    pub(crate) fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Reads a line that [`trimmed`] returned and that is not empty.
    pub fn read<'a>(&'a mut self, line: &'a [u8]) -> ParsedLine<'a> {
        // The line is binary data, or several lines of a client that sends whole buffers.
        if memchr(0, line).is_some() {
            return ParsedLine::Bad(Reject::NulInside);
        }
        if is_event(line) {
            return ParsedLine::Event;
        }
        match self.read_line(line) {
            Ok(line) => ParsedLine::Metrics(line),
            Err(reject) => ParsedLine::Bad(reject),
        }
    }

    /// Splits a line as [`read`](Self::read) does, but reads neither its name nor its tags. Returns
    /// `None` if it has no section of tags, or several, or a timestamp, or if it is bad already.
    pub fn split<'a>(&self, line: &'a [u8]) -> Option<UnreadLine<'a>> {
        memchr(b'#', line)?;
        if !self.grammar.dialects.has(Dialect::Dogstatsd)
            || memchr(0, line).is_some()
            || is_event(line)
        {
            return None;
        }
        let colon = memchr(b':', line)?;
        let body = &line[colon + 1..];
        let mut tags = None;
        let mut is_other = false;
        let split = sections(body, |section| match section {
            Section::Tags(text) => is_other |= tags.replace(text).is_some(),
            Section::Time(_) => is_other = true,
            Section::Rate(_) | Section::Other | Section::Bad(_) => {}
        });
        split.ok().filter(|()| !is_other)?;
        let packed_values = self.grammar.packed_values;
        Some(UnreadLine { name: &line[..colon], tags: tags?, body, packed_values })
    }

    fn read_line<'a>(&'a mut self, line: &'a [u8]) -> Result<MetricLine<'a>, Reject> {
        let colon = memchr(b':', line).ok_or(Reject::NoValue)?;
        let name = &line[..colon];
        let body = &line[colon + 1..];
        self.names.clear();
        let bare = self.names.take_inline(&self.grammar, name);
        let LineSections { timestamp, is_tagged } = self.read_sections(body)?;
        let name = self.names.canonical(&self.grammar, bare)?;
        let packed_values = self.grammar.packed_values;
        let has_unread_tags = bare.has_unread_tags;
        Ok(MetricLine { name, timestamp, has_unread_tags, body, is_tagged, packed_values })
    }

    /// Reads a message of statsite's binary protocol, which must end where `message` ends. Its key
    /// is cleaned and searched for tags as the name of a line is.
    pub fn read_binary<'a>(&'a mut self, message: &'a [u8]) -> Result<BinaryMessage<'a>, Reject> {
        let (key, sample) = binary::read(message)?;
        self.names.clear();
        // As in a line. A raw name with a mark in front could not be reached by lines.
        let bare = self.names.take_inline(&self.grammar, without_marks(key));
        let name = self.names.canonical(&self.grammar, bare)?;
        Ok(BinaryMessage { name, has_unread_tags: bare.has_unread_tags, sample })
    }

    /// Reads the tags and the time. They are written after the values, but they belong to the name
    /// and to all values, so they are read first.
    fn read_sections(&mut self, body: &[u8]) -> Result<LineSections, Reject> {
        let mut timestamp = None;
        let mut is_tagged = false;
        let names = &mut self.names;
        let grammar = &self.grammar;
        let reads_tags = grammar.dialects.has(Dialect::Dogstatsd);
        sections(body, |section| match section {
            Section::Tags(tags) if reads_tags => {
                is_tagged = true;
                names.add_section(grammar, tags);
            }
            Section::Time(text) => {
                timestamp.get_or_insert_with(|| seconds(text).ok_or(Reject::BadTimestamp));
            }
            Section::Rate(_) | Section::Tags(_) | Section::Other | Section::Bad(_) => {}
        })?;
        Ok(LineSections { timestamp: timestamp.transpose()?, is_tagged })
    }
}

/// Whether the line is an event or a service check of DogStatsD.
fn is_event(line: &[u8]) -> bool {
    line.starts_with(b"_e{") || line.starts_with(b"_sc|")
}

/// Returns a line without the byte order marks at its start, and without the `\r`, spaces and NULs
/// at its end.
pub fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b' ' | 0));
    without_marks(&line[..end.map_or(0, |last| last + 1)])
}

/// Returns `text` without the byte order marks (U+FEFF) at its start. Some programs write one at
/// the start of a file or message.
fn without_marks(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") {
        text = rest;
    }
    text
}
