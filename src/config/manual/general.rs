//! Texts of the manual about all but the destinations. First come `[statsd]`, `[spool]`, `[limits]`
//! and `[key_flush]`, then `[namespace]`, the inputs `[udp]`, `[tcp]`, `[unix]` and `[admin]`, and
//! `[rule.NAME]`. The settings of a rule are commented out, because rules have no defaults. Pure.

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
    /// folder of its user or of root. Empty means off, but for a service of systemd with
    /// StateDirectory=: there it means the file state in that folder.
    /// Example: /var/lib/statsd/state
    state_file;

    /// How much the server logs: error, warn, info, debug or trace. Words of syslog and of Node are
    /// read, too: notice and LOG_INFO are info, crit and LOG_ERR are error. The environment
    /// variable RUST_LOG overrides it.
    log_level;

    /// The form of a log line: text, or json with one object a line. Use json for programs that
    /// collect logs.
    log_format;

    /// The ways of writing tags that the server reads. Add the one that your clients use. If a way
    /// is not listed, such tags become part of the name, without their commas. The own counter
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

    /// After binding, become this user and group. Both are names of this machine, or numbers. A
    /// number needs no account: for a user without one, the group is the same number. The server
    /// has to be started as root, unless it already is that user and group. Programs such as sudo
    /// then fail in the commands of [exec]. If user is empty, the server keeps the user that started
    /// it. If group is empty, it takes the user's own group.
    user, group;

    /// Flush at multiples of flush_interval on the wall clock, such as :00, :10 and :20. Set this
    /// to no to count from the start of the server, so that many servers do not send to one Graphite
    /// at the same moment.
    align_flush;

    /// Replace delete_idle for one kind of series. Empty means as delete_idle.
    delete_counters, delete_timers, delete_gauges, delete_sets;

    /// How many flushes send a gauge after its last value, if idle gauges are deleted. Then its
    /// value is forgotten, and a change such as +1 starts at 0. 1 to 1000000. Node calls it
    /// gaugesMaxTTL.
    gauge_ttl;

    /// With state_file: how often the gauges are also saved while the server runs, for a crash. 0
    /// means only at a stop.
    state_interval;

    /// Rewrite names so that every destination can store them. White space becomes _, / becomes -,
    /// and anything but letters, digits, _, - and dots is removed. If this is no, the admin port,
    /// [influxdb] and [console] with format = json show names as they came. The other destinations
    /// get rewritten names. Names that become equal are one series there.
    sanitize_keys;

    /// Remove empty elements from names: a..b. becomes a.b. If this is no, [carbon] leaves such
    /// points out, counts them in points_refused and logs an example: a..b and a.b would be one
    /// file, and Graphite does not show a. at all.
    squeeze_dots;

    /// For which types a line may have several values, as name:1:2:3|ms has:
    ///   all       all but sets, as Datadog's clients send them. A name with a colon then adds up
    ///             wrongly: host:8080:1|c adds 8081 to host. A warning shows an example.
    ///   timings   ms, h and d. For other types only the last value counts, and each value before it
    ///             is a bad line: host:8080:1|c adds 1 to host.
    ///   no        none, as in Node. Only the last value counts.
    packed_values;

    /// Log every line received, at level info, up to 200 bytes of it. Use it to see what a client
    /// sends, and turn it off again: it slows a busy server. Lines of a large burst are counted and
    /// not shown.
    dump_messages;

    /// How many samples of one timer are kept exactly in one interval. 1 to 1000000. If a timer
    /// has more, its median and percentiles are estimates within timer_error. Its other figures
    /// stay exact. The server receives nothing while it sorts the samples of one timer: about 2 ms for
    /// 50000, and 35 ms for a million.
    timer_exact;

    /// Memory for the samples of all timers and the members of all sets. At least 64k. Empty means
    /// at most 64m, derived from [limits] max_memory. When it runs out, the largest timers and sets
    /// become estimates for the rest of the interval. The small ones stay exact. Raise it if the
    /// percentiles of many busy timers have to be exact.
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
    /// least 64k. Empty means at most 16m, derived from [limits] max_memory. When it runs out,
    /// values are dropped and counted in samples_dropped.
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
    /// oldest points are dropped and counted in dropped_lines. New destinations make the parts
    /// smaller. That drops nothing, unless all together exceed this size.
    max_size;
};

