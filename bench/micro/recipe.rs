//! The recipes of the corpora in `bench/corpus` that no real client wrote. They come from
//! [`Traffic`], which makes the same bytes at every run.
#![allow(dead_code)] // a program that only reads the corpora needs a part of this file

use statsd_bench::{Traffic, Workload};

pub(crate) struct Recipe {
    /// In `bench/corpus`.
    pub(crate) file: &'static str,
    /// Whole rounds of all names, so that every name comes equally often.
    pub(crate) lines: usize,
    pub(crate) workload: fn() -> Workload,
}

pub(crate) const RECIPES: [Recipe; 2] = [
    Recipe { file: "w2.txt", lines: 3000, workload: Workload::default },
    Recipe {
        file: "w5.txt",
        lines: 2000,
        workload: || Workload { tags: true, ..Workload::default() },
    },
];

impl Recipe {
    pub(crate) fn text(&self) -> Vec<u8> {
        text(&(self.workload)(), self.lines)
    }
}

/// The first lines of a workload, each with its newline.
pub(crate) fn text(workload: &Workload, lines: usize) -> Vec<u8> {
    let traffic = Traffic::build(workload).expect("a workload that can be built");
    let all = traffic.payloads().flat_map(|payload| payload.each_line());
    let mut text = Vec::new();
    for line in all.take(lines) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}
