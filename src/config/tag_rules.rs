//! The keys of `[rule.NAME]` that change names and tags: how they are read and shown, and what is
//! wrong with them together. Pure.

use super::ini::{Flaw, IniSection};
use super::value::ValueKind;
use crate::encode::namespace::{ConstantTag, HOST};
use crate::policy::{Glob, NameRegex, NewTag, Rule, TagLimit, TagPattern, TagRename, Template};

/// A regular expression for names.
pub(super) struct Regex;

impl ValueKind<NameRegex> for Regex {
    fn read(&self, text: &str) -> Result<NameRegex, String> {
        if text.is_empty() {
            return Err("expected a regular expression".into());
        }
        NameRegex::new(text).map_err(|error| format!("expected a regular expression ({error})"))
    }

    fn show(&self, regex: &NameRegex) -> String {
        regex.as_str().into()
    }
}

/// The new name of a series, or the value of a tag.
pub(super) struct TemplateText;

pub(super) const NAME_TEMPLATE: TemplateText = TemplateText;

impl ValueKind<Template> for TemplateText {
    fn read(&self, text: &str) -> Result<Template, String> {
        let expected = "expected a text of A-Z, a-z, 0-9, _, -, . and =, with $1 or ${1} in it";
        Template::new(text).ok_or_else(|| expected.into())
    }

    fn show(&self, template: &Template) -> String {
        template.as_str().into()
    }
}

/// A tag that a rule adds: `KEY=VALUE`.
pub(super) struct Tags;

impl ValueKind<NewTag> for Tags {
    fn read(&self, text: &str) -> Result<NewTag, String> {
        let expected = || "expected tags such as host=$1, dc=eu".to_owned();
        let (key, value) = pair(text).ok_or_else(expected)?;
        Ok(NewTag { key, value: TemplateText.read(value)? })
    }

    fn show(&self, tag: &NewTag) -> String {
        format!("{}={}", tag.key, tag.value.as_str())
    }
}

/// A tag that a name must have: `KEY`, or `KEY=PATTERN`.
pub(super) struct TagPatterns;

impl ValueKind<TagPattern> for TagPatterns {
    fn read(&self, text: &str) -> Result<TagPattern, String> {
        let expected = || "expected tags such as env, or env=test* with a pattern".to_owned();
        if is_key(text) {
            return Ok(TagPattern { key: text.into(), value: None });
        }
        let (key, value) = pair(text).ok_or_else(expected)?;
        let value = Some(Glob::new(value).ok_or_else(expected)?);
        Ok(TagPattern { key, value })
    }

    fn show(&self, tag: &TagPattern) -> String {
        match &tag.value {
            Some(value) => format!("{}={value}", tag.key),
            None => tag.key.clone(),
        }
    }
}

/// A new key for a tag: `OLD=NEW`.
pub(super) struct TagRenames;

impl ValueKind<TagRename> for TagRenames {
    fn read(&self, text: &str) -> Result<TagRename, String> {
        let found = pair(text).filter(|(_, to)| is_key(to));
        let (from, to) = found.ok_or("expected the old and the new key, such as dc=region")?;
        Ok(TagRename { from, to: to.into() })
    }

    fn show(&self, rename: &TagRename) -> String {
        format!("{}={}", rename.from, rename.to)
    }
}

/// The most values of a tag: `N` for each key, or `KEY=N`.
pub(super) struct TagLimitText;

/// A limit needs about 30 bytes for each value. Beyond this number the growth of its table would
/// take too long for one turn of the loop.
const VALUES_MAX: u32 = 100_000;

impl ValueKind<TagLimit> for TagLimitText {
    fn read(&self, text: &str) -> Result<TagLimit, String> {
        let number = |text: &str| -> Option<u32> {
            text.parse().ok().filter(|most| (1..=VALUES_MAX).contains(most))
        };
        let limit = match pair(text) {
            Some((key, most)) => number(most).map(|most| TagLimit { key: Some(key), most }),
            None => number(text).map(|most| TagLimit { key: None, most }),
        };
        limit.ok_or_else(|| format!("expected numbers from 1 to {VALUES_MAX}, or KEY=NUMBER"))
    }

    fn show(&self, limit: &TagLimit) -> String {
        limit.to_string()
    }
}

/// A tag of a name space: `KEY=VALUE`. `$HOST` in the value is the short name of the host.
pub(super) struct ConstantTagText;

impl ValueKind<ConstantTag> for ConstantTagText {
    fn read(&self, text: &str) -> Result<ConstantTag, String> {
        let is_clean = |value: &&str| {
            let rest = value.replace(HOST, "");
            let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.=".contains(&byte);
            !value.is_empty() && rest.bytes().all(is_kept)
        };
        let found = pair(text).filter(|(_, value)| is_clean(value));
        let (key, value) = found.ok_or("expected tags such as dc=eu, host=$HOST")?;
        Ok(ConstantTag { key, value: value.into() })
    }

    fn show(&self, tag: &ConstantTag) -> String {
        format!("{}={}", tag.key, tag.value)
    }
}

/// Splits `KEY=TEXT`. Returns `None` if the key is none.
fn pair(text: &str) -> Option<(String, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim();
    is_key(key).then(|| (key.to_owned(), value.trim()))
}

/// Whether a text is a key that a tag can have after cleaning.
fn is_key(text: &str) -> bool {
    let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(is_clean)
}

/// Finds what is wrong with the keys of a rule together. A key that cannot be read was reported
/// before.
pub(super) fn check(section: &IniSection, rule: &Rule, flaws: &mut Vec<Flaw>) {
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
                (Some(_), _) => format!("match_regex has {captures} groups"),
                (None, Some(glob)) => format!("{glob} has {captures} wildcards"),
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
