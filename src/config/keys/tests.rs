//! The table of keys against itself.

use super::*;
use crate::config::defaults::with_all_sections;
use crate::config::sections::{SECTIONS, indices};

#[test]
fn every_key_stands_in_a_section_and_no_section_is_empty() {
    for used in KEYS.iter().flat_map(|key| key.uses) {
        assert!(SECTIONS.contains(&used.section), "{}", used.section);
    }
    for section in SECTIONS {
        assert!(keys_of(section).count() > 0, "{section}");
    }
}

#[test]
fn defaults_are_written_as_they_are_shown() {
    let config = with_all_sections();
    for section in SECTIONS {
        for (header, at) in indices(section, &config) {
            assert_eq!(header, section);
            for key in keys_of(section) {
                let default = key.default_in(section);
                assert_eq!(key.get(&config, at), default, "[{section}] {}", key.name);
            }
        }
    }
}

/// Shows that `max_memory` can set each key that is derived from it, and sets that key alone.
#[test]
fn derived_keys_are_numbers() {
    let defaults = with_all_sections();
    for key in KEYS.iter().filter(|key| key.is_derived()) {
        for used in key.uses {
            let (_, at) = indices(used.section, &defaults).remove(0);
            let mut config = defaults.clone();
            *key.number_mut(&mut config, at).unwrap() = 3 << 20;
            assert_eq!(key.number(&config, at), Some(3 << 20), "{}", key.name);
            assert!(["3m", "3145728"].contains(&&*key.get(&config, at)), "{}", key.name);
        }
    }
}

#[test]
fn levels_have_the_names_of_syslog_and_of_node() {
    let mut config = with_all_sections();
    let key = keys_of("statsd").find(|key| key.name == "log_level").unwrap();
    for (text, shown) in [
        ("LOG_EMERG", "error"),
        ("LOG_ALERT", "error"),
        ("LOG_CRIT", "error"),
        ("LOG_ERR", "error"),
        ("LOG_WARNING", "warn"),
        ("LOG_NOTICE", "info"),
        ("LOG_INFO", "info"),
        ("log_debug", "debug"),
        ("notice", "info"),
        ("alert", "error"),
        ("emerg", "error"),
        ("Warning", "warn"),
        ("crit", "error"),
    ] {
        assert_eq!(key.set(&mut config, 0, text), Ok(()), "{text}");
        assert_eq!(key.get(&config, 0), shown, "{text}");
    }
    let refused = key.set(&mut config, 0, "LOG_ALL").unwrap_err();
    assert_eq!(refused, "expected one of error, warn, info, debug, trace, not \"LOG_ALL\"");
}

#[test]
fn ranges_are_kept_at_both_ends() {
    let mut config = with_all_sections();
    let mut set = |section: &str, name: &str, text: &str| {
        let key = keys_of(section).find(|key| key.name == name).unwrap();
        let (_, at) = indices(section, &config).remove(0);
        key.set(&mut config, at, text).is_ok()
    };
    for (section, name, good, bad) in [
        ("statsd", "flush_interval", "1s", "999ms"),
        ("statsd", "tag_formats", "signalfx, librato", "graphite, statsd"),
        ("statsd", "packed_values", "timings", "yes"),
        ("statsd", "log_format", "json", "xml"),
        ("statsd", "log_level", "trace", "off"),
        ("statsd", "timer_exact", "1000000", "0"),
        ("statsd", "timer_memory", "64k", "63k"),
        ("statsd", "timer_metrics", "upper_percent, histogram", "upper_90"),
        ("statsd", "delete_gauges", "", "maybe"),
        ("statsd", "gauge_ttl", "1000000", "0"),
        ("limits", "evict_after", "0", "forever"),
        ("statsd", "timer_error", "0.001", "0.0009"),
        ("statsd", "set_exact", "1", "1000001"),
        ("statsd", "set_error", "0.2", "2e-1"),
        ("namespace", "prefix_stats", "s", ""),
        ("namespace", "style", "statsite", "graphite"),
        ("namespace", "prefix_set", "", "a/b"),
        ("udp", "recv_buffer", "1g", "1025m"),
        ("tcp", "max_connections", "60000", "60001"),
        ("tcp", "max_line", "64", "63"),
        ("tcp", "max_line", "1m", "1025k"),
        ("admin", "max_connections", "1024", "0"),
        ("admin", "history", "1d", "0"),
        ("admin", "history_memory", "0", "none"),
        ("admin", "idle_timeout", "never", "often"),
        ("limits", "max_key_length", "64k", "65537"),
        ("limits", "max_tags", "1000", "1001"),
        ("carbon", "queue", "1m", "1023k"),
        ("carbon", "resend", "unacked", "all"),
        ("carbon", "resend_keep", "100", "101"),
        ("spool", "max_size", "1m", "1023k"),
        ("spool", "dir", "/var/spool/statsd", "a#b"),
    ] {
        assert!(set(section, name, good), "[{section}] {name} = {good}");
        assert!(!set(section, name, bad), "[{section}] {name} = {bad}");
    }
}
