//! Reads TOML, as far as configurations of telegraf and gostatsd use it. Pure.
//!
//! Not read: dates are text, and nothing checks that a table is opened once only.

use super::syntax::{ParsedData, ParsedValue, Scan, SyntaxFlaw};

/// The most parts of a dotted key. Each is a level of objects.
const PARTS_MAX: usize = 16;

/// Reads a file: a map of its tables.
pub(super) fn read(text: &str) -> Result<ParsedValue, SyntaxFlaw> {
    let mut scan = Scan::new(text);
    let mut root = ParsedValue { line: 1, data: ParsedData::Map(Vec::new()) };
    // Where the keys of the current table belong.
    let mut table: Vec<String> = Vec::new();
    loop {
        pass_over_lines(&mut scan);
        let line = scan.line();
        if scan.eat("[[") {
            table = dotted(&mut scan)?;
            if !scan.eat("]]") {
                return Err(scan.unexpected("]] after the name of the table"));
            }
            scan.count()?;
            open(&mut root, &table, TableHeader::OfList, line);
        } else if scan.eat("[") {
            table = dotted(&mut scan)?;
            if !scan.eat("]") {
                return Err(scan.unexpected("] after the name of the table"));
            }
            scan.count()?;
            open(&mut root, &table, TableHeader::OfTable, line);
        } else if scan.peek().is_none() {
            return Ok(root);
        } else {
            let key = dotted(&mut scan)?;
            let value = assigned(&mut scan)?;
            let (last, parents) = key.split_last().expect("a key has a part");
            let place = [&table[..], parents].concat();
            open(&mut root, &place, TableHeader::OfTable, line).push((last.clone(), value));
        }
        pass_over_blanks(&mut scan);
        if scan.peek().is_some_and(|next| !"\r\n".contains(next)) {
            return Err(scan.unexpected("the end of the line"));
        }
    }
}

/// The header of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TableHeader {
    /// `[a.b]`
    OfTable,
    /// `[[a.b]]`: one more table of a list.
    OfList,
}

/// Returns the entries of the table at `place`, which is made if it is missing. If the header is
/// one of a list, the last part is a list, and gets one more table.
fn open<'a>(
    root: &'a mut ParsedValue,
    place: &[String],
    header: TableHeader,
    line: usize,
) -> &'a mut Vec<(String, ParsedValue)> {
    let blank = |data| ParsedValue { line, data };
    let mut at = root;
    for (depth, part) in place.iter().enumerate() {
        let entries = entries(at);
        let found = entries.iter().rposition(|(key, _)| key == part);
        let index = found.unwrap_or_else(|| {
            let data = ParsedData::Map(Vec::new());
            entries.push((part.clone(), blank(data)));
            entries.len() - 1
        });
        at = &mut entries[index].1;
        let is_last = depth + 1 == place.len();
        if is_last && header == TableHeader::OfList {
            if !matches!(at.data, ParsedData::List(_)) {
                at.data = ParsedData::List(Vec::new());
            }
            if let ParsedData::List(tables) = &mut at.data {
                tables.push(blank(ParsedData::Map(Vec::new())));
            }
        }
    }
    entries(at)
}

/// Returns the entries of a table, or of the last table of a list. Anything else becomes a table,
/// since a later table of the same name counts.
fn entries(at: &mut ParsedValue) -> &mut Vec<(String, ParsedValue)> {
    let is_list = matches!(&at.data, ParsedData::List(list)
        if list.last().is_some_and(|last| matches!(last.data, ParsedData::Map(_))));
    if !is_list && !matches!(at.data, ParsedData::Map(_)) {
        at.data = ParsedData::Map(Vec::new());
    }
    match &mut at.data {
        ParsedData::Map(entries) => entries,
        ParsedData::List(list) => match list.last_mut().map(|last| &mut last.data) {
            Some(ParsedData::Map(entries)) => entries,
            _ => unreachable!("the last element of the list is a table"),
        },
        _ => unreachable!("anything else was replaced"),
    }
}

/// Passes over blanks of a line.
fn pass_over_blanks(scan: &mut Scan<'_>) {
    scan.while_is(|next| next == ' ' || next == '\t');
    if scan.peek() == Some('#') {
        scan.while_is(|next| next != '\n');
    }
}

/// Passes over white space, line ends and comments.
fn pass_over_lines(scan: &mut Scan<'_>) {
    loop {
        scan.while_is(char::is_whitespace);
        if scan.peek() != Some('#') {
            return;
        }
        scan.while_is(|next| next != '\n');
    }
}

