//! Chunks that the peer will not have, or that have become worthless.

use std::rc::Rc;

use super::Outbox;
use crate::encode::chunk::Chunk;

impl Outbox {
    /// The oldest chunk in flight, which is written whole and acknowledged in no part, is not wanted: it is dropped, counted,
    /// and returned. None if there is no such chunk.
    pub fn refuse_in_flight(&mut self) -> Option<Rc<Chunk>> {
        if self.delivered == self.cursor || self.settled > 0 {
            return None;
        }
        let item = self.finish(self.delivered);
        self.in_flight -= item.chunk.len();
        self.tally.give_up(&item);
        Some(item.chunk)
    }

    /// So many bytes of the head, of so many lines, cannot be sent and are passed over, counted.
    pub fn pass_over(&mut self, bytes: usize, lines: u64) {
        self.wrote(bytes);
        self.tally.dropped_lines += lines;
        self.tally.twice_lines += lines; // its chunk will count as delivered, too
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Resend;
    use crate::encode::chunk::Chunk;
    use crate::sink::outbox::Outbox;

    #[test]
    fn what_is_refused_is_dropped_and_what_follows_is_not() {
        let mut outbox = Outbox::new(1 << 20, Resend::Unacked, 1);
        for (flush, text) in [(1, "a 1\nb 1\n"), (2, "c 1\n")] {
            let lines = u32::try_from(text.lines().count()).unwrap();
            outbox.push(Chunk::new(text.into(), lines, flush));
        }
        outbox.close(2);
        assert_eq!(outbox.refuse_in_flight(), None, "nothing is written");
        outbox.wrote(8);
        let refused = outbox.refuse_in_flight().unwrap();
        assert_eq!(refused.bytes(), b"a 1\nb 1\n");
        assert_eq!((outbox.tally().dropped_lines, outbox.unacked_bytes()), (2, 0));
        assert_eq!((outbox.queued_bytes(), outbox.newest_whole_flush()), (4, 1));
        assert_eq!(outbox.head(), Some(&b"c 1\n"[..]));
        outbox.wrote(4);
        assert!(outbox.acknowledged(0) && outbox.is_drained());
        assert_eq!(outbox.tally().delivered_lines, 1);
    }
}
