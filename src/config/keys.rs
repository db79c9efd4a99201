//! [`KEYS`]: the table of all keys, each with its name, its sections, its defaults as text, and its
//! place in [`Config`].
//!
//! A key has one row, even if several kinds of destinations have it. Defaults are parsed like the
//! values of a file, so a default that is out of range fails the tests. Messages, the example and
//! the printed configuration are made from this table. `manual/` explains each key.

use std::time::Duration;

use log::LevelFilter;

use super::address::{Account, FileMode, HostPattern, IpNetwork, ListenAddress, Printable, Spoof};
use super::destination::{
    ApiVersion, BinaryStream, Destination, DestinationKind, InfluxTransport, Layout, Protocol,
    Resend,
};
use super::key::{AddressOf, Applies, FieldOf, Key, KeyUse, Member};
use super::limits::{ADDRESSES_MAX, HOSTS_MAX, NETWORKS_MAX, TAGS_MAX};
use super::model::{Config, MetricsShown};
use super::rule_values::ConstantTagList;
use super::value::{
    AtMost, CommandLine, Count, FilePath, Fraction, List, NamePart, OrEmpty, Percent, Size, Span,
    SpanOrNever, ValueKind, WholePercent, Word, YES_NO,
};
use crate::encode::namespace::{Namespace, Style};
use crate::encode::repeated::PacketTransport;
use crate::logging::LogFormat;
use crate::policy::{PERCENTILES_MAX, TIMER_METRICS, TimerMetric};
use crate::protocol::{Dialect, Dialects, PackedValues};

/// Returns the keys of a section, in the order of the table.
pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.use_in(section).is_some())
}

/// Makes the table from one row for each key. A row with several sections has a default for each.
macro_rules! keys {
    ($(
        [$section:ident] $name:ident = $default:literal, $field:expr
        $(, $applies:ident $(($least:expr))?)?
        $(, [$other:ident] = $other_default:literal)*;
    )*) => {
        pub const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            uses: &[
                KeyUse { section: stringify!($section), default: $default },
                $(KeyUse { section: stringify!($other), default: $other_default },)*
            ],
            applies: applies!($($applies)?),
            least_derived: least_derived!($($applies $($least)?)?),
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
    (derived) => {
        Applies::Reload
    };
}

/// The least value of a key that is derived from `max_memory`. Its default is the largest one.
macro_rules! least_derived {
    ($(restart)?) => {
        None
    };
    (derived $least:expr) => {
        Some($least)
    };
}

/// `config!(a.b: KIND)` is the access to the field `a.b` of [`Config`], written as `KIND`.
macro_rules! config {
    ($($place:ident).+: $kind:expr) => {
        FieldOf::Config(&Member::<Config, _, _> {
            of: |config| &config.$($place).+,
            of_mut: |config| &mut config.$($place).+,
            kind: $kind,
        })
    };
}

/// `namespace!(style: KIND)` is the access to a field of each [`Namespace`].
macro_rules! namespace {
    ($place:ident: $kind:expr) => {
        FieldOf::Namespace(&Member::<Namespace, _, _> {
            of: |namespace| &namespace.$place,
            of_mut: |namespace| &mut namespace.$place,
            kind: $kind,
        })
    };
}

/// `shared!(queue.bytes: KIND)` is the access to a field that several kinds of destinations have.
macro_rules! shared {
    ($($place:ident).+: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| &to.$($place).+,
            of_mut: |to| &mut to.$($place).+,
            kind: $kind,
        })
    };
}

/// `net!(write_timeout: KIND)` is the access to a field of each destination on the network.
macro_rules! net {
    ($place:ident: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| to.net.as_ref().map_or_else(|| not_its_key(), |net| &net.$place),
            of_mut: |to| to.net.as_mut().map_or_else(|| not_its_key(), |net| &mut net.$place),
            kind: $kind,
        })
    };
}

