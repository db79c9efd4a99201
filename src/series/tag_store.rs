//! The tags of all series. Each different tag is stored once, however many series have it.
//!
//! ```text
//!  "env=prod" ──hash──▶ shard: index ──▶ StoredTag { uses, start } ──▶ length, text in Texts
//!                                           ▲
//!  number of the tag = shard + 256 × place ─┘       series with it have the number
//! ```
//! A tag counts its uses, and is removed when the last series with it is. So the number of tags is
//! bounded by `max_series`, and by the tags that a name can have.
//!
//! The text of a removed tag stays where it is. If those of a shard take more than a quarter of
//! those in use, the texts are copied to new chunks. The hash of a tag is not stored: the index
//! reads the texts when it grows. A shard is small enough for both: with 700,000 tags it has 2,700,
//! which take 150 kB.

use ahash::RandomState;
use hashbrown::HashTable;

use super::text_chunks::{CHUNK, TextChunks};

#[derive(Debug)]
pub(super) struct TagStore {
    hasher: RandomState,
    shards: Box<[TagShard]>,
    len: usize,
    /// The bytes of the texts in all chunks, those of removed tags included.
    written: usize,
    /// The buffer for a name with its tags.
    name_buffer: Vec<u8>,
    /// The buffer for the numbers of the tags of a new name.
    numbers: Vec<u32>,
}

#[derive(Debug, Default)]
struct TagShard {
    index: HashTable<TagAt>,
    entries: Vec<StoredTag>,
    /// One more than the place of the first unused entry, or 0. Its `start` has the next one.
    unused: u32,
    texts: Texts,
    /// The bytes of all tags, and of those that are in use.
    written: usize,
    live: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct StoredTag {
    /// The number of series that have the tag. 0 if the entry is not in use.
    uses: u32,
    /// The place in [`Texts`].
    start: u32,
}

/// The place of a tag in its shard, in three bytes. A shard has less than 2^24 tags, since the
/// number of a tag has 32 bits.
#[derive(Clone, Copy, Debug)]
struct TagAt([u8; 3]);

/// The texts of tags. In front of each is its length: seven bits a byte, the lowest first, with the
/// highest bit set in all bytes but the last.
#[derive(Debug, Default)]
struct Texts(TextChunks);

const SHARDS: usize = 256;

/// The bytes of a tag beside its text: the entry, its place in the index, and the slack of both.
pub(super) const TAG_BYTES: usize = 20;

/// The entries in the memory of a chunk.
const PAGE: usize = CHUNK / size_of::<StoredTag>();

/// The most bytes of a length. A text is a part of a name, which has less than 2 MiB.
const LENGTH_BYTES_MAX: usize = 3;

impl TagStore {
    pub(super) fn new(hasher: RandomState) -> Self {
        let shards = std::iter::repeat_with(TagShard::default).take(SHARDS).collect();
        Self { hasher, shards, len: 0, written: 0, name_buffer: Vec::new(), numbers: Vec::new() }
    }

