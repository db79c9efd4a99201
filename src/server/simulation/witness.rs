//! What the witness reads of the flushes: stamps, counters, gauges.

use super::network::Seen;

/// What the witness makes of a line that it has read.
pub(super) fn read_flushed(line: &[u8], seen: &mut Seen) {
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let [Some(name), Some(value), Some(stamp)] = [words.next(), words.next(), words.next()] else {
        panic!("not a line: {}", line.escape_ascii());
    };
    let number = |text: &[u8]| str::from_utf8(text).unwrap().parse().unwrap();
    let stamp = number(stamp);
    if seen.stamp.replace(stamp) != Some(stamp) {
        assert!(!std::mem::replace(&mut seen.is_torn, true), "a flush has one stamp");
    }
    if name == b"statsd.numStats" {
        seen.stamps.push(stamp); // the last line of a flush but for some figures
        seen.is_torn = false;
    } else if name.starts_with(b"stats_counts.k.") || name.starts_with(b"stats_counts.m.") {
        // Rules make the names of the second kind.
        seen.sum += number(value);
    } else if name.starts_with(b"stats.gauges.g.") {
        let value = number(value);
        let before = seen.gauges.insert(name.to_vec(), value).unwrap_or(0);
        if value < before {
            seen.went_back = Some((name.to_vec(), before, value));
        }
    }
}