/// `only!(Carbon.protocol: KIND)` is the access to a field that only this [`DestinationKind`] has.
macro_rules! only {
    ($of:ident.$($place:ident).+: $kind:expr) => {
        FieldOf::Destination(&Member::<Destination, _, _> {
            of: |to| match &to.kind {
                DestinationKind::$of(settings) => &settings.$($place).+,
                _ => not_its_key(),
            },
            of_mut: |to| match &mut to.kind {
                DestinationKind::$of(settings) => &mut settings.$($place).+,
                _ => not_its_key(),
            },
            kind: $kind,
        })
    };
}

/// Panics: a key was used in a section that does not have it. The table prevents that, because the
/// caller takes the keys of a section from there.
fn not_its_key() -> ! {
    unreachable!("a section gets only the keys that the table has for it")
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// The largest size of memory or disk that a key accepts: 1 TiB, or 1 GiB on a 32-bit machine.
const MOST_MEMORY: usize = GIB << if usize::BITS > 32 { 10 } else { 0 };
const MEMORY: Size = Size(64 * KIB..=MOST_MEMORY);
const SOME_MS: Span = Span(Duration::from_millis(100));
/// The least time without a sign of life after which a peer may count as down. Kernels answer
/// probes of a closed window at most twice a second. So one probe may stay unanswered, and the next
/// one is sent after twice the time. In less than two seconds a peer that is up can seem down.
const SILENCE: Span = Span(Duration::from_secs(2));
const BINDS: AtMost<List<ListenAddress>> = AtMost(ADDRESSES_MAX, List(ListenAddress));
const HOSTS: AtMost<List<HostPattern>> = AtMost(HOSTS_MAX, List(HostPattern));
const NETWORKS: AtMost<List<IpNetwork>> = AtMost(NETWORKS_MAX, List(IpNetwork));
const AFFIX: NamePart = NamePart(0..=128);

const LEVELS: Word<LevelFilter> = Word(&[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
    // The names of other programs and of syslog. Node's are those with LOG_.
    ("warning", LevelFilter::Warn),
    ("err", LevelFilter::Error),
    ("critical", LevelFilter::Error),
    ("crit", LevelFilter::Error),
    ("alert", LevelFilter::Error),
    ("emerg", LevelFilter::Error),
    ("notice", LevelFilter::Info),
    ("LOG_EMERG", LevelFilter::Error),
    ("LOG_ALERT", LevelFilter::Error),
    ("LOG_CRIT", LevelFilter::Error),
    ("LOG_ERR", LevelFilter::Error),
    ("LOG_WARNING", LevelFilter::Warn),
    ("LOG_NOTICE", LevelFilter::Info),
    ("LOG_INFO", LevelFilter::Info),
    ("LOG_DEBUG", LevelFilter::Debug),
]);
const LOG_FORMATS: Word<LogFormat> = Word(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
const STYLES: Word<Style> =
    Word(&[("legacy", Style::Legacy), ("modern", Style::Modern), ("statsite", Style::Statsite)]);
const PACKED_VALUES: Word<PackedValues> = Word(&[
    ("all", PackedValues::All),
    ("timings", PackedValues::Timings),
    ("no", PackedValues::No),
]);
const METRICS: Word<MetricsShown> = Word(&[
    ("all", MetricsShown::All),
    ("own", MetricsShown::Own),
    ("off", MetricsShown::Off),
    ("yes", MetricsShown::All),
    ("no", MetricsShown::Off),
]);
const UP_DOWN: Word<bool> = Word(&[("up", true), ("down", false)]);
const LAYOUTS: Word<Layout> = Word(&[("text", Layout::Text), ("json", Layout::Json)]);
// `text` is Node's word.
const PROTOCOLS: Word<Protocol> = Word(&[
    ("plaintext", Protocol::Plaintext),
    ("pickle", Protocol::Pickle),
    ("text", Protocol::Plaintext),
]);
const API_VERSIONS: Word<ApiVersion> =
    Word(&[("1", ApiVersion::V1), ("2", ApiVersion::V2), ("3", ApiVersion::V2)]);
const INFLUX_TRANSPORTS: Word<InfluxTransport> =
    Word(&[("http", InfluxTransport::Http), ("udp", InfluxTransport::Udp)]);
// `udp4` and `udp6` are Node's words.
const PACKET_TRANSPORTS: Word<PacketTransport> = Word(&[
    ("udp", PacketTransport::Datagrams),
    ("tcp", PacketTransport::Stream),
    ("udp4", PacketTransport::Datagrams),
    ("udp6", PacketTransport::Datagrams),
]);
/// The words of [`YES_NO`], and one more.
const BINARY_STREAM: Word<BinaryStream> = Word(&[
    ("no", BinaryStream::No),
    ("yes", BinaryStream::Yes),
    ("prefixed", BinaryStream::Prefixed),
    ("false", BinaryStream::No),
    ("true", BinaryStream::Yes),
    ("off", BinaryStream::No),
    ("on", BinaryStream::Yes),
    ("0", BinaryStream::No),
    ("1", BinaryStream::Yes),
]);
const RESENDS: Word<Resend> =
    Word(&[("flush", Resend::Flush), ("unacked", Resend::Unacked), ("none", Resend::Never)]);

// Laid out by hand, because rustfmt does not format the inside of these braces.
keys! {
    [statsd] flush_interval = "10s", config!(flush_interval: Span(Duration::from_secs(1)));
    [statsd] percentiles = "90",
        config!(rules.base.percentiles: AtMost(PERCENTILES_MAX, List(Percent)));
    [statsd] delete_idle = "no", config!(rules.base.delete_idle: YES_NO);
    [statsd] state_file = "", config!(state.file: FilePath);
    [statsd] log_level = "info", config!(log_level: LEVELS);
    [statsd] log_format = "text", config!(log_format: LOG_FORMATS);
    [statsd] tag_formats = "dogstatsd, graphite", config!(grammar.dialects: TagFormats);
    [statsd] timer_metrics = "", config!(rules.base.timer_metrics: TIMER_METRICS_WANTED);
    [statsd] expire = "0", config!(rules.base.expire: SpanOrNever);
    [statsd] shutdown_timeout = "5s", config!(shutdown_timeout: Span(Duration::ZERO));
    [statsd] user = "", config!(user: Account), restart;
    [statsd] group = "", config!(group: Account), restart;
    [statsd] align_flush = "yes", config!(align_flush: YES_NO);
    [statsd] delete_counters = "", config!(rules.base.delete_counters: OrEmpty(YES_NO));
    [statsd] delete_timers = "", config!(rules.base.delete_timers: OrEmpty(YES_NO));
    [statsd] delete_gauges = "", config!(rules.base.delete_gauges: OrEmpty(YES_NO));
    [statsd] delete_sets = "", config!(rules.base.delete_sets: OrEmpty(YES_NO));
    [statsd] gauge_ttl = "1", config!(rules.base.gauge_ttl: Count(1..=1_000_000));
    [statsd] state_interval = "1m", config!(state.interval: SpanOrNever);
    [statsd] sanitize_keys = "yes", config!(grammar.sanitize: YES_NO), restart;
    [statsd] squeeze_dots = "no", config!(grammar.squeeze_dots: YES_NO);
    [statsd] packed_values = "all", config!(grammar.packed_values: PACKED_VALUES);
    [statsd] dump_messages = "no", config!(dump_messages: YES_NO);
    [statsd] timer_exact = "50000", config!(bounds.timer_exact: Count(1..=1_000_000));
    [statsd] timer_memory = "64m", config!(bounds.sample_memory: MEMORY), derived(MIB);
    [statsd] timer_error = "0.01", config!(bounds.timer_error: Fraction(0.001..=0.2));
    [statsd] set_exact = "10000", config!(bounds.set_exact: Count(1..=1_000_000));
    [statsd] set_error = "0.02", config!(bounds.set_error: Fraction(0.005..=0.2));
    [statsd] passthrough_memory = "16m", config!(bounds.passthrough_memory: MEMORY),
        derived(256 * KIB);

    [namespace] style = "legacy", namespace!(style: STYLES);
    [namespace] global_prefix = "stats", namespace!(global_prefix: AFFIX);
    [namespace] global_suffix = "", namespace!(global_suffix: AFFIX);
    [namespace] host_suffix = "no", namespace!(host_suffix: YES_NO);
    [namespace] tags = "", namespace!(tags: AtMost(TAGS_MAX, ConstantTagList));
    [namespace] flush_counts = "yes", namespace!(flush_counts: YES_NO);
    [namespace] extended_counters = "no", namespace!(extended_counters: YES_NO);
    [namespace] prefix_counter = "counters", namespace!(prefix_counter: AFFIX);
    [namespace] prefix_timer = "timers", namespace!(prefix_timer: AFFIX);
    [namespace] prefix_gauge = "gauges", namespace!(prefix_gauge: AFFIX);
    [namespace] prefix_set = "sets", namespace!(prefix_set: AFFIX);
    [namespace] prefix_kv = "kv", namespace!(prefix_kv: AFFIX);
    [namespace] prefix_stats = "statsd", namespace!(prefix_stats: NamePart(1..=128));

    [udp] bind = "*:8125", config!(udp.bind: BINDS);
    [udp] allow_from = "", config!(udp.allow_from: NETWORKS);
    [udp] recv_buffer = "8m", config!(udp.recv_buffer: Size(4 * KIB..=GIB));

    [tcp] bind = "*:8125", config!(tcp.bind: BINDS);
    [tcp] allow_from = "", config!(tcp.allow_from: NETWORKS);
    [tcp] max_connections = "1024", config!(tcp.max_connections: Count(1..=60_000)),
        derived(16);
    [tcp] idle_timeout = "0", config!(tcp.idle_timeout: SpanOrNever);
    [tcp] max_line = "16k", config!(tcp.max_line: Size(64..=MIB));

    [unix] datagram = "", config!(unix.datagram: FilePath);
    [unix] stream = "", config!(unix.stream: FilePath);
    [unix] mode = "0660", config!(unix.mode: FileMode);

    [admin] bind = "localhost:8126", config!(admin.bind: BINDS);
    [admin] allow_from = "", config!(admin.allow_from: NETWORKS);
    [admin] http = "yes", config!(admin.http: YES_NO);
    [admin] metrics = "all", config!(admin.metrics: METRICS);
    [admin] hosts = "", config!(admin.hosts: HOSTS);
    [admin] health = "up", config!(admin.healthy: UP_DOWN);
    [admin] idle_timeout = "10m", config!(admin.idle_timeout: SpanOrNever);
    [admin] max_connections = "64", config!(admin.max_connections: Count(1..=1024)),
        derived(4);
    [admin] history = "1h", config!(bounds.history: Span(Duration::from_secs(1)));
    [admin] history_memory = "4m", config!(bounds.history_memory: Size(0..=MOST_MEMORY)),
        derived(0);

    [spool] dir = "", config!(spool.dir: FilePath), restart;
    [spool] max_size = "1g", config!(spool.max_size: Size(MIB..=MOST_MEMORY)), restart;

    [limits] max_memory = "", config!(max_memory: OrEmpty(Size(8 * MIB..=MOST_MEMORY)));
    [limits] series_memory = "256m", config!(bounds.series_memory: MEMORY), derived(MIB);
    [limits] max_series = "1000000", config!(bounds.max_series: Count(1..=100_000_000));
    [limits] evict_after = "10m", config!(bounds.evict_after: Span(Duration::ZERO));
    [limits] max_key_length = "8k", config!(grammar.max_key_length: Size(1..=64 * KIB));
    [limits] max_tags = "100", config!(grammar.max_tags: Count(0..=1000));

    [carbon] address = "127.0.0.1:2003", FieldOf::Destination(&AddressOf),
        [influxdb] = "", [ganglia] = "", [repeater] = "";

    [carbon] protocol = "plaintext", only!(Carbon.protocol: PROTOCOLS), restart;

    [influxdb] protocol = "http", only!(Influxdb.protocol: INFLUX_TRANSPORTS), restart;
    [influxdb] database = "statsd", only!(Influxdb.database: Printable(1..=128, ""));
    [influxdb] username = "", only!(Influxdb.username: Printable(0..=128, ":"));
    [influxdb] password = "", only!(Influxdb.password.given: Printable(0..=128, ""));
    [influxdb] password_file = "", only!(Influxdb.password.file: FilePath);
    [influxdb] version = "1", only!(Influxdb.version: API_VERSIONS);
    [influxdb] org = "", only!(Influxdb.org: Printable(0..=128, ""));
    [influxdb] bucket = "statsd", only!(Influxdb.bucket: Printable(1..=128, ""));
    [influxdb] token = "", only!(Influxdb.token.given: Printable(0..=512, ""));
    [influxdb] token_file = "", only!(Influxdb.token.file: FilePath);

    [ganglia] spoof = "statsd:statsd", only!(Ganglia.spoof: Spoof);
    [ganglia] prefix = "", only!(Ganglia.prefix: AFFIX);
    [ganglia] max_name_length = "100", only!(Ganglia.max_name_length: Count(1..=300));

    [repeater] protocol = "udp", only!(Repeater.protocol: PACKET_TRANSPORTS), restart;

    [console] enabled = "no", only!(Console.enabled: YES_NO);
    [console] format = "text", only!(Console.format: LAYOUTS);

    [exec] command = "", only!(Exec.command: CommandLine);
    [exec] timeout = "30s", only!(Exec.timeout: SOME_MS);
    [exec] binary_stream = "no", only!(Exec.binary_stream: BINARY_STREAM);

    [carbon] namespace = "", shared!(namespace: NamePart(0..=64)),
        [influxdb] = "", [console] = "", [exec] = "";
    [carbon] queue = "64m", shared!(queue.bytes: Size(MIB..=MOST_MEMORY)), derived(2 * MIB),
        [influxdb] = "64m";
    [carbon] resend = "flush", shared!(queue.resend: RESENDS),
        [influxdb] = "unacked";
    [carbon] resend_keep = "2", shared!(queue.resend_keep: Count(1..=100)),
        [influxdb] = "2";
    [carbon] own_figures = "yes", shared!(own_figures: YES_NO),
        [influxdb] = "yes", [console] = "yes", [exec] = "yes", [ganglia] = "yes";
    [carbon] reconnect_min = "100ms", net!(reconnect_min: Span(Duration::from_millis(1))),
        [influxdb] = "100ms";
    [carbon] reconnect_max = "30s", net!(reconnect_max: Span(Duration::from_millis(1))),
        [influxdb] = "30s";
    [carbon] connect_timeout = "5s", net!(connect_timeout: SOME_MS),
        [influxdb] = "5s";
    [carbon] write_timeout = "30s", net!(write_timeout: SILENCE),
        [influxdb] = "30s";
    [carbon] pickle_batch = "500", only!(Carbon.pickle_batch: Count(1..=10_000));

    [key_flush] interval = "0", config!(key_flush.interval: SpanOrNever);
    [key_flush] percent = "100", config!(key_flush.percent: WholePercent(1..=100));
    [key_flush] log = "", config!(key_flush.log: FilePath);
}

pub(super) const TIMER_METRICS_WANTED: List<Word<TimerMetric>> = List(Word(&TIMER_METRICS));

/// The dialects of tags, which the file writes as a list. The server stores them as a set, because
/// the parser tests for one dialect at a time.
struct TagFormats;

const DIALECTS: List<Word<Dialect>> = List(Word(&[
    ("dogstatsd", Dialect::Dogstatsd),
    ("graphite", Dialect::Graphite),
    ("influx", Dialect::Influx),
    ("librato", Dialect::Librato),
    ("signalfx", Dialect::Signalfx),
    ("datadog", Dialect::Dogstatsd),
    ("influxdb", Dialect::Influx),
]));

impl ValueKind<Dialects> for TagFormats {
    fn read(&self, text: &str) -> Result<Dialects, String> {
        DIALECTS.read(text).map(Dialects::from_iter)
    }

    fn show(&self, dialects: &Dialects) -> String {
        DIALECTS.show(&Dialect::ALL.into_iter().filter(|dialect| dialects.has(*dialect)).collect())
    }

    fn found(&self, text: &str) -> String {
        DIALECTS.found(text)
    }
}

#[cfg(test)]
mod tests;
