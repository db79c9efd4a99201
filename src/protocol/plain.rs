//! The lines that nearly all traffic is made of, read in one pass: `name:digits|c` and its like, a rate perhaps.
//!
//! What reads as anything else (a sign, an exponent, tags, several values, a name to be cleaned) is left to the general
//! reader, which gives the same for these lines and is the twin in the tests.

use super::names::KEEPS;
use super::number::POWERS;
use super::{Grammar, Sample};

/// A line that needed no rewriting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plain<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) sample: Sample<'a>,
}

/// So many digits are an exact double, whatever they are.
const DIGITS: usize = 15;

/// The plain line that `text` begins with, and how many bytes it takes without its newline. None for any other line.
#[inline]
pub(crate) fn read_plain<'a>(grammar: &Grammar, text: &'a [u8]) -> Option<(Plain<'a>, usize)> {
    let colon = text.iter().position(|&byte| !KEEPS[usize::from(byte)])?;
    if text[colon] != b':' || colon == 0 || colon > grammar.max_key_length {
        return None;
    }
    let (value, digits) = read_number(&text[colon + 1..])?;
    let bar = colon + 1 + digits;
    let name = &text[..colon];
    let (sample, length) = match text.get(bar..)? {
        [b'|', b'c', ..] => (Sample::Count(value), 2),
        [b'|', b'm', b's', ..] => (Sample::Time { value, weight: 1.0 }, 3),
        [b'|', b'g', ..] => (Sample::Level(value), 2),
        [b'|', b's', ..] => (Sample::Member(&text[colon + 1..bar]), 2),
        _ => return None,
    };
    let end = bar + length;
    match text.get(end) {
        None | Some(b'\n') => Some((Plain { name, sample }, end)),
        Some(b'|') => with_rate(sample, &text[end..])
            .map(|(sample, rate)| (Plain { name, sample }, end + rate)),
        Some(_) => None,
    }
}

/// The sample of a line that ends in `|@rate`, with which `text` begins.
fn with_rate<'a>(sample: Sample<'a>, text: &[u8]) -> Option<(Sample<'a>, usize)> {
    if text.get(1) != Some(&b'@') {
        return None;
    }
    let (rate, digits) = read_number(&text[2..])?;
    let end = 2 + digits;
    let is_whole = matches!(text.get(end), None | Some(b'\n'));
    if !(is_whole && rate > 0.0 && rate <= 1.0) {
        return None;
    }
    let weight = 1.0 / rate; // finite: a rate of so few digits is not that small
    let sample = match sample {
        Sample::Count(value) => Sample::Count(value * weight),
        Sample::Time { value, .. } => Sample::Time { value, weight },
        other => other,
    };
    Some((sample, end))
}

/// Digits, with a point among or behind them, and how many bytes they take.
#[inline]
fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut at) = (0_u64, 0);
    let mut point = None;
    while let Some(&byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() && at > 0 {
            point = Some(at);
        } else {
            break;
        }
        at += 1;
        if at > DIGITS {
            return None; // the mantissa has not wrapped
        }
    }
    if at == 0 {
        return None;
    }
    // Both are exact, so that one division rounds once.
    let value = mantissa as f64;
    let value = point.map_or(value, |point| value / POWERS[at - point - 1]);
    Some((value, at))
}

#[cfg(test)]
mod tests {
    use super::super::{LineReader, Reading};
    use super::*;

    /// What the general reader makes of a line.
    fn twin<'a>(reader: &'a mut LineReader, line: &'a [u8]) -> Option<Plain<'a>> {
        let Reading::Line(line) = reader.read(line) else { return None };
        let mut samples = line.samples();
        let sample = samples.next()?.ok()?;
        let is_whole = samples.next().is_none() && line.timestamp.is_none();
        (is_whole && !line.has_unread_tags).then_some(Plain { name: line.name, sample })
    }

