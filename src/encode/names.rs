//! Turns a summary into points: one for each of its figures that the name space sends. Each point
//! has a name in the style of the name space. The prefixes and suffixes of names are composed once;
//! a line only looks them up.

use super::encoder::RefusalReason;
use super::namespace::{Namespace, Style};
use crate::few::sort_few;
use crate::flush::{Subject, Summary};
use crate::policy::{FigureId, FigureNames};
use crate::protocol::{cleaned, has_empty_elements, has_name_tag, is_clean, is_storable};

/// The text before the name of a series, and the text between its bare name and its tags. Both
/// include their dots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Affixes {
    pub(super) prefix: Vec<u8>,
    pub(super) suffix: Vec<u8>,
    /// The bytes at the start of `suffix` that name the figure, with their dot. The configured
    /// suffix follows.
    figure_bytes: usize,
}

impl Affixes {
    /// The name of the figure. Empty if the point has only the name of the series.
    pub(super) fn figure(&self) -> &[u8] {
        let figure = &self.suffix[..self.figure_bytes];
        figure.strip_prefix(b".").unwrap_or(figure)
    }

    /// The configured suffix, which does not depend on the figure.
    pub(super) fn global_suffix(&self) -> &[u8] {
        &self.suffix[self.figure_bytes..]
    }
}

/// The affixes of all figures in one name space. `None` is for a figure that its style does not
/// send.
#[derive(Debug)]
pub(super) struct PointNames {
    counter: CounterNames,
    own_counter: CounterNames,
    /// In the order of [`FigureId`].
    timing: Vec<Option<Affixes>>,
    gauge: Affixes,
    set: Affixes,
    kv: Affixes,
    own_gauge: Affixes,
    own: Affixes,
    num_stats: Affixes,
}

/// The affixes of a counter. `rate` and `count` are `None` if the name space does not send them.
#[derive(Debug)]
struct CounterNames {
    rate: Option<Affixes>,
    count: Option<Affixes>,
    /// For a value with its own time, which is sent even if `flush_counts` is off.
    timed: Affixes,
}

impl PointNames {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        let column = Column::of(namespace);
        let suffix = namespace.global_suffix.as_str();
        let stats = namespace.prefix_stats.as_str();
        let plain = |parts: NameParts<'_>, own: &str| parts.affixes(own, suffix);
        let timing = |figure: Option<&str>| Some(plain(NameParts(column.timer, figure?), ""));
        Self {
            counter: CounterNames::new(&column, namespace, ""),
            own_counter: CounterNames::new(&column, namespace, stats),
            timing: match namespace.style {
                Style::Legacy | Style::Modern => figures.node().map(timing).collect(),
                Style::Statsite => figures.statsite().map(timing).collect(),
            },
            gauge: plain(column.gauge, ""),
            set: plain(column.set, ""),
            kv: plain(column.kv, ""),
            own_gauge: plain(column.gauge, stats),
            own: plain(column.own, stats),
            num_stats: plain(column.num_stats, stats),
        }
    }

    /// Returns `None` if this name space does not send the figure. `timed` is true if the value
    /// has a timestamp of its own.
    pub(super) fn affixes(
        &self,
        subject: Subject,
        figure: FigureId,
        timed: bool,
    ) -> Option<&Affixes> {
        match subject {
            Subject::Counter => self.counter.affixes(figure, timed),
            Subject::Gauge => Some(&self.gauge),
            Subject::Timing => self.timing[figure.index()].as_ref(),
            Subject::Set => Some(&self.set),
            Subject::Kv => Some(&self.kv),
            Subject::OwnCounter => self.own_counter.affixes(figure, timed),
            Subject::OwnGauge => Some(&self.own_gauge),
            Subject::Own => Some(&self.own),
            Subject::NumStats => Some(&self.num_stats),
        }
    }
}

impl CounterNames {
    /// `own` is the prefix of the names of the server's own counters.
    fn new(column: &Column<'_>, namespace: &Namespace, own: &str) -> Self {
        let affixes = |parts: NameParts<'_>| parts.affixes(own, &namespace.global_suffix);
        let counts = namespace.flush_counts || namespace.style == Style::Statsite;
        Self {
            rate: column.rate.map(affixes),
            count: counts.then(|| affixes(column.count)),
            timed: affixes(column.count),
        }
    }

