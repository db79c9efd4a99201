//! The rules for the layout and the style of the source, checked by reading it as text.
//!
//! `layout` checks which module may import which, and where types and their methods stand. `style`
//! checks names and single lines. `words` checks the words of comments and documents, and the
//! length of lines. `logs` checks the texts of log lines and hints. The limits of files and
//! functions are in this file.
#![allow(clippy::unwrap_used)] // a tree that cannot be read is a failed test

mod layout;
mod logs;
mod modules;
mod source;
mod style;
mod tokens;
mod words;

use std::fs;

use source::{Source, complain, names, root};

/// Of any function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// The most lines of code in a file. Blank lines, comments and a file's tests are not counted.
/// Otherwise comments would be squeezed into one line, and methods moved out of their type's file,
/// to meet the limit.
const FILE_LINES: usize = 500;

/// What the pure half of the server must not name above its tests. It takes bytes and a clock's
/// value in, and gives bytes out.
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
fn the_pure_half_is_pure() {
    // `core.rs` lists its modules, and `src/lib.rs` those of the other half.
    let core = fs::read_to_string(root().join("src/core.rs")).unwrap();
    let modules = core.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let modules: Vec<_> = modules.collect();
    assert!(modules.contains(&"series"), "{modules:?}");
    let is_pure = |path: &str| {
        let module = path.strip_prefix("src/").and_then(|path| path.split(['/', '.']).next());
        module.is_some_and(|module| modules.contains(&module))
    };
    complain("a pure file names the world", |source| {
        let pure = is_pure(&source.path);
        let tests = source.text.lines().position(|line| line == "#[cfg(test)]");
        let mut lines = if pure { source.lines_naming(&IMPURE) } else { vec![] };
        lines.retain(|&line| tests.is_none_or(|tests| line <= tests));
        lines
    });
}

/// Production code has no method, variant or call that only tests use. What a test needs to see or
/// to replace is passed in, as production passes in the real one.
#[test]
fn only_modules_are_for_tests_alone() {
    complain("code for tests outside of a module of tests", |source| {
        if !source.path.starts_with("src/") {
            return Vec::new();
        }
        let lines: Vec<_> = source.text.lines().collect();
        let is_module = |line: &str| {
            ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let is_other = |at: &usize| {
            lines[*at].trim_start() == "#[cfg(test)]"
                && !lines.get(at + 1).is_some_and(|next| is_module(next.trim_start()))
        };
        (0..lines.len()).filter(is_other).map(|at| at + 1).collect()
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
        let header = format!("\n[{}]\n", used.section);
        let (_, section) = example.split_once(&header).expect(used.section);
        let section = section.split("\n[").next().unwrap_or_default();
        let default = if key.is_derived() { "" } else { used.default };
        let entry = format!("\n{} = {default}", key.name);
        let entry = format!("{}\n", entry.trim_end());
        assert!(section.contains(&entry), "[{}] {}", used.section, key.name);
    }
}

/// Counts the lines of code: neither blank, nor a comment, nor in the tests at the end of the file.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |two: &[&str]| two[0] == "#[cfg(test)]" && two[1].ends_with("mod tests {");
    let end = lines.windows(2).position(begins).unwrap_or(lines.len());
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    lines[..end].iter().map(|line| line.trim()).filter(is_code).count()
}

/// The lines of the function that starts here, 0 if none does. rustfmt closes it where it opened
/// it.
fn function_length(lines: &[&str]) -> usize {
    let code = lines[0].trim_start();
    let indent = &lines[0][..lines[0].len() - code.len()];
    let is_signature = !code.starts_with("//") && names(code.split('(').next().unwrap_or(""), "fn");
    let ends = |line: &&str| {
        line.strip_prefix(indent)
            .is_some_and(|rest| rest == "}" || rest.starts_with(')') && rest.ends_with(';'))
    };
    if is_signature && code.ends_with(['{', '(']) {
        lines.iter().position(ends).map_or(lines.len(), |end| end + 1)
    } else {
        0
    }
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
    assert_eq!(code_lines(&file.replace("mod tests", "pub(super) mod tests")), 3);
    assert_eq!(code_lines("#[cfg(test)]\nmod fakes;\nfn a() {}\n"), 3);
    assert!(names("use mio::Token;", "mio") && !names("mionic", "mio") && !names("a_mio", "mio"));
    assert!(names("log::info", "log::") && !names("catalog::x", "log::"));
}