    #[test]
    fn common_lines_are_plain() {
        for line in [
            "a.b:1|c",
            "a:0|g",
            "a:12.5|ms",
            "a:5.|ms",
            "a:42|s",
            "a:1|c|@0.1",
            "a:3|ms|@0.25",
            "a:3|ms|@1",
            "a:999999999999999|c",
            "a-b_c.D9:000|g",
            "a:7|g|@0.5",
            "a:7|s|@0.5",
        ] {
            let grammar = Grammar::default();
            let mut reader = LineReader::new(grammar.clone());
            let expected = twin(&mut reader, line.as_bytes());
            let (plain, length) = read_plain(&grammar, line.as_bytes()).expect(line);
            assert_eq!((Some(plain), length), (expected, line.len()), "{line}");
            let more = format!("{line}\nb:2|c\n");
            assert_eq!(read_plain(&grammar, more.as_bytes()), Some((plain, length)), "{line}");
        }
    }

    #[test]
    fn whatever_else_is_left_to_the_general_reader() {
        for line in [
            "",
            ":1|c",
            "a:|c",
            "a:1",
            "a:1|",
            "a:1|x",
            "a:+1|g",
            "a:-1|c",
            "a:1e3|c",
            "a:.5|c",
            "a:1:2|c",
            "a:1|c\r",
            "a:1|c ",
            "a b:1|c",
            "a/b:1|c",
            "a;t=1:1|c",
            "a=b:1|c",
            "a,t=1:1|c",
            "a:1|c|#t:1",
            "a:1|c|@0",
            "a:1|c|@2",
            "a:1|c|@.5",
            "a:1|c|@",
            "a:1|c|",
            "a:1.2.3|c",
            "a:1|ms|@1e-1",
            "a:1|m",
            "a:1|h",
            "a:1|d",
            "a:1|C",
            "a:1|kv",
            "a:1|ss",
            "a:1|cc",
            "a:1|c:2|g",
            "a:1000000000000000|c",
            "_e{1,1}:a|b",
            "_sc|a|0",
        ] {
            assert_eq!(read_plain(&Grammar::default(), line.as_bytes()), None, "{line}");
        }
        let grammar = Grammar { max_key_length: 3, ..Grammar::default() };
        assert!(read_plain(&grammar, b"abc:1|c").is_some());
        assert_eq!(read_plain(&grammar, b"abcd:1|c"), None);
    }

    /// Random lines of the pieces that matter: where both read one, they agree.
    #[test]
    fn it_agrees_with_the_general_reader() {
        const PIECES: [&[u8]; 24] = [
            b"a",
            b"b.c",
            b"=",
            b":",
            b":",
            b"1",
            b"0",
            b"27",
            b".",
            b"|c",
            b"|ms",
            b"|g",
            b"|s",
            b"|",
            b"|@",
            b"0.1",
            b"@",
            b"-",
            b"e",
            b"#t:1",
            b"\r",
            b" ",
            b"999999999",
            b"m",
        ];
        for sanitize in [true, false] {
            let grammar = Grammar { sanitize, ..Grammar::default() };
            let mut reader = LineReader::new(grammar.clone());
            let (mut state, mut plain_ones) = (88_172_645_463_325_252_u64, 0);
            for _ in 0..300_000 {
                let mut line = Vec::new();
                let mut next = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    usize::try_from(state >> 20).unwrap()
                };
                if next() % 2 == 0 {
                    line.extend_from_slice(b"a:1");
                }
                for _ in 0..1 + next() % 6 {
                    line.extend_from_slice(PIECES[next() % PIECES.len()]);
                }
                if let Some((plain, length)) = read_plain(&grammar, &line) {
                    plain_ones += 1;
                    assert_eq!(length, line.len());
                    let expected = twin(&mut reader, &line);
                    assert_eq!(expected, Some(plain), "{}", line.escape_ascii());
                }
            }
            assert!(plain_ones > 500, "{plain_ones}");
        }
    }
}
