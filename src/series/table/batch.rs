//! Many samples at once: the memory that one lookup waits for is fetched while the others' is under way.
//!
//! A table of a hundred thousand series fits no cache, so a lookup waits for memory three times: for the index, for the
//! series, for its name. One after the other, each wait stands alone; a batch makes each of these steps for all of its
//! samples before the next, and the waits overlap.

use arrayvec::ArrayVec;

use super::{NameHash, Place, Slot, Table};
use crate::protocol::{MetricKind, Sample};
use crate::series::Refused;
use crate::series::aggregate::Adding;

/// A sample on its way to its series.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What it came in.
    pub line: &'a [u8],
    pub name: &'a [u8],
    pub hash: NameHash,
    /// The name is canonical; else that is not known.
    pub is_checked: bool,
    value: f64,
    weight: f64,
    member: &'a [u8],
    kind: MetricKind,
    place: Place,
    /// Whose it was when it was looked for.
    slot: Option<Slot>,
}

/// As many waits as the hardware overlaps, and no more than a packet brings.
const BATCH: usize = 16;

pub type Batch<'a> = ArrayVec<Wanted<'a>, BATCH>;

impl<'a> Wanted<'a> {
    /// A value of a line of one value: it counts `weight` times, and is as `member` writes it.
    pub fn new(
        line: &'a [u8],
        (name, hash, is_checked): (&'a [u8], NameHash, bool),
        kind: MetricKind,
        (value, weight, member): (f64, f64, &'a [u8]),
    ) -> Self {
        let place = Place::new(hash, kind);
        Self { line, name, hash, is_checked, value, weight, member, kind, place, slot: None }
    }

    fn sample(&self) -> Sample<'a> {
        let Self { value, weight, .. } = *self;
        match self.kind {
            MetricKind::Counter => Sample::Count(value * weight),
            MetricKind::Gauge => Sample::Level(value),
            MetricKind::Timing => Sample::Time { value, weight },
            MetricKind::Set => Sample::Member(self.member),
        }
    }
}

impl Table {
    /// Looks for the series of all of them.
    pub fn find_all(&self, batch: &mut [Wanted<'_>]) {
        for wanted in &mut *batch {
            wanted.slot = self.shards[wanted.place.shard].candidate(wanted.place.hash);
        }
        for Wanted { slot, place, kind, name, .. } in &mut *batch {
            *slot =
                slot.filter(|slot| self.shards[place.shard].resembles(*slot, *kind, name.len()));
        }
        for Wanted { slot, place, name, .. } in batch {
            *slot = slot.filter(|slot| self.shards[place.shard].is_called(*slot, name));
        }
    }

    /// Adds a sample that was looked for when the table had [made](Self::made) so many changes: to the series found, or to one
    /// that is made if `may_make` says of the line that its name can have one. None: it says no, and nothing was done.
    pub fn add_wanted(
        &mut self,
        wanted: &Wanted<'_>,
        made: u64,
        may_make: impl FnOnce() -> bool,
    ) -> Option<Result<(), Refused>> {
        // What was found is sure only as long as nothing was made or forgotten.
        match wanted.slot {
            Some(slot) if self.made == made => Some(self.add_found(wanted, slot)),
            _ if may_make() => Some(self.add(wanted.name, wanted.hash, wanted.sample())),
            _ => None,
        }
    }

    fn add_found(&mut self, wanted: &Wanted<'_>, slot: Slot) -> Result<(), Refused> {
        let (place, members) = (&wanted.place, &self.members);
        let series = self.shards[place.shard].get_mut(slot).expect("found just now");
        let member = || super::hash_of(members, wanted.member);
        series.touch(self.now, &self.policies, &mut self.pool);
        let taken = series.add_plain(wanted.value, wanted.weight, member, &mut self.pool);
        let grown = self.pool.take_grown();
        if grown == 0 && taken.is_ok() {
            return taken;
        }
        let sample = Adding::new(wanted.sample(), |member| super::hash_of(&self.members, member));
        self.settle(place, slot, taken, grown, sample)
    }
}
