//! `[rule.NAME]` sections: the table of their keys, and how they are read and shown. Pure.
//!
//! A key that a rule does not give is taken from a later rule or from `[statsd]`. So no key has a
//! default, and rules cannot use the table in `keys.rs`. A key with an empty value is a setting: no
//! percentiles, no histogram, all figures. `rule_values` has the kinds of values.

use ahash::AHashMap;

use super::hints::unknown_key;
use super::ini::{Flaw, IniSection, KeyValue, quoted};
use super::keys::TIMER_METRICS_WANTED;
use super::limits::PATTERNS_MAX;
use super::rule_values::{
    Bins, GlobText, NewTagText, RegexText, TagLimitText, TagPatternText, TagRenameText,
    TemplateText,
};
use super::sections::RULE;
use super::value::{AtMost, List, Percent, SpanOrNever, ValueKind, Word, YES_NO};
use crate::policy::{PERCENTILES_MAX, Rule, SignedGauges};

/// A key of a rule.
struct RuleKey {
    name: &'static str,
    /// Sets the key of a rule. Returns what was expected and what was found if the text is not a
    /// value of it.
    set: fn(&mut Rule, &str) -> Result<(), String>,
    /// Returns the value as the file writes it. Returns `None` if the rule does not set the key.
    get: fn(&Rule) -> Option<String>,
    /// Whether two rules have the same value for this key.
    is_same: fn(&Rule, &Rule) -> bool,
}

const SIGNED: Word<SignedGauges> =
    Word(&[("delta", SignedGauges::Delta), ("absolute", SignedGauges::Absolute)]);

/// The functions of a key whose field in [`Rule`] is an `Option`.
macro_rules! setting {
    ($place:ident: $kind:expr) => {
        (
            |rule, text| Ok(rule.$place = Some($kind.read_or_explain(text)?)),
            |rule| rule.$place.as_ref().map(|value| $kind.show(value)),
            |one, other| one.$place == other.$place,
        )
    };
}

macro_rules! rule_keys {
    ($($name:ident: $field:expr;)*) => {
        const RULE_KEYS: &[RuleKey] = &[$({
            type Set = fn(&mut Rule, &str) -> Result<(), String>;
            type Get = fn(&Rule) -> Option<String>;
            type IsSame = fn(&Rule, &Rule) -> bool;
            let (set, get, is_same): (Set, Get, IsSame) = $field;
            RuleKey { name: stringify!($name), set, get, is_same }
        }),*];
    };
}

rule_keys! {
    match: (read_matches, show_matches, |one, other| one.matches == other.matches);
    match_regex: setting!(match_regex: RegexText);
    match_tags: (
        |rule, text| {
            rule.match_tags = AtMost(PATTERNS_MAX, List(TagPatternText)).read_or_explain(text)?;
            Ok(())
        },
        |rule| (!rule.match_tags.is_empty()).then(|| List(TagPatternText).show(&rule.match_tags)),
        |one, other| one.match_tags == other.match_tags,
    );
    drop: setting!(drop: YES_NO);
    name: setting!(rename: TemplateText);
    tags: setting!(add_tags: AtMost(PATTERNS_MAX, List(NewTagText)));
    drop_tags: setting!(drop_tags: AtMost(PATTERNS_MAX, List(GlobText)));
    keep_tags: setting!(keep_tags: AtMost(PATTERNS_MAX, List(GlobText)));
    rename_tag: setting!(rename_tag: AtMost(PATTERNS_MAX, List(TagRenameText)));
    max_tag_values: setting!(max_tag_values: AtMost(PATTERNS_MAX, List(TagLimitText)));
    percentiles: setting!(percentiles: AtMost(PERCENTILES_MAX, List(Percent)));
    timer_metrics: setting!(timer_metrics: TIMER_METRICS_WANTED);
    expire: setting!(expire: SpanOrNever);
    delete_idle: setting!(delete_idle: YES_NO);
    histogram: setting!(histogram: Bins);
    signed_gauges: setting!(signed_gauges: SIGNED);
}

