//! The examples of the documentation: what a reader copies is what the tests run.

use std::fs;
use std::path::Path;

/// The code block of docs/PAGE whose first line begins with `first_words`.
pub(crate) fn example(page: &str, first_words: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    // Fences come in pairs: every second piece is a block, after the name of its language.
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut examples = blocks.map(|(_, code)| code).filter(|code| code.starts_with(first_words));
    let example = examples.next().unwrap_or_else(|| panic!("{page} has no {first_words:?}"));
    assert!(examples.next().is_none(), "{page} has {first_words:?} twice");
    example.to_owned()
}

/// Puts `new` for `old`, which has to be there.
pub(crate) fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in the example:\n{text}");
    text.replace(old, new)
}
