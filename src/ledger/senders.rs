//! The senders: what each of them has sent since the server first received from it.
//!
//! Nothing is counted for a line. The ledger has totals of all input, and what a sender has sent is
//! the difference between two readings of them:
//!
//! ```text
//!  change(a) ──── packets and lines of a ──── change(b)
//!     │ totals                                   │ totals
//!     └────────────── difference ────────────────┘ added to the record of a
//! ```
//! Senders choose their addresses, so the number of records is bounded. A sender that no longer has
//! a record is summed in [`OtherSenders`].

use ahash::RandomState;
use arrayvec::ArrayVec;
use hashbrown::HashTable;

use super::client_reports::{ClientReports, ReportField, ReportedPackets};
use crate::few::sort_few;
use crate::protocol::Reject;
use crate::sender::Sender;
use crate::series::AddError;
use crate::time::UnixTime;

/// The most senders with a record.
pub const SENDERS_MAX: usize = 512;

/// A record that received nothing for this long makes room first, however much it holds.
const LONG_AGO_MILLIS: u64 = 10 * 60 * 1000;

/// The number of records that are chosen at once to make room. Choosing one takes a scan of all
/// records, so a flood of forged addresses must not cause it for every packet.
const VICTIMS: usize = 64;

/// The number of bits of a sender's number that are the index of its record. The other bits differ
/// from those of earlier senders that had the same record.
const SLOT_BITS: u32 = SENDERS_MAX.trailing_zeros();
const GENERATIONS: u16 = u16::MAX >> SLOT_BITS;

/// The bytes that are stored of a line whose value was dropped.
const REFUSED_BYTES_MAX: usize = 200;

/// One more than the last reason.
const REASONS: usize = Reject::NotFinite as usize + 1;

/// The totals of all input, as the ledger counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InputTotals {
    pub(super) packets: u64,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) series_created: u64,
    pub(super) values_refused: u64,
}

impl InputTotals {
    /// Returns how much was added since `before`.
    fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            lines: self.lines - before.lines,
            bytes: self.bytes - before.bytes,
            series_created: self.series_created - before.series_created,
            values_refused: self.values_refused - before.values_refused,
        }
    }
}

/// What one sender has sent.
#[derive(Clone, Debug)]
pub struct SenderRecord {
    /// The sender, without its port.
    pub sender: Sender,
    /// Datagrams. A stream has none.
    pub packets: u64,
    /// Lines and binary messages that were not empty.
    pub lines: u64,
    /// Bytes that were read as lines.
    pub bytes: u64,
    /// Refused lines and values.
    pub bad_lines: u64,
    /// The reason of most of them.
    pub commonest_reason: Option<Reject>,
    pub series_created: u64,
    /// Valid values that a rule, a limit or a lack of memory has dropped.
    pub values_refused: u64,
    /// Why one of the last of these was dropped, and the start of its line.
    pub refusal: Option<(AddError, Box<[u8]>)>,
    pub first_seen: UnixTime,
    pub last_seen: UnixTime,
    /// What Datadog's clients of this sender report about themselves.
    pub reported: Option<ReportedPackets>,
    reasons: [u32; REASONS],
    /// The refusals until the next one is stored.
    until_refusal: u8,
    reports: ClientReports,
    /// The number of this sender, as [`Senders::current_id`] returns it.
    pub id: u16,
}

/// The sum of all senders without a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherSenders {
    /// How many they are. A sender that lost its record twice counts twice.
    pub senders: u64,
    pub packets: u64,
    pub lines: u64,
    pub bytes: u64,
    pub bad_lines: u64,
    pub series_created: u64,
    pub values_refused: u64,
}

/// All senders, and the one whose bytes are being read.
#[derive(Debug)]
pub struct Senders {
    records: Vec<SenderRecord>,
    /// The index of the record of each sender.
    index: HashTable<u16>,
    hasher: RandomState,
    others: OtherSenders,
    /// The numbers of the records that make room next, the first one last, and their lines when
    /// they were chosen. A record that has received something since then stays.
    victims: Vec<(u16, u64)>,
    /// The present sender, with its port.
    current: Sender,
    /// Its record. `None` if it is unknown.
    slot: Option<usize>,
    /// Whether it has sent a datagram since it is the present one. Otherwise it is a stream.
    sends_packets: bool,
    /// The totals when they were last added to a record.
    mark: InputTotals,
    now: UnixTime,
}

