//! What the readers of JavaScript, TOML, YAML and INI have in common: the values of a file, a
//! cursor over its characters, and what is wrong with it. Pure.
//!
//! A file may be hostile. So the depth of its values and their number are bounded.

/// The most levels of lists and objects inside each other. The readers call themselves for each.
const DEPTH_MAX: usize = 32;
/// The most values of a file. The largest configurations of telegraf have about 2,000.
const VALUES_MAX: usize = 20_000;

/// What is wrong with a file, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxFlaw {
    pub(super) line: usize,
    /// What was expected.
    pub(super) what: String,
}

/// A value with the line where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParsedValue {
    pub(super) line: usize,
    pub(super) data: ParsedData,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ParsedData {
    /// A number, a string or a word, without quotes.
    Text(String),
    /// An expression that only the other program can compute.
    Code(String),
    List(Vec<ParsedValue>),
    /// In the order of the file. A key may be given twice.
    Map(Vec<(String, ParsedValue)>),
}

/// How many values a file has so far, and how many lists and objects the next one is inside of.
#[derive(Debug, Default)]
pub(super) struct ValueCount {
    values: usize,
    depth: usize,
}

impl ValueCount {
    /// Counts a value. Fails if there are too many.
    pub(super) fn count(&mut self, line: usize) -> Result<(), SyntaxFlaw> {
        self.values += 1;
        if self.values > VALUES_MAX {
            let what = format!("expected at most {VALUES_MAX} values in a file");
            return Err(SyntaxFlaw { line, what });
        }
        Ok(())
    }

    /// Begins a list or an object. Fails if too many are inside each other.
    pub(super) fn begin_level(&mut self, line: usize) -> Result<(), SyntaxFlaw> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let what = format!("expected at most {DEPTH_MAX} lists and objects inside each other");
            return Err(SyntaxFlaw { line, what });
        }
        Ok(())
    }

    pub(super) fn end_level(&mut self) {
        self.depth -= 1;
    }
}

/// Reads the characters of a file one after the other, and counts lines and values.
pub(super) struct Scan<'a> {
    rest: &'a str,
    line: usize,
    values: ValueCount,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, values: ValueCount::default() }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.skip(next.len_utf8());
        Some(next)
    }

    /// Passes over `bytes` bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    /// Passes over `text` if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_next = self.rest.starts_with(text);
        if is_next {
            self.skip(text.len());
        }
        is_next
    }

    /// Returns the characters up to the first one that is not `wanted`.
    pub(super) fn while_is(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !wanted(next)).unwrap_or(self.rest.len());
        let found = &self.rest[..end];
        self.skip(end);
        found
    }

    pub(super) fn flaw(&self, what: impl Into<String>) -> SyntaxFlaw {
        SyntaxFlaw { line: self.line, what: what.into() }
    }

    /// Returns the flaw of a character that does not fit. `expected` names what would.
    pub(super) fn unexpected(&self, expected: &str) -> SyntaxFlaw {
        match self.peek() {
            Some(found) => self.flaw(format!("expected {expected}, not {found:?}")),
            None => self.flaw(format!("expected {expected}, not the end of the file")),
        }
    }

    /// Counts a value. Fails if there are too many.
    pub(super) fn count(&mut self) -> Result<(), SyntaxFlaw> {
        self.values.count(self.line)
    }

    /// Begins a list or an object. Fails if too many are inside each other.
    pub(super) fn begin_level(&mut self) -> Result<(), SyntaxFlaw> {
        self.values.begin_level(self.line)
    }

    pub(super) fn end_level(&mut self) {
        self.values.end_level();
    }

    /// Reads the rest of a string whose opening quote was read. `\` begins an escape if
    /// `has_escapes` is set.
    pub(super) fn string(&mut self, quote: char, has_escapes: bool) -> Result<String, SyntaxFlaw> {
        let start = self.line;
        let unclosed = || SyntaxFlaw {
            line: start,
            what: format!("expected a closing {quote} in the same line"),
        };
        let mut text = String::new();
        loop {
            match self.next().filter(|next| *next != '\n').ok_or_else(unclosed)? {
                found if found == quote => return Ok(text),
                '\\' if has_escapes => text.extend(self.escaped()?),
                other => text.push(other),
            }
        }
    }

    /// Reads an escape after its `\`. Returns `None` if it stands for no character, as one at the
    /// end of a line.
    pub(super) fn escaped(&mut self) -> Result<Option<char>, SyntaxFlaw> {
        let digits = match self.next() {
            None => return Err(self.unexpected("a character after \\")),
            Some('\n') => return Ok(None),
            Some('n') => return Ok(Some('\n')),
            Some('t') => return Ok(Some('\t')),
            Some('r') => return Ok(Some('\r')),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(other) => return Ok(Some(other)),
        };
        let number = self.rest.get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(found) = number.and_then(char::from_u32) else {
            return Err(self.flaw("expected hexadecimal digits of a character after \\"));
        };
        self.skip(digits);
        Ok(Some(found))
    }
}

impl ParsedValue {
    pub(super) fn text(line: usize, text: impl Into<String>) -> Self {
        Self { line, data: ParsedData::Text(text.into()) }
    }
}
