//! Every section and key there is: its name, its defaults as text, its place in [`Config`], and its
//! doc.
//!
//! A key has one row, also if several kinds of destinations have it. Defaults take the same way as
//! the values of a file. Help, messages, the example and the printed configuration come from here.

use std::time::Duration;

use log::LevelFilter;

use super::access::{Account, FileMode, IpNetwork, Printable, Spoof};
use super::address::Listen;
use super::destination::{Destination, DestinationKind, Layout, Over, Protocol, Resend};
use super::key::{AddressOf, Applies, FieldOf, Key, KeyUse, Member};
use super::limits::{ADDRESSES_MAX, NETWORKS_MAX};
use super::model::Config;
use super::value::{
    AtMost, CommandLine, Count, FilePath, Fraction, List, NamePart, OrEmpty, Percent, Size, Span,
    SpanOrNever, ValueKind, Word, YES_NO,
};
use crate::encode::namespace::{Namespace, Style};
use crate::encode::repeated::Carriage;
use crate::logging::LogFormat;
use crate::policy::PERCENTILES_MAX;
use crate::policy::{TIMER_METRICS, TimerMetric};
use crate::protocol::{Dialect, Dialects};

/// Returns the keys of a section, in the order of the table.
pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.use_in(section).is_some())
}

/// One row a key. A row with several sections has a default and a doc for each.
macro_rules! keys {
    ($(
        [$section:ident] $name:ident = $default:literal, $field:expr, $($applies:ident,)? $doc:literal
        $(, [$other:ident] = $other_default:literal, $other_doc:literal)*;
    )*) => {
        pub const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            uses: &[
                KeyUse { section: stringify!($section), default: $default, doc: $doc },
                $(KeyUse {
                    section: stringify!($other),
                    default: $other_default,
                    doc: $other_doc,
                },)*
            ],
            applies: applies!($($applies)?),
            field: $field,
        }),*];
    };
}

macro_rules! applies {
    () => {
        Applies::Reload
    };
    (restart) => {
        Applies::Restart
    };
}

/// `config!(a.b: KIND)`: the field `a.b` of [`Config`], written as `KIND`.
macro_rules! config {
    ($($place:ident).+: $kind:expr) => {
        FieldOf::Config(&Member::<Config, _, _> {
            of: |config| &config.$($place).+,
            of_mut: |config| &mut config.$($place).+,
            kind: $kind,
        })
    };
}

/// `namespace!(style: KIND)`: the same for a field of each [`Namespace`].
macro_rules! namespace {
    ($place:ident: $kind:expr) => {
        FieldOf::Namespace(&Member::<Namespace, _, _> {
            of: |namespace| &namespace.$place,
            of_mut: |namespace| &mut namespace.$place,
            kind: $kind,
        })
    };
}

/// `shared!(queue.bytes: KIND)`: the same for a field that several kinds of destinations have.
macro_rules! shared {
    ($($place:ident).+: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| &to.$($place).+,
            of_mut: |to| &mut to.$($place).+,
            kind: $kind,
        })
    };
}

/// `net!(write_timeout: KIND)`: the same for a field of each destination on the network.
macro_rules! net {
    ($place:ident: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| to.net.as_ref().map_or_else(|| not_its_key(), |net| &net.$place),
            of_mut: |to| to.net.as_mut().map_or_else(|| not_its_key(), |net| &mut net.$place),
            kind: $kind,
        })
    };
}

/// `only!(Carbon.protocol: KIND)`: the same for a field that only this [`DestinationKind`] has.
macro_rules! only {
    ($of:ident.$place:ident: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| match &to.kind {
                DestinationKind::$of(settings) => &settings.$place,
                _ => not_its_key(),
            },
            of_mut: |to| match &mut to.kind {
                DestinationKind::$of(settings) => &mut settings.$place,
                _ => not_its_key(),
            },
            kind: $kind,
        })
    };
}