impl Senders {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            records: Vec::new(),
            index: HashTable::new(),
            hasher,
            others: OtherSenders::default(),
            victims: Vec::new(),
            current: Sender::Unknown,
            slot: None,
            sends_packets: false,
            mark: InputTotals::default(),
            now: UnixTime::default(),
        }
    }

    /// Returns the sender whose bytes are being read, with its port.
    pub fn current(&self) -> Sender {
        self.current
    }

    /// Returns the number of the present sender, or 0 if it is unknown. No two senders with a
    /// record have the same number at a time.
    pub fn current_id(&self) -> u16 {
        self.slot.map_or(0, |slot| self.records[slot].id)
    }

    /// Returns the sender with this number. Returns `None` if it is unknown, or has lost its
    /// record.
    ///
    /// The numbers are few. After a record has been given away 127 times, its next sender gets the
    /// number that the first one had.
    pub fn by_id(&self, id: u16) -> Option<&SenderRecord> {
        self.records.get(slot_of(id)).filter(|record| record.id == id)
    }

    /// Returns the `most` records with the largest figure, the largest first.
    pub fn largest(&self, most: usize, figure: fn(&SenderRecord) -> u64) -> Vec<&SenderRecord> {
        let mut all: Vec<&SenderRecord> = self.records.iter().collect();
        sort_few(&mut all, |a, b| figure(b).cmp(&figure(a)).then(a.sender.cmp(&b.sender)));
        all.truncate(most);
        all
    }

    /// Returns the sum of the senders without a record.
    pub fn others(&self) -> OtherSenders {
        self.others
    }

    /// Whether bytes of `sender` were read last, so that [`change`](Self::change) is not needed.
    #[inline]
    pub(super) fn is_current(&self, sender: Sender) -> bool {
        self.current == sender
    }

    /// Changes the present sender. `totals` are those of now.
    pub(super) fn change(&mut self, sender: Sender, totals: InputTotals) {
        let host = sender.without_port();
        let same = self.slot.filter(|slot| self.records[*slot].sender == host);
        if let Some(slot) = same
            && self.records[slot].reports.is_empty()
        {
            // Only the reports of clients are compared with the packets of one port.
            self.current = sender;
            self.sends_packets = false;
            return;
        }
        self.add_up(totals);
        self.current = sender;
        self.sends_packets = false;
        self.slot = match host {
            Sender::Unknown => None,
            _ => Some(same.unwrap_or_else(|| self.find_or_create(host))),
        };
    }

    /// Sets the time of a turn. What was received before it belongs to the turn before.
    pub(super) fn set_now(&mut self, now: UnixTime, totals: InputTotals) {
        self.add_up(totals);
        self.now = now;
    }

    pub(super) fn now(&self) -> UnixTime {
        self.now
    }

    /// Forgets what was counted since the last change: it came from a state file, and no sender has
    /// sent it to this process.
    pub(super) fn skip(&mut self, totals: InputTotals) {
        self.mark = totals;
    }

    /// Adds what was received since the last call to the record of the present sender.
    pub(super) fn add_up(&mut self, totals: InputTotals) {
        let more = totals.since(self.mark);
        self.mark = totals;
        if more == InputTotals::default() {
            return;
        }
        self.sends_packets |= more.packets > 0;
        match self.slot {
            Some(slot) => self.records[slot].add(more, self.current.port(), self.now),
            None => self.others.add(more),
        }
    }

    /// Counts a refused line or value of the present sender.
    pub(super) fn bad_line(&mut self, reject: Reject) {
        match self.slot {
            Some(slot) => self.records[slot].bad_line(reject),
            None => self.others.bad_lines += 1,
        }
    }

    /// Notes why a valid value of the present sender was dropped. Only one of 256 is stored, since
    /// a rule may drop most lines.
    #[inline]
    pub(super) fn refused(&mut self, error: AddError, line: &[u8]) {
        let Some(slot) = self.slot else { return };
        let record = &mut self.records[slot];
        if record.until_refusal == 0 {
            record.refusal = Some((error, line[..line.len().min(REFUSED_BYTES_MAX)].into()));
        }
        record.until_refusal = record.until_refusal.wrapping_sub(1);
    }

    /// Adds what a Datadog client of the present sender reports about itself.
    pub(super) fn report(&mut self, field: ReportField, value: u64, totals: InputTotals) {
        self.add_up(totals);
        if let Some(slot) = self.slot {
            let record = &mut self.records[slot];
            let may_lose = self.sends_packets && matches!(record.sender, Sender::Internet(_));
            record.reports.add(field, value, self.current.port(), may_lose);
            record.reported = record.reports.sum();
        }
    }

    /// Returns the record of a sender, which gets a new one if it has none.
    fn find_or_create(&mut self, host: Sender) -> usize {
        let Self { records, index, hasher, .. } = self;
        let hash = hasher.hash_one(host);
        if let Some(&slot) = index.find(hash, |slot| records[usize::from(*slot)].sender == host) {
            return usize::from(slot);
        }
        self.create(host, hash)
    }

    #[cold]
    fn create(&mut self, host: Sender, hash: u64) -> usize {
        let slot = if self.records.len() < SENDERS_MAX {
            self.records.push(SenderRecord::new(host, self.now, 0));
            self.records.len() - 1
        } else {
            self.make_room()
        };
        let generation = (self.records[slot].id >> SLOT_BITS) % GENERATIONS + 1;
        #[allow(clippy::cast_possible_truncation)] // below SENDERS_MAX
        let at = slot as u16;
        self.records[slot] = SenderRecord::new(host, self.now, generation << SLOT_BITS | at);
        let Self { records, index, hasher, .. } = self;
        index.insert_unique(hash, at, |slot| hasher.hash_one(records[usize::from(*slot)].sender));
        slot
    }

    /// Moves the record that is needed least to the others. Returns its index.
    fn make_room(&mut self) -> usize {
        let slot = loop {
            if self.victims.is_empty() {
                self.choose_victims();
            }
            let Some((id, lines)) = self.victims.pop() else { break 0 };
            let slot = slot_of(id);
            if self.records[slot].id == id && self.records[slot].lines == lines {
                break slot;
            }
        };
        let Self { records, index, hasher, others, .. } = self;
        let record = &records[slot];
        others.add_sender(record);
        let hash = hasher.hash_one(record.sender);
        if let Ok(entry) = index.find_entry(hash, |at| usize::from(*at) == slot) {
            entry.remove();
        }
        slot
    }

    /// Chooses the records that make room next: first those that received nothing for long, then
    /// those with the fewest lines. So a flood of forged addresses replaces its own records.
    fn choose_victims(&mut self) {
        let now = self.now.as_millis();
        let need = |record: &SenderRecord| {
            let last = record.last_seen.as_millis();
            let is_recent = now.saturating_sub(last) < LONG_AGO_MILLIS;
            (is_recent, if is_recent { record.lines } else { 0 }, last)
        };
        let mut chosen: ArrayVec<_, VICTIMS> = ArrayVec::new();
        for record in &self.records {
            let new = (need(record), record.id, record.lines);
            if chosen.is_full() {
                if chosen.last().is_some_and(|most| *most <= new) {
                    continue;
                }
                chosen.pop();
            }
            chosen.insert(chosen.partition_point(|other| *other < new), new);
        }
        self.victims.extend(chosen.iter().rev().map(|(_, id, lines)| (*id, *lines)));
    }
}

