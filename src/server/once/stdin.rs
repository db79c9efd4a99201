//! `--stdin`: reads lines from standard input until its end, flushes once, and ends. For scripts
//! and tests.
//!
//! It drives a [`Pipeline`] alone. It listens to no socket, keeps no state, has no spool and stays
//! the user it is, so that it can run beside a server with the same configuration. The server's own
//! figures are not sent, because they would overwrite those of that server.

use std::io::{self, Read};
use std::os::fd::AsFd;

use super::input::{StdinOutcome, garbage_lines, log_garbage, read_input, standalone};
use super::only_flush::OnlyFlush;
use crate::clock::SystemClock;
use crate::config::{Config, Origin};
use crate::flush::Schedule;
use crate::random;
use crate::server::drain_limit::DrainLimit;
use crate::server::outputs::SinkResources;
use crate::server::pipeline::Pipeline;
use crate::server::reactor::{Reactor, Timer};
use crate::server::server_error::ServerError;
use crate::server::signals::Signals;
use crate::sink::LostLines;
use crate::token::EventSource;

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

/// Flushes once, and turns until the sinks have delivered.
fn deliver(config: &Config, pipeline: &mut Pipeline, mut reactor: Reactor) -> io::Result<bool> {
    let mut signals = Signals::of_process(reactor.registry())?;
    reactor.poll_now()?; // the time: reading may have taken long
    let now = reactor.now();
    let patience = config.shutdown_timeout;
    let mut drain = DrainLimit::new(now.tick, patience).patient();
    let mut flush = OnlyFlush::begin(config.flush_interval, now, pipeline);
    let mut is_swept = false;
    loop {
        flush.sweep(&drain, pipeline, &mut reactor);
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
