//! Reads YAML, as far as the mappings of statsd_exporter use it: maps and lists by their indent or
//! in brackets, quotes, comments, and texts of several lines. Pure.
//!
//! Not read: anchors, tags and merges, and more than one document. A message names them.

use super::syntax::{ParsedData, ParsedValue, Scan, SyntaxFlaw, ValueCount};

/// Reads a file. Its top must be a map.
pub(super) fn read(text: &str) -> Result<ParsedValue, SyntaxFlaw> {
    let lines = lines(text)?;
    let mut reader = YamlReader { text, lines, at: 0, values: ValueCount::default() };
    let found = match reader.lines.first() {
        Some(first) => {
            let indent = first.indent;
            reader.block(indent)?
        }
        None => ParsedValue { line: 1, data: ParsedData::Map(Vec::new()) },
    };
    match reader.lines.get(reader.at) {
        Some(rest) => Err(flaw_at(rest.number, "expected the indent of a line above")),
        None => Ok(found),
    }
}

/// A line with content. Its indent grows when a `- ` at its start was read.
#[derive(Clone, Copy)]
struct YamlLine {
    number: usize,
    indent: usize,
    /// Where the content begins in the file.
    start: usize,
    /// Where the line ends in the file.
    end: usize,
}

struct YamlReader<'a> {
    text: &'a str,
    lines: Vec<YamlLine>,
    /// The index of the next line.
    at: usize,
    values: ValueCount,
}

fn flaw_at(line: usize, what: &str) -> SyntaxFlaw {
    SyntaxFlaw { line, what: what.into() }
}

/// Returns the lines that have content.
fn lines(text: &str) -> Result<Vec<YamlLine>, SyntaxFlaw> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (number, raw) in (1..).zip(text.split_inclusive('\n')) {
        let line = raw.trim_end();
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let end = start + line.len();
        if line == "---" || line == "..." {
            if !lines.is_empty() && line == "---" {
                return Err(flaw_at(number, "expected one document in the file"));
            }
        } else if content.starts_with('\t') {
            return Err(flaw_at(number, "expected an indent of spaces, not of tabs"));
        } else if !content.is_empty() && !content.starts_with(['#', '%']) {
            lines.push(YamlLine { number, indent, start: start + indent, end });
        }
        start += raw.len();
    }
    Ok(lines)
}

impl<'a> YamlReader<'a> {
    fn next(&self) -> Option<YamlLine> {
        self.lines.get(self.at).copied()
    }

