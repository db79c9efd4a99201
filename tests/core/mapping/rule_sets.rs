//! Rules between which the servers of `whole.rs` change, and names of series.

use std::collections::BTreeMap;

pub(super) type Tags = BTreeMap<&'static str, String>;
/// Rules, and the name and tags that they make, written out by hand.
pub(super) struct RuleSet {
    pub(super) text: &'static str,
    pub(super) make: fn(&str, Tags) -> (String, Tags),
    /// The most values of a tag.
    pub(super) most: fn(&str) -> Option<usize>,
}

const NONE: RuleSet = RuleSet { text: "", make: |bare, tags| (bare.into(), tags), most: |_| None };

/// Rules between which a server changes. Those that limit tags do so for all names, so that the
/// values of all series count.
pub(super) const RULES: &[RuleSet] = &[
    NONE,
    RuleSet {
        text: "[rule.a]\nmatch = a.*\nname = one\n",
        make: |bare, tags| (if bare.starts_with("a.") { "one" } else { bare }.into(), tags),
        ..NONE
    },
    RuleSet {
        text: "[rule.a]\nmatch = a.*\nname = a\ntags = t=$1\n[rule.b]\nmatch = b.**\nname = a\n",
        make: |bare, mut tags| {
            let Some(rest) = bare.strip_prefix("a.") else {
                return (if bare.starts_with("b.") { "a" } else { bare }.into(), tags);
            };
            tags.insert("t", rest.into());
            ("a".into(), tags)
        },
        ..NONE
    },
    RuleSet {
        text: "[rule.a]\nmatch = **\nname = x.$1\nmax_tag_values = 2\n",
        make: |bare, tags| (format!("x.{bare}"), tags),
        most: |_| Some(2),
    },
    RuleSet {
        text: "[rule.a]\nmatch = **\ndrop_tags = t\nmax_tag_values = u=1\n",
        make: |bare, mut tags| {
            tags.remove("t");
            (bare.into(), tags)
        },
        most: |key| (key == "u").then_some(1),
    },
    RuleSet {
        text: "[rule.a]\nmatch = **\nkeep_tags =\n\
               [rule.b]\nmatch_tags = t=1\nname = tagged\nexpire = 20s\n",
        make: |bare, tags| {
            let is_tagged = tags.get("t").is_some_and(|value| value == "1");
            (if is_tagged { "tagged" } else { bare }.into(), Tags::new())
        },
        ..NONE
    },
    RuleSet {
        text: "[rule.a]\nmatch_regex = ^(.)\\.(.)\nname = $2.$1\nrename_tag = t=u\n",
        make: |bare, mut tags| {
            let Some((first, second)) = bare.split_once('.') else { return (bare.into(), tags) };
            if let Some(value) = tags.remove("t") {
                tags.insert("u", value);
            }
            (format!("{second}.{first}"), tags)
        },
        ..NONE
    },
    RuleSet {
        text: "[rule.a]\nmatch_regex = ^\nrename_tag = t=u\nmax_tag_values = u=2\n",
        make: |bare, mut tags| {
            if let Some(value) = tags.remove("t") {
                tags.insert("u", value);
            }
            (bare.into(), tags)
        },
        most: |key| (key == "u").then_some(2),
    },
    RuleSet {
        text: "[rule.a]\nmatch_regex = ^(.)\\.\nname = r\ntags = t=$1\n\
               [rule.b]\nmatch_regex = .\nmax_tag_values = t=2\n",
        make: |bare, mut tags| {
            let Some((first, _)) = bare.split_once('.') else { return (bare.into(), tags) };
            tags.insert("t", first.into());
            ("r".into(), tags)
        },
        most: |key| (key == "t").then_some(2),
    },
    RuleSet {
        text: "[rule.a]\nmatch = **\nmatch_regex = (.)$\nname = s.$1\nrename_tag = t=u, u=t\n\
               max_tag_values = 1\n",
        make: |bare, mut tags| {
            let [t, u] = ["t", "u"].map(|key| tags.remove(key));
            tags.extend([("u", t), ("t", u)].into_iter().filter_map(|(key, v)| Some((key, v?))));
            (format!("s.{}", &bare[bare.len() - 1..]), tags)
        },
        most: |_| Some(1),
    },
    RuleSet {
        text: "[rule.a]\nmatch_regex = [ab]\nkeep_tags = u\n\
               [rule.b]\nmatch = **\nrename_tag = u=t\nmax_tag_values = t=2\n",
        make: |bare, mut tags| {
            if bare.contains(['a', 'b']) {
                tags.remove("t");
            }
            if let Some(value) = tags.remove("u") {
                tags.insert("t", value);
            }
            (bare.into(), tags)
        },
        most: |key| (key == "t").then_some(2),
    },
    RuleSet { text: "[rule.a]\nmatch = **\nmax_tag_values = 2\n", most: |_| Some(2), ..NONE },
    RuleSet {
        text: "[rule.new]\nmatch = **\nmax_tag_values = u=1, t=2\n",
        most: |key| Some(if key == "u" { 1 } else { 2 }),
        ..NONE
    },
];

pub(super) fn joined(bare: &str, tags: &Tags) -> String {
    tags.iter().fold(bare.to_owned(), |name, (key, value)| format!("{name};{key}={value}"))
}

pub(super) fn split(name: &str) -> (&str, Tags) {
    let (bare, tags) = name.split_once(';').unwrap_or((name, ""));
    let tag = |tag: &str| {
        let (key, value) = tag.split_once('=').unwrap();
        (if key == "t" { "t" } else { "u" }, value.to_owned())
    };
    (bare, tags.split(';').filter(|tag| !tag.is_empty()).map(tag).collect())
}
