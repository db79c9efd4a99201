//! The log: `key=value` lines on standard error, one for each change of state, none for each packet.

use std::io::Write as _;
use std::time::UNIX_EPOCH;

use crate::server::wall_clock;

/// Sends log lines of `level` and worse to standard error from now on; RUST_LOG overrides the level.
pub fn to_stderr(level: log::LevelFilter) {
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .format(|out, record| {
            let time = humantime::format_rfc3339_millis(UNIX_EPOCH + wall_clock());
            let level = record.level().as_str().to_ascii_lowercase();
            writeln!(out, "time={time} level={level} {}", record.args())
        })
        .init();
}
