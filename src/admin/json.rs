//! Writes JSON: for the dumps of the line protocol, and for the answers under `/api/`.

use std::io::Write as _;

use crate::encode::number::Number;

/// Writes one JSON value, and puts the commas where they belong.
///
/// A value that takes several steps is continued by [`resume`](Self::resume).
#[derive(Debug)]
pub(super) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the next value of the open object or array needs a comma before it.
    needs_comma: bool,
}

impl<'a> JsonWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, needs_comma: false }
    }

    /// Continues an object or an array that already has an entry if `has_entries`.
    pub(super) fn resume(out: &'a mut Vec<u8>, has_entries: bool) -> Self {
        Self { out, needs_comma: has_entries }
    }

    /// The bytes written so far, with those that were there before.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Begins an object or an array: `{` or `[`.
    pub(super) fn open(&mut self, bracket: u8) -> &mut Self {
        self.comma();
        self.out.push(bracket);
        self.needs_comma = false;
        self
    }

    /// Ends an object or an array: `}` or `]`.
    pub(super) fn close(&mut self, bracket: u8) -> &mut Self {
        self.out.push(bracket);
        self.needs_comma = true;
        self
    }

    /// Writes the name of the next value of an object.
    pub(super) fn key(&mut self, name: &str) -> &mut Self {
        self.comma();
        put_string(name.as_bytes(), self.out);
        self.out.push(b':');
        self.needs_comma = false;
        self
    }

    pub(super) fn string(&mut self, text: &[u8]) -> &mut Self {
        self.comma();
        put_string(text, self.out);
        self
    }

    /// Writes a number. JSON has none that are not finite: they become `null`.
    pub(super) fn number(&mut self, value: f64) -> &mut Self {
        self.comma();
        if value.is_finite() {
            put_number(value, self.out);
        } else {
            self.out.extend_from_slice(b"null");
        }
        self
    }

    /// Writes a number, or `null` if there is none.
    pub(super) fn maybe_number(&mut self, value: Option<f64>) -> &mut Self {
        self.number(value.unwrap_or(f64::NAN))
    }

    /// Writes a string, or `null` if there is none.
    pub(super) fn maybe_string(&mut self, text: Option<&[u8]>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.null(),
        }
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.literal(if value { b"true" } else { b"false" })
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.literal(b"null")
    }

    fn literal(&mut self, text: &[u8]) -> &mut Self {
        self.comma();
        self.out.extend_from_slice(text);
        self
    }

    /// Writes the comma before a value that is not the first. A value follows in any case.
    fn comma(&mut self) {
        if self.needs_comma {
            self.out.push(b',');
        }
        self.needs_comma = true;
    }
}

/// Appends `bytes` as a JSON string. Bytes that are not UTF-8 (names taken raw may hold them)
/// become U+FFFD.
///
/// Runs of plain bytes are copied at once: a name may have 64 KiB.
pub(super) fn put_string(bytes: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f);
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest.iter().position(is_special) {
            out.extend_from_slice(&rest[..at]);
            match rest[at] {
                special @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', special]),
                control => {
                    let _ = write!(out, "\\u{control:04x}"); // a Vec takes every write
                }
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Appends a finite number.
pub(super) fn put_number(value: f64, out: &mut Vec<u8>) {
    Number::new().append(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_json_needs_escaped_is() {
        for (bytes, text) in [
            (&b"a.b;k=v"[..], "\"a.b;k=v\""),
            (b"q\"b\\", "\"q\\\"b\\\\\""),
            (b"\t\x00\x7f", "\"\\u0009\\u0000\\u007f\""),
            ("caf\u{e9}".as_bytes(), "\"caf\u{e9}\""),
            (b"\xff", "\"\u{fffd}\""),
            (b"a\xff\xfe\"b", "\"a\u{fffd}\u{fffd}\\\"b\""),
        ] {
            let mut out = Vec::new();
            put_string(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn commas_stand_between_values() {
        let mut out = Vec::new();
        let mut json = JsonWriter::new(&mut out);
        json.open(b'{').key("a").number(1.5).key("b").open(b'[').null().boolean(true);
        json.open(b'{').close(b'}').string(b"x").close(b']').key("c").number(f64::NAN);
        json.key("d").open(b'[').close(b']').key("e").maybe_string(None).maybe_number(Some(2.0));
        json.close(b'}');
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"a":1.5,"b":[null,true,{},"x"],"c":null,"d":[],"e":null,2}"#);
        let mut out = Vec::new();
        JsonWriter::resume(&mut out, true).number(1.0).close(b']');
        assert_eq!(out, b",1]");
    }
}
