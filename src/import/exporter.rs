//! The mapping configuration of statsd_exporter: YAML. A mapping becomes a rule. Pure.

use super::old::{OldSetting, shown};
use super::transfer::{Transfer, go_span, join, same};
use crate::few::sort_few;

/// The most rules of a configuration.
const RULES_MAX: usize = 99;

/// The bins of a histogram without its own, in milliseconds.
const BUCKETS: &str = "5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, inf";

/// The quantiles of a summary without its own.
const QUANTILES: &str = "50, 90, 99";

pub(super) fn reason(path: &str) -> &'static str {
    if path.contains("native_histogram") {
        "histograms have fixed bins here"
    } else if path.contains("max_age") || path.contains("age_buckets") || path.contains("buf_cap") {
        "percentiles are of one flush interval here"
    } else if path.ends_with(".error") {
        "percentiles are exact up to [statsd] timer_exact samples"
    } else {
        "a rule has no such setting"
    }
}

/// A mapping, which becomes a rule. Globs stand before regular expressions.
struct Mapping {
    /// The path of its settings.
    prefix: String,
    is_regex: bool,
    /// Which elements of the pattern are a `*`, if `glob_disable_ordering` is set: special patterns
    /// then stand before others.
    stars: Vec<bool>,
}

/// Which keys a mapping sets, or one of those after it.
///
/// The first mapping that matches a name decides everything. Here each key comes from the first
/// rule that has it. So a rule needs every key that a later rule has, or the later one would set
/// it.
#[derive(Clone, Copy, Default)]
struct NeededKeys {
    drop: bool,
    expire: bool,
    /// `percentiles` and `histogram`.
    figures: bool,
}

/// The comment of a key that a rule needs because of a later one.
const FIRST_COUNTS: &str = "the first mapping that matches counts";

/// The settings of an observer: what becomes of a timer.
const OBSERVER: [&str; 6] = [
    "observer_type",
    "timer_type",
    "histogram_options.buckets",
    "buckets",
    "summary_options.quantiles",
    "quantiles",
];

/// The observer of names without a mapping, and of mappings without one of their own.
struct DefaultObserver {
    is_histogram: bool,
    /// The setting that decides between histograms and summaries.
    reason: String,
    bins: Option<ImportedList>,
    quantiles: Option<ImportedList>,
}

/// A list as this server writes it, and the settings that it comes from.
type ImportedList = (String, Vec<String>);

pub(super) fn transfer(to: &mut Transfer) {
    to.draft.set("carbon", "address", "", "Prometheus gets the points: scrape /metrics");
    to.draft.remark(
        "Prometheus scrapes http://HOST:8126/metrics: set [admin] bind = *:8126, and [udp] and \
         [tcp] bind to the ports that the command line of statsd_exporter names (9125 by default)",
    );
    to.draft.remark(
        "in /metrics a counter ends in _total, a gauge in _value, a timer in _timer or \
         _distribution, and times are in milliseconds: docs/migrating.md has rules for the old names",
    );
    let by_rank = to.take("defaults.glob_disable_ordering");
    let is_ranked = by_rank.as_ref().and_then(OldSetting::is_on).unwrap_or(false);
    if let Some(setting) = by_rank {
        let remark = "the rules below are in the order that it gives";
        to.draft.remark(format!("{}: {remark}", setting.origin()));
    }
    let match_type = to.take("defaults.match_type");
    let is_regex_default = match_type.as_ref().is_some_and(|kind| kind.text() == "regex");
    if let Some(setting) = match_type {
        to.draft.remark(format!("{}: each rule below has the key for it", setting.origin()));
    }
    to.set("defaults.ttl", "statsd", "expire", go_span);
    let defaults = DefaultObserver::take(to);
    let mut mappings: Vec<Mapping> = to
        .old
        .items("mappings")
        .into_iter()
        .map(|prefix| {
            let text = |key: &str| to.old.get(&join(&prefix, key)).map(OldSetting::text);
            let kind = text("match_type");
            let is_regex = kind.map_or(is_regex_default, |kind| kind == "regex");
            let pattern = text("match").unwrap_or_default();
            let stars = if is_ranked && !is_regex { stars(&pattern) } else { Vec::new() };
            Mapping { prefix, is_regex, stars }
        })
        .collect();
    mappings.retain(|mapping| !drops_one_type(to, &mapping.prefix));
    sort_few(&mut mappings, |one, other| {
        (one.is_regex, &one.stars).cmp(&(other.is_regex, &other.stars))
    });
    for mapping in mappings.iter().skip(RULES_MAX) {
        for key in to.old.keys(&mapping.prefix) {
            to.without(&join(&mapping.prefix, &key), "a configuration has at most 100 rules");
        }
    }
    mappings.truncate(RULES_MAX);
    let mut needed = NeededKeys::default();
    let mut needs: Vec<NeededKeys> = mappings
        .iter()
        .rev()
        .map(|mapping| {
            needed.add(to, &mapping.prefix);
            needed
        })
        .collect();
    needs.reverse();
    for (mapping, needed) in mappings.iter().zip(needs) {
        add_rule(to, mapping, needed, &defaults);
    }
    defaults.set(to);
}

