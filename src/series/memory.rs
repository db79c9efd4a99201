//! [`Pool`]: the bytes that all timing samples and set members may take together, and the spare
//! buffers.

use super::bounds::{Bounds, Exactness, LARGE};
use super::records::SideRecords;

/// Grants memory up to a limit, and keeps emptied sample buffers for the next series that needs
/// one.
///
/// Spare buffers count as used, since their memory is allocated. They are freed before a sample is
/// refused.
#[derive(Debug)]
pub(super) struct Pool {
    limit: usize,
    /// Whether a sweep is in progress.
    is_sweeping: bool,
    used: usize,
    grown: usize,
    refused: usize,
    pub(super) exactness: Exactness,
    spare: Vec<Vec<f64>>,
    spare_bytes: usize,
    /// What series keep beside their intervals. It does not count as memory of samples.
    pub(super) records: SideRecords,
}

/// The spare buffers during one sweep, which takes milliseconds. They are all freed at its end, in
/// one turn of the loop. They are as many as the timings need that get samples between two slices.
const SPARE_BYTES_MAX: usize = 1 << 20;
const SPARE_BUFFERS_MAX: usize = 512;

/// The size of a request for which glibc sorts the blocks that were freed.
const SEARCHED_BYTES: usize = 4096;

const SAMPLE: usize = size_of::<f64>();

/// A new buffer has room for this many samples. glibc gives no less memory for fewer.
const FEW: usize = 3;

/// A buffer with this many samples grows by a quarter instead of to the double. If many timings of
/// a similar size run out of `timer_memory`, fewer of them must then be condensed at a time.
const MANY: usize = 4096;

impl Pool {
    pub(super) fn new(limit: usize, exactness: Exactness) -> Self {
        Self {
            limit,
            is_sweeping: false,
            used: 0,
            grown: 0,
            refused: 0,
            exactness,
            spare: Vec::new(),
            spare_bytes: 0,
            records: SideRecords::default(),
        }
    }

    /// Sets another limit and exactness. Memory already granted stays granted.
    pub(super) fn limit(&mut self, limit: usize, exactness: Exactness) {
        self.limit = limit;
        self.exactness = exactness;
    }

    /// Returns a pool without a limit, for an object whose memory is accounted for once it is
    /// built.
    pub(super) fn unbounded() -> Self {
        Self::new(usize::MAX, Exactness::new(&Bounds::default()))
    }

    /// Notes that a sweep begins. It may use the whole limit.
    pub(super) fn begin_sweep(&mut self) {
        self.is_sweeping = true;
    }

    /// Ends the sweep, and frees every spare buffer.
    pub(super) fn end_sweep(&mut self) {
        self.is_sweeping = false;
        self.drop_spare();
    }

