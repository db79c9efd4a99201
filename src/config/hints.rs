//! Suggests which section, key or name was meant by an unknown one. Pure.
//!
//! Many operators write keys of Node StatsD, statsite or telegraf, or a word that is common in
//! other programs, such as `port`. Each of these names has its own hint, because the most similar
//! key of this server is often a wrong suggestion.

use super::keys::KEYS;
use super::sections::{RULE, SECTIONS};
use crate::nearest::nearest;

/// Returns the message for a section that does not exist. `section` is its name up to the first
/// dot, and `suffix` is the dot and the rest of the name. A suggestion is taken from `kinds`.
pub(super) fn unknown_section(section: &str, suffix: &str, kinds: &[&'static str]) -> String {
    let [found, shown] = [section, suffix].map(str::escape_debug);
    let hint = match (nearest(section, kinds.iter().copied()), hint(SECTION_HINTS, section)) {
        (Some(kind), _) => format!("did you mean [{kind}{shown}]?"),
        (None, Some(known)) => known.into(),
        (None, None) => format!("expected one of {}", SECTIONS.join(", ")),
    };
    format!("[{found}{shown}]: no such section; {hint}")
}

/// Returns the message for a key that its section does not have. `section` is the kind of the
/// section, and `names` are the keys that it has. If none of them is similar, but another section
/// has the key, the message names that section.
pub(super) fn unknown_key(section: &str, names: &[&'static str], name: &str) -> String {
    let elsewhere = KEYS.iter().find(|key| key.name == name).map(|key| key.uses[0].section);
    // If the name is a key of another section of this server, that key is probably meant, even if
    // another program has a key of the same name.
    let foreign = || hint(FOREIGN_KEYS, name).filter(|_| elsewhere.is_none());
    let known = word_hint(section, name).or_else(foreign);
    let near = nearest(name, names.iter().copied());
    let hint = match (known, near, elsewhere) {
        (Some(hint), ..) => hint.into(),
        (None, Some(near), _) => format!("did you mean {near}?"),
        (None, None, Some(section)) => format!("did you mean to give it in [{section}]?"),
        (None, None, None) => format!("expected one of {}", names.join(", ")),
    };
    format!("no such key; {hint}")
}

/// Returns the hint for a word in a section. `port` means something else in `[carbon]` than in
/// `[udp]`.
fn word_hint(section: &str, name: &str) -> Option<&'static str> {
    let mut of_section = SECTION_WORDS.iter().filter(|(sections, _)| sections.contains(&section));
    of_section.find_map(|(_, hints)| hint(hints, name))
}

/// Returns the hint for a name, whatever its case, `_` and `-`: `graphiteHost` is `graphite_host`.
fn hint(hints: Hints, name: &str) -> Option<&'static str> {
    let bare = |name: &str| {
        let letters = name.chars().filter(|letter| !"_-".contains(*letter));
        letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>()
    };
    let wanted = bare(name);
    let is_one = |names: &str| names.split(' ').any(|known| bare(known) == wanted);
    hints.iter().find(|(names, _)| is_one(names)).map(|&(_, hint)| hint)
}

/// Names, separated by spaces, and the hint for all of them.
type Hints = &'static [(&'static str, &'static str)];

/// What other configurations call a section.
const SECTION_HINTS: Hints = &[
    ("graphite graphitehost relay", "did you mean [carbon]?"),
    ("server servers listener listeners socket input inputs", "use [udp], [tcp] or [unix]"),
    (
        "backend backends output outputs sink sinks destination",
        "each destination has a section: [carbon], [influxdb], [ganglia], [exec], [console]",
    ),
    (
        "global general main default defaults common settings log logging percentiles flush daemon",
        "did you mean [statsd]?",
    ),
    ("mgmt management health", "did you mean [admin]?"),
    ("histogram histograms rules", "use histogram in a [rule.NAME]"),
    ("stdout print debug", "did you mean [console]?"),
    ("gmond gmetric", "did you mean [ganglia]?"),
    ("command script stream", "did you mean [exec]?"),
    ("repeat proxy forward mirror", "did you mean [repeater]?"),
    ("prefix names", "did you mean [namespace]?"),
    ("queue buffer disk", "use queue of a destination, and [spool]"),
    ("memory", "did you mean [limits]?"),
];

