//! Checks the peers without the server. If these tests fail, the set-up (`make peers`) is broken.

use std::io::Write;

use crate::support::{Carbon, FakeCarbon, NodeStatsd, connect, send_packets, unix_now};

/// Shows that a line given to the real carbon can be read back from its Whisper file, tags or not.
#[test]
fn carbon_stores_a_point_in_whisper() {
    let carbon = Carbon::start();
    let now = unix_now();
    let mut stream = connect(carbon.address());
    write!(stream, "a.plain 1.5 {now}\na.tagged;env=prod 7 {now}\na;k=x=y= 9 {now}\n").unwrap();
    let stored = [("a.plain", 1.5), ("a.tagged;env=prod", 7.0), ("a;k=x=y=", 9.0)];
    carbon.until_stored(now, &stored);
}

/// Shows that Node's statsd runs here and that the fake carbon takes its lines.
#[test]
fn node_statsd_flushes_to_the_fake_carbon() {
    let carbon = FakeCarbon::start();
    let node = NodeStatsd::start(&carbon, 1, "");
    send_packets(node.udp(), ["a:3|c", "b:5|g"]);
    carbon.until_point("stats_counts.a", 3.0);
    carbon.until_point("stats.gauges.b", 5.0);
    assert!(carbon.broken_lines().is_empty(), "{:?}", carbon.broken_lines());
}
