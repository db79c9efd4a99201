//! The state that is kept over restarts. The gauges are saved at each `state_interval`, and the
//! open interval at a stop. The next start takes them over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::engine::{Engine, Restored};
use crate::files::Stall;
use crate::ingest::datagrams::DropsSeen;
use crate::series::Cursor;
use crate::server::open_interval::OpenInterval;
use crate::server::reactor::Reactor;
use crate::server::server_error::ServerError;
use crate::state::{self, Durability, SavedState, StateFile, StateHead, StateWriter};
use crate::time::Now;
use crate::wire::{In, Put, RecordKind};

/// Where the state is kept, and a save of the gauges that is under way.
#[derive(Debug)]
pub(in crate::server) struct StateSaver {
    path: PathBuf,
    /// `None` if it cannot be used now. Each save tries again, since its folder or its disk may
    /// have become writable.
    file: Option<StateFile>,
    saving: Option<GaugeSave>,
    /// The longest call to the disk since the last flush.
    stall: Duration,
    /// The last save failed. Only the first failure in a row is logged.
    is_failing: bool,
}

/// A save of the gauges that is under way.
#[derive(Debug)]
struct GaugeSave {
    writing: StateWriter,
    cursor: Cursor,
    /// The number of flushes at the last slice.
    flushes: u64,
    buffer: Vec<u8>,
}

/// What a slice may take of a turn.
const SLICE: Duration = Duration::from_millis(1);
/// Series that are read between two readings of the clock.
const STEP: usize = 256;
/// Bytes that are collected before they are written.
const PIECE: usize = 64 << 10;

impl StateSaver {
    /// Returns `None` if the configuration names no file. `file` is what [`open`] returned for it.
    pub(in crate::server) fn new(config: &config::State, file: Option<StateFile>) -> Option<Self> {
        let path = config.file.clone()?;
        Some(Self { path, file, saving: None, stall: Duration::ZERO, is_failing: false })
    }