impl NeededKeys {
    /// Adds the keys that a mapping sets.
    fn add(&mut self, to: &Transfer, prefix: &str) {
        let path = |key: &str| join(prefix, key);
        self.drop |= to.old.get(&path("action")).is_some_and(|action| action.text() == "drop");
        self.expire |= to.old.get(&path("ttl")).is_some_and(|ttl| !is_zero(ttl));
        self.figures |= OBSERVER.iter().any(|key| to.old.has(&path(key)));
    }
}

/// Reports a mapping that drops the samples of one type. A rule would drop all types.
fn drops_one_type(to: &mut Transfer, prefix: &str) -> bool {
    let text = |key: &str| to.old.get(&join(prefix, key)).map(OldSetting::text);
    if text("action").is_none_or(|action| action != "drop") || text("match_metric_type").is_none() {
        return false;
    }
    let keys = to.old.keys(prefix);
    let settings = keys.iter().filter_map(|key| to.old.take(&join(prefix, key)));
    let origins: Vec<String> = settings.map(|setting| setting.origin()).collect();
    let remark = "left out: a rule would drop all types of these names. So nothing drops the \
                  samples of this type, and the mappings after it apply to them";
    to.draft.remark(format!("{}: {remark}", origins.join("; ")));
    true
}

/// A `ttl` of 0 is as if it were left out: the default's `ttl` counts.
fn is_zero(ttl: &OldSetting) -> bool {
    go_span(ttl).is_some_and(|span| span == "0")
}

/// Which elements of a pattern are a `*`.
fn stars(pattern: &str) -> Vec<bool> {
    pattern.split('.').map(|part| part == "*").collect()
}

