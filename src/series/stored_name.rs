//! The names of series, as the table stores them. The tags are numbers of the [`TagStore`].
//!
//! ```text
//!  NameStore, one for each shard:  a.b.c ; 2 tag tag a.b  a.d.e  …
//!                                  └───┘ NamePlace, in the series
//!  without tags   the canonical name
//!  with tags      ";"  the number of tags, and their width: u16  tags …  bare name
//! ```
//! A tag takes 4, 5, 6 or 8 half bytes: as many as the largest number of a tag of the name needs.
//! Tags have the lowest numbers that are free. So a tag takes two bytes in most servers, and two
//! and a half from about 60,000 tags on. No canonical name begins with a `;`.
//!
//! The bytes of a removed name stay. If those take more than a quarter, the shard copies the other
//! names to new chunks.

use hashbrown::HashTable;

use super::hashing::spread;
use super::tag_store::{TAG_BYTES, TagStore};
use super::text_chunks::TextChunks;

/// The stored names of a shard.
#[derive(Debug, Default)]
pub(super) struct NameStore {
    texts: TextChunks,
    /// The bytes of all names, those of removed ones included.
    written: usize,
    /// The bytes of removed names.
    removed: usize,
    /// For each series whose name rules have made, a name from which they have made it.
    pub(super) originals: HashTable<Original>,
}

/// The original name of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Original {
    /// The position of the series in the shard.
    at: u32,
    name: NamePlace,
}

/// The place of a name in its [`NameStore`].
#[derive(Clone, Copy, Debug)]
pub(super) struct NamePlace {
    place: u32,
    length: u32,
}

/// A stored name.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredName<'a>(&'a [u8]);

/// The parts of a stored name that has tags.
#[derive(Clone, Copy)]
struct TaggedName<'a> {
    /// The numbers of the tags, and then the bare name.
    stored: &'a [u8],
    count: usize,
    width: Width,
}

/// The half bytes of each number of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Width(usize);

/// The first byte of a stored name with tags.
const MARK: u8 = b';';
const HEAD: usize = 3;
/// The bits of the head that are the number of tags. The others are the place of the width in
/// [`Width::ALL`].
const COUNT_BITS: u32 = 14;
/// The reader makes names of fewer tags. In a damaged state file there may be more. The last one
/// then has the rest of the name as its text.
const TAGS_MAX: usize = (1 << COUNT_BITS) - 1;

/// This many bytes of removed names are no reason to copy the others.
const FEW_BYTES: usize = 4096;

