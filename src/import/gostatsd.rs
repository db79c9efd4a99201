//! The configuration of gostatsd: TOML with keys at the top, and a section for each backend. Pure.

use super::old::{OldSetting, shown};
use super::transfer::{
    Move, Transfer, Without, affix, debug_level, go_span, is_plain_name, join, listen_at,
    percentiles, same, yes_no,
};

const MOVES: &[Move] = &[
    ("flush-interval", "statsd", "flush_interval", go_span),
    ("flush-aligned", "statsd", "align_flush", yes_no),
    ("log-raw-metric", "statsd", "dump_messages", yes_no),
    ("internal-namespace", "namespace", "prefix_stats", affix),
    ("verbose", "statsd", "log_level", debug_level),
    ("json", "statsd", "log_format", json),
];

const GRAPHITE: &[Move] = &[
    ("address", "carbon", "address", same),
    ("dial_timeout", "carbon", "connect_timeout", go_span),
    ("write_timeout", "carbon", "write_timeout", go_span),
    ("global_prefix", "namespace", "global_prefix", affix),
    ("global_suffix", "namespace", "global_suffix", affix),
    ("prefix_counter", "namespace", "prefix_counter", affix),
    ("prefix_timer", "namespace", "prefix_timer", affix),
    ("prefix_gauge", "namespace", "prefix_gauge", affix),
    ("prefix_set", "namespace", "prefix_set", affix),
];

const WITHOUT: &[Without] = &[
    ("flush-offset", "flushes begin at multiples of the interval"),
    ("max-readers", "the server has one thread"),
    ("max-parsers", "the server has one thread"),
    ("max-workers", "the server has one thread"),
    ("max-queue-size", "the server has no queue before its table"),
    ("max-concurrent-events", "events are dropped"),
    ("estimated-tags", "the server needs no estimate"),
    ("receive-batch-size", "the server chooses the size of a batch"),
    ("receive-buffer-size", "the kernel's buffer is [udp] recv_buffer"),
    ("conn-per-reader", "the server has one thread"),
    ("bad-lines-per-minute", "the log shows an example of bad lines in each flush"),
    ("heartbeat-enabled", "the own figures are sent in each flush"),
    ("ignore-host", "the server adds no tag with the sender's host"),
    ("hostname", "see [namespace] tags and host_suffix"),
    ("internal-tags", "the own figures have [namespace] tags, as all series"),
    ("timer-histogram-limit", "see histogram in [rule.NAME]"),
    ("profile", "there is no profiler"),
];

/// The sub-metrics that can be disabled, and the names of those figures here.
const SUB_METRICS: &[(&str, &str)] = &[
    ("count", "count"),
    ("count-per-second", "count_ps"),
    ("lower", "lower"),
    ("upper", "upper"),
    ("mean", "mean"),
    ("median", "median"),
    ("stddev", "std"),
    ("sum", "sum"),
    ("sum-squares", "sum_squares"),
    ("count-pct", "count_percent"),
    ("mean-pct", "mean_percent"),
    ("upper-pct", "upper_percent"),
    ("lower-pct", "lower_percent"),
    ("sum-pct", "sum_percent"),
    ("sum-squares-pct", "sum_squares_percent"),
];

pub(super) fn reason(path: &str) -> &'static str {
    if path.starts_with("cloud") || path.contains("cloud-") || path.starts_with("aws") {
        "there are no cloud providers here; see [namespace] tags"
    } else if path.starts_with("http") {
        "the admin port answers HTTP: /health and /metrics"
    } else if path.starts_with("filter") {
        "see docs/rules.md: drop, drop_tags and keep_tags of [rule.NAME]"
    } else {
        "this server has no such setting; see [exec] for other backends"
    }
}

pub(super) fn transfer(to: &mut Transfer) {
    if to.old.get("flush-interval").is_none() {
        to.draft.set("statsd", "flush_interval", "1s", "gostatsd's default");
    }
    if to.old.get("flush-aligned").is_none() {
        to.draft.set("statsd", "align_flush", "no", "gostatsd's default");
    }
    to.set_all("", MOVES);
    to.set("percent-threshold", "statsd", "percentiles", percentiles);
    expiry(to);
    listener(to);
    prefix_and_tags(to);
    backends(to);
    sub_metrics(to);
    if let Some(setting) = to.take("statser-type") {
        let is_off = setting.text() == "null";
        let value = if is_off { "no" } else { "yes" };
        to.draft.set("carbon", "own_figures", value, setting.origin());
    }
    to.without_all("", WITHOUT);
}

/// A negative interval sends an idle series nothing.
fn expiry(to: &mut Transfer) {
    let is_negative = |setting: &OldSetting| setting.text().starts_with('-');
    match to.take("expiry-interval") {
        Some(setting) if is_negative(&setting) => {
            to.draft.set("statsd", "delete_idle", "yes", setting.origin());
        }
        Some(setting) => match go_span(&setting) {
            Some(value) => to.draft.set("statsd", "expire", value, setting.origin()),
            None => to.draft.remark(format!("{}: no duration", setting.origin())),
        },
        None => to.draft.set("statsd", "expire", "5m", "gostatsd's default"),
    }
    for (kind, key) in [
        ("counter", "delete_counters"),
        ("gauge", "delete_gauges"),
        ("set", "delete_sets"),
        ("timer", "delete_timers"),
    ] {
        let Some(setting) = to.take(&format!("expiry-interval-{kind}")) else { continue };
        if is_negative(&setting) {
            to.draft.set("statsd", key, "yes", setting.origin());
        } else {
            let remark = "expire is for all kinds; a [rule.NAME] can set it for some names";
            to.draft.remark(format!("{}: {remark}", setting.origin()));
        }
    }
}