    fn content(&self, line: YamlLine) -> &'a str {
        &self.text[line.start..line.end]
    }

    /// Reads the map, the list or the text whose lines have this indent.
    fn block(&mut self, indent: usize) -> Result<ParsedValue, SyntaxFlaw> {
        let line = self.next().map_or(1, |next| next.number);
        self.values.count(line)?;
        self.values.begin_level(line)?;
        let mut items = Vec::new();
        let mut entries = Vec::new();
        while let Some(next) = self.next().filter(|next| next.indent == indent) {
            let content = self.content(next);
            if content == "-" || content.starts_with("- ") {
                if !entries.is_empty() {
                    return Err(flaw_at(next.number, "expected a key, as in the lines above"));
                }
                items.push(self.item(next)?);
                continue;
            }
            if !items.is_empty() {
                break;
            }
            match key(content).map_err(|what| flaw_at(next.number, what))? {
                Some((key, rest)) => {
                    self.lines[self.at].start += rest;
                    entries.push((key, self.value(next.number, indent)?));
                }
                None if entries.is_empty() => {
                    self.values.end_level();
                    return self.value(next.number, indent.saturating_sub(1));
                }
                None => return Err(flaw_at(next.number, "expected `key: value`")),
            }
        }
        self.values.end_level();
        let data =
            if items.is_empty() { ParsedData::Map(entries) } else { ParsedData::List(items) };
        Ok(ParsedValue { line, data })
    }

    /// Reads an item of a list, which may go on in the line of its `-`.
    fn item(&mut self, line: YamlLine) -> Result<ParsedValue, SyntaxFlaw> {
        let rest = self.content(line)[1..].trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            self.at += 1;
            return match self.next().filter(|next| next.indent > line.indent) {
                Some(next) => self.block(next.indent),
                None => Ok(ParsedValue::text(line.number, "")),
            };
        }
        let start = line.end - rest.len();
        let indent = line.indent + (start - line.start);
        self.lines[self.at] = YamlLine { indent, start, ..line };
        self.block(indent)
    }

    /// Reads the value that begins in the rest of the current line, or in the next lines. `indent`
    /// is that of its key.
    fn value(&mut self, number: usize, indent: usize) -> Result<ParsedValue, SyntaxFlaw> {
        let Some(line) = self.next() else { return Ok(ParsedValue::text(number, "")) };
        let content = self.content(line).trim_start();
        let first = content.chars().next();
        match first {
            None | Some('#') => {
                self.at += 1;
                let is_item = |next: &YamlLine| self.content(*next).starts_with('-');
                let is_inside = |next: &YamlLine| {
                    next.indent > indent || next.indent == indent && is_item(next)
                };
                match self.next().filter(is_inside) {
                    Some(next) => self.block(next.indent),
                    None => Ok(ParsedValue::text(number, "")),
                }
            }
            Some('|' | '>') => {
                self.values.count(number)?;
                Ok(self.long_text(number, indent))
            }
            Some('&' | '*' | '!' | '@' | '`') => Err(flaw_at(
                number,
                "expected a plain value: anchors, aliases and tags are not read; write the value \
                 itself, and put quotes around a text such as \"*.a\"",
            )),
            Some('[' | '{' | '"' | '\'') => {
                let start = line.end - content.len();
                self.in_brackets(number, start)
            }
            Some(_) => {
                self.values.count(number)?;
                Ok(self.plain_text(number, indent, without_comment(content).into()))
            }
        }
    }

    /// Reads a text without quotes. Further lines with a deeper indent belong to it.
    fn plain_text(&mut self, number: usize, indent: usize, mut text: String) -> ParsedValue {
        self.at += 1;
        while let Some(next) = self.next().filter(|next| next.indent > indent) {
            text.push(' ');
            text.push_str(without_comment(self.content(next)));
            self.at += 1;
        }
        ParsedValue::text(number, text)
    }

    /// Reads a text of several lines, after its `|` or `>`.
    fn long_text(&mut self, number: usize, indent: usize) -> ParsedValue {
        self.at += 1;
        let mut parts = Vec::new();
        while let Some(next) = self.next().filter(|next| next.indent > indent) {
            parts.push(self.content(next).to_owned());
            self.at += 1;
        }
        ParsedValue::text(number, parts.join("\n"))
    }

    /// Reads a list or a map in brackets, or a text in quotes. It may end in a later line.
    fn in_brackets(&mut self, number: usize, start: usize) -> Result<ParsedValue, SyntaxFlaw> {
        let mut scan = Scan::new(&self.text[start..]);
        let moved = |flaw: SyntaxFlaw| SyntaxFlaw { line: flaw.line + number - 1, ..flaw };
        let found = flow(&mut scan, number).map_err(moved)?;
        scan.while_is(|next| next == ' ');
        if scan.peek().is_some_and(|next| !"\r\n#".contains(next)) {
            return Err(moved(scan.unexpected("the end of the line")));
        }
        let last = scan.line() + number - 1;
        while self.next().is_some_and(|next| next.number <= last) {
            self.at += 1;
        }
        Ok(found)
    }
}

