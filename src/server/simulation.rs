//! The real server, run by a virtual clock against clients, a network, disks and an operator that
//! do everything wrong.
//!
//! ```text
//!  clients ──UDP, TCP, unix──▶ ┌────────┐ ──Network──▶ carbon, InfluxDB, repeaters
//!  admin clients ──TCP───────▶ │ Server │ ──UDP──────▶ ganglia
//!  operator ──file, signals──▶ │        │ ──Disk─────▶ the spools
//!  VirtualClock ─────────────▶ │        │ ──pipe─────▶ the reader of standard output
//!                              └────────┘ ──files────▶ the state
//! ```
//! The simulation only lets time pass, sends, and delivers events: each turn is the server's own.
//! After each turn the invariants are checked; see [`world`].
//!
//! | part | real | simulated |
//! | --- | --- | --- |
//! | `Reception`, `AdminPort` | sockets of loopback and unix, the poller | what clients do, and when |
//! | sinks of TCP and HTTP | queue, link, framing | the socket (`network.rs`) and its peer |
//! | sinks of UDP | sockets of loopback | none |
//! | spools | segments, records | the disk, in memory |
//! | `[console]` | a pipe in place of standard output | its reader |
//! | state, configuration, log of names | files | none |
//! | clocks | none | both |
//! | signals | `Life` and what it does | their delivery |
//!
//! A call that sends waits until the kernel has the bytes at the server's end. So a run of a seed
//! does not depend on the time that the kernel takes. `[exec]` is not simulated: a real process
//! ends at a time of its own.
//!
//! A trial is a seed: it chooses the configuration, the traffic and the faults. A trial that fails
//! prints the command that runs it alone.

mod admin_clients;
mod bounds;
mod clients;
mod clock;
mod console;
mod coverage;
mod cut_bytes;
mod destinations;
mod file;
mod frozen;
mod network;
mod outside;
mod ports;
mod process;
mod reference;
mod stamps;
mod trial;
mod variables;
mod world;
