//! The sources as text, and how a rule reports what breaks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The numbers of the lines whose code, comments aside, names one of `words`.
    pub(crate) fn lines_naming(&self, words: &[&str]) -> Vec<usize> {
        let code = |line: &'_ str| line.split("//").next().unwrap_or_default().to_owned();
        self.lines_where(|line| words.iter().any(|word| names(&code(line), word)))
    }

    pub(crate) fn lines_where(&self, matches: impl Fn(&str) -> bool) -> Vec<usize> {
        let numbered = (1..).zip(self.text.lines());
        numbered.filter(|(_, line)| matches(line)).map(|(number, _)| number).collect()
    }
}

/// Fails with every file that has bad lines.
pub(crate) fn complain(what: &str, bad_lines: impl Fn(&Source) -> Vec<usize>) {
    let sources = sources();
    let complaints: Vec<_> = sources
        .iter()
        .map(|s| (&s.path, bad_lines(s)))
        .filter(|(_, bad)| !bad.is_empty())
        .collect();
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
}

/// Returns every source of the server, of its tests and of the benches.
pub(crate) fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "bench/src", "bench/micro"] {
        collect(&root().join(folder), &mut sources);
    }
    assert!(sources.len() > 10, "the sources are not where they were");
    sources
}

/// Fails unless a rule is broken exactly where its list of exceptions says.
///
/// An exception that is no longer needed must leave the list, so that the list can only get
/// shorter.
pub(crate) fn compare(rule: &str, found: &BTreeSet<String>, exceptions: &[&str]) {
    let known: BTreeSet<String> = exceptions.iter().map(|&known| known.to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(found).collect();
    let broken = !(new.is_empty() && gone.is_empty());
    assert!(!broken, "{rule}: {new:#?}\nexceptions that are no longer needed: {gone:#?}");
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("target") {
            continue; // what the fuzzers build
        }
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
}

pub(crate) fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Whether `word` stands in `line` by itself, not as part of a longer one.
pub(crate) fn names(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let inside = |before: &str, after: &str| {
        before.ends_with(part) || (word.ends_with(part) && after.starts_with(part))
    };
    line.match_indices(word).any(|(at, _)| !inside(&line[..at], &line[at + word.len()..]))
}
