//! `/api/series`: the series that a search finds, or all about one of them.
//!
//! A walk over the table keeps the first `n` of the order that the client requests. Their entries
//! are written after the walk, with the values of that time. So the memory does not depend on the
//! number of series, nor on the length of their names: of a name, the walk keeps the beginning, and
//! the list that is written keeps a hash.

use std::cmp::Ordering;

use memchr::memmem;

use super::request::WebRequest;
use super::search_pattern::SearchPattern;
use super::sender_list::put_name;
use crate::admin::json::JsonWriter;
use crate::admin::text::refusals;
use crate::admin::view::View;
use crate::encode::sent_names::NameEncoders;
use crate::engine::explain::{ExplainedLine, explain_series};
use crate::few::sort_many;
use crate::policy::Glob;
use crate::protocol::MetricKind;
use crate::series::{Audience, Cursor, LastInterval, SeriesPlace, Table, Values, Visited};
use crate::sink::Feed;

/// The answer to one search, in progress.
#[derive(Debug)]
pub(super) struct SeriesList {
    search: Search,
    cursor: Cursor,
    /// The first series of the order so far. More than `search.most` are collected before they are
    /// sorted and the surplus is removed.
    found: Vec<FoundSeries>,
    /// The bytes of the names in `found`.
    name_bytes: usize,
    /// Whether the surplus was removed before, so that `found` begins with sorted entries, and none
    /// after the last of them counts.
    is_trimmed: bool,
    /// The number of series that match.
    matched: usize,
    /// How many entries of `found` are done. `None` until the walk is done.
    written: Option<usize>,
    /// Whether the answer has an entry. Those whose series was removed meanwhile are left out.
    has_entries: bool,
}

/// What a client looks for.
#[derive(Clone, Debug)]
struct Search {
    /// What the client has sent.
    asked: Box<[u8]>,
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
    Pattern(SearchPattern),
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
    /// The first [`NAME_START`] bytes of its name. Empty after the walk.
    start: Box<[u8]>,
    /// The hash of its name, to know it again.
    hash: u64,
    place: SeriesPlace,
}

/// The most entries of an answer, and how many there are without `n`.
const MOST: usize = 1000;
const USUAL: usize = 200;
/// The most bytes of a search text.
const TEXT_BYTES: usize = SearchPattern::BYTES_MAX;
/// The bytes of a name that count for its order. Series whose names begin with the same bytes are
/// in no order.
const NAME_START: usize = 256;
/// The most places that one step visits, and the bytes of names after which it ends in any case. A
/// pattern takes about two nanoseconds for each byte.
const STEP_PLACES: usize = 256;
const STEP_NAME_BYTES: usize = 32 * 1024;
/// The most entries that one step writes, and the bytes after which it ends in any case.
const STEP_ENTRIES: usize = 64;
const STEP_BYTES: usize = 16 * 1024;

