//! The configuration of brubeck: JSON. Pure.

use super::old::OldSetting;
use super::transfer::{
    Move, Transfer, Without, join, listen, percentiles, remote, seconds, yes_no,
};

const MOVES: &[Move] = &[
    ("expire", "statsd", "expire", seconds),
    ("percentiles", "statsd", "percentiles", percentiles),
];

const WITHOUT: &[Without] = &[
    ("server_name", "the server's own figures have [namespace] prefix_stats in their names"),
    ("dumpfile", "the admin commands counters, timers and gauges print all series"),
    ("capacity", "the table grows as it is needed, up to [limits] max_series"),
    ("http", "the admin port answers HTTP: /health and /metrics; set [admin] bind to open it"),
    ("sharding", "each destination gets every name; a relay can spread them"),
];

pub(super) fn reason(_: &str) -> &'static str {
    "brubeck has no such setting"
}

pub(super) fn transfer(to: &mut Transfer) {
    let names = "brubeck sends names without a prefix; the figures of a timer differ: \
                 percentile.99 there is p99 here";
    to.draft.set("namespace", "style", "statsite", names);
    for key in ["prefix_kv", "prefix_gauge", "prefix_counter", "prefix_timer", "prefix_set"] {
        to.draft.set("namespace", key, "", "brubeck has no prefixes");
    }
    to.draft.set("statsd", "percentiles", "75, 95, 98, 99, 99.9", "brubeck's own");
    to.set_all("", MOVES);
    backends(to);
    samplers(to);
    to.without_all("", WITHOUT);
}

fn backends(to: &mut Transfer) {
    let mut is_first = true;
    for prefix in to.old.items("backends") {
        let keys = ["type", "address", "port", "pickle", "frequency"];
        let [kind, address, port, pickle, frequency] = keys.map(|key| to.take(&join(&prefix, key)));
        let all = [&kind, &address, &port, &pickle, &frequency];
        let is_carbon = kind.as_ref().is_some_and(|kind| kind.text() == "carbon");
        if !is_carbon || !is_first {
            let reason = if is_carbon {
                "brubeck spreads the names over its backends, and this server does not; put a \
                 relay before them, or set a [carbon.NAME] that gets every name"
            } else {
                "there is no backend of this kind; see [influxdb] and [exec]"
            };
            for setting in all.into_iter().flatten() {
                to.draft.remark(format!("{}: {reason}", setting.origin()));
            }
            continue;
        }
        is_first = false;
        let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
        let port_text = text(&port).unwrap_or_else(|| "2003".into());
        let host = text(&address).unwrap_or_else(|| "127.0.0.1".into());
        for setting in [&kind, &address, &port].into_iter().flatten() {
            to.draft.set("carbon", "address", remote(&host, &port_text), setting.origin());
        }
        if let Some(setting) = &pickle {
            let is_on = yes_no(setting).as_deref() == Some("yes");
            let value = if is_on { "pickle" } else { "plaintext" };
            to.draft.set("carbon", "protocol", value, setting.origin());
        }
        if let Some(setting) = &frequency {
            let value = seconds(setting).unwrap_or_else(|| setting.text());
            to.draft.set("statsd", "flush_interval", value, setting.origin());
        }
    }
    if is_first {
        to.draft.set("carbon", "address", "", "brubeck sends nothing without a backend");
    }
}

fn samplers(to: &mut Transfer) {
    let mut binds: Vec<String> = Vec::new();
    let mut origins = Vec::new();
    for prefix in to.old.items("samplers") {
        let [kind, address, port] =
            ["type", "address", "port"].map(|key| to.take(&join(&prefix, key)));
        let all = [&kind, &address, &port];
        let found: Vec<String> = all.into_iter().flatten().map(OldSetting::origin).collect();
        let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
        if text(&kind).as_deref() != Some("statsd") {
            let mut found = found;
            for key in to.old.keys(&prefix) {
                let setting = to.old.take(&join(&prefix, &key));
                found.extend(setting.map(|setting| setting.origin()));
            }
            for origin in found {
                to.draft.remark(format!(
                    "{origin}: there are no signed packets here; use [udp] allow_from, or a VPN"
                ));
            }
            continue;
        }
        let port = text(&port).unwrap_or_else(|| "8126".into());
        binds.push(listen(&text(&address).unwrap_or_default(), &port));
        origins.extend(found);
        for key in ["workers", "multisock", "multimsg"] {
            to.without(&join(&prefix, key), "one thread receives packets, several at a time");
        }
    }
    if binds.is_empty() {
        origins.push("brubeck has no sampler statsd".into());
    }
    for origin in origins {
        to.draft.set("udp", "bind", binds.join(", "), origin);
    }
    to.draft.set("tcp", "bind", "", "brubeck does not listen on TCP");
}