    /// Continues with the same file, which another configuration may name differently.
    pub(in crate::server) fn rename(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Whether the open file is the one at this path.
    pub(in crate::server) fn is_at(&self, path: &Path) -> bool {
        self.file.as_ref().is_some_and(|file| file.is_at(path))
    }

    /// Returns the longest call to the disk since the last time.
    pub(in crate::server) fn take_stall(&mut self) -> Duration {
        let current =
            self.saving.as_mut().map_or(Duration::ZERO, |saving| saving.writing.take_stall());
        std::mem::take(&mut self.stall).max(current)
    }

    /// Begins a new file at the place of the state file.
    fn start_writing(&mut self, head: &StateHead) -> io::Result<StateWriter> {
        // A lock whose file was removed excludes no other server. Take it again, or fail if another
        // server holds it by now.
        let mut stall = Stall::default();
        let opened = match self.file.take().filter(StateFile::is_locked) {
            Some(file) => Ok(file),
            None => stall.time(|| StateFile::open(&self.path)),
        };
        let started = opened.and_then(|file| {
            let path = self.file.insert(file).path();
            stall.time(|| StateWriter::start(path, head))
        });
        self.stall = self.stall.max(stall.take());
        started
    }

    /// Whether a save of the gauges is under way.
    pub(in crate::server) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Begins to save the gauges. A save that is under way goes on. If it were restarted each time,
    /// it would never end where `interval` is shorter than a save takes.
    ///
    /// `members` is the key of the hashes of set members, which the next run needs.
    pub(in crate::server) fn begin(&mut self, open: OpenInterval, members: [u64; 2]) {
        if self.is_saving() {
            return;
        }
        match self.start_writing(&head(false, open, members)) {
            Ok(writing) => {
                let cursor = Cursor::default();
                self.saving = Some(GaugeSave { writing, cursor, flushes: 0, buffer: Vec::new() });
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Ends a save of the gauges that is under way. Unless it is complete, the file of the save
    /// before stays.
    pub(in crate::server) fn end_save(&mut self) {
        if let Some(mut saving) = self.saving.take() {
            self.stall = self.stall.max(saving.writing.take_stall());
        }
    }

    /// Does a slice of a save of the gauges, unless a sweep is under way, which goes first.
    pub(in crate::server) fn step<C: Clock>(&mut self, engine: &Engine, reactor: &mut Reactor<C>) {
        let Some(saving) = self.saving.as_mut().filter(|_| !engine.is_sweeping()) else { return };
        // A sweep may have moved series of this shard to positions before the cursor. A gauge that
        // is saved twice is restored twice, which does no harm.
        if saving.flushes != engine.flushes() {
            saving.flushes = engine.flushes();
            saving.cursor.restart_shard();
        }
        let end = reactor.clock().tick() + SLICE;
        let mut done = false;
        while !done && reactor.clock().tick() < end {
            done = engine.save_gauges(&mut saving.cursor, STEP, &mut saving.buffer);
            let enough = done || saving.buffer.len() >= PIECE;
            let written = if enough { saving.writing.put(&mut saving.buffer) } else { Ok(()) };
            if let Err(error) = written {
                return self.fail(&error);
            }
        }
        if done {
            self.finish();
        } else {
            reactor.turn_again();
        }
    }

    /// Ends a save whose gauges are all written: the new file replaces the old one.
    fn finish(&mut self) {
        let Some(saving) = &mut self.saving else { return };
        match saving.writing.finish(Durability::Buffered) {
            Ok(()) => {
                self.end_save();
                if std::mem::take(&mut self.is_failing) {
                    log::info!(
                        state = "saved_again",
                        state_file:% = self.path.display();
                        "the state can be saved again"
                    );
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Saves all of the open interval, and waits for the disk. Returns `true` if the interval is
    /// safe, so that it need not be closed early. `members` is the same as in
    /// [`begin`](Self::begin).
    pub(in crate::server) fn save_open_interval(
        &mut self,
        engine: &Engine,
        open: OpenInterval,
        members: [u64; 2],
        seen: &[DropsSeen],
    ) -> bool {
        match self.save_all(engine, &head(true, open, members), seen) {
            Ok(()) => {
                log::info!(state = "saved", series = engine.table().len(); "the open interval is saved");
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Writes the drop counters and all records of the engine to a new file, which replaces the old
    /// one.
    fn save_all(
        &mut self,
        engine: &Engine,
        head: &StateHead,
        seen: &[DropsSeen],
    ) -> io::Result<()> {
        self.end_save();
        let mut writing = self.start_writing(head)?;
        writing.put(&mut encode_drops(seen))?;
        let mut rest =
            engine.save(|bytes| if bytes.len() < PIECE { Ok(()) } else { writing.put(bytes) })?;
        writing.put(&mut rest)?;
        writing.finish(Durability::Stored)
    }

    /// Abandons the save. Logs the first failure in a row.
    fn fail(&mut self, error: &io::Error) {
        self.end_save();
        if !std::mem::replace(&mut self.is_failing, true) {
            log::error!(
                state = "unsaved",
                state_file:% = self.path.display(),
                error:%,
                hint = "the server tries again at the next save; free the disk, or change [statsd] state_file";
                "the state could not be saved"
            );
        }
    }
}

fn head(whole: bool, open: OpenInterval, members: [u64; 2]) -> StateHead {
    let OpenInterval { start, end, next_length } = open;
    StateHead { whole, start, end, interval: next_length, members }
}

/// Whether the interval of a saved state is over, so that it must end at once.
pub(in crate::server) fn is_interval_over(found: &SavedState, now: Now) -> bool {
    !found.gauges_only && !is_open(&found.head, now)
}

/// Logs what was restored of a saved state.
pub(in crate::server) fn log_restored(found: &SavedState, restored: &Restored, is_over: bool) {
    log::info!(
        state = "restored",
        gauges_only = found.gauges_only,
        series = restored.series,
        refused = restored.refused,
        dropped = restored.dropped,
        interval_over = is_over,
        stamp = found.head.end.as_secs();
        "the state of the run before is restored"
    );
    if restored.refused > 0 {
        log::warn!(
            state = "refused",
            refused = restored.refused,
            events_not_restored = restored.refused_events,
            hint = "raise [limits] max_memory, or the limit that info limits shows as full";
            "series of the run before were not restored"
        );
    }
    if restored.not_added > 0 {
        log::warn!(
            state = "not_added",
            series = restored.not_added,
            events_not_restored = restored.not_added_events,
            hint = "change rules that make one series of several by a reload, which loses no values";
            "estimates of timers or sets that rules make one series cannot be added, so one of them is restored"
        );
    }
    if restored.damaged {
        log::error!(
            state = "damaged",
            reason = "a record makes no sense",
            hint = "the records before it were restored, the rest is lost; check the disk of [statsd] state_file";
            "the state of the run before is incomplete"
        );
    }
}

/// Renames the file of a restored state, so that no later start restores it again.
pub(in crate::server) fn mark_restored(found: &SavedState) {
    if let Err(error) = found.mark_restored() {
        log::error!(
            state = "not_renamed",
            error:%,
            hint = "remove [statsd] state_file before the next start, or its counts are sent again";
            "the state file could not be renamed after it was read"
        );
    }
}

/// Returns the records with the drop counters of sockets that were passed in.
fn encode_drops(seen: &[DropsSeen]) -> Vec<u8> {
    let mut out = Vec::new();
    for seen in seen {
        out.put_record(|out| {
            out.put_u8(RecordKind::DROPS);
            out.put_u64(seen.cookie);
            out.put_u32(seen.drops);
        });
    }
    out
}

/// Returns the drop counters that the run before has saved.
pub(in crate::server) fn decode_drops(found: &SavedState) -> Vec<DropsSeen> {
    let mut records = found.records();
    let of_drops = |mut record: In<'_>| {
        (record.u8()? == RecordKind::DROPS).then_some(())?;
        Some(DropsSeen { cookie: record.u64()?, drops: record.u32()? })
    };
    std::iter::from_fn(|| records.record()).map_while(of_drops).collect()
}

/// Whether a saved interval goes on. An interval that ends later than its own length from now was
/// saved by another clock.
fn is_open(head: &StateHead, now: Now) -> bool {
    let left = head.end.as_millis().saturating_sub(now.unix.as_millis());
    // After a reload to a shorter `flush_interval`, the open interval is longer than the next ones.
    let length = head.end.as_millis().saturating_sub(head.start.as_millis());
    left > 0 && u128::from(left) <= head.interval.as_millis().max(length.into())
}

/// Opens the state file that a configuration names. Fails if another server uses it. Other errors
/// are only logged, because clients must be served even without a state file.
pub(in crate::server) fn open(config: &config::State) -> Result<Option<StateFile>, ServerError> {
    let Some(path) = &config.file else { return Ok(None) };
    match StateFile::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            Err(ServerError::State(path.clone(), error))
        }
        Err(error) => {
            log::error!(
                state = "unwritable",
                state_file:% = path.display(),
                error:%,
                hint = "nothing is kept over a restart; the folder of [statsd] state_file must belong to this user or root, and not be writable for others";
                "the state file cannot be used"
            );
            Ok(None)
        }
    }
}

/// Reads the saved state, if there is one.
pub(in crate::server) fn load(file: Option<&StateFile>, config: &Config) -> Option<SavedState> {
    file.and_then(|file| state::load(file.path(), most_bytes(config)))
}

/// Returns the size above which a state file cannot be one of this server: twice what the engine
/// can hold under this configuration. The run before may have had another configuration, or
/// different sizes in memory.
fn most_bytes(config: &Config) -> u64 {
    // The bytes of a series except its name. Samples and members are counted by `sample_memory`.
    const OTHER_THAN_NAME: usize = 256;
    const DROPS_AND_COUNTERS: usize = 1 << 20;
    // A series takes at least this much of `series_memory`, which bounds their number. It does not
    // bound their names: tags that many series share are in memory once, and in the file each time.
    const LEAST_IN_MEMORY: usize = 64;
    let bounds = &config.bounds;
    let count = bounds.max_series.min(bounds.series_memory / LEAST_IN_MEMORY);
    let series = config.grammar.max_key_length + OTHER_THAN_NAME;
    [bounds.sample_memory, bounds.passthrough_memory, DROPS_AND_COUNTERS]
        .iter()
        .fold(count as u64 * series as u64, |sum, bytes| sum + *bytes as u64)
        .saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Tick, UnixTime};

    #[test]
    fn a_state_file_has_no_more_series_than_fit_the_memory() {
        let bytes = |max_series, series_memory| {
            let mut config = Config::default();
            config.bounds.max_series = max_series;
            config.bounds.series_memory = series_memory;
            most_bytes(&config)
        };
        assert_eq!(bytes(1_000_000, 64_000), bytes(1000, 256 << 20));
        assert!(bytes(1_000_000, 256 << 20) > bytes(1000, 256 << 20));
    }

    #[test]
    fn a_saved_interval_goes_on_until_its_end_however_short_the_next_ones_are() {
        let at = UnixTime::from_secs;
        let interval = Duration::from_secs(1);
        let head = StateHead { whole: true, start: at(60), end: at(70), interval, members: [1, 2] };
        let is_open = |unix| is_open(&head, Now { tick: Tick::default(), unix });
        assert!(is_open(at(61)) && is_open(at(69)));
        assert!(!is_open(at(70)), "it is over");
        assert!(!is_open(at(59)), "saved by another clock");
    }
}
