//! The configuration of statsite: INI with the section `[statsite]` and sections of histograms.
//! Pure.

use super::old::OldSetting;
use super::transfer::{
    Move, Transfer, Without, affix, fractions, is_plain_name, join, listen, same, seconds, yes_no,
};
use crate::few::sort_few;

const SECTION: &str = "statsite";

const MOVES: &[Move] = &[
    ("flush_interval", "statsd", "flush_interval", seconds),
    ("timer_eps", "statsd", "timer_error", same),
    ("set_eps", "statsd", "set_error", same),
    ("log_level", "statsd", "log_level", log_level),
    ("timers_include", "statsd", "timer_metrics", timers_include),
    ("udp_rcvbuf", "udp", "recv_buffer", same),
    ("extended_counters", "namespace", "extended_counters", yes_no),
    ("global_prefix", "namespace", "global_prefix", affix),
    ("kv_prefix", "namespace", "prefix_kv", affix),
    ("gauges_prefix", "namespace", "prefix_gauge", affix),
    ("counts_prefix", "namespace", "prefix_counter", affix),
    ("timers_prefix", "namespace", "prefix_timer", affix),
    ("sets_prefix", "namespace", "prefix_set", affix),
];

const WITHOUT: &[Without] = &[
    ("parse_stdin", "`statsd --stdin` reads standard input, and flushes at its end"),
    ("log_facility", "the log goes to standard error, where systemd keeps it"),
    ("input_counter", "the own figure metrics_received counts the input"),
    ("daemonize", "run the server under systemd"),
    ("pid_file", "run the server under systemd"),
    ("legacy_extended_counters", "a count is always the sum here"),
    ("extended_counters_include", "extended counters always have a count and a rate here"),
];

pub(super) fn reason(_: &str) -> &'static str {
    "statsite has no such setting, and ignores it"
}

pub(super) fn transfer(to: &mut Transfer) {
    let at = |key: &str| join(SECTION, key);
    to.draft.set("namespace", "style", "statsite", "statsite's names");
    to.set_all(SECTION, MOVES);
    match to.take(&at("quantiles")) {
        Some(setting) => {
            let value = fractions(&setting).unwrap_or_else(|| "50, 95, 99".into());
            to.draft.set("statsd", "percentiles", value, setting.origin());
        }
        None => to.draft.set("statsd", "percentiles", "50, 95, 99", "statsite's default"),
    }
    let aligned = to.take(&at("aligned_flush"));
    let is_aligned = aligned.as_ref().and_then(OldSetting::is_on).unwrap_or(false);
    let reason = aligned.map_or_else(|| "statsite's default".into(), |setting| setting.origin());
    to.draft.set("statsd", "align_flush", if is_aligned { "yes" } else { "no" }, reason);
    if let Some(setting) = to.take(&at("use_type_prefix")) {
        if setting.is_on() == Some(false) {
            for key in ["prefix_kv", "prefix_gauge", "prefix_counter", "prefix_timer", "prefix_set"]
            {
                to.draft.set("namespace", key, "", setting.origin());
            }
        } else {
            to.draft.remark(format!("{}: the default here, too", setting.origin()));
        }
    }
    listeners(to);
    command(to);
    histograms(to);
    to.without_all(SECTION, WITHOUT);
}

fn listeners(to: &mut Transfer) {
    let [host, port, tcp_port, udp_port] =
        ["bind_address", "port", "tcp_port", "udp_port"].map(|key| to.take(&join(SECTION, key)));
    let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
    let address = text(&host).unwrap_or_default();
    if let (Some(port), Some(_)) = (&port, &tcp_port) {
        to.draft.remark(format!("{}: tcp_port replaces it", port.origin()));
    }
    for (header, port) in [("tcp", tcp_port.or(port)), ("udp", udp_port)] {
        let number = text(&port).unwrap_or_else(|| "8125".into());
        let bind = if number == "0" { String::new() } else { listen(&address, &number) };
        let origins: Vec<String> =
            [&port, &host].into_iter().flatten().map(|setting| setting.origin()).collect();
        for origin in origins {
            to.draft.set(header, "bind", bind.clone(), origin);
        }
    }
}

fn command(to: &mut Transfer) {
    to.draft.set("carbon", "address", "", "statsite sends through its command alone");
    let Some(setting) = to.take(&join(SECTION, "stream_cmd")) else {
        for key in ["binary_stream", "prefix_binary_stream"] {
            to.without(&join(SECTION, key), "the file has no stream_cmd");
        }
        return;
    };
    let command = setting.text();
    to.draft.set("exec", "command", command.clone(), setting.origin());
    to.draft.set("exec", "own_figures", "no", "statsite has none");
    for (sink, instead) in [("graphite", "[carbon] address"), ("influxdb", "[influxdb] address")] {
        if command.contains(&format!("{sink}.py")) {
            let origin = setting.origin();
            to.draft.remark(format!("{origin}: {instead} can replace the sink {sink}.py"));
        }
    }
    for (key, value) in [("binary_stream", "yes"), ("prefix_binary_stream", "prefixed")] {
        let Some(setting) = to.take(&join(SECTION, key)) else { continue };
        if setting.is_on() == Some(true) {
            to.draft.set("exec", "binary_stream", value, setting.origin());
        } else {
            to.draft.remark(format!("{}: the default here, too", setting.origin()));
        }
    }
}

/// statsite takes the histogram with the longest prefix, this server the first rule that matches.
fn histograms(to: &mut Transfer) {
    let mut found = Vec::new();
    for path in to.old.keys("") {
        let Some((name, "prefix")) = path.rsplit_once('.') else { continue };
        if name != SECTION {
            found.push(name.to_owned());
        }
    }
    let mut rules = Vec::new();
    for name in found {
        let keys = ["prefix", "min", "max", "width"].map(|key| to.take(&join(&name, key)));
        let origins: Vec<String> = keys.iter().flatten().map(OldSetting::origin).collect();
        let [Some(prefix), Some(min), Some(max), Some(width)] =
            keys.map(|setting| setting.map(|setting| setting.text()))
        else {
            for origin in origins {
                to.draft.remark(format!("{origin}: it needs prefix, min, max and width"));
            }
            continue;
        };
        rules.push((name, prefix, format!("{min}:{max}:{width}"), origins));
    }
    sort_few(&mut rules, |(_, one, ..), (_, other, ..)| other.len().cmp(&one.len()));
    for (name, prefix, bins, origins) in rules {
        if !is_plain_name(&prefix) || !to.draft.has_room() {
            for origin in origins {
                to.draft.remark(format!("{origin}: no pattern can have this prefix"));
            }
            continue;
        }
        let header = to.draft.named_header("rule", &name);
        let mut origins = origins.into_iter();
        let first = origins.next().unwrap_or_default();
        to.draft.set(&header, "match", format!("{prefix}**"), first);
        for origin in origins {
            to.draft.set(&header, "histogram", bins.clone(), origin);
        }
    }
}

fn log_level(setting: &OldSetting) -> Option<String> {
    let level = setting.text().to_ascii_lowercase();
    Some(if level == "critical" { "error".into() } else { level })
}

/// statsite's list never removes the percentiles or the histogram.
fn timers_include(setting: &OldSetting) -> Option<String> {
    let mut words: Vec<String> =
        setting.text().split(',').map(|word| word.trim().to_ascii_lowercase()).collect();
    words.retain(|word| !word.is_empty());
    words.extend(["upper_percent", "histogram"].map(String::from));
    Some(words.join(", "))
}
