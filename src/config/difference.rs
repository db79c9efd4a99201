//! What two configurations do not agree in, by section and key, for the log. Pure.

use ahash::AHashMap;

use super::keys::keys_of;
use super::sections::{Copied, SECTIONS, copied};
use super::{Config, rules};

/// Returns `section.key` of every value that differs, in alphabetical order. A section that only
/// one of the two has is listed without its keys.
///
/// A reload calls this inside the loop, so the values are compared in place. Rendering both
/// configurations first would take 10 ms for the largest file.
pub fn difference(one: &Config, other: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for (section, _) in SECTIONS {
        match copied(section) {
            Some(copied) => found.extend(of_copies(copied, one, other)),
            None => found.extend(of_keys(section, section, (one, 0), (other, 0))),
        }
    }
    found.extend(rules::difference(&one.rules.rules, &other.rules.rules));
    found.sort_unstable();
    found
}

fn of_copies(copied: &Copied, one: &Config, other: &Config) -> Vec<String> {
    let places = |config| -> AHashMap<String, usize> {
        (copied.headers)(config)
            .into_iter()
            .enumerate()
            .map(|(nth, header)| (header, nth))
            .collect()
    };
    let (ours, mut theirs) = (places(one), places(other));
    let mut found = Vec::new();
    for (header, nth) in ours {
        match theirs.remove(&header) {
            Some(same) => {
                found.extend(of_keys(copied.section, &header, (one, nth), (other, same)));
            }
            None => found.push(header),
        }
    }
    found.extend(theirs.into_keys());
    found
}

fn of_keys(
    section: &str,
    header: &str,
    (one, nth): (&Config, usize),
    (other, same): (&Config, usize),
) -> Vec<String> {
    let differ = keys_of(section).filter(|key| key.get(one, nth) != key.get(other, same));
    differ.map(|key| format!("{header}.{}", key.name)).collect()
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
            "rule.a.expire",
            "rule.a.match",
            "statsd.percentiles",
            "udp.bind",
        ];
        assert_eq!(difference(&one, &other), expected);
        assert!(difference(&one, &one).is_empty());
        let off = config("[carbon]\naddress =");
        assert_eq!(difference(&off, &config("")), ["carbon"]);
    }
}
