//! [`DatagramFilter`]: which datagrams get into the server, and what is counted of them.

use super::dump_messages::log_packet;
use crate::config::Config;
use crate::ingest::InputHandler;
use crate::ledger::OwnCounter;
use crate::sys::batch::Datagram;
use crate::time::Now;
use crate::warnings::PacketLoss;

/// Passes datagrams to the input, after the checks that each new one must pass.
pub(super) struct DatagramFilter<'a, H> {
    pub(super) input: &'a mut H,
    pub(super) last_input: &'a mut Option<Now>,
    pub(super) config: &'a Config,
    pub(super) now: Now,
    /// The bytes of the datagrams that were admitted.
    pub(super) bytes: u64,
}

impl<H: InputHandler> DatagramFilter<'_, H> {
    /// Takes the lines of a datagram, at most about `share` bytes of them. Returns the number of
    /// bytes taken.
    pub(super) fn take(&mut self, datagram: &Datagram<'_>, share: usize) -> usize {
        if datagram.is_rest {
            self.input.ledger().set_sender(datagram.sender);
        } else if !self.admit(datagram) {
            return datagram.bytes.len();
        }
        let taken = self.input.take_lines(datagram.bytes, share);
        if self.config.dump_messages {
            log_packet(&datagram.bytes[..taken]);
        }
        self.bytes += taken as u64;
        taken
    }

    /// Counts a datagram and passes it to the repeaters. Returns `false` if its lines are not to be
    /// read: its sender is not allowed, or it was cut off.
    fn admit(&mut self, datagram: &Datagram<'_>) -> bool {
        let ledger = self.input.ledger();
        if !datagram.sender.is_allowed(&self.config.udp.allow_from) {
            // A sender that is refused gets no record, which would replace that of another one.
            ledger.name_peer(datagram.sender);
            ledger.refuse_packet();
            return false;
        }
        ledger.set_sender(datagram.sender);
        *self.last_input = Some(self.now);
        ledger.count(OwnCounter::PacketsReceived, 1);
        if datagram.truncated {
            ledger.lose_packet(PacketLoss::Datagram);
            return false;
        }
        self.input.repeat_packet(datagram.bytes);
        true
    }
}
