//! Warnings about keys that have no effect because of another key, such as those that the chosen
//! style does not use. Pure.
//!
//! A key is reported only if the file sets it to another value than its default. So a file may list
//! every key, as the example does.

use super::context::Lint;
use crate::config::defaults::with_all_sections;
use crate::config::destination::{
    ApiVersion, Destination, DestinationKind, Influxdb, Protocol, Resend,
};
use crate::config::keys::keys_of;
use crate::config::model::Config;
use crate::config::sections::indices;
use crate::encode::namespace::{Namespace, Style};

/// Keys that have no effect unless a condition holds.
struct IdleKeys {
    section: &'static str,
    keys: &'static [&'static str],
    /// Whether the keys have an effect in the section with this index.
    is_used: fn(&Config, usize) -> bool,
    reason: &'static str,
    remedy: &'static str,
}

const IDLE: &[IdleKeys] = &[
    IdleKeys {
        section: "namespace",
        keys: &[
            "global_prefix",
            "prefix_counter",
            "prefix_timer",
            "prefix_gauge",
            "prefix_set",
            "prefix_kv",
        ],
        is_used: |config, at| style(config, at) != Style::Legacy,
        reason: "legacy style does not use this key, its names begin with stats and stats_counts",
        remedy: "write style = modern, or remove the key",
    },
    IdleKeys {
        section: "namespace",
        keys: &["extended_counters"],
        is_used: |config, at| style(config, at) == Style::Statsite,
        reason: "only statsite style uses this key",
        remedy: "write style = statsite, or remove the key",
    },
    IdleKeys {
        section: "namespace",
        keys: &["flush_counts"],
        is_used: |config, at| style(config, at) != Style::Statsite,
        reason: "statsite style always sends counts",
        remedy: "remove the key",
    },
    IdleKeys {
        section: "namespace",
        keys: &["global_suffix"],
        is_used: |config, at| !config.namespaces[at].host_suffix,
        reason: "host_suffix = yes replaces it by the name of the host",
        remedy: "remove global_suffix or host_suffix",
    },
    IdleKeys {
        section: "statsd",
        keys: &["gauge_ttl"],
        is_used: |config, _| deletes_gauges(config),
        reason: "idle gauges are not deleted, so they are sent for ever",
        remedy: "write delete_gauges = yes, or remove gauge_ttl",
    },
    IdleKeys {
        section: "statsd",
        keys: &["state_interval"],
        is_used: |config, _| config.state.file.is_some(),
        reason: "there is no state_file to save to",
        remedy: "set state_file, or remove the key",
    },
    IdleKeys {
        section: "statsd",
        keys: &["dump_messages"],
        is_used: |config, _| config.log_level >= log::LevelFilter::Info,
        reason: "received lines are logged at level info, and log_level hides them",
        remedy: "write log_level = info, or dump_messages = no",
    },
    IdleKeys {
        section: "key_flush",
        keys: &["interval"],
        is_used: |config, _| {
            config.key_flush.log.is_some() || config.log_level >= log::LevelFilter::Info
        },
        reason: "frequent names are logged at level info, and log_level hides them",
        remedy: "set log in [key_flush] to a file, or write log_level = info",
    },
    IdleKeys {
        section: "tcp",
        keys: &["allow_from"],
        is_used: |config, _| !config.tcp.bind.is_empty(),
        reason: "bind is empty, so the server does not listen there",
        remedy: "set bind, or remove the key",
    },
    IdleKeys {
        section: "udp",
        keys: &["allow_from", "recv_buffer"],
        // Unix datagram sockets get the receive buffer, too.
        is_used: |config, _| !config.udp.bind.is_empty() || config.unix.datagram.is_some(),
        reason: "bind is empty, so the server does not listen there",
        remedy: "set bind, or remove the key",
    },
    IdleKeys {
        section: "admin",
        keys: &[
            "allow_from",
            "health",
            "history",
            "history_memory",
            "hosts",
            "http",
            "idle_timeout",
            "max_connections",
            "metrics",
        ],
        is_used: |config, _| !config.admin.bind.is_empty(),
        reason: "bind is empty, so there is no admin port",
        remedy: "set bind, or remove the key",
    },
    IdleKeys {
        section: "admin",
        keys: &["hosts", "metrics"],
        is_used: |config, _| config.admin.http || config.admin.bind.is_empty(),
        reason: "http is no, so the port answers no HTTP",
        remedy: "write http = yes, or remove the key",
    },
    IdleKeys {
        section: "unix",
        keys: &["mode"],
        is_used: |config, _| config.unix.stream.is_some() || config.unix.datagram.is_some(),
        reason: "neither stream nor datagram is set, so there is no socket",
        remedy: "set stream or datagram, or remove the key",
    },
    IdleKeys {
        section: "spool",
        keys: &["dir"],
        is_used: |config, _| config.active_destinations().any(|to| to.spooled_format().is_some()),
        reason: "only [carbon] and [influxdb] have a spool, and none of them is on",
        remedy: "set the address of one, or remove dir",
    },
    IdleKeys {
        section: "carbon",
        keys: &["pickle_batch"],
        is_used: |config, at| match &config.destinations[at].kind {
            DestinationKind::Carbon(carbon) => carbon.protocol == Protocol::Pickle,
            _ => true,
        },
        reason: "the protocol is plaintext, which has no batches",
        remedy: "write protocol = pickle, or remove the key",
    },
    IdleKeys {
        section: "carbon",
        keys: &["resend_keep"],
        is_used: |config, at| retains(&config.destinations[at]),
        reason: "delivered flushes are retained only with resend = flush",
        remedy: "write resend = flush, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["resend_keep"],
        is_used: |config, at| retains(&config.destinations[at]) || is_udp(config, at),
        reason: "delivered flushes are retained only with resend = flush",
        remedy: "write resend = flush, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &[
            "version",
            "database",
            "username",
            "password",
            "password_file",
            "org",
            "bucket",
            "token",
            "token_file",
            "resend",
            "resend_keep",
            "connect_timeout",
            "write_timeout",
        ],
        is_used: |config, at| !is_udp(config, at),
        reason: "it is of HTTP, and the protocol is udp",
        remedy: "write protocol = http, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["password", "password_file"],
        is_used: |config, at| of_influxdb(config, at, |to| !to.username.is_empty()),
        reason: "username is empty, so requests carry no account",
        remedy: "set username, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["database", "username", "password", "password_file"],
        is_used: |config, at| of_influxdb(config, at, |to| to.version == ApiVersion::V1),
        reason: "it is of version = 1",
        remedy: "use bucket, org and token, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["org", "bucket", "token", "token_file"],
        is_used: |config, at| of_influxdb(config, at, |to| to.version == ApiVersion::V2),
        reason: "it is of version = 2",
        remedy: "write version = 2, or remove the key",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["password"],
        is_used: |config, at| of_influxdb(config, at, |to| to.password.file.is_none()),
        reason: "password_file replaces it",
        remedy: "remove one of the two keys",
    },
    IdleKeys {
        section: "influxdb",
        keys: &["token"],
        is_used: |config, at| of_influxdb(config, at, |to| to.token.file.is_none()),
        reason: "token_file replaces it",
        remedy: "remove one of the two keys",
    },
];

