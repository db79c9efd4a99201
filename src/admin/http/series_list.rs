//! `/api/series`: the series that a search finds, or all about one of them.
//!
//! A walk over the table keeps the first `n` of the order that the client wants. Their entries are
//! written after the walk, with the values of that time. So the memory does not depend on the
//! number of series.

use std::cmp::Ordering;

use memchr::memmem;

use super::request::WebRequest;
use super::sender_list::put_name;
use crate::admin::json::JsonWriter;
use crate::admin::text::refusals;
use crate::admin::view::View;
use crate::encode::sent_names::NameEncoders;
use crate::engine::explain::{ExplainedLine, explain_series};
use crate::policy::Glob;
use crate::protocol::MetricKind;
use crate::series::{Audience, Cursor, LastInterval, SeriesPlace, Values, Visited};
use crate::sink::Feed;

/// The answer to one search, in progress.
#[derive(Debug)]
pub(super) struct SeriesList {
    search: Search,
    cursor: Cursor,
    /// The first series of the order so far. More than `search.most` are collected before they are
    /// sorted and the surplus is removed.
    found: Vec<FoundSeries>,
    /// Whether the surplus was removed before, so that `found` begins with sorted entries, and none
    /// after the last of them counts.
    is_trimmed: bool,
    /// The number of series that match.
    matched: usize,
    /// How many entries are written. `None` until the walk is done.
    written: Option<usize>,
}

/// What a client looks for.
#[derive(Clone, Debug)]
struct Search {
    text: SearchText,
    kind: Option<MetricKind>,
    order: Order,
    descends: bool,
    /// The most entries of the answer.
    most: usize,
}

#[derive(Clone, Debug)]
enum SearchText {
    All,
    Part(Box<memmem::Finder<'static>>),
    Pattern(Glob),
}

impl SearchText {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::All => b"",
            Self::Part(part) => part.needle(),
            Self::Pattern(glob) => glob.as_str().as_bytes(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Name,
    Value,
    Samples,
    Rate,
    /// By the time since the last sample, the shortest first.
    Seen,
}

/// A series that was found.
#[derive(Debug)]
struct FoundSeries {
    /// What it is ordered by, before its name.
    rank: f64,
    name: Box<[u8]>,
    place: SeriesPlace,
}

/// The most entries of an answer, and how many there are without `n`.
const MOST: usize = 1000;
const USUAL: usize = 200;
/// The most bytes of a search text. The time for a pattern depends on its length.
const TEXT_BYTES: usize = 128;
/// The most places that one step visits, and the most entries that it writes.
const STEP_PLACES: usize = 256;
const STEP_ENTRIES: usize = 64;

const KINDS: [(&str, MetricKind); 4] = [
    ("counter", MetricKind::Counter),
    ("gauge", MetricKind::Gauge),
    ("timer", MetricKind::Timing),
    ("set", MetricKind::Set),
];
const ORDERS: [(&str, Order); 5] = [
    ("name", Order::Name),
    ("value", Order::Value),
    ("samples", Order::Samples),
    ("rate", Order::Rate),
    ("seen", Order::Seen),
];

impl SeriesList {
    /// Returns the reason if the request has a parameter that means nothing.
    pub(super) fn new(request: &WebRequest<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            search: Search::read(request)?,
            cursor: Cursor::default(),
            found: Vec::new(),
            is_trimmed: false,
            matched: 0,
            written: None,
        })
    }

    /// Whether the walk over the series is under way. Its result is bounded by [`MOST`].
    pub(super) fn is_begun(&self) -> bool {
        self.cursor != Cursor::default() && self.written.is_none()
    }

    /// Whether the walk must still begin.
    pub(super) fn is_about_to_begin(&self) -> bool {
        self.cursor == Cursor::default()
    }

    /// Frees the memory of the walk. It begins again.
    pub(super) fn pause(&mut self) {
        if self.is_begun() {
            self.cursor = Cursor::default();
            self.found = Vec::new();
            self.is_trimmed = false;
            self.matched = 0;
        }
    }

