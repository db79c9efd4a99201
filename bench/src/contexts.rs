//! Lines of Datadog's clients as the load generator `lading` makes them by its DogStatsD profile:
//! names of 1 to 200 bytes, 2 to 50 tags of 3 to 100 bytes. 89 in 100 tags of a context are those
//! of contexts before it, all others are new.

use crate::Random;

/// Names with their tags and types, each of which is a series.
#[derive(Debug)]
pub struct Contexts {
    random: Random,
    /// The text that all names, keys and values are cut out of.
    pool: Vec<u8>,
    /// Keys and values, as places in the pool.
    tags: Vec<[Cut; 2]>,
    contexts: Vec<Context>,
}

/// A place in the pool, and a length.
type Cut = (u32, u32);

#[derive(Debug)]
struct Context {
    kind: &'static str,
    name: Cut,
    /// Positions in `Contexts::tags`.
    tags: Vec<u32>,
}

const POOL_BYTES: usize = 8_000_000;
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// New tags in a hundred.
const NEW_TAGS: u32 = 11;

/// The types in a hundred.
const KINDS: [(&str, u32); 6] = [("c", 34), ("g", 34), ("ms", 5), ("d", 1), ("s", 1), ("h", 25)];

impl Contexts {
    pub fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let pool = (0..POOL_BYTES).map(|_| *random.pick(LETTERS)).collect();
        let mut all = Self { random, pool, tags: Vec::new(), contexts: Vec::new() };
        for _ in 0..count {
            let context = all.context();
            all.contexts.push(context);
        }
        all
    }

    /// The number of different tags.
    pub fn tags(&self) -> usize {
        self.tags.len()
    }

    fn context(&mut self) -> Context {
        let mut tags = Vec::new();
        for _ in 0..2 + self.random.below(49_u32) {
            let is_new = self.tags.is_empty() || self.random.below(100_u32) < NEW_TAGS;
            if is_new {
                let bytes = 3 + self.random.below(97_u32);
                let key = 1 + self.random.below(bytes - 1);
                let tag = [self.cut(key), self.cut(bytes - key)];
                self.tags.push(tag);
                tags.push(self.tags.len() - 1);
            } else {
                tags.push(self.random.below(self.tags.len()));
            }
        }
        let tags = tags.into_iter().filter_map(|at| u32::try_from(at).ok()).collect();
        let length = 1 + self.random.below(200_u32);
        let name = self.cut(length);
        let mut left = self.random.below(100_u32);
        let kind = KINDS.iter().find(|(_, part)| {
            let is_it = left < *part;
            left = left.saturating_sub(*part);
            is_it
        });
        Context { kind: kind.map_or("c", |(kind, _)| kind), name, tags }
    }

    fn cut(&mut self, length: u32) -> Cut {
        let most = u32::try_from(POOL_BYTES).unwrap_or(u32::MAX) - length;
        (self.random.below(most), length)
    }

    fn text(&self, (at, length): Cut) -> &[u8] {
        &self.pool[at as usize..(at + length) as usize]
    }

    /// Appends a line of the context with this number, without a newline. The value is a whole
    /// number below 10,000.
    pub fn append(&mut self, number: usize, out: &mut Vec<u8>) {
        let value: u32 = self.random.below(10_000);
        let Context { kind, name, tags } = &self.contexts[number];
        out.extend_from_slice(self.text(*name));
        out.extend_from_slice(format!(":{value}|{kind}|#").as_bytes());
        for (at, tag) in tags.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let [key, value] = self.tags[*tag as usize];
            out.extend_from_slice(self.text(key));
            out.push(b':');
            out.extend_from_slice(self.text(value));
        }
    }
}