/// Sections that are off until a key is set, and what they are then.
const SWITCHES: [(&str, &str, &str); 7] = [
    ("influxdb", "address", "write address = host:8086"),
    ("ganglia", "address", "write address = host:8649"),
    ("repeater", "address", "write address = host:8125"),
    ("exec", "command", "set command"),
    ("console", "enabled", "write enabled = yes"),
    ("spool", "dir", "set dir to a folder"),
    ("key_flush", "interval", "set interval, such as 1m"),
];

pub(super) fn check(lint: &mut Lint<'_>) {
    let defaults = with_all_sections();
    let passed: Vec<_> = lint.surroundings.passed.iter().map(|socket| socket.section).collect();
    for IdleKeys { section, keys, is_used, reason, remedy } in IDLE {
        if passed.contains(section) {
            continue; // a socket that was passed in takes the place of `bind`
        }
        let usual = indices(section, &defaults)[0].1;
        for (header, at) in indices(section, lint.config) {
            let idle = keys_of(section).filter(|key| keys.contains(&key.name));
            for key in idle.filter(|_| !is_used(lint.config, at)) {
                let is_default = key.is_same((lint.config, at), (&defaults, usual));
                if !is_default && lint.gives(&header, key.name) {
                    lint.warn(&header, key.name, *reason, *remedy);
                }
            }
        }
    }
    for (section, switch, remedy) in SWITCHES {
        let given = lint.given.section(section);
        let is_off =
            given.is_some_and(|given| !given.entries.is_empty() && given.entry(switch).is_none());
        if is_off {
            let reason = format!("{switch} is not set, so the whole section has no effect");
            lint.warn(section, "", reason, format!("{remedy}, or remove the section"));
        }
    }
}

fn style(config: &Config, at: usize) -> Style {
    let Namespace { style, .. } = config.namespaces[at];
    style
}

/// Whether a gauge of any name is deleted when it is idle.
fn deletes_gauges(config: &Config) -> bool {
    let base = &config.rules.base;
    base.delete_gauges.unwrap_or(base.delete_idle)
        || config.rules.rules.iter().any(|rule| rule.delete_idle == Some(true))
}

fn retains(to: &Destination) -> bool {
    to.queue.resend == Resend::Flush
}

fn is_udp(config: &Config, at: usize) -> bool {
    config.destinations[at].is_udp()
}

/// Whether an InfluxDB uses a key of HTTP. One over UDP has a warning of its own for each of them.
fn of_influxdb(config: &Config, at: usize, uses: fn(&Influxdb) -> bool) -> bool {
    match &config.destinations[at].kind {
        DestinationKind::Influxdb(influxdb) => is_udp(config, at) || uses(influxdb),
        _ => true,
    }
}
