//! The commands of the admin port, one row each: `help` and the dispatch use the same table.

use std::io::Write as _;

use super::delete::Delete;
use super::dump::Dump;
use super::view::{Health, View};
use crate::config::render_masked;
use crate::ingest::datagrams::DatagramSocket;
use crate::ledger::Own;
use crate::protocol::MetricKind;
use crate::time::UnixTime;

/// The result of a command.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of the reply is written.
    Done,
    /// The reply takes some turns.
    Job(Job),
    Quit,
}

/// Work that a command leaves for the next turns.
#[derive(Debug)]
pub(super) enum Job {
    Dump(Box<Dump>),
    Delete(Box<Delete>),
}

impl Job {
    /// Whether it holds memory for every series.
    pub(super) fn is_dumping(&self) -> bool {
        matches!(self, Self::Dump(dump) if dump.is_begun())
    }

    /// Frees the memory that a dump holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        if let Self::Dump(dump) = self {
            dump.pause();
        }
    }

    /// Whether it may continue. If `may_dump` is `false`, a dump that has not begun must wait.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump || !matches!(self, Self::Dump(dump) if !dump.is_begun())
    }

    /// Does a part of the work, and appends to `out`. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Dump(dump) => dump.step(view, out),
            Self::Delete(delete) => delete.step(view, out),
        }
    }
}

struct Command {
    name: &'static str,
    run: fn(&mut View<'_>, Arguments<'_>, &mut Vec<u8>) -> Answer,
}

type Arguments<'a> = Vec<&'a [u8]>;

const COMMANDS: [Command; 15] = [
    Command { name: "help", run: help },
    Command { name: "stats", run: stats },
    Command { name: "counters", run: |_, _, _| dump(MetricKind::Counter) },
    Command { name: "timers", run: |_, _, _| dump(MetricKind::Timing) },
    Command { name: "gauges", run: |_, _, _| dump(MetricKind::Gauge) },
    Command { name: "sets", run: |_, _, _| dump(MetricKind::Set) },
    Command { name: "delcounters", run: |_, names, _| delete(MetricKind::Counter, names) },
    Command { name: "deltimers", run: |_, names, _| delete(MetricKind::Timing, names) },
    Command { name: "delgauges", run: |_, names, _| delete(MetricKind::Gauge, names) },
    Command { name: "delsets", run: |_, names, _| delete(MetricKind::Set, names) },
    Command { name: "sinks", run: sinks },
    Command { name: "health", run: health },
    Command { name: "config", run: config },
    Command { name: "version", run: version },
    Command { name: "quit", run: |_, _, _| Answer::Quit },
];

/// Runs one line. The part of the answer that is known at once is appended to `out`.
pub(super) fn run(line: &[u8], view: &mut View<'_>, out: &mut Vec<u8>) -> Answer {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(name) = words.next() else { return Answer::Done };
    match COMMANDS.iter().find(|command| command.name.as_bytes() == name) {
        Some(command) => (command.run)(view, words.collect(), out),
        None => {
            out.extend_from_slice(b"ERROR\n");
            Answer::Done
        }
    }
}

fn help(_: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    let others = COMMANDS.iter().map(|command| command.name).filter(|name| *name != "help");
    let names: Vec<&str> = others.collect();
    write(out, format_args!("Commands: {}\n\n", names.join(", ")));
    Answer::Done
}

/// As Node's: a first flush that has not been counts from the start, an exception that never was
/// from 1970.
fn stats(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    let now = view.now.unix;
    let bad_lines = view.engine.own().total(Own::BadLinesSeen);
    let started = view.started.unix;
    let ago = |then: UnixTime| now.as_secs().saturating_sub(then.as_secs());
    write(out, format_args!("uptime: {}\n", view.started.tick.until(view.now.tick).as_secs()));
    write(
        out,
        format_args!(
            "messages.last_msg_seen: {}\n",
            ago(view.last_input.map_or(started, |last| last.unix))
        ),
    );
    write(out, format_args!("messages.bad_lines_seen: {bad_lines}\n"));
    let address = |socket: &DatagramSocket| socket.address().ok()?.as_socket();
    let internet = view.datagrams.iter().filter_map(|(_, socket)| Some((address(socket)?, socket)));
    for (address, socket) in internet {
        write(out, format_args!("udp.{address}.drops: {}\n", socket.dropped()));
    }
    for sink in view.sinks.iter() {
        let name = if sink.name() == "carbon" { "graphite" } else { sink.name() };
        let figures = sink.figures();
        for (field, value) in [
            ("last_flush", ago(figures.last_flush.unwrap_or(started))),
            ("last_exception", ago(figures.last_exception.unwrap_or_default())),
            ("flush_time", u64::try_from(figures.flush_time.as_millis()).unwrap_or(u64::MAX)),
            ("flush_length", figures.flush_length),
        ] {
            write(out, format_args!("{name}.{field}: {value}\n"));
        }
    }
    write(out, format_args!("END\n\n"));
    Answer::Done
}

fn sinks(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    for sink in view.sinks.iter() {
        let figures = sink.figures();
        write(
            out,
            format_args!(
                "{} state={} queued_bytes={} spooled_bytes={} dropped_lines={} last_error={:?}\n",
                sink.name(),
                figures.state,
                figures.queue_bytes,
                figures.spool_bytes.unwrap_or(0),
                figures.dropped_lines,
                figures.last_error.as_deref().unwrap_or("none"),
            ),
        );
    }
    write(out, format_args!("END\n\n"));
    Answer::Done
}

fn dump(kind: MetricKind) -> Answer {
    Answer::Job(Job::Dump(Box::new(Dump::new(kind))))
}

fn delete(kind: MetricKind, names: Arguments<'_>) -> Answer {
    let names = names.into_iter().map(Into::into).collect();
    Answer::Job(Job::Delete(Box::new(Delete::new(kind, names))))
}

fn health(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    match arguments.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        Some(b"up") => *view.health = Health::Up,
        Some(b"down") => *view.health = Health::Down,
        _ => {}
    }
    write(out, format_args!("health: {}\n", view.health.name()));
    Answer::Done
}

fn config(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    // An empty line ends the answer, so there is none inside it.
    for line in render_masked(view.config).lines().filter(|line| !line.is_empty()) {
        write(out, format_args!("{line}\n"));
    }
    write(out, format_args!("\n"));
    Answer::Done
}

fn version(_: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    write(out, format_args!("{}\n", crate::args::VERSION));
    Answer::Done
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a Vec takes every write
}
