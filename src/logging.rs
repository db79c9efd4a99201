//! The log: `key=value` lines on standard error, one for each change of state, none for each packet.

use std::io::Write as _;
use std::time::UNIX_EPOCH;

use log::LevelFilter;

use crate::server::wall_clock;

/// Sends log lines of `level` and worse to standard error from now on; RUST_LOG overrides the level.
pub fn to_stderr(level: LevelFilter) {
    let is_overridden = std::env::var_os("RUST_LOG").is_some();
    env_logger::Builder::new()
        .filter_level(if is_overridden { level } else { LevelFilter::Trace })
        .parse_default_env()
        .format(|out, record| {
            let time = humantime::format_rfc3339_millis(UNIX_EPOCH + wall_clock());
            let level = record.level().as_str().to_ascii_lowercase();
            writeln!(out, "time={time} level={level} {}", record.args())
        })
        .init();
    set_level(level);
}

/// Another level, unless RUST_LOG says.
pub fn set_level(level: LevelFilter) {
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(level);
    }
}
