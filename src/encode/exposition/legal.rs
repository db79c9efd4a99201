//! Names and tags of series as Prometheus accepts them. Pure.
//!
//! The name of a family is made from the name of a series and its kind alone. So it does not depend
//! on which other series there are.
//!
//! ```text
//!  counter  web.hits    web_hits           and its sample web_hits_total
//!  counter  hits_total  hits               and its sample hits_total
//!  gauge    web.depth   web_depth_value
//!  set      web.users   web_users_members
//!  timer    web.time    web_time_timer     with bins: web_time_distribution
//! ```
//! - Letters and digits stay. Any other byte, also a dot, becomes `_`.
//! - A name that begins with a digit, or as the server's own figures do, gets a `_` in front.
//! - A counter loses a `_total` at its end, because its sample gets one.
//! - A counter whose name ends as a sample of another family gets a `_` at the end.
//!
//! Different names may become one. So the name stands in the label `statsd_name` as it is, unless
//! one of these is true:
//! - it is made of letters, digits and dots alone, and gained or lost nothing;
//! - it is made of letters, digits and `_` alone, gained nothing, lost at most a `_total`, and the
//!   table has none of its [`twins`]. So users of Prometheus, who write `a_b`, see no label that
//!   they did not ask for, and `a.b` and `a_b` still stay two series.
//!
//! If tags were changed, they stand in the label, too.

use crate::protocol::{MetricKind, bare_name, tags_of};

/// What the family of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyKind {
    Counter,
    Gauge,
    Summary,
    Histogram,
    Set,
}

/// Endings of the names of families and samples, which a counter must not have.
const RESERVED: [&[u8]; 13] = [
    b"_total",
    b"_created",
    b"_value",
    b"_members",
    b"_timer",
    b"_timer_sum",
    b"_timer_count",
    b"_timer_created",
    b"_distribution",
    b"_distribution_sum",
    b"_distribution_count",
    b"_distribution_bucket",
    b"_distribution_created",
];
/// The bytes of the longest word after the last `_` of these endings.
const LONGEST_WORD: usize = b"distribution".len();
/// The most labels of a series. Prometheus compares them with each other.
const LABELS_MAX: usize = 64;
/// Labels that do not come from tags.
const OWN_LABELS: [&[u8]; 4] = [b"le", b"quantile", b"statsd_name", b"statsd_bytes"];

impl FamilyKind {
    /// The kind of the family of a series. `has_bins` is true of a timing with a histogram.
    pub(super) fn of(kind: MetricKind, has_bins: bool) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter,
            MetricKind::Gauge => Self::Gauge,
            MetricKind::Timing if has_bins => Self::Histogram,
            MetricKind::Timing => Self::Summary,
            MetricKind::Set => Self::Set,
        }
    }

    /// What follows the name of a family in its `# TYPE` and its `# HELP` line. No series has a
    /// description of its own.
    pub(super) fn head_ends(self) -> [&'static str; 2] {
        match self {
            Self::Counter => [" counter\n", " StatsD counter, as a running total\n"],
            Self::Gauge => [" gauge\n", " StatsD gauge\n"],
            Self::Summary => [" summary\n", " StatsD timing; quantiles of the last flush\n"],
            Self::Histogram => [" histogram\n", " StatsD timing\n"],
            Self::Set => [" gauge\n", " StatsD set: different members in the last flush\n"],
        }
    }

    /// The end of the name of a family.
    pub(super) fn suffix(self) -> &'static [u8] {
        match self {
            Self::Counter => b"",
            Self::Gauge => b"_value",
            Self::Summary => b"_timer",
            Self::Histogram => b"_distribution",
            Self::Set => b"_members",
        }
    }
}

/// Appends the name of the family of a series, without the `_total` of a counter.
pub(super) fn put_family(kind: FamilyKind, name: &[u8], out: &mut Vec<u8>) {
    put_base(kind, bare_name(name), out);
    out.extend_from_slice(kind.suffix());
}

/// The end of the name of a counter's sample.
const TOTAL: &[u8] = b"_total";