impl NameStore {
    /// Stores a canonical name. `is_new` is called with each of its tags that no other series has.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        tags: &mut TagStore,
        mut is_new: impl FnMut(&[u8]),
    ) -> NamePlace {
        let Some(bare) = memchr::memchr(b';', name) else {
            return self.append(name);
        };
        let mut numbers = tags.take_numbers();
        for tag in name[bare + 1..].splitn(TAGS_MAX, |byte| *byte == b';') {
            let (number, is_first) = tags.intern(tag);
            if is_first {
                is_new(tag);
            }
            numbers.push(number);
        }
        let width = Width::of(numbers.iter().copied().max().unwrap_or_default());
        let length = HEAD + width.bytes(numbers.len()) + bare;
        let (place, chunk) = self.texts.begin(length);
        put_tagged(&numbers, width, &name[..bare], chunk);
        tags.put_numbers(numbers);
        self.note(place, length)
    }

    /// Adds the bytes of a stored name.
    fn append(&mut self, bytes: &[u8]) -> NamePlace {
        let (place, chunk) = self.texts.begin(bytes.len());
        chunk.extend_from_slice(bytes);
        self.note(place, bytes.len())
    }

    fn note(&mut self, place: u32, length: usize) -> NamePlace {
        self.written += length;
        NamePlace { place, length: u32::try_from(length).expect("a name is far shorter") }
    }

    #[inline]
    pub(super) fn get(&self, NamePlace { place, length }: NamePlace) -> StoredName<'_> {
        StoredName(self.texts.get(place, length as usize))
    }

    /// Removes a name. Returns whether [`compact`](Self::compact) should be called.
    #[must_use]
    pub(super) fn remove(&mut self, name: NamePlace) -> bool {
        self.removed += name.length as usize;
        self.removed > self.written / 4 + FEW_BYTES
    }

    /// Frees the bytes of removed names. `names` has the places of the names of all series, which
    /// get their new ones.
    pub(super) fn compact<'a>(&mut self, names: impl Iterator<Item = &'a mut NamePlace>) {
        let mut originals = std::mem::take(&mut self.originals);
        let mut kept = Self::default();
        for name in names {
            *name = kept.append(self.get(*name).0);
        }
        for Original { name, .. } in &mut originals {
            *name = kept.append(self.get(*name).0);
        }
        *self = Self { originals, ..kept };
    }

    /// The name from which rules have made that of the series at a position.
    pub(super) fn original(&self, at: u32) -> Option<StoredName<'_>> {
        if self.originals.is_empty() {
            return None;
        }
        let found = self.originals.find(spread(at), |original| original.at == at)?;
        Some(self.get(found.name))
    }

    /// Sets the name from which rules have made that of the series at a position. Returns the one
    /// before, which must be [removed](Self::remove).
    pub(super) fn set_original(&mut self, at: u32, name: Option<NamePlace>) -> Option<NamePlace> {
        let before = self.take_original(at);
        if let Some(name) = name {
            let new = Original { at, name };
            self.originals.insert_unique(spread(at), new, |original| spread(original.at));
        }
        before
    }

    fn take_original(&mut self, at: u32) -> Option<NamePlace> {
        if self.originals.is_empty() {
            return None;
        }
        let found = self.originals.find_entry(spread(at), |original| original.at == at);
        Some(found.ok()?.remove().0.name)
    }

    /// Notes that a series has moved to another position, which was free.
    pub(super) fn move_original(&mut self, from: u32, to: u32) {
        let original = self.take_original(from);
        self.set_original(to, original);
    }

    /// Frees the memory of original names that were removed.
    pub(super) fn shrink_originals(&mut self) {
        self.originals.shrink_to_fit(|original| spread(original.at));
    }
}

impl NamePlace {
    /// The bytes of the name in the store.
    pub(super) fn length(self) -> usize {
        self.length as usize
    }
}

impl<'a> StoredName<'a> {
    /// A name that is not in its store any more. `bytes` are its [`bytes`](Self::bytes).
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that [`NameStore::add`] takes for a canonical name, and for those of its tags that
    /// are not in the store.
    pub(super) fn bytes_for(name: &[u8], store: &TagStore) -> usize {
        let Some(bare) = memchr::memchr(b';', name) else { return name.len() };
        let mut count = 0;
        let mut new = 0;
        for tag in name[bare + 1..].splitn(TAGS_MAX, |byte| *byte == b';') {
            count += 1;
            new += if store.has(tag) { 0 } else { tag.len() + TAG_BYTES };
        }
        HEAD + Width::of(store.largest_number()).bytes(count) + bare + new
    }

    /// Ends the uses of the tags. Must be called once, when the series is removed.
    pub(super) fn release(self, tags: &mut TagStore) {
        if let Some(parts) = self.parts() {
            parts.numbers().for_each(|number| tags.release(number));
        }
    }

    /// The bytes that are stored, without those of the tags.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the name has tags.
    #[inline]
    pub(super) fn has_tags(self) -> bool {
        self.0.first() == Some(&MARK)
    }

