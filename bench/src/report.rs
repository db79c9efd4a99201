//! The output of the binary: a line a second on stderr, and a summary on stdout. It takes text and
//! keeps no figures.

use std::io::Write;

use statsd_bench::Sent;

/// Writes to standard output. A reader that has closed it is no error.
pub(crate) fn out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

pub(crate) fn err(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// `3 s: 600,030 lines, 200,012 lines/s now`
pub(crate) fn progress(before: &Sent, now: &Sent) -> String {
    let rate = per_second(now.lines - before.lines, now.seconds - before.seconds);
    let Sent { seconds, lines, .. } = now;
    format!("{seconds:.0} s: {} lines, {rate} lines/s now{}\n", grouped(*lines), errors(now))
}

pub(crate) fn summary(sent: &Sent) -> String {
    let [lines, packets, bytes] = [sent.lines, sent.packets, sent.bytes].map(grouped);
    let seconds = sent.seconds;
    let rate = per_second(sent.lines, seconds);
    let errors = errors(sent);
    format!(
        "sent {lines} lines in {packets} packets, {bytes} bytes, {seconds:.3} s: {rate} lines/s{errors}\n"
    )
}

fn errors(sent: &Sent) -> String {
    match sent.errors {
        0 => String::new(),
        errors => format!("; {} errors (is anybody listening?)", grouped(errors)),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown only")]
fn per_second(lines: u64, seconds: f64) -> String {
    grouped((lines as f64 / seconds.max(1e-9)).round() as u64)
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_errors_named() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let before = Sent { lines: 1000, seconds: 1.0, ..Sent::default() };
        let mut sent = Sent { lines: 3000, packets: 30, bytes: 60_000, seconds: 2.0, errors: 0 };
        assert_eq!(progress(&before, &sent), "2 s: 3,000 lines, 2,000 lines/s now\n");
        sent.errors = 7;
        assert_eq!(
            summary(&sent),
            "sent 3,000 lines in 30 packets, 60,000 bytes, 2.000 s: 1,500 lines/s; \
             7 errors (is anybody listening?)\n"
        );
    }
}
