//! The house's style, read off the source tree: what a reviewer would say every time, a test says once.
#![allow(clippy::unwrap_used)] // a tree that cannot be read is a failed test

use std::fs;
use std::path::{Path, PathBuf};

/// Of any function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// The most lines of code in a file. Blank lines, comments and a file's tests are not counted.
/// Otherwise comments would be squeezed into one line, and methods moved out of their type's file,
/// to meet the limit.
const FILE_LINES: usize = 500;

/// The folders that take bytes and a clock's value in and give bytes out, and what they must not name above their tests.
const PURE: [&str; 6] =
    ["src/protocol/", "src/policy/", "src/series/", "src/flush/", "src/encode/", "src/wire.rs"];
const IMPURE: [&str; 18] = [
    "mio",
    "socket2",
    "libc",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "Instant",
    "SystemTime",
    "std::env",
    "std::process",
    "std::fs",
    "std::thread",
    "log::",
    "println!",
    "eprintln!",
];

/// The one place in each crate where the compiler cannot vouch for memory.
const UNSAFE: [&str; 4] = ["src/sys.rs", "src/sys/", "bench/src/sys.rs", "bench/src/sys/"];

#[test]
fn no_file_is_long() {
    complain("more than 500 lines of code", |source| {
        let length = code_lines(&source.text);
        Vec::from_iter((length > FILE_LINES).then_some(length))
    });
}

#[test]
fn no_function_is_long() {
    complain("functions longer than 70 lines", |source| {
        let lines: Vec<_> = source.text.lines().collect();
        let long = |&start: &usize| function_length(&lines[start..]) > FUNCTION_LINES;
        (0..lines.len()).filter(long).map(|start| start + 1).collect()
    });
}

#[test]
fn every_module_says_what_it_is_for() {
    let opens = |source: &Source| source.text.starts_with("//!");
    complain("no //! header", |source| {
        let exempt = !source.path.starts_with("src/");
        Vec::from_iter((!exempt && !opens(source)).then_some(1))
    });
}

#[test]
fn unsafe_code_stays_in_its_room() {
    complain("outside sys.rs the compiler vouches", |source| {
        let lines = || source.lines_naming(&[concat!("un", "safe")]);
        let allowed = UNSAFE.iter().any(|room| source.path.starts_with(room));
        if allowed { vec![] } else { lines() }
    });
}

#[test]
fn the_pure_folders_are_pure() {
    complain("a pure file names the world", |source| {
        let pure = PURE.iter().any(|folder| source.path.starts_with(folder));
        let tests = source.text.lines().position(|line| line == "#[cfg(test)]");
        let mut lines = if pure { source.lines_naming(&IMPURE) } else { vec![] };
        lines.retain(|&line| tests.is_none_or(|tests| line <= tests));
        lines
    });
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    complain("left for later", |source| {
        let marked = |line: &str| marks.iter().any(|mark| names(line, mark));
        source.lines_where(marked)
    });
}

#[test]
fn every_key_stands_in_the_example() {
    let example = fs::read_to_string(root().join("statsd.conf.example")).unwrap();
    let keys = statsd::config::KEYS.iter();
    for (key, used) in keys.flat_map(|key| key.uses.iter().map(move |used| (key, used))) {
        let (_, section) = example.split_once(&format!("[{}]", used.section)).expect(used.section);
        let section = section.split("\n\n").next().unwrap_or_default();
        let entry = format!("\n{} = {}", key.name, used.default);
        assert!(section.contains(entry.trim_end()), "[{}] {}", used.section, key.name);
    }
}

struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    /// The numbers of the lines whose code, comments aside, names one of `words`.
    fn lines_naming(&self, words: &[&str]) -> Vec<usize> {
        let code = |line: &'_ str| line.split("//").next().unwrap_or_default().to_owned();
        self.lines_where(|line| words.iter().any(|word| names(&code(line), word)))
    }

    fn lines_where(&self, matches: impl Fn(&str) -> bool) -> Vec<usize> {
        let numbered = (1..).zip(self.text.lines());
        numbered.filter(|(_, line)| matches(line)).map(|(number, _)| number).collect()
    }
}

/// Fails with every file that has bad lines.
fn complain(what: &str, bad_lines: impl Fn(&Source) -> Vec<usize>) {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "bench/src", "bench/micro", "bench/examples"] {
        collect(&root().join(folder), &mut sources);
    }
    assert!(sources.len() > 10, "the sources are not where they were");
    let complaints: Vec<_> = sources
        .iter()
        .map(|s| (&s.path, bad_lines(s)))
        .filter(|(_, bad)| !bad.is_empty())
        .collect();
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
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

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Counts the lines of code: neither blank, nor a comment, nor in the tests at the end of the file.
fn code_lines(text: &str) -> usize {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    code.lines().map(str::trim).filter(is_code).count()
}

/// The lines of the function that starts here, 0 if none does. rustfmt closes it where it opened it.
fn function_length(lines: &[&str]) -> usize {
    let code = lines[0].trim_start();
    let indent = &lines[0][..lines[0].len() - code.len()];
    let is_signature = !code.starts_with("//") && names(code.split('(').next().unwrap_or(""), "fn");
    let ends = |line: &&str| {
        line.strip_prefix(indent)
            .is_some_and(|rest| rest == "}" || rest.starts_with(')') && rest.ends_with(';'))
    };
    match is_signature && code.ends_with(['{', '(']) {
        true => lines.iter().position(ends).map_or(lines.len(), |end| end + 1),
        false => 0,
    }
}

/// Whether `word` stands in `line` by itself, not as part of a longer one.
fn names(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let inside = |before: &str, after: &str| {
        before.ends_with(part) || (word.ends_with(part) && after.starts_with(part))
    };
    line.match_indices(word).any(|(at, _)| !inside(&line[..at], &line[at + word.len()..]))
}

#[test]
fn the_rules_themselves_see() {
    let long = ["    pub fn a<T>(b: T) {", "        c()", "    }", "}"];
    assert_eq!(function_length(&long), 3);
    assert_eq!(
        function_length(&["fn a(", "    b: u8,", ") -> u8", "where", "    T: B,", "{", "}"]),
        7
    );
    assert_eq!(function_length(&["    fn a();", "}"]), 0);
    assert_eq!(function_length(&["set: fn(u8) -> u8,"]), 0);
    let file =
        "//! A file.\n\nfn a() {\n    // why\n    b()\n}\n\n#[cfg(test)]\nmod tests {\n    x\n}\n";
    assert_eq!(code_lines(file), 3);
    assert!(names("use mio::Token;", "mio") && !names("mionic", "mio") && !names("a_mio", "mio"));
    assert!(names("log::info", "log::") && !names("catalog::x", "log::"));
}
