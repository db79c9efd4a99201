//! How things are written: what a reviewer would otherwise have to say each time.

use std::collections::BTreeSet;

use crate::modules::{Modules, at_commas};
use crate::source::{Source, compare, sources};
use crate::tokens::{Token, group, production, starts_with};

/// Files that still bind unrelated values in one `let`.
const PAIRED: &[&str] = &[];

/// Names that still are metaphors.
const METAPHORS: &[&str] = &[];

/// Words that mean nothing in a search of the source. `docs` and logs use the terms of the
/// field: drain, remove, spill, close, resolve, warning.
const BANNED_WORDS: [&str; 18] = [
    "anew",
    "carriage",
    "gone",
    "nobody",
    "somebody",
    "hurry",
    "hurried",
    "park",
    "parked",
    "parting",
    "grievance",
    "grievances",
    "hear",
    "heard",
    "settle",
    "settled",
    "judge",
    "judgement",
];
/// Words that are good in a longer name, such as `leave_out` or `look_up`, but alone mean nothing.
const BANNED_ALONE: [&str; 4] = ["leave", "part", "look", "let_go"];

/// `let (a, b) = (x, y);` saves a line and hides that the values have nothing to do with each
/// other.
#[test]
fn unrelated_values_are_bound_by_lets_of_their_own() {
    let mut found = BTreeSet::new();
    for source in products() {
        let tokens = production(&source.text);
        for at in (0..tokens.len()).filter(|&at| binds_unrelated(&tokens[at..])) {
            println!("{}:{}", source.path, tokens[at].line);
            found.insert(source.path.clone());
        }
    }
    compare("a tuple bound to a tuple", &found, PAIRED);
}

/// A function, a type, a variant, a field or a constant is named for what it does or is.
#[test]
fn no_name_is_a_metaphor() {
    let mut found = BTreeSet::new();
    for source in products() {
        let tokens = production(&source.text);
        for name in defined(&tokens).into_iter().filter(|name| is_metaphor(name)) {
            found.insert(format!("{}: {name}", source.path));
        }
    }
    compare("metaphors as names", &found, METAPHORS);
}

fn is_metaphor(name: &str) -> bool {
    let lower = name.to_lowercase();
    // A constant has capital letters only, so each of them would begin a word.
    let name = if name.chars().any(char::is_lowercase) { name } else { &lower };
    BANNED_ALONE.contains(&name)
        || words(name).iter().any(|word| BANNED_WORDS.contains(&word.as_str()))
}

/// Returns the names that these tokens define: functions, types, modules, constants, the variants
/// of enums, and fields.
fn defined<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    const KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];
    let mut names = Vec::new();
    for at in 1..tokens.len() {
        let keyword = tokens[at - 1].text;
        if KEYWORDS.contains(&keyword) && tokens[at].is_name() {
            names.push(tokens[at].text);
        }
        if ["struct", "enum"].contains(&keyword) {
            let has_body = |token: &Token<'_>| ["{", "(", ";"].contains(&token.text);
            let body = tokens[at..].iter().position(has_body).unwrap_or(0);
            names.extend(members(&tokens[at + body..]));
        }
    }
    names
}

/// Returns the names of the fields or variants in a body in braces, with the fields of the
/// variants.
fn members<'a>(body: &[Token<'a>]) -> Vec<&'a str> {
    if !starts_with(body, &["{"]) {
        return Vec::new();
    }
    let mut names = Vec::new();
    for mut member in at_commas(&body[1..group(body) - 1]) {
        while starts_with(member, &["#"]) {
            member = &member[1 + group(&member[1..])..];
        }
        if starts_with(member, &["pub"]) {
            member = &member[1..];
            if starts_with(member, &["("]) {
                member = &member[group(member)..];
            }
        }
        // After the comma in `HashMap<K, V>` there is no name, but the rest of a type.
        let is_name = member.get(1).is_none_or(|next| [":", "{", "(", "="].contains(&next.text));
        names.extend(member.first().filter(|_| is_name).map(|name| name.text));
        names.extend(members(member.get(1..).unwrap_or_default()));
    }
    names
}

/// The sources of the server and of the bench, without files that are for tests alone.
fn products() -> Vec<Source> {
    let modules = Modules::read();
    let mut sources = sources();
    sources.retain(|source| {
        let path = source.path.as_str();
        modules.0.values().any(|module| module.file == path)
            || path == "src/main.rs"
            || path.starts_with("bench/src/") && !path.ends_with("tests.rs")
    });
    sources
}

/// Whether the tokens begin with `let (…) = (…, …);`.
fn binds_unrelated(tokens: &[Token<'_>]) -> bool {
    if !starts_with(tokens, &["let", "("]) {
        return false;
    }
    let names = group(&tokens[1..]);
    let Some(equals) = tokens[1 + names..].iter().position(|token| token.text == "=") else {
        return false;
    };
    let values = &tokens[1 + names + equals + 1..];
    if !starts_with(values, &["("]) {
        return false;
    }
    let length = group(values);
    at_commas(&values[1..length - 1]).len() > 1 && starts_with(&values[length..], &[";"])
}

/// The words of a name, in small letters: `let_go` and `LetGo` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() {
            words.push(String::new());
        }
        if letter != '_' {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words
}

#[test]
fn the_rules_see_what_they_are_about() {
    let binds = |text: &str| binds_unrelated(&production(text));
    assert!(binds("let (a, mut b) = (f(c, d), e);") && binds("let (a, b): (u8, u8) = (1, 2);"));
    assert!(!binds("let (a, b) = f(c, d);") && !binds("let (a, b) = (c, d).e();"));
    assert!(!binds("let (a, b) = (f(c, d));") && !binds("let Some((a, b)) = c else { return };"));
    let text =
        "pub enum A { #[b(c)] D, E(F), G { h: I, } } struct J<K> { pub(super) l: M<K, O>, n: O }
        struct P(Q); const R: S = T; fn u(v: W) { let x = Y { z: 1 }; }";
    let found = ["A", "D", "E", "G", "h", "J", "l", "n", "P", "R", "u"];
    assert_eq!(defined(&production(text)), found);
    assert!(is_metaphor("PARKED_MAX") && is_metaphor("HurryUp") && is_metaphor("gone_lines"));
    assert!(is_metaphor("part") && !is_metaphor("part_of") && !is_metaphor("HEARTBEAT"));
    assert_eq!(words("let_go"), ["let", "go"]);
    assert_eq!(words("LetGo"), ["", "let", "go"]);
}
