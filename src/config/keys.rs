//! Every section and key there is, one row each: its name, its default as text, its place in [`Config`], and its doc.
//!
//! Defaults go the way the file's values go; help, messages, the example and the printed configuration come from here.

use std::time::Duration;

use log::LevelFilter;

use super::access::{Account, FileMode, Network, Printable};
use super::address::{Destination, Listen};
use super::command::CommandLine;
use super::fraction::Fraction;
use super::ganglia::Spoof;
use super::limits::{ADDRESSES_MAX, NETWORKS_MAX};
use super::value::{
    AtMost, Choice, Count, FilePath, Kind, List, NamePart, OrEmpty, Percent, Size, Span,
    SpanOrNever, YES_NO,
};
use super::{Config, Layout, Over, Protocol, Resend};
use crate::encode::namespace::Style;
use crate::encode::repeated::Carriage;
use crate::flush::{TIMER_METRICS, TimerMetric};
use crate::logging::LogFormat;
use crate::policy::PERCENTILES_MAX;
use crate::protocol::{Dialect, Dialects};

/// One key of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub default: &'static str,
    /// What its name and default do not say; may be empty.
    pub doc: &'static str,
    field: Field,
}

/// How to reach the field a key sets. Of sections there may be several of, the number says which; others do not look at it.
/// The error of a `set` says what was expected.
#[derive(Clone, Copy, Debug)]
struct Field {
    set: fn(&mut Config, usize, &str) -> Result<(), String>,
    get: fn(&Config, usize) -> String,
}

impl Key {
    pub(super) fn set(&self, config: &mut Config, nth: usize, text: &str) -> Result<(), String> {
        (self.field.set)(config, nth, text)
    }

    pub(super) fn get(&self, config: &Config, nth: usize) -> String {
        (self.field.get)(config, nth)
    }
}

/// The keys of a section, in the order of the table.
pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

macro_rules! keys {
    ($([$section:ident] $name:ident = $default:literal, $field:expr, $doc:literal;)*) => {
        pub const KEYS: &[Key] = &[$(Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            doc: $doc,
            field: $field,
        }),*];
    };
}

/// `config!(a.b: KIND)`: the field `a.b` of [`Config`], written as `KIND`.
macro_rules! config {
    ($($place:ident).+: $kind:expr) => {
        Field {
            set: |config, _, text| Ok(config.$($place).+ = $kind.read(text)?),
            get: |config, _| $kind.show(&config.$($place).+),
        }
    };
}

