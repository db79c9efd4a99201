//! The groups that a series belongs to: two prefixes of its name, and the sender that created it.

/// The kinds of groups, the most specific first.
pub(super) const KINDS: usize = 3;
pub(super) const SENDER: usize = KINDS - 1;

/// The groups of a series, and in how many intervals it had samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) groups: [u16; KINDS],
    /// In the low [`INTERVAL_BITS`] the number of closed intervals with samples, up to 2. In the
    /// others the bytes of the series in units of [`WEIGHT_BYTES`].
    bits: u16,
}

const INTERVAL_BITS: u32 = 2;
const INTERVALS: u16 = (1 << INTERVAL_BITS) - 1;

/// Small beside the 134 bytes of a series with a short name. The largest weight is 256 KiB.
const WEIGHT_BYTES: usize = 16;

/// A group of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: usize,
    pub(super) id: u16,
}

/// The bits of a hash that are the number of a prefix.
pub(super) const PREFIX_BITS: u32 = 14;

impl Owner {
    pub(super) fn new(name: &[u8], sender: u16, hash: impl Fn(&[u8]) -> u64) -> Self {
        let [two, one] = prefixes(name);
        #[allow(clippy::cast_possible_truncation)] // of 64 bits 14 are left
        let id = |prefix| (hash(prefix) >> (u64::BITS - PREFIX_BITS)) as u16;
        Self { groups: [id(two), id(one), sender], bits: 0 }
    }

    /// Sets the bytes that the series takes: those that would be free without it, so without the
    /// tags that other series have, too.
    pub(super) fn set_bytes(&mut self, bytes: usize) {
        let most = u16::MAX >> INTERVAL_BITS;
        let weight = u16::try_from(bytes / WEIGHT_BYTES).unwrap_or(most).min(most);
        self.bits = weight << INTERVAL_BITS | self.bits & INTERVALS;
    }

    /// The bytes of the series in units of [`WEIGHT_BYTES`].
    pub(super) fn weight(&self) -> u32 {
        u32::from(self.bits >> INTERVAL_BITS)
    }

    pub(super) fn is_in(&self, group: Option<Group>) -> bool {
        group.is_some_and(|group| self.groups[group.kind] == group.id)
    }

    /// Notes that the series had samples in an interval that was closed.
    #[inline]
    pub(super) fn note_interval(&mut self) {
        if self.intervals() < 2 {
            self.bits += 1;
        }
    }

    /// Whether the series had samples in one interval alone. `is_active` is true if the open
    /// interval is one of them.
    pub(super) fn had_one_interval(&self, is_active: bool) -> bool {
        self.intervals() + u16::from(is_active) <= 1
    }

    /// Whether no interval with a sample was closed yet.
    pub(super) fn is_in_first_interval(&self) -> bool {
        self.intervals() == 0
    }

    /// Whether the series had samples in two intervals. A name that a client makes up for one value
    /// has them in one.
    pub(super) fn is_known(&self) -> bool {
        self.intervals() > 1
    }

    fn intervals(&self) -> u16 {
        self.bits & INTERVALS
    }
}

/// Returns the two prefixes by which a name is counted, the longer one first: the first two
/// elements and the first one, without its last element. A name of one element is its own prefix.
///
/// Of a name with tags they are the whole name, up to the `;` before the tags, and its first two
/// elements. So a tag with too many values makes a group of the series of one name.
pub(super) fn prefixes(name: &[u8]) -> [&[u8]; 2] {
    let tags = memchr::memchr(b';', name);
    let bare = &name[..tags.unwrap_or(name.len())];
    let mut dots = bare.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
    let one = &bare[..dots.next().unwrap_or(bare.len())];
    let two = dots.next().map_or(one, |dot| &bare[..dot]);
    match tags {
        None => [two, one],
        Some(tags) => [&name[..=tags], two],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_without_the_last_element_or_without_the_tags() {
        for (name, two, one) in [
            ("a.b.c.d", "a.b", "a"),
            ("a.b.c", "a.b", "a"),
            ("a.b", "a", "a"),
            ("a", "a", "a"),
            ("a;t=x.y", "a;", "a"),
            ("a.b;t=1", "a.b;", "a"),
            ("a.b.c.d;t=1", "a.b.c.d;", "a.b"),
        ] {
            assert_eq!(prefixes(name.as_bytes()), [two.as_bytes(), one.as_bytes()], "{name}");
        }
    }
}
