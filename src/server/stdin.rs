//! `--stdin`: reads lines from standard input until its end, flushes once, and ends. For scripts
//! and tests.
//!
//! It drives a [`Pipeline`] alone. It listens to no socket, keeps no state, has no spool and stays
//! the user it is, so that it can run beside a server with the same configuration. The server's own
//! figures are not sent, because they would overwrite those of that server.

use std::io::{self, ErrorKind, Read};

use super::life::Drain;
use super::outputs;
use super::pipeline::{Pipeline, random_seeds};
use super::reactor::{Reactor, Timer};
use super::signals::Signals;
use super::start_error::StartError;
use crate::clock::SystemClock;
use crate::config::{Config, DestinationKind, Origin};
use crate::flush::Schedule;
use crate::ingest::lines::StreamSplitter;
use crate::token::Source;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// Returns whether all was delivered within `shutdown_timeout`. A slow reader of standard output
/// may take longer.
pub fn flush_stdin(
    config: &Config,
    origin: &Origin,
    stdin: &mut impl Read,
) -> Result<bool, StartError> {
    let config = alone(config, origin);
    let reactor = Reactor::new(SystemClock::start())?;
    let stdout = outputs::stdout(&config)?;
    let schedule = Schedule::new(config.flush_interval, false, reactor.now().unix);
    let mut pipeline = Pipeline::open(&config, schedule, random_seeds(), stdout, None)?;
    take_in(stdin, &config, &mut pipeline).map_err(StartError::Stdin)?;
    deliver(&config, &mut pipeline, reactor).map_err(StartError::Poll)
}

/// Flushes once, and turns until the sinks have delivered.
fn deliver(config: &Config, pipeline: &mut Pipeline, mut reactor: Reactor) -> io::Result<bool> {
    let mut signals = Signals::register(reactor.registry())?;
    reactor.poll_now()?; // the time: reading may have taken long
    let now = reactor.now();
    pipeline.flush_once(now);
    pipeline.close_interval(&reactor);
    pipeline.begin_stop(&mut reactor);
    let mut drain = Drain::new(now.tick, config.shutdown_timeout).patient();
    reactor.set(Timer::Stop, Some(now.tick + config.shutdown_timeout));
    pipeline.pump(false, &mut reactor);
    // Even if all is sent: the kernel may have reported already that no process listens.
    reactor.turn_again_if(true);
    loop {
        reactor.wait(false)?;
        while let Some(source) = reactor.next_event() {
            match source {
                Source::Sink(index, generation) => pipeline.ready(index, generation, &reactor),
                _ => {
                    let received = signals.take();
                    drain.note_signals(received, reactor.now().tick);
                    if received.reload {
                        log_dropped_reload();
                    }
                    if received.child {
                        pipeline.note_ended_child();
                    }
                }
            }
        }
        while reactor.due().is_some() {} // each turn does all that could be due
        pipeline.pump(false, &mut reactor);
        pipeline.reap(&mut reactor);
        pipeline.log_warnings(reactor.now().tick);
        if drain.is_over(pipeline.sinks(), reactor.now().tick) {
            break;
        }
    }
    pipeline.end();
    Ok(pipeline.is_lossless())
}

fn log_dropped_reload() {
    log::warn!(
        reload = "dropped",
        reason = "--stdin reads its configuration only at its start",
        hint = "run it again to use the new configuration";
        "the configuration was not reloaded"
    );
}

/// Returns the same configuration for a process without listeners, state and spool. It prints to
/// standard output where no destination is configured.
fn alone(config: &Config, origin: &Origin) -> Config {
    let mut alone = config.clone();
    alone.spool.dir = None;
    alone.key_flush.interval = None;
    alone.destinations.retain(|destination| match destination.kind {
        DestinationKind::Repeater(_) => false, // the lines that are read are for this flush
        DestinationKind::Carbon(_) => *origin != Origin::Defaults,
        _ => true,
    });
    if alone.active_destinations().next().is_none() {
        alone.enable_console();
    }
    alone
}

/// Reads all lines of the input into the engine.
fn take_in(stdin: &mut impl Read, config: &Config, pipeline: &mut Pipeline) -> io::Result<()> {
    let max_line = config.tcp.max_line;
    let logs_messages = config.dump_messages;
    let mut splitter = StreamSplitter::default();
    let mut buffer = vec![0; PIECE];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => splitter.feed(&buffer[..bytes], max_line, |piece| {
                pipeline.take_piece(piece, logs_messages);
            }),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    splitter.end(|piece| pipeline.take_piece(piece, logs_messages));
    Ok(())
}