    fn affixes(&self, figure: FigureId, timed: bool) -> Option<&Affixes> {
        match (figure, timed) {
            (FigureId::COUNT, false) => self.count.as_ref(),
            (FigureId::COUNT, true) => Some(&self.timed),
            _ => self.rate.as_ref(),
        }
    }
}

/// The elements before a name, and the element after it. Empty elements are left out.
#[derive(Clone, Copy)]
struct NameParts<'a>([&'a str; 2], &'a str);

/// One style's column of the table of names in the manual.
struct Column<'a> {
    rate: Option<NameParts<'a>>,
    count: NameParts<'a>,
    /// The elements before a timing; its figure is the element after it.
    timer: [&'a str; 2],
    gauge: NameParts<'a>,
    set: NameParts<'a>,
    kv: NameParts<'a>,
    own: NameParts<'a>,
    num_stats: NameParts<'a>,
}

impl<'a> Column<'a> {
    fn of(namespace: &'a Namespace) -> Self {
        let Namespace { global_prefix: global, prefix_counter, .. } = namespace;
        let configured = |prefix: &'a str, after| NameParts([global, prefix], after);
        let modern = Self {
            rate: Some(configured(prefix_counter, "rate")),
            count: configured(prefix_counter, "count"),
            timer: [global, &namespace.prefix_timer],
            gauge: configured(&namespace.prefix_gauge, ""),
            set: configured(&namespace.prefix_set, "count"),
            kv: configured(&namespace.prefix_kv, ""),
            own: configured("", ""),
            num_stats: configured("", ""),
        };
        match namespace.style {
            Style::Legacy => Self {
                rate: Some(NameParts(["stats", ""], "")),
                count: NameParts(["stats_counts", ""], ""),
                timer: ["stats", "timers"],
                gauge: NameParts(["stats", "gauges"], ""),
                set: NameParts(["stats", "sets"], "count"),
                kv: NameParts(["stats", "kv"], ""),
                own: NameParts(["stats", ""], ""),
                num_stats: NameParts(["", ""], ""),
            },
            Style::Modern => modern,
            Style::Statsite => {
                let extended = namespace.extended_counters;
                Self {
                    rate: modern.rate.filter(|_| extended),
                    count: configured(prefix_counter, if extended { "count" } else { "" }),
                    set: configured(&namespace.prefix_set, ""),
                    own: modern.gauge,
                    num_stats: configured(prefix_counter, ""),
                    ..modern
                }
            }
        }
    }
}

impl NameParts<'_> {
    /// Joins the elements with dots. `own` is the prefix of the server's own names, or empty.
    fn affixes(self, own: &str, global_suffix: &str) -> Affixes {
        let Self([first, second], figure) = self;
        let mut prefix = String::new();
        for element in [first, second, own] {
            if !element.is_empty() {
                prefix.push_str(element);
                prefix.push('.');
            }
        }
        let mut suffix = String::new();
        for element in [figure, global_suffix] {
            if !element.is_empty() {
                suffix.push('.');
                suffix.push_str(element);
            }
        }
        Affixes {
            prefix: prefix.into_bytes(),
            suffix: suffix.into_bytes(),
            figure_bytes: if figure.is_empty() { 0 } else { figure.len() + 1 },
        }
    }
}

/// The points that a name space sends, and their names.
#[derive(Debug)]
pub(super) struct Points {
    names: PointNames,
    /// Whether an idle series is sent. An idle gauge always is.
    sends_idle: bool,
    /// Whether names are passed on raw.
    stores_raw: bool,
    /// The tags that every series gets.
    constant: ConstantTags,
    /// Whether the points are for carbon. It stores a series without tags in a file, whose path it
    /// makes of the elements of the name.
    is_for_carbon: bool,
}

/// The tags of a name space as names have them: sorted, each as `;key=value`.
#[derive(Debug)]
struct ConstantTags(Vec<Vec<u8>>);

impl ConstantTags {
    fn new(namespace: &Namespace) -> Self {
        let given = namespace.tags.iter().filter(|tag| !tag.value.is_empty());
        let mut all: Vec<_> =
            given.map(|tag| format!(";{}={}", tag.key, tag.value).into_bytes()).collect();
        sort_few(&mut all, |a, b| key_of(a).cmp(key_of(b)));
        Self(all)
    }

