//! Trials: a seed each.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use statsd_bench::Random;

use super::admin_clients::COMMANDS;
use super::clients::Close;
use super::coverage::Coverage;
use super::cut_bytes;
use super::destinations::CARBON;
use super::file::{Choices, Configured, Listens};
use super::network::{Behaviour, Dialling};

use super::variables::{is_replay, number};
use super::world::World;
use crate::clock::Clock as _;

/// The number of trials, unless the environment sets another.
const TRIALS: u64 = if cfg!(optimised) { 1000 } else { 60 };
/// Trials run on this many threads.
const THREADS: usize = 2;
/// Rounds of traffic and faults in a trial.
const ROUNDS: usize = 30;
/// The tags of a counter.
const TAGS: [&str; 5] = ["", "", "|#env:prod,pod:x7", "|#pod:k2", "|#env:dev,pod:q,zone:a"];
/// A line shows how far the trials are after this many of them.
const PROGRESS: u64 = 1000;

struct ServerTrial {
    seed: u64,
    random: Random,
    world: World,
    names: Vec<String>,
    /// The value of the gauge that is set next.
    level: u64,
    /// Whether limits are small. Then each sample counts 1, and there are no gauges, whose samples
    /// could not be counted.
    is_limited: bool,
    /// Delivered flushes that are retained. `None` where the queue may be too short for them, or
    /// where a reload has changed their number.
    keep: Option<u64>,
}

