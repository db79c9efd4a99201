//! `--stdin`: takes in lines from standard input until its end, flushes once, and ends. For scripts and tests.
//!
//! It listens to nobody, keeps no state, has no spool and stays who it is, so that it runs beside a server with the same
//! configuration. The server's own figures are not sent: they would overwrite that one's.

use std::io::{self, ErrorKind, Read};

use super::flushing::Flushing;
use super::input;
use super::settings::{random_seeds, settings};
use super::start::StartError;
use super::stop::Phase;
use super::{Server, Timer};
use crate::config::{Config, Origin, Udp, Unix};
use crate::engine::Engine;
use crate::ingest::lines::StreamSplitter;
use crate::sink::Sink;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

impl Server {
    /// Returns whether all was delivered, within `shutdown_timeout`; whoever reads standard output is waited for longer.
    pub fn flush_stdin(
        config: &Config,
        origin: &Origin,
        stdin: &mut impl Read,
    ) -> Result<bool, StartError> {
        let config = alone(config, origin);
        let mut engine = Engine::new(&settings(&config), random_seeds());
        take_in(stdin, &config, &mut engine).map_err(StartError::Stdin)?;
        let mut server = Self::start(&config, origin)?;
        server.engine = engine;
        server.is_patient = true;
        server.flush_and_end().map_err(StartError::Poll)
    }

    fn flush_and_end(mut self) -> io::Result<bool> {
        let since = self.now.tick;
        let until = since + self.shutdown_timeout;
        self.flushing = Flushing::once(self.now, self.flushing.interval());
        self.close_interval();
        self.phase = Phase::Draining { since, until };
        for sink in self.sinks.iter_mut() {
            sink.drain(self.now, self.poll.registry());
        }
        self.wheel.set(Timer::Flush, None);
        self.wheel.set(Timer::Stop, Some(until));
        self.pump_sinks();
        self.turn_until_done()?;
        let is_lossless = |sink: &Sink| {
            let figures = sink.figures();
            figures.dropped_lines == 0 && figures.in_doubt == 0
        };
        Ok(self.sinks.iter().all(is_lossless))
    }
}

/// The same configuration for a process that is by itself. Where nobody has said where to send, it prints.
fn alone(config: &Config, origin: &Origin) -> Config {
    let mut alone = Config {
        udp: Udp { bind: Vec::new(), ..config.udp.clone() },
        unix: Unix { stream: None, datagram: None, ..config.unix },
        user: String::new(),
        group: String::new(),
        ..config.clone()
    };
    alone.tcp.bind.clear();
    alone.tcp.max_connections = 0;
    alone.admin.bind.clear();
    alone.admin.max_connections = 0;
    alone.state.file = None;
    alone.spool.dir = None;
    alone.key_flush.interval = None;
    alone.repeaters.clear(); // what is read is for this flush
    if *origin == Origin::Defaults {
        alone.carbons.clear();
    }
    let has_none = alone.destinations().next().is_none();
    alone.console.enabled |= has_none;
    alone
}

fn take_in(stdin: &mut impl Read, config: &Config, engine: &mut Engine) -> io::Result<()> {
    let mut splitter = StreamSplitter::default();
    let mut buffer = vec![0; PIECE];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => splitter.feed(&buffer[..bytes], config.tcp.max_line, |piece| {
                input::take_piece(engine, config.dump_messages, piece);
            }),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    splitter.end(|piece| input::take_piece(engine, config.dump_messages, piece));
    Ok(())
}
