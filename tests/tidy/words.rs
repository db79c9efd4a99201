//! The words of comments and documents, and the length of their lines.
//!
//! A comment is read by an engineer who does not know the code yet. The banned phrases are those
//! that made readers stop: they hide what is counted, or which part of the program acts.

use std::fs;

use crate::source::{complain, root};
use crate::tokens::{Piece, pieces, production};

/// The most characters of a line.
const COLUMNS: usize = 100;

/// A folder whose comments are the text of `statsd.conf.example`, wrapped at 100 columns there. The
/// indent and the `///` of the source are longer than the `#` of that file.
const GENERATING: &str = "src/config/manual/";

/// Phrases that must not be used, and what to write in their place.
const BANNED: [(&str, &str); 32] = [
    ("so many", "the number, `n`, at most `n`"),
    ("so long", "the time, for `duration`"),
    ("so much", "the amount"),
    ("anew", "again"),
    ("nobody", "no client, no process"),
    ("somebody", "a client, another process"),
    ("whoever", "the sender, the caller"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("let go of", "free, release"),
    ("lets go of", "frees, releases"),
    ("manieth", "the index, the n-th"),
    ("at the most", "at most"),
    ("at the least", "at least"),
    ("is away", "is down, has closed the connection"),
    ("are away", "are down"),
    ("was away", "was down"),
    ("has gone", "has closed the connection, has ended"),
    ("told apart", "distinguished"),
    ("of none", "of no flush, of no client"),
    ("grievance", "warning"),
    ("grievances", "warnings"),
    ("hears", "receives"),
    ("heard", "received"),
    ("hurry", "drain"),
    ("gives way", "yields, is evicted"),
    ("give way", "yield"),
    ("gave way", "yielded"),
    ("who waits", "the waiting clients"),
    ("what waits", "queued data"),
    ("what comes in", "input"),
];

/// Phrases that must not be used in the strings of the server, and what to write in their place.
/// They are messages, hints and help.
const BANNED_IN_STRINGS: [(&str, &str); 1] = [("behind", "after")];

/// Lines of code are wrapped by rustfmt, except those with a long string. Comments are wrapped by
/// hand.
///
/// A literal, a row of a table, a diagram, an example and an address may be longer.
#[test]
fn no_line_is_wider_than_100_columns() {
    complain("lines of more than 100 columns", |source| {
        if source.path.starts_with(GENERATING) { vec![] } else { wide_lines(&source.text) }
    });
}

#[test]
fn no_comment_has_a_banned_phrase() {
    complain("banned phrases", |source| {
        let found = phrases(&comments(&source.text));
        for (line, phrase, better) in &found {
            println!("{}:{line}: \"{phrase}\"; better: {better}", source.path);
        }
        found.into_iter().map(|(line, ..)| line).collect()
    });
}

#[test]
fn no_string_has_a_banned_phrase() {
    complain("banned phrases in strings", |source| {
        if !source.path.starts_with("src/") {
            return vec![];
        }
        let strings = production(&source.text);
        let strings = strings.iter().filter_map(|token| Some((token.line, token.string()?)));
        let lines = strings.flat_map(|(start, text)| (start..).zip(text.lines()));
        let found = phrases_of(&BANNED_IN_STRINGS, &lines.collect::<Vec<_>>());
        found.into_iter().map(|(line, ..)| line).collect()
    });
}

#[test]
fn no_document_has_a_banned_phrase() {
    let mut paths: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "statsd.conf.example"]
            .map(|name| root().join(name))
            .into();
    paths.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    paths.retain(|path| !path.is_dir());
    assert!(paths.len() > 5, "the documents are not where they were");
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue }; // a picture
        let found = phrases(&numbered(&text));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

