//! Texts in chunks: the names of a shard, or its tags.
//!
//! A block of memory for each text would take 8 to 24 bytes more, and a longer pointer to it. One
//! block for all texts would be copied each time it grows, and leave a hole of its old size, which
//! later and larger blocks do not fit in.
//!
//! A text that is removed stays where it is. The owner copies the others to new chunks when the
//! removed ones take much.

/// The chunks. A place of a text is the number of its chunk and the position in the chunk.
#[derive(Debug, Default)]
pub(super) struct TextChunks {
    chunks: Vec<Vec<u8>>,
    /// One more than the index of the chunk that is being filled, or 0 if there is none.
    filling: usize,
}

/// The places of a chunk.
pub(super) const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 12;

/// The bytes that glibc has in front of each block. With them a chunk takes 4 KiB and no more.
/// Lists grow to the double, and the blocks that they leave are filled with chunks.
const IN_FRONT: usize = 8;

/// The most bytes of a chunk.
const FULL: usize = CHUNK - IN_FRONT;

/// A chunk begins with this many bytes and grows to the double, so that the unused part of the last
/// chunk is small. There are two such chunks for each shard. The first chunk begins with less, so
/// that few texts take little memory.
const BEGIN: usize = CHUNK / 4;
const FIRST_BEGIN: usize = CHUNK / 16;

/// A longer text has a chunk of its own, or much of two chunks could stay empty.
const LONG: usize = CHUNK / 8;

impl TextChunks {
    /// Returns the place of a new text of `length` bytes, and the chunk that it must be appended
    /// to.
    pub(super) fn begin(&mut self, length: usize) -> (u32, &mut Vec<u8>) {
        // The place after a full chunk is in the next chunk, which may not exist.
        let length = length.max(1);
        let Self { chunks, filling } = self;
        let has_room = |chunk: &Vec<u8>| FULL - chunk.len() >= length;
        let at = match filling.checked_sub(1) {
            Some(at) if has_room(&chunks[at]) => at,
            _ => {
                chunks.push(Vec::new());
                if length <= LONG {
                    *filling = chunks.len();
                }
                chunks.len() - 1
            }
        };
        let chunk = &mut chunks[at];
        if chunk.capacity() - chunk.len() < length {
            grow(chunk, length, if at == 0 { FIRST_BEGIN } else { BEGIN });
        }
        // A text of more than `LONG` bytes has a chunk, and so a chunk number, of its own.
        let place = u32::try_from(at * CHUNK + chunk.len());
        (place.expect("a shard has less than 4 GiB of places"), chunk)
    }

    /// The bytes of the chunk from a place on.
    #[inline]
    pub(super) fn from(&self, place: u32) -> &[u8] {
        &self.chunks[(place >> CHUNK_BITS) as usize][place as usize % CHUNK..]
    }

    /// The text of this length at a place.
    #[inline]
    pub(super) fn get(&self, place: u32, length: usize) -> &[u8] {
        let at = place as usize % CHUNK;
        &self.chunks[(place >> CHUNK_BITS) as usize][at..at + length]
    }
}

/// Makes room for `length` more bytes in a chunk, which takes at least `least` bytes then.
#[cold]
fn grow(chunk: &mut Vec<u8>, length: usize, least: usize) {
    let needed = chunk.len() + length + IN_FRONT;
    let block = needed.next_power_of_two().max(least);
    let is_alone = chunk.is_empty() && length > LONG;
    let bytes = if is_alone { length } else { block - IN_FRONT };
    chunk.reserve_exact(bytes - chunk.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a text of this many bytes.
    fn add(texts: &mut TextChunks, length: usize) -> u32 {
        let (place, chunk) = texts.begin(length);
        assert!(chunk.capacity() - chunk.len() >= length);
        chunk.resize(chunk.len() + length, b'a');
        place
    }

    #[test]
    fn an_empty_text_after_a_full_chunk_has_a_place() {
        const LENGTH: usize = FULL / 73;
        let mut texts = TextChunks::default();
        for _ in 0..2 * 73 {
            add(&mut texts, LENGTH);
            let place = add(&mut texts, 0);
            assert_eq!(texts.get(place, 0), b"");
        }
        let lengths: Vec<_> = texts.chunks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [FULL, FULL, 0], "both chunks were full");
    }

    #[test]
    fn a_text_of_any_length_has_room() {
        let mut texts = TextChunks::default();
        let mut places = Vec::new();
        for length in (0..3000).map(|n| n * 31 % 5000).chain([0, FULL, CHUNK, CHUNK + 1, 70_000]) {
            places.push((add(&mut texts, length), length));
        }
        for (place, length) in places {
            assert_eq!(texts.get(place, length).len(), length);
        }
    }

    #[test]
    fn little_of_the_chunks_is_unused() {
        let mut texts = TextChunks::default();
        let mut written = 0;
        for length in (0..2000).map(|n| n % 200) {
            add(&mut texts, length);
            written += length;
            let held: usize = texts.chunks.iter().map(Vec::capacity).sum();
            assert!(held <= written + written / 40 + CHUNK / 2, "{held} {written}");
        }
        assert_eq!(texts.chunks.len(), written.div_ceil(FULL - 100));
        add(&mut texts, 5000);
        add(&mut texts, 1);
        let [.., before, long] = &*texts.chunks else { panic!("two chunks") };
        assert_eq!((long.len(), long.capacity()), (5000, 5000), "a long text has its own");
        assert!(before.len() < FULL, "a short one does not follow it");
    }
}
