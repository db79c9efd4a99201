//! The configuration of telegraf: TOML, of which the input statsd and some outputs have equals.
//! Pure.

use super::old::OldSetting;
use super::transfer::{
    Move, Transfer, Without, affix, go_span, is_plain_name, join, listen_at, percentiles, same,
    yes_no,
};
use crate::config::ApiVersion;

const INPUT: &[Move] = &[
    ("interval", "statsd", "flush_interval", go_span),
    ("delete_gauges", "statsd", "delete_gauges", yes_no),
    ("percentile_limit", "statsd", "timer_exact", same),
    ("max_ttl", "statsd", "expire", go_span),
    ("max_tcp_connections", "tcp", "max_connections", same),
    ("read_buffer_size", "udp", "recv_buffer", same),
];

const INPUT_WITHOUT: &[Without] = &[
    ("delete_counters", "a count is always of one interval here"),
    ("delete_sets", "a set is always of one interval here"),
    ("delete_timings", "timers are always of one interval here"),
    ("tcp_keep_alive", "always on"),
    ("tcp_keep_alive_period", "the first probe comes after two minutes of silence"),
    ("enable_aggregation_temporality", "there is no such tag here"),
    ("metric_separator", "names keep their dots"),
    ("convert_names", "names keep their dots and dashes"),
    ("datadog_distributions", "the type d is always read, as a timer"),
    ("datadog_keep_container_tag", "c: sections are skipped"),
    ("templates", "write a [rule.NAME] with match, name and tags; see docs/rules.md"),
    ("allowed_pending_messages", "the kernel's buffer is [udp] recv_buffer"),
    ("number_workers_threads", "the server has one thread"),
    ("float_counters", "all fields of InfluxDB are floats here"),
    ("float_timings", "all fields of InfluxDB are floats here"),
    ("float_sets", "all fields of InfluxDB are floats here"),
    ("sanitize_name_method", "see [statsd] sanitize_keys; upstream is nearest to yes"),
];

const INFLUXDB: &[(&str, &str)] =
    &[("database", "database"), ("username", "username"), ("password", "password")];

const INFLUXDB_2: &[(&str, &str)] =
    &[("organization", "org"), ("bucket", "bucket"), ("token", "token")];

/// The reason for a setting of a table that has no equal.
pub(super) fn reason(path: &str) -> &'static str {
    let starts = |start: &str| path.starts_with(start);
    if starts("inputs.statsd") {
        "this server has no such setting"
    } else if starts("inputs.") {
        "this server has no inputs but StatsD; keep telegraf for them"
    } else if starts("outputs.influxdb") || starts("outputs.graphite") {
        "this server has no such setting for the destination"
    } else if starts("outputs.") {
        "there is no such destination; see [exec], or let telegraf read from this server"
    } else if starts("processors.") || starts("aggregators.") {
        "see docs/rules.md for what rules can do; keep telegraf for the rest"
    } else {
        "a setting of telegraf's agent, which has no part here"
    }
}