    /// Does a part of the work. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let Some(written) = &mut self.written else {
            if self.walk(view) {
                self.begin(view, out);
            }
            return false;
        };
        let end = self.found.len().min(*written + STEP_ENTRIES);
        let mut json = JsonWriter::resume(out, *written > 0);
        for found in &self.found[*written..end] {
            put_found(found, view, &mut json);
        }
        *written = end;
        if end < self.found.len() {
            return false;
        }
        json.close(b']').close(b'}');
        true
    }

    /// Visits the next series. Returns `true` after the last one.
    fn walk(&mut self, view: &mut View<'_>) -> bool {
        let Self { search, cursor, found, is_trimmed, matched, .. } = self;
        view.server.engine.table_mut().visit(cursor, search.places(), |mut visited| {
            if visited.audience == Audience::Clean || !search.matches(&visited) {
                return;
            }
            *matched += 1;
            let rank = search.rank(&mut visited);
            let place = (rank, visited.name());
            let is_late = |last: &FoundSeries| search.compare(place, last.place()).is_gt();
            if *is_trimmed && found.get(search.most - 1).is_some_and(is_late) {
                return;
            }
            let name = visited.name().into();
            found.push(FoundSeries { rank, name, place: visited.place });
            if found.len() >= 2 * search.most {
                search.keep_first(found);
                *is_trimmed = true;
            }
        })
    }

    /// Writes the beginning of the answer.
    fn begin(&mut self, view: &View<'_>, out: &mut Vec<u8>) {
        self.search.keep_first(&mut self.found);
        let mut json = JsonWriter::new(out);
        let total: usize = view.server.engine.table().client_series().iter().sum();
        json.open(b'{').key("total").number(total as f64);
        json.key("matched").number(self.matched as f64);
        json.key("now").number(view.server.now.unix.as_millis() as f64 / 1000.0);
        put_dropped_by(self.search.text.as_bytes(), view, &mut json);
        json.key("series").open(b'[');
        self.written = Some(0);
    }
}

impl FoundSeries {
    fn place(&self) -> (f64, &[u8]) {
        (self.rank, &self.name)
    }
}

