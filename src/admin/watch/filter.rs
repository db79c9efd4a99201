//! The lines that a watching client requests: `[GLOB] [from ADDRESS] [bad]`. [`LinePreview`] reads
//! lines before they are taken in.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};

use ahash::AHashMap;
use ipnet::IpNet;

use crate::engine::Engine;
use crate::policy::Glob;
use crate::protocol::{
    Grammar, LineReader, MetricKind, ParsedLine, Reject, Sample, Samples, bare_name, cleaned,
    is_binary, is_clean, trimmed,
};
use crate::sender::Sender;
use crate::series::Table;

/// The lines that a client requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::admin) struct WatchFilter {
    /// For a name without tags.
    glob: Option<Glob>,
    from: Option<WatchedSender>,
    only_bad: bool,
}

/// The senders whose lines are shown.
#[derive(Clone, Debug, PartialEq)]
enum WatchedSender {
    Network(IpNet),
    Socket(SocketAddr),
    /// `unix`, `unix:PID` or another text that a sender is shown as.
    Named(String),
}

impl WatchFilter {
    /// Reads the arguments of the command.
    pub(in crate::admin) fn parse(arguments: &[Cow<'_, [u8]>]) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut words = arguments.iter().map(|word| String::from_utf8_lossy(word));
        while let Some(word) = words.next() {
            match &*word {
                "bad" => filter.only_bad = true,
                "from" => {
                    let address = words.next().ok_or("expected an address after from")?;
                    filter.from = Some(WatchedSender::parse(&address)?);
                }
                pattern if filter.glob.is_none() => {
                    filter.glob = Some(Glob::for_any_name(pattern)?);
                }
                _ => return Err("expected [GLOB] [from ADDRESS] [bad]".into()),
            }
        }
        Ok(filter)
    }

    pub(super) fn has_glob(&self) -> bool {
        self.glob.is_some()
    }

    pub(super) fn wants_sender(&self, sender: Sender) -> bool {
        self.from.as_ref().is_none_or(|from| from.is(sender))
    }

    /// Whether lines must be read to know whether the client requests them.
    pub(super) fn reads_lines(&self) -> bool {
        self.glob.is_some() || self.only_bad
    }

    pub(super) fn is_only_bad(&self) -> bool {
        self.only_bad
    }

    /// Whether the client requests a line of a sender that it requests, as far as is known before
    /// the line is taken in. `made` returns the name that rules make of a name.
    pub(super) fn may_want(&self, line: &PreviewedLine<'_>, made: MadeName<'_>) -> bool {
        (!self.only_bad || line.may_be_bad())
            && self.glob.as_ref().is_none_or(|glob| line.is_about(glob, made))
    }
}

impl WatchedSender {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.to_canonical().into()));
        }
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        if text == "unix" || text.starts_with("unix:") {
            return Ok(Self::Named(text.into()));
        }
        Err("expected an address, a network such as 10.0.0.0/8, or unix after from".into())
    }

    fn is(&self, sender: Sender) -> bool {
        match (self, sender) {
            (Self::Network(network), Sender::Internet(address)) => {
                network.contains(&address.ip().to_canonical())
            }
            (Self::Socket(socket), Sender::Internet(address)) => {
                socket.port() == address.port()
                    && socket.ip().to_canonical() == address.ip().to_canonical()
            }
            (Self::Named(name), sender) => {
                let shown = sender.to_string();
                shown == *name || (name == "unix" && shown.starts_with("unix:"))
            }
            _ => false,
        }
    }
}

/// Reads lines before they are taken in, to find those that a client may want.
#[derive(Debug)]
pub(super) struct LinePreview(LineReader);

/// A line before it is taken in.
#[derive(Debug)]
pub(super) struct PreviewedLine<'a> {
    /// The canonical name without tags. Of a bad line, what is probably its name.
    pub(super) name: &'a [u8],
    /// The canonical name with its tags. `None` if the line has no valid name.
    pub(super) series: Option<&'a [u8]>,
    /// The name that rules make of it, once it is needed.
    made: OnceCell<Option<Vec<u8>>>,
    values: PreviewedValues<'a>,
}

