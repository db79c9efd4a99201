//! The documentation as text: links, columns, the length of the front page, and whether every key
//! is documented. `tests/e2e/docs.rs` runs the examples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use statsd::figures::{FigureRow, FigureSection};

/// The most words of the front page.
const FRONT_PAGE_WORDS: usize = 1500;
/// The most characters of a line of prose.
const COLUMNS: usize = 100;

/// Records and corpora are no documentation.
const PAGES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"];

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for (page, text) in pages() {
        for target in links(&text).into_iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let leads_there = match fs::read_to_string(root().join(&path)) {
                Ok(text) => anchor.is_empty() || anchors(&text).contains(anchor),
                Err(_) => anchor.is_empty() && root().join(&path).exists(),
            };
            if !leads_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

#[test]
fn prose_has_at_most_100_columns() {
    let mut long = Vec::new();
    for (page, text) in pages() {
        let is_long = |line: &str| line.chars().count() > COLUMNS && !line.contains("](");
        let lines = prose(&text).filter(|(_, line)| !line.starts_with('|') && is_long(line));
        long.extend(lines.map(|(number, _)| format!("{}:{number}", page.display())));
    }
    assert!(long.is_empty(), "lines of more than {COLUMNS} columns: {long:#?}");
}

#[test]
fn the_front_page_is_short() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let words = text.split_whitespace().count();
    assert!(words <= FRONT_PAGE_WORDS, "README.md has {words} words");
}

#[test]
fn every_key_is_documented() {
    let manual = manual();
    let keys = statsd::config::KEYS.iter().map(|key| key.name);
    let missing: Vec<_> = keys.filter(|key| !names(&manual, key)).collect();
    assert!(missing.is_empty(), "keys that no page names: {missing:#?}");
}

/// Shows that the message for a key of another server in a `statsd.conf` names a key that
/// `docs/migrating.md` has for it, or states the reason if there is none.
#[test]
fn a_key_of_another_server_is_answered_as_the_page_says() {
    let page = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [theirs, ours, ..] = cells[..] else { panic!("{line}") };
        // A cell has names in backticks: `servers[].port`, `max_ttl`.
        let names = theirs.split('`').skip(1).step_by(2);
        // The keys of Node's `keyFlush` have the same names in `[key_flush]`.
        let names = names.filter(|name| !name.starts_with("keyFlush."));
        for name in names.map(|name| name.rsplit('.').next().unwrap()) {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if !name.chars().all(is_part) {
                continue; // a name with a value, or a sample
            }
            let text = format!("[statsd]\n{name} = x\n");
            let found = statsd::config::parse(Path::new("t"), text.as_bytes()).unwrap_err();
            let [found] = &found[..] else { panic!("{name}: {found:?}") };
            if !found.what.contains("no such key") {
                continue; // the same key here
            }
            rows += 1;
            let is_explained = !found.what.contains("expected one of");
            let sections = ours.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
            let places: Vec<_> = sections.map(|(section, _)| format!("[{section}]")).collect();
            let is_named = |place: &String| {
                found.what.contains(place)
                    || place == "[statsd]" && found.what.contains("did you mean")
            };
            let is_answered = places.is_empty() || places.iter().any(is_named);
            if !is_explained || !is_answered {
                wrong.push(format!("{name}: the page has {ours}, the message is {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows > 60, "{rows} keys");
}

/// Shows that the tables of `docs/delivery.md` and the section `loss` of `info` have the same
/// counters. What the tables name besides is a figure, too.
#[test]
fn the_tables_of_losses_have_the_counters_of_info() {
    let page = fs::read_to_string(root().join("docs/delivery.md")).unwrap();
    let losses = page.split("## What can be lost").nth(1).unwrap();
    let mut named = BTreeSet::new();
    for line in losses.lines().filter(|line| line.starts_with("| ")) {
        let seen = line.split(" | ").nth(2).unwrap();
        // A field of the log is written with its `=`.
        let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let names = seen.split('`').skip(1).step_by(2);
        let names = names.map(|name| name.rsplit('.').next().unwrap());
        named.extend(names.filter(|name| name.contains('_') && name.chars().all(is_part)));
    }
    let sums = ["lost_lines", "lost_packets"];
    let rows = statsd::figures::TABLE.iter();
    let is_shown =
        |row: &&FigureRow| [Some(row.section), row.also].contains(&Some(FigureSection::Loss));
    let shown = rows.clone().filter(is_shown).map(|row| row.name);
    let shown: BTreeSet<_> = shown.filter(|name| !sums.contains(name)).collect();
    let missing: Vec<_> = shown.difference(&named).collect();
    assert!(missing.is_empty(), "no table names {missing:?}");
    let figures: Vec<_> = rows.map(|row| row.name.trim_end_matches("_seconds")).collect();
    let is_key = |name: &&&str| statsd::config::KEYS.iter().any(|key| key.name == **name);
    let unknown = named.iter().filter(|name| !figures.contains(name) && !is_key(name));
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "these are no figures: {unknown:?}");
    assert!(shown.len() > 15, "{shown:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the documentation, by their paths from the root of the repository.
fn pages() -> BTreeMap<PathBuf, String> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let is_page = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "md");
    let paths = PAGES.map(PathBuf::from).into_iter().chain(docs.filter(is_page));
    paths
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            (path, text)
        })
        .collect()
}

/// The example configuration and everything under `docs`.
fn manual() -> String {
    let mut pages = pages();
    pages.retain(|path, _| path.starts_with("docs"));
    let example = fs::read_to_string(root().join("statsd.conf.example")).unwrap();
    pages.into_values().chain([example]).collect()
}

/// The lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of all links and images. Those in inline code are none.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for (_, line) in prose(text) {
        // Every second piece is code.
        let text: String = line.split('`').step_by(2).collect();
        let after = text.split("](").skip(1);
        targets.extend(after.filter_map(|after| Some(after.split_once(')')?.0.to_owned())));
    }
    targets
}

/// The anchors that GitHub gives the headings of a page. A heading that comes again gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some((marks, heading)) = line.split_once(' ') else { continue };
        if marks.is_empty() || !marks.bytes().all(|mark| mark == b'#') {
            continue;
        }
        let stays = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        let anchor: String = heading.to_lowercase().chars().filter(stays).collect();
        let anchor = anchor.replace(' ', "-");
        let repeated = (1..).map(|times| format!("{anchor}-{times}"));
        let mut candidates = std::iter::once(anchor.clone()).chain(repeated);
        anchors.insert(candidates.find(|anchor| !anchors.contains(anchor)).unwrap());
    }
    anchors
}

/// Whether `word` stands in the text by itself, and not as a part of a longer word.
fn names(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

#[test]
fn the_rules_see_what_they_are_about() {
    let page = "# A `b`: c\n\n[a](x.md#y) `[b](c)` ![d](e.png)\n\n```sh\n# no heading [f](g)\n```\n\n## A b c\n";
    assert_eq!(links(page), ["x.md#y", "e.png"]);
    assert_eq!(anchors(page), BTreeSet::from(["a-b-c".to_owned(), "a-b-c-1".to_owned()]));
    assert_eq!(prose(page).map(|(number, _)| number).collect::<Vec<_>>(), [1, 2, 3, 4, 8, 9]);
    assert!(names("a `queue` b", "queue") && !names("queue_bytes", "queue"));
}
