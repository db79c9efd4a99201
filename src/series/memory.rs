//! The one budget of bytes that all timing samples and set members share, and the buffers waiting to be used again.

/// Grants growth until the limit, and keeps emptied sample buffers for the next series that needs one.
///
/// Spare buffers count as used: they are held. They are given up before anything is refused.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    used: usize,
    spare: Vec<Vec<f64>>,
    spare_bytes: usize,
}

/// What waits to be used again during one sweep, which passes in milliseconds; after it all of it is let go.
const SPARE_BYTES_MAX: usize = 1 << 20;
const SPARE_BUFFERS_MAX: usize = 4096;

const SAMPLE: usize = size_of::<f64>();

impl Pool {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, spare: Vec::new(), spare_bytes: 0 }
    }

    /// Bytes held, spare buffers included.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Takes `bytes` more from the budget; false if they are not to be had.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        if bytes > self.limit.saturating_sub(self.used) {
            self.drop_spare();
        }
        let granted = bytes <= self.limit.saturating_sub(self.used);
        if granted {
            self.used += bytes;
        }
        granted
    }

    /// Counts bytes that were allocated on top of what was granted.
    pub(super) fn force(&mut self, bytes: usize) {
        self.used += bytes;
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "given back more than was taken");
        self.used -= bytes;
    }

    /// An empty buffer: a spare one, or a new one without memory.
    pub(super) fn buffer(&mut self) -> Vec<f64> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity() * SAMPLE;
        buffer
    }

    /// Makes room for one more sample; false if the budget has none.
    #[must_use]
    pub(super) fn reserve_one(&mut self, buffer: &mut Vec<f64>) -> bool {
        if buffer.len() < buffer.capacity() {
            return true;
        }
        let more = buffer.capacity().max(4);
        let granted = self.take(more * SAMPLE);
        if granted {
            let before = buffer.capacity();
            buffer.reserve_exact(more);
            // The allocator may round up; the difference is held too.
            self.used += (buffer.capacity() - before - more) * SAMPLE;
        }
        granted
    }

    /// Takes a buffer back whose samples are done with.
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

    /// Empties a buffer that stays with its series, giving up what this interval did not need.
    pub(super) fn empty(&mut self, buffer: &mut Vec<f64>) {
        const SMALL: usize = 64;
        let (len, before) = (buffer.len(), buffer.capacity());
        buffer.clear();
        if before > SMALL && len < before / 4 {
            buffer.shrink_to(len * 2);
        }
        self.give_back((before - buffer.capacity()) * SAMPLE);
    }

    /// Lets go of every spare buffer.
    pub(super) fn drop_spare(&mut self) {
        self.used -= self.spare_bytes;
        self.spare_bytes = 0;
        self.spare = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_granted_up_to_the_limit_and_comes_back() {
        let mut pool = Pool::new(64);
        let mut buffer = pool.buffer();
        for _ in 0..8 {
            assert!(pool.reserve_one(&mut buffer));
            buffer.push(1.0);
        }
        assert_eq!(pool.used(), 64);
        assert!(!pool.reserve_one(&mut buffer), "a ninth sample would need 64 bytes more");
        pool.keep(buffer);
        assert_eq!(pool.used(), 64, "a spare buffer is still held");
        assert!(pool.take(64), "and given up for one who needs it");
    }

    #[test]
    fn a_buffer_that_was_needed_once_shrinks() {
        let mut pool = Pool::new(1 << 20);
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
