//! A StatsD server: one thread, one poll loop.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "statsd needs Linux 4.12 or later: recvmmsg, SO_MEMINFO and SIOCOUTQ have no like elsewhere"
);

pub mod complaints;
pub mod args;
pub mod config;
pub mod encode;
pub mod engine;
pub mod flush;
pub mod protocol;
pub mod series;
pub mod server;
pub mod sink;
#[cfg_attr(not(test), expect(dead_code, reason = "the loop is yet to receive datagrams"))]
mod sys;
pub mod time;
