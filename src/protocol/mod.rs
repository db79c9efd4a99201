//! Lines to samples. Pure: bytes in, samples or reasons out; no socket, clock, file, log or random source.

/// What a line may look like, fixed by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Rewrite names, keys and values into what every sink can store.
    pub sanitize: bool,
    /// Read a `|#k:v,k2:v2` section as tags.
    pub dogstatsd_tags: bool,
    /// Read `name;k=v;k2=v2` as a name with tags.
    pub graphite_tags: bool,
    /// The longest canonical name, tags included, in bytes.
    pub max_key_length: usize,
}

impl Default for Grammar {
    fn default() -> Self {
        Self { sanitize: true, dogstatsd_tags: true, graphite_tags: true, max_key_length: 512 }
    }
}
