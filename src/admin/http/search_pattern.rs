//! [`SearchPattern`]: a pattern for names in a search. Pure.

/// A pattern that covers a whole name with its tags. `*` is any run of bytes, also of dots, or no
/// byte. `?` is one byte that is no dot. Any other byte is itself.
///
/// It is matched as an automaton with a bit for each element, so a name takes time in proportion to
/// its length, whatever the pattern. [`Glob`](crate::policy::Glob) tries a `*` again for each byte
/// of the name: a hundred elements against a name of 8 KiB would take milliseconds.
#[derive(Clone, Debug)]
pub(super) struct SearchPattern {
    /// For each byte, the elements that it may be. An element is a literal byte or a `?`.
    elements_of: Box<[u128; 256]>,
    /// The elements that a `*` follows.
    before_stars: u128,
    /// The last element. 0 if the pattern has none.
    last: u128,
    begins_with_star: bool,
}

impl SearchPattern {
    /// The most bytes of a pattern: one bit each.
    pub(super) const BYTES_MAX: usize = 128;

    /// Reads a text of at most [`BYTES_MAX`](Self::BYTES_MAX) bytes. The rest of a longer one does
    /// not count.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut pattern = Self {
            elements_of: Box::new([0; 256]),
            before_stars: 0,
            last: 0,
            begins_with_star: text.first() == Some(&b'*'),
        };
        for byte in text.iter().take(Self::BYTES_MAX) {
            if *byte == b'*' {
                pattern.before_stars |= pattern.last;
                continue;
            }
            pattern.last = if pattern.last == 0 { 1 } else { pattern.last << 1 };
            for (known, elements) in (0_u8..=255).zip(&mut *pattern.elements_of) {
                let is_it = if *byte == b'?' { known != b'.' } else { known == *byte };
                *elements |= if is_it { pattern.last } else { 0 };
            }
        }
        pattern
    }

    /// Whether the pattern matches the whole name.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        if self.last == 0 {
            return self.begins_with_star || name.is_empty();
        }
        // The elements that the bytes so far may end with.
        let mut ends = 0_u128;
        let mut may_begin = true;
        for byte in name {
            let next = (ends << 1) | u128::from(may_begin);
            ends = (next & self.elements_of[usize::from(*byte)]) | (ends & self.before_stars);
            may_begin = self.begins_with_star;
            if ends == 0 && !may_begin {
                return false;
            }
        }
        ends & self.last != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Glob;
    use crate::random::RandomNumbers;

    #[test]
    fn wildcards_of_a_search_match_dots_and_tags() {
        for (pattern, name, expected) in [
            ("a.*", "a.b.c;k=v", true),
            ("*", "a.b", true),
            ("**", "", true),
            ("*.b", "a.b", true),
            ("*b", "a.bc", false),
            ("a?c", "abc", true),
            ("a?c", "a.c", false),
            ("a?c", "abbc", false),
            ("?", "ab", false),
            ("a*b*c", "a-b-b-c-c", true),
            ("caf\u{e9}*", "caf\u{e9}.x", true),
        ] {
            let found = SearchPattern::new(pattern.as_bytes()).matches(name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
        let longest = "?".repeat(SearchPattern::BYTES_MAX);
        assert!(SearchPattern::new(longest.as_bytes()).matches(&[b'x'; 128]));
        assert!(!SearchPattern::new(longest.as_bytes()).matches(&[b'x'; 127]));
        assert!(!SearchPattern::new(longest.as_bytes()).matches(&[b'x'; 129]));
    }

    /// Compares it with the matcher of the rules, in which `**` is what `*` is in a search.
    #[test]
    fn it_matches_what_rules_match() {
        let mut random = RandomNumbers::new(7);
        let mut below = |most: u64| random.next() % most;
        let mut matched = 0;
        for _ in 0..20_000 {
            let mut text = |letters: &[u8], most| -> String {
                let length = below(most);
                (0..length)
                    .map(|_| {
                        char::from(letters[usize::try_from(below(letters.len() as u64)).unwrap()])
                    })
                    .collect()
            };
            let pattern = format!("*{}", text(b"ab.?*", 8)).replace("**", "*").replace("**", "*");
            let name = text(b"ab.", 12);
            let expected = Glob::new(&pattern.replace('*', "**")).unwrap().matches(name.as_bytes());
            let found = SearchPattern::new(pattern.as_bytes()).matches(name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
            matched += usize::from(found);
        }
        assert!((2_000..18_000).contains(&matched), "{matched}");
    }
}
