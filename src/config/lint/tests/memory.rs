//! Limits that together exceed the memory, and the values that fit.

use super::*;

fn with_memory(mib: u64) -> Surroundings {
    let memory = Some(MemoryLimit { bytes: mib << 20, of: "the cgroup" });
    Surroundings { memory, ..Surroundings::default() }
}

#[test]
fn limits_beyond_the_memory() {
    let found = found_near("", &with_memory(64));
    let expected = "t.conf: [limits] max_series: all limits together are 316 MiB, 144 MiB with \
                    [limits] max_series alone, and the cgroup has 64 MiB; write ";
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(expected), "{found:#?}");
    for mib in [16, 32, 64, 100, 128, 200, 256, 300] {
        let found = found_near("", &with_memory(mib));
        let (_, values) = found[0].split_once("; write ").unwrap_or_else(|| panic!("{found:?}"));
        let lines = values.split(", ").map(|value| value.replacen("] ", "]\n", 1) + "\n");
        let followed = lines.collect::<Vec<_>>();
        assert_eq!(found_near(&followed.concat(), &with_memory(mib)), [""; 0], "{followed:?}");
    }
    assert_eq!(found_near("", &with_memory(512)), [""; 0]);
    let larger = found_near("[limits]\nmax_series = 100000000", &with_memory(8192));
    assert!(larger[0].starts_with("t.conf:2: [limits] max_series"), "{larger:?}");
    let queue = found_near("[carbon]\nqueue = 100g", &with_memory(8192));
    assert!(queue[0].contains("[carbon] queue = "), "{queue:?}");
    let tiny = found_near("[repeater]\naddress = a\nprotocol = tcp", &with_memory(8));
    assert!(tiny[0].contains("; give it more memory, such as "), "{tiny:?}");
    let remedy = |text: &str, mib| {
        let found = found_near(text, &with_memory(mib));
        found[0].split_once("; ").expect(text).1.to_owned()
    };
    for (text, mib, expected) in [
        ("[carbon]\nqueue = 1000g", 8192, "write [carbon] queue = 6g"),
        ("[limits]\nmax_series = 100000000", 8192, "write [limits] max_series = 50000000"),
        ("", 200, "write [limits] max_series = 55000"),
        (
            "[carbon]\nqueue = 1000g\n[carbon.b]\naddress = b\nqueue = 900g",
            8192,
            "write [carbon] queue = 3g, [carbon.b] queue = 3g",
        ),
    ] {
        assert_eq!(remedy(text, mib), expected, "{text}");
    }
}

#[test]
fn a_connection_of_a_unix_stream_may_hold_a_packet() {
    let text = "[tcp]\nmax_connections = 10000\n";
    assert_eq!(found_near(text, &with_memory(512)), [""; 0]);
    let passed = Surroundings { has_passed_unix_stream: true, ..with_memory(512) };
    let with_stream = format!("{text}[unix]\nstream = /s\n");
    let found = [found_near(&with_stream, &with_memory(512)), found_near(text, &passed)];
    for found in found {
        assert_eq!(found.len(), 1, "{found:#?}");
        let expected = "625 MiB with [tcp] max_connections alone, and the cgroup has 512 MiB; \
                        write [tcp] max_connections = ";
        assert!(found[0].contains(expected), "{found:#?}");
    }
}