/// `each!(carbons.queue: KIND)`: the same for a field of each section of a kind.
macro_rules! each {
    ($list:ident.$place:ident: $kind:expr) => {
        Field {
            set: |config, nth, text| Ok(config.$list[nth].$place = $kind.read(text)?),
            get: |config, nth| $kind.show(&config.$list[nth].$place),
        }
    };
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// Enough for any machine: 1 TiB, and what a 32-bit `usize` can say.
const MOST_MEMORY: usize = GIB << if usize::BITS > 32 { 10 } else { 0 };
const MEMORY: Size = Size(64 * KIB..=MOST_MEMORY);
const SOME_MS: Span = Span(Duration::from_millis(100));
/// Kernels answer probes of a closed window twice a second at the most, so that one may stay unanswered, and the next comes
/// after twice the time: in less than this a peer that is there can look gone.
const SILENCE: Span = Span(Duration::from_secs(2));
const BINDS: AtMost<List<Listen>> = AtMost(ADDRESSES_MAX, List(Listen));
const NETWORKS: AtMost<List<Network>> = AtMost(NETWORKS_MAX, List(Network));
const AFFIX: NamePart = NamePart(0..=128);

const LEVELS: Choice<LevelFilter> = Choice(&[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
]);
const LOG_FORMATS: Choice<LogFormat> =
    Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
const STYLES: Choice<Style> =
    Choice(&[("legacy", Style::Legacy), ("modern", Style::Modern), ("statsite", Style::Statsite)]);
const UP_DOWN: Choice<bool> = Choice(&[("up", true), ("down", false)]);
const LAYOUTS: Choice<Layout> = Choice(&[("text", Layout::Text), ("json", Layout::Json)]);
const PROTOCOLS: Choice<Protocol> =
    Choice(&[("plaintext", Protocol::Plaintext), ("pickle", Protocol::Pickle)]);
const OVER: Choice<Over> = Choice(&[("http", Over::Http), ("udp", Over::Udp)]);
const CARRIAGES: Choice<Carriage> =
    Choice(&[("udp", Carriage::Datagrams), ("tcp", Carriage::Stream)]);
const RESENDS: Choice<Resend> =
    Choice(&[("flush", Resend::Flush), ("unacked", Resend::Unacked), ("none", Resend::Never)]);

// Laid out by hand: rustfmt leaves what is in braces alone.
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
    [statsd] user = "", config!(user: Account),
        "after binding, become this user (name or number); its commands then cannot use sudo or setuid programs; empty = stay";
    [statsd] group = "", config!(group: Account),
        "empty = the user's own";

    [namespace] style = "legacy", each!(namespaces.style: STYLES),
        "legacy (Node's older names), modern (its newer), statsite";
    [namespace] global_prefix = "stats", each!(namespaces.global_prefix: AFFIX),
        "as all of these: at most 128 of A-Z, a-z, 0-9, _, - and .; statsite style: empty";
    [namespace] global_suffix = "", each!(namespaces.global_suffix: AFFIX),
        "";
    [namespace] host_suffix = "no", each!(namespaces.host_suffix: YES_NO),
        "yes: the host's short name, in place of global_suffix";
    [namespace] prefix_counter = "counters", each!(namespaces.prefix_counter: AFFIX),
        "statsite style: counts; the prefixes do nothing in legacy style";
    [namespace] prefix_timer = "timers", each!(namespaces.prefix_timer: AFFIX),
        "";
    [namespace] prefix_gauge = "gauges", each!(namespaces.prefix_gauge: AFFIX),
        "";
    [namespace] prefix_set = "sets", each!(namespaces.prefix_set: AFFIX),
        "";
    [namespace] prefix_kv = "kv", each!(namespaces.prefix_kv: AFFIX),
        "";
    [namespace] prefix_stats = "statsd", each!(namespaces.prefix_stats: NamePart(1..=128)),
        "the server's own figures; not empty";
    [namespace] flush_counts = "yes", each!(namespaces.flush_counts: YES_NO),
        "write a counter's count beside its rate; not for statsite style";
    [namespace] extended_counters = "no", each!(namespaces.extended_counters: YES_NO),
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

    [carbon] address = "127.0.0.1:2003", each!(carbons.address: Destination(2003)),
        "host[:port]; port 2003, or 2004 for pickle; empty = off";
    [carbon] protocol = "plaintext", each!(carbons.protocol: PROTOCOLS),
        "plaintext, pickle";
    [carbon] pickle_batch = "500", each!(carbons.pickle_batch: Count(1..=10_000)),
        "points of a message, at most 10000; none is over 1 MiB, which is all that carbon takes";
    [carbon] connect_timeout = "5s", each!(carbons.connect_timeout: SOME_MS),
        "";
    [carbon] write_timeout = "30s", each!(carbons.write_timeout: SILENCE),
        "unacknowledged bytes and no sign of life for this long: the connection is broken; at least 2s";
    [carbon] reconnect_min = "100ms", each!(carbons.reconnect_min: Span(Duration::from_millis(1))),
        "first retry; doubles up to reconnect_max, with jitter";
    [carbon] reconnect_max = "30s", each!(carbons.reconnect_max: Span(Duration::from_millis(1))),
        "at least reconnect_min";
    [carbon] queue = "64m", each!(carbons.queue: Size(MIB..=MOST_MEMORY)),
        "what may wait or be retained in memory; at least 1m";
    [carbon] resend = "flush", each!(carbons.resend: RESENDS),
        "after a broken connection: flush (the retained flushes), unacked, none (for carbon-aggregator)";
    [carbon] resend_keep = "2", each!(carbons.resend_keep: Count(1..=100)),
        "delivered flushes retained for that, at most 100";
    [carbon] namespace = "", each!(carbons.namespace: NamePart(0..=64)),
        "NAME of the [namespace.NAME] it is sent; empty = [namespace]";

    [influxdb] address = "", each!(influxdbs.address: Destination(8086)),
        "host[:port]; port 8086 for http, 8089 for udp; empty = off";
    [influxdb] protocol = "http", each!(influxdbs.protocol: OVER),
        "http, udp; the next three, the timeouts and resend are for http";
    [influxdb] database = "statsd", each!(influxdbs.database: Printable(1..=128, "")),
        "it has to exist; for udp InfluxDB's own configuration says which";
    [influxdb] username = "", each!(influxdbs.username: Printable(0..=128, ":")),
        "empty = none is sent";
    [influxdb] password = "", each!(influxdbs.password: Printable(0..=128, "")),
        "shown by --print-config as it is; keep this file to yourself";
    [influxdb] connect_timeout = "5s", each!(influxdbs.connect_timeout: SOME_MS),
        "";
    [influxdb] write_timeout = "30s", each!(influxdbs.write_timeout: SILENCE),
        "time to write a request, and the same again to receive its whole answer; a late one is sent again; at least 2s";
    [influxdb] reconnect_min = "100ms", each!(influxdbs.reconnect_min: Span(Duration::from_millis(1))),
        "first retry, of what is answered with an error too; doubles up to reconnect_max, with jitter";
    [influxdb] reconnect_max = "30s", each!(influxdbs.reconnect_max: Span(Duration::from_millis(1))),
        "at least reconnect_min";
    [influxdb] queue = "64m", each!(influxdbs.queue: Size(MIB..=MOST_MEMORY)),
        "what may wait or be retained in memory; at least 1m";
    [influxdb] resend = "unacked", each!(influxdbs.resend: RESENDS),
        "after a broken connection: flush (the retained flushes), unacked, none";
    [influxdb] resend_keep = "2", each!(influxdbs.resend_keep: Count(1..=100)),
        "as for carbon, with resend = flush";
    [influxdb] namespace = "", each!(influxdbs.namespace: NamePart(0..=64)),
        "as for carbon";

    [ganglia] address = "", each!(ganglias.address: Destination(8649)),
        "host[:port] of a gmond that takes metrics by UDP; port 8649; empty = off";
    [ganglia] spoof = "statsd:statsd", each!(ganglias.spoof: Spoof),
        "the host that the metrics are said to be of, as address:name";
    [ganglia] prefix = "", each!(ganglias.prefix: AFFIX),
        "stands before each name";
    [ganglia] max_name_length = "100", each!(ganglias.max_name_length: Count(1..=300)),
        "bytes, at most 300; what has a longer name is left out, and counted as points_refused";

    [repeater] address = "", each!(repeaters.address: Destination(8125)),
        "host[:port] of another StatsD server, which every packet goes on to; port 8125; empty = off";
    [repeater] protocol = "udp", each!(repeaters.protocol: CARRIAGES),
        "udp, tcp";

    [spool] dir = "", config!(spool.dir: FilePath),
        "folder for what does not fit a destination's queue or is undelivered at a stop; it must be this user's own; empty = off";
    [spool] max_size = "1g", config!(spool.max_size: Size(MIB..=MOST_MEMORY)),
        "of all destinations together, each has an equal part; at least 1m";

    [console] enabled = "no", config!(console.enabled: YES_NO),
        "print each flush to standard output";
    [console] format = "text", config!(console.format: LAYOUTS),
        "text (name value timestamp), json (an object a line)";
    [console] namespace = "", config!(console.namespace: NamePart(0..=64)),
        "as for carbon";

    [exec] command = "", each!(execs.command: CommandLine),
        "run by /bin/sh at each flush; reads name|value|timestamp lines; takes the whole rest of its line; sudo fails in it if [statsd] user is set; empty = off";
    [exec] timeout = "30s", each!(execs.timeout: SOME_MS),
        "it is killed when it takes longer";
    [exec] namespace = "", each!(execs.namespace: NamePart(0..=64)),
        "as for carbon";

    [key_flush] interval = "0", config!(key_flush.interval: SpanOrNever),
        "log the most frequent names this often; 0 = off";
    [key_flush] percent = "100", config!(key_flush.percent: Count(1..=100)),
        "so many of the names, of at most 10000";
    [key_flush] log = "", config!(key_flush.log: FilePath),
        "a file to append to, a FIFO, /dev/stdout or /dev/stderr; empty = the log";
}

pub(super) const TIMER_METRICS_WANTED: List<Choice<TimerMetric>> = List(Choice(&TIMER_METRICS));

/// A list on the outside, a set on the inside: the parser asks for one dialect at a time.
struct TagFormats;

const DIALECTS: List<Choice<Dialect>> = List(Choice(&[
    ("dogstatsd", Dialect::Dogstatsd),
    ("graphite", Dialect::Graphite),
    ("influx", Dialect::Influx),
    ("librato", Dialect::Librato),
    ("signalfx", Dialect::Signalfx),
]));

impl Kind<Dialects> for TagFormats {
    fn read(&self, text: &str) -> Result<Dialects, String> {
        DIALECTS.read(text).map(Dialects::from_iter)
    }

    fn show(&self, dialects: &Dialects) -> String {
        DIALECTS.show(&Dialect::ALL.into_iter().filter(|dialect| dialects.has(*dialect)).collect())
    }
}

#[cfg(test)]
mod tests;