    /// Whether `bytes` more can be granted without condensing the largest series.
    ///
    /// Right after a tick the memory of the previous interval is not freed yet. If that interval
    /// had filled the limit, samples of the next one would be refused until the sweep is done. So a
    /// quarter of the limit is kept free, if possible, while no sweep is in progress.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let most = if self.is_sweeping { self.limit } else { self.limit - self.limit / 4 };
        bytes <= most.saturating_sub(self.used)
    }

    /// Whether nothing follows from the growth of a buffer to `grown` bytes, which is 0 if none
    /// grew. In the first interval most timings grow with each of their first samples.
    #[inline]
    pub(super) fn is_small_growth(&self, grown: usize) -> bool {
        grown == 0 || (grown < LARGE && self.has_room(0))
    }

    /// Returns the size of the buffer that grew, or was handed to a series, since the last call.
    /// Returns 0 if there was none.
    pub(super) fn take_grown(&mut self) -> usize {
        std::mem::take(&mut self.grown)
    }

    /// Returns the number of bytes that were last refused since the last call, or 0.
    pub(super) fn take_refused(&mut self) -> usize {
        std::mem::take(&mut self.refused)
    }

    /// Notes that the current series now holds a buffer of this many bytes.
    pub(super) fn holds(&mut self, bytes: usize) {
        self.grown = bytes;
    }

    /// The bytes in use, spare buffers included.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The bytes that can still be granted, if spare buffers are freed first.
    pub(super) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used - self.spare_bytes)
    }

    /// Takes `bytes` more. Returns false if the limit does not allow them.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        if bytes > self.limit.saturating_sub(self.used) {
            self.drop_spare();
        }
        let granted = bytes <= self.limit.saturating_sub(self.used);
        if granted {
            self.used += bytes;
        } else {
            self.refused = bytes;
        }
        granted
    }

    /// Counts bytes that were allocated in addition to those granted.
    pub(super) fn force(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Takes `to` bytes in exchange for `from` bytes that are freed. Returns false, and changes
    /// nothing, if the limit does not allow the difference.
    #[must_use]
    pub(super) fn exchange(&mut self, from: usize, to: usize) -> bool {
        let granted = to <= from || self.take(to - from);
        if granted && to < from {
            self.give_back(from - to);
        }
        granted
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "given back more than was taken");
        self.used -= bytes;
    }

    /// Returns an empty buffer: a spare one, or a new one without memory.
    pub(super) fn buffer(&mut self) -> Vec<f64> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity() * SAMPLE;
        self.holds(buffer.capacity() * SAMPLE);
        buffer
    }

    /// Makes room for one more sample. Returns false if the limit does not allow it.
    #[must_use]
    pub(super) fn reserve_one(&mut self, buffer: &mut Vec<f64>) -> bool {
        if buffer.len() < buffer.capacity() {
            return true;
        }
        let held = buffer.capacity();
        let most = self.exactness.timer_exact.saturating_sub(held).max(1);
        let more = match held {
            0 => FEW,
            FEW => 8 - FEW,
            MANY.. => held / 4,
            _ => held,
        };
        self.reserve(buffer, more.min(most))
    }

    /// Makes room for `more` samples in a full buffer. Returns false if the limit does not allow
    /// them.
    #[must_use]
    pub(super) fn reserve(&mut self, buffer: &mut Vec<f64>, more: usize) -> bool {
        let granted = self.take(more * SAMPLE);
        if granted {
            let before = buffer.capacity();
            buffer.reserve_exact(more);
            // The allocator may round up; the difference is held too.
            self.used += (buffer.capacity() - before - more) * SAMPLE;
            self.holds(buffer.capacity() * SAMPLE);
        }
        granted
    }

    /// Takes back a buffer whose samples are no longer needed.
    pub(super) fn keep(&mut self, mut buffer: Vec<f64>) {
        buffer.clear();
        let bytes = buffer.capacity() * SAMPLE;
        let room =
            self.spare.len() < SPARE_BUFFERS_MAX && self.spare_bytes + bytes <= SPARE_BYTES_MAX;
        if bytes > 0 && room {
            self.spare_bytes += bytes;
            self.spare.push(buffer);
        } else {
            self.give_back(bytes);
        }
    }

    /// Empties a buffer that stays with its series, and frees the part that this interval did not
    /// need.
    pub(super) fn empty(&mut self, buffer: &mut Vec<f64>) {
        const SMALL: usize = 64;
        let len = buffer.len();
        let before = buffer.capacity();
        buffer.clear();
        if len == 0 {
            // The series may get no more samples, and other series may need the memory.
            *buffer = Vec::new();
        } else if before > SMALL && len < before / 4 {
            buffer.shrink_to(len * 2);
        }
        self.give_back((before - buffer.capacity()) * SAMPLE);
        self.holds(buffer.capacity() * SAMPLE);
    }

    /// Lets the allocator sort the buffers that were freed just before. glibc does this at the next
    /// request that no freed block fits exactly, in one go. After 300,000 timers have fallen idle,
    /// that request would take a third of a second.
    pub(super) fn sort_freed_memory(&self) {
        // No buffer of a few samples is as large, so the allocator must search.
        std::hint::black_box(Vec::<u8>::with_capacity(SEARCHED_BYTES));
    }

    /// Frees every spare buffer.
    fn drop_spare(&mut self) {
        self.used -= self.spare_bytes;
        self.spare_bytes = 0;
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(limit: usize) -> Pool {
        Pool::new(limit, Exactness::new(&Bounds::default()))
    }

    #[test]
    fn growth_is_granted_up_to_the_limit_and_comes_back() {
        let mut pool = pool(64);
        let mut buffer = pool.buffer();
        for _ in 0..8 {
            assert!(pool.reserve_one(&mut buffer));
            buffer.push(1.0);
        }
        assert_eq!(pool.used(), 64);
        assert!(!pool.reserve_one(&mut buffer), "a ninth sample would need 64 bytes more");
        pool.keep(buffer);
        assert_eq!(pool.used(), 64, "a spare buffer is still held");
        assert!(pool.take(64), "and freed for a caller that needs it");
    }

    #[test]
    fn a_buffer_that_was_needed_once_shrinks() {
        let mut pool = pool(1 << 20);
        let mut buffer = pool.buffer();
        for _ in 0..1000 {
            assert!(pool.reserve_one(&mut buffer));
            buffer.push(1.0);
        }
        pool.empty(&mut buffer);
        assert!(buffer.capacity() >= 1000, "it was just needed");
        buffer.push(1.0);
        pool.empty(&mut buffer);
        assert!(buffer.capacity() < 64);
        assert_eq!(pool.used(), buffer.capacity() * SAMPLE);
    }
}
