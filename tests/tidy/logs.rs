//! The texts of the log: a constant sentence, fields that can be searched for, hints that say what
//! to do, and plain words. `src/logging/format.rs` tests how fields are quoted and escaped.

use std::collections::BTreeSet;
use std::fs;

use crate::modules::at_commas;
use crate::source::{Source, names, root, sources};
use crate::tokens::{Token, group, production, starts_with};

/// The most characters of a sentence.
const SENTENCE: usize = 100;

/// Words that must not be in a sentence, a hint or a reason. They are of the list of words that the
/// project does not use, as far as they have no other meaning in a log line.
const BANNED: [&str; 26] = [
    "anew",
    "as many as",
    "at the least",
    "at the most",
    "behind",
    "complaint",
    "gone",
    "grievance",
    "hurried",
    "hurry",
    "in doubt",
    "let go",
    "mend",
    "nobody",
    "park",
    "parked",
    "said",
    "says",
    "settle",
    "so long",
    "so many",
    "somebody",
    "told",
    "untold",
    "whoever",
    "who",
];

/// A hint has one of these verbs: what the operator can do, or what the server does.
const VERBS: [&str; 28] = [
    "add",
    "change",
    "check",
    "close",
    "closes",
    "continues",
    "create",
    "drops",
    "find",
    "fix",
    "free",
    "keep",
    "keeps",
    "let",
    "lower",
    "make",
    "raise",
    "read",
    "reads",
    "reload",
    "remove",
    "restart",
    "retries",
    "run",
    "set",
    "starts",
    "stop",
    "use",
];

/// Files whose strings are sentences, hints and reasons that a macro gets by name.
const TEXTS: [&str; 16] = [
    "src/config/lint/destinations.rs",
    "src/config/lint/figures.rs",
    "src/config/lint/idle_keys.rs",
    "src/config/lint/listeners.rs",
    "src/config/lint/memory.rs",
    "src/config/lint/names.rs",
    "src/config/lint/rules.rs",
    "src/config/lint/times.rs",
    "src/protocol/reject.rs",
    "src/sink/advice.rs",
    "src/sink/console.rs",
    "src/sink/error.rs",
    "src/sink/exec.rs",
    "src/sink/link/log_lines.rs",
    "src/sink/look_up.rs",
    "src/warnings.rs",
];

/// One call of a macro of `log`.
#[derive(Debug)]
struct LogCall {
    place: String,
    /// The macro: `error`, `warn`, `info`, `debug`, or `log`, whose level is computed.
    level: String,
    fields: Vec<LogField>,
    /// `None` if it is not a string.
    sentence: Option<String>,
}

#[derive(Debug)]
struct LogField {
    /// `None` if it is computed.
    name: Option<String>,
    /// The strings in its value.
    strings: Vec<String>,
    /// Its value is one string and nothing else.
    is_constant: bool,
}

#[test]
fn sentences_are_constant_and_short() {
    let mut bad = Vec::new();
    for call in calls() {
        let sentence = call.sentence.as_deref().unwrap_or("{}");
        // Two calls get a text that is checked where it is written.
        if !is_sentence(sentence) && !["{}", "{sentence}"].contains(&sentence) {
            bad.push(format!("{}: {sentence}", call.place));
        }
    }
    for (place, text) in named_sentences() {
        if !is_sentence(&text) {
            bad.push(format!("{place}: {text}"));
        }
    }
    assert!(bad.is_empty(), "sentences that are not plain, or too long: {bad:#?}");
}

#[test]
fn fields_have_names_that_scripts_can_search_for() {
    let mut bad = Vec::new();
    for call in calls() {
        for name in call.fields.iter().filter_map(|field| field.name.as_ref()) {
            if !is_field_name(name) {
                bad.push(format!("{}: {name}", call.place));
            }
        }
    }
    assert!(bad.is_empty(), "names of fields: {bad:#?}");
}

/// Shows that the field by which an event is searched for comes first, after the name of the
/// destination, and that the page of the operator lists it.
#[test]
fn every_event_is_in_the_manual() {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, page) = page.split_once("\n## The log\n").expect("a section for the log");
    let mut missing = Vec::new();
    for call in calls() {
        let field = call.fields.iter().find(|field| field.name.as_deref() != Some("sink"));
        let Some(LogField { name: Some(name), strings, is_constant }) = field else { continue };
        let event =
            if *is_constant { format!("{name}={}", strings[0]) } else { format!("{name}=") };
        if !names(page, &event) {
            missing.push(format!("{}: {event}", call.place));
        }
    }
    let counts = warnings().into_iter().map(|(place, texts)| (place, format!("{}=", texts[0])));
    missing.extend(counts.filter(|(_, event)| !names(page, event)).map(|(place, _)| place));
    assert!(missing.is_empty(), "events that docs/operations.md does not list: {missing:#?}");
}

