//! Warnings about `[rule.NAME]`: patterns that match no name, and rules without an effect. Pure.

use super::context::Lint;
use super::rule_keys::{self, settings};
use crate::policy::{Glob, Rule};

/// The most comparisons of patterns. A reload makes them inside the loop.
const COMPARISONS_MAX: usize = 2_000;
/// Longer patterns are not compared.
const COMPARED_MAX: usize = 64;

pub(super) fn check(lint: &mut Lint<'_>) {
    let rules = &lint.config.rules.rules;
    let mut comparisons = 0;
    let mut drops_all = false;
    let covers_all = |glob: &Glob| Glob::new("?**").is_some_and(|any| glob.covers(&any));
    for (at, rule) in rules.iter().enumerate() {
        let header = format!("rule.{}", rule.name);
        // The captures of a `*` show that its author knows what it matches.
        if !patterns(lint, &header, rule) && !rule.changes_names() {
            narrow_wildcards(lint, &header, rule);
        }
        if settings(rule).is_empty() {
            let remedy = "add a setting such as drop = yes, or remove the rule";
            let reason = "the rule only selects names, so it changes nothing";
            lint.warn(&header, "", reason, remedy);
            continue;
        }
        rule_keys::check(lint, &header, at);
        // An earlier rule with drop = no makes a list of what is let through.
        if !drops_all
            && rule.drop == Some(true)
            && rule.matches.iter().any(covers_all)
            && rules[..at].iter().all(|earlier| earlier.drop != Some(false))
        {
            drops_all = true;
            let remedy = "write a narrower pattern, or name what is to be kept in a rule with \
                          drop = no before this one";
            lint.warn(&header, "match", "the rule drops every name, so nothing is kept", remedy);
            continue;
        }
        // No name reaches a rule after one that drops all. That rule has its warning already.
        if !drops_all && let Some(earlier) = shadow(rule, &rules[..at], &mut comparisons) {
            let reason = format!(
                "[rule.{earlier}] comes before it, matches all its names, and drops them or has the \
                 same keys"
            );
            let remedy = format!("move the rule before [rule.{earlier}], or remove it");
            lint.warn(&header, "match", reason, remedy);
        }
    }
}

/// Warns about a pattern that looks as if it covered all names with a prefix or suffix.
fn narrow_wildcards(lint: &mut Lint<'_>, header: &str, rule: &Rule) {
    let Some(glob) = rule.matches.iter().find(|glob| glob.has_narrow_end()) else { return };
    let reason = format!(
        "{glob} matches no name with a dot in place of *, since a * stays within one path element"
    );
    let text = glob.as_str();
    let wide = text.replace('*', "**");
    let begins = if text.len() > 1 && text.starts_with('*') { "?" } else { "" };
    let narrow = match text.strip_suffix('*') {
        Some(rest) => format!("{begins}{rest}?*"),
        None => format!("{begins}{text}"),
    };
    let remedy = format!("write {wide} to match dots, too, or {narrow} for one path element");
    lint.warn(header, "match", reason, remedy);
}

/// Warns about patterns that look like regular expressions, and about those with a byte that no
/// name has. Returns whether it did.
fn patterns(lint: &mut Lint<'_>, header: &str, rule: &Rule) -> bool {
    let mut texts = rule.matches.iter().map(Glob::as_str);
    if let Some(text) = texts.clone().find(|text| is_regular_expression(text)) {
        let reason = format!("{text} looks like a regular expression, and is read as a pattern");
        let remedy = match as_glob(text) {
            Some(glob) => format!("in a pattern ** is any run of bytes; write match = {glob}"),
            None => "use match_regex, or a pattern, in which ** is any run of bytes and ? is one; \
                     write such as api.**"
                .into(),
        };
        lint.warn(header, "match", reason, remedy);
        return true;
    }
    let is_empty_part = |text: &&str| text.split('.').any(str::is_empty);
    if lint.config.grammar.squeeze_dots
        && let Some(text) = texts.clone().find(is_empty_part)
    {
        let reason = format!("no name matches {text}, as squeeze_dots removes such dots before");
        lint.warn(header, "match", reason, "remove the dots that are too many");
        return true;
    }
    if !lint.config.grammar.sanitize {
        return false;
    }
    let remedy = "write the name as it is sent: / becomes -, white space becomes _, other bytes \
                  are removed";
    let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*?".contains(&byte);
    let odd = |text: &&str| !text.bytes().all(is_clean);
    if let Some(text) = texts.find(odd) {
        let reason = format!("no name matches {text}, as names are rewritten before");
        lint.warn(header, "match", reason, remedy);
        return true;
    }
    if let Some(odd) = rule.match_regex.as_ref().and_then(|regex| odd_literal(regex.as_str())) {
        let reason = format!("no name has a {odd}, as names are rewritten before");
        lint.warn(header, "match_regex", reason, remedy);
    }
    false
}

