//! `--dry-run`: reads lines from standard input until its end, and prints what `--stdin` would send
//! to each destination. For questions such as "under which name does this arrive in Graphite?".
//!
//! It makes no sinks. So it opens no connection, starts no command and touches no file, whatever
//! the configuration is. Writing to standard output may block, since there is no other work.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use super::input::{StdinOutcome, garbage_lines, log_garbage, read_input, standalone};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{BinaryStream, Config, Destination, DestinationKind, Origin, Protocol};
use crate::encode::chunk::Chunk;
use crate::encode::encoders::{EncoderId, Encoders};
use crate::encode::ganglia;
use crate::engine::Closing;
use crate::flush::Schedule;
use crate::ledger::OwnCounter;
use crate::random;
use crate::server::outputs::{self, SinkResources};
use crate::server::pipeline::Pipeline;
use crate::server::server_error::ServerError;
use crate::server::stages::Stages;
use crate::sink::Feed;
use crate::time::Now;

/// Own counters that explain why a valid line has no points.
const EXPLAINED: [OwnCounter; 3] =
    [OwnCounter::SamplesDropped, OwnCounter::SeriesRejected, OwnCounter::EventsIgnored];

/// Prints to `out` what each destination would get.
pub fn dry_run(
    config: Config,
    origin: &Origin,
    stdin: &mut (impl Read + AsFd),
    out: &mut impl Write,
) -> Result<StdinOutcome, ServerError> {
    let config = readable(standalone(config, origin));
    let clock = SystemClock::start();
    let schedule = Schedule::new(config.flush_interval, false, clock.now().unix);
    let mut pipeline =
        Pipeline::without_sinks(&config, schedule, random::seeds(), SinkResources::default());
    read_input(stdin, &config, &mut pipeline).map_err(ServerError::Stdin)?;
    let garbage = garbage_lines(&mut pipeline);
    let sections = sections(&config, &pipeline.stages().encoders);
    let mut printout = Printout { out, sections, last: None };
    print(&mut pipeline, &mut printout, &clock).map_err(ServerError::Print)?;
    pipeline.log_last_warnings(clock.tick());
    if garbage > 0 {
        log_garbage(garbage);
    }
    Ok(StdinOutcome::of(garbage == 0))
}

fn print(
    pipeline: &mut Pipeline,
    printout: &mut Printout<'_, impl Write>,
    clock: &SystemClock,
) -> io::Result<()> {
    print_interval(clock.now(), pipeline.stages(), printout)?;
    for own in EXPLAINED {
        let count = pipeline.ledger().own().total(own);
        if count > 0 {
            writeln!(printout.out, "# {}: {count}", own.name())?;
        }
    }
    printout.out.flush()
}

/// Ends the open interval, and prints its chunks in place of passing them to sinks. Its timestamp
/// is `now`. The server's own figures are left out.
fn print_interval(
    now: Now,
    stages: &mut Stages,
    printout: &mut Printout<'_, impl Write>,
) -> io::Result<()> {
    let flush = stages.engine.tick();
    stages.encoders.begin(flush, now.unix);
    let mut done = false;
    while !done {
        done = stages.sweep_step();
        if done {
            stages.engine.finish(&Closing::default(), &mut |_| {});
            stages.encoders.end();
            stages.note_refused();
        }
        for (encoder, chunk) in stages.encoders.take() {
            printout.put(encoder, &chunk)?;
        }
    }
    Ok(())
}

/// Returns the same configuration with the formats that people can read. Names and values are those
/// of the configured ones.
fn readable(mut config: Config) -> Config {
    for destination in &mut config.destinations {
        if let DestinationKind::Carbon(carbon) = &mut destination.kind {
            carbon.protocol = Protocol::Plaintext;
        }
        if let DestinationKind::Exec(exec) = &mut destination.kind {
            exec.binary_stream = BinaryStream::No;
        }
    }
    config
}

/// The points of one encoder, as they are printed.
#[derive(Debug)]
struct PrintedSection {
    encoder: EncoderId,
    /// The destinations that get them.
    heading: String,
    is_ganglia: bool,
}

/// Returns a section for each encoder.
fn sections(config: &Config, encoders: &Encoders) -> Vec<PrintedSection> {
    let mut sections: Vec<PrintedSection> = Vec::new();
    for destination in config.active_destinations() {
        let Feed::Flushes(encoder) = outputs::feed(destination, encoders) else { continue };
        let title = title(destination);
        match sections.iter_mut().find(|section| section.encoder == encoder) {
            Some(section) => section.heading += &format!(", {title}"),
            None => sections.push(PrintedSection {
                encoder,
                heading: title,
                is_ganglia: matches!(destination.kind, DestinationKind::Ganglia(_)),
            }),
        }
    }
    sections
}

/// Returns the header of a destination's section, and where its points would go.
fn title(destination: &Destination) -> String {
    let place = match (&destination.net, &destination.kind) {
        (Some(net), _) => net.remote.to_string(),
        (None, DestinationKind::Exec(exec)) => exec.command.clone(),
        (None, _) => "standard output".into(),
    };
    format!("[{}] {place}", destination.name)
}

/// The output: points below the headings of their destinations.
struct Printout<'a, W> {
    out: &'a mut W,
    sections: Vec<PrintedSection>,
    /// The encoder of the points printed last.
    last: Option<EncoderId>,
}

impl<W: Write> Printout<'_, W> {
    /// Prints the points of a chunk. If the points before them were of other destinations, the
    /// heading comes first. A large flush is not collected, so its destinations take turns.
    fn put(&mut self, encoder: EncoderId, chunk: &Chunk) -> io::Result<()> {
        let is_its = |section: &&PrintedSection| section.encoder == encoder;
        let Some(section) = self.sections.iter().find(is_its) else { return Ok(()) };
        if self.last != Some(encoder) {
            writeln!(self.out, "# {}", section.heading)?;
            self.last = Some(encoder);
        }
        if section.is_ganglia {
            return self.out.write_all(&ganglia::values_as_text(chunk.bytes()));
        }
        self.out.write_all(chunk.bytes())
    }
}
