//! The real server, run by a virtual clock against clients, a network, a disk and an operator that
//! do everything wrong.
//!
//! ```text
//!  clients ──unix sockets──▶ ┌────────┐ ──Network──▶ carbon, its witness, a repeater
//!  operator ──file, signals▶ │ Server │ ──Disk─────▶ the spool
//!  VirtualClock ───────────▶ └────────┘ ──files────▶ the state
//! ```
//! The simulation only lets time pass, sends, and delivers events: each turn is the server's own.
//! After each turn the invariants are checked; see [`world`].
//!
//! A trial is a seed: it chooses the configuration, the traffic and the faults. A trial that fails
//! prints the command that runs it alone.

mod books;
mod clients;
mod clock;
mod file;
mod network;
mod outside;
mod trial;
mod witness;
mod world;
