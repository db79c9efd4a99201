//! The name of a series, as the table stores it. The tags are numbers of the [`TagStore`].
//!
//! ```text
//!  without tags   the canonical name
//!  with tags      ";"  the number of tags, and whether they are wide: u16  tags …  bare name
//! ```
//! A tag takes three bytes, or four if the number of some tag of the name needs them. No canonical
//! name begins with a `;`.

use super::tag_store::{TAG_BYTES, TagStore, WIDE_NUMBER};

/// A stored name.
#[derive(Debug)]
pub struct StoredName(Box<[u8]>);

/// The parts of a stored name that has tags.
#[derive(Clone, Copy)]
struct TaggedName<'a> {
    numbers: &'a [u8],
    width: usize,
    bare: &'a [u8],
}

/// The first byte of a stored name with tags.
const MARK: u8 = b';';
const HEAD: usize = 3;
/// Whether the numbers of tags take four bytes.
const WIDE: u16 = 1 << 15;
/// The reader makes names of fewer tags. In a damaged state file there may be more. The last one
/// then has the rest of the name as its text.
const TAGS_MAX: usize = WIDE as usize - 1;

impl StoredName {
    /// Stores a canonical name. `is_new` is called with each of its tags that no other series has.
    pub(super) fn new(name: &[u8], tags: &mut TagStore, mut is_new: impl FnMut(&[u8])) -> Self {
        let Some(bare) = memchr::memchr(b';', name) else { return Self(name.into()) };
        let mut numbers = tags.take_numbers();
        for tag in name[bare + 1..].splitn(TAGS_MAX, |byte| *byte == b';') {
            let (number, is_first) = tags.intern(tag);
            if is_first {
                is_new(tag);
            }
            numbers.push(number);
        }
        let width = if numbers.iter().any(|number| *number >= WIDE_NUMBER) { 4 } else { 3 };
        let count = u16::try_from(numbers.len()).expect("at most TAGS_MAX");
        let mut stored = Vec::with_capacity(HEAD + width * numbers.len() + bare);
        stored.push(MARK);
        stored.extend_from_slice(&(if width == 4 { count | WIDE } else { count }).to_le_bytes());
        for number in &numbers {
            stored.extend_from_slice(&number.to_le_bytes()[..width]);
        }
        tags.put_numbers(numbers);
        stored.extend_from_slice(&name[..bare]);
        Self(stored.into())
    }

    /// The bytes that [`new`](Self::new) takes for a canonical name, and for those of its tags that
    /// are not in the store.
    pub(super) fn bytes_for(name: &[u8], store: &TagStore) -> usize {
        let Some(bare) = memchr::memchr(b';', name) else { return name.len() };
        let width = if store.may_have_wide_numbers() { 4 } else { 3 };
        let of_tag = |tag: &[u8]| width + if store.has(tag) { 0 } else { tag.len() + TAG_BYTES };
        let tags = name[bare + 1..].splitn(TAGS_MAX, |byte| *byte == b';');
        HEAD + bare + tags.map(of_tag).sum::<usize>()
    }

    /// Ends the uses of the tags. Must be called once, when the series is removed.
    pub(super) fn release(&self, tags: &mut TagStore) {
        if let Some(parts) = self.parts() {
            parts.numbers().for_each(|number| tags.release(number));
        }
    }

    /// The bytes that are stored, without those of the tags.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the name has this length, unless it has tags.
    pub(super) fn may_have_length(&self, length: usize) -> bool {
        self.0.len() == length || self.0.first() == Some(&MARK)
    }

    /// The name without its tags.
    #[inline]
    pub(super) fn bare(&self) -> &[u8] {
        if self.0.first() == Some(&MARK) { self.tagged_bare() } else { &self.0 }
    }

    #[inline(never)]
    fn tagged_bare(&self) -> &[u8] {
        self.parts().map_or(&self.0, |parts| parts.bare)
    }

    /// Whether this is the canonical name.
    #[inline]
    pub(super) fn is(&self, name: &[u8], tags: &TagStore) -> bool {
        if *self.0 == *name {
            return name.first() != Some(&MARK);
        }
        self.0.first() == Some(&MARK) && self.has_tags_of(name, tags)
    }

