//! The examples of the documentation. Tests run them as they are printed, since readers copy them.

use std::fs;
use std::path::Path;

/// Returns the text of `docs/PAGE`. The front page is `../README.md`.
fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the name and the text of the front page and of every page under `docs`.
pub(crate) fn pages() -> impl Iterator<Item = (String, String)> {
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".md"));
    names.chain(["../README.md".to_owned()]).map(|name| {
        let text = read(&name);
        (name, text)
    })
}

/// Returns the code blocks of a page that are marked with `language`.
pub(crate) fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    all_blocks(text).filter(move |(of, _)| *of == language).map(|(_, code)| code)
}

/// Returns every code block of a page, with the name of its language.
pub(crate) fn all_blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    // Fences come in pairs: every second piece is a block.
    text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// Returns the code block of docs/PAGE whose first line begins with `first_words`.
pub(crate) fn example(page: &str, first_words: &str) -> String {
    let text = read(page);
    let mut examples = all_blocks(&text).map(|(_, code)| code);
    let mut examples = examples.by_ref().filter(|code| code.starts_with(first_words));
    let example = examples.next().unwrap_or_else(|| panic!("{page} has no {first_words:?}"));
    assert!(examples.next().is_none(), "{page} has {first_words:?} twice");
    example.to_owned()
}

/// Replaces `old` by `new`. Fails if `old` is missing.
pub(crate) fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in the example:\n{text}");
    text.replace(old, new)
}

/// The section of docs/PAGE with this heading.
pub(crate) fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let start = text.find(&format!("\n{heading}\n"));
    let section = &text[start.unwrap_or_else(|| panic!("{page} has no {heading}")) + 1..];
    let end = section.find("\n## ").unwrap_or(section.len());
    section[..end].to_owned()
}
