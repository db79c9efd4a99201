//! The table as bytes, series by series, and back.

use super::{Cursor, Holder, Place, SHARDS, Table};
use crate::protocol::MetricKind;
use crate::series::Refused;
use crate::series::aggregate::Saved;
use crate::wire::{In, Put};

impl Table {
    /// Appends up to `work` series, of one kind or of all, from `cursor` on, each as a record with this tag; true once all are done. No
    /// sweep may be under way.
    pub fn save(
        &self,
        cursor: &mut Cursor,
        kind: Option<MetricKind>,
        work: usize,
        out: &mut Vec<u8>,
        tag: u8,
    ) -> bool {
        let mut left = work;
        while cursor.shard < SHARDS {
            let shard = &self.shards[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                let series = shard.at(cursor.at);
                if let Some(series) = series.filter(|it| kind.is_none_or(|kind| it.kind() == kind))
                {
                    out.put_record(|out| {
                        out.put_u8(tag);
                        series.save(self.now, out);
                    });
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// Makes a series that was saved, if it is of this kind or any is wanted; one that is here already stays as it is. None
    /// for damage. `age` turns idle intervals of the saved length into ours.
    pub fn restore(
        &mut self,
        record: In<'_>,
        kind: Option<MetricKind>,
        age: impl FnOnce(u32) -> u32,
    ) -> Option<Result<(), Refused>> {
        let mut saved = Saved::read(record)?;
        if kind.is_some_and(|kind| saved.kind != kind) {
            return Some(Ok(()));
        }
        saved.idle = age(saved.idle);
        let (name, kind, hash) = (saved.name, saved.kind, self.hash(saved.name));
        let place = Place::new(hash, kind);
        if self.shards[place.shard].find(place.hash, kind, name).is_some() {
            return Some(Ok(()));
        }
        let made = self
            .policies
            .of_name(name, hash.0)
            .ok_or(Refused::ByRule)
            .and_then(|policy| self.make_with(name, kind, &place, policy));
        let slot = match made {
            Ok(slot) => slot,
            Err(refused) => return Some(Err(refused)),
        };
        let series = self.shards[place.shard].get_mut(slot).expect("made just now");
        let restored = series.restore(saved, self.now, &mut self.pool);
        self.largest.note(self.pool.take_grown(), Holder::new(place.shard, slot));
        self.pool.take_refused();
        if !matches!(restored, Some(Ok(()))) {
            self.unmake(place.shard, slot);
        }
        restored
    }
}
