//! Samples that are looked up in batches have the same effect as samples that are looked up one by
//! one. Random lines are sent both ways and compared. A failure prints its seed.

use crate::rig::{Core, receive, settings};
use std::time::Duration;

use statsd::encode::namespace::Namespace;
use statsd::series::Bounds;
use statsd_bench::Random;

/// A table for fewer series than there are names, so that some are evicted in the middle of a
/// batch.
fn core() -> Core {
    let mut settings = settings();
    settings.bounds = Bounds {
        max_series: 12,
        evict_after: Duration::ZERO,
        sample_memory: 2048,
        timer_exact: 40,
        set_exact: 30,
        ..settings.bounds
    };
    Core::new(&settings, &Namespace::default())
}

/// Returns lines that are mostly plain. A name often occurs twice in a packet, and some lines need
/// the general reader.
fn line(random: &mut Random) -> String {
    let name = random.below(20);
    match random.below(12) {
        0..4 => format!("n{name}:{}|c", random.below(90)),
        4 => format!("n{name}:{}|c|@0.{}", random.below(90), 1 + random.below(9)),
        5 => format!("n{name}:{}.5|ms", random.below(1000)),
        6 => format!("n{name}:{}|g", random.below(100)),
        7 => format!("n{name}:{}|s", random.below(200)),
        8 => format!("n{name}:-{}|g", random.below(9)),
        9 => format!("n {name}:1|c"),
        10 => format!("n{name}:1e300|c|@1e-9"),
        _ => "bad".to_owned(),
    }
}

/// Shows that a packet of many lines has the same effect as its lines one by one.
#[test]
fn batches_come_to_the_same_as_lines() {
    for seed in 0..300 {
        let (mut random, mut packed, mut single) = (Random::new(seed), core(), core());
        packed.own = false;
        single.own = false;
        for stamp in 1..5 {
            for _ in 0..6 {
                let count = 1 + random.below(60);
                let lines: Vec<String> = (0..count).map(|_| line(&mut random)).collect();
                receive(&mut packed.engine, lines.join("\n").as_bytes());
                lines.iter().for_each(|line| single.engine.lines(line.as_bytes()));
            }
            assert_eq!(packed.flush(stamp), single.flush(stamp), "seed {seed}");
        }
    }
}

/// A binary message of a counter, whose name or value may hold a newline.
fn message(random: &mut Random) -> Vec<u8> {
    let name = random.pick(&["n1", "n\n2", "\n"]).as_bytes();
    let value = f64::from_bits(0x3ff0_0000_0000_0000 | random.pick(&[0, 0x0a0a]));
    let length = u8::try_from(name.len() + 1).unwrap();
    [&[0xaa, 1, length, 0], &value.to_le_bytes()[..], name, &[0]].concat()
}

/// Shows that a large packet can be taken in over several turns, whatever lines they end at.
#[test]
fn a_packet_in_parts_comes_to_the_same_as_whole() {
    for seed in 0..300 {
        let (mut random, mut whole, mut parts) = (Random::new(seed), core(), core());
        whole.own = false;
        parts.own = false;
        for stamp in 1..5 {
            let mut packet = Vec::new();
            for _ in 0..1 + random.below(200) {
                if random.below(9) == 0 {
                    packet.extend(message(&mut random));
                } else {
                    packet.extend(line(&mut random).into_bytes());
                    packet.push(b'\n');
                }
            }
            whole.engine.lines(&packet);
            let mut rest = &packet[..];
            while !rest.is_empty() {
                let share = 1 + random.below(300);
                let behind = parts.engine.lines_up_to(rest, share);
                let taken = rest.len() - behind.len();
                assert!(taken >= share.min(rest.len()) && taken < share + 1500, "{taken} {share}");
                rest = behind;
            }
            assert_eq!(whole.flush(stamp), parts.flush(stamp), "seed {seed}");
        }
    }
}
