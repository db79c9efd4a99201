//! Memory for samples: when it runs short, the largest series of the interval make room.

use super::{Place, Slot, Table};
use crate::series::Refused;
use crate::series::aggregate::Adding;
use crate::series::largest::Holder;

impl Table {
    /// After a sample that made its series grow, or was refused: the largest make room, and it is tried once more.
    #[cold]
    pub(super) fn settle(
        &mut self,
        place: &Place,
        slot: Slot,
        taken: Result<(), Refused>,
        grown: usize,
        sample: Adding,
    ) -> Result<(), Refused> {
        self.largest.note(grown, Holder::new(place.shard, slot));
        self.make_room();
        match taken {
            Err(Refused::NoMemory) => self.again(place.shard, slot, sample),
            taken => taken,
        }
    }

    /// Adds a sample that was refused for want of memory, after others have made room.
    #[cold]
    fn again(&mut self, shard: usize, slot: Slot, sample: Adding) -> Result<(), Refused> {
        let series = self.shards[shard].get_mut(slot).expect("it was there just now");
        let taken = series.add(sample, &self.policies, &mut self.pool);
        self.pool.take_refused();
        self.largest.note(self.pool.take_grown(), Holder::new(shard, slot));
        taken
    }

    /// Holds the largest series in less memory until there is enough of it, or after a few for now: each is some work.
    fn make_room(&mut self) {
        const AT_ONCE: usize = 16;
        let wanted = self.pool.take_refused();
        for _ in 0..AT_ONCE {
            if self.pool.has_room(wanted) {
                return;
            }
            let Some(holder) = self.largest.pop() else { return };
            if let Some(series) = self.shards[holder.shard as usize].get_mut(holder.slot) {
                series.condense(self.now, &mut self.pool);
                self.largest.note(self.pool.take_grown(), holder);
            }
        }
    }
}

impl Holder {
    pub(super) fn new(shard: usize, slot: Slot) -> Self {
        #[allow(clippy::cast_possible_truncation)] // there are 256
        Self { shard: shard as u32, slot }
    }
}
