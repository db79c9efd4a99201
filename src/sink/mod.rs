//! Sinks: destinations of encoded chunks.
//!
//! ```text
//!   encoder ──Rc<Chunk>──▶ Outbox ──bytes──▶ Outlet ══▶ carbon
//!                            ▲                 │
//!                            └─ acknowledged, broken
//! ```
//! Each [`Sink`] has an `Outbox`, which holds the chunks, and an `Outlet`, which sends them. There
//! are four outlets: a TCP `Link` (plain or HTTP, see `framing.rs`), UDP `Datagrams`, the `Console`
//! on standard output, and `Exec`, which runs a command for each flush.
//!
//! A sink never sees a series and never changes the bytes of a chunk. The loop drives it:
//!
//! | call | when |
//! | --- | --- |
//! | [`Sink::push`] | for each encoded chunk |
//! | [`Sink::ready`] | for an event on one of its descriptors |
//! | [`Sink::timeout`] | at its [`Sink::deadline`] |
//! | [`Sink::poll_acks`] | at each tick |
//! | [`Sink::pump`] | after any of these |
//!
//! # What happens to a chunk
//!
//! | step | meaning |
//! | --- | --- |
//! | push | The chunk enters the queue of the outbox. |
//! | write | The kernel accepts its bytes. A chunk is *begun* when one byte is written. |
//! | acknowledge | The peer confirms bytes: its TCP, or a 204 of HTTP. |
//! | deliver | All bytes of the chunk are acknowledged. The chunk has *arrived*. |
//! | retain | A delivered chunk stays in memory, to be sent again after a break. |
//! | age | A retained chunk is removed when enough later flushes are delivered. |
//! | break | The connection ends. Chunks that are to be sent again become unsent. |
//! | resend | A chunk that was begun on an earlier connection is written again. |
//! | spill | A queued chunk is moved to the spool, because the queue is full or at a stop. |
//! | refill | A chunk is read from the spool into the queue. It stays on disk, *handed out*. |
//! | recall | A chunk from the spool leaves the queue and will be handed out again. |
//! | release | The spool no longer has to keep a chunk. |
//! | drop | A chunk is removed before it was delivered, and its lines are counted. |
//! | doubt | The delivery of written lines is unknown, and they are not sent again. |
//!
//! A stop *drains* all sinks: they send their queued chunks as soon as possible. A reload *removes*
//! the sink of a destination that is no longer configured. Such a sink drains, then spills the rest
//! of its queue.

mod advice;
mod console;
mod datagrams;
pub(crate) mod error;
mod exec;
mod flushes;
mod framing;
mod http;
mod last_move;
mod link;
pub mod look_up;
mod outage;
pub mod outbox;
mod outlet;
mod overflow;
mod plain_framing;
pub(crate) mod platform;
mod resolver;
#[allow(clippy::module_inception)] // the file is named after its type
mod sink;
mod sinks;
pub mod spool;
mod state;

pub(crate) use platform::{Platform, SystemPlatform};
pub use sink::{Feed, LostLines, Sink, SinkFigures};
pub use sinks::Sinks;
pub use state::SinkState;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