    /// The name without its tags.
    #[inline]
    pub(super) fn bare(self) -> &'a [u8] {
        if self.has_tags() { self.tagged_bare() } else { self.0 }
    }

    #[inline(never)]
    fn tagged_bare(self) -> &'a [u8] {
        self.parts().map_or(self.0, TaggedName::bare)
    }

    /// Whether this is the canonical name.
    #[inline]
    pub(super) fn is(self, name: &[u8], tags: &TagStore) -> bool {
        if *self.0 == *name {
            return name.first() != Some(&MARK);
        }
        self.has_tags() && self.has_tags_of(name, tags)
    }

    #[inline(never)]
    fn has_tags_of(self, name: &[u8], tags: &TagStore) -> bool {
        self.parts().is_some_and(|parts| parts.are(name, tags))
    }

    /// Returns the canonical name. It may be in a buffer of `tags`.
    #[inline]
    pub(super) fn text(self, tags: &'a mut TagStore) -> &'a [u8] {
        if self.has_tags() { self.joined(tags) } else { self.0 }
    }

    #[inline(never)]
    fn joined(self, tags: &'a mut TagStore) -> &'a [u8] {
        self.parts().map_or(self.0, |parts| tags.join(parts.bare(), parts.numbers()))
    }

    /// Returns a copy of the canonical name.
    pub(super) fn owned_text(&self, tags: &TagStore) -> Vec<u8> {
        let mut text = Vec::new();
        self.append(tags, &mut text);
        text
    }

    /// Appends the canonical name.
    pub(super) fn append(self, tags: &TagStore, out: &mut Vec<u8>) {
        match self.parts() {
            None => out.extend_from_slice(self.0),
            Some(parts) => tags.append(parts.bare(), parts.numbers(), out),
        }
    }

    #[inline]
    fn parts(self) -> Option<TaggedName<'a>> {
        if let [MARK, low, high, stored @ ..] = self.0 {
            let head = u16::from_le_bytes([*low, *high]);
            let width = Width(Width::ALL[usize::from(head >> COUNT_BITS)]);
            return Some(TaggedName { stored, count: usize::from(head) & TAGS_MAX, width });
        }
        None
    }
}

impl Width {
    const ALL: [usize; 4] = [4, 5, 6, 8];

    /// The width for numbers up to this one.
    fn of(number: u32) -> Self {
        let needed = number.checked_ilog2().map_or(0, |bits| bits as usize / 4 + 1);
        Self(Self::ALL.into_iter().find(|width| *width >= needed).unwrap_or(8))
    }

    /// The bytes of this many numbers.
    fn bytes(self, numbers: usize) -> usize {
        (self.0 * numbers).div_ceil(2)
    }
}

/// Appends a stored name with tags.
fn put_tagged(numbers: &[u32], width: Width, bare: &[u8], out: &mut Vec<u8>) {
    let place = Width::ALL.iter().position(|known| *known == width.0).unwrap_or_default();
    let head = u16::try_from(place << COUNT_BITS | numbers.len()).expect("at most TAGS_MAX");
    let [low, high] = head.to_le_bytes();
    out.extend_from_slice(&[MARK, low, high]);
    let mut bits = 0_u64;
    let mut filled = 0;
    for number in numbers {
        bits |= u64::from(*number) << filled;
        filled += 4 * width.0;
        out.extend_from_slice(&bits.to_le_bytes()[..filled / 8]);
        bits >>= filled / 8 * 8;
        filled %= 8;
    }
    if filled > 0 {
        out.push(bits.to_le_bytes()[0]);
    }
    out.extend_from_slice(bare);
}