impl ServerTrial {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut choices = Choices::new(&mut random);
        let short_queue = Some(100_000).filter(|_| random.one_in(3));
        if short_queue.is_none() {
            choices.queue = "64m";
        }
        let spool = *random.pick(&["", "", "1m", "64m"]);
        let is_large = random.one_in(14);
        let (series, longest) =
            if is_large { (1300, 1) } else { (5 + random.below::<u64>(60), 400) };
        // No element is empty, or longer than a file's name.
        let long = format!("x{}", "xxxxxxxx.x".repeat(random.below::<usize>(longest) / 10));
        let keep = choices.keep;
        let retains = choices.resend == "flush" && short_queue.is_none();
        let is_limited = choices.limits.is_some();
        let cost = if is_large { 400 } else { *random.pick(&[20, 50, 50, 400]) };
        cut_bytes::take();
        let world = World::new(choices, short_queue, spool, random.one_in(3), cost > 50);
        world.clock.set_cost(Duration::from_micros(cost));
        Self {
            seed,
            world,
            names: (0..series).map(|name| format!("k.{long}.{name}")).collect(),
            level: 0,
            is_limited,
            keep: retains.then_some(keep),
            random,
        }
    }

    /// Faults and traffic for a while, then none, so that all is to be delivered.
    fn run(mut self) -> Coverage {
        let kills = self.random.one_in(3);
        for _ in 0..ROUNDS {
            self.send();
            self.use_admin();
            let span = 1 + self.random.below::<u64>(600);
            self.world.run_for(Duration::from_millis(span));
            self.world.check_counters();
            if self.random.one_in(2) {
                self.fault(kills);
            }
        }
        if self.is_limited && self.random.one_in(4) {
            self.world.send_udp_from_many(b"k.senders:1|c");
        }
        self.end_faults();
        self.recover();
        self.world.check_admin();
        self.world.stop();
        self.finish()
    }

    /// Some traffic, by all ways in.
    fn send(&mut self) {
        for _ in 0..self.random.below::<u64>(12) {
            let by_udp = self.random.one_in(3);
            let lines = 1 + self.random.below::<u64>(8);
            // Gauges come by one socket alone, which keeps their order.
            let text = self.lines(lines, !by_udp);
            self.send_datagram(text.as_bytes(), by_udp);
        }
        if self.random.one_in(12) {
            // More than a turn's share.
            let text = self.lines(2000, true);
            let most = text.len().min(50_000);
            let end = text[..most].rfind('\n').map_or(0, |end| end + 1);
            self.send_datagram(&text.as_bytes()[..end], false);
        }
        if self.random.one_in(20) {
            // More than the smallest receive buffer holds.
            for _ in 0..20 {
                let text = self.lines(2, false);
                self.send_datagram(text.as_bytes(), true);
            }
        }
        if self.random.one_in(10) {
            self.send_key_values();
        }
        if self.random.one_in(3) {
            let by_tcp = self.random.one_in(2);
            self.world.connect(by_tcp);
        }
        for _ in 0..self.random.below::<u64>(4) {
            self.use_stream();
        }
    }

    fn send_datagram(&mut self, text: &[u8], by_udp: bool) {
        if by_udp {
            self.world.send_udp(text);
        } else {
            let name = self.world.choices.listens.datagram;
            self.world.clients.send(text, name);
        }
    }

    /// More key/values, or samples of one timer, than a small memory holds.
    fn send_key_values(&mut self) {
        let are_timings = self.random.one_in(2);
        let most = if self.is_limited { 12_000 } else { 50 };
        let mut text = String::new();
        for at in 0..self.random.below::<u64>(most) {
            if text.len() > 20_000 {
                self.send_datagram(text.as_bytes(), false);
                text.clear();
            }
            if are_timings {
                text += &format!("t.{}:{at}|ms\n", self.random.below::<u64>(3));
            } else {
                text += &format!("v.{at}:1|kv\n");
            }
        }
        self.send_datagram(text.as_bytes(), false);
    }

    /// A client of a stream writes, ends or resets its connection.
    fn use_stream(&mut self) {
        let streams = self.world.clients.streams();
        if streams == 0 {
            return;
        }
        let at = self.random.below::<usize>(streams);
        match self.random.below::<u64>(9) {
            0 => self.world.clients.close(at, Close::Finished),
            1 => self.world.clients.close(at, Close::Reset),
            // With the NUL, it spoils an unfinished line also if the kernel takes a part of it.
            2 => self.world.clients.write(at, &[&b"\0"[..], &[b'y'; 20_000]].concat()),
            3 => {
                // A name that carbon can store. Otherwise the console would get more lines than it.
                let long = format!("z{}", ".zzzzzz".repeat(100));
                let text = format!("\nno sample\nk:\n{long}:1|c\n");
                self.world.clients.write(at, text.as_bytes());
            }
            _ => {
                let lines = 1 + self.random.below::<u64>(30);
                let text = self.lines(lines, false);
                let end = match self.random.below::<u64>(3) {
                    0 => text.len() - 1,
                    1 => self.random.below::<usize>(text.len()),
                    _ => text.len(),
                };
                // A timing cut off there would be a meter, which counts as a counter.
                let end = end - usize::from(text[..end].ends_with("|m"));
                // Begins with a newline, which ends what was left unfinished.
                self.world.clients.write(at, format!("\n{}", &text[..end]).as_bytes());
            }
        }
    }

    fn lines(&mut self, lines: u64, may_have_gauges: bool) -> String {
        let mut text = String::new();
        for _ in 0..lines {
            if may_have_gauges && !self.is_limited && self.random.one_in(10) {
                self.level += 1;
                text += &format!("g.{}:{}|g\n", self.random.below::<u64>(3), self.level);
            } else if self.random.one_in(20) {
                text += &format!("t.{}:1|ms\n", self.random.below::<u64>(9));
            } else {
                let count = if self.is_limited { 1 } else { 1 + self.random.below::<u64>(9) };
                let name = self.random.pick(&self.names);
                text += &format!("{name}:{count}|c{}\n", self.random.pick(&TAGS));
            }
        }
        text
    }

    /// Clients of the admin port connect, ask, read or do not read, and leave.
    fn use_admin(&mut self) {
        if self.random.one_in(8) {
            let is_slow = self.random.one_in(3);
            self.world.connect_admin(is_slow);
        }
        let clients = self.world.admin.len();
        if clients == 0 {
            return;
        }
        let at = self.random.below::<usize>(clients);
        match self.random.below::<u64>(8) {
            0 => self.world.admin.close(at),
            1..4 => {
                let command = *self.random.pick(&COMMANDS);
                self.world.admin.write(at, command);
            }
            4 | 5 => _ = self.world.admin.read(),
            _ => {}
        }
    }

    fn fault(&mut self, kills: bool) {
        let what = self.random.below::<u64>(if kills { 34 } else { 32 });
        if is_replay() {
            eprintln!("{:?}: fault {what}", self.world.clock.now().unix);
        }
        match what {
            0..15 => self.fault_outside(what),
            15 | 16 => {
                if self.random.one_in(2) {
                    self.send(); // it is read by the stop
                }
                self.world.restart();
            }
            17..22 => {
                let mut choices = self.world.choices.clone();
                choices.change(&mut self.random);
                self.change(|now| *now = choices);
                if self.random.one_in(4) {
                    if self.random.one_in(2) {
                        self.world.run_for(Duration::from_millis(1)); // begins the reload
                    }
                    self.world.restart(); // with a reload pending
                }
            }
            22 if self.random.one_in(4) => self.world.reload(false),
            22 => {
                let mut choices = self.world.choices.clone();
                choices.change(&mut self.random);
                let by_port = self.random.one_in(2);
                self.world.reload_in_vain(choices, by_port);
            }
            23 | 24 => self.world.remove_state_folder(self.random.one_in(2)),
            25 => self.world.make_state_folder(),
            26 => {
                let far = *self.random.pick(&[300, 2500, 60_000, 3_600_000]);
                let millis = i64::try_from(1 + self.random.below::<u64>(far)).unwrap();
                self.world.step_wall(if self.random.one_in(2) { millis } else { -millis });
            }
            27 | 28 if self.world.is_reloaded() => {
                let extra = *self.random.pick(&[0, 0, 100, 700]);
                self.world.extra_time = Duration::from_millis(extra);
            }
            27 | 28 => {}
            29 => {
                let opens = self.random.one_in(2);
                self.world.ganglia.switch(opens);
            }
            30 => {
                let rate = *self.random.pick(&[0, 1, 100, usize::MAX]);
                self.world.destinations.console().set_rate(rate);
            }
            31 if self.random.one_in(3) => self.world.destinations.console().close(),
            31 => self.world.destinations.console().set_rate(usize::MAX),
            _ => {
                let text = self.lines(20, true);
                let sends = self.random.one_in(2);
                self.world.kill(|world| {
                    let name = world.choices.listens.datagram;
                    if sends {
                        world.clients.send(text.as_bytes(), name);
                    }
                });
            }
        }
    }

    /// A fault of the network, of a peer, or of the disk of a spool.
    fn fault_outside(&mut self, what: u64) {
        let rates = [0, 1, 100, Behaviour::WELL.reads];
        let takes = [1, 100, 10_000, usize::MAX];
        let name = *self.random.pick(&[
            CARBON,
            CARBON,
            CARBON,
            "carbon.extra",
            "influxdb",
            "influxdb",
            "repeater.extra",
        ]);
        let to = self.world.destinations.named(name);
        let peer = to.peer.clone().expect("it is simulated");
        let random = &mut self.random;
        match what {
            0 => peer.behave(|peer| peer.dialling = Dialling::Refused),
            1 => peer.behave(|peer| peer.dialling = Dialling::Impossible),
            2 | 3 => peer.behave(|peer| peer.reads = *random.pick(&rates)),
            4 => peer.behave(|peer| peer.takes = *random.pick(&takes)),
            5 => peer.behave(|peer| peer.carries = false),
            6 | 7 => peer.crash(),
            8 => peer.close_connections(),
            9..12 => self.fault_disk(what, name),
            12 => peer.behave(|peer| *peer = Behaviour { reads: 0, ..Behaviour::WELL }),
            13 if random.one_in(3) => peer.behave(|peer| peer.closes_early = true),
            13 => peer.behave(|peer| peer.status = *random.pick(&[0, 204, 400, 503])),
            _ => peer.behave(|peer| *peer = Behaviour::WELL),
        }
    }

    fn fault_disk(&mut self, what: u64, name: &str) {
        let random = &mut self.random;
        let Some(disk) = self.world.destinations.named(name).disk.clone() else { return };
        match what {
            9 => disk.limit_room(Some(random.below::<usize>(200_000))),
            10 if random.one_in(2) => {
                disk.fail_reads(Some(*random.pick(&[libc::EIO, libc::EMFILE])));
            }
            10 if random.one_in(2) => disk.fail_writes(Some(libc::EROFS)),
            10 => {
                disk.fail_reads(None);
                disk.fail_writes(None);
            }
            _ => disk.limit_room(None),
        }
    }

    /// Lets the spools be read to their ends while their disks are damaged.
    fn damage_spools(&mut self) {
        for to in &self.world.destinations.faulty {
            to.peer.iter().for_each(|peer| peer.behave(|peer| *peer = Behaviour::WELL));
            to.disk.iter().for_each(|disk| disk.fail_reads(Some(libc::EIO)));
        }
        self.world.run_for(Duration::from_millis(4500)); // some waits before a new attempt
    }

    /// Reloads with other choices.
    fn change(&mut self, change: impl FnOnce(&mut Choices)) {
        let before = self.world.choices.clone();
        change(&mut self.world.choices);
        if !self.world.choices.retains_as(&before) {
            self.keep = None;
        }
        if self.world.choices.listens != before.listens {
            // A removed listener is read for 200 ms. Of slow turns that is less than one, and what
            // it holds is lost, as documented.
            self.world.extra_time = Duration::ZERO;
        }
        self.world.reload(true);
    }

    fn end_faults(&mut self) {
        if self.random.one_in(4) {
            self.damage_spools();
        }
        for to in &self.world.destinations.faulty {
            to.peer.iter().for_each(|peer| peer.behave(|peer| *peer = Behaviour::WELL));
            if let Some(disk) = &to.disk {
                disk.limit_room(None);
                disk.fail_reads(None);
                disk.fail_writes(None);
            }
        }
        self.world.ganglia.switch(true);
        self.world.destinations.console().set_rate(usize::MAX);
        self.world.extra_time = Duration::ZERO;
        self.change(|choices| {
            choices.has = Configured::ALL;
            choices.state = None;
            choices.listens =
                Listens { stream: true, datagram: "one", udp: true, tcp: true, admin: true };
        });
    }

    /// Whatever was before: after a while nothing waits any more, and the last file is in force.
    fn recover(&mut self) {
        for _ in 0..120 {
            // Not whole seconds: each could end with a flush, whose lines wait for a moment.
            self.world.run_for(Duration::from_millis(970));
            if self.world.is_reloaded() && self.world.are_delivered() {
                return;
            }
        }
        assert!(self.world.is_reloaded(), "the reload waits for two minutes");
        panic!("still waiting after two minutes: {:?}", self.world.destinations.accounts());
    }

    fn finish(mut self) -> Coverage {
        self.world.check_samples();
        let cut_bytes = cut_bytes::take();
        let mut is_complete = true;
        for missing in self.world.destinations.missing() {
            is_complete &= missing.name != CARBON || missing.lines.is_empty();
            missing.check(self.keep, cut_bytes);
        }
        let to = self.world.destinations.named(CARBON);
        let resets = to.peer.as_ref().map_or(0, |peer| peer.resets() as u64);
        Coverage {
            resets,
            removals: self.world.destinations.removals(),
            counted: self.world.destinations.counted(),
            cut_bytes,
            complete: u64::from(is_complete),
            ..std::mem::take(&mut self.world.coverage)
        }
    }
}