/// Shows that the page of the operator explains every field of every line.
#[test]
fn every_field_is_in_the_manual() {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, page) = page.split_once("\n### Fields\n").expect("a section for the fields");
    let all = calls().into_iter().flat_map(|call| call.fields).filter_map(|field| field.name);
    let missing: BTreeSet<_> = all.filter(|name| !page.contains(&format!("`{name}=`"))).collect();
    assert!(missing.is_empty(), "fields that docs/operations.md does not explain: {missing:#?}");
}

#[test]
fn every_warning_and_error_has_a_hint_with_a_verb() {
    let mut bad = Vec::new();
    for call in calls() {
        let hint = call.fields.iter().find(|field| field.name.as_deref() == Some("hint"));
        let has_hint = hint.is_some() || !["warn", "error"].contains(&call.level.as_str());
        let texts = hint.map(|hint| &hint.strings[..]).unwrap_or_default();
        if !has_hint || !texts.is_empty() && !texts.iter().any(|text| has_verb(text)) {
            bad.push(format!("{}: {texts:?}", call.place));
        }
    }
    for (place, texts) in warnings() {
        if !has_verb(&texts[2]) {
            bad.push(format!("{place}: {}", texts[2]));
        }
    }
    assert!(bad.is_empty(), "no hint, or one without a verb: {bad:#?}");
}

#[test]
fn texts_use_plain_words() {
    let mut texts = Vec::new();
    for call in calls() {
        let strings = call.fields.into_iter().flat_map(|field| field.strings);
        texts.extend(strings.chain(call.sentence).map(|text| (call.place.clone(), text)));
    }
    texts.extend(strings_of(&TEXTS));
    assert!(texts.len() > 200, "{} texts", texts.len());
    texts.retain(|(_, text)| BANNED.iter().any(|word| names(&text.to_lowercase(), word)));
    assert!(texts.is_empty(), "texts with words that are banned: {texts:#?}");
}

/// Shows that no text has quotes, which would be quotes inside the quotes of a value. Values that
/// are formatted into a text are escaped by the formatter (`src/logging/format.rs`).
#[test]
fn texts_have_no_quotes() {
    let mut texts = Vec::new();
    for call in calls() {
        let strings = call.fields.into_iter().flat_map(|field| field.strings);
        texts.extend(strings.chain(call.sentence).map(|text| (call.place.clone(), text)));
    }
    texts.extend(strings_of(&TEXTS));
    texts.extend(strings_of(&["src/ingest/bind.rs"]));
    texts.retain(|(_, text)| has_quotes(text));
    assert!(texts.is_empty(), "texts with quotes: {texts:#?}");
}

/// Returns the strings of the server's files at `paths`, each with its path. A file that is missing
/// or that has no string fails the test, since its texts would then be checked no longer.
fn strings_of(paths: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(root().join(path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        let tokens = production(&text);
        let before = found.len();
        let strings = tokens.iter().filter_map(Token::string);
        found.extend(strings.map(|text| ((*path).to_owned(), text.to_owned())));
        assert!(found.len() > before, "{path} has no texts");
    }
    found
}

/// Whether a text has a quote that is not an apostrophe after a letter.
fn has_quotes(text: &str) -> bool {
    let letters = || text.chars();
    let before = std::iter::once(' ').chain(letters());
    before.zip(letters()).any(|(before, letter)| {
        letter == '"' || letter == '`' || letter == '\'' && !before.is_ascii_alphabetic()
    })
}

/// The sources of the server, without files that are for tests alone.
fn server() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| source.path.starts_with("src/") && !source.path.contains("/tests"));
    sources
}

/// Every call of a macro of `log` in the server.
fn calls() -> Vec<LogCall> {
    let mut calls = Vec::new();
    for source in server() {
        calls.extend(calls_in(&source.path, &source.text));
    }
    assert!(calls.len() > 40, "{} calls", calls.len());
    calls
}

fn calls_in(path: &str, text: &str) -> Vec<LogCall> {
    let tokens = production(text);
    let is_call = |at: &usize| {
        starts_with(&tokens[*at..], &["log", "::"])
            && tokens.get(at + 3).is_some_and(|token| token.text == "!")
    };
    let call = |at: usize| {
        let all = &tokens[at + 4..];
        let inside = &all[1..group(all) - 1];
        let level = tokens[at + 2].text.to_owned();
        let place = format!("{path}:{}", tokens[at].line);
        call(place, level, inside)
    };
    (0..tokens.len()).filter(is_call).map(call).collect()
}

