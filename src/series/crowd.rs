//! Names the group of series that fills a table which has refused values: a flood of new series,
//! the largest group of dormant ones, or the largest group of all series.

use super::series_groups::{DormantGroup, ExampleName, LargestGroup};
use super::shards::Shards;

/// About the most series that are read to find the largest group of all. The share of a group is
/// then known within 2 percent. Reading all of a million series would take several milliseconds.
const SAMPLE_MAX: usize = 4096;

/// Returns the group that fills the table, if values were refused. Returns `None` also if no two
/// series have a prefix or a sender in common.
pub(super) fn largest_group(shards: &Shards) -> Option<LargestGroup> {
    if !shards.groups.has_refused() {
        return None;
    }
    shards.groups.described().or_else(|| largest_old_group(shards))
}

/// Returns the largest group of dormant series, or else that of all series.
#[cold]
fn largest_old_group(shards: &Shards) -> Option<LargestGroup> {
    let step = shards.len().div_ceil(SAMPLE_MAX).max(1);
    let mut groups = shards.groups.empty_copy();
    let mut sample = Vec::new();
    for (number, shard) in shards.all.iter().enumerate() {
        let mut at = number % step;
        while at < shard.end() {
            if let Some(series) = shard.at(at) {
                groups.add(shard.membership(at));
                sample.push((shard, at, series));
            }
            at += step;
        }
    }
    let flood = groups.flood();
    let mut share = groups.share(flood);
    share.series *= step;
    let all = DormantGroup { flood, share };
    for (group, of) in [(shards.groups.dormant(), "idle series"), (Some(all), "all series")] {
        let Some(DormantGroup { flood, share }) = group else { continue };
        for (shard, at, series) in &sample {
            let membership = shard.membership(*at);
            if flood.has(membership) {
                let name = shard.name(series).owned_text(&shards.tags);
                return Some(ExampleName::new(&name, *membership).describe(flood, share, of));
            }
        }
    }
    None
}