/// Set once a trial has failed: no other begins.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

impl Drop for ServerTrial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            HAS_FAILED.store(true, Ordering::Relaxed);
            eprintln!("trial {} has failed; to run it alone: make simulate SEED={0}", self.seed);
        }
    }
}

/// Runs trials, from seed 0 on, until there are no more.
fn run_trials(next: &AtomicU64, end: u64) -> Coverage {
    let mut all = Coverage::default();
    while !HAS_FAILED.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        all.add(&ServerTrial::new(seed).run());
        if (seed + 1).is_multiple_of(PROGRESS) {
            eprintln!("{} trials", seed + 1);
        }
    }
    all
}

/// Runs the trials in a process of their own, and fails if they fail.
///
/// Other tests of this process start children. Between its fork and its exec, a child holds copies
/// of all sockets and locks of the trials, so that a close takes effect later than in a run of the
/// trials alone.
fn run_alone(name: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("SIMULATE_ALONE", "1")
        .status();
    assert!(status.unwrap().success(), "see above");
}

/// Shows that whatever the clients, the network, the destinations, the disks, the clock and the
/// operator do, each sample is in one flush or counted, and each line is delivered, or waits, or is
/// counted.
#[test]
fn every_sample_is_flushed_once_and_every_line_accounted_for() {
    if number("SIMULATE_ALONE").is_none() {
        return run_alone(concat!(
            "server::simulation::trial::",
            "every_sample_is_flushed_once_and_every_line_accounted_for"
        ));
    }
    cut_bytes::install(is_replay());
    if let Some(seed) = number("SIMULATE_SEED") {
        let met = ServerTrial::new(seed).run();
        eprintln!("{met:?}");
        return;
    }
    let trials = number("SIMULATE_SEEDS").unwrap_or(TRIALS);
    let next = AtomicU64::new(0);
    let mut all = Coverage::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| run_trials(&next, trials))).collect();
        for thread in threads {
            if let Ok(met) = thread.join() {
                all.add(&met);
            }
        }
    });
    assert!(!HAS_FAILED.load(Ordering::Relaxed), "see above");
    eprintln!("{trials} trials: {all:#?}");
    all.check(trials);
}