fn not_its_key() -> ! {
    unreachable!("a section is only asked for the keys that the table gives it")
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Enough for any machine: 1 TiB, or what a 32-bit `usize` can hold.
const MOST_MEMORY: usize = GIB << if usize::BITS > 32 { 10 } else { 0 };
const MEMORY: Size = Size(64 * KIB..=MOST_MEMORY);
const SOME_MS: Span = Span(Duration::from_millis(100));
/// The least time without a sign of life. Kernels answer probes of a closed window at most twice a
/// second. So one probe may stay unanswered, and the next one is sent after twice the time. In less
/// than two seconds a peer that is up can look down.
const SILENCE: Span = Span(Duration::from_secs(2));
const BINDS: AtMost<List<Listen>> = AtMost(ADDRESSES_MAX, List(Listen));
const NETWORKS: AtMost<List<IpNetwork>> = AtMost(NETWORKS_MAX, List(IpNetwork));
const AFFIX: NamePart = NamePart(0..=128);

const LEVELS: Word<LevelFilter> = Word(&[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
]);
const LOG_FORMATS: Word<LogFormat> = Word(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
const STYLES: Word<Style> =
    Word(&[("legacy", Style::Legacy), ("modern", Style::Modern), ("statsite", Style::Statsite)]);
const UP_DOWN: Word<bool> = Word(&[("up", true), ("down", false)]);
const LAYOUTS: Word<Layout> = Word(&[("text", Layout::Text), ("json", Layout::Json)]);
const PROTOCOLS: Word<Protocol> =
    Word(&[("plaintext", Protocol::Plaintext), ("pickle", Protocol::Pickle)]);
const OVER: Word<Over> = Word(&[("http", Over::Http), ("udp", Over::Udp)]);
const CARRIAGES: Word<Carriage> = Word(&[("udp", Carriage::Datagrams), ("tcp", Carriage::Stream)]);
const RESENDS: Word<Resend> =
    Word(&[("flush", Resend::Flush), ("unacked", Resend::Unacked), ("none", Resend::Never)]);

// Laid out by hand, because rustfmt does not format the inside of these braces.
keys! {
    [statsd] flush_interval = "10s", config!(flush_interval: Span(Duration::from_secs(1))),
        "at least 1s";
    [statsd] align_flush = "yes", config!(align_flush: YES_NO),
        "flush at wall-clock multiples of flush_interval";
    [statsd] percentiles = "90", config!(rules.base.percentiles: AtMost(PERCENTILES_MAX, List(Percent))),
        "e.g. 50, 95, 99.9, -10";
    [statsd] timer_metrics = "", config!(rules.base.timer_metrics: TIMER_METRICS_WANTED),
        "empty = all; else a list such as count, mean, median, upper_percent (every upper_N), histogram";
    [statsd] timer_exact = "50000", config!(bounds.timer_exact: Count(1..=1_000_000)),
        "samples of one timer kept exactly in one interval, at most 1000000; a flush stops reception while it sorts them: 2 ms for 50000, 35 ms for a million";
    [statsd] timer_memory = "64m", config!(bounds.sample_memory: MEMORY),
        "samples of all timers and members of all sets together; past it the largest become sketches";
    [statsd] timer_error = "0.01", config!(bounds.timer_error: Fraction(0.001..=0.2)),
        "relative error of percentiles past that, 0.001 to 0.2";
    [statsd] set_exact = "10000", config!(bounds.set_exact: Count(1..=1_000_000)),
        "members of one set kept exactly in one interval, at most 1000000";
    [statsd] set_error = "0.02", config!(bounds.set_error: Fraction(0.005..=0.2)),
        "relative standard error of a set's estimate past that, 0.005 to 0.2";
    [statsd] sanitize_keys = "yes", config!(grammar.sanitize: YES_NO),
        "rewrite names into what every destination can store";
    [statsd] tag_formats = "dogstatsd, graphite", config!(grammar.dialects: TagFormats),
        "those read as tags: dogstatsd name:1|c|#k:v, graphite name;k=v, influx name,k=v, librato name#k=v, signalfx name[k=v]";
    [statsd] delete_idle = "no", config!(rules.base.delete_idle: YES_NO),
        "what had no sample is not sent and is forgotten; default for the four below; statsite style: yes, but for gauges";
    [statsd] delete_counters = "", config!(rules.base.delete_counters: OrEmpty(YES_NO)),
        "empty = as delete_idle";
    [statsd] delete_timers = "", config!(rules.base.delete_timers: OrEmpty(YES_NO)),
        "";
    [statsd] delete_gauges = "", config!(rules.base.delete_gauges: OrEmpty(YES_NO)),
        "";
    [statsd] delete_sets = "", config!(rules.base.delete_sets: OrEmpty(YES_NO)),
        "";
    [statsd] gauge_ttl = "1", config!(rules.base.gauge_ttl: Count(1..=1_000_000)),
        "flushes that send a gauge after a value came, with delete_gauges; Node's gaugesMaxTTL";
    [statsd] expire = "0", config!(rules.base.expire: SpanOrNever),
        "forget a series not seen for this long, whatever its type; 0 = never";
    [statsd] state_file = "", config!(state.file: FilePath),
        "file that keeps the open interval and the gauges across restarts; no other server may use it; empty = off";
    [statsd] state_interval = "1m", config!(state.interval: SpanOrNever),
        "gauges are also saved this often, for a crash; 0 = only at a stop";
    [statsd] shutdown_timeout = "5s", config!(shutdown_timeout: Span(Duration::ZERO)),
        "how long a stop waits for destinations to take what is queued";
    [statsd] log_format = "text", config!(log_format: LOG_FORMATS),
        "text, or json: one object a line";
    [statsd] log_level = "info", config!(log_level: LEVELS),
        "error, warn, info, debug, trace; RUST_LOG overrides it";
    [statsd] dump_messages = "no", config!(dump_messages: YES_NO),
        "log the lines received, up to 200 bytes of each, at level info; those of a burst that would take too long are only counted";
    [statsd] passthrough_memory = "16m", config!(bounds.passthrough_memory: MEMORY),
        "kv and |T values waiting for the flush";
    [statsd] user = "", config!(user: Account), restart,
        "after binding, become this user (name or number); its commands then cannot use sudo or setuid programs; empty = stay";
    [statsd] group = "", config!(group: Account), restart,
        "empty = the user's own";

    [namespace] style = "legacy", namespace!(style: STYLES),
        "legacy (Node's older names), modern (its newer), statsite";
    [namespace] global_prefix = "stats", namespace!(global_prefix: AFFIX),
        "as all of these: at most 128 of A-Z, a-z, 0-9, _, - and .; statsite style: empty";
    [namespace] global_suffix = "", namespace!(global_suffix: AFFIX),
        "";
    [namespace] host_suffix = "no", namespace!(host_suffix: YES_NO),
        "yes: the host's short name, in place of global_suffix";
    [namespace] prefix_counter = "counters", namespace!(prefix_counter: AFFIX),
        "statsite style: counts; the prefixes do nothing in legacy style";
    [namespace] prefix_timer = "timers", namespace!(prefix_timer: AFFIX),
        "";
    [namespace] prefix_gauge = "gauges", namespace!(prefix_gauge: AFFIX),
        "";
    [namespace] prefix_set = "sets", namespace!(prefix_set: AFFIX),
        "";
    [namespace] prefix_kv = "kv", namespace!(prefix_kv: AFFIX),
        "";
    [namespace] prefix_stats = "statsd", namespace!(prefix_stats: NamePart(1..=128)),
        "the server's own figures; not empty";
    [namespace] flush_counts = "yes", namespace!(flush_counts: YES_NO),
        "write a counter's count beside its rate; not for statsite style";
    [namespace] extended_counters = "no", namespace!(extended_counters: YES_NO),
        "statsite style: write a counter's count and rate";

    [udp] bind = "*:8125", config!(udp.bind: BINDS),
        "list of numeric address:port, *:port (IPv6 and IPv4), localhost:port (both loopbacks); at most 64; empty = off";
    [udp] recv_buffer = "8m", config!(udp.recv_buffer: Size(4 * KIB..=GIB)),
        "SO_RCVBUFFORCE, else SO_RCVBUF; when the kernel grants less, a warning names the sysctl to raise";
    [udp] allow_from = "", config!(udp.allow_from: NETWORKS),
        "at most 500 networks such as 10.0.0.0/8, fd00::/8 or 192.0.2.7; empty = anyone";

    [tcp] bind = "*:8125", config!(tcp.bind: BINDS),
        "as for udp";
    [tcp] max_connections = "1024", config!(tcp.max_connections: Count(1..=60_000)),
        "at most 60000";
    [tcp] idle_timeout = "0", config!(tcp.idle_timeout: SpanOrNever),
        "close a connection that sent nothing for this long, count and log it; 0 = never: many clients do not reconnect, and keepalive finds dead ones";
    [tcp] max_line = "8k", config!(tcp.max_line: Size(64..=MIB)),
        "bytes of a line, 64 to 1m";
    [tcp] allow_from = "", config!(tcp.allow_from: NETWORKS),
        "as for udp";

    [unix] stream = "", config!(unix.stream: FilePath),
        "path of a socket; empty = off; the limits of [tcp] hold for both together";
    [unix] datagram = "", config!(unix.datagram: FilePath),
        "path of a socket; empty = off; recv_buffer of [udp] holds here too";
    [unix] mode = "0660", config!(unix.mode: FileMode),
        "permissions of both";

    [admin] bind = "localhost:8126", config!(admin.bind: BINDS),
        "both loopback addresses";
    [admin] health = "up", config!(admin.healthy: UP_DOWN),
        "health at start: up, down";
    [admin] idle_timeout = "10m", config!(admin.idle_timeout: SpanOrNever),
        "close a client that sends no command for this long; 0 = never";
    [admin] max_connections = "64", config!(admin.max_connections: Count(1..=1024)),
        "at most 1024; when all are in use, a new client replaces the one idle longest";
    [admin] allow_from = "", config!(admin.allow_from: NETWORKS),
        "as for udp";

    [limits] max_series = "1000000", config!(bounds.max_series: Count(1..=100_000_000)),
        "names of all kinds together";
    [limits] evict_after = "10m", config!(bounds.evict_after: Span(Duration::ZERO)),
        "at the limit, a series idle for this long makes way for a new one";
    [limits] max_key_length = "512", config!(grammar.max_key_length: Count(1..=2048)),
        "bytes of a name with its tags, at most 2048";

    [carbon] address = "127.0.0.1:2003", FieldOf::Destination(&AddressOf),
        "host[:port]; port 2003, or 2004 for pickle; empty = off",
    [influxdb] = "",
        "host[:port]; port 8086 for http, 8089 for udp; empty = off",
    [ganglia] = "",
        "host[:port] of a gmond that takes metrics by UDP; port 8649; empty = off",
    [repeater] = "",
        "host[:port] of another StatsD server, which every packet goes on to; port 8125; empty = off";

    [carbon] protocol = "plaintext", only!(Carbon.protocol: PROTOCOLS), restart,
        "plaintext, pickle";
    [carbon] pickle_batch = "500", only!(Carbon.pickle_batch: Count(1..=10_000)),
        "points of a message, at most 10000; none is over 1 MiB, which is all that carbon takes";

    [influxdb] protocol = "http", only!(Influxdb.protocol: OVER), restart,
        "http, udp; the next three, the timeouts and resend are for http";
    [influxdb] database = "statsd", only!(Influxdb.database: Printable(1..=128, "")),
        "it has to exist; for udp InfluxDB's own configuration says which";
    [influxdb] username = "", only!(Influxdb.username: Printable(0..=128, ":")),
        "empty = none is sent";
    [influxdb] password = "", only!(Influxdb.password: Printable(0..=128, "")),
        "shown by --print-config as it is; keep this file to yourself";

    [ganglia] spoof = "statsd:statsd", only!(Ganglia.spoof: Spoof),
        "the host that the metrics are said to be of, as address:name";
    [ganglia] prefix = "", only!(Ganglia.prefix: AFFIX),
        "stands before each name";
    [ganglia] max_name_length = "100", only!(Ganglia.max_name_length: Count(1..=300)),
        "bytes, at most 300; what has a longer name is left out, and counted as points_refused";

    [repeater] protocol = "udp", only!(Repeater.protocol: CARRIAGES), restart,
        "udp, tcp";

    [console] enabled = "no", only!(Console.enabled: YES_NO),
        "print each flush to standard output";
    [console] format = "text", only!(Console.format: LAYOUTS),
        "text (name value timestamp), json (an object a line)";

    [exec] command = "", only!(Exec.command: CommandLine),
        "run by /bin/sh at each flush; reads name|value|timestamp lines; takes the whole rest of its line; sudo fails in it if [statsd] user is set; empty = off";
    [exec] timeout = "30s", only!(Exec.timeout: SOME_MS),
        "it is killed when it takes longer";

    [carbon] connect_timeout = "5s", net!(connect_timeout: SOME_MS),
        "",
    [influxdb] = "5s",
        "";
    [carbon] write_timeout = "30s", net!(write_timeout: SILENCE),
        "unacknowledged bytes and no sign of life for this long: the connection is broken; at least 2s",
    [influxdb] = "30s",
        "time to write a request, and the same again to receive its whole answer; a late one is sent again; at least 2s";
    [carbon] reconnect_min = "100ms", net!(reconnect_min: Span(Duration::from_millis(1))),
        "first retry; doubles up to reconnect_max, with jitter",
    [influxdb] = "100ms",
        "first retry, of what is answered with an error too; doubles up to reconnect_max, with jitter";
    [carbon] reconnect_max = "30s", net!(reconnect_max: Span(Duration::from_millis(1))),
        "at least reconnect_min",
    [influxdb] = "30s",
        "at least reconnect_min";
    [carbon] queue = "64m", shared!(queue.bytes: Size(MIB..=MOST_MEMORY)),
        "what may wait or be retained in memory; at least 1m",
    [influxdb] = "64m",
        "what may wait or be retained in memory; at least 1m";
    [carbon] resend = "flush", shared!(queue.resend: RESENDS),
        "after a broken connection: flush (the retained flushes), unacked, none (for carbon-aggregator)",
    [influxdb] = "unacked",
        "after a broken connection: flush (the retained flushes), unacked, none";
    [carbon] resend_keep = "2", shared!(queue.resend_keep: Count(1..=100)),
        "delivered flushes retained for that, at most 100",
    [influxdb] = "2",
        "as for carbon, with resend = flush";
    [carbon] namespace = "", shared!(namespace: NamePart(0..=64)),
        "NAME of the [namespace.NAME] it is sent; empty = [namespace]",
    [influxdb] = "",
        "as for carbon",
    [console] = "",
        "as for carbon",
    [exec] = "",
        "as for carbon";

    [spool] dir = "", config!(spool.dir: FilePath), restart,
        "folder for what does not fit a destination's queue or is undelivered at a stop; it must be this user's own; empty = off";
    [spool] max_size = "1g", config!(spool.max_size: Size(MIB..=MOST_MEMORY)), restart,
        "of all destinations together, each has an equal part; at least 1m";

    [key_flush] interval = "0", config!(key_flush.interval: SpanOrNever),
        "log the most frequent names this often; 0 = off";
    [key_flush] percent = "100", config!(key_flush.percent: Count(1..=100)),
        "so many of the names, of at most 10000";
    [key_flush] log = "", config!(key_flush.log: FilePath),
        "a file to append to, a FIFO, /dev/stdout or /dev/stderr; empty = the log";
}

pub(super) const TIMER_METRICS_WANTED: List<Word<TimerMetric>> = List(Word(&TIMER_METRICS));

/// The dialects of tags. The file has a list of them. The server has a set, because the parser
/// tests for one dialect at a time.
struct TagFormats;

const DIALECTS: List<Word<Dialect>> = List(Word(&[
    ("dogstatsd", Dialect::Dogstatsd),
    ("graphite", Dialect::Graphite),
    ("influx", Dialect::Influx),
    ("librato", Dialect::Librato),
    ("signalfx", Dialect::Signalfx),
]));

impl ValueKind<Dialects> for TagFormats {
    fn read(&self, text: &str) -> Result<Dialects, String> {
        DIALECTS.read(text).map(Dialects::from_iter)
    }

    fn show(&self, dialects: &Dialects) -> String {
        DIALECTS.show(&Dialect::ALL.into_iter().filter(|dialect| dialects.has(*dialect)).collect())
    }
}

#[cfg(test)]
mod tests;
