//! The settings of a name space, which decide how the names of series are written.

/// The server whose names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Node StatsD's older name space: `stats.K`, `stats_counts.K`, `stats.timers.K.…`.
    Legacy,
    /// Node StatsD's newer one: `stats.counters.K.rate`, `stats.timers.K.…`.
    Modern,
    /// statsite's: `counts.K`, `timers.K.…`. Idle series are not sent, but gauges are.
    Statsite,
}

/// One `[namespace]` section. Empty prefixes and suffixes are left out together with their dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The name by which a destination selects it: empty for `[namespace]`, NAME for
    /// `[namespace.NAME]`.
    pub name: String,
    pub style: Style,
    pub global_prefix: String,
    pub global_suffix: String,
    /// Whether the short name of the host is the suffix. `server/pipeline/outputs.rs` looks it up.
    pub host_suffix: bool,
    /// The tags that every series gets, in the order of the file.
    pub tags: Vec<ConstantTag>,
    pub prefix_counter: String,
    pub prefix_timer: String,
    pub prefix_gauge: String,
    pub prefix_set: String,
    pub prefix_kv: String,
    pub prefix_stats: String,
    /// Whether a counter's count is written beside its rate. Statsite style ignores this.
    pub flush_counts: bool,
    /// Whether statsite style writes `counts.K.count` and `counts.K.rate` in place of `counts.K`.
    pub extended_counters: bool,
}

/// A tag that every series of a name space gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantTag {
    pub key: String,
    /// `$HOST` or `${HOST}` in it stands for the short name of the host, until
    /// `server/pipeline/outputs.rs` has replaced it.
    pub value: String,
}

impl ConstantTag {
    pub fn has_host(&self) -> bool {
        self.value.contains('$')
    }

    /// Returns the value with the name of the host. Returns `None` if another word follows a `$`.
    /// Letters right after `$HOST` belong to its word, as in a shell.
    pub fn value_with(&self, host: &str) -> Option<String> {
        let mut pieces = self.value.split('$');
        let mut out = pieces.next()?.to_owned();
        for piece in pieces {
            let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let rest = piece.strip_prefix("{HOST}").or_else(|| {
                piece
                    .strip_prefix("HOST")
                    .filter(|rest| !rest.bytes().next().is_some_and(is_of_word))
            })?;
            out.push_str(host);
            out.push_str(rest);
        }
        Some(out)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            name: String::new(),
            style: Style::Legacy,
            global_prefix: "stats".into(),
            global_suffix: String::new(),
            host_suffix: false,
            tags: Vec::new(),
            prefix_counter: "counters".into(),
            prefix_timer: "timers".into(),
            prefix_gauge: "gauges".into(),
            prefix_set: "sets".into(),
            prefix_kv: "kv".into(),
            prefix_stats: "statsd".into(),
            flush_counts: true,
            extended_counters: false,
        }
    }
}

impl Namespace {
    /// The defaults of statsite style.
    pub fn statsite() -> Self {
        Self {
            style: Style::Statsite,
            global_prefix: String::new(),
            prefix_counter: "counts".into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_a_word_of_its_own() {
        for (value, expected) in [
            ("$HOST", Some("web1")),
            ("a-$HOST.b", Some("a-web1.b")),
            ("${HOST}2", Some("web12")),
            ("$HOST${HOST}", Some("web1web1")),
            ("eu", Some("eu")),
            ("$HOSTNAME", None),
            ("$HOST_1", None),
            ("${HOSTNAME}", None),
            ("a$", None),
            ("$$HOST", None),
        ] {
            let tag = ConstantTag { key: "host".into(), value: value.into() };
            assert_eq!(tag.value_with("web1").as_deref(), expected, "{value}");
        }
    }
}
