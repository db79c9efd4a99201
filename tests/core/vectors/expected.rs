//! What a suite expects, as this server shows it: names cleaned, sums and weights computed. The
//! rules are those of `docs/protocol.md`, written here a second time and without the parser. So a
//! mistake of the parser cannot hide in the expectation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::outcome::{AllSeries, Key, Members, Outcome, Series, shown};
use super::source::{Vector, texts};

pub(super) enum Expected {
    /// The suite only sends the line.
    Anything,
    /// Nothing is counted. The line is bad, a DogStatsD event, or both will do.
    Nothing { bad: Need, event: Need },
    /// Exactly these series.
    Series { series: BTreeMap<Key, Wanted>, bad: Need, event: Need },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    No,
    Yes,
    Either,
}

impl Need {
    fn accepts(self, count: u64) -> bool {
        match self {
            Self::No => count == 0,
            Self::Yes => count > 0,
            Self::Either => true,
        }
    }
}

/// What a suite expects of a series.
#[derive(Default)]
pub(super) struct Wanted {
    series: Series,
    members: BTreeSet<Vec<u8>>,
    /// Whether the suite states all numbers, or only some.
    has_numbers: bool,
    /// Whether the suite counts a sample with a rate as several samples.
    is_expanded: bool,
}

impl Expected {
    pub(super) fn of(vector: &Vector) -> Self {
        let bad = if vector.refuses { Need::Yes } else { Need::No };
        match vector.want.as_str() {
            Some("any") => return Self::Anything,
            Some("empty") => return Self::Nothing { bad: Need::No, event: Need::No },
            Some("reject") => return Self::Nothing { bad: Need::Yes, event: Need::No },
            Some("event") => return Self::Nothing { bad: Need::No, event: Need::Yes },
            // Events are not read, so this server need not see what is wrong with one.
            Some("badevent") => return Self::Nothing { bad: Need::Either, event: Need::Either },
            Some(other) => panic!("unknown: {other}"),
            None => {}
        }
        let is_raw = vector.config.contains("sanitize_keys = no");
        let mut event = Need::No;
        let mut series: BTreeMap<Key, Wanted> = BTreeMap::new();
        for want in vector.want.as_array().unwrap() {
            if want == "event" {
                event = Need::Yes;
                continue;
            }
            let key = key(want, is_raw);
            series.entry(key.clone()).or_default().add(&key, want);
        }
        Self::Series { series, bad, event }
    }

    /// The members that each set must have.
    pub(super) fn members(&self) -> Members {
        let Self::Series { series, .. } = self else { return Members::new() };
        let members = |wanted: &Wanted| wanted.members.iter().cloned().collect();
        series.iter().map(|(key, wanted)| (key.name.clone(), members(wanted))).collect()
    }

    pub(super) fn matches(&self, got: &Outcome) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing { bad, event } => {
                let is_read = bad.accepts(got.bad) && event.accepts(got.events);
                // An event that is wrong is counted in one way or the other.
                let is_counted = *bad != Need::Either || got.bad + got.events > 0;
                got.series.is_empty() && is_read && is_counted
            }
            Self::Series { series, bad, event } => {
                bad.accepts(got.bad) && event.accepts(got.events) && all_match(series, &got.series)
            }
        }
    }
}

fn all_match(wanted: &BTreeMap<Key, Wanted>, got: &AllSeries) -> bool {
    wanted.keys().eq(got.keys())
        && wanted.values().zip(got.values()).all(|(wanted, got)| wanted.matches(got))
}

