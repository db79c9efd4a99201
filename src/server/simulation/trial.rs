//! Trials: a seed each.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use statsd_bench::Random;

use super::books::{Judgement, Totals};
use super::file::Choices;
use super::network::{Dialling, Lost, Manner};
use super::world::World;
use crate::clock::Clock as _;

/// The number of trials, unless the environment says otherwise.
const TRIALS: u64 = if cfg!(optimised) { 1000 } else { 60 };
/// Trials run on this many threads.
const THREADS: usize = 2;
/// The tags of a counter.
const TAGS: [&str; 5] = ["", "", "|#env:prod,pod:x7", "|#pod:k2", "|#env:dev,pod:q,zone:a"];
/// A line tells how far the trials are after this many of them.
const PROGRESS: u64 = 1000;

struct ServerTrial {
    seed: u64,
    random: Random,
    world: World,
    names: Vec<String>,
    /// What the gauge that is set next is set to.
    level: u64,
    /// Delivered flushes that are retained. `None` where the queue may be too short for them, or
    /// where a reload has changed their number.
    keep: Option<u64>,
    /// A read from the disk failed: what an earlier run left there is cut off, or makes way
    /// uncounted. It is logged in bytes, not in lines.
    disk_failed: bool,
}

/// What the trials met with, so that we know that there was something to withstand.
#[derive(Debug, Default)]
struct Troubles {
    resets: usize,
    kills: u64,
    stops: u64,
    saved: u64,
    closed_early: u64,
    reloads: u64,
    removals: u64,
    overruns: u64,
    given_up: u64,
    /// Trials after which not one line was missing.
    whole: u64,
}

