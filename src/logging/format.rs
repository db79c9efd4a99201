//! The form of a log line: a line of text, or a JSON object. Pure.
//!
//! ```text
//! time=2026-11-28T09:00:00.123Z level=error the configuration was not reloaded reload=refused config=/etc/statsd.conf reason="unknown key \"bnid\""
//! {"time":"2026-11-28T09:00:00.123Z","level":"error","msg":"the configuration was not reloaded","reload":"refused",…}
//! ```
//!
//! Values may come from clients. Whatever they hold, a line stays one line, has no control
//! characters, and can be split into its fields again.
//!
//! The rules of text:
//! - A value of printable ASCII without a space, `"`, `=` and `\` is written as it is. All other
//!   values are quoted, and the empty one is `""`.
//! - In quotes, `\` comes before `"`, `\`, `n`, `r` and `t`. Other control characters and bytes
//!   that are not UTF-8 are `\x1b`, other characters that cannot be printed are `\u{202e}`.
//! - The sentence is quoted by the same rules, but spaces alone are no reason to quote it. So it
//!   ends before the first word that has a `=`.

use std::fmt::{self, Display, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};

/// How log lines are written: `[statsd] log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `time=… level=… SENTENCE key=value key="a quoted value"`
    #[default]
    Text,
    /// One JSON object for each line: `time`, `level`, `msg`, then the fields.
    Json,
}

/// Bytes as a log field, such as a line that a client sent: `line:% = Bytes(line)`.
///
/// `log` carries text only. A byte that is not UTF-8 is therefore carried as a private character,
/// which the formatter writes as `\xff` in text, and as `U+FFFD` in JSON, which has no bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

/// The private character that stands for the byte 0. The one for the byte `n` comes `n` later.
const RAW_BYTES: u32 = 0x10_F700;

impl Display for Bytes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            out.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                let raw = char::from_u32(RAW_BYTES + u32::from(*byte));
                out.write_char(raw.unwrap_or(char::REPLACEMENT_CHARACTER))?;
            }
        }
        Ok(())
    }
}

/// Returns the byte that a private character stands for.
fn raw_byte(character: char) -> Option<u8> {
    u32::from(character).checked_sub(RAW_BYTES).and_then(|byte| u8::try_from(byte).ok())
}

/// Returns the line for a record, with its newline. `wall` is the time since 1970.
pub(super) fn line(format: LogFormat, wall: Duration, record: &Record<'_>) -> String {
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + wall);
    let level = match record.level() {
        log::Level::Error => "error",
        log::Level::Warn => "warn",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
        log::Level::Trace => "trace",
    };
    let mut line = LogLine { text: String::with_capacity(256), format };
    match format {
        LogFormat::Text => line.write(format_args!("time={time} level={level}")),
        LogFormat::Json => line.write(format_args!(r#"{{"time":"{time}","level":"{level}""#)),
    }
    line.sentence(record.args());
    // It can only fail if writing a field does, and writing into a `String` does not fail.
    let _ = record.key_values().visit(&mut line);
    line.text.push_str(match format {
        LogFormat::Text => "\n",
        LogFormat::Json => "}\n",
    });
    line.text
}

/// A line that is being written.
struct LogLine {
    text: String,
    format: LogFormat,
}

impl LogLine {
    /// Writes text that needs no escapes.
    fn write(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(text); // a `String` accepts all
    }

    /// Writes the sentence. Text format quotes it only if it has characters that need quotes.
    fn sentence(&mut self, sentence: &fmt::Arguments<'_>) {
        let built;
        let sentence = match sentence.as_str() {
            Some(constant) => constant,
            None => {
                built = text_of(sentence);
                &built
            }
        };
        match self.format {
            LogFormat::Text if sentence.is_empty() => {}
            LogFormat::Text => {
                self.text.push(' ');
                let is_bare = |byte| byte == b' ' || is_plain(byte);
                if sentence.bytes().all(is_bare) {
                    self.text.push_str(sentence);
                } else {
                    self.quote(sentence);
                }
            }
            LogFormat::Json => {
                self.text.push_str(r#","msg":"#);
                self.quote_json(sentence);
            }
        }
    }

    /// Writes the name of the next field. Names are written in the source, so they need no escapes.
    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Text => self.write(format_args!(" {key}=")),
            LogFormat::Json => self.write(format_args!(r#","{key}":"#)),
        }
    }

    /// Writes the value of a field.
    fn value(&mut self, value: &str) {
        match self.format {
            LogFormat::Json => self.quote_json(value),
            LogFormat::Text if !value.is_empty() && value.bytes().all(is_plain) => {
                self.text.push_str(value);
            }
            LogFormat::Text => self.quote(value),
        }
    }

    /// Writes a text in quotes. Control characters and raw bytes are escaped, so that a line stays
    /// one line and a terminal shows no colours of a client.
    fn quote(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str(r#"\""#),
                '\\' => self.text.push_str(r"\\"),
                '\n' => self.text.push_str(r"\n"),
                '\r' => self.text.push_str(r"\r"),
                '\t' => self.text.push_str(r"\t"),
                ' '..='~' => self.text.push(character),
                '\0'..='\x7f' => self.write(format_args!(r"\x{:02x}", u32::from(character))),
                _ => match raw_byte(character) {
                    Some(byte) => self.write(format_args!(r"\x{byte:02x}")),
                    None => self.text.extend(character.escape_debug()),
                },
            }
        }
        self.text.push('"');
    }

    /// Writes a text as a JSON string. JSON cannot hold raw bytes, so they become U+FFFD.
    fn quote_json(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str(r#"\""#),
                '\\' => self.text.push_str(r"\\"),
                ' '..='~' => self.text.push(character),
                _ if raw_byte(character).is_some() => {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                }
                _ if is_printable(character) => self.text.push(character),
                _ => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        self.write(format_args!(r"\u{unit:04x}"));
                    }
                }
            }
        }
        self.text.push('"');
    }
}

/// Whether a byte of a value needs no quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')
}

/// Whether a character, not one that a backslash escapes, is shown as it is.
fn is_printable(character: char) -> bool {
    character.escape_debug().len() == 1
}

/// Returns what a value displays.
fn text_of(value: &dyn Display) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value}"); // what a failing `Display` wrote is better than a panic
    text
}

impl<'kvs> VisitSource<'kvs> for LogLine {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(LogField { line: self, key: key.as_str() })
    }
}

/// Writes one field. Its name is known, and `log` passes its value to one of the methods below.
/// Numbers and truth values are never quoted. A field without a value is left out.
struct LogField<'a> {
    line: &'a mut LogLine,
    key: &'a str,
}

impl LogField<'_> {
    /// Writes a value that never needs quotes.
    fn bare(&mut self, value: &dyn Display) -> Result<(), Error> {
        self.line.key(self.key);
        self.line.write(format_args!("{value}"));
        Ok(())
    }
}

impl<'v> VisitValue<'v> for LogField<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.visit_str(&text_of(&value))
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(()) // an `Option` without a value: the field is left out
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.line.key(self.key);
        self.line.value(value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.bare(&value)
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.bare(&value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.bare(&value)
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), Error> {
        self.bare(&value)
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), Error> {
        self.bare(&value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        if value.is_finite() {
            self.bare(&format_args!("{value:?}")) // `2.0`, so that it is always the same type
        } else {
            self.visit_str(&text_of(&value)) // JSON has no number for it
        }
    }
}

#[cfg(test)]
mod tests;