impl Wanted {
    fn add(&mut self, key: &Key, want: &Value) {
        let object = want.as_object().unwrap();
        let rate = object.get("rate").map_or(1.0, |rate| rate.as_f64().unwrap());
        let values = texts(&want["values"]);
        let series = &mut self.series;
        self.has_numbers |= !values.is_empty() || want.get("size").is_some();
        let mut numbers = values.iter().map(|value| {
            let number: f64 = value.parse().unwrap_or(f64::NAN);
            (number, value.starts_with(['+', '-']))
        });
        match key.kind {
            "kv" => series.numbers.extend(numbers.map(|(number, _)| number)),
            _ if key.time.is_some() => series.numbers.extend(numbers.map(|(number, _)| number)),
            "c" => {
                let count = series.numbers.first().copied().unwrap_or_default();
                // The first value of a cumulative counter is only the client's total so far.
                let weight = if want["kind"] == "C" { 0.0 } else { 1.0 / rate };
                series.numbers =
                    vec![numbers.fold(count, |sum, (number, _)| sum + number * weight)];
            }
            "g" if want.get("final").is_some() => {
                series.numbers = vec![numbers.next_back().unwrap().0]
            }
            "g" => {
                let mut value = series.numbers.first().copied().unwrap_or_default();
                for (number, is_signed) in numbers {
                    value = if is_signed { value + number } else { number };
                }
                series.numbers = vec![value];
            }
            "t" => {
                let samples: Vec<f64> = numbers.map(|(number, _)| number).collect();
                series.weight += samples.iter().fold(0.0, |sum, _| sum + 1.0 / rate);
                series.numbers.extend(samples);
                series.numbers.sort_by(f64::total_cmp);
                self.is_expanded |= want.get("expanded").is_some();
            }
            _ => {
                self.members.extend(values.into_iter().map(String::into_bytes));
                series.numbers = vec![match want["size"].as_f64() {
                    Some(size) => size,
                    None => self.members.len() as f64,
                }];
            }
        }
        if let Some(weight) = want["weight"].as_f64() {
            series.weight = weight;
        }
        if let Some(figures) = want["figures"].as_object() {
            let figure = |(name, value): (&String, &Value)| (name.clone(), value.as_f64().unwrap());
            series.figures.extend(figures.iter().map(figure));
        }
    }

    fn matches(&self, got: &Series) -> bool {
        let numbers = if self.is_expanded { expanded(got) } else { got.numbers.clone() };
        let figure = |(name, value): (&String, &f64)| got.figures.get(name) == Some(value);
        (!self.has_numbers || self.series.numbers == numbers)
            && self.series.weight == got.weight
            && self.series.figures.iter().all(figure)
            && got.missing == 0
    }
}

/// The samples, each as often as the number of events that it stands for.
fn expanded(series: &Series) -> Vec<f64> {
    let each = series.weight / series.numbers.len() as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small number
    let times = each.round() as usize;
    series.numbers.iter().flat_map(|sample| std::iter::repeat_n(*sample, times)).collect()
}

/// The key of a series, with its canonical name.
fn key(want: &Value, is_raw: bool) -> Key {
    let kind = match want["kind"].as_str().unwrap() {
        "c" | "C" => "c",
        "g" => "g",
        "t" => "t",
        "s" => "s",
        "kv" => "kv",
        other => panic!("unknown kind {other}"),
    };
    let clean =
        |text: &str, place: Place| if is_raw { text.to_owned() } else { cleaned(text, place) };
    let mut name = clean(want["name"].as_str().unwrap(), Place::Name);
    let mut tags = BTreeMap::new();
    for (key, value) in want["tags"].as_object().into_iter().flatten() {
        let value = clean(value.as_str().unwrap_or_default(), Place::TagValue);
        let value = if value.is_empty() { "true".to_owned() } else { value };
        tags.insert(clean(key, Place::TagKey), value);
    }
    for (key, value) in tags.iter().filter(|(key, _)| !key.is_empty()) {
        name += &format!(";{key}={value}");
    }
    Key { kind, name: name.into_bytes(), time: want["ts"].as_u64() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Name,
    TagKey,
    TagValue,
}

/// Cleans a part of a name by the rules of `docs/protocol.md`.
fn cleaned(text: &str, place: Place) -> String {
    let mut out = String::new();
    let mut was_space = false;
    for character in text.chars() {
        let is_space = character.is_whitespace();
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' => out.push(character),
            '/' => out.push('-'),
            '=' if place != Place::TagKey => out.push('='),
            ';' if place != Place::Name => out.push('_'),
            _ if is_space && !was_space => out.push('_'),
            _ => {}
        }
        was_space = is_space;
    }
    out
}

impl fmt::Display for Expected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (series, bad, event) = match self {
            Self::Anything => return out.write_str("anything"),
            Self::Nothing { bad, event } => (None, bad, event),
            Self::Series { series, bad, event } => (Some(series), bad, event),
        };
        let mut parts = Vec::new();
        for (key, wanted) in series.into_iter().flatten() {
            let mut text = shown(key, &wanted.series);
            if !wanted.series.figures.is_empty() {
                text += &format!(" {:?}", wanted.series.figures);
            }
            parts.push(text);
        }
        if *bad == Need::Yes {
            parts.push("bad".into());
        }
        if *event == Need::Yes {
            parts.push("event".into());
        }
        if *bad == Need::Either {
            parts.push("bad or event".into());
        }
        out.write_str(&if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") })
    }
}
