//! An engine that is saved at any moment and restored into another one goes on as if it had not
//! been interrupted. A failure prints its seed.

use crate::rig::{Core, settings};
use std::time::Duration;

use statsd::encode::namespace::Namespace;
use statsd::engine::Restored;
use statsd::series::Bounds;
use statsd::wire::In;
use statsd_bench::Random;

/// Limits that are reached: sketches and registers are made.
fn core() -> Core {
    let mut settings = settings();
    settings.bounds = Bounds { timer_exact: 40, set_exact: 30, ..settings.bounds };
    Core::new(&settings, &Namespace::default())
}

fn line(random: &mut Random) -> String {
    let name = random.below(12);
    match random.below(8) {
        0 | 1 => format!("c{name}:{}|c|@0.{}", random.below(90), 1 + random.below(9)),
        2 => format!("t{}:{}.5|ms", name % 3, random.below(1000)),
        3 => format!("g{name}:{}|g", random.below(100)),
        4 => format!("g{name}:-{}|g", random.below(9)),
        5 => format!("s{}:m{}|s", name % 3, random.below(200)),
        6 => format!("C{name}:{}|C", random.below(1000)),
        _ => format!("k{name}:{}|kv", random.below(1000)),
    }
}

fn save(core: &Core) -> Vec<u8> {
    let mut saved = Vec::new();
    let spill = |bytes: &mut Vec<u8>| {
        saved.append(bytes);
        Ok::<_, ()>(())
    };
    let rest = core.engine.save(spill).unwrap();
    [saved, rest].concat()
}

fn restore(bytes: &[u8]) -> Core {
    let mut core = core();
    let restored = core.engine.restore(In::new(bytes), Duration::from_secs(10), false);
    assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
    core
}

#[test]
fn a_restart_at_any_moment_changes_no_line() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut steady, mut restarted) = (core(), core());
        steady.own = true;
        restarted.own = true;
        for flush in 1..8_u64 {
            for _ in 0..random.below(300) {
                let line = line(&mut random);
                steady.packet(&line);
                restarted.packet(&line);
                if random.below(100) == 0 {
                    restarted = restore(&save(&restarted));
                    restarted.own = true;
                }
            }
            assert_eq!(restarted.flush(flush * 10), steady.flush(flush * 10), "seed {seed}");
        }
    }
}

#[test]
fn gauges_alone_are_taken_from_a_file_that_holds_more() {
    let mut before = core();
    before.packet("c:1|c\ng:5|g\nt:1|ms\ns:a|s\nk:1|kv");
    let mut after = core();
    let restored = after.engine.restore(In::new(&save(&before)), Duration::from_secs(10), true);
    assert_eq!(restored, Restored { series: 1, ..Restored::default() });
    assert_eq!(after.flush(10), ["stats.gauges.g 5 10"]);
}

#[test]
fn limits_hold_when_a_state_is_taken_up() {
    let mut before = core();
    for name in 0..20 {
        before.packet(&format!("c{name}:1|c"));
    }
    let mut settings = settings();
    settings.bounds.max_series = 5;
    let mut after = Core::new(&settings, &Namespace::default());
    let restored = after.engine.restore(In::new(&save(&before)), Duration::from_secs(10), false);
    let expected = Restored { series: 5, refused: 15, refused_events: 15, ..Restored::default() };
    assert_eq!(restored, expected);
}

/// Shows that a changed byte, or an end at any place, causes no panic. It may cause a wrong value,
/// since the checksum is not checked here.
#[test]
fn damage_is_survived() {
    let mut before = core();
    let mut random = Random::new(1);
    for _ in 0..2000 {
        before.packet(&line(&mut random));
    }
    let bytes = save(&before);
    for round in 0..2000 {
        let mut damaged = bytes.clone();
        match round % 2 {
            0 => damaged.truncate(random.below(bytes.len())),
            _ => {
                for _ in 0..8 {
                    damaged[random.below(bytes.len())] ^= 1 << random.below(8);
                }
            }
        }
        let mut after = core();
        after.engine.restore(In::new(&damaged), Duration::from_secs(10), false);
        after.packet("c1:1|c\nt1:1|ms\ns1:a|s");
        after.flush(10);
    }
}
