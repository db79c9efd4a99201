//! What two configurations do not agree in, by section and key, for the log. Pure.

use std::collections::BTreeMap;

use super::{Config, render};

/// `section.key` of every value that one has and the other has not, or has otherwise; a section that only one has stands
/// for its keys.
pub fn difference(one: &Config, other: &Config) -> Vec<String> {
    let (one, other) = (render(one), render(other));
    let (one, other) = (values(&one), values(&other));
    let mut found = Vec::new();
    for section in one.keys().chain(other.keys().filter(|section| !one.contains_key(*section))) {
        match (one.get(section), other.get(section)) {
            (Some(one), Some(other)) => {
                let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
                let differs = keys.filter(|key| one.get(*key) != other.get(*key));
                found.extend(differs.map(|key| format!("{section}.{key}")));
            }
            _ => found.push((*section).to_owned()),
        }
    }
    found
}

fn values(text: &str) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut sections: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            sections.entry(section).or_default();
        } else if let Some((key, value)) = line.split_once('=') {
            sections.entry(section).or_default().insert(key.trim(), value.trim());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::config;
    use super::*;

    #[test]
    fn differences_are_named_by_section_and_key() {
        let one = config(
            "[statsd]\npercentiles = 90\n[carbon.b]\naddress = b\n[rule.a]\nmatch = a\ndrop = yes",
        );
        let other =
            config("[statsd]\npercentiles = 95\n[udp]\nbind =\n[rule.a]\nmatch = b\nexpire = 1h");
        let expected = [
            "carbon.b",
            "rule.a.drop",
            "rule.a.match",
            "rule.a.expire",
            "statsd.percentiles",
            "udp.bind",
        ];
        assert_eq!(difference(&one, &other), expected);
        assert!(difference(&one, &one).is_empty());
    }
}
