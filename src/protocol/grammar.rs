//! The settings of the protocol.

use super::dialect::{Dialect, Dialects};

/// What a line may look like, fixed by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Rewrite names, keys and values into what every sink can store.
    pub sanitize: bool,
    /// The ways of writing tags that are read.
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
    /// Whether every canonical name is read as itself: nothing is cleaned away from it, and its tags are found.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.sanitize && self.dialects.has(Dialect::Graphite)
    }
}
