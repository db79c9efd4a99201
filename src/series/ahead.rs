//! For long walks over the table in an order of their own.

use super::records::TimingTotals;
use super::shard::PackedPlace;
use super::table::Table;

/// Fetches series that a walk is about to visit, their names and their records into the cache. The
/// waits for memory overlap here. They do not if each series is read after the work on the one
/// before.
pub fn prefetch(table: &Table, places: impl Iterator<Item = PackedPlace> + Clone) {
    let shards = &table.shards;
    let series = |place: PackedPlace| shards.get(place.shard(), place.slot());
    // Each loop waits for one kind of memory: the series, then what it points to, and so on.
    let mut touched = 0;
    for series in places.clone().filter_map(series) {
        touched ^= u64::from(series.hash);
    }
    for place in places.clone() {
        let total = shards.all[place.shard()].total(place.slot().at as usize);
        touched ^= total.unwrap_or_default().to_bits();
        let Some(series) = series(place) else { continue };
        touched ^= u64::from(series.timing().is_some());
        if let [first, .., last] = series.name().bytes() {
            touched ^= u64::from(first ^ last);
        }
    }
    for series in places.filter_map(series) {
        touched ^= series.timing().map_or(0, TimingTotals::touch);
    }
    // Without this the compiler would remove the loops, since their result is not used.
    std::hint::black_box(touched);
}

/// The hash of names. Its seeds are secret, so that clients cannot choose names with equal hashes.
pub fn name_hasher(table: &Table) -> ahash::RandomState {
    table.shards.names.clone()
}