    #[inline(never)]
    fn has_tags_of(&self, name: &[u8], tags: &TagStore) -> bool {
        self.parts().is_some_and(|parts| parts.are(name, tags))
    }

    /// Returns the canonical name. It may be in a buffer of `tags`.
    #[inline]
    pub(super) fn text<'a>(&'a self, tags: &'a mut TagStore) -> &'a [u8] {
        if self.0.first() == Some(&MARK) { self.joined(tags) } else { &self.0 }
    }

    #[inline(never)]
    fn joined<'a>(&'a self, tags: &'a mut TagStore) -> &'a [u8] {
        self.parts().map_or(&self.0, |parts| tags.join(parts.bare, parts.numbers()))
    }

    /// Returns a copy of the canonical name.
    pub(super) fn owned_text(&self, tags: &TagStore) -> Vec<u8> {
        let mut text = Vec::new();
        self.append(tags, &mut text);
        text
    }

    /// Appends the canonical name.
    pub(super) fn append(&self, tags: &TagStore, out: &mut Vec<u8>) {
        match self.parts() {
            None => out.extend_from_slice(&self.0),
            Some(parts) => tags.append(parts.bare, parts.numbers(), out),
        }
    }

    #[inline]
    fn parts(&self) -> Option<TaggedName<'_>> {
        if let [MARK, low, high, rest @ ..] = &*self.0 {
            let head = u16::from_le_bytes([*low, *high]);
            let width = if head & WIDE == 0 { 3 } else { 4 };
            let (numbers, bare) = rest.split_at(usize::from(head & !WIDE) * width);
            return Some(TaggedName { numbers, width, bare });
        }
        None
    }
}

impl<'a> TaggedName<'a> {
    /// The numbers of the tags, in the order of the canonical name.
    fn numbers(self) -> impl Iterator<Item = u32> + 'a {
        self.numbers.chunks_exact(self.width).map(|bytes| {
            let mut number = [0; 4];
            number[..bytes.len()].copy_from_slice(bytes);
            u32::from_le_bytes(number)
        })
    }

    /// Whether these are the parts of a canonical name.
    fn are(self, name: &[u8], tags: &TagStore) -> bool {
        let Some(mut rest) = name.strip_prefix(self.bare) else { return false };
        for number in self.numbers() {
            let tag = rest.strip_prefix(b";").and_then(|rest| rest.strip_prefix(tags.text(number)));
            let Some(after) = tag else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_name_is_the_name_and_no_other() {
        let names: [&[u8]; 8] =
            [b"a", b"a;k=v", b"a;k=v;l=w", b"a;k=vv", b"a;k=", b"a;k=v=w;x", b"\0a;k=v", b"ab;k=v"];
        let mut tags = TagStore::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let stored = names.map(|name| StoredName::new(name, &mut tags, |_| {}));
        for (one, name) in stored.iter().zip(names) {
            assert_eq!(one.text(&mut tags), name);
            assert_eq!(one.bare(), &name[..memchr::memchr(b';', name).unwrap_or(name.len())]);
            for (other, text) in stored.iter().zip(names) {
                assert_eq!(other.is(name, &tags), name == text);
            }
            assert!(!one.is(&[name, b";"].concat(), &tags));
            assert!(!one.is(&stored[1].0, &tags), "the stored bytes are no name");
        }
        assert_eq!(tags.len(), 6);
        stored.iter().for_each(|name| name.release(&mut tags));
        assert_eq!(tags.len(), 0);
    }

    #[test]
    fn many_tags_make_wide_numbers() {
        let mut tags = TagStore::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let wide = (0..3_u32).map(|n| 0x0100_0000 + n);
        let stored =
            [&[MARK, 3, 0x80][..], &wide.flat_map(u32::to_le_bytes).collect::<Vec<_>>(), b"a"];
        let stored = StoredName(stored.concat().into());
        let numbers: Vec<u32> = stored.parts().expect("it has tags").numbers().collect();
        assert_eq!(numbers, [0x0100_0000, 0x0100_0001, 0x0100_0002]);
        assert_eq!(stored.bare(), b"a");
        let _ = tags.intern(b"k=v");
    }
}
