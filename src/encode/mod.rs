//! Encodes summaries as bytes, with the names and numbers of each format, in chunks that sinks
//! share. Pure.

pub mod chunk;
pub mod encoder;
pub mod encoders;
pub mod ganglia;
pub mod packets;
mod points;
pub mod repeated;
pub mod graphite;
mod influx;
mod json_lines;
mod pickle;
mod names;
pub mod namespace;
pub mod number;
