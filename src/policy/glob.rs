//! [`Glob`]: a pattern for names, as Graphite has them. `*` is any run of bytes within one path
//! element, also none. `**` is any run of bytes, also of dots. `?` is one byte that is no dot. Any
//! other byte is itself. Tags are no paths: there, `*` and `?` stand for dots, too.
//!
//! Each wildcard takes as few bytes as possible, from the left. So `*-*` splits `a-b-c` into `a`
//! and `b-c`.

use std::fmt;

use arrayvec::ArrayVec;

/// A pattern that covers a whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// The path elements without wildcards. Each name that matches has them.
    elements: Elements,
}

/// The path elements of a name or pattern, each as one of 64 bits that its bytes choose. They show
/// that most rules are not for a name: a new name is compared with all rules, and to walk through a
/// pattern takes twenty times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elements(u64);

impl Elements {
    pub(super) fn of_name(name: &[u8]) -> Self {
        Self::of(name, |_| true)
    }

    fn of(path: &[u8], is_counted: impl Fn(&[u8]) -> bool) -> Self {
        let elements = path.split(|byte| *byte == b'.').filter(|element| is_counted(element));
        Self(elements.fold(0, |bits, element| {
            let hash = element.iter().fold(0, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            bits | 1 << (hash >> 58)
        }))
    }
}

/// The most texts that a pattern captures.
pub const CAPTURES_MAX: usize = 32;

/// The most bytes of a pattern with wildcards that an admin client sends.
const CLIENT_WILDCARD_MAX: usize = 128;

/// The ranges of a name that the wildcards of a pattern stand for, from the left.
pub(super) type Captures = ArrayVec<(usize, usize), CAPTURES_MAX>;

/// What a byte may be a part of.
#[derive(Clone, Copy, PartialEq)]
enum ByteClass {
    /// What `?`, `*` or `**` stands for.
    Single,
    /// What `*` or `**` stands for.
    Run,
    /// What `**` stands for.
    Dot,
}

/// The state to which the matcher returns if the rest of a pattern does not match.
#[derive(Clone, Copy)]
struct Star {
    /// The index in the pattern after the wildcard.
    after: usize,
    /// The index in the name at which the rest of the pattern is tried.
    end: usize,
    /// The index of the wildcard among those that capture.
    number: usize,
}

/// The wildcards that may stand for more bytes.
#[derive(Default)]
struct Stars {
    /// The last `*`, if it comes after the last `**`.
    narrow: Option<Star>,
    /// The last `**`.
    wide: Option<Star>,
}

impl Stars {
    fn push(&mut self, star: Star, is_wide: bool) {
        if is_wide {
            *self = Self { narrow: None, wide: Some(star) };
        } else {
            self.narrow = Some(star);
        }
    }

    /// Lets a wildcard stand for more bytes of a name of this length, and returns it. Returns
    /// `None` if none of them can.
    ///
    /// Only the last wildcard of each kind is tried, since an earlier one could not match more. If
    /// the rest does not match within a path element, the `**` goes on with the next element: from
    /// a later byte of the same element, the same elements would be searched again. So the number
    /// of steps is at most about the product of the lengths of pattern and name.
    fn longer(&mut self, length: usize, is_inside: &impl Fn(usize) -> bool) -> Option<Star> {
        if let Some(narrow) = &mut self.narrow
            && narrow.end < length
            && is_inside(narrow.end)
        {
            narrow.end += 1;
            return Some(*narrow);
        }
        let wide = self.wide.as_mut()?;
        if self.narrow.take().is_some() {
            while wide.end < length && is_inside(wide.end) {
                wide.end += 1;
            }
        }
        if wide.end >= length {
            return None;
        }
        wide.end += 1;
        Some(*wide)
    }
}

impl Glob {
    /// Returns `None` if the pattern is empty, or has a byte that is not visible ASCII or is one of
    /// `; , # "`. No name without tags could match it, or a configuration file could not hold it.
    pub fn new(pattern: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b";,#\"".contains(&byte);
        (!pattern.is_empty() && pattern.bytes().all(plain)).then(|| Self::of_text(pattern))
    }

    fn of_text(text: &str) -> Self {
        let is_literal = |element: &[u8]| !element.iter().any(|byte| b"*?".contains(byte));
        Self { elements: Elements::of(text.as_bytes(), is_literal), text: text.into() }
    }

    /// A pattern for names that may be raw: `sanitize_keys = no` leaves any byte in them. Fails if
    /// it is empty, or has a `;`, after which tags begin.
    ///
    /// Also fails if it has wildcards and is long. A client compares every line with its pattern,
    /// which takes as many steps as the product of both lengths.
    pub fn for_any_name(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() || pattern.contains(';') {
            return Err("expected a name without tags, or a pattern such as web.*");
        }
        if pattern.len() > CLIENT_WILDCARD_MAX && pattern.contains(['*', '?']) {
            return Err("a pattern with wildcards may have 128 bytes; end it earlier, with **");
        }
        Ok(Self::of_text(pattern))
    }

    /// Whether the pattern matches the whole name.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.fits(name, |at| class(name[at]), &mut None)
    }