fn add_rule(to: &mut Transfer, mapping: &Mapping, needed: NeededKeys, defaults: &DefaultObserver) {
    let prefix = mapping.prefix.as_str();
    let at = |key: &str| join(prefix, key);
    let name = to.take(&at("name"));
    let wanted = name.as_ref().map_or_else(|| "mapping".into(), OldSetting::text);
    let wanted = wanted.replace("$", "");
    let header = to.draft.named_header("rule", if wanted.is_empty() { "mapping" } else { &wanted });
    let key = if mapping.is_regex { "match_regex" } else { "match" };
    to.set(&at("match"), &header, key, same);
    if let Some(setting) = to.take(&at("match_type")) {
        to.draft.because(&header, key, setting.origin());
    }
    let action = to.take(&at("action"));
    if action.as_ref().is_some_and(|action| action.text() == "drop") {
        if let Some(setting) = &action {
            to.draft.set(&header, "drop", "yes", setting.origin());
        }
        if let Some(setting) = name {
            to.draft.remark(format!("{}: the rule drops the names", setting.origin()));
        }
    } else {
        if let Some(setting) = name {
            to.draft.set(&header, "name", setting.text(), setting.origin());
        }
        if let Some(setting) = action {
            to.draft.remark(format!("{}: the default here, too", setting.origin()));
        }
        if needed.drop {
            to.draft.set(&header, "drop", "no", FIRST_COUNTS);
        }
    }
    labels(to, prefix, &header);
    if to.old.get(&at("ttl")).is_some_and(is_zero) {
        to.without(&at("ttl"), "0 stands for the ttl of the defaults, which is [statsd] expire");
    }
    to.set(&at("ttl"), &header, "expire", go_span);
    if needed.expire && to.draft.value(&header, "expire").is_none() {
        let expire = to.draft.value("statsd", "expire").unwrap_or("0").to_owned();
        to.draft.set(&header, "expire", expire, FIRST_COUNTS);
    }
    observer(to, prefix, &header, needed.figures.then_some(defaults));
    for (key, remark) in [
        ("help", "there are no help texts"),
        ("honor_labels", "a tag of the rule replaces one of the line"),
        (
            "match_metric_type",
            "the rule is for all types: it renames the other types of these names, too, \
             also if a later mapping is for them",
        ),
        ("scale", "values are sent as they come"),
    ] {
        to.without(&at(key), remark);
    }
}

fn labels(to: &mut Transfer, prefix: &str, header: &str) {
    let path = join(prefix, "labels");
    let mut tags = Vec::new();
    let mut origins = Vec::new();
    for key in to.old.keys(&path) {
        let Some(setting) = to.old.take(&join(&path, &key)) else { continue };
        let value = setting.text();
        // An element of a list has no comma, and a reference has no other letters here.
        if value.contains([',', '"']) || key.contains([',', '=']) || value.is_empty() {
            to.draft.remark(format!("{}: a tag cannot have this value", setting.origin()));
            continue;
        }
        let tag = format!("{key}={value}");
        if to.draft.accepts(header, "tags", &tag, &setting.origin()) {
            tags.push(tag);
            origins.push(setting.origin());
        }
    }
    for origin in origins {
        to.draft.set(header, "tags", tags.join(", "), origin);
    }
    to.without(&path, "a mapping without labels is a rule without tags");
}

/// Takes the first of these settings, and reports the others.
fn first(to: &mut Transfer, paths: &[String]) -> Option<OldSetting> {
    let mut found: Option<OldSetting> = None;
    for path in paths {
        let Some(setting) = to.take(path) else { continue };
        if found.is_some() {
            to.draft.remark(format!("{}: the newer key replaces it", setting.origin()));
        } else {
            found = Some(setting);
        }
    }
    found
}

/// Reads what a timer becomes: a summary or a histogram. `defaults` is `None` if the rule needs no
/// key for it.
fn observer(to: &mut Transfer, prefix: &str, header: &str, defaults: Option<&DefaultObserver>) {
    let Some(defaults) = defaults else { return };
    let at = |key: &str| join(prefix, key);
    let kind = first(to, &[at("observer_type"), at("timer_type")]);
    let is_histogram = kind.as_ref().map_or(defaults.is_histogram, is_histogram);
    let [bins, quantiles] = [buckets(to, prefix), quantiles(to, prefix)];
    let (key, used, default) = if is_histogram {
        ("histogram", &bins, defaults.bins())
    } else {
        ("percentiles", &quantiles, defaults.quantiles())
    };
    let (value, mut reasons) = used.clone().unwrap_or_else(|| (default.into(), Vec::new()));
    let (other, unused) =
        if is_histogram { ("percentiles", quantiles) } else { ("histogram", bins) };
    for origin in unused.into_iter().flat_map(|(_, origins)| origins) {
        to.draft.remark(format!("{origin}: the timers of this mapping are of the other kind"));
    }
    let reason = kind.map_or_else(|| FIRST_COUNTS.into(), |kind| kind.origin());
    reasons.push(reason.clone());
    for reason in reasons {
        to.draft.set(header, key, value.clone(), reason);
    }
    to.draft.set(header, other, "", reason);
}