pub(super) const LIMITS: Chapter = chapter! {
    /// [limits]: how much memory clients may make the server use, and how many series.
    [limits];

    /// Memory in one number, such as 64m. At least 10m. Receive buffers of the kernel come on top.
    /// Clients get at most half: an empty max_connections of [tcp] and [admin] is lowered to that.
    /// The server subtracts the clients and the limits that have a value. The empty ones share two
    /// thirds of the rest: series_memory, [statsd] timer_memory and passthrough_memory, [admin]
    /// history_memory, and the queue of each destination. One third is for what the allocator holds
    /// beside them. If the values exceed max_memory, the server does not start. Empty means half of
    /// the memory of the machine or of the cgroup, for the limits without the clients. The other
    /// half is for clients, receive buffers and other programs.
    max_memory;

    /// Memory for all series, with their names and tags, without the samples of timers. A series
    /// takes about 95 bytes and its name, a timer or a set 215; each different tag is stored once.
    /// At least 64k. Empty means at most 256m, derived from max_memory. What happens at the limit is
    /// the same as at max_series.
    series_memory;

    /// Series of all kinds together. 1 to 100000000. At the limit, the sender or prefix with the
    /// most new series gives up one of them for a new name of others. Series that had values in two
    /// intervals stay for evict_after. If none can be given up, values of the new name are refused
    /// and counted in series_rejected. The warning names the sender or prefix that fills the table.
    /// Raise the limit only if you want all these names.
    max_series;

    /// At either limit, a series that had values in two intervals or more is evicted only after it
    /// had none for this long. One that is no gauge is evicted after an eighth of it, if a large part
    /// of the table is idle series of the same prefix or sender, as those of pods that are gone. Both
    /// times are rounded up to whole flush intervals. The shorter one is at least three of them.
    evict_after;

    /// The most bytes of a name with its tags, 1 to 64k. A line with a longer name is a bad line.
    /// A destination that cannot store a long name leaves its points out: see the tables in
    /// docs/destinations.md.
    max_key_length;

    /// The most tags of a line, 0 to 1000. A line with more tags is a bad line. A key that is
    /// repeated counts each time.
    max_tags;
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

    /// Tags that every series gets, also the server's own figures: at most 32 of KEY=VALUE, each key
    /// once. $HOST or ${HOST} in a value is the host's short name. A series keeps its own tag if both
    /// have the key.
    /// Example: dc=eu, host=$HOST
    tags;

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

pub(super) const UDP: Chapter = chapter! {
    /// [udp]: datagrams. Most clients send here.
    [udp];

    /// A list of at most 64 numeric addresses with ports. *:8125 is every address, IPv6 and IPv4.
    /// localhost:8125 is both loopback addresses. Other names are not allowed. Sockets passed in by
    /// systemd replace the list. Empty means off.
    /// Example: 10.0.0.1:8125, [fd00::1]:8125
    bind;

    /// The networks that may send, at most 500. Empty means anyone. Datagrams from other networks
    /// are dropped and counted in packets_refused.
    /// Example: 10.0.0.0/8, fd00::/8, 192.0.2.7
    allow_from;

    /// The kernel's receive buffer of each socket, 4k to 1g. It must hold what arrives while the
    /// server is busy. Raise it if the own counter udp_drops grows. If the kernel grants less, a
    /// warning names the sysctl to raise.
    recv_buffer;
};

pub(super) const TCP: Chapter = chapter! {
    /// [tcp]: streams of lines.
    [tcp];

    /// As for [udp].
    bind;

    /// As for [udp]. Connections from others are closed before anything is read, and counted in
    /// connections_refused.
    allow_from;

    /// Connections at the same time, of TCP and the unix stream socket together. 1 to 60000.
    /// More connections are closed and counted in connections_refused. If the limit of open files
    /// (ulimit -n) is too low for this number, the server accepts fewer and logs how many. Empty
    /// means at most 1024, derived from [limits] max_memory.
    max_connections;

    /// Close a connection that sent nothing for this long, log it, and count it in
    /// idle_connections_closed. 0 means never. Many clients do not reconnect, so set it only if
    /// yours do. TCP keepalive finds dead clients within about four minutes in any case.
    idle_timeout;

    /// The longest line without its newline, 64 bytes to 1m. A longer one is skipped and counts as
    /// a bad line. Raise it for clients that send many values in one line.
    max_line;
};

pub(super) const UNIX: Chapter = chapter! {
    /// [unix]: sockets for clients on this machine. The stream socket shares the limits of [tcp].
    /// The datagram socket has no recv_buffer: its queue holds net.unix.max_dgram_qlen datagrams,
    /// which is 10 in a container and 512 with systemd.
    [unix];

    /// The path of each socket. The server makes the file. A file that a killed server left is
    /// replaced. Empty means off. Datadog's clients can use both: unix:// for datagram,
    /// unixstream:// for stream.
    /// Example: /run/statsd/statsd.sock
    datagram, stream;

    /// The permissions of both files, in octal: 0000 to 0777. A client needs the permission to
    /// write.
    mode;
};

pub(super) const ADMIN: Chapter = chapter! {
    /// [admin]: a TCP port for commands. Try: echo help | nc -N 127.0.0.1 8126
    [admin];

    /// As for [udp]. Commands can delete series, so keep the port on loopback or set allow_from.
    bind;

    /// As for [udp], for clients that send commands.
    allow_from;

    /// yes: answer HTTP on this port, too: /health, /-/ready, /metrics and more. A connection whose
    /// first bytes are an HTTP request never runs a command. With no it is closed.
    http;

    /// What /metrics shows: all (the figures of the server and every series), own (the figures of
    /// the server) or off (there is no such path).
    metrics;

    /// Names of this machine that HTTP requests may be for, without a port. IP addresses, localhost
    /// and the machine's own name are always accepted. A request for another name is refused with
    /// status 403, so that no foreign page in a browser can read the answers. * accepts any name.
    hosts;

    /// What the command health answers from the start: up or down. A proxy in front of several
    /// servers sends no traffic to a server that is down. `health up` and `health down` change it
    /// while the server runs.
    health;

    /// Close a client that sends no command for this long. 0 means never.
    idle_timeout;

    /// Clients at the same time. 1 to 1024. When all are in use, a new client replaces the one that
    /// was idle longest, or else one that does not read, or else one that watches. Empty means at
    /// most 64, derived from [limits] max_memory.
    max_connections;

    /// How long points are kept for charts: one for each flush, of the server's own figures and of
    /// the most active series. A reload that changes this or history_memory forgets all points.
    history;

    /// Memory for the points of series. A counter takes about 1.5 KiB for an hour of flushes every
    /// 10 seconds, a timer five times as much. The own figures take as much again at most: if that
    /// is too little for history, their charts are shorter. 0 keeps no points, also none of own
    /// figures. Empty means at most 4m, derived from [limits] max_memory.
    history_memory;
};

pub(super) const RULE: Chapter = chapter! {
    /// [rule.NAME]: settings for names that match. By default there is no rule. At most 100 are
    /// allowed. A rule can also give a series another name, and change its tags. Rules see the name as
    /// the client sends it, cleaned, never a name that a rule has made.
    ///
    /// Each setting comes from the first rule in file order that matches the name and has the
    /// setting. If no rule has it, it comes from [statsd]. name and tags count as one setting. A rule
    /// needs match, match_regex or match_tags, and can leave out every other key. After a reload,
    /// known series follow the new rules from their next flush on.
    ///
    /// Series that get the same name are one series. It has the settings of the name that it was
    /// made for first.
    [rule];

    /// At most 100 patterns. A pattern covers a whole cleaned name, without its tags. As
    /// in Graphite, * is any run of bytes within one path element (between two dots), and ? is one
    /// byte that is no dot. ** is any run of bytes, also of dots: api.** is everything below api.
    match = "api.**, web.*.latency";

    /// A regular expression, without look-around and back-references. It matches a part of a cleaned
    /// name, unless it has ^ and $. It reads at most the first 1024 bytes of the name. With match, a
    /// name must match both, and is compared with the patterns first, which is faster.
    match_regex = "^(api|web)\\.";

    /// The name must also have these tags: KEY with any value, or KEY=PATTERN. In patterns for tags,
    /// * and ? stand for dots, too.
    match_tags = "env=test*, debug";

    /// Set this to yes to drop all values of these names. They are counted in samples_dropped. The
    /// log does not show them.
    drop = "no";

    /// The name of the series, without tags. $1 or ${1} is what the first * or ** of the pattern
    /// stands for, or the first group of match_regex if there is one, $2 the second, and $0 the whole
    /// name. Each wildcard takes as few bytes as it can.
    name = "latency.$1";

    /// Tags to add: KEY=VALUE, with $1 as in name. They replace tags with the same keys. A tag
    /// without a value is left out.
    tags = "host=$1, dc=eu";

    /// Patterns for the keys of tags. drop_tags removes these tags, keep_tags removes all others.
    /// An empty keep_tags removes all tags. The tags that tags adds stay.
    drop_tags = "pod_*, version", keep_tags = "host, dc";

    /// New keys for tags: OLD=NEW.
    rename_tag = "dc=region";

    /// How many values a tag may have among the series that get this setting: a number for each key,
    /// or KEY=NUMBER. Further values become other. 1 to 100000.
    max_tag_values = "1000, user=50";

    /// The percentiles of a timer, as in [statsd]. Empty means none.
    percentiles = "50, 99";

    /// The figures of a timer to send, as in [statsd]. Empty means all.
    timer_metrics = "count, upper_percent";

    /// As in [statsd]. 0 means never.
    expire = "1h";

    /// As in [statsd], for all kinds of series.
    delete_idle = "yes";

    /// The bins of a timer's histogram: at most 256 upper bounds in ascending order. The last one
    /// may be inf. A bin counts the samples below its bound and not below the bound before. Or
    /// min:max:width, such as 0:100:10. A bin is sent as NAME.histogram.bin_100. Empty means no
    /// histogram.
    histogram = "10, 100, 1000, inf";

    /// What a gauge does with a value that has a sign. With delta, -10 subtracts 10. With absolute,
    /// -10 sets the gauge to -10. Without a rule it is delta.
    signed_gauges = "delta";
};