/// Returns the first character of a regular expression that stands for itself, and that no clean
/// name has. Characters within brackets do not count: `[^;]*` is a usual way to match anything.
fn odd_literal(regex: &str) -> Option<char> {
    let mut is_escaped = false;
    let mut is_in_brackets = false;
    regex.chars().find(|&letter| {
        let is_literal = !is_in_brackets;
        match letter {
            _ if is_escaped => {}
            '[' => is_in_brackets = true,
            ']' => is_in_brackets = false,
            _ => {}
        }
        is_escaped = !is_escaped && letter == '\\';
        is_literal && (!letter.is_ascii() || ";/@%&~".contains(letter))
    })
}

/// Whether a pattern has a sign of regular expressions that names and patterns hardly ever have.
fn is_regular_expression(text: &str) -> bool {
    let brackets = [('(', ')'), ('[', ']'), ('{', '}')];
    let is_bracketed =
        |(open, close): (char, char)| text.find(open).is_some_and(|at| text[at..].contains(close));
    without_slashes(text).is_some()
        || text.starts_with('^')
        || text.starts_with(".*")
        || text.ends_with('$')
        || text.contains(['\\', '|'])
        || text.contains(".+")
        || brackets.into_iter().any(is_bracketed)
}

/// Returns the regular expression between two slashes, as JavaScript and other languages write it:
/// `/^api/` or `/^api/i`. Returns `None` if the text has no such slashes.
fn without_slashes(text: &str) -> Option<&str> {
    let (inner, flags) = text.strip_prefix('/')?.rsplit_once('/')?;
    let is_flag = |byte: u8| b"dgimsuvxy".contains(&byte);
    (!inner.is_empty() && flags.bytes().all(is_flag)).then_some(inner)
}

/// Returns the pattern that a simple regular expression stands for.
fn as_glob(text: &str) -> Option<String> {
    let text = without_slashes(text).unwrap_or(text);
    let starts = text.starts_with('^');
    let ends = text.ends_with('$') && !text.ends_with("\\$");
    let inner = text.strip_prefix('^').unwrap_or(text);
    let inner = if ends { &inner[..inner.len() - 1] } else { inner };
    // An escaped dot becomes a NUL first, so that `\.*` is not read as `.*`. A dot without a
    // backslash is taken as a dot, since many authors do not escape it.
    let inner = inner.replace("\\.", "\0").replace(".*", "**").replace(".+", "?**");
    let inner = inner.replace('\0', ".");
    let before = if starts || inner.starts_with('*') { "" } else { "**" };
    let after = if ends || inner.ends_with('*') { "" } else { "**" };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*?".contains(&byte);
    let glob = format!("{before}{inner}{after}");
    glob.bytes().all(is_plain).then_some(glob)
}

/// Returns the name of the earlier rule because of which a rule has no effect. Each setting comes
/// from the first rule that matches, and a rule that drops names leaves nothing to set.
fn shadow<'a>(rule: &Rule, earlier: &'a [Rule], comparisons: &mut usize) -> Option<&'a str> {
    let ours = settings(rule);
    for (at, other) in earlier.iter().enumerate() {
        let theirs = settings(other);
        // An even earlier rule with drop = no may exempt some of the names of `other`.
        let is_exempt = || earlier[..at].iter().any(|before| before.drop == Some(false));
        let drops = other.drop == Some(true) && !is_exempt();
        let hides = drops || ours.iter().all(|key| theirs.contains(key));
        if hides && covers(other, rule, comparisons) {
            return Some(&other.name);
        }
    }
    None
}

/// Whether each pattern of a rule is covered by one of another rule.
fn covers(other: &Rule, rule: &Rule, comparisons: &mut usize) -> bool {
    *comparisons += other.matches.len() * rule.matches.len();
    let is_short =
        |rule: &Rule| rule.matches.iter().all(|glob| glob.as_str().len() <= COMPARED_MAX);
    let names_only = |rule: &Rule| rule.match_regex.is_none() && rule.match_tags.is_empty();
    let is_known = names_only(rule) && names_only(other) && !rule.matches.is_empty();
    if *comparisons > COMPARISONS_MAX || !is_known || !is_short(other) || !is_short(rule) {
        return false;
    }
    rule.matches.iter().all(|ours| other.matches.iter().any(|theirs| theirs.covers(ours)))
}