fn is_histogram(kind: &OldSetting) -> bool {
    kind.text() == "histogram"
}

/// Returns the bins of a histogram, in milliseconds: statsd_exporter counts timers in seconds.
fn buckets(to: &mut Transfer, prefix: &str) -> Option<ImportedList> {
    let paths = ["histogram_options.buckets", "buckets"].map(|path| join(prefix, path));
    let setting = first(to, &paths)?;
    let mut bounds = Vec::new();
    for word in setting.words() {
        match word.trim_start_matches('+').to_ascii_lowercase().trim_start_matches('.') {
            "inf" => {}
            _ => match word.parse::<f64>() {
                Ok(number) => bounds.push(((number * 1e9).round() / 1e6).to_string()),
                Err(_) => bounds.push(shown(&word)),
            },
        }
    }
    bounds.push("inf".into());
    let unit = "in milliseconds, as timers have here";
    Some((bounds.join(", "), vec![format!("{}: {unit}", setting.origin())]))
}

/// Returns the quantiles of a summary, in percent.
fn quantiles(to: &mut Transfer, prefix: &str) -> Option<ImportedList> {
    let mut found = Vec::new();
    let mut origins = Vec::new();
    for path in ["summary_options.quantiles", "quantiles"] {
        for item in to.old.items(&join(prefix, path)) {
            let Some(setting) = to.take(&join(&item, "quantile")) else { continue };
            if let Ok(fraction) = setting.text().parse::<f64>() {
                found.push(((fraction * 1e8).round() / 1e6).to_string());
            }
            origins.push(setting.origin());
            let path = join(&item, "error");
            to.without(&path, reason(&path));
        }
    }
    if found.is_empty() {
        for origin in origins {
            to.draft.remark(format!("{origin}: no quantile"));
        }
        return None;
    }
    Some((found.join(", "), origins))
}

impl DefaultObserver {
    fn take(to: &mut Transfer) -> Self {
        let kind = first(to, &["defaults.observer_type".into(), "defaults.timer_type".into()]);
        Self {
            is_histogram: kind.as_ref().is_some_and(is_histogram),
            reason: kind.map_or_else(|| "statsd_exporter's default".into(), |kind| kind.origin()),
            bins: buckets(to, "defaults"),
            quantiles: quantiles(to, "defaults"),
        }
    }

    fn bins(&self) -> &str {
        self.bins.as_ref().map_or(BUCKETS, |(bins, _)| bins)
    }

    fn quantiles(&self) -> &str {
        self.quantiles.as_ref().map_or(QUANTILES, |(quantiles, _)| quantiles)
    }

    /// Sets the keys of names without a mapping. The rule is the last one.
    fn set(self, to: &mut Transfer) {
        let Self { is_histogram, reason, bins, quantiles } = self;
        let unused = if is_histogram {
            to.draft.set("rule.defaults", "match", "**", reason.clone());
            let (bins, origins) = bins.unwrap_or_else(|| (BUCKETS.into(), vec![reason.clone()]));
            for origin in origins {
                to.draft.set("rule.defaults", "histogram", bins.clone(), origin);
            }
            to.draft.set("statsd", "percentiles", "", reason);
            quantiles
        } else {
            let (quantiles, origins) = quantiles.unwrap_or_else(|| (QUANTILES.into(), Vec::new()));
            for origin in std::iter::once(reason).chain(origins) {
                to.draft.set("statsd", "percentiles", quantiles.clone(), origin);
            }
            bins
        };
        let other = if is_histogram { "histogram" } else { "summary" };
        for origin in unused.into_iter().flat_map(|(_, origins)| origins) {
            to.draft.remark(format!("{origin}: a timer without an observer_type is a {other}"));
        }
    }
}