fn listener(to: &mut Transfer) {
    if let Some(setting) = to.take("metrics-addr") {
        match listen_at(&setting) {
            Some(bind) => to.draft.set("udp", "bind", bind, setting.origin()),
            None => {
                to.draft.set("unix", "datagram", setting.text(), setting.origin());
                to.draft.set("udp", "bind", "", setting.origin());
            }
        }
    }
    to.draft.set("tcp", "bind", "", "gostatsd does not listen on TCP");
}

fn prefix_and_tags(to: &mut Transfer) {
    if let Some(setting) = to.take("namespace") {
        let name = setting.text();
        let name = name.trim_matches('.');
        if name.is_empty() {
            to.draft.remark(format!("{}: the default here, too", setting.origin()));
        } else if is_plain_name(name) {
            let header = to.draft.named_header("rule", "namespace");
            to.draft.set(&header, "match", "**", setting.origin());
            to.draft.set(&header, "name", format!("{name}.$0"), setting.origin());
        } else {
            to.draft.remark(format!("{}: a name cannot have this part", setting.origin()));
        }
    }
    if let Some(setting) = to.take("default-tags") {
        let words = setting.words();
        let tags: Vec<String> = words
            .iter()
            .flat_map(|word| word.split([' ', ',']))
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.replacen(':', "=", 1))
            .filter(|tag| to.draft.accepts("namespace", "tags", tag, &setting.origin()))
            .collect();
        to.draft.set("namespace", "tags", tags.join(", "), setting.origin());
    }
}

fn backends(to: &mut Transfer) {
    let setting = to.take("backends");
    let origin = setting.as_ref().map_or_else(|| "gostatsd's default".into(), OldSetting::origin);
    let words = setting.map_or_else(|| vec!["graphite".into()], |setting| setting.words());
    let names: Vec<&str> = words.iter().flat_map(|word| word.split([' ', ','])).collect();
    for name in names.iter().filter(|name| !name.is_empty()) {
        match *name {
            "graphite" | "influxdb" => {}
            "stdout" => to.draft.set("console", "enabled", "yes", origin.clone()),
            "null" => to.draft.remark(format!("{origin}: null sends nothing")),
            "statsdaemon" => to.draft.remark(format!(
                "{origin}: statsdaemon sends figures as lines; [repeater] sends packets as they come"
            )),
            other => to.draft.remark(format!(
                "{origin}: there is no backend {}; see [exec]",
                shown(other)
            )),
        }
    }
    if names.contains(&"graphite") {
        graphite(to, &origin);
    } else {
        to.draft.set("carbon", "address", "", origin.clone());
    }
    if names.contains(&"influxdb") {
        influxdb(to, &origin);
    }
}

fn graphite(to: &mut Transfer, origin: &str) {
    let default = "127.0.0.1:2003";
    to.draft.set("carbon", "address", default, origin);
    to.set_all("graphite", GRAPHITE);
    let [mode, legacy] = ["mode", "legacy_namespace"].map(|key| to.take(&join("graphite", key)));
    let is_legacy = match (&mode, &legacy) {
        (Some(mode), _) => mode.text() == "legacy",
        (None, Some(legacy)) => legacy.is_on() == Some(true),
        (None, None) => false,
    };
    let style = if is_legacy { "legacy" } else { "modern" };
    if mode.is_none() && legacy.is_none() {
        to.draft.set("namespace", "style", style, "gostatsd's default");
    }
    for setting in [mode, legacy].into_iter().flatten() {
        if setting.text() == "basic" {
            to.draft.remark(format!("{}: tags are sent here, too", setting.origin()));
        }
        to.draft.set("namespace", "style", style, setting.origin());
    }
}

fn influxdb(to: &mut Transfer, origin: &str) {
    let Some(url) = to.take("influxdb.api-endpoint") else {
        to.draft.remark(format!("{origin}: [influxdb] has no api-endpoint"));
        return;
    };
    let text = url.text();
    if text.starts_with("https:") {
        let remark = "this server has no TLS; put a proxy beside it";
        return to.draft.remark(format!("{}: {remark}", url.origin()));
    }
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let address = rest.split('/').next().unwrap_or_default();
    to.draft.set("influxdb", "address", address, url.origin());
    let version = to.take("influxdb.api-version");
    let value = version.as_ref().map_or_else(|| "2".into(), OldSetting::text);
    let reason = version.map_or_else(|| "gostatsd's default".into(), |version| version.origin());
    to.draft.set("influxdb", "version", value.clone(), reason);
    for (key, ours) in [("database", "database"), ("bucket", "bucket"), ("org", "org")] {
        to.set(&join("influxdb", key), "influxdb", ours, same);
    }
    if value == "2" {
        to.set("influxdb.credentials", "influxdb", "token", same);
    }
}

fn sub_metrics(to: &mut Transfer) {
    let mut sent: Vec<&str> = SUB_METRICS.iter().map(|(_, ours)| *ours).collect();
    let mut origins = Vec::new();
    for (theirs, ours) in SUB_METRICS {
        let Some(setting) = to.take(&join("disabled-sub-metrics", theirs)) else { continue };
        if setting.is_on() == Some(true) {
            sent.retain(|figure| figure != ours);
        }
        origins.push(setting.origin());
    }
    let is_all = sent.len() == SUB_METRICS.len();
    let value = if is_all { String::new() } else { sent.join(", ") + ", histogram" };
    for origin in origins {
        to.draft.set("statsd", "timer_metrics", value.clone(), origin);
    }
}

fn json(setting: &OldSetting) -> Option<String> {
    Some(if setting.is_on()? { "json" } else { "text" }.into())
}
