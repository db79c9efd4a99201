//! The configuration of statsdpy: INI with the section `[main]`. Pure.

use super::old::OldSetting;
use super::transfer::{
    Move, Transfer, affix, debug_level, join, listen, percentiles, remote, seconds, yes_no,
};

const SECTION: &str = "main";

const MOVES: &[Move] = &[
    ("flush_interval", "statsd", "flush_interval", seconds),
    ("percent_threshold", "statsd", "percentiles", percentiles),
    ("debug", "statsd", "log_level", debug_level),
    ("graphite_timeout", "carbon", "connect_timeout", seconds),
    ("global_prefix", "namespace", "global_prefix", affix),
    ("prefix_counter", "namespace", "prefix_counter", affix),
    ("prefix_timer", "namespace", "prefix_timer", affix),
    ("prefix_gauge", "namespace", "prefix_gauge", affix),
];

pub(super) fn reason(_: &str) -> &'static str {
    "statsdpy has no such setting, and ignores it"
}

pub(super) fn transfer(to: &mut Transfer) {
    let at = |key: &str| join(SECTION, key);
    if let Some(setting) = to.take(&at("legacy_namespace")) {
        let is_legacy = yes_no(&setting).as_deref() == Some("yes");
        let style = if is_legacy { "legacy" } else { "modern" };
        to.draft.set("namespace", "style", style, setting.origin());
    }
    to.set_all(SECTION, MOVES);
    carbon(to);
    let [host, port] = ["listen_addr", "listen_port"].map(|key| to.take(&at(key)));
    let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
    let address = text(&host).unwrap_or_else(|| "127.0.0.1".into());
    let bind = listen(&address, &text(&port).unwrap_or_else(|| "8125".into()));
    if host.is_none() {
        to.draft.set("udp", "bind", bind.clone(), "statsdpy's default");
    }
    for setting in [host, port].into_iter().flatten() {
        to.draft.set("udp", "bind", bind.clone(), setting.origin());
    }
    to.draft.set("tcp", "bind", "", "statsdpy does not listen on TCP");
    let reason = "statsdpy sends no timers without values, and gauges as 0; this server repeats \
                  the last value of a gauge";
    to.draft.set("statsd", "delete_timers", "yes", reason);
    to.draft.remark("statsdpy calls the figures of a timer low, high and total: here they are lower, upper and sum");
}

fn carbon(to: &mut Transfer) {
    let keys = ["graphite_host", "graphite_port", "graphite_pickle_port", "pickle_protocol"];
    let [host, port, pickle_port, pickle] = keys.map(|key| to.take(&join(SECTION, key)));
    let batch = to.take(&join(SECTION, "pickle_batch_size"));
    let is_pickle = pickle.as_ref().and_then(OldSetting::is_on).unwrap_or(false);
    if let Some(setting) = &pickle {
        let value = if is_pickle { "pickle" } else { "plaintext" };
        to.draft.set("carbon", "protocol", value, setting.origin());
    }
    let (used, unused) = if is_pickle { (pickle_port, port) } else { (port, pickle_port) };
    let default = if is_pickle { "2004" } else { "2003" };
    let text = |setting: &Option<OldSetting>| setting.as_ref().map(OldSetting::text);
    let host_text = text(&host).unwrap_or_else(|| "127.0.0.1".into());
    let address = remote(&host_text, &text(&used).unwrap_or_else(|| default.into()));
    for setting in [host, used].into_iter().flatten() {
        to.draft.set("carbon", "address", address.clone(), setting.origin());
    }
    let (used, unused_batch) = if is_pickle { (batch, None) } else { (None, batch) };
    if let Some(setting) = used {
        to.draft.set("carbon", "pickle_batch", setting.text(), setting.origin());
    }
    for setting in [unused, unused_batch].into_iter().flatten() {
        to.draft.remark(format!("{}: the other protocol is used", setting.origin()));
    }
}