impl Search {
    fn read(request: &WebRequest<'_>) -> Result<Self, &'static str> {
        let text = request.parameter("q").unwrap_or_default();
        if text.len() > TEXT_BYTES {
            return Err("q is longer than 128 bytes");
        }
        let is_pattern = text.iter().any(|byte| b"*?".contains(byte));
        let text = match str::from_utf8(&text) {
            _ if text.is_empty() => SearchText::All,
            Ok(text) if is_pattern => SearchText::Pattern(Glob::for_search(text)),
            _ => SearchText::Part(Box::new(memmem::Finder::new(&text).into_owned())),
        };
        let order = named(request, "sort", &ORDERS, "sort is name, value, samples, rate or seen")?;
        Ok(Self {
            text,
            kind: read_kind(request)?,
            order: order.unwrap_or(Order::Name),
            descends: request.parameter("desc").is_some_and(|text| text == b"1"),
            most: request.most()?.unwrap_or(USUAL).clamp(1, MOST),
        })
    }

    /// How many places a step visits, so that it takes no longer with a pattern that is long.
    fn places(&self) -> usize {
        match &self.text {
            SearchText::Pattern(glob) => STEP_PLACES * 4 / glob.as_str().len().max(4),
            SearchText::All | SearchText::Part(_) => STEP_PLACES,
        }
    }

    fn matches(&self, visited: &Visited<'_>) -> bool {
        let name = visited.name();
        self.kind.is_none_or(|kind| kind == visited.kind)
            && match &self.text {
                SearchText::All => true,
                SearchText::Part(part) => part.find(name).is_some(),
                SearchText::Pattern(glob) => glob.matches(name),
            }
    }

    /// Returns what a series is ordered by, before its name.
    fn rank(&self, visited: &mut Visited<'_>) -> f64 {
        let is_counted = matches!(visited.kind, MetricKind::Counter | MetricKind::Timing);
        match self.order {
            Order::Name => 0.0,
            Order::Value => open_value(&visited.series.open(visited.tick)),
            Order::Samples if is_counted => total(visited).unwrap_or(0.0),
            // The length of the interval is the same for all.
            Order::Rate if is_counted => visited.series.last(visited.tick).unwrap_or(0.0),
            Order::Samples | Order::Rate => 0.0,
            Order::Seen => f64::from(visited.series.idle_until(visited.tick)),
        }
    }

    fn compare(&self, a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
        let ranks = a.0.total_cmp(&b.0);
        let names = a.1.cmp(b.1);
        match (self.order, self.descends) {
            (Order::Name, true) => names.reverse(),
            // Series with the same rank are ordered by name in either case.
            (_, true) => ranks.reverse().then(names),
            (_, false) => ranks.then(names),
        }
    }

    /// Sorts the entries, and removes all but the first.
    fn keep_first(&self, found: &mut Vec<FoundSeries>) {
        found.sort_unstable_by(|a, b| self.compare(a.place(), b.place()));
        found.truncate(self.most);
    }
}

/// Reads the kind of series that a request is about. Returns `Ok(None)` if it names none.
pub(super) fn read_kind(request: &WebRequest<'_>) -> Result<Option<MetricKind>, &'static str> {
    named(request, "kind", &KINDS, "kind is counter, gauge, timer or set")
}

/// Reads a parameter that is one of a few words. An empty one counts as missing.
fn named<T: Copy>(
    request: &WebRequest<'_>,
    name: &str,
    words: &[(&str, T)],
    error: &'static str,
) -> Result<Option<T>, &'static str> {
    let Some(text) = request.parameter(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let found = words.iter().find(|(word, _)| word.as_bytes() == text);
    found.map(|(_, value)| Some(*value)).ok_or(error)
}

/// Writes the entry of a series, unless it was removed since it was found.
fn put_found(found: &FoundSeries, view: &mut View<'_>, json: &mut JsonWriter<'_>) {
    let interval = view.server.config.flush_interval.as_secs_f64();
    let Some(mut visited) = view.server.engine.table_mut().visit_one(found.place) else {
        return;
    };
    if visited.name() != &*found.name {
        return; // another series has its place
    }
    json.open(b'{');
    put_fields(&mut visited, interval, json);
    let kind = visited.kind;
    let sender = visited.series.last_sender();
    json.key("history").boolean(view.server.engine.history().keeps(kind, &found.name));
    json.key("sender");
    put_name(sender, view, json);
    json.close(b'}');
}

/// Writes what every entry of a series has.
fn put_fields(visited: &mut Visited<'_>, interval: f64, json: &mut JsonWriter<'_>) {
    let kind = KINDS.iter().find(|(_, kind)| *kind == visited.kind);
    json.key("name").string(visited.name());
    json.key("kind").string(kind.map_or("", |(name, _)| name).as_bytes());
    json.key("value").number(open_value(&visited.series.open(visited.tick)));
    json.key("last").maybe_number(visited.series.last(visited.tick));
    json.key("total").maybe_number(total(visited));
    json.key("idle").number(f64::from(visited.series.idle_until(visited.tick)) * interval);
}

/// Returns the running total of a counter, or the number of events of a timing.
fn total(visited: &Visited<'_>) -> Option<f64> {
    match visited.kind {
        MetricKind::Counter => visited.total,
        MetricKind::Timing => visited.series.timing().map(|totals| totals.count),
        MetricKind::Gauge | MetricKind::Set => None,
    }
}

/// Writes all about one series. Returns `false`, and writes nothing, if there is none.
pub(super) fn put_one(
    view: &mut View<'_>,
    kind: MetricKind,
    name: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let interval = view.server.config.flush_interval.as_secs_f64();
    let Some(mut visited) = view.server.engine.table_mut().look_up(kind, name) else {
        return false;
    };
    let mut json = JsonWriter::new(out);
    json.open(b'{');
    put_fields(&mut visited, interval, &mut json);
    json.key("figures").open(b'{');
    if let Some(totals) = visited.series.timing() {
        let LastInterval { count, sum, mean, lower, median, upper } = totals.last;
        for (name, value) in [
            ("count", count),
            ("sum", sum),
            ("mean", mean),
            ("lower", lower),
            ("median", median),
            ("upper", upper),
        ] {
            json.key(name).number(value);
        }
    }
    json.close(b'}');
    let sender = visited.series.last_sender();
    json.key("history").boolean(view.server.engine.history().keeps(kind, name));
    json.key("sender");
    put_name(sender, view, &mut json);
    let mut encoders = NameEncoders::of(view.encoders);
    put_explained(&explain_series(view.server.engine, &mut encoders, kind, name), view, &mut json);
    json.close(b'}');
    true
}

/// Writes the rules of a series, and its names at each destination.
fn put_explained(line: &ExplainedLine, view: &View<'_>, json: &mut JsonWriter<'_>) {
    json.key("rules").open(b'[');
    for (rule, _) in &line.rules {
        json.string(format!("rule.{rule}").as_bytes());
    }
    json.close(b']').key("sent_as").open(b'[');
    let points = || line.sent.iter().flat_map(|series| &series.points);
    for sink in view.server.sinks.iter() {
        let its = points().filter(|points| sink.takes(Feed::Flushes(points.encoder)));
        let mut names = its.flat_map(|points| &points.names).peekable();
        if names.peek().is_none() {
            continue;
        }
        json.open(b'{').key("destination").string(sink.name().as_bytes());
        json.key("names").open(b'[');
        names.for_each(|name| _ = json.string(name));
        json.close(b']').close(b'}');
    }
    json.close(b']').key("not_sent").open(b'[');
    for sink in view.server.sinks.iter() {
        for reason in refusals(points(), sink) {
            json.open(b'{').key("destination").string(sink.name().as_bytes());
            json.key("reason").string(reason.as_bytes()).close(b'}');
        }
    }
    json.close(b']');
}

/// Writes the rule that drops a name, or `null` if none does. A user who finds no series then sees
/// why. A part of a name counts as one if it is a part of the pattern of the rule.
pub(super) fn put_dropped_by(text: &[u8], view: &View<'_>, json: &mut JsonWriter<'_>) {
    let mut rule = None;
    if !text.is_empty() {
        rule = view.server.engine.table().rules_of(text).dropped_by.or_else(|| {
            let has_text = |glob: &Glob| memmem::find(glob.as_str().as_bytes(), text).is_some();
            let mut rules = view.server.config.rules.rules.iter();
            let found =
                rules.find(|rule| rule.drop == Some(true) && rule.matches.iter().any(has_text));
            found.map(|rule| rule.name.as_str())
        });
    }
    let rule = rule.map(|name| format!("rule.{name}"));
    json.key("dropped_by").maybe_string(rule.as_deref().map(str::as_bytes));
}

/// Returns the value of a series that is shown in one number: the sum of a counter, the level of a
/// gauge, the number of samples of a timer, and the number of members of a set.
fn open_value(values: &Values<'_>) -> f64 {
    match values {
        Values::Counter(value) | Values::Gauge(value) => *value,
        Values::Timing { weight, .. } => *weight,
        Values::Sketch(sketch) => sketch.moments().weight(),
        Values::Set { members } => *members as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::ReadHead;
    use super::*;

    fn search(query: &str) -> Result<Search, &'static str> {
        let head = format!("GET /api/series?{query} HTTP/1.0\r\n\r\n");
        match WebRequest::read(head.as_bytes()) {
            ReadHead::Whole(request, _) => Search::read(&request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_search_is_bounded_and_a_wrong_parameter_is_refused() {
        for (query, most) in [("", USUAL), ("n=5", 5), ("n=0", 1), ("n=5000", MOST), ("n=", USUAL)]
        {
            assert_eq!(search(query).unwrap().most, most, "{query}");
        }
        for (query, error) in [
            ("n=x", "n is not"),
            ("sort=x", "sort is"),
            ("kind=c", "kind is"),
            (&format!("q={}", "x".repeat(TEXT_BYTES + 1)), "q is longer"),
        ] {
            assert!(search(query).unwrap_err().contains(error), "{query}");
        }
        assert!(search(&format!("q=*{}", "x".repeat(100))).unwrap().places() < 32);
        assert_eq!(search("q=a").unwrap().places(), STEP_PLACES);
    }

    #[test]
    fn ranks_come_before_names_and_only_names_are_reversed_alone() {
        let sorted = |query: &str| {
            let search = search(query).unwrap();
            let found = |name: &str, rank| FoundSeries {
                rank,
                name: name.as_bytes().into(),
                place: SeriesPlace::default(),
            };
            let mut all = vec![found("b", 1.0), found("ab", 2.0), found("a", 1.0), found("c", 3.0)];
            search.keep_first(&mut all);
            let name = |found: &FoundSeries| String::from_utf8(found.name.to_vec()).unwrap();
            all.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(sorted("sort=value"), "a b ab c");
        assert_eq!(sorted("sort=value&desc=1&n=3"), "c ab a");
        assert_eq!(sorted("sort=name&desc=1&n=2"), "c b");
    }
}