/// Words that most programs have for a thing, by the kinds of sections that they are found in.
const SECTION_WORDS: &[(&[&str], Hints)] = &[
    (
        &["carbon", "influxdb", "ganglia", "repeater"],
        &[
            (
                "host hostname server servers ip port url urls uri endpoint target destination remote \
          graphite_host graphite_port graphite_pickle_port bind",
                "use address = host:port",
            ),
            ("enabled enable disabled", "an empty address turns the section off"),
        ],
    ),
    (
        &["carbon", "influxdb"],
        &[
            ("timeout", "use connect_timeout or write_timeout"),
            (
                "retry retries retry_interval reconnect reconnect_interval backoff interval",
                "use reconnect_min and reconnect_max",
            ),
            ("buffer buffer_size queue_size max_queue max_queue_size memory max_size", "use queue"),
            (
                "batch batch_size max_batch",
                "chunks have a fixed size; [carbon] pickle_batch is for pickle",
            ),
            ("prefix suffix style", "use [namespace] global_prefix, global_suffix and style"),
        ],
    ),
    (
        &["repeater"],
        &[(
            "timeout buffer buffer_size queue queue_size",
            "the repeater has a queue of a fixed size",
        )],
    ),
    (
        &["influxdb"],
        &[
            ("db name", "did you mean database?"),
            ("user", "did you mean username?"),
            ("pass passwd", "did you mean password?"),
            (
                "precision retention_policy rp",
                "leave it out: times are in nanoseconds, and points go to the default policy",
            ),
            ("organization organisation", "did you mean org?"),
            ("api_token auth_token", "did you mean token?"),
        ],
    ),
    (
        &["exec"],
        &[
            ("cmd path program script exec run", "did you mean command?"),
            ("enabled enable disabled", "an empty command turns the section off"),
            ("format binary", "a command gets lines of name|value|timestamp"),
            ("interval", "a command runs once a flush; see [statsd] flush_interval"),
        ],
    ),
    (
        &["udp", "tcp", "admin"],
        &[
            (
                "host hostname ip port address listen listener bind_address address_ipv6 service_address",
                "use bind = address:port, such as *:8125 or 127.0.0.1:8125",
            ),
            ("enabled enable disabled", "an empty bind turns the section off"),
            ("buffer buffer_size rcvbuf", "the receive buffer is [udp] recv_buffer"),
            ("allow allowed whitelist", "did you mean allow_from?"),
            ("timeout", "use idle_timeout"),
            ("connections", "use max_connections"),
        ],
    ),
    (
        &["unix"],
        &[
            ("socket path file bind address listen", "use datagram = PATH or stream = PATH"),
            ("enabled enable disabled", "an empty path turns a socket off"),
            ("permissions perm", "did you mean mode?"),
            ("allow_from", "the key mode has the permissions of the sockets"),
        ],
    ),
    (
        &["console"],
        &[
            ("prettyprint json", "use format = text or format = json"),
            ("enable on", "did you mean enabled?"),
        ],
    ),
    (
        &["spool"],
        &[
            ("path directory folder file", "did you mean dir?"),
            ("size limit", "did you mean max_size?"),
            ("enabled enable", "an empty dir turns the spool off"),
        ],
    ),
    (
        &["namespace"],
        &[
            ("prefix", "did you mean global_prefix?"),
            ("suffix", "did you mean global_suffix?"),
            ("host hostname", "use host_suffix = yes or global_suffix"),
        ],
    ),
    (
        &["key_flush"],
        &[("file path", "did you mean log?"), ("enabled enable", "an interval of 0 turns it off")],
    ),
    (
        &["limits"],
        &[
            ("memory", "did you mean max_memory?"),
            ("max_connections", "use [tcp] max_connections or [admin] max_connections"),
        ],
    ),
    (
        &["statsd"],
        &[
            (
                "flushInterval",
                "did you mean flush_interval? Node counts in milliseconds, so write a unit: 10s",
            ),
            ("interval flush period", "use flush_interval = 10s"),
            ("percent percentile", "did you mean percentiles?"),
            ("level loglevel verbose verbosity", "did you mean log_level?"),
            ("log log_file logfile", "the log goes to standard error; its form is log_format"),
            (
                "host port address ip bind listen",
                "use [udp] bind and [tcp] bind, or [carbon] address for where to send",
            ),
            ("state", "did you mean state_file?"),
            ("spool", "use [spool] dir"),
            ("max_connections", "use [tcp] max_connections or [admin] max_connections"),
            ("prefix suffix namespace", "use [namespace] global_prefix, global_suffix and style"),
            ("protocol", "use [udp] bind and [tcp] bind, or [carbon] protocol for what is sent"),
            ("uid", "did you mean user?"),
            ("gid", "did you mean group?"),
        ],
    ),
    (
        &[
            "carbon",
            "influxdb",
            "ganglia",
            "repeater",
            "exec",
            "console",
            "udp",
            "tcp",
            "unix",
            "admin",
            "spool",
            "limits",
            "namespace",
            "statsd",
            "key_flush",
        ],
        &[("match drop histogram bins signed_gauges", "use it in a [rule.NAME]")],
    ),
    (
        &[RULE],
        &[
            ("pattern names metric prefix glob", "use match = PATTERN, such as match = api.**"),
            ("regex regexp match_type", "use match_regex"),
            ("label labels tag add_tags", "use tags = KEY=VALUE, such as tags = host=$1"),
            ("rename new_name template", "use name = NAME, such as name = api.$1"),
            ("tagexclude tagdrop exclude_tags", "use drop_tags"),
            ("taginclude tagpass include_tags", "use keep_tags"),
            ("rename_tags", "use rename_tag = OLD=NEW"),
            ("max_values max_cardinality tag_limit", "use max_tag_values"),
            ("bins buckets", "did you mean histogram?"),
            ("ignore discard deny blacklist", "use drop = yes"),
            ("min max width", "use histogram = min:max:width"),
            ("delete_counters delete_timers delete_gauges delete_sets", "use delete_idle"),
            ("flush_interval interval", "all names have [statsd] flush_interval"),
        ],
    ),
];

