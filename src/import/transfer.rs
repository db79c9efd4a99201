//! [`Transfer`]: moves settings of an old file to a draft, and reports each that cannot be moved.
//! Pure.

use super::draft::Draft;
use super::old::{OldFile, OldSetting, OldValue};

/// Turns a value of the old file into one of this server. Returns `None` if it has no equal.
pub(super) type Convert = fn(&OldSetting) -> Option<String>;

/// A setting that becomes a key: its path, the section, the key, and how its value is written.
pub(super) type Move = (&'static str, &'static str, &'static str, Convert);

/// The most settings of one remark.
const TOGETHER_MAX: usize = 50;

/// A setting without an equal: its path, and the reason.
pub(super) type Without = (&'static str, &'static str);

#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) old: OldFile,
    pub(super) draft: Draft,
}

impl Transfer {
    pub(super) fn new(old: OldFile) -> Self {
        Self { old, draft: Draft::default() }
    }

    /// Takes a setting. A value that only the old server can compute becomes a remark, and so does
    /// one that stands for nothing.
    pub(super) fn take(&mut self, path: &str) -> Option<OldSetting> {
        let setting = self.old.take(path)?;
        let text = setting.text();
        let remark = match &setting.value {
            OldValue::Code(_) => "the old server computes the value; set the key by hand",
            OldValue::Text(_) if text == "null" || text == "undefined" => {
                "it has no value, which is as if it were left out"
            }
            _ if has_variable(&text) => {
                "the value is in a variable of the environment; set the key by hand, or a variable \
                 such as STATSD_CARBON_ADDRESS"
            }
            _ => return Some(setting),
        };
        self.draft.remark(format!("{}: {remark}", setting.origin()));
        None
    }

    /// Moves a setting to a key, if the old file has it.
    pub(super) fn set(&mut self, path: &str, header: &str, key: &'static str, convert: Convert) {
        let Some(setting) = self.take(path) else { return };
        match convert(&setting) {
            Some(value) => self.draft.set(header, key, value, setting.origin()),
            None => {
                let remark = format!("the value has no equal in [{header}] {key}");
                self.draft.remark(format!("{}: {remark}", setting.origin()));
            }
        }
    }

    /// Moves the settings of a table, whose paths are those below `prefix`.
    pub(super) fn set_all(&mut self, prefix: &str, moves: &[Move]) {
        for (path, header, key, convert) in moves {
            self.set(&join(prefix, path), header, key, *convert);
        }
    }

    /// Reports a setting without an equal, if the old file has it.
    pub(super) fn without(&mut self, path: &str, reason: &str) {
        if let Some(setting) = self.old.take(path) {
            self.draft.remark(format!("{}: {reason}", setting.origin()));
        }
    }

    /// Reports the settings of a table, whose paths are those below `prefix`.
    pub(super) fn without_all(&mut self, prefix: &str, rows: &[Without]) {
        for (path, reason) in rows {
            self.without(&join(prefix, path), reason);
        }
    }

    /// Reports all other settings, and returns the draft. `reason` returns the reason for a path.
    /// Settings of one object that stand together and have the same reason are one remark.
    pub(super) fn finish(mut self, reason: impl Fn(&str) -> &'static str) -> Draft {
        let rest = std::mem::take(&mut self.old).rest();
        let parent = |path: &str| path.rsplit_once('.').map_or("", |(parent, _)| parent).to_owned();
        let reason = |setting: &OldSetting| {
            if setting.is_replaced { "a later line sets it again" } else { reason(&setting.path) }
        };
        let is_together = |one: &OldSetting, other: &OldSetting| {
            parent(&one.path) == parent(&other.path) && reason(one) == reason(other)
        };
        let remarks = rest.chunk_by(is_together).flat_map(|together| together.chunks(TOGETHER_MAX));
        for together in remarks {
            let origins: Vec<String> = together.iter().map(OldSetting::origin).collect();
            let reason = reason(&together[0]);
            self.draft.remark(format!("{}: {reason}", origins.join("; ")));
        }
        self.draft
    }
}

