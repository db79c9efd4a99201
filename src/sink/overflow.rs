//! What a sink does with more than its queue holds: the spool, if it has one, and what the log says of it.

use std::time::Duration;

use super::Sink;
use super::spool::{News, Spool};

/// Since something did not fit, until all is delivered: lines that had gone before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overflow {
    dropped_lines: u64,
    displaced_lines: u64,
    spooled_lines: u64,
}

/// The removal of a closed destination's data, until all of it is in the spool or given up.
#[derive(Debug)]
pub(super) struct Parking {
    before: Overflow,
    /// Bytes that were not delivered.
    bytes: usize,
    /// Lines that were not delivered and are not kept either.
    lost_lines: u64,
    has_delivered: bool,
}

impl Sink {
    /// What does not fit the queue goes to this spool. What it holds from an earlier run is sent as well.
    pub fn attach(&mut self, spool: Spool) {
        let (bytes, place) = (spool.waiting_bytes(), spool.location());
        if bytes > 0 {
            log::info!("sink={} spool={place:?} found_bytes={bytes}", self.name);
        }
        self.outbox.attach(spool);
        self.log_news();
    }

    /// What its spool may take from now on, if it has one.
    pub fn limit_spool(&mut self, max_bytes: u64) {
        self.outbox.spool_mut().into_iter().for_each(|spool| spool.limit(max_bytes));
    }

    /// The longest call to the spool's disk since this was last asked.
    pub fn take_disk_stall(&mut self) -> Duration {
        self.outbox.spool_mut().map_or(Duration::ZERO, Spool::take_stall)
    }

    /// Does a turn's share of the work that changed settings or the age of retained chunks have
    /// left.
    pub(super) fn tidy(&mut self) -> bool {
        let before = self.overflown();
        let more = self.outbox.tidy();
        self.note_overflow(before);
        more
    }

    /// Moves undelivered data to the spool when the time for a stop is over, and waits for the
    /// disk. Without a spool the data is lost.
    pub fn park(&mut self) {
        self.begin_parking();
        while !self.park_some() {}
        let Some(parking) = self.parking.take() else { return };
        let synced = self.outbox.spool_mut().map_or(Ok(()), Spool::sync);
        if let Err(error) = synced {
            log::error!(
                "sink={} spool=unsynced error={:?} reason=\"a power cut may lose the chunks in the spool\"",
                self.name,
                error.to_string()
            );
        }
        self.log_news();
        self.log_parked(&parking);
    }

    /// Does a turn's share of removing the data of a destination that is no longer configured.
    /// Returns whether that was the last share.
    pub fn part(&mut self) -> bool {
        self.begin_parking();
        if !self.park_some() {
            return false;
        }
        self.log_news();
        if let Some(parking) = self.parking.take() {
            match parking.has_delivered {
                true => log::info!("sink={} state=gone", self.name),
                false => self.log_parked(&parking),
            }
        }
        true
    }

    fn begin_parking(&mut self) {
        if self.parking.is_none() {
            self.outlet.abandon(&mut self.outbox);
            self.parking = Some(Parking {
                before: self.overflown(),
                bytes: self.outbox.queued_bytes(),
                lost_lines: 0,
                has_delivered: self.outbox.is_drained(),
            });
            self.outbox.begin_spill();
        }
    }

    /// Moves a turn's share to the spool. Returns whether all of it is moved.
    fn park_some(&mut self) -> bool {
        let lost = self.outbox.spill_some();
        self.log_news();
        if let Some(parking) = &mut self.parking {
            parking.lost_lines += lost;
        }
        self.outbox.is_empty()
    }

