//! Graphite plaintext: `name value timestamp\n`, names after Node StatsD's two name spaces.
//!
//! All that does not depend on the series is put together once: what stands before its name, and what stands between its
//! bare name and its tags.

use super::chunk::Chunks;
use super::namespace::{Namespace, Style};
use super::number::Number;
use crate::flush::{FigureId, FigureNames, Subject, Summary};
use crate::protocol::{cleaned, is_clean};

#[derive(Debug)]
pub struct Graphite {
    names: Names,
    flush_counts: bool,
    /// The flush's timestamp as every line ends with it: blank, seconds, newline.
    stamp: Vec<u8>,
    number: Number,
    chunks: Chunks,
}

impl Graphite {
    pub fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            names: Names::new(namespace, figures),
            flush_counts: namespace.flush_counts,
            stamp: Vec::new(),
            number: Number::new(),
            chunks: Chunks::default(),
        }
    }

    /// Begins a flush; its lines carry `stamp`, in seconds since 1970.
    pub fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = line_end(stamp);
        self.chunks.begin(flush);
    }

    pub fn encode(&mut self, summary: &Summary<'_>) {
        if is_clean(summary.name) {
            self.encode_clean(summary);
        } else {
            let name = cleaned(summary.name);
            self.encode_clean(&Summary { name: &name, ..*summary });
        }
    }

    fn encode_clean(&mut self, summary: &Summary<'_>) {
        let semicolon = memchr::memchr(b';', summary.name).unwrap_or(summary.name.len());
        let (bare, tags) = summary.name.split_at(semicolon);
        let own_time = summary.timestamp.map(line_end);
        for figure in summary.figures {
            let counts = summary.subject == Subject::Counter && figure.id == FigureId::COUNT;
            if counts && !self.flush_counts && own_time.is_none() {
                continue;
            }
            let (before, behind) = self.names.around(summary.subject, figure.id);
            let line = self.chunks.line();
            line.extend_from_slice(before);
            line.extend_from_slice(bare);
            line.extend_from_slice(behind);
            line.extend_from_slice(tags);
            line.push(b' ');
            self.number.append(figure.value, line);
            line.extend_from_slice(own_time.as_ref().unwrap_or(&self.stamp));
        }
    }

    /// The chunks that are full, or at the end of a flush all that is left.
    pub fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }
}

fn line_end(stamp: u64) -> Vec<u8> {
    format!(" {stamp}\n").into_bytes()
}

/// What stands around a series' name.
#[derive(Debug)]
struct Names {
    counter_rate: Vec<u8>,
    counter_count: Vec<u8>,
    timing: Vec<u8>,
    gauge: Vec<u8>,
    set: Vec<u8>,
    own: Vec<u8>,
    num_stats: Vec<u8>,
    /// The global suffix with its dot, or nothing.
    suffix: Vec<u8>,
    /// For each figure, its name and the global suffix, each with its dot.
    figures: Vec<Vec<u8>>,
    /// Whether a counter's figures stand in its name's last element rather than its first.
    modern: bool,
}

impl Names {
    fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        let Namespace { global_prefix, prefix_stats, .. } = namespace;
        let prefix = |elements: &[&str]| dotted(elements, "").into_bytes();
        let suffix = match namespace.global_suffix.as_str() {
            "" => String::new(),
            suffix => format!(".{suffix}"),
        };
        let modern = namespace.style == Style::Modern;
        let of = |kind: &str, configured: &str| {
            prefix(&if modern { [global_prefix, configured] } else { ["stats", kind] })
        };
        Self {
            counter_rate: of("", &namespace.prefix_counter),
            counter_count: if modern {
                of("", &namespace.prefix_counter)
            } else {
                prefix(&["stats_counts"])
            },
            timing: of("timers", &namespace.prefix_timer),
            gauge: of("gauges", &namespace.prefix_gauge),
            set: of("sets", &namespace.prefix_set),
            own: of(prefix_stats, prefix_stats),
            num_stats: prefix(&[if modern { global_prefix } else { "" }, prefix_stats]),
            figures: figures.iter().map(|name| behind(name, &suffix)).collect(),
            suffix: suffix.into_bytes(),
            modern,
        }
    }

    /// What stands before the bare name, and between it and the tags.
    fn around(&self, subject: Subject, figure: FigureId) -> (&[u8], &[u8]) {
        let named = &self.figures[figure.index()];
        match subject {
            Subject::Counter => {
                let before = if figure == FigureId::COUNT {
                    &self.counter_count
                } else {
                    &self.counter_rate
                };
                (before, if self.modern { named } else { &self.suffix })
            }
            Subject::Timing => (&self.timing, named),
            Subject::Gauge => (&self.gauge, &self.suffix),
            Subject::Set => (&self.set, named),
            Subject::Own => (&self.own, &self.suffix),
            Subject::NumStats => (&self.num_stats, &self.suffix),
        }
    }
}

/// The elements that are not empty, each with a dot behind it.
fn dotted(elements: &[&str], end: &str) -> String {
    let mut out = String::new();
    for element in elements.iter().filter(|element| !element.is_empty()) {
        out += element;
        out.push('.');
    }
    out + end
}

fn behind(figure: &str, suffix: &str) -> Vec<u8> {
    let dot = if figure.is_empty() { "" } else { "." };
    format!("{dot}{figure}{suffix}").into_bytes()
}
