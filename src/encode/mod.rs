//! Encodes summaries as bytes, with the names and numbers of each format, in chunks that sinks
//! share. Pure.
//!
//! ```text
//!  Summary ──▶ Encoders ──▶ Graphite, Pickle, … ──▶ Points: one for each figure ──▶ Chunks
//!                │            (trait Encoder)        (name space and names)           │
//!                └─ one for each pair of format and name space                        ▼
//!  packets of the repeaters ──▶ Repeated ──────────────────────────────────────▶ Rc<Chunk>
//! ```
//! `exposition` is no destination: Prometheus requests it, and gets the present values.

pub mod encoder;
pub mod encoders;
mod graphite;
mod json_lines;
mod records;
mod statsite_lines;
mod pickle;
mod influx;
pub mod ganglia;
pub mod repeated;
pub mod sent_names;
pub mod exposition;

pub mod chunk;
mod names;
pub mod namespace;
pub mod number;