/// Keys of Node StatsD, of statsite and of telegraf's statsd input. docs/migrating.md has the same
/// keys, and a test compares the two.
const FOREIGN_KEYS: Hints = &[
    // Node
    ("graphiteHost graphitePort graphitePicklePort", "use [carbon] address = host:port"),
    ("graphiteProtocol", "use [carbon] protocol"),
    (
        "backends backend",
        "each destination has a section, such as [carbon]; use [console] enabled = yes",
    ),
    ("servers server", "use [udp] bind, [tcp] bind and [unix] stream"),
    ("debug", "use [statsd] log_level = debug"),
    ("healthStatus", "use [admin] health"),
    ("dumpMessages", "use [statsd] dump_messages"),
    (
        "flushInterval",
        "use [statsd] flush_interval with a unit, such as 10s; Node counts in milliseconds",
    ),
    ("percentThreshold", "use [statsd] percentiles"),
    ("deleteIdleStats", "use [statsd] delete_idle"),
    ("deleteCounters", "use [statsd] delete_counters"),
    ("deleteTimers", "use [statsd] delete_timers"),
    ("deleteSets", "use [statsd] delete_sets"),
    ("deleteGauges", "use [statsd] delete_gauges"),
    ("gaugesMaxTTL", "use [statsd] gauge_ttl"),
    ("prefixStats", "use [namespace] prefix_stats"),
    ("keyNameSanitize sanitize_name_method", "use [statsd] sanitize_keys"),
    ("calculatedTimerMetrics timers_include", "use [statsd] timer_metrics"),
    ("automaticConfigReload", "the server reads the file again on SIGHUP"),
    ("mgmt_address mgmt_port", "use [admin] bind = address:port"),
    ("repeater", "use [repeater] address = host:port"),
    ("repeaterProtocol", "use [repeater] protocol"),
    ("histogram", "use it in a [rule.NAME]"),
    ("min max width", "use histogram = min:max:width in a [rule.NAME]"),
    ("keyFlush", "use [key_flush] interval, percent and log"),
    ("prettyprint", "use [console] format = text or json"),
    ("legacyNamespace", "use [namespace] style = legacy or modern"),
    ("globalPrefix", "use [namespace] global_prefix"),
    ("globalSuffix", "use [namespace] global_suffix or host_suffix"),
    ("prefixCounter counts_prefix", "use [namespace] prefix_counter"),
    ("prefixTimer timers_prefix", "use [namespace] prefix_timer"),
    ("prefixGauge gauges_prefix", "use [namespace] prefix_gauge"),
    ("prefixSet sets_prefix", "use [namespace] prefix_set"),
    ("socket", "use [unix] stream"),
    ("socket_mod", "use [unix] mode"),
    ("address_ipv6", "*:8125 in [udp] bind and [tcp] bind is IPv6 and IPv4"),
    ("title", "there is no such setting; the process is called statsd"),
    // statsite
    ("port tcp_port", "use [tcp] bind, such as *:8125"),
    ("udp_port", "use [udp] bind, such as *:8125"),
    ("udp_rcvbuf read_buffer_size allowed_pending_messages", "use [udp] recv_buffer"),
    ("bind_address service_address", "use [udp] bind and [tcp] bind, such as *:8125"),
    ("parse_stdin", "run statsd --stdin"),
    ("timer_eps", "use [statsd] timer_error"),
    ("set_eps", "use [statsd] set_error"),
    ("stream_cmd", "use [exec] command"),
    ("binary_stream", "use [exec] binary_stream = yes"),
    ("prefix_binary_stream", "use [exec] binary_stream = prefixed"),
    ("aligned_flush", "use [statsd] align_flush"),
    ("quantiles", "use [statsd] percentiles, in percent: 0.95 is 95"),
    ("use_type_prefix", "use [namespace] prefix_counter and the other prefixes, without a value"),
    ("kv_prefix", "use [namespace] prefix_kv"),
    ("input_counter", "the own figure metrics_received is always sent"),
    ("daemonize pid_file", "run the server under systemd, or with & in the shell"),
    ("log_facility application", "the log goes to standard error, which systemd keeps"),
    // telegraf
    ("max_tcp_connections", "use [tcp] max_connections"),
    ("delete_timings", "use [statsd] delete_timers"),
    ("percentile_limit", "use [statsd] timer_exact"),
    ("datadog_extensions parse_data_dog_tags", "use [statsd] tag_formats"),
    ("max_ttl", "use [statsd] expire"),
    ("templates", "use match, name and tags of a [rule.NAME]"),
    (
        "legacy_extended_counters extended_counters_include tcp_keep_alive tcp_keep_alive_period \
         enable_aggregation_temporality metric_separator convert_names datadog_distributions \
         datadog_keep_container_tag number_workers_threads float_counters float_timings \
         float_sets",
        "there is no such setting; docs/migrating.md has the reason",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::keys::keys_of;
    use super::super::parse::tests::mistakes;
    use super::*;

    /// All hints for keys.
    fn key_hints() -> impl Iterator<Item = (&'static str, &'static str)> {
        let of_sections = SECTION_WORDS.iter().flat_map(|(_, hints)| hints.iter());
        of_sections.chain(FOREIGN_KEYS).copied()
    }

    #[test]
    fn keys_of_other_programs_have_a_hint() {
        for (text, expected) in [
            ("[carbon]\nhost = graphite", "use address = host:port"),
            ("[carbon]\nport = 2003", "use address = host:port"),
            ("[carbon]\ngraphiteHost = g", "use address = host:port"),
            ("[statsd]\ngraphite_host = g", "use [carbon] address = host:port"),
            ("[repeater]\nhostname = a", "use address = host:port"),
            ("[influxdb]\nurl = http://a", "use address = host:port"),
            ("[influxdb]\nprefix = a", "use [namespace] global_prefix"),
            ("[carbon]\nenabled = yes", "an empty address turns the section off"),
            ("[udp]\nport = 8125", "use bind = address:port"),
            ("[admin]\naddress = 127.0.0.1", "use bind = address:port"),
            ("[udp]\nservice_address = :8125", "use bind = address:port"),
            ("[unix]\nsocket = /run/s", "use datagram = PATH or stream = PATH"),
            ("[spool]\npath = /var", "did you mean dir?"),
            (
                "[statsd]\nflushInterval = 10000",
                "did you mean flush_interval? Node counts in milliseconds",
            ),
            ("[statsd]\npercentThreshold = 90", "use [statsd] percentiles"),
            ("[statsd]\nquantiles = 0.95", "in percent: 0.95 is 95"),
            ("[statsd]\nport = 8125", "use [udp] bind and [tcp] bind, or [carbon] address"),
            ("[statsd]\nstream_cmd = cat", "use [exec] command"),
            ("[statsd]\nhistogram = 1, 2", "use it in a [rule.NAME]"),
            ("[tcp]\nmatch = a", "use it in a [rule.NAME]"),
            ("[rule.a]\nmatch = a\nbins = 1", "did you mean histogram?"),
            ("[graphite]", "did you mean [carbon]?"),
            ("[servers]", "use [udp], [tcp] or [unix]"),
            ("[log]", "did you mean [statsd]?"),
            ("[histogram_api]", "expected one of statsd"),
        ] {
            let found = mistakes(text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn each_hint_names_keys_that_exist() {
        for (names, hint) in key_hints() {
            let mut rest = hint;
            while let Some((_, after)) = rest.split_once('[') {
                let (section, words) = after.split_once(']').unwrap();
                let key = words
                    .trim_start()
                    .split(|letter: char| !(letter == '_' || letter.is_ascii_alphanumeric()))
                    .next()
                    .unwrap();
                let is_known =
                    section == "rule.NAME" || keys_of(section).any(|known| known.name == key);
                assert!(
                    is_known || key.is_empty() && SECTIONS.contains(&section),
                    "{names}: {hint}"
                );
                rest = words;
            }
        }
    }

    #[test]
    fn a_name_has_one_hint() {
        let mut all: Vec<_> = FOREIGN_KEYS.iter().flat_map(|(names, _)| names.split(' ')).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