fn read_matches(rule: &mut Rule, text: &str) -> Result<(), String> {
    rule.matches = AtMost(PATTERNS_MAX, List(GlobText)).read_or_explain(text)?;
    if rule.matches.is_empty() {
        return Err("expected at least one pattern, not \"\"".into());
    }
    Ok(())
}

fn show_matches(rule: &Rule) -> Option<String> {
    (!rule.matches.is_empty()).then(|| List(GlobText).show(&rule.matches))
}

/// Reads a section. Returns its rule, and the mistakes in it.
pub(super) fn read(section: &IniSection) -> (Rule, Vec<Flaw>) {
    let name = section.name[RULE.len() + 1..].to_owned();
    let mut rule = Rule { name, ..Rule::default() };
    let mut flaws = Vec::new();
    for entry in &section.entries {
        if let Err(what) = set(&mut rule, entry) {
            let what = format!("[{}] {}: {what}", section.name, entry.key);
            flaws.push(Flaw { place: entry.place, what });
        }
    }
    check(section, &rule, &mut flaws);
    (rule, flaws)
}

fn set(rule: &mut Rule, entry: &KeyValue) -> Result<(), String> {
    let names = || RULE_KEYS.iter().map(|key| key.name).collect::<Vec<_>>();
    let key = RULE_KEYS.iter().find(|key| key.name == entry.key);
    let key = key.ok_or_else(|| unknown_key(RULE, &names(), &entry.key))?;
    (key.set)(rule, &entry.value)
}

/// Finds what is wrong with the keys of a rule together. A key that cannot be read was reported
/// before.
fn check(section: &IniSection, rule: &Rule, flaws: &mut Vec<Flaw>) {
    let mut flaw = |key: &str, what: String| {
        let place = section.entry(key).map_or(section.place, |entry| entry.place);
        if !flaws.iter().any(|known| known.place == place) {
            flaws.push(Flaw { place, what: format!("[{}] {key}: {what}", section.name) });
        }
    };
    if ["match", "match_regex", "match_tags"].iter().all(|key| section.entry(key).is_none()) {
        flaw("match", "expected patterns, it has no default".into());
    }
    let templates = rule.rename.iter().map(|name| ("name", name));
    let added = rule.add_tags.iter().flatten().map(|tag| ("tags", &tag.value));
    let captures = rule.captures();
    for (key, template) in templates.chain(added) {
        let highest = template.highest();
        // If the pattern was refused, nothing is known about it.
        let is_known = !rule.matches.is_empty() || rule.match_regex.is_some();
        if highest > captures && (is_known || section.entry("match_regex").is_none()) {
            let of = match (
                &rule.match_regex,
                rule.matches.iter().min_by_key(|glob| glob.wildcards()),
            ) {
                (Some(_), _) => format!("match_regex has {}", count(captures, "group")),
                (None, Some(glob)) => format!("{glob} has {}", count(captures, "wildcard")),
                (None, None) => "the rule has no match".into(),
            };
            flaw(key, format!("${highest} stands for nothing, since {of}"));
        }
    }
    let of_tags = rule.add_tags.iter().flatten().map(|tag| ("tags", Some(&tag.key)));
    let of_renames = rule.rename_tag.iter().flatten().map(|tag| ("rename_tag", Some(&tag.from)));
    let of_limits = rule.max_tag_values.iter().flatten();
    let of_limits = of_limits.map(|limit| ("max_tag_values", limit.key.as_ref()));
    let all: Vec<_> = of_tags.chain(of_renames).chain(of_limits).collect();
    for (at, (key, tag)) in all.iter().enumerate() {
        if all[..at].contains(&(key, *tag)) {
            let twice = tag.map_or("a number without a key", |tag| tag.as_str());
            flaw(key, format!("expected {twice} only once"));
        }
    }
}

