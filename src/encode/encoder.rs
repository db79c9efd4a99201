//! The interface of the formats.

use std::fmt::Debug;

use super::chunk::Chunks;
use crate::flush::Summary;

/// Writes the summaries of a flush to chunks in one format.
pub(super) trait Encoder: Debug {
    /// Begins a flush. Its lines have the timestamp `stamp`, in seconds since 1970.
    fn begin(&mut self, flush: u64, stamp: u64);

    /// Appends the lines of one summary.
    fn encode(&mut self, summary: &Summary<'_>);

    /// Ends the flush. The remaining lines become a chunk.
    fn end(&mut self);

    /// The chunks, from which the caller takes the sealed ones.
    fn chunks(&mut self) -> &mut Chunks;

    /// Returns the points left out since the last call, an entry for each reason.
    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        Vec::new()
    }
}

/// The points that an encoder left out for one reason, because the destination cannot store them.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedPoints {
    pub points: u64,
    pub reason: &'static str,
    /// The name of the first point left out.
    pub example: Vec<u8>,
}

impl RefusedPoints {
    /// Adds `points` points that a series called `name` would have been sent as.
    pub(super) fn add(all: &mut Vec<Self>, reason: &'static str, name: &[u8], points: usize) {
        let points = points as u64;
        match all.iter_mut().find(|refused| refused.reason == reason) {
            Some(refused) => refused.points += points,
            None => all.push(Self { points, reason, example: name.to_vec() }),
        }
    }
}
