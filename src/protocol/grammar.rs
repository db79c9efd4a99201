//! The settings of the protocol.

use super::dialect::{Dialect, Dialects};

/// The lines that are accepted, as the configuration sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Whether names, keys and values are rewritten so that every sink can store them.
    pub sanitize: bool,
    /// The ways of writing tags that are read as tags.
    pub dialects: Dialects,
    /// The longest canonical name, tags included, in bytes.
    pub max_key_length: usize,
}

impl Default for Grammar {
    fn default() -> Self {
        Self { sanitize: true, dialects: Dialects::default(), max_key_length: 512 }
    }
}

impl Grammar {
    /// Whether the reader leaves every canonical name as it is: it cleans nothing, and finds the
    /// tags.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.sanitize && self.dialects.has(Dialect::Graphite)
    }
}
