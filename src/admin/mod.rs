//! The admin port: a line-based conversation as Node StatsD's, served in slices like everything else.
//!
//! ```text
//!  bytes ──▶ Client::input ──line──▶ commands.rs (one table) ──▶ reply, or a job (dump.rs, delete.rs)
//!  socket ◀── Client::output ◀──────────────────────────────────────┘ a slice a turn, while the reader keeps up
//! ```
//! A client that does not read delays only its own dump. Once its unread output exceeds
//! `client::OUTPUT_HIGH`, its job pauses, and a dump of another client may begin.

mod client;
mod clients;
mod commands;
mod job;
mod dump;
mod delete;
mod json;
mod view;

pub use clients::AdminClients;
pub use commands::summaries;
pub use view::{Health, View};
