//! [`Restoring`]: the series of a state file become series of the table.

use super::bounds::{AddError, RestoreError};
use super::live_series::LiveSeries;
use super::saved::SavedSeries;
use super::series::RestoreInto;
use super::shard::SeriesPlace;
use super::table_rules::RuleOutcome;
use crate::protocol::MetricKind;

/// The series that saved values are added to.
pub(super) struct Restoring<'a>(pub(super) &'a mut LiveSeries);

impl Restoring<'_> {
    /// Creates a series from its saved values. If the table is full, a series that was restored
    /// before it may make room for it, as for any new series.
    pub(super) fn create(
        &mut self,
        saved: SavedSeries<'_>,
        policy: Result<u16, u8>,
    ) -> Result<(), RestoreError> {
        let policy = policy.map_err(|rule| RestoreError::Refused(AddError::ByRule(rule)))?;
        let policies = &self.0.rules.policies;
        if saved.kind == MetricKind::Gauge && policies.at(policy).forgets_gauge(saved.idle) {
            return Ok(()); // another configuration kept its level for longer
        }
        let outcome = RuleOutcome { policy, original: saved.original };
        let hash = self.0.shards.hash(saved.name);
        let created = self.0.create_with(saved.name, hash, saved.kind, outcome);
        let place = created.map_err(RestoreError::Refused)?;
        let restored = self.restore_into(place, saved, RestoreInto::New);
        if restored.is_err() {
            self.0.discard(place);
        }
        restored
    }

    /// Adds saved values to a series that has those of another saved one. `saved_wins_tie` is
    /// whether the saved level of a gauge replaces the present one if both are as old.
    pub(super) fn add_to(
        &mut self,
        place: SeriesPlace,
        saved: SavedSeries<'_>,
        saved_wins_tie: bool,
    ) -> Result<(), RestoreError> {
        let LiveSeries { shards, members, .. } = &*self.0;
        let sent = saved.original.unwrap_or(saved.name);
        let names = shards.names_of(place, sent, members);
        self.restore_into(place, saved, RestoreInto::Existing { saved_wins_tie, names })
    }

    /// Adds saved values to the series at a place. See [`Series::restore`](super::Series::restore).
    fn restore_into(
        &mut self,
        place: SeriesPlace,
        saved: SavedSeries<'_>,
        into: RestoreInto,
    ) -> Result<(), RestoreError> {
        self.0.note_room();
        let LiveSeries { shards, pool, largest, tick, .. } = &mut *self.0;
        let series = shards.get_mut(place).expect("found or created just now");
        let was_spare = series.is_spare();
        let restored = series.restore(saved, *tick, pool, into);
        if series.is_spare() != was_spare {
            shards.count_spare(place);
        }
        largest.note(pool.take_grown(), place);
        pool.take_refused();
        restored
    }
}
