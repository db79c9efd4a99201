//! What `--stdin` and `--dry-run` share: the configuration of a process without listeners, how it
//! reads its input, and how it has ended.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::{Config, DestinationKind, Origin};
use crate::engine::Engine;
use crate::ingest::InputHandler as _;
use crate::ingest::lines::{Piece, StreamSplitter};
use crate::ledger::OwnCounter;
use crate::sender::Sender;
use crate::server::pipeline::Pipeline;
use crate::server::reception::dump_messages::log_piece;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// How a run over standard input has ended. The log shows what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinOutcome {
    /// All was delivered or printed.
    Complete,
    /// Something was not delivered in time, or no line of the input was valid.
    Incomplete,
}

impl StdinOutcome {
    pub(super) fn of(is_complete: bool) -> Self {
        if is_complete { Self::Complete } else { Self::Incomplete }
    }
}

/// Returns the configuration for a process without listeners, state and spool. It prints to
/// standard output where no destination is configured.
pub(super) fn standalone(mut config: Config, origin: &Origin) -> Config {
    config.spool.dir = None;
    config.key_flush.interval = None;
    config.destinations.retain(|destination| match destination.kind {
        DestinationKind::Repeater(_) => false, // the lines that are read are for this flush
        DestinationKind::Carbon(_) => !origin.is_default(),
        _ => true,
    });
    if config.active_destinations().next().is_none() {
        config.enable_console();
    }
    config
}

/// Reads all lines of the input into the engine.
pub(super) fn read_input(
    stdin: &mut (impl Read + AsFd),
    config: &Config,
    pipeline: &mut Pipeline,
) -> io::Result<()> {
    pipeline.ledger().set_sender(Sender::Stdin);
    let mut take = |piece: Piece<'_>| {
        if config.dump_messages {
            log_piece(piece);
        }
        pipeline.take_piece(piece);
    };
    let mut splitter = StreamSplitter::default();
    let mut buffer = vec![0; PIECE];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => splitter.feed(&buffer[..bytes], config.tcp.max_line, &mut take),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The parent process may have made standard input nonblocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_input(stdin)?,
            Err(error) => return Err(error),
        }
    }
    splitter.end(take);
    Ok(())
}

fn wait_for_input(stdin: &impl AsFd) -> io::Result<()> {
    let mut inputs = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut inputs, PollTimeout::NONE)?;
    Ok(())
}

/// Returns the number of bad lines if the input had no valid value, and 0 if it had one. The script
/// that made such an input is wrong, and has to fail. Must be called before the flush, which takes
/// some of the values.
pub(super) fn garbage_lines(pipeline: &mut Pipeline) -> u64 {
    if has_valid_input(pipeline.engine()) {
        0
    } else {
        pipeline.ledger().own().total(OwnCounter::BadLinesSeen)
    }
}

/// Whether a value of the input was valid, even if a rule or a limit then dropped it.
fn has_valid_input(engine: &Engine) -> bool {
    let taken = [OwnCounter::SamplesDropped, OwnCounter::SeriesRejected, OwnCounter::EventsIgnored];
    let is_taken = |own: &OwnCounter| engine.own().total(*own) > 0;
    !engine.is_empty() || taken.iter().any(is_taken)
}

/// Logs that no line of the input was valid. Must be called after the last warnings are logged,
/// because they have the reasons.
pub(super) fn log_garbage(lines: u64) {
    log::error!(
        stdin = "garbage",
        refused = lines,
        hint = "fix the program that writes the lines; a line looks like name:1|c";
        "standard input has no valid line, so there is nothing to send"
    );
}
