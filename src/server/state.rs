//! The state over restarts: taken up at the start, the gauges saved every now and then, the open interval at a stop.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::flushing::Flushing;
use super::start::StartError;
use super::{Server, Timer};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::ingest::datagrams::DropsSeen;
use crate::series::Cursor;
use crate::state::Head;
use crate::state::file::{self, Found, StateFile, Writing};
use crate::time::Now;
use crate::wire::{In, Put};

/// Where the state is kept, and a save of the gauges under way.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    /// `None` if it cannot be used now. Each save tries again, since its folder or its disk may
    /// have become writable.
    file: Option<StateFile>,
    interval: Option<Duration>,
    /// The key of the hashes of set members.
    members: [u64; 2],
    saving: Option<Saving>,
    /// The longest call to the disk since it was last asked for.
    stall: Duration,
    /// The last save failed; it was said once.
    is_failing: bool,
}

#[derive(Debug)]
struct Saving {
    writing: Writing,
    cursor: Cursor,
    buffer: Vec<u8>,
}

/// A record of ours, beside those of the engine: what was counted of a socket's drops.
const DROPS: u8 = 4;

/// What a slice may take of a turn.
const SLICE: Duration = Duration::from_millis(1);
/// Series looked at between two looks at the clock.
const STEP: usize = 256;
/// What is gathered before it is written.
const PIECE: usize = 64 << 10;

impl State {
    /// Returns `None` if the configuration names no file. `file` is what [`open`] returned for it.
    pub(super) fn new(
        config: &config::State,
        file: Option<StateFile>,
        members: [u64; 2],
    ) -> Option<Self> {
        let path = config.file.clone()?;
        let interval = config.interval;
        Some(Self {
            path,
            file,
            interval,
            members,
            saving: None,
            stall: Duration::ZERO,
            is_failing: false,
        })
    }

    pub(super) fn take_stall(&mut self) -> Duration {
        let current =
            self.saving.as_mut().map_or(Duration::ZERO, |saving| saving.writing.take_stall());
        std::mem::take(&mut self.stall).max(current)
    }

    /// Continues with the same file under another configuration.
    fn reconfigure(&mut self, config: &config::State) {
        self.interval = config.interval;
        if let Some(path) = &config.file {
            self.path.clone_from(path);
        }
    }

    fn start_writing(&mut self, head: &Head) -> io::Result<Writing> {
        // A lock whose file was removed excludes no other server. Take it again, or fail if another
        // server holds it by now.
        let file = match self.file.take().filter(StateFile::is_locked) {
            Some(file) => file,
            None => StateFile::open(&self.path)?,
        };
        Writing::start(self.file.insert(file).path(), head)
    }

    fn head(&self, whole: bool, flushing: &Flushing) -> Head {
        let (start, end) = flushing.open_interval();
        let (interval, members) = (flushing.interval(), self.members);
        Head { whole, start, end, interval, members }
    }