/// The bytes of sent names after which further ones are left out.
const SENT_BYTES: usize = 64 * 1024;

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
            name_bytes: 0,
            is_trimmed: false,
            matched: 0,
            written: None,
            has_entries: false,
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

    /// The bytes that the list holds.
    pub(super) fn bytes(&self) -> usize {
        self.found.capacity() * size_of::<FoundSeries>() + self.name_bytes
    }

    /// Frees the memory of the walk. It begins again.
    pub(super) fn pause(&mut self) {
        if self.is_begun() {
            self.cursor = Cursor::default();
            self.found = Vec::new();
            self.name_bytes = 0;
            self.is_trimmed = false;
            self.matched = 0;
        }
    }

    /// Does a part of the work. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let Some(written) = &mut self.written else {
            if self.walk(view.server.engine.table_mut()) {
                self.begin(view, out);
            }
            return false;
        };
        let full = out.len() + STEP_BYTES;
        let names = view.server.engine.table().name_hasher();
        let mut json = JsonWriter::resume(out, self.has_entries);
        for found in self.found[*written..].iter().take(STEP_ENTRIES) {
            if json.len() >= full {
                break;
            }
            self.has_entries |= put_found(found, &names, view, &mut json);
            *written += 1;
        }
        if *written < self.found.len() {
            return false;
        }
        json.close(b']').close(b'}');
        true
    }

    /// Visits the next series. Returns `true` after the last one.
    fn walk(&mut self, table: &mut Table) -> bool {
        let Self { search, cursor, found, name_bytes, is_trimmed, matched, .. } = self;
        let names = table.name_hasher();
        let mut seen_bytes = 0;
        for _ in 0..STEP_PLACES {
            let is_over = table.visit(cursor, 1, |mut visited| {
                seen_bytes += visited.name().len();
                if visited.audience == Audience::Clean || !search.matches(&visited) {
                    return;
                }
                *matched += 1;
                let rank = search.rank(&mut visited);
                let name = visited.name();
                let start = &name[..name.len().min(NAME_START)];
                let is_late =
                    |last: &FoundSeries| search.compare((rank, start), last.key()).is_gt();
                if *is_trimmed && found.get(search.most - 1).is_some_and(is_late) {
                    return;
                }
                *name_bytes += start.len();
                let hash = names.hash_one(name);
                found.push(FoundSeries { rank, start: start.into(), hash, place: visited.place });
                if found.len() >= 2 * search.most {
                    search.keep_first(found);
                    *name_bytes = found.iter().map(|found| found.start.len()).sum();
                    *is_trimmed = true;
                }
            });
            if is_over || seen_bytes >= STEP_NAME_BYTES {
                return is_over;
            }
        }
        false
    }

    /// Writes the beginning of the answer.
    fn begin(&mut self, view: &View<'_>, out: &mut Vec<u8>) {
        self.search.keep_first(&mut self.found);
        // The client may take long to read the entries, and other clients may search meanwhile.
        self.found.iter_mut().for_each(|found| found.start = Box::default());
        self.found.shrink_to_fit();
        self.name_bytes = 0;
        let mut json = JsonWriter::new(out);
        let total: usize = view.server.engine.table().client_series().iter().sum();
        json.open(b'{').key("total").number(total as f64);
        json.key("matched").number(self.matched as f64);
        json.key("now").number(view.server.now.unix.as_millis() as f64 / 1000.0);
        put_dropped_by(&self.search.asked, view, &mut json);
        json.key("series").open(b'[');
        self.written = Some(0);
    }
}

impl FoundSeries {
    fn key(&self) -> (f64, &[u8]) {
        (self.rank, &self.start)
    }
}