    /// Returns an empty list for numbers of tags, to be given back by
    /// [`put_numbers`](Self::put_numbers).
    pub(super) fn take_numbers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.numbers)
    }

    pub(super) fn put_numbers(&mut self, mut numbers: Vec<u32>) {
        numbers.clear();
        self.numbers = numbers;
    }

    /// The number of different tags.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// About the bytes of all tags, their texts included. It takes no walk over the shards.
    pub(super) fn bytes(&self) -> usize {
        self.written + self.len * TAG_BYTES
    }

    /// Returns the number of a tag, and whether it is new. The tag has one use more. The caller
    /// must call [`release`](Self::release) for each use.
    pub(super) fn intern(&mut self, tag: &[u8]) -> (u32, bool) {
        let hash = self.hasher.hash_one(tag);
        let home = home_of(hash);
        let shard = &mut self.shards[home];
        let known = shard.find(hash, tag);
        let at = known.unwrap_or_else(|| {
            self.written += tag.len();
            shard.add(hash, tag, &self.hasher)
        });
        shard.entries[at as usize].uses += 1;
        self.len += usize::from(known.is_none());
        #[allow(clippy::cast_possible_truncation)] // there are 256 shards
        let number = at * SHARDS as u32 + home as u32;
        (number, known.is_none())
    }

    /// Whether some series has this tag.
    pub(super) fn has(&self, tag: &[u8]) -> bool {
        let hash = self.hasher.hash_one(tag);
        self.shards[home_of(hash)].find(hash, tag).is_some()
    }

    /// The largest number that a tag has, or that the next tag can get.
    pub(super) fn largest_number(&self) -> u32 {
        let most = self.shards.iter().map(|shard| shard.entries.len()).max().unwrap_or_default();
        u32::try_from(most * SHARDS + SHARDS - 1).unwrap_or(u32::MAX)
    }

    /// Ends one use of a tag.
    pub(super) fn release(&mut self, number: u32) {
        let (home, at) = place(number);
        let shard = &mut self.shards[home];
        let entry = &mut shard.entries[at];
        entry.uses -= 1;
        if entry.uses == 0 {
            self.written -= shard.written;
            shard.remove(at, &self.hasher);
            self.written += shard.written;
            self.len -= 1;
        }
    }

    /// The text of a tag in use: `key=value`.
    pub(super) fn text(&self, number: u32) -> &[u8] {
        let (home, at) = place(number);
        self.shards[home].text(self.shards[home].entries[at])
    }

    /// Appends the canonical name that is made of a bare name and its tags.
    pub(super) fn append(
        &self,
        bare: &[u8],
        numbers: impl Iterator<Item = u32>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(bare);
        for number in numbers {
            out.push(b';');
            out.extend_from_slice(self.text(number));
        }
    }

    /// Returns the canonical name that is made of a bare name and its tags.
    pub(super) fn join(&mut self, bare: &[u8], numbers: impl Iterator<Item = u32>) -> &[u8] {
        let mut name = std::mem::take(&mut self.name_buffer);
        name.clear();
        self.append(bare, numbers, &mut name);
        self.name_buffer = name;
        &self.name_buffer
    }

    /// The texts of all tags, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.shards.iter().flat_map(|shard| {
            let in_use = shard.entries.iter().filter(|entry| entry.uses > 0);
            in_use.map(|entry| shard.text(*entry))
        })
    }
}

impl TagShard {
    fn find(&self, hash: u64, tag: &[u8]) -> Option<u32> {
        let is_it = |at: &TagAt| self.text(self.entries[at.get()]) == tag;
        self.index.find(hash, is_it).map(|at| at.number())
    }

    fn text(&self, entry: StoredTag) -> &[u8] {
        self.texts.get(entry.start)
    }

    /// Adds a tag without uses. Returns its place.
    fn add(&mut self, hash: u64, tag: &[u8], hasher: &RandomState) -> u32 {
        let start = self.texts.add(tag);
        self.written += tag.len();
        self.live += tag.len();
        let entry = StoredTag { uses: 0, start };
        let at = if let Some(at) = self.unused.checked_sub(1) {
            self.unused = self.entries[at as usize].start;
            self.entries[at as usize] = entry;
            at
        } else {
            let len = self.entries.len();
            if len == self.entries.capacity() {
                self.entries.reserve_exact(if len < PAGE { len.max(32) } else { more_than(len) });
            }
            self.entries.push(entry);
            u32::try_from(len).expect("their texts are found by a u32")
        };
        let Self { index, entries, texts, .. } = self;
        let hash_at = |at: &TagAt| hasher.hash_one(texts.get(entries[at.get()].start));
        index.insert_unique(hash, TagAt::new(at), hash_at);
        at
    }

    /// Removes the tag at a place, which has no uses.
    fn remove(&mut self, at: usize, hasher: &RandomState) {
        let text = self.text(self.entries[at]);
        let hash = hasher.hash_one(text);
        let length = text.len();
        self.live -= length;
        if let Ok(entry) = self.index.find_entry(hash, |known| known.get() == at) {
            entry.remove();
        }
        let next = std::mem::replace(&mut self.unused, 0);
        self.entries[at] = StoredTag { start: next, ..StoredTag::default() };
        self.unused = u32::try_from(at + 1).expect("the place of an entry");
        if self.index.is_empty() {
            *self = Self::default();
        } else if self.written - self.live > self.live / 4 + CHUNK {
            self.compact();
        }
    }