/// Returns the numbers of the lines that are too long.
fn wide_lines(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    // The characters of each line that are in literals. They may be past the last column.
    let mut quoted = vec![0; lines.len() + 1];
    for (_, piece, start) in pieces(text).into_iter().filter(|(kind, ..)| *kind == Piece::Literal) {
        for (line, part) in (start..).zip(piece.split('\n')) {
            quoted[line - 1] += part.chars().count();
        }
    }
    let mut wide = Vec::new();
    let mut is_example = false;
    for (at, line) in lines.iter().enumerate() {
        let comment = line.trim_start().strip_prefix("//");
        let text = comment.map(|text| text.trim_start_matches(['/', '!']).trim_start());
        let is_fence = text.is_some_and(|text| text.starts_with("```"));
        is_example = comment.is_some() && (is_example != is_fence);
        let is_exempt = is_example || text.is_some_and(|text| text.starts_with('|'));
        let has_address = comment.is_some() && line.contains("://");
        if line.chars().count() - quoted[at] > COLUMNS && !is_exempt && !has_address {
            wide.push(at + 1);
        }
    }
    wide
}

/// Returns the text of all comments, with the numbers of their lines.
fn comments(text: &str) -> Vec<(usize, &str)> {
    let comments = pieces(text).into_iter().filter(|(kind, ..)| *kind == Piece::Comment);
    let lines = comments.flat_map(|(_, text, line)| (line..).zip(text.lines()));
    lines.map(|(line, text)| (line, text.trim_start_matches([' ', '/', '!', '*']))).collect()
}

fn numbered(text: &str) -> Vec<(usize, &str)> {
    (1..).zip(text.lines().map(|line| line.trim_start_matches([' ', '#', '>']))).collect()
}

/// Returns each banned phrase with the line it begins in and with the better words. A phrase may go
/// on in the next line.
fn phrases(lines: &[(usize, &str)]) -> Vec<(usize, &'static str, &'static str)> {
    phrases_of(&BANNED, lines)
}

fn phrases_of(
    banned: &[(&'static str, &'static str)],
    lines: &[(usize, &str)],
) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        let words = words(line);
        let mut all = words.clone();
        if let Some((_, next)) = lines.get(at + 1).filter(|(next, _)| *next == number + 1) {
            all.extend(self::words(next));
        }
        for &(phrase, better) in banned {
            let parts: Vec<_> = phrase.split(' ').collect();
            let mut starts = all.windows(parts.len()).take(words.len());
            if starts.any(|window| window == parts) {
                found.push((*number, phrase, better));
            }
        }
    }
    found
}

/// Returns the words in small letters. A comma or a full stop is a word, so that no phrase contains
/// one.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in line.chars() {
        if letter.is_alphanumeric() || "'_-".contains(letter) {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        } else {
            words.push(String::new());
            if !letter.is_whitespace() {
                words.push(letter.to_string());
                words.push(String::new());
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_rules_of_words_see() {
    let wide = |line: &str| !wide_lines(line).is_empty();
    let long = "a".repeat(COLUMNS);
    assert!(wide(&format!("// {long}")) && wide(&format!("    f(); // {long}")));
    assert!(!wide(&long) && !wide(&format!("let a = \"{long}\";")));
    assert!(!wide(&format!("//! | {long} |")) && !wide(&format!("// https://{long}")));
    assert!(!wide(&format!("/// ```\n/// {long}\n/// ```")));
    assert!(wide(&format!("/// ```\n/// a\n/// ```\n/// {long}")));

    let lines = |found: Vec<(usize, &str, &str)>| -> Vec<_> {
        found.into_iter().map(|(line, ..)| line).collect()
    };
    let banned = |text: &str| lines(phrases(&comments(text)));
    assert_eq!(banned("// a So\n// many b\nc"), [1]);
    assert_eq!(banned("f(\"anew\"); /// nobody\n"), [1]);
    assert_eq!(banned("// so, many b\n// renewed, amend\nlet nobody = 'a';\n"), [0; 0]);
    assert_eq!(lines(phrases(&numbered("# a\n\nat the\nmost b"))), [3]);
}
