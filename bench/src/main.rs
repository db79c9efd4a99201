//! `statsd-bench`: sends StatsD traffic from the command line.

fn main() {}