impl Search {
    fn read(request: &WebRequest<'_>) -> Result<Self, &'static str> {
        let text = request.parameter("q").unwrap_or_default();
        if text.len() > TEXT_BYTES {
            return Err("q is longer than 128 bytes");
        }
        let is_pattern = text.iter().any(|byte| b"*?".contains(byte));
        let asked = text.into_boxed_slice();
        let text = if asked.is_empty() {
            SearchText::All
        } else if is_pattern {
            SearchText::Pattern(SearchPattern::new(&asked))
        } else {
            SearchText::Part(Box::new(memmem::Finder::new(&asked).into_owned()))
        };
        let order = named(request, "sort", &ORDERS, "sort is name, value, samples, rate or seen")?;
        Ok(Self {
            asked,
            text,
            kind: read_kind(request)?,
            order: order.unwrap_or(Order::Name),
            descends: request.parameter("desc").is_some_and(|text| text == b"1"),
            most: request.most()?.unwrap_or(USUAL).clamp(1, MOST),
        })
    }

    fn matches(&self, visited: &Visited<'_>) -> bool {
        let name = visited.name();
        self.kind.is_none_or(|kind| kind == visited.kind)
            && match &self.text {
                SearchText::All => true,
                SearchText::Part(part) => part.find(name).is_some(),
                SearchText::Pattern(pattern) => pattern.matches(name),
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
        sort_many(found, |a, b| self.compare(a.key(), b.key()));
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

/// Writes the entry of a series. Returns `false`, and writes nothing, if the series was removed
/// since it was found.
fn put_found(
    found: &FoundSeries,
    names: &ahash::RandomState,
    view: &mut View<'_>,
    json: &mut JsonWriter<'_>,
) -> bool {
    let interval = view.server.config.flush_interval.as_secs_f64();
    let Some(mut visited) = view.server.engine.table_mut().visit_one(found.place) else {
        return false;
    };
    if names.hash_one(visited.name()) != found.hash {
        return false; // another series has its place
    }
    let name = visited.name().to_vec();
    json.open(b'{');
    put_fields(&mut visited, interval, json);
    let kind = visited.kind;
    let sender = visited.series.last_sender();
    json.key("history").boolean(view.server.engine.history().keeps(kind, &name));
    json.key("sender");
    put_name(sender, view, json);
    json.close(b'}');
    true
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
    let full = json.len() + SENT_BYTES;
    for sink in view.server.sinks.iter() {
        let its = points().filter(|points| sink.takes(Feed::Flushes(points.encoder)));
        let mut names = its.flat_map(|points| &points.names).peekable();
        if names.peek().is_none() {
            continue;
        }
        json.open(b'{').key("destination").string(sink.name().as_bytes());
        json.key("names").open(b'[');
        // Clients choose the length of a name, and need not read the answer.
        for name in names {
            if json.len() + name.len() > full {
                break;
            }
            json.string(name);
        }
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
    use crate::policy::Rules;

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
    }

    #[test]
    fn ranks_come_before_names_and_only_names_are_reversed_alone() {
        let sorted = |query: &str| {
            let search = search(query).unwrap();
            let found = |name: &str, rank| FoundSeries {
                rank,
                start: name.as_bytes().into(),
                hash: 0,
                place: SeriesPlace::default(),
            };
            let mut all = vec![found("b", 1.0), found("ab", 2.0), found("a", 1.0), found("c", 3.0)];
            search.keep_first(&mut all);
            let name = |found: &FoundSeries| String::from_utf8(found.start.to_vec()).unwrap();
            all.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(sorted("sort=value"), "a b ab c");
        assert_eq!(sorted("sort=value&desc=1&n=3"), "c ab a");
        assert_eq!(sorted("sort=name&desc=1&n=2"), "c b");
    }

    /// Shows that names of the greatest length need bounded memory, and that a step reads a bounded
    /// number of their bytes.
    #[test]
    fn long_names_make_more_steps_and_not_more_memory() {
        const SERIES: usize = 300;
        const NAME_BYTES: usize = 7900;
        let mut engine = crate::admin::tests::engine(Rules::default());
        for number in 0..SERIES {
            engine.lines(format!("{number:04}{}:1|c", "x".repeat(NAME_BYTES)).as_bytes());
        }
        let head = b"GET /api/series?q=*x?x&n=100&desc=1 HTTP/1.0\r\n\r\n";
        let ReadHead::Whole(request, _) = WebRequest::read(head) else { panic!("no request") };
        let mut list = SeriesList::new(&request).unwrap();
        let mut steps = 1;
        let mut most = 0;
        while !list.walk(engine.table_mut()) {
            steps += 1;
            most = most.max(list.bytes());
        }
        assert_eq!(list.matched, SERIES);
        assert!(steps >= SERIES * NAME_BYTES / (STEP_NAME_BYTES + NAME_BYTES + 4), "{steps}");
        let bound = 200 * (size_of::<FoundSeries>() + NAME_START);
        assert!(most <= 2 * bound, "{most} bytes of {bound}");
        list.search.keep_first(&mut list.found);
        assert!(list.found[0].start.starts_with(b"0299x"));
        assert_eq!(list.found.len(), 100);
    }
}
