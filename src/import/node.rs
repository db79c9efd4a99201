//! The configuration of Node StatsD: an object of JavaScript. Pure.

use super::old::OldSetting;
use super::transfer::{
    Move, Transfer, Without, affix, debug_level, is_plain_name, join, listen, millis, percentiles,
    remote, same, yes_no,
};

const MOVES: &[Move] = &[
    ("flushInterval", "statsd", "flush_interval", millis),
    ("percentThreshold", "statsd", "percentiles", percentiles),
    ("deleteIdleStats", "statsd", "delete_idle", yes_no),
    ("deleteCounters", "statsd", "delete_counters", yes_no),
    ("deleteTimers", "statsd", "delete_timers", yes_no),
    ("deleteGauges", "statsd", "delete_gauges", yes_no),
    ("deleteSets", "statsd", "delete_sets", yes_no),
    ("gaugesMaxTTL", "statsd", "gauge_ttl", same),
    ("keyNameSanitize", "statsd", "sanitize_keys", yes_no),
    ("calculatedTimerMetrics", "statsd", "timer_metrics", timer_metrics),
    ("dumpMessages", "statsd", "dump_messages", yes_no),
    ("debug", "statsd", "log_level", debug_level),
    ("healthStatus", "admin", "health", same),
    ("prefixStats", "namespace", "prefix_stats", affix),
    ("flush_counts", "namespace", "flush_counts", yes_no),
    ("graphite.globalPrefix", "namespace", "global_prefix", affix),
    ("graphite.prefixCounter", "namespace", "prefix_counter", affix),
    ("graphite.prefixTimer", "namespace", "prefix_timer", affix),
    ("graphite.prefixGauge", "namespace", "prefix_gauge", affix),
    ("graphite.prefixSet", "namespace", "prefix_set", affix),
    ("keyFlush.interval", "key_flush", "interval", millis),
    ("keyFlush.percent", "key_flush", "percent", same),
    ("keyFlush.log", "key_flush", "log", same),
];

const WITHOUT: &[Without] = &[
    ("title", "the process is called statsd"),
    ("automaticConfigReload", "send SIGHUP, or run `systemctl reload statsd`"),
    ("log.backend", "the log goes to standard error, where systemd keeps it"),
    ("log.application", "the log goes to standard error, where systemd keeps it"),
    ("log.level", "the level of the lines in syslog, which hides none; debug sets the log_level"),
    ("address_ipv6", "[udp] bind = *:8125 is IPv6 and IPv4"),
];

/// The reason for a setting that Node StatsD itself does not have.
pub(super) fn reason(_: &str) -> &'static str {
    "Node StatsD itself has no such setting; a command of [exec] can replace a backend module"
}

pub(super) fn transfer(to: &mut Transfer) {
    style(to);
    dots(to);
    to.set_all("", MOVES);
    let packed = "of several values in one line, Node counts the last: host:8080:1|c adds 1";
    to.draft.set("statsd", "packed_values", "no", packed);
    let (backends, origin) = backends(to);
    if backends.iter().any(|name| name == "graphite") {
        carbon(to);
        if let Some(origin) = &origin {
            to.draft.because("carbon", "address", origin.clone());
        }
    } else {
        let reason = origin.clone().unwrap_or_default();
        to.draft.set("carbon", "address", "", reason);
        for path in ["graphiteHost", "graphitePort", "graphitePicklePort", "graphiteProtocol"] {
            to.without(path, "the backend graphite is not among the backends");
        }
    }
    if backends.iter().any(|name| name == "console") {
        to.draft.set("console", "enabled", "yes", origin.unwrap_or_default());
        let is_pretty = to.take("console.prettyprint").map(|setting| {
            let format = if setting.is_on() == Some(false) { "json" } else { "text" };
            (format, setting.origin())
        });
        let (format, origin) =
            is_pretty.unwrap_or_else(|| ("text", "Node prints one object a flush".into()));
        to.draft.set("console", "format", format, origin);
    } else {
        to.without("console.prettyprint", "the backend console is not among the backends");
    }
    servers(to);
    admin(to);
    repeaters(to, backends.iter().any(|name| name == "repeater"));
    histograms(to);
    to.without_all("", WITHOUT);
}

