//! A series as a reader of the table sees it: the admin port and `/metrics`.

use super::raw::{Audience, RawNames, is_merged, without_mark};
use super::series::Series;
use super::shard::{PackedPlace, Placed, SeriesPlace};
use super::tag_store::TagStore;
use crate::policy::{Policy, PolicySets, RuleName};
use crate::protocol::{MetricKind, cleaned, is_clean};

/// A series as a reader of the table sees it.
#[derive(Debug)]
pub struct Visited<'a> {
    pub kind: MetricKind,
    /// The destinations that the series is for. Where a raw name and a clean one are the same for a
    /// destination, the one with [`Audience::Clean`] has the samples of both.
    pub audience: Audience,
    /// The running total of a counter.
    pub total: Option<f64>,
    pub policy: &'a Policy,
    /// The number of the open interval.
    pub tick: u32,
    pub place: SeriesPlace,
    pub series: &'a mut Series,
    /// The name from which rules have made that of the series.
    pub original: Option<&'a [u8]>,
    /// The name that the table holds the series under.
    name: &'a [u8],
}

impl<'a> Visited<'a> {
    #[inline(always)] // most callers read a few of the fields
    pub(super) fn new(
        placed: Placed<'a>,
        shard: usize,
        raw: Option<&RawNames>,
        tags: &TagStore,
        buffer: &'a mut Vec<u8>,
        policies: &'a PolicySets,
        tick: u32,
    ) -> Self {
        let Placed { slot, series, name, original } = placed;
        let kind = series.kind();
        buffer.clear();
        let (name, original) = match original.name() {
            // Most names are stored as they are.
            None if !name.has_tags() => (name.bytes(), None),
            original => {
                name.append(tags, buffer);
                let length = buffer.len();
                if let Some(original) = original {
                    original.append(tags, buffer);
                }
                let (name, rest) = buffer.split_at(length);
                (name, original.map(|_| rest))
            }
        };
        let audience = raw.map_or(Audience::Every, |raw| raw.reader(kind, name));
        let policy = policies.at(series.policy());
        let total = series.total();
        let place = SeriesPlace::new(shard, slot);
        Self { kind, audience, total, policy, tick, place, series, original, name }
    }

    /// The name that the series is sent under. With raw names it may have any bytes.
    pub fn name(&self) -> &[u8] {
        without_mark(self.name)
    }

    /// Whether a client sends to the series by its own name. A merged series gets the samples of
    /// other series.
    pub fn is_of_a_client(&self) -> bool {
        !is_merged(self.name)
    }

    /// The name that the table holds the series under.
    pub fn key(&self) -> &[u8] {
        self.name
    }

    /// A name that a client sends to the series.
    pub fn name_of_client(&self) -> &[u8] {
        self.original.unwrap_or_else(|| self.name())
    }

    /// The place of the series, for a long list. Returns `None` if it does not fit.
    pub fn packed_place(&self) -> Option<PackedPlace> {
        PackedPlace::new(self.place)
    }

    /// Passes the clean name that rules are compared with.
    pub fn with_rule_name<T>(&self, compare: impl FnOnce(RuleName<'_>) -> T) -> T {
        let name = self.name_of_client();
        if is_clean(name) {
            compare(RuleName::new(name))
        } else {
            compare(RuleName::new(&cleaned(name)))
        }
    }
}
