//! Reads INI, as inih (statsite) and Python's `ConfigParser` (statsdpy) do. Pure.

use super::syntax::{ParsedData, ParsedValue, SyntaxFlaw, ValueCount};

/// Reads a file: a map of its sections, each a map of texts. A section that comes again goes on.
/// Names are in small letters, because both programs ignore the case.
pub(super) fn read(text: &str) -> Result<ParsedValue, SyntaxFlaw> {
    let mut values = ValueCount::default();
    let mut sections: Vec<(String, ParsedValue)> = Vec::new();
    for (line, raw) in (1..).zip(text.lines()) {
        let flaw = |what: &str| SyntaxFlaw { line, what: what.into() };
        let content = raw.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        values.count(line)?;
        if let Some(rest) = content.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or_else(|| flaw("expected ] in the line"))?;
            let name = name.trim().to_ascii_lowercase();
            // The keys that follow belong to the last section.
            let section = match sections.iter().position(|(known, _)| *known == name) {
                Some(at) => sections.remove(at),
                None => (name, ParsedValue { line, data: ParsedData::Map(Vec::new()) }),
            };
            sections.push(section);
            continue;
        }
        let Some(ParsedData::Map(entries)) = sections.last_mut().map(|last| &mut last.1.data)
        else {
            return Err(flaw("expected a [section] before the first key"));
        };
        let Some((key, value)) = content.split_once(['=', ':']) else {
            // A line with an indent goes on with the value before it.
            let is_indented = raw.starts_with(char::is_whitespace);
            match entries.last_mut().filter(|_| is_indented).map(|last| &mut last.1.data) {
                Some(ParsedData::Text(before)) => {
                    before.push(' ');
                    before.push_str(content);
                }
                _ => return Err(flaw("expected `key = value` or `[section]`")),
            }
            continue;
        };
        entries.push((
            key.trim().to_ascii_lowercase(),
            ParsedValue::text(line, without_comment(value.trim())),
        ));
    }
    Ok(ParsedValue { line: 1, data: ParsedData::Map(sections) })
}

/// Returns a value without the comment after it, which begins with ` ;`.
fn without_comment(value: &str) -> &str {
    let end = value.match_indices(';').find(|(at, _)| value[..*at].ends_with(char::is_whitespace));
    end.map_or(value, |(at, _)| value[..at].trim_end())
}
