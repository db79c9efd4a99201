//! Load for a StatsD server: traffic built in advance, sent fast, and known to the last line.
//!
//! ```text
//! Workload --build--> Traffic --feed--> Sender --> socket
//!                        |                 ^
//!                        +--> Expected     +-- Pace (a pure function of elapsed time)
//! ```
//!
//! The same workload gives the same bytes on every machine, so a test can send N lines and ask
//! [`Traffic::expected`] what a server must have counted after them.

mod clock;

mod workload;

mod random;

mod contexts;

mod traffic;

mod expected;

mod pace;

mod sender;

mod sys;

pub mod floor;

pub mod machine;

pub use clock::{Clock, beside};
pub use contexts::Contexts;
pub use expected::{Expected, Timing};
pub use pace::{Pace, Step};
pub use random::Random;
pub use sender::{Plan, Sender, Sent, Stop};
pub use sys::with_parent;
pub use traffic::{Payload, Traffic};
pub use workload::{Invalid, Kind, MAX_PACKET, Mix, Packing, Workload};