/// Reads a value in brackets or quotes, or a word inside of brackets. `number` is the line where
/// the text of the scan begins.
fn flow(scan: &mut Scan<'_>, number: usize) -> Result<ParsedValue, SyntaxFlaw> {
    scan.count()?;
    let line = scan.line() + number - 1;
    let data = match scan.peek() {
        Some('[') => {
            let mut items = Vec::new();
            flow_items(scan, ']', |scan| {
                items.push(flow(scan, number)?);
                Ok(())
            })?;
            ParsedData::List(items)
        }
        Some('{') => {
            let mut entries = Vec::new();
            flow_items(scan, '}', |scan| {
                let key = word(scan, ":,}")?;
                pass_over_space(scan);
                if !scan.eat(":") {
                    return Err(scan.unexpected("a : after the key, or quotes around a template"));
                }
                pass_over_space(scan);
                entries.push((key, flow(scan, number)?));
                Ok(())
            })?;
            ParsedData::Map(entries)
        }
        _ => ParsedData::Text(word(scan, ",]}")?),
    };
    Ok(ParsedValue { line, data })
}

fn flow_items(
    scan: &mut Scan<'_>,
    close: char,
    mut item: impl FnMut(&mut Scan<'_>) -> Result<(), SyntaxFlaw>,
) -> Result<(), SyntaxFlaw> {
    scan.begin_level()?;
    scan.skip(1);
    loop {
        pass_over_space(scan);
        match scan.peek() {
            Some(next) if next == close => {
                scan.skip(1);
                scan.end_level();
                return Ok(());
            }
            None => return Err(scan.unexpected(&close.to_string())),
            _ => item(scan)?,
        }
        pass_over_space(scan);
        if !scan.eat(",") && scan.peek() != Some(close) {
            return Err(scan.unexpected(&format!("a comma or {close}")));
        }
    }
}

fn pass_over_space(scan: &mut Scan<'_>) {
    loop {
        scan.while_is(char::is_whitespace);
        if scan.peek() != Some('#') {
            return;
        }
        scan.while_is(|next| next != '\n');
    }
}

/// Reads a text in quotes, or one without up to one of `ends`.
fn word(scan: &mut Scan<'_>, ends: &str) -> Result<String, SyntaxFlaw> {
    match scan.peek() {
        Some('"') => {
            scan.skip(1);
            scan.string('"', true)
        }
        Some('\'') => {
            scan.skip(1);
            let mut text = scan.string('\'', false)?;
            // Two quotes stand for one.
            while scan.eat("'") {
                text.push('\'');
                text += &scan.string('\'', false)?;
            }
            Ok(text)
        }
        _ => {
            let found = scan.while_is(|next| !ends.contains(next) && next != '\n').trim();
            if found.is_empty() || found.starts_with(['&', '*', '!']) {
                return Err(scan.flaw("expected a value, or quotes around one such as \"*.a\""));
            }
            Ok(found.into())
        }
    }
}

/// Returns the key at the start of a line, and the bytes up to its value. Returns `None` if the
/// line has no key.
fn key(content: &str) -> Result<Option<(String, usize)>, &'static str> {
    let merge = "expected a key: merges and keys after ? are not read; write the keys themselves";
    if content.starts_with("<<") || content.starts_with("? ") {
        return Err(merge);
    }
    if content.starts_with(['"', '\'']) {
        let mut scan = Scan::new(content);
        let Ok(text) = word(&mut scan, "") else {
            return Ok(None); // `value` reports it
        };
        scan.while_is(|next| next == ' ');
        let is_key = scan.eat(":") && scan.peek().is_none_or(|next| next == ' ');
        return Ok(is_key.then(|| (text, content.len() - scan.rest().len())));
    }
    if content.starts_with(['[', '{', '#', '|', '>']) {
        return Ok(None);
    }
    let mut colons = content.match_indices(':').map(|(at, _)| at);
    let end = colons.find(|at| matches!(content.as_bytes().get(at + 1), None | Some(b' ')));
    Ok(end.map(|end| (content[..end].trim_end().into(), end + 1)))
}

/// Returns a text without the comment after it, which begins with ` #`.
fn without_comment(text: &str) -> &str {
    text.find(" #").map_or(text, |at| &text[..at]).trim_end()
}