    /// Returns the tags of a series and these, sorted by key. A series keeps its own tag if both
    /// have the key.
    #[cold]
    fn added_to(&self, tags: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(tags.len() + 32 * self.0.len());
        let mut ours = self.0.iter().peekable();
        let starts = memchr::memchr_iter(b';', tags);
        for start in starts {
            let tag = &tags[start..];
            let end = memchr::memchr(b';', &tag[1..]).map_or(tag.len(), |at| at + 1);
            let tag = &tag[..end];
            while let Some(before) = ours.next_if(|ours| key_of(ours) < key_of(tag)) {
                out.extend_from_slice(before);
            }
            ours.next_if(|ours| key_of(ours) == key_of(tag));
            out.extend_from_slice(tag);
        }
        ours.for_each(|tag| out.extend_from_slice(tag));
        out
    }
}

/// The key of `;key=value`.
fn key_of(tag: &[u8]) -> &[u8] {
    &tag[1..memchr::memchr(b'=', tag).unwrap_or(tag.len())]
}

/// The most bytes that Linux accepts in the name of a file or folder.
const ELEMENT_BYTES_MAX: usize = 255;
/// The bytes that Whisper adds to the last element.
const FILE_SUFFIX_BYTES: usize = ".wsp".len();
/// The most bytes of a name without tags. The path of its file may have 4,095 bytes, of which the
/// folder of Whisper takes some.
const PATH_BYTES_MAX: usize = 4000;
/// A series with tags and a shorter name is always stored. It is far below the length of the lines
/// that carbon reads, so that prefixes, suffixes and values need no check.
const SHORT_TAGGED_NAME: usize = 8 << 10;

/// One value with its name. Unless it is raw, the name is clean: ASCII, without white space and
/// without the separators of the formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    affixes: &'a Affixes,
    bare: &'a [u8],
    /// From the first `;` on, or empty.
    pub(super) tags: &'a [u8],
    /// Whether the bare name and the tags must be escaped. They are UTF-8 without control
    /// characters, and no part of them ends with a backslash.
    pub(super) is_raw: bool,
    /// Whether carbon may be unable to store the point. Then [`refusal`](Self::refusal) must be
    /// called.
    pub(super) is_doubtful: bool,
    pub(super) value: f64,
    /// The time of the value, in seconds since 1970, if the client sent one. `None` means the
    /// timestamp of the flush.
    pub(super) timestamp: Option<u64>,
}

impl Points {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            names: PointNames::new(namespace, figures),
            sends_idle: namespace.style != Style::Statsite,
            stores_raw: false,
            constant: ConstantTags::new(namespace),
            is_for_carbon: false,
        }
    }

    pub(super) fn for_carbon(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self { is_for_carbon: true, ..Self::new(namespace, figures) }
    }

    /// For a format that can escape any character.
    pub(super) fn raw(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self { stores_raw: true, ..Self::new(namespace, figures) }
    }

    /// Passes the points of a summary to `out`, each with its figure, in their order.
    #[inline(always)]
    pub(super) fn of(&self, summary: &Summary<'_>, mut out: impl FnMut(Point<'_>, FigureId)) {
        if summary.idle && !self.sends_idle && summary.subject != Subject::Gauge {
            return;
        }
        // One loop for both cases, so that `out` is inlined into it.
        let cleaned_name;
        let is_clean = summary.has_plain_name || is_clean(summary.name);
        let is_raw = !is_clean && self.stores_raw && is_storable(summary.name);
        let name = if is_clean || is_raw {
            summary.name
        } else {
            cleaned_name = cleaned(summary.name);
            &cleaned_name[..]
        };
        let semicolon = memchr::memchr(b';', name).unwrap_or(name.len());
        let (bare, mut tags) = name.split_at(semicolon);
        let with_constant;
        let has_constant = !self.constant.0.is_empty();
        if has_constant {
            with_constant = self.constant.added_to(tags);
            tags = &with_constant;
        }
        let with_new_key;
        let mut is_doubtful = false;
        if self.is_for_carbon && (has_constant || !summary.has_plain_name) {
            if has_name_tag(tags) {
                with_new_key = with_new_key_for_name(tags);
                tags = &with_new_key;
            }
            is_doubtful = is_doubtful_name(bare, tags);
        }
        let timestamp = summary.timestamp;
        for figure in summary.figures {
            let affixes = self.names.affixes(summary.subject, figure.id, timestamp.is_some());
            if let Some(affixes) = affixes {
                let value = figure.value;
                out(
                    Point { affixes, bare, tags, is_raw, is_doubtful, value, timestamp },
                    figure.id,
                );
            }
        }
    }
}