impl ServerTrial {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut choices = Choices::new(&mut random);
        let short_queue = Some(100_000).filter(|_| random.below::<u64>(3) == 0);
        if short_queue.is_none() {
            choices.queue = "64m";
        }
        let spool = *random.pick(&["", "", "1m", "64m"]);
        let is_large = random.below::<u64>(12) == 0;
        let (series, longest) =
            if is_large { (1300, 1) } else { (5 + random.below::<u64>(80), 400) };
        // No element is empty, or longer than a file's name.
        let long = format!("x{}", "xxxxxxxx.x".repeat(random.below::<usize>(longest) / 10));
        let keep = choices.keep;
        let retains = choices.resend == "flush" && short_queue.is_none();
        let world = World::new(choices, short_queue, spool, random.below::<u64>(3) == 0);
        if is_large {
            world.clock.set_cost(Duration::from_micros(400));
        } else {
            world.clock.set_cost(Duration::from_micros(*random.pick(&[20, 50, 50, 400])));
        }
        Self {
            seed,
            world,
            names: (0..series).map(|name| format!("k.{long}.{name}")).collect(),
            level: 0,
            disk_failed: false,
            keep: retains.then_some(keep),
            random,
        }
    }

    /// Faults and traffic for a while, then a calm in which all is to be delivered.
    fn run(mut self) -> Troubles {
        let kills = self.random.below::<u64>(3) == 0;
        for _ in 0..60 {
            self.send();
            let span = 1 + self.random.below::<u64>(600);
            self.world.run_for(Duration::from_millis(span));
            if self.random.below::<u64>(2) == 0 {
                self.trouble(kills);
            }
        }
        self.world.carbon.behave(|manner| *manner = Manner::WELL);
        self.world.extra.behave(|manner| *manner = Manner::WELL);
        self.world.disk.limit_room(None);
        self.world.disk.fail_reads(None);
        self.world.disk.fail_writes(None);
        self.world.drag = Duration::ZERO;
        self.change(|choices| {
            choices.has_carbon = true;
            choices.state = None;
        });
        self.calm();
        self.world.stop();
        self.judge()
    }

    /// Some traffic, by all ways in.
    fn send(&mut self) {
        for _ in 0..self.random.below::<u64>(12) {
            let lines = 1 + self.random.below::<u64>(8);
            let text = self.lines(lines, true);
            let name = self.world.choices.datagram;
            self.world.clients.send(text.as_bytes(), name);
        }
        if self.random.below::<u64>(12) == 0 {
            // More than a turn's share.
            let text = self.lines(2000, true);
            let most = text.len().min(50_000);
            let end = text[..most].rfind('\n').map_or(0, |end| end + 1);
            let name = self.world.choices.datagram;
            self.world.clients.send(&text.as_bytes()[..end], name);
        }
        if self.random.below::<u64>(3) == 0 {
            let resets = self.random.below::<u64>(3) == 0;
            self.world.connect(resets);
        }
        for _ in 0..self.random.below::<u64>(4) {
            self.stream();
        }
    }

    /// A client of a stream writes, ends or resets its connection.
    fn stream(&mut self) {
        let streams = self.world.clients.streams();
        if streams == 0 {
            return;
        }
        let at = self.random.below::<usize>(streams);
        match self.random.below::<u64>(8) {
            0 => self.world.clients.close(at),
            // With the NUL, it spoils an unfinished line also if the kernel takes a part of it.
            1 => self.world.clients.write(at, &[&b"\0"[..], &[b'y'; 20_000]].concat()),
            2 => self.world.clients.write(at, b"\nno sample\nk:\n"),
            _ => {
                let lines = 1 + self.random.below::<u64>(30);
                let text = self.lines(lines, false);
                let end = match self.random.below::<u64>(3) {
                    0 => text.len() - 1,
                    1 => self.random.below::<usize>(text.len()),
                    _ => text.len(),
                };
                // Begins with a newline, which ends what was left unfinished.
                self.world.clients.write(at, format!("\n{}", &text[..end]).as_bytes());
            }
        }
    }

    /// Gauges come by datagrams alone, which keep their order.
    fn lines(&mut self, lines: u64, has_gauges: bool) -> String {
        let mut text = String::new();
        for _ in 0..lines {
            if has_gauges && self.random.below::<u64>(10) == 0 {
                self.level += 1;
                text += &format!("g.{}:{}|g\n", self.random.below::<u64>(3), self.level);
            } else {
                let count = 1 + self.random.below::<u64>(9);
                let name = self.random.pick(&self.names);
                text += &format!("{name}:{count}|c{}\n", self.random.pick(&TAGS));
            }
        }
        text
    }

    fn trouble(&mut self, kills: bool) {
        let what = self.random.below::<u64>(if kills { 31 } else { 29 });
        if is_replay() {
            let now = self.world.clock.now();
            eprintln!("{:?}: trouble {what}", now.unix);
        }
        match what {
            what @ 0..15 => self.trouble_outside(what),
            15 | 16 => {
                if self.random.below::<u64>(2) == 0 {
                    self.send(); // it is read by the stop
                }
                self.world.stop();
            }
            17..22 => {
                let random = &mut self.random;
                let mut choices = self.world.choices.clone();
                choices.change(random);
                self.change(|now| *now = choices);
                if self.random.below::<u64>(4) == 0 {
                    self.world.stop(); // with a reload pending
                }
            }
            22 => self.world.reload(false),
            23 | 24 => self.world.remove_state_folder(self.random.below::<u64>(2) == 0),
            25 => self.world.mend_state_folder(),
            26 => {
                let far = *self.random.pick(&[300, 2500, 60_000, 3_600_000]);
                let millis = i64::try_from(1 + self.random.below::<u64>(far)).unwrap();
                self.world.step_wall(if self.random.below::<u64>(2) == 0 {
                    millis
                } else {
                    -millis
                });
            }
            27 | 28 if self.world.is_reloaded() => {
                let drag = *self.random.pick(&[0, 0, 100, 700]);
                self.world.drag = Duration::from_millis(drag);
            }
            27 | 28 => {}
            _ => {
                let text = self.lines(20, true);
                let sends = self.random.below::<u64>(2) == 0;
                self.world.kill(|world| {
                    let name = world.choices.datagram;
                    if sends {
                        world.clients.send(text.as_bytes(), name);
                    }
                });
            }
        }
    }

    /// Trouble of the network and of the spool's disk.
    fn trouble_outside(&mut self, what: u64) {
        let rates = [0, 1, 100, Manner::WELL.reads];
        let takes = [1, 100, 10_000, usize::MAX];
        let is_extra = self.random.below::<u64>(6) == 0;
        let carbon = if is_extra { &self.world.extra } else { &self.world.carbon }.clone();
        let disk = self.world.disk.clone();
        match what {
            0 => carbon.behave(|manner| manner.dialling = Dialling::Refused),
            1 => carbon.behave(|manner| manner.dialling = Dialling::Impossible),
            2 | 3 => carbon.behave(|manner| manner.reads = *self.random.pick(&rates)),
            4 => carbon.behave(|manner| manner.takes = *self.random.pick(&takes)),
            5 => carbon.behave(|manner| manner.carries = false),
            6 | 7 => carbon.dies(),
            8 => carbon.says_farewell(),
            9 => {
                disk.limit_room(Some(self.random.below::<usize>(200_000)));
                self.world.is_disk_faulty = true;
            }
            10 if self.random.below::<u64>(2) == 0 => {
                disk.fail_reads(Some(*self.random.pick(&[libc::EIO, libc::EMFILE])));
                self.disk_failed = true;
            }
            10 if self.random.below::<u64>(2) == 0 => {
                disk.fail_writes(Some(libc::EROFS));
                self.world.is_disk_faulty = true;
            }
            10 => {
                disk.fail_reads(None);
                disk.fail_writes(None);
            }
            11 => disk.limit_room(None),
            12 => carbon.behave(|manner| *manner = Manner { reads: 0, ..Manner::WELL }),
            13 if self.random.below::<u64>(3) == 0 => carbon.behave(|manner| manner.shuns = true),
            _ => carbon.behave(|manner| *manner = Manner::WELL),
        }
    }

    /// Reloads with other choices.
    fn change(&mut self, change: impl FnOnce(&mut Choices)) {
        let before = self.world.choices.clone();
        change(&mut self.world.choices);
        if !self.world.choices.retains_as(&before) {
            self.keep = None;
        }
        if !self.world.choices.listens_as(&before) {
            // A removed listener is read for 200 ms. Of slow turns that is less than one, and what
            // it holds is lost, as documented.
            self.world.drag = Duration::ZERO;
        }
        self.world.reload(true);
    }

    /// Whatever was before: after a while nothing waits any more, and the last file is in force.
    fn calm(&mut self) {
        for _ in 0..120 {
            self.world.run_for(Duration::from_secs(1));
            if self.world.is_reloaded() && self.world.is_delivered() {
                return;
            }
        }
        assert!(self.world.is_reloaded(), "the reload waits for two minutes");
        panic!("still waiting after two minutes: {:?}", self.world.account());
    }

    fn judge(self) -> Troubles {
        let Judgement { missing, lost, counted } = self.world.judge();
        let excused =
            missing.iter().filter(|line| self.is_known_to_be_lost(line, &lost)).count() as u64;
        assert!(
            self.disk_failed || missing.len() as u64 <= excused + counted,
            "{} lines are missing, {counted} were given up or died, {excused} were acknowledged long before; one: {}",
            missing.len(),
            missing.iter().next().unwrap().escape_ascii()
        );
        let Totals {
            kills, stops, saved, closed_early, reloads, removals, overruns, given_up, ..
        } = self.world.totals;
        Troubles {
            resets: self.world.carbon.resets(),
            kills,
            stops,
            saved,
            closed_early,
            reloads,
            removals,
            overruns,
            given_up,
            whole: u64::from(missing.is_empty()),
        }
    }

    /// Whether it is a line that TCP had taken for carbon long before carbon died without having
    /// read it (and it may have died more than once), or that would have been sent again, had this
    /// server not ended.
    fn is_known_to_be_lost(&self, line: &[u8], lost: &[Lost]) -> bool {
        let deaths = || lost.iter().filter(|lost| lost.line == line);
        let (Some(first), Some(last)) = (deaths().next(), deaths().next_back()) else {
            return false;
        };
        // A connection closed unread does not justify a loss.
        let mut read = deaths().filter(|lost| !lost.shunned);
        let first_read = read.next();
        let last_read = read.next_back().or(first_read);
        let is_old =
            |keep| first_read.zip(last_read).is_some_and(|(a, b)| b.died - a.acknowledged >= keep);
        let is_forgotten = self.world.totals.forgotten.iter().any(|end| *end >= last.died);
        first.left || last.left || is_forgotten || self.keep.is_none_or(is_old)
    }
}

