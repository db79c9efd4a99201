//! Many samples at once: the memory that one lookup waits for is fetched while the others' is under way.
//!
//! A table of a hundred thousand series fits no cache, so a lookup waits for memory three times: for the index, for the
//! series, for its name. One after the other, each wait stands alone; a batch makes each of these steps for all of its
//! samples before the next, and the waits overlap.

use super::{NameHash, Place, Slot, Table};
use crate::protocol::Sample;
use crate::series::Refused;

/// A sample on its way to its series.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub name: &'a [u8],
    pub hash: NameHash,
    pub sample: Sample<'a>,
}

impl Wanted<'_> {
    /// A place for one.
    pub const NONE: Self = Self { name: &[], hash: NameHash(0), sample: Sample::Count(0.0) };
}

/// As many waits as the hardware overlaps, and no more than a packet brings.
pub const BATCH: usize = 16;

impl Table {
    /// Adds up to [`BATCH`] samples in their order, as [`Table::add`] does. `refused` hears which were not taken, and why.
    pub fn add_all(&mut self, batch: &[Wanted<'_>], mut refused: impl FnMut(usize, Refused)) {
        let mut found = [None; BATCH];
        self.find_all(batch, &mut found);
        let made = self.made;
        for (at, (wanted, found)) in batch.iter().zip(&found).enumerate() {
            // What was found is sure only as long as nothing was made or forgotten.
            let taken = match found {
                Some((place, slot)) if self.made == made => {
                    let sample = self.adding(wanted.sample);
                    self.add_to(place, *slot, false, sample)
                }
                _ => self.add(wanted.name, wanted.hash, wanted.sample),
            };
            if let Err(reason) = taken {
                refused(at, reason);
            }
        }
    }

    fn find_all(&self, batch: &[Wanted<'_>], found: &mut [Option<(Place, Slot)>; BATCH]) {
        let kind =
            |wanted: &Wanted<'_>| wanted.sample.kind().expect("a key/value is passed through");
        for (wanted, found) in batch.iter().zip(found.iter_mut()) {
            let place = Place::new(wanted.hash, kind(wanted));
            *found = self.shards[place.shard].candidate(place.hash).map(|slot| (place, slot));
        }
        for (wanted, found) in batch.iter().zip(found.iter_mut()) {
            *found = found.filter(|(place, slot)| {
                self.shards[place.shard].resembles(*slot, kind(wanted), wanted.name.len())
            });
        }
        for (wanted, found) in batch.iter().zip(found.iter_mut()) {
            *found = found
                .filter(|(place, slot)| self.shards[place.shard].is_called(*slot, wanted.name));
        }
    }
}