/// Reads a key of one or several parts: `a.b."c d"`.
fn dotted(scan: &mut Scan<'_>) -> Result<Vec<String>, SyntaxFlaw> {
    let mut parts = Vec::new();
    loop {
        pass_over_blanks(scan);
        let part = match scan.peek() {
            Some(quote @ ('"' | '\'')) => {
                scan.skip(1);
                scan.string(quote, quote == '"')?
            }
            _ => scan.while_is(|next| next.is_alphanumeric() || "_-".contains(next)).into(),
        };
        if part.is_empty() {
            return Err(scan.unexpected("a key"));
        }
        parts.push(part);
        if parts.len() > PARTS_MAX {
            return Err(scan.flaw(format!("expected a key of at most {PARTS_MAX} parts")));
        }
        pass_over_blanks(scan);
        if !scan.eat(".") {
            return Ok(parts);
        }
    }
}

/// Reads the `=` after a key, and the value.
fn assigned(scan: &mut Scan<'_>) -> Result<ParsedValue, SyntaxFlaw> {
    if !scan.eat("=") {
        return Err(scan.unexpected("= after the key"));
    }
    pass_over_blanks(scan);
    value(scan)
}

fn value(scan: &mut Scan<'_>) -> Result<ParsedValue, SyntaxFlaw> {
    scan.count()?;
    let line = scan.line();
    let data = match scan.peek() {
        Some('[') => ParsedData::List(list(scan)?),
        Some('{') => ParsedData::Map(inline_table(scan)?),
        Some(quote @ ('"' | '\'')) => ParsedData::Text(text(scan, quote)?),
        _ => {
            let word = scan.while_is(|next| !next.is_whitespace() && !",]}#".contains(next));
            if word.is_empty() {
                return Err(scan.unexpected("a value"));
            }
            let is_number = word.starts_with(|first: char| first.is_ascii_digit() || first == '-');
            ParsedData::Text(if is_number { word.replace('_', "") } else { word.into() })
        }
    };
    Ok(ParsedValue { line, data })
}

/// Reads a string, which may be one of several lines.
fn text(scan: &mut Scan<'_>, quote: char) -> Result<String, SyntaxFlaw> {
    let has_escapes = quote == '"';
    let fence = quote.to_string().repeat(3);
    if !scan.eat(&fence) {
        scan.skip(1);
        return scan.string(quote, has_escapes);
    }
    let start = scan.line();
    let _ = scan.eat("\r\n") || scan.eat("\n");
    let mut text = String::new();
    while !scan.eat(&fence) {
        match scan.next() {
            Some('\\') if has_escapes => match scan.escaped()? {
                Some(found) => text.push(found),
                None => _ = scan.while_is(char::is_whitespace),
            },
            Some(other) => text.push(other),
            None => {
                let what = format!("expected {fence} at the end of the text that begins here");
                return Err(SyntaxFlaw { line: start, what });
            }
        }
    }
    Ok(text)
}

fn list(scan: &mut Scan<'_>) -> Result<Vec<ParsedValue>, SyntaxFlaw> {
    let mut values = Vec::new();
    let start = scan.line();
    scan.begin_level()?;
    scan.skip(1);
    loop {
        pass_over_lines(scan);
        if scan.eat("]") {
            scan.end_level();
            return Ok(values);
        }
        if scan.peek().is_none() {
            let what = "expected the ] of the list that begins here".into();
            return Err(SyntaxFlaw { line: start, what });
        }
        values.push(value(scan)?);
        pass_over_lines(scan);
        if !scan.eat(",") && scan.peek().is_some_and(|next| next != ']') {
            return Err(scan.unexpected("a comma or ]"));
        }
    }
}

fn inline_table(scan: &mut Scan<'_>) -> Result<Vec<(String, ParsedValue)>, SyntaxFlaw> {
    let mut entries = Vec::new();
    scan.begin_level()?;
    scan.skip(1);
    loop {
        pass_over_lines(scan);
        if scan.eat("}") {
            scan.end_level();
            return Ok(entries);
        }
        let key = dotted(scan)?.join(".");
        entries.push((key, assigned(scan)?));
        pass_over_lines(scan);
        if !scan.eat(",") && scan.peek() != Some('}') {
            return Err(scan.unexpected("a comma or }"));
        }
    }
}
