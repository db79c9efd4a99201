//! The admin port: the line-based protocol of Node StatsD, and HTTP. The first bytes of a
//! connection decide which. Clients are served in slices of a turn.
//!
//! ```text
//!  bytes ───▶ Client::input ──line──▶ commands.rs (one table) ──▶ reply, or a Job
//!    │                                                        (dump.rs, delete.rs)
//!    └──────HTTP───▶ HttpSession ──▶ http/routes.rs ──▶ reply, or a stream
//!  socket ◀── Client::output ◀── a slice in each turn, while the client keeps reading
//! ```
//! A client that does not read delays only its own dump. Once its unread output exceeds
//! `client::OUTPUT_HIGH`, its job pauses, and a dump of another client may begin.

mod client;
mod clients;
mod commands;
mod delete;
mod dump;
mod explain;
pub mod http;
mod info;
mod json;
pub mod page;
mod rules;
mod senders;
mod sorted;
mod text;
mod top;
mod view;
mod watch;

pub use clients::AdminClients;
pub use commands::summaries;
pub use view::{Health, View};
pub use watch::Watch;

#[cfg(test)]
mod tests;
