//! For outlets that give chunks up, or deal with all of a flush at once.

use super::Outbox;

impl Outbox {
    /// The flush of the chunk that is to be written next.
    pub fn head_flush(&self) -> Option<u64> {
        self.items.get(self.cursor).map(|item| item.chunk.flush())
    }

    /// The newest flush that no chunk will be added to.
    pub fn closed(&self) -> u64 {
        self.retention.closed()
    }

    /// The rest of the head has arrived, though nothing of it was written: whoever is sent it has had enough.
    pub fn pass_head(&mut self) {
        let Some(head) = self.items.get(self.cursor) else { return };
        self.in_flight += head.chunk.len() - self.offset;
        self.cursor += 1;
        self.offset = 0;
        self.acknowledged(0);
    }

    /// So many lines that had arrived came to nothing, or who knows.
    pub fn doubt(&mut self, lines: u64) {
        self.tally.in_doubt += lines;
        self.tally.twice_lines += lines;
    }

    /// Drops the head, counted, if nothing of it is written on this connection. False if there is no such head.
    pub fn give_up_head(&mut self) -> bool {
        if self.offset > 0 || self.cursor == self.items.len() {
            return false;
        }
        let item = self.finish(self.cursor);
        self.tally.give_up(&item);
        true
    }
}