    fn log_parked(&self, parking: &Parking) {
        let now = self.overflown();
        let spooled = now.spooled_lines - parking.before.spooled_lines;
        // These include lines spooled earlier, if their files were removed.
        let missing = now.dropped_lines - parking.before.dropped_lines;
        let (bytes, lost) = (parking.bytes, parking.lost_lines.max(missing));
        let (name, reason) = (&self.name, "not delivered when the time was over");
        match self.outbox.spool() {
            Some(_) if lost > 0 => log::warn!(
                "sink={name} state=parked spooled_lines={spooled} lost_lines={lost} reason={reason:?} hint=\"the spool could not keep all lines; the log lines before this one say why\""
            ),
            Some(_) if parking.has_delivered => {}
            Some(_) => {
                log::info!("sink={name} state=parked spooled_lines={spooled} reason={reason:?}")
            }
            None if parking.has_delivered => {}
            None => log::warn!(
                "sink={name} state=abandoned lost_lines={lost} lost_bytes={bytes} reason={reason:?} hint=\"[spool] dir keeps it for the next start\""
            ),
        }
    }

    pub(super) fn overflown(&self) -> Overflow {
        let spooled_lines = self.outbox.spool().map_or(0, |spool| spool.tally().saved_lines);
        let tally = self.outbox.tally();
        let (dropped_lines, displaced_lines) = (tally.dropped_lines, tally.displaced_lines);
        Overflow { dropped_lines, displaced_lines, spooled_lines }
    }

    /// Logs that chunks have begun to go, to the spool or for good.
    pub(super) fn note_overflow(&mut self, before: Overflow) {
        self.log_news();
        let displaced = self.overflown().displaced_lines > before.displaced_lines;
        if displaced && !std::mem::replace(&mut self.is_short, true) {
            log::warn!(
                "sink={} queue=short held_bytes={} reason=\"delivered flushes that resend_keep asks for make way\" hint=\"raise its queue\"",
                self.name,
                self.outbox.held_bytes()
            );
        }
        let now = self.overflown();
        let (dropped, spooled) =
            (now.dropped_lines > before.dropped_lines, now.spooled_lines > before.spooled_lines);
        if self.overflow.is_some() || !(dropped || spooled) {
            return;
        }
        self.overflow = Some(before);
        let (name, held) = (&self.name, self.outbox.held_bytes());
        match self.outbox.spool() {
            Some(spool) => {
                log::info!("sink={name} queue=full held_bytes={held} spool={:?}", spool.location())
            }
            None => log::warn!(
                "sink={name} queue=full held_bytes={held} dropping=oldest hint=\"[spool] dir keeps what does not fit\""
            ),
        }
    }

    /// Logs that an overflow is over.
    pub(super) fn note_drained(&mut self) {
        if self.overflow.is_none() || !self.outbox.is_drained() || self.outbox.has_spooled() {
            return;
        }
        let Some(before) = self.overflow.take() else { return };
        let now = self.overflown();
        log::info!(
            "sink={} queue=drained spooled_lines={} dropped_lines={}",
            self.name,
            now.spooled_lines - before.spooled_lines,
            now.dropped_lines - before.dropped_lines,
        );
    }

    /// Says what has happened to the spool, in the order in which it did.
    pub(super) fn log_news(&mut self) {
        let Some(spool) = self.outbox.spool_mut() else { return };
        let news = spool.take_news();
        if news.is_empty() {
            return;
        }
        let place = format!("sink={} spool={:?}", self.name, spool.location());
        for event in news {
            match event {
                News::Full => log::warn!(
                    "{place} state=full dropping=oldest hint=\"raise [spool] max_size, or free the disk\""
                ),
                News::Damaged { segment, at, bytes } => log::warn!(
                    "{place} file={segment:016x}.chunks damaged_at={at} cut_bytes={bytes} reason=\"torn by a crash, or the disk lies\""
                ),
                News::Missing { segments, bytes, lines } => log::error!(
                    "{place} state=missing files={segments} bytes={bytes} dropped_lines={lines} reason=\"another process removed them\" hint=\"the server goes on with new files; do not remove files of its spool\""
                ),
                News::Foreign { segment } => log::error!(
                    "{place} file={segment:016x}.chunks state=set_aside reason=\"not of this version and format\""
                ),
                News::Failing { what, reason } => log::error!(
                    "{place} state=failing doing={what} error={reason:?} hint=\"until it works again what does not fit the queue is dropped\""
                ),
            }
        }
    }
}
