//! The fuzz targets over their corpora, and over bytes made from them: in every test run, not only under a fuzzer.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

#[path = "fuzz/targets.rs"]
mod targets;

use std::path::Path;

/// The corpus of a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, target) in targets::ALL {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "{name} has a corpus");
        seeds.iter().for_each(|seed| target(seed));
    }
}

#[test]
fn every_target_takes_what_is_made_of_its_corpus() {
    for (name, target) in targets::ALL {
        let seeds = corpus(name);
        for round in 0..3_000 {
            let bytes = changed(&seeds, round);
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{name}, round {round}: {}", bytes.escape_ascii());
        }
    }
}

/// Two files of a corpus joined somewhere, with a few bytes changed, dropped or doubled.
fn changed(seeds: &[Vec<u8>], round: u64) -> Vec<u8> {
    let mut state = round;
    let mut below = |end: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end.max(1)
    };
    let (first, second) = (&seeds[below(seeds.len())], &seeds[below(seeds.len())]);
    let (start, end) = (below(first.len() + 1), below(second.len() + 1));
    let mut bytes = [&first[..start], &second[end..]].concat();
    for _ in 0..below(6) {
        let at = below(bytes.len() + 1);
        match below(4) {
            0 if at < bytes.len() => drop(bytes.remove(at)),
            1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            2 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, b":|@#;=,\n\xaa\0-e0T"[below(14)]),
        }
    }
    bytes
}
