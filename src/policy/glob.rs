//! Patterns for names: `*` is any run of bytes, also none; `?` is one byte; any other byte is
//! itself.

use std::fmt;

/// A pattern that covers a whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Returns `None` if the pattern is empty, or has a byte that is not visible ASCII or is one of
    /// `; , # "`. No name without tags could match it, or a configuration file could not hold it.
    pub fn new(pattern: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b";,#\"".contains(&byte);
        (!pattern.is_empty() && pattern.bytes().all(plain)).then(|| Self(pattern.into()))
    }

    /// Whether the pattern matches the whole name. The number of steps is at most the product of
    /// both lengths: only the last `*` is tried again, since an earlier one could not match more.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.fits(name, |_| true)
    }

    /// Whether every name that matches `other` matches this pattern, too.
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` of the other stands for several bytes, so only a `*` of ours can match it.
        self.fits(other.0.as_bytes(), |byte| byte != b'*')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `is_single` tells which bytes a `?` matches.
    fn fits(&self, name: &[u8], is_single: impl Fn(u8) -> bool) -> bool {
        let pattern = self.0.as_bytes();
        let mut at = 0;
        let mut read = 0;
        // The place after the last star, and how much of the name is read if its run ends there.
        let mut star = None;
        while read < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    star = Some((at, read));
                }
                Some(&byte) if byte == name[read] || byte == b'?' && is_single(name[read]) => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((after, end)) = star else { return false };
                    at = after;
                    read = end + 1;
                    star = Some((after, read));
                }
            }
        }
        pattern[at..].iter().all(|&byte| byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slow twin: what the words above say.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|run| naive(rest, &name[run..])),
            Some((byte, rest)) => name
                .split_first()
                .is_some_and(|(first, name)| (*byte == b'?' || byte == first) && naive(rest, name)),
        }
    }

    #[test]
    fn every_short_pattern_agrees_with_the_naive_twin_on_every_short_name() {
        let words = |letters: &[u8], longest: u32| {
            let mut all = vec![Vec::new()];
            for length in 1..=longest {
                for number in 0..letters.len().pow(length) {
                    let letter = |place| letters[number / letters.len().pow(place) % letters.len()];
                    all.push((0..length).map(letter).collect::<Vec<u8>>());
                }
            }
            all
        };
        let names = words(b"ab", 6);
        for pattern in words(b"ab*?", 5) {
            let glob = Glob(String::from_utf8(pattern.clone()).unwrap());
            for name in &names {
                let label = name.escape_ascii();
                assert_eq!(glob.matches(name), naive(&pattern, name), "{glob} and {label}");
            }
        }
    }

    #[test]
    fn a_pattern_covers_those_that_match_no_other_names() {
        for (ours, theirs, expected) in [
            ("api.*", "api.web.*", true),
            ("api.*", "api.web", true),
            ("*", "a?b*", true),
            ("a?c", "abc", true),
            ("a?*", "ab*", true),
            ("a?", "a*", false),
            ("api.*", "ap*", false),
            ("api.web", "api.*", false),
            ("*.web", "*.web.*", false),
            ("*a*", "*b", false),
        ] {
            let [ours, theirs] = [ours, theirs].map(|text| Glob::new(text).unwrap());
            assert_eq!(ours.covers(&theirs), expected, "{ours} and {theirs}");
        }
    }

    #[test]
    fn names_match_as_the_operator_means() {
        for (pattern, name, expected) in [
            ("api.*", "api.latency", true),
            ("api.*", "api", false),
            ("web.*.latency", "web.a.b.latency", true),
            ("web.*.latency", "web.latency", false),
            ("web?.hits", "web1.hits", true),
            ("web?.hits", "web12.hits", false),
            ("*", "", true),
            ("a", "ab", false),
            ("*api.latency*", "my.api.latency.db", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.matches(name.as_bytes()), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_its_bytes_times_the_names() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        let name = [b"a".repeat(2000), b"b".to_vec()].concat();
        assert!(!glob.matches(&name), "an exponential matcher would not come to an end");
    }

    #[test]
    fn a_pattern_that_no_name_can_match_cannot_be_made() {
        for text in ["", "a b", "a;k=v", "a#b", "a,b", "a\"", "caf\u{e9}", "\t"] {
            assert_eq!(Glob::new(text), None, "{text}");
        }
    }
}
