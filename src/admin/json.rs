//! The little JSON that dumps are made of.

use std::io::Write as _;

use crate::encode::number::Number;

/// Appends `bytes` as a JSON string. Bytes that are not UTF-8 (names taken raw may hold them) become U+FFFD.
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character)); // a Vec takes every write
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends a finite number.
pub(super) fn number(value: f64, out: &mut Vec<u8>) {
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
        ] {
            let mut out = Vec::new();
            string(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