/// Whether a text names a variable of the environment, as `${NAME}` or `$NAME`. `$1` is a capture.
fn has_variable(text: &str) -> bool {
    let starts = text.match_indices('$').map(|(at, _)| text[at + 1..].trim_start_matches('{'));
    starts.into_iter().any(|rest| rest.starts_with(|next: char| next.is_ascii_uppercase()))
}

pub(super) fn join(prefix: &str, path: &str) -> String {
    if prefix.is_empty() { path.into() } else { format!("{prefix}.{path}") }
}

/// The value as it is.
pub(super) fn same(setting: &OldSetting) -> Option<String> {
    Some(setting.text())
}

/// A text without the dots at its ends: here the server adds the dots between the parts of a name.
pub(super) fn affix(setting: &OldSetting) -> Option<String> {
    Some(setting.text().trim_matches('.').into())
}

pub(super) fn yes_no(setting: &OldSetting) -> Option<String> {
    Some(if setting.is_on()? { "yes" } else { "no" }.into())
}

/// A switch for debug messages, as a log level.
pub(super) fn debug_level(setting: &OldSetting) -> Option<String> {
    Some(if setting.is_on()? { "debug" } else { "info" }.into())
}

/// A number of milliseconds.
pub(super) fn millis(setting: &OldSetting) -> Option<String> {
    let millis: f64 = setting.text().parse().ok()?;
    span(millis)
}

/// A number of seconds.
pub(super) fn seconds(setting: &OldSetting) -> Option<String> {
    let seconds: f64 = setting.text().parse().ok()?;
    span(seconds * 1000.0)
}

/// A duration of Go, such as `1m30s`, or a bare 0.
pub(super) fn go_span(setting: &OldSetting) -> Option<String> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-6),
        ("us", 1e-3),
        ("µs", 1e-3),
        ("ms", 1.0),
        ("s", 1e3),
        ("m", 60e3),
        ("h", 3600e3),
    ];
    let text = setting.text();
    let mut rest = text.as_str();
    let mut millis = 0.0;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|next: char| next.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        millis += number * unit;
        rest = &rest[end..];
    }
    span(millis)
}

/// Returns a duration as this server writes it.
fn span(millis: f64) -> Option<String> {
    if !(0.0..=3.2e10).contains(&millis) {
        return None;
    }
    let whole = millis.round();
    Some(match whole {
        0.0 => "0".into(),
        _ if whole % 3_600_000.0 == 0.0 => format!("{}h", whole / 3_600_000.0),
        _ if whole % 60_000.0 == 0.0 => format!("{}m", whole / 60_000.0),
        _ if whole % 1000.0 == 0.0 => format!("{}s", whole / 1000.0),
        _ => format!("{whole}ms"),
    })
}

/// A list of percentiles, in percent.
pub(super) fn percentiles(setting: &OldSetting) -> Option<String> {
    list_of(setting, 1.0)
}

/// A list of fractions, in percent.
pub(super) fn fractions(setting: &OldSetting) -> Option<String> {
    list_of(setting, 100.0)
}

/// A list of numbers, each times `factor`, without repetitions.
fn list_of(setting: &OldSetting, factor: f64) -> Option<String> {
    let mut numbers: Vec<String> = Vec::new();
    for word in setting.words() {
        for text in word.split([',', ' ']).map(str::trim).filter(|text| !text.is_empty()) {
            let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
            // A fraction of 0.999 times 100 is 99.9, not 99.900000000000006.
            let number = (number * factor * 1e6).round() / 1e6;
            let number = number.to_string();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    Some(numbers.join(", "))
}

/// Returns the address to listen on for one of other servers, where no host means all hosts.
pub(super) fn listen(address: &str, port: &str) -> String {
    match address.trim_matches(['[', ']']) {
        "" | "::" => format!("*:{port}"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// Returns an address such as `:8125` or `udp://:8125` as this server writes it, to listen on.
pub(super) fn listen_at(setting: &OldSetting) -> Option<String> {
    let text = setting.text();
    let address = text.rsplit("://").next()?;
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some(listen(host, port))
}

/// Returns a host with a port, to send to.
pub(super) fn remote(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Whether a text can stand in a pattern and a name as it is.
pub(super) fn is_plain_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
