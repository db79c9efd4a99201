//! Load for a StatsD server: traffic built in advance, sent fast, and known to the last line.
//!
//! ```text
//! Workload --build--> Traffic --packets--> Sender --> socket
//!                                             ^
//!                                             +-- Pace (a pure function of elapsed time)
//! ```
//!
//! The same workload gives the same bytes on every machine, so a test can send N lines and ask
//! [`Traffic::counters`] what a server must have counted after them.
#![allow(clippy::disallowed_methods, reason = "the bench may block; the server may not")]

mod contexts;
pub mod floor;
pub mod machine;
mod pace;
mod random;
mod sender;
mod sys;
mod traffic;
mod workload;

pub use random::Random;
pub use sender::{Plan, Sender, Sent};
pub use sys::with_parent;
pub use traffic::{Payload, Traffic};
pub use workload::{Mix, Workload};
