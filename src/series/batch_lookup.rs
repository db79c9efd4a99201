//! [`BatchLookup`]: finds the series of a batch of samples. Each step is made for the whole batch
//! before the next one, so that the waits for memory overlap: see `batch.rs`.

use super::batch::{Lookup, PendingSample};
use super::shard::SeriesSlot;
use super::shards::Shards;

/// Marks a slot whose hash is not set yet. A series may have this hash, too; its slot is set again.
const RENAMED: u32 = 0;

/// Finds series of these shards.
pub(super) struct BatchLookup<'a>(pub(super) &'a mut Shards);

impl BatchLookup<'_> {
    /// Looks up the series of all samples of a batch, and stores the slots in the batch.
    pub(super) fn find_all(&mut self, batch: &mut [PendingSample<'_>], tick: u32) {
        let mut has_aliases = false;
        // Each loop waits for one kind of memory: the index, the series, the name.
        for PendingSample { lookup, key, slot, .. } in &mut *batch {
            match lookup {
                Lookup::Name(_) => *slot = self.0.shard(key.shard).candidate(key.hash),
                Lookup::Alias(..) => has_aliases = true,
            }
        }
        for PendingSample { slot, key, kind, name, .. } in &mut *batch {
            if let Some(found) = *slot
                && !self.0.shard(key.shard).resembles(found, *kind, name.len())
            {
                *slot = None;
            }
        }
        for PendingSample { slot, key, name, .. } in &mut *batch {
            if let Some(found) = *slot
                && !self.0.shard(key.shard).is_called(found, name, &self.0.tags)
            {
                *slot = None;
            }
        }
        if has_aliases {
            self.find_aliased(batch, tick);
        }
    }

    /// Looks up the series of the samples of a batch that are looked up by an alias.
    #[inline(never)]
    fn find_aliased(&mut self, batch: &mut [PendingSample<'_>], tick: u32) {
        // As above: first the index and the aliases, then the series.
        for PendingSample { lookup, kind, key, slot, .. } in &mut *batch {
            if let Lookup::Alias(alias, _) = lookup {
                *slot = self.0.aliases.find(*alias, *kind, tick).map(|(shard, at)| {
                    key.shard = shard;
                    SeriesSlot { hash: 0, at } // the loop below sets the hash
                });
            }
        }
        for PendingSample { lookup, key, slot, .. } in batch {
            if let (Lookup::Alias(..), Some(found)) = (lookup, slot) {
                *found = self.0.all[key.shard].slot(found.at);
                key.hash = found.hash;
            }
        }
    }

    /// Looks up again the samples of a batch that [`find_all`](Self::find_all) looked up by name,
    /// because rules may change names. It leaves the series whose name the rules are known to leave
    /// as it is. The others are found by the key of the name, if they are known. `set` is that of
    /// the rules.
    #[inline(never)]
    pub(super) fn find_renamed(
        &mut self,
        batch: &mut [PendingSample<'_>],
        set: u16,
        is_dropped: impl Fn(u64) -> bool,
        tick: u32,
    ) {
        let mut has_renamed = false;
        for PendingSample { lookup, kind, key, slot, name, .. } in &mut *batch {
            let Lookup::Name(hash) = *lookup else { continue };
            if slot.is_some_and(|found| self.0.shard(key.shard).is_name_kept_by(found, set)) {
                continue;
            }
            *slot = None;
            if is_dropped(hash.0) {
                continue;
            }
            let alias = self.0.aliases.key_of_name(name, hash);
            if let Some((shard, at)) = self.0.aliases.find(alias, *kind, tick) {
                key.shard = shard;
                *slot = Some(SeriesSlot { hash: RENAMED, at }); // the loop below sets the hash
                has_renamed = true;
            }
        }
        if !has_renamed {
            return;
        }
        for PendingSample { key, slot, .. } in batch {
            if let Some(found) = slot
                && found.hash == RENAMED
            {
                *found = self.0.all[key.shard].slot(found.at);
            }
        }
    }
}
