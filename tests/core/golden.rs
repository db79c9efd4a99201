//! Golden files: scripts of packets, and the exact lines that each flush must send. `UPDATE=1 cargo
//! test --test core golden` writes the expected lines of all files again.
//!
//! A file begins with settings. Then come lines `packet TEXT` (with `\n` for a newline) and `flush
//! SECONDS`. The sorted lines after a `flush` are those that it must send.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::rig::{Core, configured, settings};
use statsd::encode::namespace::{Namespace, Style};
use statsd::policy::Percentile;

#[test]
fn every_golden_file_is_what_the_server_sends() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let script = std::fs::read_to_string(&path).unwrap();
        let actual = run(&script);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &actual).unwrap();
        } else {
            assert!(actual == script, "{} differs; the server sent:\n{actual}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 4, "the golden files are there");
}

/// Runs a script. Returns it with the lines that the engine really sent.
fn run(script: &str) -> String {
    let (mut settings, mut namespace) = (settings(), Namespace::default());
    let (mut own, mut closing) = (false, statsd::engine::Closing::default());
    let mut core: Option<Core> = None;
    let mut out = String::new();
    for line in script.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" => {}
            "interval" => settings.flush_interval = seconds(rest),
            "style" if rest == "statsite" => namespace = Namespace::statsite(),
            "style" => namespace.style = style(rest),
            "set" => set(&mut namespace, rest),
            "config" => settings.rules = configured(&rest.replace("\\n", "\n")).rules,
            "percentiles" => settings.rules.base.percentiles = percentiles(rest),
            "own" => own = rest == "yes",
            "lag" => closing.timestamp_lag = Some(rest.parse().unwrap()),
            "figure" => {
                let (name, value) = rest.split_once(' ').unwrap();
                closing.figures.push((name.to_owned(), value.parse().unwrap()));
            }
            "packet" | "flush" => {
                let core = core.get_or_insert_with(|| {
                    settings.rules.base.statsite = namespace.style == Style::Statsite;
                    let mut core = Core::new(&settings, &namespace);
                    (core.own, core.closing) = (own, closing.clone());
                    core
                });
                writeln!(out, "{line}").unwrap();
                if word == "packet" {
                    core.packet(&rest.replace("\\n", "\n"));
                } else {
                    for line in core.flush(rest.parse().unwrap()) {
                        writeln!(out, "{line}").unwrap();
                    }
                }
                continue;
            }
            _ => continue, // a line the last flush is expected to send
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

fn style(text: &str) -> Style {
    match text {
        "legacy" => Style::Legacy,
        "modern" => Style::Modern,
        other => panic!("no style {other}"),
    }
}

fn set(namespace: &mut Namespace, text: &str) {
    let (key, value) = text.split_once(' ').unwrap_or((text, ""));
    let field = match key {
        "global_prefix" => &mut namespace.global_prefix,
        "global_suffix" => &mut namespace.global_suffix,
        "prefix_counter" => &mut namespace.prefix_counter,
        "prefix_timer" => &mut namespace.prefix_timer,
        "prefix_gauge" => &mut namespace.prefix_gauge,
        "prefix_set" => &mut namespace.prefix_set,
        "prefix_kv" => &mut namespace.prefix_kv,
        "prefix_stats" => &mut namespace.prefix_stats,
        "flush_counts" => return namespace.flush_counts = value == "yes",
        "extended_counters" => return namespace.extended_counters = value == "yes",
        other => panic!("no setting {other}"),
    };
    *field = value.to_owned();
}

fn percentiles(text: &str) -> Vec<Percentile> {
    text.split(", ").map(|percent| Percentile::new(percent.parse().unwrap()).unwrap()).collect()
}
