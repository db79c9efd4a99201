//! Splits a command line into words. A name may be quoted as the dumps quote it: `"c d"`.

use std::borrow::Cow;

/// Returns the first word of `line` and the text after it, or `None` if there is no word.
pub(super) fn next_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| line.split_at(end))
}

/// Splits `line` at white space that is not in quotes.
///
/// A word in quotes is read as a JSON string. A raw name may begin with a quote, so a word that is
/// no JSON string stays as it is.
pub(super) fn words(mut line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut words = Vec::new();
    while let Some((word, rest)) = next_word(line) {
        if let Some((text, rest)) = quoted(line.trim_ascii_start()) {
            words.push(Cow::Owned(text.into_bytes()));
            line = rest;
        } else {
            words.push(Cow::Borrowed(word));
            line = rest;
        }
    }
    words
}

/// Reads the JSON string at the start of `text`, which must be a word of its own. Returns it and
/// the text after it.
fn quoted(text: &[u8]) -> Option<(String, &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })?;
    let after = &text[end + 1..];
    if !after.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    // In UTF-16, since an escape may be a half of a character.
    let mut units = Vec::new();
    let mut characters = str::from_utf8(&text[..end]).ok()?.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            '\\' => match characters.next()? {
                'u' => {
                    let digits = characters.as_str().get(..4)?;
                    characters = characters.as_str()[4..].chars();
                    u16::from_str_radix(digits, 16).ok()?
                }
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                '"' => 0x22,
                '/' => 0x2f,
                '\\' => 0x5c,
                _ => return None,
            },
            character => {
                units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
                continue;
            }
        };
        units.push(unit);
    }
    Some((String::from_utf16(&units).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_read_as_json_and_others_stay() {
        for (line, expected) in [
            ("", &[][..]),
            (" a  b\tc ", &["a", "b", "c"]),
            (r#""c d" e"#, &["c d", "e"]),
            (r#"a "c  d.*""#, &["a", "c  d.*"]),
            (r#""a\"b\\" "c""#, &["a\"b\\", "c"]),
            (r#""\u00e9\u0041 \ud83d\ude00""#, &["\u{e9}A \u{1f600}"]),
            (r#""""#, &[""]),
            // Words that are no JSON strings stay as they are.
            (r#""a b"#, &["\"a", "b"]),
            (r#"a"b c""#, &["a\"b", "c\""]),
            (r#""a"b c"#, &["\"a\"b", "c"]),
            (r#""\x" b"#, &[r#""\x""#, "b"]),
            (r#""\ud83d" b"#, &[r#""\ud83d""#, "b"]),
            (r#""\u00" b"#, &[r#""\u00""#, "b"]),
        ] {
            let found = words(line.as_bytes());
            let found: Vec<&str> = found.iter().map(|word| str::from_utf8(word).unwrap()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