    /// Whether a save of the gauges is under way.
    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Begins to save the gauges. A save that is under way goes on. If it were restarted each time,
    /// it would never end where `interval` is shorter than a save takes.
    fn begin(&mut self, flushing: &Flushing) {
        if self.is_saving() {
            return;
        }
        match self.start_writing(&self.head(false, flushing)) {
            Ok(writing) => {
                let (cursor, buffer) = (Cursor::default(), Vec::new());
                self.saving = Some(Saving { writing, cursor, buffer });
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Abandons a save of the gauges that is under way. The file of the save before stays.
    pub(super) fn abandon_save(&mut self) {
        self.saving = None;
    }

    /// One slice of a save. `more` says whether there is time left.
    fn step(&mut self, engine: &Engine, mut more: impl FnMut() -> bool) {
        let Some(saving) = &mut self.saving else { return };
        let mut done = false;
        while !done && more() {
            done = engine.save_gauges(&mut saving.cursor, STEP, &mut saving.buffer);
            let enough = done || saving.buffer.len() >= PIECE;
            let written = if enough { saving.writing.put(&mut saving.buffer) } else { Ok(()) };
            if let Err(error) = written {
                return self.fail(&error);
            }
        }
        if done {
            let Some(saving) = self.saving.take() else { return };
            match saving.writing.finish(false) {
                Ok(stall) => {
                    self.stall = self.stall.max(stall);
                    self.is_failing = false;
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Saves all of the open interval, and waits for the disk.
    fn save_all(
        &mut self,
        engine: &Engine,
        flushing: &Flushing,
        seen: &[DropsSeen],
    ) -> io::Result<()> {
        self.saving = None;
        let mut writing = self.start_writing(&self.head(true, flushing))?;
        writing.put(&mut drops_seen(seen))?;
        engine
            .save(|bytes| match bytes.len() < PIECE {
                true => Ok(()),
                false => writing.put(bytes),
            })
            .and_then(|mut rest| writing.put(&mut rest))?;
        writing.finish(true).map(drop)
    }

    fn fail(&mut self, error: &io::Error) {
        self.saving = None;
        if !std::mem::replace(&mut self.is_failing, true) {
            log::error!(
                "state_file={:?} state=unsaved error=\"{error}\" hint=\"free the disk, or name another state_file\"",
                self.path
            );
        }
    }
}

/// Takes over what the run before left. True if its interval must be closed at once, for it is over.
fn take_up(found: &Found, engine: &mut Engine, now: Now) -> bool {
    let (head, gauges_only) = (&found.head, found.gauges_only);
    let restored = engine.restore(found.records(), head.interval, gauges_only);
    let is_over = !gauges_only && !is_open(head, now);
    log::info!(
        "state=taken_up gauges_only={gauges_only} series={} refused={} interval_over={is_over} stamp={}",
        restored.series,
        restored.refused,
        head.end.as_secs()
    );
    if restored.damaged {
        log::error!(
            "state=damaged reason=\"a record makes no sense\" hint=\"what came before it was taken\""
        );
    }
    if let Err(error) = found.taken_over() {
        log::error!(
            "state=not_renamed error=\"{error}\" hint=\"remove it, or its counts will be sent again\""
        );
    }
    is_over
}

fn drops_seen(seen: &[DropsSeen]) -> Vec<u8> {
    let mut out = Vec::new();
    for seen in seen {
        out.put_record(|out| {
            out.put_u8(DROPS);
            out.put_u64(seen.socket);
            out.put_u32(seen.drops);
        });
    }
    out
}

/// What the run before had counted of its sockets' drops.
fn drops_of(found: &Found) -> Vec<DropsSeen> {
    let mut records = found.records();
    let of_drops = |mut record: In<'_>| {
        (record.u8()? == DROPS).then_some(())?;
        Some(DropsSeen { socket: record.u64()?, drops: record.u32()? })
    };
    std::iter::from_fn(|| records.record()).map_while(of_drops).collect()
}

/// Whether a saved interval goes on. One that ends later than its own length from now was saved by another clock.
fn is_open(head: &Head, now: Now) -> bool {
    let left = head.end.as_millis().saturating_sub(now.unix.as_millis());
    left > 0 && u128::from(left) <= head.interval.as_millis()
}

/// Opens the state file that a configuration names. Fails if another server uses it. Other errors
/// are only logged, because clients must be served even without a state file.
pub(super) fn open(config: &config::State) -> Result<Option<StateFile>, StartError> {
    let Some(path) = &config.file else { return Ok(None) };
    match StateFile::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            Err(StartError::State(path.clone(), error))
        }
        Err(error) => {
            log::error!(
                "state_file={path:?} state=unwritable error=\"{error}\" hint=\"its folder must exist, belong to this user or root, and not be writable by others; until then nothing is kept over a restart\""
            );
            Ok(None)
        }
    }
}

pub(super) fn load(file: Option<&StateFile>, config: &Config) -> Option<Found> {
    file.and_then(|file| file::load(file.path(), largest(config)))
}

/// Twice what the engine can hold under this configuration. The run before may have had another
/// configuration, or different sizes in memory.
fn largest(config: &Config) -> u64 {
    const OTHER_THAN_NAME: usize = 256; // of a series without its samples and members, which have memory of their own
    const DROPS_AND_COUNTERS: usize = 1 << 20;
    let bounds = &config.bounds;
    let series = config.grammar.max_key_length + OTHER_THAN_NAME;
    [bounds.sample_memory, bounds.passthrough_memory, DROPS_AND_COUNTERS]
        .iter()
        .fold(bounds.max_series as u64 * series as u64, |sum, bytes| sum + *bytes as u64)
        .saturating_mul(2)
}

impl Server {
    /// Takes over what the run before left; its interval ends at once if it is over.
    pub(super) fn take_over(&mut self, found: &Found) {
        let seen = drops_of(found);
        self.listeners.datagrams.iter_mut().for_each(|(_, socket)| socket.resume(&seen));
        if take_up(found, &mut self.engine, self.now) {
            self.end_interval();
        }
    }

    /// Opens the state file of a new configuration, unless it is the one already open.
    pub(super) fn open_other_state(
        &self,
        config: &Config,
    ) -> Result<Option<StateFile>, StartError> {
        let is_same = config.state == self.config.state || self.has_state_at(config);
        if is_same { Ok(None) } else { open(&config.state) }
    }

    /// `file` is what [`Self::open_other_state`] returned.
    pub(super) fn replace_state(&mut self, config: &Config, file: Option<StateFile>) {
        let stays = file.is_none() && self.has_state_at(config);
        match self.state.as_mut().filter(|_| stays) {
            Some(state) => state.reconfigure(&config.state),
            None => self.state = State::new(&config.state, file, self.seeds.members),
        }
        self.plan_state_save();
    }

    fn has_state_at(&self, config: &Config) -> bool {
        let file = self.state.as_ref().and_then(|state| state.file.as_ref());
        file.zip(config.state.file.as_ref()).is_some_and(|(file, path)| file.is_at(path))
    }

    pub(super) fn plan_state_save(&mut self) {
        let interval = self.state.as_ref().and_then(|state| state.interval);
        self.wheel.set(Timer::State, interval.map(|interval| self.now.tick + interval));
    }

    pub(super) fn begin_state_save(&mut self) {
        if let Some(state) = &mut self.state {
            state.begin(&self.flushing);
        }
        self.plan_state_save();
    }

    /// A slice of a save of the gauges; a sweep goes first.
    pub(super) fn save_state(&mut self) {
        let Some(state) = self.state.as_mut().filter(|state| state.is_saving()) else {
            return;
        };
        if self.engine.is_sweeping() {
            return;
        }
        let end = self.clock.tick() + SLICE;
        state.step(&self.engine, || self.clock.tick() < end);
        self.busy |= state.is_saving();
    }

    /// At a stop: true if the open interval is safe on disk, so that it need not be closed early.
    pub(super) fn save_open_interval(&mut self, seen: &[DropsSeen]) -> bool {
        let Some(state) = &mut self.state else { return false };
        match state.save_all(&self.engine, &self.flushing, seen) {
            Ok(()) => {
                log::info!("state=saved series={}", self.engine.table().len());
                true
            }
            Err(error) => {
                state.fail(&error);
                false
            }
        }
    }
}
