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

/// The bytes of a chunk. The first chunks are smaller, so that few texts take little memory.
pub(super) const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 13;
const FIRST_CHUNK: usize = CHUNK / 32;

/// A longer text has a chunk of its own, or much of two chunks could stay empty.
const LONG: usize = CHUNK / 8;

impl TextChunks {
    /// Returns the place of a new text of `length` bytes, and the chunk that it must be appended
    /// to.
    pub(super) fn begin(&mut self, length: usize) -> (u32, &mut Vec<u8>) {
        // The place after a full chunk is in the next chunk, which may not exist.
        let length = length.max(1);
        let Self { chunks, filling } = self;
        let has_room = |chunk: &Vec<u8>| chunk.capacity().min(CHUNK) - chunk.len() >= length;
        let at = match filling.checked_sub(1) {
            Some(at) if has_room(&chunks[at]) => at,
            _ => {
                let usual = (FIRST_CHUNK << chunks.len().min(5)).max(length);
                let is_long = length > LONG;
                chunks.push(Vec::with_capacity(if is_long { length } else { usual }));
                if !is_long {
                    *filling = chunks.len();
                }
                chunks.len() - 1
            }
        };
        let chunk = &mut chunks[at];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_after_a_full_chunk_has_a_place() {
        let mut texts = TextChunks::default();
        let (_, chunk) = texts.begin(1);
        chunk.resize(FIRST_CHUNK, b'a');
        for size in 1..=5 {
            let (place, chunk) = texts.begin(0);
            chunk.resize(FIRST_CHUNK << size, b'a');
            assert_eq!(texts.get(place, 0), b"", "chunk {size}");
        }
        assert_eq!(texts.chunks.last().map(Vec::len), Some(CHUNK), "the last chunk is full");
        let (place, _) = texts.begin(0);
        assert_eq!(texts.get(place, 0), b"");
    }
}