    /// As [`matches`](Self::matches), for a name whose elements are known.
    #[inline]
    pub(super) fn matches_path(&self, name: &[u8], elements: Elements) -> bool {
        elements.0 & self.elements.0 == self.elements.0 && self.matches(name)
    }

    /// Whether the pattern matches the whole key or value of a tag.
    pub fn matches_tag(&self, text: &[u8]) -> bool {
        self.fits(text, |_| ByteClass::Single, &mut None)
    }

    /// Returns what the wildcards stand for. Returns `None` if the pattern does not match.
    pub(super) fn captures(&self, name: &[u8]) -> Option<Captures> {
        let mut captures = Some(Captures::new());
        let fits = self.fits(name, |at| class(name[at]), &mut captures);
        captures.filter(|_| fits)
    }

    /// The number of wildcards that capture a text: `*` and `**`.
    pub fn wildcards(&self) -> usize {
        let pattern = self.text.as_bytes();
        let begins = |at: &usize| pattern[*at] == b'*' && (*at == 0 || pattern[at - 1] != b'*');
        (0..pattern.len()).filter(begins).count()
    }

    /// Whether the pattern begins or ends with a `*`, and has no `**`. A `?` beside the `*` shows
    /// that one path element is meant.
    pub fn has_narrow_end(&self) -> bool {
        let ends = self.text.strip_suffix('*');
        let begins = self.text.strip_prefix('*');
        !self.text.contains("**")
            && (ends.is_some_and(|rest| !rest.ends_with('?'))
                || begins.is_some_and(|rest| !rest.starts_with('?')))
    }

    /// Whether every name that matches `other` matches this pattern, too.
    pub fn covers(&self, other: &Self) -> bool {
        // A wildcard in `other` stands for several bytes, so only one of this pattern can match it.
        // A `**` may stand for dots, so only a `**` can match that.
        let theirs = other.text.as_bytes();
        let class = |at: usize| match theirs[at] {
            b'*' if theirs.get(at + 1) == Some(&b'*') || at > 0 && theirs[at - 1] == b'*' => {
                ByteClass::Dot
            }
            b'*' => ByteClass::Run,
            byte => class(byte),
        };
        self.fits(theirs, class, &mut None)
    }

