//! What the process at `carbon.reference` reads of the flushes: stamps, counters, gauges.

use super::process::Seen;

/// Notes a line of plaintext.
pub(super) fn read_flushed(line: &[u8], seen: &mut Seen) {
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let [Some(name), Some(value), Some(stamp)] = [words.next(), words.next(), words.next()] else {
        panic!("not a line: {}", line.escape_ascii());
    };
    let number = |text: &[u8]| str::from_utf8(text).unwrap().parse().unwrap();
    let stamp = number(stamp);
    if seen.stamp.replace(stamp) != Some(stamp) {
        assert!(!std::mem::replace(&mut seen.is_in_flush, true), "a flush has one stamp");
    }
    let is_timing = name.starts_with(b"stats.timers.t.");
    if name == b"statsd.numStats" {
        seen.stamps.push(stamp); // the last line of a flush but for some figures
        seen.is_in_flush = false;
    } else if name.starts_with(b"stats_counts.k.")
        || name.starts_with(b"stats_counts.m.")
        || (is_timing && name.ends_with(b".count"))
    {
        // Rules make the names that begin with m.
        seen.sum += number(value);
    } else if name.starts_with(b"stats.kv.v.") {
        seen.sum += 1;
    } else if name.starts_with(b"stats.gauges.g.") {
        let value = number(value);
        let before = seen.gauges.insert(name.to_vec(), value).unwrap_or(0);
        if value < before {
            seen.went_back = Some((name.to_vec(), before, value));
        }
    }
}