/// Returns `rule.NAME.key` for each key in which two rules of the same name differ, and `rule.NAME`
/// for each rule that only one side has.
pub(super) fn difference(ours: &[Rule], theirs: &[Rule]) -> Vec<String> {
    let by_name = |rules: &[Rule]| rules.iter().map(|rule| rule.name.clone()).zip(0..).collect();
    let mut places: AHashMap<String, usize> = by_name(theirs);
    let mut found = Vec::new();
    for rule in ours {
        let Some(place) = places.remove(&rule.name) else {
            found.push(format!("{RULE}.{}", rule.name));
            continue;
        };
        let differ = RULE_KEYS.iter().filter(|key| !(key.is_same)(rule, &theirs[place]));
        found.extend(differ.map(|key| format!("{RULE}.{}.{}", rule.name, key.name)));
    }
    found.extend(places.into_keys().map(|name| format!("{RULE}.{name}")));
    found
}

/// Returns the rule as a section of a file.
pub(super) fn render(rule: &Rule) -> String {
    let mut text = format!("[{RULE}.{}]\n", rule.name);
    for key in RULE_KEYS {
        if let Some(value) = (key.get)(rule) {
            text += format!("{} = {}", key.name, quoted(value)).trim_end();
            text.push('\n');
        }
    }
    text
}

