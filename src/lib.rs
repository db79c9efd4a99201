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
//! The other modules:
//! - `server` is the loop. It drives all the others. `main.rs` starts it with the options that
//!   `args` reads.
//! - `engine` is the way from a line to a summary as one object: everything in the diagram between
//!   `ingest` and `encode`.
//! - `history` keeps the last points of series and own figures, for charts.
//! - `policy` has the settings of a name: those of `[statsd]` and of each `[rule.NAME]`.
//! - `config` reads, checks and prints `statsd.conf`. `import` makes one from the configuration of
//!   another server. `compare` compares the points of two servers.
//! - `admin` answers the commands of the admin port, and `ask` is the client of `statsd --ask`.
//!   `figures` is the table of everything that the server shows about itself. `state` keeps series
//!   over a restart.
//! - `ledger` has the server's own counters, `warnings` the limited log lines about bad input.
//! - The rest are tools: `logging`, `files`, `privileges`, `stdio` (standard output and error),
//!   `sys` (system calls), `clock` and `time`, `token` (the owner of an event), `sender`, `wire`
//!   (bytes on disk), `memory_limit` (of the machine or the cgroup), `few` (sorts in little code),
//!   `nearest` ("did you mean"), `random`, `gzip`.
//!
//! `core.rs` is the root of the pure half: the modules from `engine` to `time`. It is a package of
//! its own, because it alone is optimised for speed. All others are optimised for size.
//!
//! What holds everywhere:
//! - Data goes one way. Sinks never see series, and series never see sinks. Delivery is visible
//!   only as counters.
//! - The modules of `core.rs` are pure: bytes and a clock value in, bytes out. `engine` drives
//!   `protocol`, `policy`, `series`, `flush` and `history`. To most tests it is the whole server.
//! - `ingest`, `sink`, `admin`, `state` and `server` own the descriptors, except standard error,
//!   which `logging` owns. `server` reads the clocks after each poll (`clock.rs`).
//! - There is one thread. No call in its loop waits for a peer: not a connect, not a name look-up,
//!   not a write to a slow reader. Calls to the disk may wait. Those of saves, spools and the log
//!   of names are measured (`files.rs`). Those of a reload are not.
//! - A flush never stops reception. A tick costs O(1). Series are closed in slices, each exactly
//!   once, with the values it had at the tick (`series/mod.rs`, `tests/core/sweep.rs`).
//! - Memory, queues and turns are bounded, and every drop is counted (`ledger.rs`, `sink/mod.rs`).
//! - Bytes from a socket are never trusted, and never make the server panic. They are not logged
//!   line by line, unless `dump_messages` is on.
//! - `unsafe` is in `sys.rs` and `sys/` alone.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "statsd needs Linux 4.12 or later: recvmmsg, SO_MEMINFO and SIOCOUTQ exist on Linux alone"
);

pub use statsd_core::{
    encode, engine, few, flush, history, ledger, policy, protocol, sender, series, time, warnings,
    wire,
};

// A module may import only from the modules after it in this list, and from those of `core.rs`.
// `tests/tidy` checks that. So keep the order: a circle of modules could not be tested or
// understood one at a time.
pub mod server;
pub mod ask;
pub mod import;
pub mod compare;
pub mod admin;
pub mod figures;
pub mod state;
pub mod ingest;
pub mod sink;
pub mod config;

pub mod args;
pub mod logging;
mod files;
pub mod privileges;
pub mod memory_limit;
mod nearest;
mod random;
mod gzip;
pub mod stdio;
mod sys;
mod clock;
pub mod token;