impl Troubles {
    fn add(&mut self, other: &Self) {
        self.resets += other.resets;
        for (all, more) in [
            (&mut self.kills, other.kills),
            (&mut self.stops, other.stops),
            (&mut self.saved, other.saved),
            (&mut self.closed_early, other.closed_early),
            (&mut self.reloads, other.reloads),
            (&mut self.removals, other.removals),
            (&mut self.overruns, other.overruns),
            (&mut self.given_up, other.given_up),
            (&mut self.whole, other.whole),
        ] {
            *all += more;
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
fn run_trials(next: &AtomicU64, end: u64) -> Troubles {
    let mut all = Troubles::default();
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

/// Whether a single trial is run, which then shows its troubles.
fn is_replay() -> bool {
    number("SIMULATE_SEED").is_some()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().expect("a number"))
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

/// Shows that whatever the clients, the network, carbon, the disks, the clock and the operator do,
/// each sample is in one flush, and each line is delivered, or waits, or is counted.
#[test]
fn every_sample_is_flushed_once_and_every_line_accounted_for() {
    if number("SIMULATE_ALONE").is_none() {
        return run_alone(concat!(
            "server::simulation::trial::",
            "every_sample_is_flushed_once_and_every_line_accounted_for"
        ));
    }
    if let Some(seed) = number("SIMULATE_SEED") {
        crate::logging::to_stderr(log::LevelFilter::Debug, crate::logging::LogFormat::Text);
        let met = ServerTrial::new(seed).run();
        eprintln!("{met:?}");
        return;
    }
    let trials = number("SIMULATE_SEEDS").unwrap_or(TRIALS);
    let next = AtomicU64::new(0);
    let mut all = Troubles::default();
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
    eprintln!("{trials} trials: {all:?}");
    let least = trials.saturating_sub(10); // a few trials need not meet with everything
    let each = [all.stops, all.saved * 4, all.closed_early, all.reloads, all.removals * 4];
    assert!(each.iter().all(|met| *met >= least), "{all:?}");
    assert!(
        all.resets as u64 > least && all.kills * 4 > least && all.overruns * 200 > least,
        "{all:?}"
    );
    assert!(all.given_up > 5 * least && all.whole * 20 > least, "{all:?}");
}
