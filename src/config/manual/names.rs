//! Texts of the manual about the names that are sent: `[namespace]`. Pure.

use super::chapter::{Chapter, chapter};

pub(super) const NAMESPACE: Chapter = chapter! {
    /// [namespace]: what names look like when they are sent.
    ///
    /// At most 32 sections [namespace.NAME] may follow, with the defaults shown here. A destination
    /// with namespace = NAME gets the names of that section. So old and new dashboards can be fed at
    /// the same time.
    ///
    /// A prefix or suffix has at most 128 of A-Z, a-z, 0-9, _, - and dots. The server adds the dots
    /// between the parts of a name. An empty part is left out.
    [namespace], "#[namespace.new]\n#style = modern\n";

    /// Whose names to send. K is the name of a series:
    ///   legacy     stats.K, stats_counts.K, stats.timers.K.mean: Node's older names
    ///   modern     stats.counters.K.rate, stats.timers.K.mean: Node's newer names
    ///   statsite   counts.K, timers.K.mean: statsite's names, without idle series
    style;

    /// Stands before every name in modern and statsite style. With style = statsite the default is
    /// empty.
    global_prefix;

    /// Stands after every name, before the tags.
    global_suffix;

    /// Use the host's short name as global_suffix. Two servers that send the same names overwrite
    /// each other's points. This keeps them apart.
    host_suffix;

    /// Send the count of a counter beside its rate. statsite style does not use this key.
    flush_counts;

    /// statsite style only: send counts.K.count and counts.K.rate in place of counts.K.
    extended_counters;

    /// What stands before the names of each kind in modern and statsite style. legacy style ignores
    /// these keys. With style = statsite the default of prefix_counter is counts.
    prefix_counter, prefix_timer, prefix_gauge, prefix_set, prefix_kv;

    /// What stands before the server's own figures, in every style. Not empty.
    prefix_stats;
};