/// Returns the name that rules make of a name, or `None` if they make none.
pub(super) type MadeName<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// The names that rules have made of the names of the last lines.
///
/// Rules with regular expressions take 20 us for a name, and most lines have a name that came
/// before. A tag limit may change the tags of such a name later. Patterns ignore tags.
#[derive(Debug, Default)]
pub(super) struct MadeNames(RefCell<MadeByName>);

type MadeByName = AHashMap<Box<[u8]>, Option<Vec<u8>>>;

/// The names that are remembered. With one more, all are forgotten.
const MADE_NAMES_MAX: usize = 4096;
/// The longest name that is remembered.
const MADE_NAME_BYTES_MAX: usize = 256;

impl MadeNames {
    /// Returns the name that rules make of a name, or `None` if they make none.
    pub(super) fn of(&self, table: &Table, name: &[u8]) -> Option<Vec<u8>> {
        if !table.changes_names() {
            return None;
        }
        self.remembered(name, |name| match table.series_name(name) {
            Cow::Owned(made) => Some(made),
            Cow::Borrowed(_) => None,
        })
    }

    /// Returns the remembered name, or what `make` returns.
    fn remembered(
        &self,
        name: &[u8],
        make: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut known = self.0.borrow_mut();
        if let Some(made) = known.get(name) {
            return made.clone();
        }
        let made = make(name);
        if name.len().max(made.as_ref().map_or(0, Vec::len)) <= MADE_NAME_BYTES_MAX {
            if known.len() >= MADE_NAMES_MAX {
                known.clear();
            }
            known.insert(name.into(), made.clone());
        }
        made
    }
}

#[derive(Debug)]
enum PreviewedValues<'a> {
    Text(Samples<'a>),
    Binary(Sample<'a>),
    /// An event or a service check.
    None,
    Bad(Reject),
}

impl LinePreview {
    pub(super) fn new(engine: &Engine) -> Self {
        Self::of(engine.grammar().clone())
    }

    pub(super) fn of(grammar: Grammar) -> Self {
        Self(LineReader::new(grammar))
    }

    pub(super) fn read<'a>(&'a mut self, piece: &'a [u8]) -> PreviewedLine<'a> {
        let previewed = |name, values| PreviewedLine {
            name: bare_name(name),
            series: Some(name),
            made: OnceCell::new(),
            values,
        };
        if is_binary(piece) {
            return match self.0.read_binary(piece) {
                Ok(message) => previewed(message.name, PreviewedValues::Binary(message.sample)),
                Err(reject) => PreviewedLine::nameless(b"", PreviewedValues::Bad(reject)),
            };
        }
        let line = trimmed(piece);
        match self.0.read(line) {
            ParsedLine::Metrics(parsed) => {
                previewed(parsed.name, PreviewedValues::Text(parsed.samples()))
            }
            ParsedLine::Event => PreviewedLine::nameless(line, PreviewedValues::None),
            ParsedLine::Bad(reject) => PreviewedLine::nameless(line, PreviewedValues::Bad(reject)),
        }
    }
}

/// Gets the text, the rate and the reading of a value.
type PreviewedValueOut<'a> = dyn FnMut(Option<&[u8]>, f64, Result<Sample<'_>, Reject>) + 'a;

impl<'a> PreviewedLine<'a> {
    fn nameless(line: &'a [u8], values: PreviewedValues<'a>) -> Self {
        Self { name: start_of(line), series: None, made: OnceCell::new(), values }
    }

    /// Calls `out` with each value: its text, which is `None` in a binary message, its rate, and
    /// what was read. A line without a valid name has one bad value.
    pub(super) fn each_value(&self, out: &mut PreviewedValueOut<'_>) {
        match &self.values {
            PreviewedValues::Text(samples) => {
                let mut samples = samples.clone();
                while let Some((text, rate)) = samples.peek() {
                    let Some(sample) = samples.next() else { break };
                    out(Some(text), rate.unwrap_or(1.0), sample);
                }
            }
            PreviewedValues::Binary(sample) => out(None, 1.0, Ok(*sample)),
            PreviewedValues::None => {}
            PreviewedValues::Bad(reject) => out(None, 1.0, Err(*reject)),
        }
    }

