//! Texts of the manual about the server as a whole: `[statsd]`, `[spool]`, `[limits]` and
//! `[key_flush]`. Pure.

use super::chapter::{Chapter, chapter};

pub(super) const STATSD: Chapter = chapter! {
    /// [statsd]: when to flush, what to compute, what to keep over a restart, what to log.
    [statsd];

    /// How often the server closes all series and sends them. At least 1s. Graphite needs a
    /// retention of the same length for the names that the server sends. Node counts in
    /// milliseconds, this key in seconds.
    flush_interval;

    /// The percentiles of a timer, in percent: 0.001 to 100. A negative one is of the highest
    /// samples: -10 is the highest 10 percent. At most 64 of them. Empty means none. A rule can
    /// set others for some names.
    /// Example: 50, 95, 99.9, -10
    percentiles;

    /// A series without a value in an interval still sends 0, and a gauge sends its last value.
    /// Set this to yes to send nothing and forget the series. With style = statsite in [namespace]
    /// the default is yes, except for gauges.
    delete_idle;

    /// When the server stops, it saves the open interval and all gauges to this file. The next
    /// start continues with them. Without it, a restart within an interval sends one time slot
    /// twice, and Graphite keeps only the second value. The file must be this server's own, in a
    /// folder of its user or of root. Empty means off.
    /// Example: /var/lib/statsd/state
    state_file;

    /// How much the server logs: error, warn, info, debug or trace. The environment variable
    /// RUST_LOG overrides it.
    log_level;

    /// The form of a log line: text, or json with one object a line. Use json for programs that
    /// collect logs.
    log_format;

    /// The ways of writing tags that the server reads. Add the one that your clients use. If influx
    /// is not listed, the commas of its tags are removed from the names. The own counter
    /// influx_tags_seen and a warning show that this happens.
    ///   dogstatsd   name:1|c|#k:v
    ///   graphite    name;k=v:1|c
    ///   influx      name,k=v:1|c
    ///   librato     name#k=v:1|c
    ///   signalfx    name[k=v]:1|c
    tag_formats;

    /// The figures of a timer to send. Empty means all. A list can have these:
    ///   count, count_ps, lower, upper, mean, median, std, sum, sum_squares
    ///   sample_rate, sum_sq, stdev, rate      the figures of statsite style
    ///   count_percent, mean_percent, upper_percent, lower_percent, sum_percent,
    ///   sum_squares_percent                   of each percentile, such as upper_90
    ///   histogram                             all bins of the histogram of a rule
    /// Example: count, mean, median, upper_percent
    timer_metrics;

    /// Forget a series without a value for this long, whatever its kind. The time is rounded up to
    /// whole flush intervals. 0 means never. Set it if clients put changing words into names, such
    /// as the name of a container.
    expire;

    /// How long a stop waits until the destinations have taken what is queued. 0 means not at all.
    /// A service manager must wait longer, such as TimeoutStopSec of systemd. What is still
    /// queued after that goes to the spool, or is lost without one.
    shutdown_timeout;

    /// After binding, become this user and group. Both are names or numbers of accounts that exist
    /// on this machine. The server has to be started as root. Programs such as sudo then fail in
    /// the commands of [exec]. If user is empty, the server keeps the user that started it. If group
    /// is empty, it takes the user's own group.
    user, group;

    /// Flush at multiples of flush_interval on the wall clock, such as :00, :10 and :20. Set this
    /// to no to count from the start of the server, so that many servers do not send to one Graphite
    /// at the same moment.
    align_flush;

    /// Replace delete_idle for one kind of series. Empty means as delete_idle.
    delete_counters, delete_timers, delete_gauges, delete_sets;

    /// How many flushes send a gauge after its last value, if idle gauges are deleted. 1 to
    /// 1000000. Node calls it gaugesMaxTTL.
    gauge_ttl;

    /// With state_file: how often the gauges are also saved while the server runs, for a crash. 0
    /// means only at a stop.
    state_interval;

    /// Rewrite names so that every destination can store them. White space becomes _, / becomes -,
    /// and anything but letters, digits, _, - and dots is removed. If this is no, rules and the
    /// admin port show names as they came, and names are rewritten only when they are sent. Two
    /// series may then be sent under one name, and the second point replaces the first.
    sanitize_keys;

    /// Log every line received, at level info, up to 200 bytes of it. Use it to see what a client
    /// sends, and turn it off again: it slows a busy server. Lines of a large burst are counted and
    /// not shown.
    dump_messages;

    /// How many samples of one timer are kept exactly in one interval. 1 to 1000000. If a timer
    /// has more, its median and percentiles are estimates within timer_error. Its other figures
    /// stay exact. The server receives nothing while it sorts the samples of one timer: about 2 ms for
    /// 50000, and 35 ms for a million.
    timer_exact;

    /// Memory for the samples of all timers and the members of all sets. At least 64k. When it runs
    /// out, the largest timers and sets become estimates for the rest of the interval. The small
    /// ones stay exact. Raise it if the percentiles of many busy timers have to be exact.
    timer_memory;

    /// The relative error of estimated percentiles: 0.001 to 0.2. A smaller error takes more
    /// memory.
    timer_error;

    /// How many members of one set are kept exactly in one interval. 1 to 1000000. The count of a
    /// larger set is an estimate.
    set_exact;

    /// The relative standard error of the estimate of a large set: 0.005 to 0.2.
    set_error;

    /// Memory for kv values, and for values with a timestamp of their own (|T), until the flush. At
    /// least 64k. When it runs out, values are dropped and counted in samples_dropped.
    passthrough_memory;
};

pub(super) const SPOOL: Chapter = chapter! {
    /// [spool]: a place on disk for points of [carbon] and [influxdb] that do not fit a queue, or
    /// are undelivered at a stop. They survive restarts and SIGKILL. A power cut may cost the last
    /// half minute.
    [spool];

    /// A folder that only this server uses, of its user or of root. The server makes a folder in it
    /// for each destination. If it cannot be used, the server does not start. Empty means off.
    /// Example: /var/lib/statsd/spool
    dir;

    /// Bytes for all destinations together, in equal parts. At least 1m. When a part is full, its
    /// oldest points are dropped and counted in dropped_lines.
    max_size;
};

pub(super) const LIMITS: Chapter = chapter! {
    /// [limits]: how many series clients may create.
    [limits];

    /// Series of all kinds together. 1 to 100000000. At the limit, values of a new series are
    /// refused and counted in series_rejected, unless an idle series can be evicted. The warning
    /// names the prefix with the most new series. Raise the limit only if you want all these names.
    /// A series takes about 150 bytes, a timer or a set 275: lower the limit in a small container.
    max_series;

    /// At max_series, a series without a value for this long is evicted for a new one. The time is
    /// rounded up to whole flush intervals.
    evict_after;

    /// The most bytes of a name with its tags, 1 to 2048. A line with a longer name is a bad line.
    max_key_length;
};

pub(super) const KEY_FLUSH: Chapter = chapter! {
    /// [key_flush]: the names that occur most often, as Node's keyFlush. Use it to find the client
    /// that sends too much.
    [key_flush];

    /// How often to log the names, with the number of lines of each. 0 means off.
    interval;

    /// Log this percentage of the names, the most frequent first. 1 to 100. At most 10000 names are
    /// tracked.
    percent;

    /// The file to append to, a FIFO, /dev/stdout or /dev/stderr. Empty means the server's log.
    log;
};
