//! [`Restoring`]: the series of a state file become series of the table.

use super::bounds::{AddError, RestoreError};
use super::live_series::LiveSeries;
use super::raw::{merged_name, without_mark};
use super::saved::SavedSeries;
use super::series::RestoreInto;
use super::shard::SeriesPlace;
use super::table_rules::RuleOutcome;
use crate::protocol::{MetricKind, cleaned, is_clean};
use crate::wire::In;

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

    /// Whether some of these saved series get another name, or are dropped. If the names were raw,
    /// and are cleaned now, only rules count.
    pub(super) fn changes_names<'a>(&mut self, records: impl Iterator<Item = In<'a>>) -> bool {
        let LiveSeries { rules, shards, .. } = &mut *self.0;
        let is_raw = shards.raw.is_some();
        let changes_names = rules.change_names();
        records.filter_map(SavedSeries::read).any(|saved| {
            if !is_raw {
                return changes_names || saved.original.is_some();
            }
            let names = rules.restored_names(&saved, false);
            let keeps = |name: &[u8]| without_mark(name) == without_mark(saved.name);
            !names.is_some_and(|names| names.policy.is_ok() && keeps(&names.name))
        })
    }

    /// Adds saved values to the series of their name. If names are raw, adds them to the merged
    /// series of the clean name, too, unless that name has only one series.
    pub(super) fn add(
        &mut self,
        saved: SavedSeries<'_>,
        policy: Result<u16, u8>,
        saved_wins_tie: bool,
    ) -> Result<(), RestoreError> {
        let clean = cleaned(saved.name);
        let is_merged = self.0.shards.is_merged_into(saved.kind, &clean);
        if self.0.shards.raw.is_none() || !is_merged && is_clean(saved.name) {
            return self.create_or_add(saved, policy, saved_wins_tie);
        }
        let merged = merged_name(&clean);
        if !is_merged {
            self.begin_merged(saved.kind, &clean, &merged).map_err(RestoreError::Refused)?;
        }
        self.create_or_add(saved.clone(), policy, saved_wins_tie)?;
        self.create_or_add(SavedSeries { name: &merged, ..saved }, policy, saved_wins_tie)
    }

    fn create_or_add(
        &mut self,
        saved: SavedSeries<'_>,
        policy: Result<u16, u8>,
        saved_wins_tie: bool,
    ) -> Result<(), RestoreError> {
        match self.0.shards.find(saved.kind, saved.name) {
            Some(place) => self.add_to(place, saved, saved_wins_tie),
            None => self.create(saved, policy),
        }
    }

    /// Begins a merged series with the open interval of the series that has the clean name. Does
    /// nothing if there is none: the first sample then creates the merged series.
    pub(super) fn begin_merged(
        &mut self,
        kind: MetricKind,
        clean: &[u8],
        merged: &[u8],
    ) -> Result<(), AddError> {
        let LiveSeries { shards, rules, pool, tick, .. } = &mut *self.0;
        let open = shards.open_interval(kind, clean, *tick, &rules.policies, &pool.records);
        let Some((record, total)) = open else { return Ok(()) };
        let mut saved = SavedSeries::read(In::new(&record)).expect("written just now");
        saved.name = merged;
        let original = saved.original.unwrap_or(clean);
        let resolved = self.0.rules.resolve(original, self.0.shards.hash(original), &|_| false);
        let policy = resolved.map(|resolved| resolved.policy);
        match self.create(saved, policy) {
            Ok(()) => {}
            Err(RestoreError::Refused(error)) => return Err(error),
            Err(RestoreError::Damaged | RestoreError::BothEstimates) => {
                unreachable!("written just now, for a new series")
            }
        }
        self.0.set_total(kind, merged, total);
        Ok(())
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
