//! Graphite plaintext: `name value timestamp\n`.
//!
//! All that does not depend on the series is put together once: what stands before its name, and what stands between its
//! bare name and its tags (`names.rs`).

use super::chunk::Chunks;
use super::names::{Around, Names};
use super::namespace::{Namespace, Style};
use super::number::Number;
use crate::flush::{FigureNames, Subject, Summary};
use crate::protocol::{cleaned, is_clean};

#[derive(Debug)]
pub struct Graphite {
    names: Names,
    /// Whether a series in which nothing came is sent all the same; gauges always are.
    sends_idle: bool,
    /// The flush's timestamp as every line ends with it: blank, seconds, newline.
    stamp: Vec<u8>,
    number: Number,
    chunks: Chunks,
}

impl Graphite {
    pub fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            names: Names::new(namespace, figures),
            sends_idle: namespace.style != Style::Statsite,
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
        if summary.idle && !self.sends_idle && summary.subject != Subject::Gauge {
            return;
        }
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
            let around = self.names.around(summary.subject, figure.id, own_time.is_some());
            let Some(Around { before, behind }) = around else { continue };
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
