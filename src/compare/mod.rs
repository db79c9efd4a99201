//! `statsd --compare OLD NEW`: compares the points of two servers that get the same packets.
//!
//! ```text
//!  OLD ──lines──┐
//!               ├──▶ pairs ──differences──▶ report
//!  NEW ──lines──┘
//! ```
//! Each side is a file of Graphite's plaintext lines, or a port to which a server sends them.
//! `pairs` finds the two points of a name and a flush, and `report` makes the text. Both are pure.
//! This is a process of its own, with one loop. The side whose flushes are behind is read first, so
//! that few points wait for their partners.

mod input;
mod pairs;
mod report;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use self::input::{CompareInput, GraphiteLine};
use self::pairs::{CompareSide, Pairs};
use self::report::{CompareReport, totals};

/// How long a wait for lines takes at most. After a wait without lines the progress is shown.
const WAIT_MS: u16 = 500;

/// A side that is behind by this many flushes is reported: its server has probably stopped, or
/// sends elsewhere.
const SILENT_FLUSHES: i64 = 3;

/// Why a comparison was not made.
#[derive(Debug)]
pub enum CompareError {
    /// A file cannot be read, or a port cannot be bound. With its name.
    Input(String, io::Error),
    /// Standard output does not accept the report.
    Output(io::Error),
    /// The wait for lines failed.
    Wait(io::Error),
}

impl fmt::Display for CompareError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name, error) => write!(
                out,
                "cannot read {name:?}: {error}; --compare takes two files or two ports, such as \
                 2013 or 0.0.0.0:2013"
            ),
            Self::Output(error) => write!(out, "cannot write the report: {error}"),
            Self::Wait(error) => write!(out, "cannot wait for lines: {error}"),
        }
    }
}

/// Compares two streams until both files end, or until SIGINT or SIGTERM. Writes differences and
/// the summary to `out`, and the progress to `progress`. Returns whether no point differs.
pub fn compare(
    names: [&str; 2],
    interval: Duration,
    out: &mut dyn Write,
    progress: &mut dyn Write,
) -> Result<bool, CompareError> {
    let open = |name: &str| {
        CompareInput::open(name).map_err(|error| CompareError::Input(name.into(), error))
    };
    let is_stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&is_stopped)).map_err(CompareError::Wait)?;
    }
    let inputs = [open(names[0])?, open(names[1])?];
    for input in &inputs {
        // A progress that cannot be shown is no failure.
        let _ = input.address().map_or(Ok(()), |address| {
            writeln!(progress, "listening on {address}; Ctrl-C ends the comparison")
        });
    }
    let comparison = Comparison {
        names,
        inputs,
        pairs: Pairs::new(i64::try_from(interval.as_secs()).unwrap_or(i64::MAX)),
        report: CompareReport::default(),
        shown: 0,
        skipped: 0,
        is_silent: false,
    };
    comparison.run(&is_stopped, out, progress)
}

/// A comparison that is under way.
struct Comparison<'a> {
    /// The names of the inputs, for messages.
    names: [&'a str; 2],
    /// The old one first.
    inputs: [CompareInput; 2],
    pairs: Pairs,
    report: CompareReport,
    /// The number of compared flushes when the progress was shown last.
    shown: u64,
    /// Lines that are no points.
    skipped: u64,
    /// It was reported that a side is silent.
    is_silent: bool,
}

impl Comparison<'_> {
    fn run(
        mut self,
        is_stopped: &AtomicBool,
        out: &mut dyn Write,
        progress: &mut dyn Write,
    ) -> Result<bool, CompareError> {
        let mut is_interrupted = false;
        while self.inputs.iter().any(|input| !input.has_ended()) {
            is_interrupted = is_stopped.load(Ordering::Relaxed);
            if is_interrupted {
                break;
            }
            let has_lines = self.read()?;
            self.compare(out)?;
            let silence = self.silence(SILENT_FLUSHES).filter(|_| !self.inputs[0].is_file());
            if let Some(text) = silence.as_ref().filter(|_| !self.is_silent) {
                let _ = writeln!(progress, "{text}");
            }
            self.is_silent = silence.is_some();
            let flushes = self.pairs.counts().flushes;
            if (!has_lines || flushes >= self.shown + 100) && flushes > self.shown {
                self.shown = flushes;
                let _ = writeln!(progress, "{} flushes: {}", flushes, totals(&self.pairs.counts()));
            }
        }
        let compared = self.pairs.counts().points;
        let silence = self.silence(if compared == 0 { 1 } else { SILENT_FLUSHES });
        let is_silent = silence.is_some();
        self.pairs.end(!is_interrupted);
        self.compare(out)?;
        let mut counts = self.pairs.counts();
        counts.outside += self.pairs.remaining();
        let mut summary = self.report.summary(&counts, self.skipped);
        if let Some(text) = silence {
            summary = format!("{text}\n{summary}");
        }
        writeln!(out, "{summary}").and_then(|()| out.flush()).map_err(CompareError::Output)?;
        // If one side has ended long before the other, nothing is shown of the rest.
        Ok(counts.differing == 0 && counts.crowded == 0 && counts.points > 0 && !is_silent)
    }

    /// Returns the text about a side that is behind by at least `least` flushes.
    fn silence(&self, least: i64) -> Option<String> {
        let (side, flushes) = self.pairs.behind().filter(|(_, flushes)| *flushes >= least)?;
        let (side, name, other) = match side {
            CompareSide::Old => ("OLD", self.names[0], "NEW"),
            CompareSide::New => ("NEW", self.names[1], "OLD"),
        };
        Some(format!("{side} ({name}) has no points of the last {flushes} flushes of {other}"))
    }

    /// Reads some lines. Waits for a while if there are none. Returns whether there were some.
    fn read(&mut self) -> Result<bool, CompareError> {
        let mut has_lines = false;
        for (at, side) in [CompareSide::Old, CompareSide::New].into_iter().enumerate() {
            // A file is read no further than the other side, so that few points wait.
            let is_ahead = self.pairs.is_ahead(side) && !self.inputs[1 - at].has_ended();
            if self.inputs[at].is_file() && is_ahead {
                continue;
            }
            let Self { names, inputs, pairs, skipped, .. } = self;
            let mut take = |line: &[u8]| match GraphiteLine::read(line) {
                Some(GraphiteLine { name, value, stamp }) => pairs.add(side, name, value, stamp),
                None => *skipped += 1,
            };
            let read = inputs[at].read(&mut take);
            has_lines |= read.map_err(|error| CompareError::Input(names[at].into(), error))?;
        }
        if !has_lines {
            self.wait()?;
        }
        Ok(has_lines)
    }

    /// Waits until a port has lines or a connection.
    fn wait(&self) -> Result<(), CompareError> {
        let sockets = self.inputs.iter().flat_map(CompareInput::sockets);
        let mut polled: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        match poll(&mut polled, PollTimeout::from(WAIT_MS)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(CompareError::Wait(error.into())),
        }
    }

    /// Compares all flushes that are whole, and prints what differs.
    fn compare(&mut self, out: &mut dyn Write) -> Result<(), CompareError> {
        while let Some(differences) = self.pairs.compare_next() {
            for difference in differences {
                if let Some(line) = self.report.add(difference) {
                    writeln!(out, "{line}").map_err(CompareError::Output)?;
                }
            }
        }
        Ok(())
    }
}
