//! Lines as Datadog's clients send them, in the sizes of the load generator `lading` with its
//! default DogStatsD profile: names of 1 to 200 bytes with 2 to 50 tags of 3 to 100 bytes. Of a
//! hundred tags of a context, 89 are tags of earlier contexts.
//!
//! Values are whole numbers without a sample rate, so that sums are exact everywhere. Events,
//! service checks and lines with several values are left out: not every server reads them.

use crate::Random;

/// Names with their tags and types. Each makes one series.
#[derive(Debug)]
pub(crate) struct Contexts {
    random: Random,
    /// The text that all names, keys and values are cut out of.
    pool: Vec<u8>,
    /// Keys and values.
    tags: Vec<[Cut; 2]>,
    contexts: Vec<Context>,
}

/// A place in the pool, and a length.
type Cut = (u32, u32);

#[derive(Debug)]
struct Context {
    kind: &'static str,
    name: Cut,
    /// Indices of `Contexts::tags`.
    tags: Vec<u32>,
}

const POOL_BYTES: u32 = 8_000_000;
/// As many as six bits can name.
const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/// The longest name, and the longest tag without its colon, in bytes.
const NAME: u32 = 200;
const TAG: u32 = 100;

/// New tags in a hundred.
const NEW_TAGS: u32 = 11;

/// The types in a hundred.
const KINDS: [(&str, usize); 6] = [("c", 34), ("g", 34), ("ms", 5), ("d", 1), ("s", 1), ("h", 25)];

impl Contexts {
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let mut pool = Vec::with_capacity(POOL_BYTES as usize);
        while pool.len() < POOL_BYTES as usize {
            let bits = random.bits();
            pool.extend(
                (0..10).map(|at| LETTERS[usize::from((bits >> (6 * at)).to_le_bytes()[0] & 63)]),
            );
        }
        let mut all = Self { random, pool, tags: Vec::new(), contexts: Vec::new() };
        let kinds: Vec<_> =
            KINDS.iter().flat_map(|&(kind, share)| std::iter::repeat_n(kind, share)).collect();
        for _ in 0..count {
            let tags = (0..2 + all.random.below(49_u32)).map(|_| all.tag()).collect();
            let length = 1 + all.random.below(NAME);
            let name = all.cut(length);
            let kind = *all.random.pick(&kinds);
            all.contexts.push(Context { kind, name, tags });
        }
        all
    }

    /// Returns the index of an earlier tag or of a new one.
    fn tag(&mut self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "4 billion tags fit into no machine")]
        let known = self.tags.len() as u32;
        if known > 0 && self.random.below(100_u32) >= NEW_TAGS {
            return self.random.below(known);
        }
        let bytes = 3 + self.random.below(TAG - 2);
        let key = 1 + self.random.below(bytes - 1);
        let tag = [self.cut(key), self.cut(bytes - key)];
        self.tags.push(tag);
        known
    }

    fn cut(&mut self, length: u32) -> Cut {
        (self.random.below(POOL_BYTES - length), length)
    }

    fn text(&self, (at, length): Cut) -> &[u8] {
        &self.pool[at as usize..(at + length) as usize]
    }

    /// Appends a line of the context with this number. The value is a whole number below 10,000.
    pub(crate) fn append(&mut self, number: usize, out: &mut Vec<u8>) {
        let value: u32 = self.random.below(10_000);
        let Context { kind, name, tags } = &self.contexts[number];
        out.extend_from_slice(self.text(*name));
        out.extend_from_slice(format!(":{value}|{kind}|").as_bytes());
        for (at, tag) in tags.iter().enumerate() {
            out.push(if at == 0 { b'#' } else { b',' });
            let [key, value] = self.tags[*tag as usize];
            out.extend_from_slice(self.text(key));
            out.push(b':');
            out.extend_from_slice(self.text(value));
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of lading have 1.4 KB at the median, as these. Some are longer than all of these,
    /// up to 4.4 KB, because lading adds container names and lines with several values.
    #[test]
    fn lines_have_the_sizes_of_the_profile() {
        let mut contexts = Contexts::new(1, 10_000);
        let mut lengths = Vec::new();
        let mut tags = 0;
        for number in 0..10_000 {
            let mut line = Vec::new();
            contexts.append(number, &mut line);
            let line = std::str::from_utf8(&line).unwrap().trim_end();
            let (name, rest) = line.split_once(':').unwrap();
            let (_, list) = rest.split_once("|#").unwrap();
            assert!((1..=200).contains(&name.len()), "{line}");
            assert!((2..=50).contains(&list.split(',').count()), "{line}");
            assert!(list.split(',').all(|tag| (4..=101).contains(&tag.len())), "{line}");
            tags += list.split(',').count();
            lengths.push(line.len());
        }
        lengths.sort_unstable();
        assert!((1_300..1_550).contains(&lengths[5_000]), "{}", lengths[5_000]);
        assert!((3_300..5_300).contains(&lengths[9_999]), "{}", lengths[9_999]);
        let new = contexts.tags.len() as f64 / tags as f64;
        assert!((0.105..0.115).contains(&new), "{new}");
    }
}
