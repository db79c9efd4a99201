//! Tests of the form of log lines: nasty values, types, and splitting a line again.

use log::Level;

use super::*;

const TIME: &str = "1970-01-01T00:00:01.500Z";

fn formatted(format: LogFormat, sentence: &str, fields: &[(&str, Value<'_>)]) -> String {
    let line = line(
        format,
        Duration::from_millis(1500),
        &Record::builder()
            .level(Level::Warn)
            .args(format_args!("{sentence}"))
            .key_values(&fields)
            .build(),
    );
    line.strip_suffix('\n').unwrap().to_owned()
}

fn json(sentence: &str, fields: &[(&str, Value<'_>)]) -> serde_json::Value {
    serde_json::from_str(&formatted(LogFormat::Json, sentence, fields)).unwrap()
}

/// Splits a line of text into its sentence and its fields, by the rules at the top of the module.
fn split(line: &str) -> (String, Vec<(String, String)>) {
    let prefix = format!("time={TIME} level=warn ");
    let mut rest = line.strip_prefix(&prefix).unwrap();
    let sentence = if rest.starts_with('"') {
        quoted(&mut rest)
    } else {
        let first_key = rest.find('=').map_or(rest.len(), |at| rest[..at].rfind(' ').unwrap());
        let sentence = rest[..first_key].to_owned();
        rest = &rest[first_key..];
        sentence
    };
    let mut fields = Vec::new();
    while let Some(field) = rest.strip_prefix(' ') {
        let (key, value) = field.split_once('=').unwrap();
        rest = value;
        let value = if rest.starts_with('"') {
            quoted(&mut rest)
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            let value = rest[..end].to_owned();
            rest = &rest[end..];
            value
        };
        fields.push((key.to_owned(), value));
    }
    assert_eq!(rest, "", "{line}");
    (sentence, fields)
}

/// Takes a quoted value off the front. A byte that is not UTF-8 becomes the private character.
fn quoted(rest: &mut &str) -> String {
    let mut value = String::new();
    let mut characters = rest[1..].chars();
    let number = |digits: &str| u32::from_str_radix(digits, 16).unwrap();
    loop {
        match characters.next().unwrap() {
            '"' => break,
            '\\' => value.push(match characters.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' => {
                    let byte = number(&characters.by_ref().take(2).collect::<String>());
                    char::from_u32(if byte < 0x80 { byte } else { RAW_BYTES + byte }).unwrap()
                }
                'u' => {
                    let digits: String = characters.by_ref().take_while(|c| *c != '}').collect();
                    char::from_u32(number(&digits[1..])).unwrap()
                }
                other => other,
            }),
            character => value.push(character),
        }
    }
    *rest = characters.as_str();
    value
}

/// Values that would break a line that is quoted by hand.
fn nasty() -> Vec<String> {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut values = vec![
        String::new(),
        "plain".into(),
        "two words".into(),
        " ".into(),
        "\"".into(),
        "\\".into(),
        "ends in a backslash \\".into(),
        "\" level=error forged=\"yes".into(),
        "x\ntime=2026-11-28T09:00:00.123Z level=error forged=yes".into(),
        "carriage\rreturn\ttab".into(),
        "\x1b[31mred\x1b[0m \x07 \x7f".into(),
        "\u{9b}31m \u{85} \u{2028} \u{202e}txt.exe \u{feff}".into(),
        "a=b".into(),
        "naïve café 日本 🦀 e\u{301}".into(),
        "{\"time\":1}".into(),
        "{} %s $(id) `id`".into(),
        "long ".repeat(100_000),
    ];
    values.push(Bytes(&bytes).to_string());
    values.push(Bytes(b"cut \xe2\x82").to_string());
    values.push(Bytes(b"\xff").to_string());
    values
}

#[test]
fn a_line_of_text_stays_one_line_and_can_be_split_again() {
    for value in nasty() {
        let fields = [("first", Value::from(&*value)), ("last", Value::from(1))];
        let line = formatted(LogFormat::Text, "a sentence", &fields);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.contains(['\u{2028}', '\u{202e}', '\u{feff}']), "{line:?}");
        let expected = [("first".into(), value.clone()), ("last".into(), "1".into())];
        assert_eq!(split(&line), ("a sentence".into(), expected.into()), "{line}");
        if !value.is_empty() {
            let line = formatted(LogFormat::Text, &value, &fields[1..]);
            assert_eq!(split(&line), (value, vec![("last".into(), "1".into())]), "{line}");
        }
    }
}

#[test]
fn a_line_of_json_is_json() {
    for value in nasty() {
        let line = formatted(LogFormat::Json, &value, &[("value", Value::from(&*value))]);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        let lossy = |character| match raw_byte(character) {
            Some(_) => char::REPLACEMENT_CHARACTER,
            None => character,
        };
        let expected: String = value.chars().map(lossy).collect();
        assert_eq!(
            (&parsed["msg"], &parsed["value"]),
            (&expected.clone().into(), &expected.into())
        );
    }
}

#[test]
fn plain_values_are_bare_and_the_others_are_quoted() {
    let spelled = |value: &dyn Display| {
        let value = text_of(value);
        let line = formatted(LogFormat::Text, "s", &[("v", Value::from(&*value))]);
        line.split_once(" v=").unwrap().1.to_owned()
    };
    assert_eq!(spelled(&"done"), "done");
    assert_eq!(spelled(&"/etc/statsd.conf"), "/etc/statsd.conf");
    assert_eq!(spelled(&"[::1]:2003"), "[::1]:2003");
    assert_eq!(spelled(&""), r#""""#);
    assert_eq!(spelled(&"exit status: 3"), r#""exit status: 3""#);
    assert_eq!(spelled(&"k=v"), r#""k=v""#);
    assert_eq!(spelled(&"a\\b\"c\n\0"), r#""a\\b\"c\n\x00""#);
    assert_eq!(spelled(&Bytes(b"a:x|c\x00\xff")), r#""a:x|c\x00\xff""#);
    assert_eq!(spelled(&"é\u{202e}"), r#""é\u{202e}""#);
}

#[test]
fn numbers_and_truth_values_keep_their_types() {
    let none: Option<u64> = None;
    let wait = Duration::from_millis(1500);
    let fields = [
        ("reload", Value::from("done")),
        ("lines", Value::from(7_u64)),
        ("change", Value::from(-3_i64)),
        ("wide", Value::from(1_u128 << 70)),
        ("share", Value::from(0.25)),
        ("is_open", Value::from(true)),
        ("retry_in", Value::from_debug(&wait)),
        ("absent", Value::from_any(&none)),
        ("unknown", Value::from(f64::NAN)),
    ];
    assert_eq!(
        formatted(LogFormat::Text, "it happened", &fields),
        format!(
            "time={TIME} level=warn it happened reload=done lines=7 change=-3 wide=1180591620717411303424 share=0.25 is_open=true retry_in=1.5s unknown=NaN"
        )
    );
    assert_eq!(
        formatted(LogFormat::Json, "it happened", &fields),
        format!(
            r#"{{"time":"{TIME}","level":"warn","msg":"it happened","reload":"done","lines":7,"change":-3,"wide":1180591620717411303424,"share":0.25,"is_open":true,"retry_in":"1.5s","unknown":"NaN"}}"#
        )
    );
    assert_eq!(json("no fields", &[])["msg"], "no fields");
    assert_eq!(formatted(LogFormat::Text, "", &[]), format!("time={TIME} level=warn"));
}
