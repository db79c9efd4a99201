//! Load for a StatsD server: traffic built in advance and known to the last line.
//!
//! The same workload gives the same bytes on every machine, so a test can send N lines and ask
//! [`Traffic::expected`] what a server must have counted after them.

mod workload;

mod rng;

mod traffic;

mod expected;

pub use expected::{Expected, Timing};
pub use traffic::{Payload, Traffic};
pub use workload::{Invalid, Kind, MAX_PACKET, Mix, Packing, Workload};
