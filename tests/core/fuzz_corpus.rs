//! Runs the fuzz targets over their corpora, and over bytes made from them. So every test run does
//! a little of what the fuzzers do.

#![allow(clippy::disallowed_methods)] // `make fuzz` runs for a given time

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use statsd_bench::Random;

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
        // Targets that make an engine each time are slow.
        let rounds =
            if matches!(name, "stream" | "flush" | "rules" | "state") { 800 } else { 3_000 };
        (0..rounds).for_each(|round| take(name, target, &seeds, round));
    }
}

/// The target of `make fuzz`: runs for `SECONDS` from a seed that is printed. `SEED` repeats a run.
#[test]
#[ignore = "it runs for SECONDS"]
fn every_target_in_turn_for_a_time() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = Duration::from_secs(number("SECONDS").unwrap_or(60));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SEED").unwrap_or(now.as_secs() << 20);
    println!("SEED={seed}, {} s for {} targets", seconds.as_secs(), targets::ALL.len());
    for (name, target) in targets::ALL {
        let seeds = corpus(name);
        let (start, mut round) = (Instant::now(), seed);
        while start.elapsed() < seconds / u32::try_from(targets::ALL.len()).unwrap() {
            (0..100).for_each(|more| take(name, target, &seeds, round + more));
            round += 100;
        }
        println!("{name}: {} executions", round - seed);
    }
}

/// Writes the corpora of the state file and the spool again after their formats have changed:
/// UPDATE=1 cargo test --test core -- --ignored corpora
#[test]
#[ignore = "it writes to the repository"]
fn the_corpora_of_what_is_on_disk() {
    let write = |name: &str, bytes: Vec<u8>| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let many = |text: &str| (0..20).map(|n| text.replace('N', &n.to_string())).collect::<String>();
    let (timings, members) = (many("t:N|ms\n"), many("s:N|s\n"));
    let all = ["a:1|c", "b:5|g", "t:3|ms|@0.5", "s:x|s", "C:7|C", "k:1|kv", "a:1|c|T1656581400"];
    write("state/all", targets::small_state(true, &all));
    write("state/gauges", targets::small_state(false, &["b:5|g", "c;env=prod:-1|g"]));
    write("state/sketches", targets::small_state(true, &[&timings, &members]));
    write("state/empty", targets::small_state(true, &[]));
    write("spool/fresh", targets::small_spool(3, 0, b"\x01\x01\x03\x00\x01"));
    write("spool/half_read", targets::small_spool(4, 2, b"\x01\x03\x01\x04\x01\x05\x01\x03"));
    write("spool/empty", targets::small_spool(0, 0, b"\x00\xf8\x01\x01\x07\xf8\xf8\x04\x06\x01"));
    // The last number that a file can have, in a name and in the note; and a note past the end of
    // all segments.
    let mut last = targets::small_spool(2, 0, b"\x01\x00\x03\x00\x01");
    last[1] = 255;
    write("spool/last_number", last.clone());
    let note = last.len() - 5 - 16;
    last[note..note + 16].fill(0xff);
    write("spool/last_note", last.clone());
    last[1] = 1;
    last[note..note + 8].copy_from_slice(&1_u64.to_le_bytes());
    write("spool/note_ahead", last);
}

fn take(name: &str, target: targets::Target, seeds: &[Vec<u8>], round: u64) {
    let bytes = changed(seeds, round);
    let outcome = std::panic::catch_unwind(|| target(&bytes));
    assert!(outcome.is_ok(), "{name}, SEED={round}: {}", bytes.escape_ascii());
}

/// Two files of a corpus joined somewhere, with a few bytes changed, dropped or doubled.
fn changed(seeds: &[Vec<u8>], round: u64) -> Vec<u8> {
    let mut random = Random::new(round);
    let mut below = |end: usize| random.below(end);
    let first = &seeds[below(seeds.len())];
    let second = &seeds[below(seeds.len())];
    let start = below(first.len() + 1);
    let end = below(second.len() + 1);
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
