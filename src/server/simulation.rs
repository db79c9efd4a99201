//! The engine, the schedule, the timer wheel, the outbox, its spool and the link, run by a virtual clock against a network
//! and a disk that fail in every way. After each turn every line is somewhere, once; in the end carbon has read them all,
//! but those that are counted as dropped or in doubt, and those the documentation names.
//!
//! A trial is a seed: it chooses the configuration, the traffic and the faults. One that fails prints it.

mod network;
mod trial;

use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;

use mio::Poll;

use self::network::{Lines, Lost, Peer};
use super::flushing::Flushing;
use super::outputs;
use super::wheel::Wheel;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::encode::encoders::Encoders;
use crate::engine::Engine;
use crate::flush::Schedule;
use crate::series::Seeds;
use crate::sink::spool::Spool;
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::{Account, Sink, Sinks};
use crate::time::{Now, Tick, UnixTime};
use crate::token::Source;

use std::time::Duration;

#[derive(Debug)]
struct VirtualClock(Cell<Tick>);

impl VirtualClock {
    fn advance(&self, span: Duration) {
        self.0.set(self.0.get() + span);
    }
}

impl Clock for VirtualClock {
    /// Each look takes a while, so that slices end.
    fn tick(&self) -> Tick {
        self.advance(Duration::from_micros(50));
        self.0.get()
    }

