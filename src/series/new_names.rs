//! [`NewNames`]: the names of a series that is created, and the bytes that they need.

use super::counts::original_bytes;
use super::shards::Shards;
use super::stored_name::{NamePlace, StoredName};
use super::tag_store::{TAG_BYTES, TagStore};
use super::top::Top;

/// The names of a new series.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewNames<'a> {
    pub(super) name: &'a [u8],
    /// The name from which rules have made `name`.
    pub(super) original: Option<&'a [u8]>,
}

/// The same as the table stores them.
#[derive(Debug)]
pub(super) struct StoredNames {
    pub(super) name: NamePlace,
    pub(super) original: Option<NamePlace>,
    /// The bytes of `name`, with those of the tags of both that were not stored before.
    pub(super) bytes: usize,
}

impl NewNames<'_> {
    /// An upper bound of [`bytes`](Self::bytes) for which no tag is looked up. A tag that the
    /// reader makes has at least two bytes, and takes less than 16 times as many. A name of a
    /// damaged state file may have shorter ones, so that it takes more than this.
    pub(super) fn most_bytes(self) -> usize {
        let original = self.original.map_or(0, |original| original.len() + 2);
        16 * (self.name.len() + original)
    }

    /// The bytes that the names need, with those of their tags that are not stored.
    pub(super) fn bytes(self, tags: &TagStore) -> usize {
        StoredName::bytes_for(self.name, tags) + bytes_for_original(self.original, tags)
    }

    /// Stores the names in the shard with this number. `top` counts each new tag of the name of the
    /// series.
    pub(super) fn store(self, shard: usize, shards: &mut Shards, top: &mut Top) -> StoredNames {
        let Shards { all, tags, names, .. } = shards;
        let shard = &mut all[shard];
        let mut new_tags = 0;
        let name = shard.add_name(self.name, tags, |tag| {
            new_tags += tag.len() + TAG_BYTES;
            top.count_new_tag(tag, |text| names.hash_one(text));
        });
        let original = self.original.map(|original| {
            shard.add_name(original, tags, |tag| new_tags += tag.len() + TAG_BYTES)
        });
        StoredNames { name, original, bytes: name.length() + new_tags }
    }
}

/// The bytes that a name needs from which rules make that of a series, with those of its tags that
/// are not stored. Tags that both names have count twice if they are new.
pub(super) fn bytes_for_original(name: Option<&[u8]>, tags: &TagStore) -> usize {
    original_bytes(name.map(|name| StoredName::bytes_for(name, tags)))
}
