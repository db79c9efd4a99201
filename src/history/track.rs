//! A ring of the last rows of one series or figure.

/// Rows of some values each, one row a flush. Its memory grows with the rows.
#[derive(Debug)]
pub(super) struct Track {
    width: usize,
    /// The values, row after row. Once it has all rows, the oldest one is replaced.
    values: Vec<f32>,
    /// The index of the row that is written next.
    next: usize,
    /// The number of the flush after the newest row.
    end: u32,
}

/// The rows by which a track grows.
const GROWTH: usize = 32;

impl Track {
    pub(super) fn new(width: usize) -> Self {
        Self { width, values: Vec::new(), next: 0, end: 0 }
    }

    /// Adds the row of a flush, and an unknown row for each flush without one. Each track has at
    /// most `rows` rows. Of two rows of a flush, the first stays.
    pub(super) fn push(&mut self, flush: u32, values: &[f32], rows: usize) {
        debug_assert_eq!(values.len(), self.width);
        self.set_limit(rows);
        if self.values.is_empty() {
            self.end = flush;
        }
        let missed = flush.wrapping_sub(self.end) as usize;
        if missed == u32::MAX as usize {
            return; // the flush has a row
        }
        for _ in 0..missed.min(rows) {
            self.push_row(|_| f32::NAN, rows);
        }
        self.push_row(|at| values[at], rows);
        self.end = flush.wrapping_add(1);
    }

    /// Makes the track one of at most `rows` rows. The oldest rows in excess are forgotten.
    fn set_limit(&mut self, rows: usize) {
        let len = self.values.len() / self.width;
        if len == 0 {
            return;
        }
        // In a full track, `next` is the index of the oldest row. Before it is full, `next` is 0 or
        // the number of rows, and the oldest row is the first.
        let oldest = self.next % len;
        if rows == len {
            self.next = oldest; // it is full now, if it was not before
            return;
        }
        if oldest > 0 {
            self.values.rotate_left(oldest * self.width);
            self.next = 0;
        }
        if len > rows {
            self.values.drain(..(len - rows) * self.width);
            self.values.shrink_to_fit();
            self.next = 0;
        }
    }

    fn push_row(&mut self, value: impl Fn(usize) -> f32, rows: usize) {
        let len = self.values.len() / self.width;
        if len < rows {
            if self.values.len() + self.width > self.values.capacity() {
                self.values.reserve_exact(GROWTH.min(rows - len) * self.width);
            }
            self.values.extend((0..self.width).map(value));
            self.next = (len + 1) % rows;
        } else {
            let start = self.next * self.width;
            (0..self.width).for_each(|at| self.values[start + at] = value(at));
            self.next = (self.next + 1) % rows;
        }
    }

    /// The row of a flush. Flushes after the newest row have unknown ones. `None` before the oldest
    /// row.
    pub(super) fn row(&self, flush: u32) -> Option<&[f32]> {
        const UNKNOWN: [f32; 8] = [f32::NAN; 8];
        let len = self.values.len() / self.width;
        let ago = self.end.wrapping_sub(flush) as usize;
        if ago == 0 || ago > u32::MAX as usize / 2 {
            return Some(&UNKNOWN[..self.width]);
        }
        if ago > len {
            return None;
        }
        // Until the ring is full, the rows begin at 0 and `next` is their number or 0.
        let newest = if self.next == 0 { len } else { self.next };
        let at = (newest + len - ago) % len;
        Some(&self.values[at * self.width..][..self.width])
    }

    /// The number of flushes since the newest row.
    pub(super) fn age(&self, flush: u32) -> usize {
        flush.wrapping_sub(self.end) as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use statsd_bench::Random;

    use super::*;

    /// The limit of a track changes as figures come and go. Whatever it was before, the newest rows
    /// are there, in order, and no more than the limit.
    #[test]
    fn a_track_keeps_the_newest_rows_while_its_limit_changes() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut track = Track::new(1);
            let mut model: VecDeque<f32> = VecDeque::new();
            for flush in 0..200_u16 {
                let rows = *random.pick(&[2, 3, 3, 3, 4, 5, 8, 64]);
                let value = f32::from(flush);
                track.push(flush.into(), &[value], rows);
                model.push_back(value);
                let excess = model.len().saturating_sub(rows);
                model.drain(..excess);
                let first = u32::from(flush) + 1 - u32::try_from(model.len()).unwrap();
                let found = (first..=flush.into()).map(|at| track.row(at).map(|row| row[0]));
                assert!(found.eq(model.iter().copied().map(Some)), "seed {seed}, flush {flush}");
                assert_eq!(first.checked_sub(1).and_then(|at| track.row(at)), None);
            }
        }
    }
}