    fn now(&self) -> Now {
        let tick = self.0.get();
        Now { tick, unix: UnixTime::from_millis(1_000_000_000_000 + tick.as_micros() / 1000) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Timer {
    Flush,
    Sweep,
    Sink(u16),
}

/// A server with two destinations: `carbon`, which has every trouble, and `witness`, which has none and so tells what
/// `carbon` should have been sent.
struct World {
    config: Config,
    clock: VirtualClock,
    poll: Poll,
    carbon: Peer,
    witness: Peer,
    disk: MemoryDisk,
    /// What the spool may take; 0 is no spool.
    spool_bytes: u64,
    run: Run,
    /// Of runs that are over: lines that were given up and counted, and lines that died with a killed server.
    given_up: u64,
    died: u64,
    /// How many flushes had begun when a run ended that kept nothing of what it retained.
    forgotten: Vec<u64>,
}

/// What ends with a process.
struct Run {
    engine: Engine,
    encoders: Encoders,
    flushing: Flushing,
    sinks: Sinks,
    wheel: Wheel<Timer>,
    busy: bool,
}

/// As `[carbon.witness]` is called.
const WITNESS: &str = "carbon.witness";
const SEEDS: Seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };

impl World {
    /// Settings of `carbon`; its queue may be shorter than a file could say.
    fn new(carbon: &str, queue: usize, spool_bytes: u64) -> Self {
        let text = format!(
            "[statsd]\nflush_interval = 1s\n[carbon]\naddress = 192.0.2.1:2003\n{carbon}\n\
             [carbon.witness]\naddress = 192.0.2.2:2003\nqueue = 1g\n"
        );
        let mut config = config::parse(Path::new("simulation.conf"), text.as_bytes()).unwrap();
        config.destinations[0].queue.bytes = queue;
        let clock = VirtualClock(Cell::new(Tick::from_millis(1)));
        let (carbon, witness, disk) = (Peer::new(), Peer::new(), MemoryDisk::default());
        let run = Run::start(&config, clock.now(), &carbon, &witness, &disk, spool_bytes);
        let poll = Poll::new().unwrap();
        Self {
            config,
            clock,
            poll,
            carbon,
            witness,
            disk,
            spool_bytes,
            run,
            given_up: 0,
            died: 0,
            forgotten: Vec::new(),
        }
    }

    /// One turn of the loop, in the order of the real one.
    fn turn(&mut self) {
        let (now, registry, run) = (self.clock.now(), self.poll.registry(), &mut self.run);
        run.busy = false;
        for (index, peer) in [(0, &self.carbon), (1, &self.witness)] {
            for token in peer.advance(now.tick) {
                let Ok(Source::Sink(_, generation)) = Source::try_from(token) else {
                    panic!("a token of a sink")
                };
                run.sinks.at(index).unwrap().ready(generation, now, registry);
            }
        }
        while let Some(timer) = self.run.wheel.pop_due(now.tick) {
            let run = &mut self.run;
            if timer == Timer::Flush && run.flushing.is_due(&mut run.engine) {
                self.tick();
            }
        }
        self.sweep();
        let (registry, run) = (self.poll.registry(), &mut self.run);
        for index in 0..run.sinks.end() {
            let Some(sink) = run.sinks.at(index) else { continue };
            sink.timeout(now, registry);
            run.busy |= sink.pump(now, registry);
            run.wheel.set(Timer::Sink(index), sink.deadline());
        }
        self.check();
    }

    fn tick(&mut self) {
        let (now, run) = (self.clock.now(), &mut self.run);
        self.carbon.flush_begins();
        run.flushing.tick(now, &mut run.engine, &mut run.encoders, &mut run.sinks);
        run.wheel.set(Timer::Flush, run.flushing.deadline(now));
        run.busy = true;
    }

    fn sweep(&mut self) {
        let (now, run) = (self.clock.now().tick, &mut self.run);
        if !run.engine.is_sweeping() {
            return;
        }
        let holds = run.sinks.iter().any(|sink| sink.holds_sweep(now));
        let held_until = run.flushing.held_until(holds, now);
        run.wheel.set(Timer::Sweep, held_until);
        if held_until.is_some() {
            return;
        }
        run.busy = true;
        let (engine, encoders) = (&mut run.engine, &mut run.encoders);
        let done = run.flushing.slice(&self.clock, engine, encoders, &mut run.sinks);
        if done && run.flushing.is_waiting() {
            self.tick();
        }
    }

    /// Turns the loop for so long.
    fn run_for(&mut self, span: Duration) {
        let end = self.clock.0.get() + span;
        while self.clock.0.get() < end {
            self.turn();
            let now = self.clock.0.get();
            let at_most = (end - now).min(Duration::from_millis(25));
            let due = self.run.wheel.deadline().map_or(at_most, |due| due - now);
            let wait = if self.run.busy { Duration::ZERO } else { due.min(at_most) };
            self.clock.advance(wait.max(Duration::from_micros(100)));
        }
    }

    /// Every line is somewhere, once.
    fn check(&self) {
        let Account { delivered, queued, dropped, .. } = self.sink(WITNESS).account();
        assert_eq!(dropped, 0);
        let account = self.account();
        let places = account.delivered + account.queued + account.spooled;
        assert_eq!(
            delivered + queued + account.found + account.twice,
            places + account.dropped + account.in_doubt,
            "{account:?}"
        );
        let queue = self.config.destinations[0].queue.bytes;
        // What is being written is not evicted, and the chunk that was just pushed may be it.
        assert!(account.held_bytes <= queue + (128 << 10), "{account:?}");
        assert!(self.disk.bytes() as u64 <= self.spool_bytes, "{account:?}");
    }

    fn account(&self) -> Account {
        self.sink("carbon").account()
    }

    fn sink(&self, name: &str) -> &Sink {
        self.run.sinks.iter().find(|sink| sink.name() == name).unwrap()
    }

    /// Stops as SIGTERM does: the interval is closed, there is a while to deliver, the rest goes to the spool.
    fn stop(&mut self, patience: Duration) {
        let run = &mut self.run;
        let (engine, encoders, sinks) = (&mut run.engine, &mut run.encoders, &mut run.sinks);
        run.flushing.rest(&self.clock, engine, encoders, sinks);
        run.flushing.tick(self.clock.now(), engine, encoders, sinks);
        run.flushing.rest(&self.clock, engine, encoders, sinks);
        self.carbon.flush_begins();
        run.wheel.set(Timer::Flush, None);
        let now = self.clock.now();
        run.sinks.iter_mut().for_each(|sink| sink.hurry(now, self.poll.registry()));
        self.run_for(patience);
        assert!(self.sink(WITNESS).is_drained());
        if !self.sink("carbon").is_drained() {
            self.park();
        }
        self.begin_again();
    }

    /// What is left goes to the spool, and what is retained with it.
    fn park(&mut self) {
        self.run.sinks.by_name("carbon").unwrap().park();
        assert_eq!(self.account().queued, 0);
        self.check();
        if self.spool_bytes == 0 {
            self.forgotten.push(self.carbon.flush());
        }
    }

    /// Dies as by SIGKILL: what is in memory is gone.
    fn kill(&mut self) {
        while !self.sink(WITNESS).is_drained() {
            self.run_for(Duration::from_millis(1)); // so that it knows all that `carbon` was to be sent
        }
        self.died += self.account().queued;
        self.forgotten.push(self.carbon.flush());
        self.disk = self.disk.snapshot();
        self.begin_again();
    }

    fn begin_again(&mut self) {
        let account = self.account();
        self.given_up += account.dropped + account.in_doubt;
        let now = self.clock.now();
        self.disk.fail_reads(None);
        self.disk.fail_writes(None); // or it would not start
        let (carbon, witness) = (&self.carbon, &self.witness);
        self.run = Run::start(&self.config, now, carbon, witness, &self.disk, self.spool_bytes);
    }

    /// What carbon was to be sent; what of it it never read; and what of its losses was never made good.
    fn judge(&self) -> Judgement {
        let (sent, read) = (self.witness.take_read(), self.carbon.take_read());
        let invented: Vec<_> = read.keys().filter(|line| !sent.contains_key(*line)).collect();
        assert!(invented.is_empty(), "lines nobody sent: {invented:?}");
        let missing: HashSet<_> =
            sent.keys().filter(|line| !read.contains_key(*line)).cloned().collect();
        let mut lost = self.carbon.take_lost();
        lost.retain(|lost| missing.contains(&lost.line));
        Judgement { sent, missing, lost }
    }
}

struct Judgement {
    sent: Lines,
    missing: HashSet<Vec<u8>>,
    lost: Vec<Lost>,
}

impl Run {
    fn start(
        config: &Config,
        now: Now,
        carbon: &Peer,
        witness: &Peer,
        disk: &MemoryDisk,
        spool_bytes: u64,
    ) -> Self {
        let encoders = outputs::encoders(config);
        let mut sinks = Sinks::default();
        let new = outputs::new_sinks(config, &config.spool, &sinks, None).unwrap();
        outputs::add(&mut sinks, new, &encoders, 1, None);
        for (name, peer) in [("carbon", carbon), (WITNESS, witness)] {
            sinks.by_name(name).unwrap().dial_through(Box::new(peer.clone()));
        }
        if spool_bytes > 0 {
            let spool = Spool::open(Box::new(disk.clone()), "plaintext", spool_bytes).unwrap();
            sinks.by_name("carbon").unwrap().attach(spool);
        }
        let schedule = Schedule::new(config.flush_interval, config.align_flush, now.unix);
        let flushing = Flushing::new(schedule, config.flush_interval);
        let mut wheel = Wheel::new();
        wheel.set(Timer::Flush, flushing.deadline(now));
        let engine = Engine::new(&super::settings::settings(config), SEEDS);
        Self { engine, encoders, flushing, sinks, wheel, busy: true }
    }
}