/// Parses what is between the parentheses of a call.
fn call(place: String, level: String, tokens: &[Token<'_>]) -> LogCall {
    let mut at = 0;
    while at < tokens.len() && tokens[at].text != ";" {
        at += if ["{", "(", "["].contains(&tokens[at].text) { group(&tokens[at..]) } else { 1 };
    }
    let (fields, sentence) =
        if at < tokens.len() { (&tokens[..at], &tokens[at + 1..]) } else { (&tokens[..0], tokens) };
    let mut fields = at_commas(fields);
    if level == "log" {
        fields.remove(0); // the level
    }
    LogCall {
        place,
        level,
        fields: fields.into_iter().map(field).collect(),
        sentence: sentence.first().and_then(Token::string).map(str::to_owned),
    }
}

fn field(tokens: &[Token<'_>]) -> LogField {
    let is_computed = tokens[0].text == "(";
    let name = tokens[0].string().unwrap_or(tokens[0].text).to_owned();
    // `name = value`, `name:% = value`, or `name` alone.
    let equals = tokens.iter().position(|token| token.text == "=").unwrap_or(tokens.len() - 1);
    let value = &tokens[equals + 1..];
    LogField {
        name: (!is_computed).then_some(name),
        strings: value.iter().filter_map(Token::string).map(str::to_owned).collect(),
        is_constant: matches!(value, [only] if only.string().is_some()),
    }
}

/// The texts of each warning about the input: the field of its count, its sentence and its hint.
fn warnings() -> Vec<(String, [String; 3])> {
    let path = "src/warnings.rs";
    let text = fs::read_to_string(root().join(path)).unwrap();
    let tokens = production(&text);
    let mut warnings = Vec::new();
    for at in 0..tokens.len() {
        if starts_with(&tokens[at..], &["WarningText", "::", "new", "("]) {
            let all = &tokens[at + 3..];
            let texts = at_commas(&all[1..group(all) - 1]);
            let text = |nth: usize| texts[nth][0].string().unwrap_or("see").to_owned();
            warnings.push((format!("{path}:{}", tokens[at].line), [text(0), text(1), text(2)]));
        }
    }
    assert!(warnings.len() > 10, "{} warnings", warnings.len());
    warnings
}

/// The sentences that a call gets by name.
fn named_sentences() -> Vec<(String, String)> {
    let mut found: Vec<_> =
        warnings().into_iter().map(|(place, [_, sentence, _])| (place, sentence)).collect();
    for source in server() {
        let tokens = production(&source.text);
        let body = tokens.iter().skip_while(|token| token.text != "sentence");
        if source.path == "src/sink/error.rs" {
            // The body of `fn sentence`, and what follows it up to the next function.
            let body = body.take_while(|token| token.text != "fn");
            let sentences = body.filter_map(Token::string);
            found.extend(sentences.map(|text| (source.path.clone(), text.to_owned())));
        }
        for at in 2..tokens.len() {
            if starts_with(&tokens[at - 2..], &["sentence", ":"])
                && let Some(sentence) = tokens[at].string()
            {
                found.push((format!("{}:{}", source.path, tokens[at].line), sentence.to_owned()));
            }
        }
    }
    found
}

fn is_sentence(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_graphic() && !"=\"\\{}".contains(letter);
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.chars().all(|letter| letter == ' ' || is_plain(letter))
        && !text.ends_with('.')
        && text.len() <= SENTENCE
}

/// Whether a name is in snake case, or a key with its section such as `tcp.max_connections`.
fn is_field_name(name: &str) -> bool {
    let is_snake = |part: &str| {
        part.starts_with(|letter: char| letter.is_ascii_lowercase())
            && part.chars().all(|letter| {
                letter == '_' || letter.is_ascii_lowercase() || letter.is_ascii_digit()
            })
    };
    // The formatter writes these three itself.
    name.splitn(2, '.').all(is_snake) && !["time", "level", "msg"].contains(&name)
}

fn has_verb(text: &str) -> bool {
    text == "see" || VERBS.iter().any(|verb| names(text, verb))
}

#[test]
fn the_rules_see_what_they_are_about() {
    let text = r#"
        // log::warn!("not this one");
        log::warn!(sink = name, state = "a b", "c.d":% = e(1, 2), lines, (kind) = f; "it failed");
        log::log!(if g { H } else { I }, key:? = j, hint:% = format_args!("fix {k}"); "{sentence}");
        log::info!("it starts");
        #[cfg(test)]
        fn test() { log::warn!(Bad = 1; "Bad"); }"#;
    let found = calls_in("a.rs", text);
    let [warn, log, info] = &found[..] else { panic!("{found:?}") };
    let names_of = |call: &LogCall| -> Vec<Option<String>> {
        call.fields.iter().map(|field| field.name.clone()).collect()
    };
    let names = ["sink", "state", "c.d", "lines"].map(|name| Some(name.to_owned()));
    assert_eq!(names_of(warn), [&names[..], &[None]].concat());
    assert_eq!((warn.fields[1].is_constant, warn.fields[0].is_constant), (true, false));
    assert_eq!(warn.sentence.as_deref(), Some("it failed"));
    assert_eq!((log.fields.len(), log.fields[1].strings[0].as_str()), (2, "fix {k}"));
    assert_eq!((info.fields.len(), info.sentence.as_deref()), (0, Some("it starts")));
    assert!(is_sentence("the server starts") && !is_sentence("a=b") && !is_sentence("It starts."));
    assert!(is_field_name("tcp.max_connections") && is_field_name("file2"));
    assert!(!is_field_name("Level") && !is_field_name("level") && !is_field_name("a-b"));
    assert!(!has_quotes("the peer's name") && has_quotes("no '|'") && has_quotes("say \"a\""));
    assert!(has_verb("raise it") && !has_verb("too low"));
}
