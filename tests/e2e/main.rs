//! End-to-end tests: the real binary, real peers, on loopback. A test waits until a condition
//! holds, and fails when its deadline has passed.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the bans are for the server; a test blocks, has threads, prints and fails"
)]

mod support;

mod admin;
mod ask;
mod carbon;
mod carbon_kill;
mod check;
mod checks;
mod children;
mod clients;
mod compare;
mod console;
mod crowd;
mod delivery;
mod docs;
mod exec;
mod explain;
mod files;
mod flood;
mod ganglia;
mod graphite_web;
mod http;
mod influxdb;
mod import;
mod info;
mod ingest;
mod limits;
mod log_format;
mod long_lines;
mod loss;
mod make;
mod mapping;
mod metrics;
mod names;
mod neighbours;
mod node;
mod node_lines;
mod outage;
mod own_figures;
mod peers;
mod proxy;
mod relay;
mod reload;
mod repeater;
mod senders;
mod soak;
mod soak_cgroup;
mod spool;
mod start;
mod state;
mod stdin;
mod stop;
mod systemd;
mod throughput;
mod trouble;
mod unix;
mod victoria;
mod watch;