/// `1 group`, `2 groups`
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{config, mistakes};
    use super::*;
    use crate::config::{Origin, Surroundings, example, warnings};
    use crate::policy::RULES_MAX;

    #[test]
    fn rules_are_kept_in_the_order_of_the_file() {
        let rules = config("[rule.b]\nmatch = b.*\ndrop = yes\n[rule.a]\nmatch = a, *.a\n").rules;
        assert_eq!(rules.base, Default::default());
        let [b, a] = &rules.rules[..] else { panic!("{rules:?}") };
        assert_eq!((&b.name[..], b.drop, a.drop), ("b", Some(true), None));
        assert_eq!((b.matches.len(), a.matches.len()), (1, 2));
        let many: String = (0..=RULES_MAX).map(|n| format!("[rule.{n}]\nmatch = a\n")).collect();
        assert_eq!(mistakes(&many), ["t.conf:201: [rule.100]: expected at most 100 rules"]);
    }

    #[test]
    fn every_mistake_in_a_rule_is_named() {
        for (text, expected) in [
            ("[rule.a]\ndrop = yes", "1: [rule.a] match: expected patterns, it has no default"),
            ("[rule.a]\nmatch =", "2: [rule.a] match: expected at least one pattern, not \"\""),
            ("[rule.a]\nmatch = a;b", "2: [rule.a] match: expected patterns of visible ASCII"),
            ("[rule.a]\nmatch = a, a", "2: [rule.a] match: expected a only once"),
            ("[rule.a]\nmatch = a\ndrop =", "3: [rule.a] drop: expected one of yes, no"),
            ("[rule.a]\nmatch = a\nsigned_gauges = x", "expected one of delta, absolute, not"),
            ("[rule.a]\nmatch = a\ntimer_metrics = p90", "expected one of count, count_ps, std,"),
            ("[rule.a]\nmatch = a\nhistogram = 2, 1", "3: [rule.a] histogram: expected at most"),
            ("[rule.a]\nmatch = a\nhistograms = 1", "no such key; did you mean histogram?"),
            ("[rule.a]\nmatch = a\nmax_series = 1", "did you mean to give it in [limits]?"),
            ("[rule]\nmatch = a", "1: [rule]: expected [rule.NAME]"),
            ("[rule.a b]\nmatch = a", "1: [rule.a b]: expected 1 to 64 of A-Z"),
            (
                "[rule.a]\nmatch_regex = (",
                "2: [rule.a] match_regex: expected a regular expression (",
            ),
            ("[rule.a]\nmatch_regex =", "2: [rule.a] match_regex: expected a regular expression"),
            ("[rule.a]\nmatch_tags = a b", "2: [rule.a] match_tags: expected tags such as env"),
            ("[rule.a]\nmatch = *.*\nname = $3", "3: [rule.a] name: $3 stands for nothing"),
            ("[rule.a]\nmatch = *.*, *\nname = $2", "nothing, since * has 1 wildcard"),
            ("[rule.a]\nmatch = a\ntags = x=${1}", "3: [rule.a] tags: $1 stands for nothing"),
            ("[rule.a]\nmatch_regex = (a)\nname = $2", "since match_regex has 1 group"),
            ("[rule.a]\nmatch_tags = env\nname = $1", "since the rule has no match"),
            ("[rule.a]\nmatch = a\nname = $", "3: [rule.a] name: expected a text of A-Z"),
            ("[rule.a]\nmatch = a\nname = a b", "3: [rule.a] name: expected a text of A-Z"),
            ("[rule.a]\nmatch = a\nname =", "3: [rule.a] name: expected a text of A-Z"),
            ("[rule.a]\nmatch = a\ntags = x", "3: [rule.a] tags: expected tags such as host=$1"),
            ("[rule.a]\nmatch = a\ntags = x=1, x=2", "3: [rule.a] tags: expected x only once"),
            ("[rule.a]\nmatch = a\nrename_tag = x", "expected the old and the new key, such as"),
            ("[rule.a]\nmatch = a\nrename_tag = x=y, x=z", "rename_tag: expected x only once"),
            ("[rule.a]\nmatch = a\nmax_tag_values = 0", "expected numbers from 1 to 100000, or"),
            ("[rule.a]\nmatch = a\nmax_tag_values = +1", "expected numbers from 1 to 100000, or"),
            ("[rule.a]\nmatch = a\nmax_tag_values = 1, 2", "expected a number without a key only"),
            ("[rule.a]\nmatch = a\nlabels = a", "no such key; use tags = KEY=VALUE"),
            ("[rul.a]\nmatch = a", "1: [rul.a]: no such section; did you mean [rule.a]?"),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_message_names_the_wrong_bound_or_pattern() {
        let many = (0..300).map(|bound| bound.to_string()).collect::<Vec<_>>().join(", ");
        for (line, found) in [
            ("histogram = 1, 2, x, 4", "\"x\""),
            ("histogram = 1, 2, 2, 4", "\"2\""),
            ("histogram = inf, 10", "\"10\""),
            ("histogram = 1, 2,", "\"\""),
            ("histogram = 0:10:3", "\"0:10:3\""),
            (&format!("histogram = {many}"), "300 bounds"),
            ("percentiles = 50, 200", "\"200\""),
            ("timer_metrics = mean, p90", "\"p90\""),
        ] {
            let found_in = mistakes(&format!("[rule.a]\nmatch = a\n{line}"));
            assert!(found_in[0].ends_with(&format!(", not {found}")), "{line}: {found_in:?}");
        }
        let found = mistakes("[rule.a]\nmatch = a.*, b c, d");
        assert!(found[0].ends_with("quotes, not \"b c\""), "{found:?}");
    }

    /// Returns the name and the line of each setting of a rule in the example.
    fn settings_of_the_example(example: &str) -> Vec<(&str, &str)> {
        let (_, rule) = example.split_once("\n#[rule.latency]\n").unwrap();
        let rule = rule.split("\n\n\n").next().unwrap_or_default();
        let settings = rule.lines().filter_map(|line| line.strip_prefix('#'));
        settings
            .filter_map(|line| Some((line.split_once(" = ")?.0, line)))
            .filter(|(name, _)| !name.starts_with(' '))
            .collect()
    }

    #[test]
    fn the_example_shows_every_key_in_the_order_of_the_table() {
        let example = example();
        let shown = settings_of_the_example(&example).into_iter().map(|(name, _)| name);
        assert!(shown.eq(RULE_KEYS.iter().map(|key| key.name)), "{example}");
    }

    /// Shows that the warnings cover every key. Otherwise a rule with a new key alone would look as
    /// if it had no effect.
    #[test]
    fn a_rule_with_any_key_but_patterns_has_an_effect_for_the_warnings() {
        for (name, setting) in settings_of_the_example(&example()) {
            let text = format!("[rule.a]\nmatch = *.*\n{setting}\n");
            if !name.starts_with("match") {
                let found = warnings(&config(&text), &Origin::default(), &Surroundings::default());
                let is_idle =
                    found.iter().any(|warning| warning.reason.contains("only selects names"));
                assert!(!is_idle, "{text}: {found:#?}");
            }
        }
    }
}