/// Reports dots at the ends of parts of names. Node puts a dot between the parts, too.
fn dots(to: &mut Transfer) {
    let parts = MOVES.iter().filter(|(_, _, key, _)| is_part_of_names(key)).map(|(path, ..)| *path);
    for path in parts.chain([GLOBAL_SUFFIX]) {
        let Some(setting) = to.old.get(path) else { continue };
        let text = setting.text();
        if text.starts_with('.') || text.ends_with('.') {
            let remark = "without its dot, since Node sends two dots there, which Graphite stores \
                          as one";
            to.draft.remark(format!("{}: {remark}", setting.origin()));
        }
    }
}

fn is_part_of_names(key: &str) -> bool {
    key.starts_with("prefix_") || key.starts_with("global_")
}

const GLOBAL_SUFFIX: &str = "graphite.globalSuffix";

/// Reads the settings that decide which names are sent.
fn style(to: &mut Transfer) {
    if let Some(setting) = to.take("graphite.legacyNamespace") {
        let style = if setting.is_on() == Some(false) { "modern" } else { "legacy" };
        to.draft.set("namespace", "style", style, setting.origin());
    }
    match to.old.get(GLOBAL_SUFFIX) {
        Some(setting) if setting.text().contains("hostname()") => {
            let origin = setting.origin();
            to.old.take(GLOBAL_SUFFIX);
            to.draft.set("namespace", "host_suffix", "yes", origin);
        }
        _ => to.set(GLOBAL_SUFFIX, "namespace", "global_suffix", affix),
    }
}

/// Returns the names of the backends, and the setting that names them. Node loads graphite if there
/// is none.
fn backends(to: &mut Transfer) -> (Vec<String>, Option<String>) {
    let Some(setting) = to.take("backends") else { return (vec!["graphite".into()], None) };
    let origin = setting.origin();
    let mut known = Vec::new();
    for word in setting.words() {
        let name = word.rsplit('/').next().unwrap_or_default().trim_end_matches(".js");
        match name {
            "graphite" | "console" | "repeater" => known.push(name.to_owned()),
            _ => {
                let name = super::old::shown(name);
                to.draft.remark(format!(
                    "{origin}: there is no backend {name}; see [influxdb], [ganglia] and [exec]"
                ));
            }
        }
    }
    (known, Some(origin))
}

fn carbon(to: &mut Transfer) {
    let [host, port, pickle_port, protocol] =
        ["graphiteHost", "graphitePort", "graphitePicklePort", "graphiteProtocol"]
            .map(|path| to.take(path));
    let is_pickle = protocol.as_ref().is_some_and(|setting| setting.text() == "pickle");
    if let Some(setting) = &protocol {
        let value = if is_pickle { "pickle" } else { "plaintext" };
        to.draft.set("carbon", "protocol", value, setting.origin());
    }
    let Some(host) = host else {
        let no_host = "the file has no graphiteHost that can be read";
        let origins = [port, pickle_port].into_iter().flatten().map(|setting| setting.origin());
        for origin in origins.collect::<Vec<_>>() {
            to.draft.remark(format!("{origin}: {no_host}"));
        }
        to.draft.set("carbon", "address", "", no_host);
        return;
    };
    let (used, unused) = if is_pickle { (pickle_port, port) } else { (port, pickle_port) };
    let default = if is_pickle { "2004" } else { "2003" };
    let port = used.as_ref().map_or_else(|| default.into(), OldSetting::text);
    to.draft.set("carbon", "address", remote(&host.text(), &port), host.origin());
    if let Some(setting) = used {
        to.draft.because("carbon", "address", setting.origin());
    }
    if let Some(setting) = unused {
        to.draft.remark(format!("{}: the other protocol is used", setting.origin()));
    }
}

