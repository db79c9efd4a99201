//! For outlets that give chunks up, or deal with all of a flush at once.

use super::Outbox;

impl Outbox {
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