impl<'a> TaggedName<'a> {
    fn bare(self) -> &'a [u8] {
        &self.stored[self.width.bytes(self.count)..]
    }

    /// The numbers of the tags, in the order of the canonical name.
    fn numbers(self) -> impl Iterator<Item = u32> + 'a {
        let Self { stored, count, width: Width(width) } = self;
        let mask = u32::MAX >> (32 - 4 * width);
        (0..count).map(move |place| {
            let at = place * width;
            let bytes = &stored[at / 2..];
            let four = bytes.first_chunk().copied().unwrap_or_else(|| {
                let mut four = [0; 4];
                four[..bytes.len()].copy_from_slice(bytes);
                four
            });
            u32::from_le_bytes(four) >> (at % 2 * 4) & mask
        })
    }

    /// Whether these are the parts of a canonical name.
    fn are(self, name: &[u8], tags: &TagStore) -> bool {
        let Some(mut rest) = name.strip_prefix(self.bare()) else { return false };
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
        let mut store = NameStore::default();
        let places = names.map(|name| store.add(name, &mut tags, |_| {}));
        let stored = places.map(|place| store.get(place));
        for (one, name) in stored.iter().zip(names) {
            assert_eq!(one.text(&mut tags), name);
            assert_eq!(one.bare(), &name[..memchr::memchr(b';', name).unwrap_or(name.len())]);
            for (other, text) in stored.iter().zip(names) {
                assert_eq!(other.is(name, &tags), name == text);
            }
            assert!(!one.is(&[name, b";"].concat(), &tags));
            assert!(!one.is(stored[1].0, &tags), "the stored bytes are no name");
        }
        assert_eq!(tags.len(), 6);
        stored.iter().for_each(|name| name.release(&mut tags));
        assert_eq!(tags.len(), 0);
    }

    #[test]
    fn the_bytes_of_removed_names_are_freed_and_the_others_stay() {
        let mut tags = TagStore::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let mut store = NameStore::default();
        let name = |n: usize| format!("a.{n};k={}", n % 7).into_bytes();
        let mut places: Vec<(usize, NamePlace)> = Vec::new();
        let mut copies = 0;
        for n in 0..20_000 {
            places.push((n, store.add(&name(n), &mut tags, |_| {})));
            if n % 10 != 0 {
                let (removed, place) = places.remove(n % places.len());
                assert_eq!(store.get(place).text(&mut tags), name(removed));
                if store.remove(place) {
                    store.compact(places.iter_mut().map(|(_, place)| place));
                    copies += 1;
                }
            }
        }
        let live: usize = places.iter().map(|(_, place)| place.length()).sum();
        for (n, place) in places {
            assert_eq!(store.get(place).text(&mut tags), name(n));
        }
        assert_eq!(store.written - store.removed, live);
        assert!(store.removed <= live / 3 + 2 * FEW_BYTES, "{} {live}", store.removed);
        assert!(copies < 100, "{copies}");
    }

    #[test]
    fn original_names_take_memory_for_the_series_that_have_one() {
        let mut store = NameStore::default();
        let mut tags = TagStore::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for at in [7, 100_000] {
            let name = store.add(b"original", &mut tags, |_| {});
            assert!(store.set_original(at, Some(name)).is_none());
        }
        assert!(store.originals.allocation_size() < 200);
        store.move_original(100_000, 8);
        let has = [7, 8, 9, 100_000].map(|at| store.original(at).is_some());
        assert_eq!(has, [true, true, false, false]);
        assert!(store.set_original(7, None).is_some() && store.original(7).is_none());
    }

    #[test]
    fn numbers_take_as_many_half_bytes_as_the_largest_needs() {
        for (largest, width) in
            [(0, 4), (0xffff, 4), (0x1_0000, 5), (0xf_ffff, 5), (0x10_0000, 6), (u32::MAX, 8)]
        {
            for count in 1..20 {
                let numbers: Vec<u32> = (0..count).map(|n| largest - largest / 19 * n).collect();
                assert_eq!(Width::of(largest), Width(width));
                let mut stored = Vec::new();
                put_tagged(&numbers, Width(width), b"a", &mut stored);
                assert_eq!(stored.len(), HEAD + (width * numbers.len()).div_ceil(2) + 1);
                let parts = StoredName(&stored).parts().expect("it has tags");
                assert_eq!(parts.numbers().collect::<Vec<_>>(), numbers);
                assert_eq!(parts.bare(), b"a");
            }
        }
    }
}
