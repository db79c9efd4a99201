//! Texts of the manual about `[rule.NAME]`. Its settings are commented out, because rules have no
//! defaults. Pure.

use super::chapter::{Chapter, chapter};

pub(super) const RULE: Chapter = chapter! {
    /// [rule.NAME]: settings for names that match. There is no rule by default, and at most 100.
    ///
    /// Each setting comes from the first rule in file order that matches the name and has the
    /// setting. If no rule has it, it comes from [statsd]. A rule can leave out every key but match.
    /// After a reload, known series follow the new rules from their next flush on.
    [rule];

    /// Required: at most 100 patterns. A pattern covers a whole name as sanitize_keys leaves it,
    /// without tags. In it, * is any run of bytes, also of dots, and ? is one byte.
    match;

    /// Set this to yes to drop all values of these names. They are counted in samples_dropped. The
    /// log does not show them.
    drop;

    /// The percentiles of a timer, as in [statsd]. Empty means none.
    percentiles;

    /// The figures of a timer to send, as in [statsd]. Empty means all.
    timer_metrics;

    /// As in [statsd]. 0 means never.
    expire;

    /// As in [statsd], for all kinds of series.
    delete_idle;

    /// The bins of a timer's histogram: at most 256 upper bounds in ascending order. The last one
    /// may be inf. A bin counts the samples below its bound and not below the bound before. Or
    /// min:max:width, such as 0:100:10. A bin is sent as NAME.histogram.bin_100. Empty means no
    /// histogram.
    histogram;

    /// What a gauge does with a value that has a sign. With delta, -10 subtracts 10. With absolute,
    /// -10 sets the gauge to -10. Without a rule it is delta.
    signed_gauges;
};