impl Default for Senders {
    fn default() -> Self {
        Self::new(RandomState::with_seeds(1, 2, 3, 4))
    }
}

impl SenderRecord {
    fn new(sender: Sender, now: UnixTime, id: u16) -> Self {
        Self {
            sender,
            packets: 0,
            lines: 0,
            bytes: 0,
            bad_lines: 0,
            commonest_reason: None,
            series_created: 0,
            values_refused: 0,
            refusal: None,
            first_seen: now,
            last_seen: now,
            reported: None,
            reasons: [0; REASONS],
            until_refusal: 0,
            reports: ClientReports::default(),
            id,
        }
    }

    fn add(&mut self, more: InputTotals, port: u16, now: UnixTime) {
        self.packets += more.packets;
        self.lines += more.lines;
        self.bytes += more.bytes;
        self.series_created += more.series_created;
        self.values_refused += more.values_refused;
        self.last_seen = now;
        if !self.reports.is_empty() {
            self.reports.note_packets(port, more.packets);
        }
    }

    fn bad_line(&mut self, reject: Reject) {
        self.bad_lines += 1;
        let count = &mut self.reasons[reject as usize];
        *count = count.saturating_add(1);
        let count = *count;
        if self.commonest_reason.is_none_or(|most| self.reasons[most as usize] < count) {
            self.commonest_reason = Some(reject);
        }
    }
}

impl OtherSenders {
    fn add(&mut self, more: InputTotals) {
        self.packets += more.packets;
        self.lines += more.lines;
        self.bytes += more.bytes;
        self.series_created += more.series_created;
        self.values_refused += more.values_refused;
    }

    /// Adds a sender that is not shown by itself.
    pub fn add_sender(&mut self, record: &SenderRecord) {
        self.senders += 1;
        self.bad_lines += record.bad_lines;
        self.add(InputTotals {
            packets: record.packets,
            lines: record.lines,
            bytes: record.bytes,
            series_created: record.series_created,
            values_refused: record.values_refused,
        });
    }
}

/// Returns the index of the record that a number stands for.
fn slot_of(id: u16) -> usize {
    usize::from(id) % SENDERS_MAX
}

#[cfg(test)]
mod tests;