    /// Copies the texts in use to new chunks.
    fn compact(&mut self) {
        let mut kept = Texts::default();
        for entry in self.entries.iter_mut().filter(|entry| entry.uses > 0) {
            entry.start = kept.add(self.texts.get(entry.start));
        }
        self.texts = kept;
        self.written = self.live;
    }
}

impl TagAt {
    fn new(at: u32) -> Self {
        let [low, middle, high, rest] = at.to_le_bytes();
        assert!(rest == 0, "the number of a tag has 32 bits");
        Self([low, middle, high])
    }

    fn number(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }

    fn get(self) -> usize {
        self.number() as usize
    }
}

impl Texts {
    /// Adds a text. Returns its place.
    fn add(&mut self, text: &[u8]) -> u32 {
        let (place, chunk) = self.0.begin(LENGTH_BYTES_MAX + text.len());
        let mut length = text.len();
        while length >= 0x80 {
            chunk.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        chunk.push(length.to_le_bytes()[0]);
        chunk.extend_from_slice(text);
        place
    }

    fn get(&self, place: u32) -> &[u8] {
        let mut rest = self.0.from(place);
        let mut length = 0;
        let mut bits = 0;
        while let [byte, after @ ..] = rest {
            rest = after;
            length |= usize::from(byte & 0x7f) << bits;
            bits += 7;
            if *byte < 0x80 {
                break;
            }
        }
        &rest[..length]
    }
}

/// Returns by how many entries a long list grows. If lists doubled, they would be half empty in all
/// shards at once. The size is a multiple of [`PAGE`], so that chunks of texts fit into the block
/// that the list leaves.
fn more_than(len: usize) -> usize {
    (len / 8).next_multiple_of(PAGE)
}

/// Returns the shard and the place of a tag.
fn place(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number % SHARDS, number / SHARDS)
}

/// Returns the shard of a hash. The index uses the lowest and the seven highest bits.
fn home_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    fn store() -> TagStore {
        TagStore::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    #[test]
    fn equal_tags_are_stored_once_and_go_with_their_last_use() {
        let mut store = store();
        let (first, is_new) = store.intern(b"env=prod");
        assert!(is_new);
        assert_eq!(store.intern(b"env=prod"), (first, false));
        let (second, _) = store.intern(b"env=test");
        assert_ne!(first, second);
        assert_eq!(store.join(b"a", [second, first].into_iter()), b"a;env=test;env=prod");
        store.release(first);
        assert_eq!((store.text(first), store.len()), (&b"env=prod"[..], 2));
        store.release(first);
        assert_eq!(store.all().collect::<Vec<_>>(), [b"env=test"]);
        store.release(second);
        assert_eq!((store.len(), store.bytes()), (0, 0));
    }

    #[test]
    fn texts_stay_right_while_others_come_and_go() {
        let mut random = Random::new(1);
        let mut store = store();
        let mut model: Vec<(Vec<u8>, u32)> = Vec::new();
        let mut most = 0;
        for _ in 0..60_000 {
            if model.len() > 500 || random.one_in(3) && !model.is_empty() {
                let (text, number) = model.swap_remove(random.below(model.len()));
                assert_eq!(store.text(number), text);
                store.release(number);
            } else {
                let length = if random.one_in(500) { 20_000 } else { random.below(300_usize) };
                let mut text = format!("k={}", random.below(2000_u32)).into_bytes();
                text.resize(length.max(3), b'.');
                model.push((text.clone(), store.intern(&text).0));
            }
            most = most.max(store.bytes());
        }
        for (text, number) in &model {
            assert_eq!(store.text(*number), text);
        }
        let mut different: Vec<_> = model.iter().map(|(text, _)| text.clone()).collect();
        different.sort();
        different.dedup();
        assert_eq!(store.len(), different.len());
        model.iter().for_each(|(_, number)| store.release(*number));
        assert_eq!((store.len(), store.bytes()), (0, 0));
        assert!(most < 4 << 20, "{most}");
    }
}
