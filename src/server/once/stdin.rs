//! `--stdin`: reads lines from standard input until its end, flushes once, and ends. For scripts
//! and tests.
//!
//! It drives a [`Pipeline`] alone. It listens to no socket, keeps no state, has no spool and stays
//! the user it is, so that it can run beside a server with the same configuration. The server's own
//! figures are not sent, because they would overwrite those of that server.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::SystemClock;
use crate::config::{Config, DestinationKind, Origin};
use crate::engine::Engine;
use crate::flush::Schedule;
use crate::ingest::InputHandler as _;
use crate::ingest::lines::{Piece, StreamSplitter};
use crate::ledger::OwnCounter;
use crate::random;
use crate::sender::Sender;
use crate::server::drain_limit::DrainLimit;
use crate::server::pipeline::Pipeline;
use crate::server::pipeline::outputs::SinkResources;
use crate::server::reactor::{Reactor, Timer};
use crate::server::reception::dump_messages::log_piece;
use crate::server::server_error::ServerError;
use crate::server::signals::Signals;
use crate::sink::LostLines;
use crate::token::EventSource;

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
    pub(in crate::server) fn of(is_complete: bool) -> Self {
        if is_complete { Self::Complete } else { Self::Incomplete }
    }
}

/// Reads all lines of `stdin`, flushes them once, and waits until they are delivered, at most for
/// `shutdown_timeout`. A slow reader of standard output may take longer, until a signal ends that.
pub fn flush_stdin(
    config: Config,
    origin: &Origin,
    stdin: &mut (impl Read + AsFd),
) -> Result<StdinOutcome, ServerError> {
    let config = standalone(config, origin);
    let reactor = Reactor::new(SystemClock::start()).map_err(ServerError::Poll)?;
    let resources = SinkResources::open(&config)?;
    let schedule = Schedule::new(config.flush_interval, false, reactor.now().unix);
    let mut pipeline = Pipeline::open(&config, schedule, random::seeds(), resources)?;
    read_input(stdin, &config, &mut pipeline).map_err(ServerError::Stdin)?;
    let garbage = garbage_lines(&mut pipeline);
    let is_delivered = deliver(&config, &mut pipeline, reactor).map_err(ServerError::Poll)?;
    if garbage > 0 {
        log_garbage(garbage);
    }
    Ok(StdinOutcome::of(is_delivered && garbage == 0))
}

/// Returns the number of bad lines if the input had no valid value, and 0 if it had one. The script
/// that made such an input is wrong, and has to fail. Must be called before the flush, which takes
/// some of the values.
pub(in crate::server) fn garbage_lines(pipeline: &mut Pipeline) -> u64 {
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
pub(in crate::server) fn log_garbage(lines: u64) {
    log::error!(
        stdin = "garbage",
        refused = lines,
        hint = "fix the program that writes the lines; a line looks like name:1|c";
        "standard input has no valid line, so there is nothing to send"
    );
}

/// Flushes once, and turns until the sinks have delivered.
fn deliver(config: &Config, pipeline: &mut Pipeline, mut reactor: Reactor) -> io::Result<bool> {
    let mut signals = Signals::of_process(reactor.registry())?;
    reactor.poll_now()?; // the time: reading may have taken long
    let now = reactor.now();
    let patience = config.shutdown_timeout;
    let mut drain = DrainLimit::new(now.tick, patience).patient();
    pipeline.begin_only_flush(now);
    let mut is_swept = false;
    loop {
        pipeline.sweep_only_flush(&drain, &mut reactor);
        if !is_swept && !pipeline.is_sweeping() {
            is_swept = true;
            pipeline.begin_stop(&mut reactor);
            drain.prolong(reactor.now().tick, patience);
            reactor.set(Timer::Stop, Some(drain.until()));
            pipeline.pump(&mut reactor);
            // One more turn even if all is sent: the kernel may have reported that no process
            // listens.
            reactor.turn_again();
        }
        reactor.wait()?;
        while let Some(source) = reactor.next_event() {
            match source {
                EventSource::Sink(index, generation) => pipeline.ready(index, generation, &reactor),
                _ => {
                    let received = signals.take();
                    drain.note_signals_of_run(received, reactor.now().tick, patience);
                    reactor.set(Timer::Stop, Some(drain.until()));
                    if received.reload {
                        log_dropped_reload();
                    }
                    if received.child {
                        pipeline.note_ended_child();
                    }
                }
            }
        }
        while reactor.pop_due().is_some() {} // each turn does all that could be due
        pipeline.pump(&mut reactor);
        pipeline.reap(&mut reactor);
        pipeline.log_warnings(reactor.now().tick);
        let is_over = drain.is_over(pipeline.sinks(), reactor.now().tick);
        if is_over && (is_swept || drain.is_interrupted()) {
            break;
        }
    }
    pipeline.finish_stop(reactor.now().tick);
    Ok(is_swept && pipeline.sinks().lost_lines() == LostLines::default())
}

fn log_dropped_reload() {
    log::warn!(
        reload = "dropped",
        reason = "--stdin reads its configuration only at its start",
        hint = "run it again to use the new configuration";
        "the configuration was not reloaded"
    );
}

/// Returns the configuration for a process without listeners, state and spool. It prints to
/// standard output where no destination is configured.
pub(in crate::server) fn standalone(mut config: Config, origin: &Origin) -> Config {
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
pub(in crate::server) fn read_input(
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
