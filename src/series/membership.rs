//! [`Membership`]: the groups that a series belongs to. They are two prefixes of its name, and the
//! sender that created it.

/// The kinds of groups, the most specific first.
pub(super) const KINDS: usize = 3;
pub(super) const SENDER: usize = KINDS - 1;

/// The groups of a series, and what it adds to their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) groups: [u16; KINDS],
    /// The bytes of the series in units of [`WEIGHT_BYTES`].
    weight: u16,
}

/// Small beside the bytes of a series with a short name. The largest weight is 1 MiB.
pub(super) const WEIGHT_BYTES: usize = 16;

/// A group of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: usize,
    pub(super) id: u16,
}

/// The groups that a flood of names is in. Its series are those that are in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flood {
    /// For each kind the group, if the series have one in common.
    pub(super) groups: [Option<u16>; KINDS],
}

impl Flood {
    /// The series of one group.
    pub(super) fn of(group: Group) -> Self {
        let mut flood = Self::default();
        flood.groups[group.kind] = Some(group.id);
        flood
    }

    /// Whether a series is in all the groups.
    pub(super) fn has(&self, membership: &Membership) -> bool {
        let has_groups = self.groups.iter().any(Option::is_some);
        has_groups && self.groups().all(|group| membership.is_in(group))
    }

    /// The groups, the most specific first.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> {
        let of_kind = |(kind, id): (usize, Option<u16>)| id.map(|id| Group { kind, id });
        self.groups.into_iter().enumerate().filter_map(of_kind)
    }

    /// Whether the series have only their sender in common.
    pub(super) fn is_of_sender(&self) -> bool {
        self.groups().next().is_some_and(|group| group.kind == SENDER)
    }
}

/// The bits of a hash that are the number of a prefix.
pub(super) const PREFIX_BITS: u32 = 14;

/// The first prefix of the series that was created last, and the numbers of both. Most new series
/// have the prefixes of the one before, so their hashes need not be computed again.
#[derive(Debug, Default)]
pub(super) struct LastPrefixes {
    two: Vec<u8>,
    ids: [u16; KINDS - 1],
}

impl LastPrefixes {
    /// Returns the numbers of the prefixes of a name.
    fn ids(&mut self, name: &[u8], hash: impl Fn(&[u8]) -> u64) -> [u16; KINDS - 1] {
        // The second prefix follows from the first one.
        let [two, one] = prefixes(name);
        if *two != *self.two || two.is_empty() {
            #[allow(clippy::cast_possible_truncation)] // PREFIX_BITS are left
            let id = |prefix| (hash(prefix) >> (u64::BITS - PREFIX_BITS)) as u16;
            self.ids = [id(two), id(one)];
            self.two.clear();
            self.two.extend_from_slice(two);
        }
        self.ids
    }
}

impl Membership {
    pub(super) fn new(name: &[u8], sender: u16, hash: impl Fn(&[u8]) -> u64) -> Self {
        Self::after(&mut LastPrefixes::default(), name, sender, hash)
    }

    /// As [`new`](Self::new), in less time if the name has the same prefixes as the one before.
    pub(super) fn after(
        last: &mut LastPrefixes,
        name: &[u8],
        sender: u16,
        hash: impl Fn(&[u8]) -> u64,
    ) -> Self {
        let [two, one] = last.ids(name, hash);
        Self { groups: [two, one, sender], weight: 0 }
    }

    /// Sets the size of the series: the bytes that its removal would free when it is created. A tag
    /// that another series has does not count.
    pub(super) fn set_bytes(&mut self, bytes: usize) {
        self.weight = u16::try_from(bytes / WEIGHT_BYTES).unwrap_or(u16::MAX);
    }

    /// Notes that the series takes `more` bytes and `fewer` bytes.
    pub(super) fn change_bytes(&mut self, more: usize, fewer: usize) {
        let bytes = usize::from(self.weight) * WEIGHT_BYTES + more;
        self.set_bytes(bytes.saturating_sub(fewer));
    }

    /// The bytes of the series in units of [`WEIGHT_BYTES`].
    pub(super) fn weight(&self) -> u32 {
        u32::from(self.weight)
    }

    pub(super) fn is_in(&self, group: Group) -> bool {
        self.groups[group.kind] == group.id
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