    /// Returns the kinds of series that the values belong to.
    pub(super) fn kinds(&self) -> [bool; 4] {
        let mut kinds = [false; 4];
        self.each_value(&mut |_, _, sample| {
            let kind: Option<MetricKind> = sample.ok().and_then(|sample| sample.kind());
            if let Some(kind) = kind {
                kinds[kind as usize] = true;
            }
        });
        kinds
    }

    /// Whether a pattern matches one of the names without tags that the line is known by: the name
    /// that the client has sent, the same name cleaned as in rules, or the name that rules make of
    /// it. The page and most answers show the last one.
    pub(super) fn is_about(&self, glob: &Glob, made: MadeName<'_>) -> bool {
        matches_raw_or_cleaned(glob, self.name)
            || self.made.get_or_init(|| self.series.and_then(made)).as_ref().is_some_and(|made| {
                let name = bare_name(made);
                matches_raw_or_cleaned(glob, name)
            })
    }

    /// Whether a value may be refused as bad. Some are known to be only when they are added: those
    /// that take a sum out of the range of a double, and those of a binary message.
    fn may_be_bad(&self) -> bool {
        match &self.values {
            PreviewedValues::Text(samples) => {
                samples.clone().any(|sample| sample.map_or(true, |sample| is_extreme(&sample)))
            }
            PreviewedValues::Binary(_) | PreviewedValues::Bad(_) => true,
            PreviewedValues::None => false,
        }
    }
}

/// Whether adding a value may take a sum out of the range of a double. A smaller value is less than
/// half of the last digit of the largest double. What a cumulative counter adds depends on its last
/// value, which is not known here.
fn is_extreme(sample: &Sample<'_>) -> bool {
    const LEAST: f64 = 1e290;
    match *sample {
        Sample::Count(value) | Sample::Level(value) | Sample::Change(value) | Sample::Kv(value) => {
            value.abs() >= LEAST
        }
        Sample::Cumulative { .. } => true,
        Sample::Time { value, weight } => value.abs() >= LEAST || weight >= LEAST,
        Sample::Member(_) => false,
    }
}

fn matches_raw_or_cleaned(glob: &Glob, name: &[u8]) -> bool {
    glob.matches(name) || (!is_clean(name) && glob.matches(&cleaned(name)))
}

