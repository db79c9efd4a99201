//! Limits that together exceed the memory, and the values that fit.

use super::*;
use crate::memory_limit::MemoryLimit;

fn with_memory(mib: u64) -> Surroundings {
    let memory = Some(MemoryLimit { bytes: mib << 20, of: "the cgroup" });
    Surroundings { memory, ..Surroundings::default() }
}

#[test]
fn limits_beyond_the_memory() {
    let found = found_near("[limits]\nseries_memory = 200m", &with_memory(64));
    let expected = "t.conf:2: [limits] series_memory: all limits together are 392 MiB, 200 MiB with \
                    [limits] series_memory alone, and the cgroup has 64 MiB; lower the limits, or \
                    give it more memory, such as 432 MiB";
    assert_eq!(found, [expected]);
    assert_eq!(found_near("", &with_memory(512)), [""; 0]);
    let remedy = |text: &str, mib| {
        let found = found_near(text, &with_memory(mib));
        found[0].split_once("; ").expect(text).1.to_owned()
    };
    for (text, mib, expected) in [
        ("[carbon]\nqueue = 1000g", 8192, "write [carbon] queue = 6g"),
        ("[limits]\nseries_memory = 20g", 8192, "write [limits] series_memory = 6g"),
        ("[statsd]\ntimer_memory = 500m", 512, "write [statsd] timer_memory = 64m"),
        ("[udp]\nbind = *:1, *:2\nrecv_buffer = 1g", 1024, "write [udp] recv_buffer = 192m"),
        (
            "[carbon]\nqueue = 1000g\n[carbon.b]\naddress = b\nqueue = 900g",
            8192,
            "lower the limits, or give it more memory, such as ",
        ),
    ] {
        assert!(remedy(text, mib).starts_with(expected), "{text}: {}", remedy(text, mib));
    }
}

#[test]
fn a_connection_of_a_unix_stream_may_hold_a_packet() {
    let text = "[tcp]\nmax_connections = 10000\n";
    assert_eq!(found_near(text, &with_memory(1024)), [""; 0]);
    let passed = Surroundings { has_passed_unix_stream: true, ..with_memory(1024) };
    let with_stream = format!("{text}[unix]\nstream = /s\n");
    let found = [found_near(&with_stream, &with_memory(1024)), found_near(text, &passed)];
    for found in found {
        assert_eq!(found.len(), 1, "{found:#?}");
        let expected = "665 MiB with [tcp] max_connections alone, and the cgroup has 1024 MiB; \
                        write [tcp] max_connections = ";
        assert!(found[0].contains(expected), "{found:#?}");
    }
}
