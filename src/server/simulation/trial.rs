//! Trials: a seed each.

use std::time::Duration;

use statsd_bench::Random;

use super::network::{Dialling, Lost, Manner};
use super::{Judgement, World};

/// Each has its own configuration, traffic and troubles.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 2000 };

struct Trial {
    seed: u64,
    random: Random,
    world: World,
    names: Vec<String>,
    /// What was counted, in all.
    counted: u64,
    kills: u64,
    stops: u64,
    /// Delivered flushes that are retained; none where the queue may be too short for them.
    keep: Option<u64>,
    /// A read from the disk failed: what an earlier run left there is cut off, or makes way uncounted; logged in bytes, not in
    /// lines.
    disk_failed: bool,
}

/// What a trial met with, so that we know that there was something to withstand.
#[derive(Debug, Default)]
struct Troubles {
    resets: usize,
    kills: u64,
    stops: u64,
    given_up: u64,
    /// Trials after which not one line was missing.
    whole: u64,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let resend = *random.pick(&["flush", "flush", "flush", "unacked", "none"]);
        let queue = *random.pick(&[64 << 20, 64 << 20, 100_000]);
        let keep = 1 + random.below(3);
        let write_timeout = 2 + random.below(4);
        let carbon = format!(
            "resend = {resend}\nresend_keep = {keep}\nwrite_timeout = {write_timeout}s\n\
             connect_timeout = 1s\nreconnect_max = 2s"
        );
        let spool_bytes = *random.pick(&[0, 0, 1 << 20, 64 << 20]);
        let series = 5 + random.below(80);
        let long = "x".repeat(random.below(400));
        Self {
            seed,
            world: World::new(&carbon, queue, spool_bytes),
            names: (0..series).map(|name| format!("k.{long}.{name}")).collect(),
            counted: 0,
            kills: 0,
            stops: 0,
            disk_failed: false,
            keep: (resend == "flush" && queue == 64 << 20).then_some(keep),
            random,
        }
    }

    /// Faults and traffic for a while, then a calm in which all is to be delivered.
    fn run(mut self) -> Troubles {
        let kills = self.below(3) == 0;
        for _ in 0..60 {
            self.count();
            let span = 1 + self.below(600);
            self.world.run_for(Duration::from_millis(span));
            if self.below(2) == 0 {
                self.trouble(kills);
            }
        }
        self.world.carbon.behave(|manner| *manner = Manner::WELL);
        self.world.disk.limit_room(None);
        self.world.disk.fail_reads(None);
        self.world.disk.fail_writes(None);
        self.calm();
        self.world.stop(Duration::from_secs(5));
        self.judge()
    }

    fn count(&mut self) {
        for _ in 0..self.below(60) {
            let count = 1 + self.below(9);
            let name = self.random.pick(&self.names);
            self.world.run.engine.packet(format!("{name}:{count}|c").as_bytes());
            self.counted += count;
        }
    }

    fn trouble(&mut self, kills: bool) {
        let what = self.below(if kills { 18 } else { 16 });
        let rates = [0, 1, 100, Manner::WELL.reads];
        let takes = [1, 100, 10_000, usize::MAX];
        let (carbon, disk) = (self.world.carbon.clone(), self.world.disk.clone());
        match what {
            0 => carbon.behave(|manner| manner.dialling = Dialling::Refused),
            1 => carbon.behave(|manner| manner.dialling = Dialling::Impossible),
            2 | 3 => carbon.behave(|manner| manner.reads = *self.random.pick(&rates)),
            4 => carbon.behave(|manner| manner.takes = *self.random.pick(&takes)),
            5 => carbon.behave(|manner| manner.carries = false),
            6 | 7 => carbon.dies(),
            8 => carbon.says_farewell(),
            9 => disk.limit_room(Some(usize::try_from(self.below(200_000)).unwrap())),
            10 if self.below(2) == 0 => {
                disk.fail_reads(Some(*self.random.pick(&[libc::EIO, libc::EMFILE])));
                self.disk_failed = true;
            }
            10 if self.below(2) == 0 => disk.fail_writes(Some(libc::EROFS)),
            10 => {
                disk.fail_reads(None);
                disk.fail_writes(None);
            }
            11 => disk.limit_room(None),
            12 => carbon.behave(|manner| *manner = Manner { reads: 0, ..Manner::WELL }),
            13 if self.below(3) == 0 => carbon.behave(|manner| manner.shuns = true),
            13 | 14 => carbon.behave(|manner| *manner = Manner::WELL),
            15 => {
                self.stops += 1;
                let patience = self.below(3000);
                self.world.stop(Duration::from_millis(500 + patience));
            }
            _ => {
                self.kills += 1;
                self.world.kill();
                self.counted = 0; // what the open interval held is gone
            }
        }
    }

    /// Whatever was before: in a while nothing waits any more.
    fn calm(&mut self) {
        for _ in 0..120 {
            self.world.run_for(Duration::from_secs(1));
            let account = self.world.account();
            if account.spooled == 0 && account.queued == 0 {
                return;
            }
        }
        panic!("still waiting after two minutes: {:?}", self.world.account());
    }

    fn judge(self) -> Troubles {
        let world = &self.world;
        let Judgement { sent, missing, lost } = world.judge();
        let excused =
            missing.iter().filter(|line| self.is_known_to_be_lost(line, &lost)).count() as u64;
        let (given_up, died) = (world.given_up, world.died);
        assert!(
            self.disk_failed || missing.len() as u64 <= excused + given_up + died,
            "{} lines are missing, {given_up} were given up, {died} died, {excused} were acknowledged long before; one: {}",
            missing.len(),
            missing.iter().next().unwrap().escape_ascii()
        );
        if self.kills == 0 {
            let counts = sent.iter().map(|(line, times)| count_of(line) * times);
            assert_eq!(counts.sum::<u64>(), self.counted);
        }
        Troubles {
            resets: world.carbon.resets(),
            kills: self.kills,
            stops: self.stops,
            given_up,
            whole: u64::from(missing.is_empty()),
        }
    }

    /// Whether it is a line that TCP had taken for carbon long before carbon died without having read it (and it may have
    /// died more than once), or that would have been sent again, had this server not ended.
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
        let is_forgotten = self.world.forgotten.iter().any(|end| *end >= last.died);
        first.left || last.left || is_forgotten || self.keep.is_none_or(is_old)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }
}

/// What a line says of one of our counters.
fn count_of(line: &[u8]) -> u64 {
    let line = str::from_utf8(line).unwrap();
    match line.strip_prefix("stats_counts.k.").map(|line| line.split(' ').nth(1)) {
        Some(count) => count.unwrap().parse().unwrap(),
        None => 0,
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.seed);
        }
    }
}

/// Shows that whatever the network, carbon and the disk do, each line is delivered, or waits, or is counted.
#[test]
fn every_line_is_delivered_or_accounted_for() {
    let mut all = Troubles::default();
    for seed in 0..SEEDS {
        let met = Trial::new(seed).run();
        all.resets += met.resets;
        all.kills += met.kills;
        all.stops += met.stops;
        all.given_up += met.given_up;
        all.whole += met.whole;
    }
    assert!(all.resets > 300 && all.kills > 50 && all.stops > 100, "{all:?}");
    assert!(all.given_up > 1000 && all.whole > 50, "{all:?}");
}
