//! After a reload, each series gets its new policy when it is closed next.

use super::aggregate::Series;
use super::memory::Pool;
use super::raw::sent_name;
use super::records::TimingTotals;
use super::tag_store::TagStore;
use crate::policy::Generations;

/// Gives a series the policy that the newest rules have for it. Returns false if they drop it, or
/// if it is a gauge whose level the rules before them have forgotten.
#[inline]
pub(super) fn update_policy(
    policies: &mut Generations,
    names: (&ahash::RandomState, &mut TagStore),
    series: &mut Series,
    pool: &mut Pool,
) -> bool {
    policies.is_newest(series.policy()) || update(policies, names, series, pool)
}

#[cold]
fn update(
    policies: &mut Generations,
    (hasher, tags): (&ahash::RandomState, &mut TagStore),
    series: &mut Series,
    pool: &mut Pool,
) -> bool {
    if !series.has_value() {
        return false;
    }
    let name = series.name().text(tags);
    let policy = policies.of_name(sent_name(name), hasher.hash_one(name));
    let Some(policy) = policy else { return false };
    if series.timing().is_some()
        && !TimingTotals::is_for(&policies.at(series.policy()).plan, &policies.at(policy).plan)
    {
        series.set_timing(None, pool);
    }
    series.set_policy(policy);
    true
}