    /// Whether every text of a tag that matches `other` matches this pattern, too.
    pub fn covers_in_tags(&self, other: &Self) -> bool {
        let theirs = other.text.as_bytes();
        let class = |at: usize| if theirs[at] == b'*' { ByteClass::Run } else { ByteClass::Single };
        self.fits(theirs, class, &mut None)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches `name`, whose byte at an index has this `class`. Notes what the
    /// wildcards stand for in `captures`.
    #[inline]
    fn fits(
        &self,
        name: &[u8],
        class: impl Fn(usize) -> ByteClass,
        captures: &mut Option<Captures>,
    ) -> bool {
        let pattern = self.text.as_bytes();
        let is_inside = |at: usize| class(at) != ByteClass::Dot;
        let mut at = 0;
        let mut read = 0;
        let mut number = 0;
        let mut stars = Stars::default();
        let mut note = |number: usize, start: Option<usize>, end: usize| {
            if let Some(captures) = captures {
                if let Some(start) = start {
                    captures.truncate(number);
                    let _ = captures.try_push((start, end));
                } else if let Some(range) = captures.get_mut(number) {
                    range.1 = end;
                }
            }
        };
        loop {
            match pattern.get(at) {
                None if read == name.len() => return true,
                Some(b'*') => {
                    let count = pattern[at..].iter().take_while(|byte| **byte == b'*').count();
                    at += count;
                    note(number, Some(read), read);
                    stars.push(Star { after: at, end: read, number }, count > 1);
                    number += 1;
                    continue;
                }
                Some(&byte)
                    if read < name.len()
                        && (byte == name[read]
                            || byte == b'?' && class(read) == ByteClass::Single) =>
                {
                    at += 1;
                    read += 1;
                    continue;
                }
                _ => {}
            }
            let Some(longer) = stars.longer(name.len(), &is_inside) else { return false };
            at = longer.after;
            read = longer.end;
            number = longer.number + 1;
            note(longer.number, None, read);
        }
    }
}

fn class(byte: u8) -> ByteClass {
    if byte == b'.' { ByteClass::Dot } else { ByteClass::Single }
}

impl fmt::Display for Glob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    /// Matches by the definition of a pattern, byte by byte. It is slow, and the matcher must
    /// agree with it. Returns what the wildcards stand for.
    fn naive<'a>(pattern: &[u8], name: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let run = pattern.iter().take_while(|byte| **byte == b'*').count();
        if run > 0 {
            let most = match run {
                1 => name.iter().position(|byte| *byte == b'.').unwrap_or(name.len()),
                _ => name.len(),
            };
            return (0..=most).find_map(|taken| {
                let rest = naive(&pattern[run..], &name[taken..])?;
                Some([vec![&name[..taken]], rest].concat())
            });
        }
        match (pattern.split_first(), name.split_first()) {
            (None, None) => Some(Vec::new()),
            (Some((b'?', pattern)), Some((byte, name))) if *byte != b'.' => naive(pattern, name),
            (Some((ours, pattern)), Some((byte, name))) if ours == byte => naive(pattern, name),
            _ => None,
        }
    }

    #[test]
    fn in_tags_a_wildcard_stands_for_dots_too() {
        let glob = |text: &str| Glob::new(text).unwrap();
        for (pattern, text, expected) in [
            ("web*", "web1.example.com", true),
            ("*.example.com", "web1.eu.example.com", true),
            ("app?k8s", "app.k8s", true),
            ("app*", "ap", false),
        ] {
            assert_eq!(
                glob(pattern).matches_tag(text.as_bytes()),
                expected,
                "{pattern} and {text}"
            );
        }
        for (wide, narrow, expected) in
            [("app*", "app.**", true), ("a*b", "a.?*b", true), ("*.b", "**b", false)]
        {
            assert_eq!(glob(wide).covers_in_tags(&glob(narrow)), expected, "{wide} and {narrow}");
        }
    }

    fn words(letters: &[u8], longest: u32) -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new()];
        for length in 1..=longest {
            for number in 0..letters.len().pow(length) {
                let letter = |place| letters[number / letters.len().pow(place) % letters.len()];
                all.push((0..length).map(letter).collect::<Vec<u8>>());
            }
        }
        all
    }

    #[track_caller]
    fn agrees(pattern: &[u8], name: &[u8]) {
        let glob = Glob::of_text(std::str::from_utf8(pattern).unwrap());
        let label = name.escape_ascii();
        let expected = naive(pattern, name);
        assert_eq!(glob.matches(name), expected.is_some(), "{glob} and {label}");
        let is_rules = glob.matches_path(name, Elements::of_name(name));
        assert_eq!(is_rules, expected.is_some(), "{glob} and {label}");
        let found = glob.captures(name).map(|captures| {
            captures.iter().map(|(start, end)| &name[*start..*end]).collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{glob} and {label}");
    }

    #[test]
    fn every_short_pattern_matches_as_the_definition_says_on_every_short_name() {
        let names = words(b"ab.", 4);
        for pattern in words(b"ab.*?", 4) {
            names.iter().for_each(|name| agrees(&pattern, name));
        }
    }

    #[test]
    fn longer_patterns_match_as_the_definition_says() {
        let mut random = Random::new(1);
        for _ in 0..60_000 {
            let mut text = |letters: &[u8], longest| -> Vec<u8> {
                let length = random.below(longest);
                (0..length).map(|_| *random.pick(letters)).collect()
            };
            let pattern = text(b"a.***?b", 10);
            agrees(&pattern, &text(b"aab.", 14));
        }
    }

    #[test]
    fn a_pattern_covers_those_that_match_no_other_names() {
        for (ours, theirs, expected) in [
            ("api.*", "api.web", true),
            ("api.*", "api.web.*", false),
            ("api.**", "api.web.*", true),
            ("api.**", "api.**", true),
            ("api.*", "api.**", false),
            ("**", "a?b*", true),
            ("*", "a?b*", true),
            ("*", "a.b", false),
            ("a?c", "abc", true),
            ("a?c", "a.c", false),
            ("a?*", "ab*", true),
            ("a?", "a*", false),
            ("api.*", "ap*", false),
            ("api.web", "api.*", false),
            ("*.web", "*.web.*", false),
            ("*a*", "*b", false),
            ("**.c", "a.*.c", true),
        ] {
            let [ours, theirs] = [ours, theirs].map(|text| Glob::new(text).unwrap());
            assert_eq!(ours.covers(&theirs), expected, "{ours} and {theirs}");
        }
    }

    #[test]
    fn names_match_as_the_operator_means() {
        for (pattern, name, expected) in [
            ("api.*", "api.latency", true),
            ("api.*", "api.web.latency", false),
            ("api.**", "api.web.latency", true),
            ("api.*", "api", false),
            ("web.*.latency", "web.a.latency", true),
            ("web.*.latency", "web.a.b.latency", false),
            ("web.**.latency", "web.a.b.latency", true),
            ("web.*.latency", "web.latency", false),
            ("web?.hits", "web1.hits", true),
            ("web?.hits", "web12.hits", false),
            ("web?hits", "web.hits", false),
            ("*", "", true),
            ("**", "a.b.c", true),
            ("a", "ab", false),
            ("**api.latency**", "my.api.latency.db", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.matches(name.as_bytes()), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_its_bytes_times_the_names() {
        let name = [b"a".repeat(8000), b"b".to_vec()].concat();
        for pattern in ["*a".repeat(200), "**a".repeat(200), format!("**a*c{}", "*a".repeat(90))] {
            let glob = Glob::new(&pattern).unwrap();
            assert!(!glob.matches(&name), "a slower matcher would not come to an end");
        }
    }

    #[test]
    fn a_pattern_that_no_name_can_match_cannot_be_made() {
        for text in ["", "a b", "a;k=v", "a#b", "a,b", "a\"", "caf\u{e9}", "\t"] {
            assert_eq!(Glob::new(text), None, "{text}");
        }
    }
}