pub(super) fn transfer(to: &mut Transfer) {
    tags(to);
    if let Some(setting) = to.take("agent.debug") {
        let level = if setting.is_on() == Some(true) { "debug" } else { "info" };
        to.draft.set("statsd", "log_level", level, setting.origin());
    }
    let inputs = to.old.items("inputs.statsd");
    if inputs.first().is_some_and(|input| to.old.get(&join(input, "interval")).is_some()) {
        to.without("agent.interval", "the input has an interval of its own");
    }
    to.set("agent.interval", "statsd", "flush_interval", go_span);
    match inputs.split_first() {
        Some((first, rest)) => {
            input(to, first);
            for key in rest
                .iter()
                .flat_map(|path| {
                    to.old.keys(path).into_iter().map(|key| join(path, &key)).collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
            {
                to.without(&key, "only the first [[inputs.statsd]] was read; run a second server");
            }
        }
        None => to.draft.remark("The file has no settings of [[inputs.statsd]]"),
    }
    let names =
        "telegraf sends nothing for an idle series; its names differ: see docs/migrating.md";
    to.draft.set("statsd", "delete_idle", "yes", names);
    graphite(to);
    for prefix in to.old.items("outputs.influxdb") {
        influxdb(to, &prefix, ApiVersion::V1);
    }
    for prefix in to.old.items("outputs.influxdb_v2") {
        influxdb(to, &prefix, ApiVersion::V2);
    }
    for prefix in to.old.items("outputs.file") {
        let path = join(&prefix, "files");
        if to.old.get(&path).is_some_and(|files| files.words() == ["stdout"])
            && let Some(setting) = to.take(&path)
        {
            to.draft.set("console", "enabled", "yes", setting.origin());
        }
    }
}

/// telegraf adds the tags of the input, its global tags and the name of the host to every metric.
/// Of a tag that is given twice the first of these counts.
fn tags(to: &mut Transfer) {
    let mut tags = Vec::new();
    let mut origins = Vec::new();
    let inputs = to.old.items("inputs.statsd");
    let of_input = inputs.first().map_or_else(String::new, |input| join(input, "tags"));
    for table in [of_input.as_str(), "global_tags"] {
        for key in if table.is_empty() { Vec::new() } else { to.old.keys(table) } {
            let is_given = ![table, ""].contains(&of_input.as_str())
                && to.old.get(&join(&of_input, &key)).is_some();
            let Some(setting) = to.take(&join(table, &key)) else { continue };
            let origin = setting.origin();
            let value = setting.text();
            let tag = format!("{key}={value}");
            if is_given {
                to.draft.remark(format!("{origin}: the input has the same tag"));
            } else if value.contains(',') || value.is_empty() {
                to.draft.remark(format!("{origin}: a tag cannot have this value"));
            } else if to.draft.accepts("namespace", "tags", &tag, &origin) {
                tags.push(tag);
                origins.push(origin);
            }
        }
    }
    let [host, omits] = ["hostname", "omit_hostname"].map(|key| to.take(&join("agent", key)));
    if let Some(setting) = &omits {
        origins.push(setting.origin());
    }
    if omits.is_none_or(|setting| setting.is_on() != Some(true)) {
        let name = host.as_ref().map(OldSetting::text).filter(|name| !name.is_empty());
        let tag = format!("host={}", name.as_deref().unwrap_or("$HOST"));
        let origin = host.map_or_else(
            || "telegraf adds the name of the host".into(),
            |setting| setting.origin(),
        );
        if to.draft.accepts("namespace", "tags", &tag, &origin) {
            tags.push(tag);
            origins.push(origin);
        }
    } else if let Some(setting) = host {
        to.draft.remark(format!("{}: omit_hostname leaves it out", setting.origin()));
    }
    for origin in origins {
        to.draft.set("namespace", "tags", tags.join(", "), origin);
    }
}

fn input(to: &mut Transfer, prefix: &str) {
    let at = |key: &str| join(prefix, key);
    to.set_all(prefix, INPUT);
    match to.take(&at("percentiles")) {
        Some(setting) => match percentiles(&setting) {
            Some(value) => to.draft.set("statsd", "percentiles", value, setting.origin()),
            None => to.draft.remark(format!("{}: no percentiles", setting.origin())),
        },
        None => to.draft.set("statsd", "percentiles", "", "telegraf's default"),
    }
    let mut formats = vec!["influx".to_owned()];
    let mut reasons = vec!["telegraf reads tags after a comma".to_owned()];
    for key in ["datadog_extensions", "parse_data_dog_tags"] {
        let Some(setting) = to.take(&at(key)) else { continue };
        if setting.is_on() == Some(true) && formats.len() == 1 {
            formats.push("dogstatsd".into());
        }
        reasons.push(setting.origin());
    }
    for reason in reasons {
        to.draft.set("statsd", "tag_formats", formats.join(", "), reason);
    }
    let [protocol, address] = ["protocol", "service_address"].map(|key| to.take(&at(key)));
    let is_tcp = protocol.as_ref().is_some_and(|setting| setting.text().starts_with("tcp"));
    let (used, unused) = if is_tcp { ("tcp", "udp") } else { ("udp", "tcp") };
    let bind = match &address {
        Some(setting) => listen_at(setting).unwrap_or_else(|| setting.text()),
        None => "*:8125".into(),
    };
    for setting in [protocol, address].into_iter().flatten() {
        to.draft.set(used, "bind", bind.clone(), setting.origin());
    }
    to.draft.set(unused, "bind", "", "telegraf listens on one of UDP and TCP");
    to.without_all(prefix, INPUT_WITHOUT);
}

fn graphite(to: &mut Transfer) {
    let mut has_server = false;
    for prefix in to.old.items("outputs.graphite") {
        let Some(servers) = to.take(&join(&prefix, "servers")) else { continue };
        for (nth, server) in servers.words().iter().enumerate() {
            if nth > 0 {
                let remark = "telegraf sends to one of its servers; this server sends to the first";
                to.draft.remark(format!("{}: {remark}", servers.origin()));
                break;
            }
            let header = to.draft.header("carbon", "graphite");
            to.draft.set(&header, "address", server.clone(), servers.origin());
            has_server = true;
            to.set(&join(&prefix, "timeout"), &header, "write_timeout", seconds_or_span);
        }
        if let Some(setting) = to.take(&join(&prefix, "prefix")) {
            to.draft.set("namespace", "style", "modern", setting.origin());
            let value = affix(&setting).unwrap_or_default();
            to.draft.set("namespace", "global_prefix", value, setting.origin());
        }
    }
    if !has_server {
        to.draft.set("carbon", "address", "", "the file has no output to Graphite");
    }
}

fn influxdb(to: &mut Transfer, prefix: &str, version: ApiVersion) {
    let urls = to.take(&join(prefix, "urls")).or_else(|| to.take(&join(prefix, "url")));
    let header = to.draft.header("influxdb", "telegraf");
    let (text, origin) = match &urls {
        Some(setting) => (setting.words().first().cloned().unwrap_or_default(), setting.origin()),
        None => (String::new(), "the output's default is http://127.0.0.1:8086".into()),
    };
    let text = if urls.is_none() { "http://127.0.0.1:8086" } else { text.as_str() };
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let address = rest.split('/').next().unwrap_or_default();
    let refused = match scheme {
        "http" | "udp" => None,
        "https" => Some("this server has no TLS; put a proxy beside it"),
        _ => Some("this server writes over HTTP and UDP only; name a port of InfluxDB"),
    };
    if let Some(remark) = refused {
        to.draft.remark(format!("{origin}: left out: {remark}"));
        for key in to.old.keys(prefix) {
            to.without(&join(prefix, &key), "its output is left out, because of the url");
        }
        return;
    }
    if urls.as_ref().is_some_and(|setting| setting.words().len() > 1) {
        to.draft.remark(format!("{origin}: only the first one gets points here"));
    }
    to.draft.set(&header, "address", address, origin.clone());
    if scheme == "udp" {
        to.draft.set(&header, "protocol", "udp", origin);
    } else if version == ApiVersion::V2 {
        to.draft.set(&header, "version", "2", "outputs.influxdb_v2");
    } else if to.old.get(&join(prefix, "database")).is_none() {
        to.draft.set(&header, "database", "telegraf", "telegraf's default");
    }
    let keys = match version {
        ApiVersion::V1 => INFLUXDB,
        ApiVersion::V2 => INFLUXDB_2,
    };
    for (theirs, ours) in keys {
        to.set(&join(prefix, theirs), &header, ours, same);
    }
    to.set(&join(prefix, "timeout"), &header, "write_timeout", seconds_or_span);
}

/// A duration of telegraf, or a bare number of seconds.
fn seconds_or_span(setting: &OldSetting) -> Option<String> {
    let text = setting.text();
    match text.parse::<u32>() {
        Ok(_) => Some(text),
        Err(_) => go_span(setting).filter(|text| is_plain_name(text)),
    }
}