/// Reads where Node listens: the list of servers, or the keys at the top without one.
fn servers(to: &mut Transfer) {
    let items = to.old.items("servers");
    let prefixes = if items.is_empty() { vec![String::new()] } else { items.clone() };
    if !items.is_empty() {
        for path in ["server", "address", "port", "socket", "socket_mod"] {
            to.without(path, "the list of servers replaces it");
        }
    }
    let mut binds: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let mut reasons: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    for prefix in prefixes {
        let [kind, address, port, socket, mode] =
            ["server", "address", "port", "socket", "socket_mod"]
                .map(|path| to.take(&join(&prefix, path)));
        let name = kind.as_ref().map_or_else(|| "udp".into(), OldSetting::text);
        let name = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".js");
        let all = [&kind, &address, &port];
        let origins: Vec<String> = all.into_iter().flatten().map(OldSetting::origin).collect();
        if let (Some(socket), "tcp") = (&socket, name) {
            to.draft.set("unix", "stream", socket.text(), socket.origin());
            if let Some(mode) = mode {
                to.draft.set("unix", "mode", mode.text(), mode.origin());
            }
            origins.into_iter().for_each(|origin| {
                to.draft.because("unix", "stream", origin);
            });
            continue;
        }
        for setting in [socket, mode].into_iter().flatten() {
            to.draft.remark(format!("{}: Node uses it with the server tcp", setting.origin()));
        }
        let at = match name {
            "udp" => 0,
            "tcp" => 1,
            _ => {
                for origin in origins {
                    to.draft.remark(format!("{origin}: there is no server of this kind"));
                }
                continue;
            }
        };
        let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
        let port = text(&port).unwrap_or_else(|| "8125".into());
        let bind = listen(&text(&address).unwrap_or_default(), &port);
        if !binds[at].contains(&bind) {
            binds[at].push(bind);
        }
        reasons[at].extend(origins);
        to.without(&join(&prefix, "address_ipv6"), "the address itself decides");
    }
    for (at, header) in ["udp", "tcp"].into_iter().enumerate() {
        let off = format!("Node does not listen on {}", header.to_ascii_uppercase());
        if binds[at].is_empty() {
            reasons[at].push(off);
        } else if reasons[at].is_empty() {
            reasons[at].push("Node's default".into());
        }
        for reason in &reasons[at] {
            to.draft.set(header, "bind", binds[at].join(", "), reason.clone());
        }
    }
}

fn admin(to: &mut Transfer) {
    let is_given = to.old.get("mgmt_address").is_some();
    let [address, port] = ["mgmt_address", "mgmt_port"].map(|path| to.take(path));
    let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
    let host = text(&address).unwrap_or_default();
    let bind = listen(&host, &text(&port).unwrap_or_else(|| "8126".into()));
    if address.is_none() {
        let reason = if is_given {
            "the file has no mgmt_address that can be read; localhost:8126 is safer"
        } else {
            "Node's admin port listens on all addresses; localhost:8126 is safer"
        };
        to.draft.set("admin", "bind", bind.clone(), reason);
    }
    for setting in [address, port].into_iter().flatten() {
        to.draft.set("admin", "bind", bind.clone(), setting.origin());
    }
}

fn repeaters(to: &mut Transfer, is_on: bool) {
    let protocol = to.take("repeaterProtocol");
    let items = to.old.items("repeater");
    for prefix in &items {
        let [host, port] = ["host", "port"].map(|path| to.take(&join(prefix, path)));
        let origins = [&host, &port].into_iter().flatten().map(OldSetting::origin);
        let origins: Vec<String> = origins.collect();
        let Some(host) = host.filter(|_| is_on) else {
            for origin in origins {
                to.draft.remark(format!("{origin}: it needs the backend repeater, and a host"));
            }
            continue;
        };
        let port = port.map_or_else(|| "8125".into(), |port| port.text());
        let header = to.draft.header("repeater", "import");
        for origin in origins {
            to.draft.set(&header, "address", remote(&host.text(), &port), origin);
        }
        if let Some(setting) = &protocol {
            let value = if setting.text().starts_with("tcp") { "tcp" } else { "udp" };
            to.draft.set(&header, "protocol", value, setting.origin());
        }
    }
    if let Some(setting) = protocol.filter(|_| items.is_empty()) {
        to.draft.remark(format!("{}: the file has no repeater", setting.origin()));
    }
}

/// Node takes the first entry whose `metric` is a part of the name.
fn histograms(to: &mut Transfer) {
    for prefix in to.old.items("histogram") {
        let [metric, bins] = ["metric", "bins"].map(|path| to.take(&join(&prefix, path)));
        let (Some(metric), Some(bins)) = (&metric, &bins) else {
            for setting in [metric, bins].into_iter().flatten() {
                to.draft.remark(format!(
                    "{}: it needs a metric and bins that can be read",
                    setting.origin()
                ));
            }
            continue;
        };
        let part = metric.text();
        if !is_plain_name(&part) || !to.draft.has_room() {
            for setting in [metric, bins] {
                to.draft.remark(format!("{}: no pattern can have this name", setting.origin()));
            }
            continue;
        }
        let name = if part.is_empty() { "all" } else { &part };
        let header = to.draft.named_header("rule", name);
        let pattern = if part.is_empty() { "**".into() } else { format!("**{part}**") };
        to.draft.set(&header, "match", pattern, metric.origin());
        to.draft.set(&header, "histogram", bins.text(), bins.origin());
    }
}

fn timer_metrics(setting: &OldSetting) -> Option<String> {
    Some(setting.words().join(", "))
}