/// Appends a legal name. It is longer than `bare` if a byte had to be added.
fn put_base(kind: FamilyKind, bare: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if bare.first().is_none_or(u8::is_ascii_digit) {
        out.push(b'_');
    }
    let base = out.len();
    put_legal(bare, out);
    let is_counter = kind == FamilyKind::Counter;
    if is_counter && bare.len() > TOTAL.len() && out.ends_with(TOTAL) {
        out.truncate(out.len() - TOTAL.len());
    }
    if out[base..] == *b"statsd" || out[base..].starts_with(b"statsd_") {
        out.insert(start, b'_');
    }
    if is_counter && is_reserved(&out[start..]) {
        out.push(b'_');
    }
}

/// Whether a name ends as a counter's must not.
fn is_reserved(name: &[u8]) -> bool {
    // Most names have a short last element, so that this search is shorter than a call.
    let tail = &name[name.len().saturating_sub(LONGEST_WORD + 1)..];
    let Some(end) = tail.iter().rposition(|byte| *byte == b'_') else { return false };
    // Few names have one of these words at their end, so most are not compared with each ending.
    let words: [&[u8]; 9] = [
        b"total",
        b"created",
        b"value",
        b"members",
        b"timer",
        b"sum",
        b"count",
        b"distribution",
        b"bucket",
    ];
    words.contains(&&tail[end + 1..]) && RESERVED.iter().any(|end| name.ends_with(end))
}

/// Whether a name without tags needs no label, as long as none of its [`twins`] exists.
fn is_plain(kind: FamilyKind, bare: &[u8], family: &[u8]) -> bool {
    let base = base_of(kind, family);
    base.len() == bare.len() && are_all(bare, KEPT) || rest_of_plain(bare, base).is_some()
}

/// Returns the name of a family without the end of its kind.
fn base_of(kind: FamilyKind, family: &[u8]) -> &[u8] {
    &family[..family.len() - kind.suffix().len()]
}

/// Returns what a name of letters, digits and `_` alone has after `base`: nothing, or the `_total`
/// of a counter. Returns `None` for another name, and for one that gained a `_`.
fn rest_of_plain<'a>(bare: &'a [u8], base: &[u8]) -> Option<&'a [u8]> {
    let rest = bare.strip_prefix(base)?;
    ((rest.is_empty() || rest == TOTAL) && are_all(bare, KEY)).then_some(rest)
}

/// Returns the names of other series that have the same samples without a label: of `a_b_total`
/// these are `a.b` and `a_b`. If one of them exists, this one needs the label. Returns none for a
/// name that has no `_`, and for one that has the label in any case.
pub(super) fn twins(kind: FamilyKind, name: &[u8], family: &[u8]) -> Vec<Vec<u8>> {
    let bare = bare_name(name);
    let base = base_of(kind, family);
    let Some(rest) = rest_of_plain(bare, base).filter(|_| bare.contains(&b'_')) else {
        return Vec::new();
    };
    let with_tags = |base: &[u8]| [base, &name[bare.len()..]].concat();
    let dotted: Vec<u8> =
        base.iter().map(|byte| if *byte == b'_' { b'.' } else { *byte }).collect();
    let mut twins = vec![with_tags(&dotted)];
    if !rest.is_empty() {
        twins.push(with_tags(base));
    }
    twins
}

/// What each byte is: a set of the following bits. A zero byte is nothing of these.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = u8::MAX;
    while byte > 0 {
        classes[byte as usize] = class_of(byte);
        byte -= 1;
    }
    classes
};
/// It stays in the name of a family, or a dot of the name becomes its `_`.
const KEPT: u8 = 1;
/// It stays in the key of a label.
const KEY: u8 = 2;
/// It stands for itself in the value of a label.
const PLAIN: u8 = 4;
/// It is a printable ASCII character.
const PRINTABLE: u8 = 8;

