//! A StatsD server: one thread, one poll loop. Read this first.
//!
//! ```text
//!  socket ──bytes──▶ ingest ──lines──▶ protocol ──samples──▶ series
//!                                                              │
//!                            the tick, from server's timer ──▶ │ closed series
//!                                                              ▼
//!  carbon ◀──bytes── sink ◀──chunks── encode ◀──summaries── flush
//! ```
//!
//! What holds everywhere:
//! - Data goes one way. Sinks never see series, and series never see sinks. Delivery is visible
//!   only as counters.
//! - `protocol`, `policy`, `series`, `flush` and `encode` are pure: bytes and a clock value in,
//!   bytes out. `engine` drives them. It is the whole server to a test.
//! - `ingest`, `sink`, `admin` and `server` own the descriptors. `server` reads the clocks, by way
//!   of `clock`, once a turn.
//! - There is one thread. Nothing in its loop blocks: not a connect, not a name look-up, not a slow
//!   reader.
//! - A flush never stops reception. A tick costs O(1). Series are closed in slices, each exactly
//!   once, with the values that it had at the tick (`series/mod.rs`, `tests/core/sweep.rs`).
//! - Everything is bounded, and every drop is counted (`ledger.rs`, `sink/mod.rs`).
//! - Bytes from a socket are never trusted, and never make the server panic. They are not logged
//!   line by line, unless `dump_messages` is on.
//! - `unsafe` is in `sys.rs` alone.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "statsd needs Linux 4.12 or later: recvmmsg, SO_MEMINFO and SIOCOUTQ have no like elsewhere"
);

// The order is the law: a module may import only from the modules after it. `tests/tidy` enforces
// it.
pub mod server;
pub mod admin;
pub mod state;
pub mod engine;
pub mod ledger;
pub mod warnings;
pub mod ingest;
pub mod sink;
pub mod config;
pub mod encode;
pub mod flush;
pub mod series;
pub mod policy;
pub mod protocol;

pub mod args;
pub mod logging;
pub mod privileges;
mod files;
mod slots;
pub mod standard;
mod sys;
pub mod sender;
mod clock;
pub mod wire;
pub mod token;
pub mod time;
