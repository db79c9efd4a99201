//! What stands around a series' name in each style. It is put together once; a line only looks it up.

use super::namespace::{Namespace, Style};
use crate::flush::Subject;
use crate::policy::{FigureId, FigureNames};

/// What stands before a series' name, and between its bare name and its tags. Dots are part of both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Affixes {
    pub(super) before: Vec<u8>,
    pub(super) behind: Vec<u8>,
    /// The bytes at the beginning of `behind` that name the figure, with their dot; the suffix follows.
    figure_bytes: usize,
}

impl Affixes {
    /// What the figure is called; empty where the name says it all.
    pub(super) fn figure(&self) -> &[u8] {
        let figure = &self.behind[..self.figure_bytes];
        figure.strip_prefix(b".").unwrap_or(figure)
    }

    /// What stands behind the name of the series whatever the figure.
    pub(super) fn suffix(&self) -> &[u8] {
        &self.behind[self.figure_bytes..]
    }
}

/// The names of one name space. None stands for what its style does not send.
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

#[derive(Debug)]
struct CounterNames {
    rate: Option<Affixes>,
    count: Option<Affixes>,
    /// Of a value that brought its own time, sent whatever `flush_counts` says.
    timed: Affixes,
}

impl PointNames {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        let column = Column::of(namespace);
        let suffix = namespace.global_suffix.as_str();
        let stats = namespace.prefix_stats.as_str();
        let plain = |parts: NameParts<'_>, own: &str| parts.around(own, suffix);
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

    /// None if this name space does not have the figure. `timed`: the value brought its own time.
    pub(super) fn around(
        &self,
        subject: Subject,
        figure: FigureId,
        timed: bool,
    ) -> Option<&Affixes> {
        match subject {
            Subject::Counter => self.counter.around(figure, timed),
            Subject::Gauge => Some(&self.gauge),
            Subject::Timing => self.timing[figure.index()].as_ref(),
            Subject::Set => Some(&self.set),
            Subject::Kv => Some(&self.kv),
            Subject::OwnCounter => self.own_counter.around(figure, timed),
            Subject::OwnGauge => Some(&self.own_gauge),
            Subject::Own => Some(&self.own),
            Subject::NumStats => Some(&self.num_stats),
        }
    }
}

impl CounterNames {
    /// `own` is what the server's own counters have before their names.
    fn new(column: &Column<'_>, namespace: &Namespace, own: &str) -> Self {
        let around = |parts: NameParts<'_>| parts.around(own, &namespace.global_suffix);
        let counts = namespace.flush_counts || namespace.style == Style::Statsite;
        Self {
            rate: column.rate.map(around),
            count: counts.then(|| around(column.count)),
            timed: around(column.count),
        }
    }

    fn around(&self, figure: FigureId, timed: bool) -> Option<&Affixes> {
        match (figure, timed) {
            (FigureId::COUNT, false) => self.count.as_ref(),
            (FigureId::COUNT, true) => Some(&self.timed),
            _ => self.rate.as_ref(),
        }
    }
}

/// The elements before a name, and the one behind it. Empty ones are left out.
#[derive(Clone, Copy)]
struct NameParts<'a>([&'a str; 2], &'a str);

/// A style's column of the table of names, as the manual has it.
struct Column<'a> {
    rate: Option<NameParts<'a>>,
    count: NameParts<'a>,
    /// Before each of its figures.
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
        let configured = |prefix: &'a str, behind| NameParts([global, prefix], behind);
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
    fn around(self, own: &str, suffix: &str) -> Affixes {
        let Self([first, second], behind) = self;
        let present = |element: &&&str| !element.is_empty();
        let before = [first, second, own];
        let before = before.iter().filter(present).flat_map(|element| [*element, "."]);
        let figure_bytes = if behind.is_empty() { 0 } else { behind.len() + 1 };
        let behind = [behind, suffix];
        let behind = behind.iter().filter(present).flat_map(|element| [".", *element]);
        Affixes {
            before: before.collect::<String>().into_bytes(),
            behind: behind.collect::<String>().into_bytes(),
            figure_bytes,
        }
    }
}