const fn class_of(byte: u8) -> u8 {
    match byte {
        b'.' => KEPT | PLAIN | PRINTABLE,
        b'_' => KEY | PLAIN | PRINTABLE,
        b'"' | b'\\' => PRINTABLE,
        _ if byte.is_ascii_alphanumeric() => KEPT | KEY | PLAIN | PRINTABLE,
        b' '..=b'~' => PLAIN | PRINTABLE,
        _ => 0,
    }
}

/// What each byte becomes in a name.
const LEGAL: [u8; 256] = {
    let mut legal = [b'_'; 256];
    let mut byte = u8::MAX;
    while byte > 0 {
        if byte.is_ascii_alphanumeric() {
            legal[byte as usize] = byte;
        }
        byte -= 1;
    }
    legal
};

/// Whether all bytes have one of the [`CLASSES`].
fn are_all(bytes: &[u8], class: u8) -> bool {
    let mut common = class;
    // Eight at a time, since the release build unrolls no other loop. It has no early end, since
    // most names have no byte at which it would be.
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        eight.iter().for_each(|byte| common &= CLASSES[usize::from(*byte)]);
    }
    rest.iter().for_each(|byte| common &= CLASSES[usize::from(*byte)]);
    common != 0
}

/// Appends bytes, with a `_` for each that is not legal.
fn put_legal(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    let (eights, rest) = out[start..].as_chunks_mut::<8>();
    for eight in eights {
        eight.iter_mut().for_each(|byte| *byte = LEGAL[usize::from(*byte)]);
    }
    rest.iter_mut().for_each(|byte| *byte = LEGAL[usize::from(*byte)]);
}

/// Makes the labels of one series after another, in buffers that it reuses.
#[derive(Debug, Default)]
pub(super) struct LabelWriter {
    /// The keys of the labels, one after the other, and where each begins.
    keys: Vec<u8>,
    starts: Vec<usize>,
    text: Vec<u8>,
}

impl LabelWriter {
    /// Returns the labels of a series of `family` as `a="b",c="d"`. It is empty if there are none.
    /// No two series of a family have the same labels. `has_twin` is true if one of its [`twins`]
    /// exists.
    pub(super) fn labels(
        &mut self,
        kind: FamilyKind,
        family: &[u8],
        name: &[u8],
        has_twin: bool,
    ) -> &[u8] {
        let Self { keys, starts, text } = self;
        keys.clear();
        starts.clear();
        text.clear();
        if !has_twin && is_plain(kind, name, family) {
            return text; // most names have no tags
        }
        let bare = bare_name(name);
        let is_name_shown = has_twin || !is_plain(kind, bare, family);
        let mut are_tags_changed = false;
        let mut are_plain = true;
        // The tags of most names are sorted. Then no key need be compared with all before it.
        let mut are_sorted = true;
        for (key, value) in tags_of(&name[bare.len()..]) {
            let start = keys.len();
            are_tags_changed |= put_key(key, keys);
            are_sorted &= starts.last().is_none_or(|last| keys[*last..start] < keys[start..]);
            let is_known = !are_sorted
                && starts
                    .iter()
                    .zip(starts.iter().skip(1).chain([&start]))
                    .any(|(from, to)| keys[*from..*to] == keys[start..]);
            // A label without a value counts as none.
            if is_known || value.is_empty() || starts.len() == LABELS_MAX {
                are_tags_changed = true;
                keys.truncate(start);
                continue;
            }
            starts.push(start);
            are_plain &= put_label(&keys[start..], value, text);
        }
        if are_tags_changed || is_name_shown {
            let shown = if are_tags_changed { name } else { bare };
            are_plain &= put_label(b"statsd_name", shown, text);
        }
        // The labels have all bytes of the name but dots, `;` and `=`.
        if !are_plain && !is_text(name) {
            // Different bytes that are no text are shown as the same character.
            put_label(b"statsd_bytes", &percent_encoded(name), text);
        }
        text
    }
}