/// Returns what is probably the name of a bad line.
fn start_of(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr2(b':', b'|', line).unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WatchFilter, String> {
        let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
        WatchFilter::parse(&words.iter().map(|word| word.as_bytes().into()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_may_come_in_any_order() {
        let all = parse("web.* from 10.0.0.1 bad").unwrap();
        assert_eq!(parse("bad from 10.0.0.1 web.*").unwrap(), all);
        assert_eq!(parse("").unwrap(), WatchFilter::default());
        for wrong in ["from", "from nowhere", "a b", "a;env=prod"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let long = "x".repeat(127);
        for (pattern, is_allowed) in [
            (format!("{long}*"), true),
            (format!("{long}x*"), false),
            (format!("?{long}x"), false),
            (long.repeat(9), true), // a name is compared in one pass
        ] {
            assert_eq!(parse(&pattern).is_ok(), is_allowed, "{pattern}");
        }
    }

    #[test]
    fn senders_are_addresses_networks_and_processes() {
        let internet = |text: &str| Sender::Internet(text.parse().unwrap());
        for (from, sender, expected) in [
            ("10.0.0.1", internet("10.0.0.1:7"), true),
            ("10.0.0.1", internet("[::ffff:10.0.0.1]:7"), true),
            ("10.0.0.1", internet("10.0.0.2:7"), false),
            ("10.0.0.0/8", internet("10.9.9.9:7"), true),
            ("10.0.0.1:7", internet("10.0.0.1:7"), true),
            ("10.0.0.1:7", internet("10.0.0.1:8"), false),
            ("::1", internet("[::1]:7"), true),
            ("unix", Sender::UnixProcess { process: 5, user: 0 }, true),
            ("unix", Sender::Unix, true),
            ("unix:5", Sender::UnixProcess { process: 5, user: 0 }, true),
            ("unix:5", Sender::UnixProcess { process: 55, user: 0 }, false),
            ("unix", internet("10.0.0.1:7"), false),
        ] {
            let filter = parse(&format!("from {from}")).unwrap();
            assert_eq!(filter.wants_sender(sender), expected, "{from} {sender}");
        }
    }

    #[test]
    fn the_preview_knows_names_and_bad_values() {
        let mut preview = LinePreview::of(Grammar::default());
        for (filter, line, expected) in [
            ("web.*", "web.a:1|c", true),
            ("web.*", "web.a:1|c|#k:v", true),
            ("web.a_b", "web.a b:1|c", true),
            ("web.*", "api.a:1|c", false),
            ("web.*", "web.a|c", true),
            ("bad", "web.a:1|c", false),
            ("bad", "web.a:1:x|c", true),
            ("bad", "nonsense", true),
            ("web.* bad", "api.a:x|c", false),
            ("web.* bad", "web.a:x|c", true),
            ("bad", "_sc|a|0", false),
            // The sum may be too large.
            ("bad", "web.a:+1e308|g", true),
            ("bad", "web.a:1:-1e308|ms", true),
            ("bad", "web.a:1e280|c|@0.00000000000001", true),
            ("bad", "web.a:1e280|c", false),
            // The name that the rule makes.
            ("latency.*", "in.a.time:1|c|#k:v", true),
            ("in.*.time", "in.a.time:1|c", true),
            ("latency.b", "in.a.time:1|c", false),
            ("latency.a bad", "in.a.time:x|c", true),
            ("k.*", "in.a.time:1|c|#k:v", false),
        ] {
            let made =
                |name: &[u8]| name.starts_with(b"in.a.time").then(|| b"latency.a;k=v".into());
            let found = parse(filter).unwrap().may_want(&preview.read(line.as_bytes()), &made);
            assert_eq!(found, expected, "{filter}: {line}");
        }
    }

    #[test]
    fn rules_run_once_for_each_of_the_last_names() {
        let made_names = MadeNames::default();
        let mut runs = 0;
        let mut made = |name: &str| {
            made_names.remembered(name.as_bytes(), |name| {
                runs += 1;
                name.starts_with(b"in.").then(|| name[3..].into())
            })
        };
        for _ in 0..3 {
            assert_eq!(made("in.a"), Some(b"a".into()));
            assert_eq!(made("b"), None);
        }
        let long = "x".repeat(MADE_NAME_BYTES_MAX + 1);
        (0..3).for_each(|_| _ = made(&long));
        assert_eq!(runs, 2 + 3, "a long name is not remembered");
        for number in 0..3 * MADE_NAMES_MAX {
            made_names.remembered(format!("{number}").as_bytes(), |_| None);
            assert!(made_names.0.borrow().len() <= MADE_NAMES_MAX);
        }
        assert!(made_names.0.borrow().len() > 1);
    }

    #[test]
    fn a_raw_name_is_found_by_itself_and_by_its_clean_form() {
        let mut preview = LinePreview::of(Grammar { sanitize: false, ..Grammar::default() });
        for (pattern, expected) in [
            ("caf\u{e9} au/lait", true),
            ("caf\u{e9}*", true),
            ("*au-lait", true),
            ("cafe*", false),
        ] {
            let filter = WatchFilter::parse(&[pattern.as_bytes().into()]).unwrap();
            let line = preview.read("caf\u{e9} au/lait:1|c".as_bytes());
            assert_eq!(filter.may_want(&line, &|_| None), expected, "{pattern}");
        }
    }
}