/// Whether the points of a series may be some that carbon cannot store. It is false for nearly all
/// series, so that their points need no check.
#[cold]
fn is_doubtful_name(bare: &[u8], tags: &[u8]) -> bool {
    if tags.is_empty() {
        bare.len() > ELEMENT_BYTES_MAX - FILE_SUFFIX_BYTES || has_empty_elements(bare)
    } else {
        bare.len() + tags.len() > SHORT_TAGGED_NAME
    }
}

/// Returns the tags with the key `@name` in place of `name`.
///
/// Carbon stores the name of a series as its tag `name`. All series of one name would be one series
/// if they differed in a tag of this key. No clean key begins with `@`.
#[cold]
fn with_new_key_for_name(tags: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tags.len() + 1);
    for tag in tags.split(|byte| *byte == b';').skip(1) {
        out.push(b';');
        if tag.starts_with(b"name=") {
            out.push(b'@');
        }
        out.extend_from_slice(tag);
    }
    out
}

impl Point<'_> {
    /// Returns why carbon cannot store the point in a file, if that is so.
    ///
    /// A series with tags has a hash as the name of its file.
    #[cold]
    pub(super) fn refusal(&self) -> Option<RefusalReason> {
        if !self.tags.is_empty() {
            return None;
        }
        let mut name = Vec::new();
        self.append_bare_name(&mut name);
        let last = name.rsplit(|byte| *byte == b'.').next().map_or(0, <[u8]>::len);
        let mut elements = name.split(|byte| *byte == b'.');
        if has_empty_elements(&name) {
            Some(RefusalReason::EmptyElement)
        } else if last > ELEMENT_BYTES_MAX - FILE_SUFFIX_BYTES
            || elements.any(|element| element.len() > ELEMENT_BYTES_MAX)
        {
            Some(RefusalReason::ElementTooLong)
        } else {
            (name.len() > PATH_BYTES_MAX).then_some(RefusalReason::PathTooLong)
        }
    }

    /// The name of the figure. Empty if the point has only the name of the series.
    pub(super) fn figure(&self) -> &[u8] {
        self.affixes.figure()
    }

    /// The prefix of the name. Points of one summary with different prefixes belong to different
    /// series.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.affixes.prefix
    }

    /// Appends the name of the series, which all its figures share, without tags.
    pub(super) fn append_series_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.affixes.prefix);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(self.affixes.global_suffix());
    }

    /// Appends its name without tags.
    #[inline(always)]
    pub(super) fn append_bare_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.affixes.prefix);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(&self.affixes.suffix);
    }

    /// Appends its name with tags, as Graphite writes them.
    #[inline(always)]
    pub(super) fn append_name(&self, out: &mut Vec<u8>) {
        self.append_bare_name(out);
        out.extend_from_slice(self.tags);
    }
}

#[cfg(test)]
mod tests {
    use super::super::namespace::ConstantTag;
    use super::*;

    #[test]
    fn constant_tags_are_sorted_among_those_of_the_series_which_win() {
        let tag = |(key, value): (&str, &str)| ConstantTag { key: key.into(), value: value.into() };
        let tags = [("host", "web1"), ("dc", "eu"), ("none", "")].map(tag).to_vec();
        let constant = ConstantTags::new(&Namespace { tags, ..Namespace::default() });
        for (tags, expected) in [
            ("", ";dc=eu;host=web1"),
            (";a=1;z=2", ";a=1;dc=eu;host=web1;z=2"),
            (";dc=us", ";dc=us;host=web1"),
            (";d=1;host=a;host2=b", ";d=1;dc=eu;host=a;host2=b"),
            (";i", ";dc=eu;host=web1;i"),
        ] {
            assert_eq!(constant.added_to(tags.as_bytes()), expected.as_bytes(), "{tags}");
        }
    }
}