/// Appends a legal key of a label. Returns whether another key may become the same.
fn put_key(key: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    put_legal(key, out);
    // Only now is it known whether the key is one of ours: `statsd-name` has become one.
    let legal = &out[start..];
    let is_own = OWN_LABELS.contains(&legal) || legal.starts_with(b"__");
    let is_changed = is_own || legal.first().is_none_or(u8::is_ascii_digit);
    if is_changed {
        out.splice(start..start, *b"tag_");
    }
    // A key that begins as those that were changed may be one of them.
    is_changed || key.starts_with(b"tag_") || !are_all(key, KEY)
}

/// Returns bytes with `%FF` for a control character, for a byte that is not ASCII, and for `%`.
fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(*byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

/// Whether bytes are a text without control characters.
fn is_text(bytes: &[u8]) -> bool {
    if are_all(bytes, PRINTABLE) {
        return true;
    }
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// Appends a label after the others. Bytes that are no text become U+FFFD. Returns `false` if the
/// value has a byte that does not stand for itself.
fn put_label(key: &[u8], value: &[u8], out: &mut Vec<u8>) -> bool {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(key);
    out.extend_from_slice(b"=\"");
    if are_all(value, PLAIN) {
        out.extend_from_slice(value);
        out.push(b'"');
        return true;
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                _ if character.is_control() => out.extend_from_slice("\u{fffd}".as_bytes()),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
    false
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use statsd_bench::Random;

    use super::*;

    const KINDS: [FamilyKind; 5] = [
        FamilyKind::Counter,
        FamilyKind::Gauge,
        FamilyKind::Summary,
        FamilyKind::Histogram,
        FamilyKind::Set,
    ];

    fn family(kind: FamilyKind, name: &[u8]) -> String {
        let mut out = Vec::new();
        put_family(kind, name, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Returns the labels of a series beside others. `others` has their kinds and names.
    fn labels_beside(others: &BTreeSet<(u8, Vec<u8>)>, kind: FamilyKind, name: &[u8]) -> String {
        let family = family(kind, name);
        let twins = twins(kind, name, family.as_bytes());
        let has_twin = twins.into_iter().any(|twin| others.contains(&(kind as u8, twin)));
        let mut writer = LabelWriter::default();
        let labels = writer.labels(kind, family.as_bytes(), name, has_twin);
        String::from_utf8(labels.to_vec()).unwrap()
    }

    fn labels(kind: FamilyKind, name: &[u8]) -> String {
        labels_beside(&BTreeSet::new(), kind, name)
    }

    #[test]
    fn names_become_legal() {
        for (name, counter, label) in [
            ("web.hits", "web_hits", ""),
            ("a.b.c1", "a_b_c1", ""),
            ("web_hits", "web_hits", ""),
            ("hits_total", "hits", ""),
            ("web_hits_total", "web_hits", ""),
            ("web_hits.total", "web_hits", "statsd_name=\"web_hits.total\""),
            ("hits_total_total", "hits_total_", "statsd_name=\"hits_total_total\""),
            ("web_total_hits", "web_total_hits", ""),
            ("web.hits_new", "web_hits_new", "statsd_name=\"web.hits_new\""),
            ("a_value_total", "a_value_", "statsd_name=\"a_value_total\""),
            ("_total", "_total_", "statsd_name=\"_total\""),
            ("statsd_x_total", "_statsd_x", "statsd_name=\"statsd_x_total\""),
            ("a-b", "a_b", "statsd_name=\"a-b\""),
            ("1a", "_1a", "statsd_name=\"1a\""),
            ("a.total", "a", "statsd_name=\"a.total\""),
            ("a.timer.sum", "a_timer_sum_", "statsd_name=\"a.timer.sum\""),
            ("statsd.x", "_statsd_x", "statsd_name=\"statsd.x\""),
            ("statsd", "_statsd", "statsd_name=\"statsd\""),
            ("statsdx", "statsdx", ""),
            ("a;env=prod;host=b", "a", "env=\"prod\",host=\"b\""),
            ("a_b;env=prod", "a_b", "env=\"prod\""),
            ("a_b_total;env=prod", "a_b", "env=\"prod\""),
            ("a_b;e-v=1", "a_b", "e_v=\"1\",statsd_name=\"a_b;e-v=1\""),
            ("a;e-v=1", "a", "e_v=\"1\",statsd_name=\"a;e-v=1\""),
            ("a;e-v=1;e_v=2", "a", "e_v=\"1\",statsd_name=\"a;e-v=1;e_v=2\""),
            ("a;le=1;tag_le=2", "a", "tag_le=\"1\",statsd_name=\"a;le=1;tag_le=2\""),
            ("a;__name__=x", "a", "tag___name__=\"x\",statsd_name=\"a;__name__=x\""),
            ("a;--x=1", "a", "tag___x=\"1\",statsd_name=\"a;--x=1\""),
            ("a;statsd-name=x", "a", "tag_statsd_name=\"x\",statsd_name=\"a;statsd-name=x\""),
            ("a;l.e=x;le=y", "a", "l_e=\"x\",tag_le=\"y\",statsd_name=\"a;l.e=x;le=y\""),
            ("a;b=1;a=2;b=3", "a", "b=\"1\",a=\"2\",statsd_name=\"a;b=1;a=2;b=3\""),
            ("a;1=x", "a", "tag_1=\"x\",statsd_name=\"a;1=x\""),
            ("a;b=", "a", "statsd_name=\"a;b=\""),
            ("a;b", "a", "statsd_name=\"a;b\""),
            ("a;k=q\"\\", "a", "k=\"q\\\"\\\\\""),
            ("caf\u{e9}", "caf__", "statsd_name=\"caf\u{e9}\""),
            ("", "_", "statsd_name=\"\""),
        ] {
            assert_eq!(family(FamilyKind::Counter, name.as_bytes()), counter, "{name}");
            assert_eq!(labels(FamilyKind::Counter, name.as_bytes()), label, "{name}");
        }
        assert_eq!(
            labels(FamilyKind::Counter, b"a\xff;k=\xfe\n"),
            "k=\"\u{fffd}\u{fffd}\",statsd_name=\"a\u{fffd}\",statsd_bytes=\"a%FF;k=%FE%0A\""
        );
        let all = KINDS.map(|kind| family(kind, b"a.b"));
        assert_eq!(all, ["a_b", "a_b_value", "a_b_timer", "a_b_distribution", "a_b_members"]);
        assert_eq!(family(FamilyKind::Gauge, b"a.total"), "a_total_value");
        assert_eq!(labels(FamilyKind::Gauge, b"a.total"), "", "only counters end there");
    }

    #[test]
    fn of_twins_all_but_one_have_their_names() {
        let names = ["a.b;k=v", "a_b;k=v", "a_b_total;k=v", "a_c_total", "a_c;k=v", "d_e"];
        let all = |names: &[&str], kind: FamilyKind| {
            names.iter().map(|name| (kind as u8, name.as_bytes().to_vec())).collect()
        };
        let shown = |others: &[&str], name: &str| {
            let others = all(others, FamilyKind::Counter);
            labels_beside(&others, FamilyKind::Counter, name.as_bytes())
        };
        assert_eq!(shown(&names, "a.b;k=v"), "k=\"v\"");
        assert_eq!(shown(&names, "a_b;k=v"), "k=\"v\",statsd_name=\"a_b\"");
        assert_eq!(shown(&names, "a_b_total;k=v"), "k=\"v\",statsd_name=\"a_b_total\"");
        assert_eq!(shown(&names[1..], "a_b;k=v"), "k=\"v\"", "there is no a.b any more");
        assert_eq!(shown(&names[1..], "a_b_total;k=v"), "k=\"v\",statsd_name=\"a_b_total\"");
        assert_eq!(shown(&names, "a_c_total"), "", "a_c has other tags");
        assert_eq!(shown(&["x"], "x_total"), "statsd_name=\"x_total\"");
        let gauges = all(&["d.e"], FamilyKind::Gauge);
        assert_eq!(labels_beside(&gauges, FamilyKind::Counter, b"d_e"), "", "another kind");
        assert_eq!(labels_beside(&gauges, FamilyKind::Gauge, b"d_e"), "statsd_name=\"d_e\"");
        assert_eq!(family(FamilyKind::Gauge, b"a_total"), "a_total_value", "only counters lose it");
    }

    #[test]
    fn labels_are_bounded() {
        let name: String = (0..200).fold("a".to_owned(), |name, n| format!("{name};k{n}=v"));
        let labels = labels(FamilyKind::Gauge, name.as_bytes());
        assert_eq!(labels.matches("=\"v\"").count(), LABELS_MAX);
        assert!(labels.ends_with(&format!("statsd_name=\"{name}\"")));
    }

    /// A random name of few pieces, so that many of them become the same.
    fn random_name(random: &mut Random) -> Vec<u8> {
        const PIECES: [&[u8]; 34] = [
            b"a",
            b"b",
            b".",
            b"_",
            b"-",
            b";",
            b"=",
            b"1",
            b"total",
            b"value",
            b"timer",
            b"sum",
            b"count",
            b"created",
            b"members",
            b"distribution",
            b"bucket",
            b"statsd",
            b"le",
            b"tag_",
            b"\xff",
            b"\xfe",
            b"\n",
            b"\"",
            b"\\",
            b"__",
            b"%FF",
            b"statsd_name",
            b";k=",
            b";--name--=",
            b";statsd-name=",
            b";statsd.bytes=",
            b";quantile=",
            b"\xc3\xa9",
        ];
        let length = 1 + random.below(5);
        (0..length).flat_map(|_| PIECES[random.below(PIECES.len())]).copied().collect()
    }

    /// Returns the keys of labels that [`LabelWriter::labels`] has written.
    fn keys(labels: &str) -> Vec<&str> {
        let mut keys = Vec::new();
        let mut rest = labels;
        while let Some((key, value)) = rest.split_once("=\"") {
            keys.push(key.trim_start_matches(','));
            let is_end =
                |at: usize| value[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0;
            let end = value.match_indices('"').map(|(at, _)| at).find(|at| is_end(*at)).unwrap();
            rest = &value[end + 1..];
        }
        keys
    }

    /// Shows with random names that no two series have the same samples, that no sample belongs to
    /// two families, that all names are legal, and that no series has two labels of one key.
    #[test]
    fn no_two_series_meet() {
        let mut random = Random::new(7);
        let mut series: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
        let mut families: BTreeMap<String, FamilyKind> = BTreeMap::new();
        let all: Vec<_> = (0..60_000)
            .map(|_| (KINDS[random.below(KINDS.len())], random_name(&mut random)))
            .collect();
        let others = all.iter().map(|(kind, name)| (*kind as u8, name.clone())).collect();
        for (kind, name) in all {
            let family = family(kind, &name);
            let labels = labels_beside(&others, kind, &name);
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(family.bytes().all(is_legal) && !family.as_bytes()[0].is_ascii_digit());
            assert!(!family.starts_with("statsd_") && family != "statsd");
            let keys = keys(&labels);
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{labels}");
            assert!(!keys.iter().any(|key| ["le", "quantile"].contains(key)), "{labels}");
            assert!(!keys.iter().any(|key| key.starts_with("__")), "{labels}");
            let known = families.entry(family.clone()).or_insert(kind);
            assert_eq!(*known, kind, "two kinds of {family}");
            let known =
                series.entry((family.clone(), labels.clone())).or_insert_with(|| name.clone());
            let names = [known.escape_ascii().to_string(), name.escape_ascii().to_string()];
            assert_eq!(names[0], names[1], "{family}{{{labels}}}");
        }
        let mut samples = BTreeSet::new();
        for (family, kind) in &families {
            let suffixes: &[&str] = match kind {
                FamilyKind::Counter => &["", "_total", "_created"],
                FamilyKind::Gauge | FamilyKind::Set => &[""],
                FamilyKind::Summary => &["", "_sum", "_count", "_created"],
                FamilyKind::Histogram => &["", "_sum", "_count", "_bucket", "_created"],
            };
            for suffix in suffixes {
                assert!(samples.insert(format!("{family}{suffix}")), "{family}{suffix}");
            }
        }
    }
}
