//! Random use, with crashes and a disk that fills up. Every lost line is counted, and no chunk
//! changes its place in the order.

use statsd_bench::Random;

use super::*;

struct Trial {
    disk: MemoryDisk,
    spool: Spool,
    random: Random,
    saved: u64,
    /// Chunks that are handed out and not released, each with its number.
    out: Vec<(u64, Record)>,
    /// The number of the newest chunk that was released.
    released: u64,
    arrived_lines: u64,
    accepted_lines: u64,
}

const ROOM: usize = 12;

impl Trial {
    fn new(seed: u64) -> Self {
        let disk = MemoryDisk::default();
        let spool = small(&disk, ROOM);
        let random = Random::new(seed);
        let saved = 0;
        let released = 0;
        Self {
            disk,
            spool,
            random,
            saved,
            out: vec![],
            released,
            arrived_lines: 0,
            accepted_lines: 0,
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..6 => self.save(),
            6..11 => self.hand_out(),
            11..15 => self.release(),
            15..17 => self.recall(),
            17 => self.fill_or_empty_the_disk(),
            18 if self.random.one_in(4) => self.lose(),
            18 if self.random.one_in(4) => self.limit(),
            18 => self.drop_recalled(),
            _ => self.crash(),
        }
        self.spool.write_due_note(); // the loop does this once a turn
        self.check();
    }

    fn save(&mut self) {
        self.saved += 1;
        let lines = 1 + self.random.below(9);
        let line = format!("{} {}\n", self.saved, "x".repeat(60));
        self.accepted_lines += u64::from(lines);
        self.spool.save(&Chunk::new(line.repeat(lines as usize).into_bytes(), lines, 1));
    }

    fn hand_out(&mut self) {
        let Some(record) = self.spool.take_next() else { return };
        let text = String::from_utf8(record.bytes.clone()).unwrap();
        let number = text.split(' ').next().unwrap().parse().unwrap();
        let before = self.out.last().map_or(self.released, |(before, _)| *before);
        assert!(number > before, "{number} after {before}");
        self.out.push((number, record));
    }

    fn release(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let (number, record) = self.out.remove(0);
        if !record.arrived {
            self.spool.note_arrived(record.place);
            self.arrived_lines += u64::from(record.lines);
        }
        self.spool.release(record.place);
        self.released = number;
    }

    /// Recalls all chunks from a random one on. The chunks before it stay handed out.
    fn recall(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let from = self.random.below(self.out.len());
        self.spool.recall(self.out[from].1.place);
        self.out.truncate(from);
    }

    fn drop_recalled(&mut self) {
        let Some((_, first)) = self.out.first().filter(|(_, first)| !first.arrived) else { return };
        let place = first.place;
        let lines = first.lines;
        let there = self.disk.numbers().contains(&place.segment);
        self.spool.recall(place);
        self.out.clear();
        if there {
            self.spool.drop_recalled(place, lines);
        }
    }

    /// Removes a segment, or all of them, as another process might.
    fn lose(&mut self) {
        let numbers = self.disk.numbers();
        match self.random.below(3) {
            0 => self.disk.lose_all(),
            _ if numbers.is_empty() => {}
            at => self.disk.lose(numbers[usize::try_from(at).unwrap() % numbers.len()]),
        }
        if self.random.one_in(2) {
            self.spool.wake();
        }
    }

    /// A reload sets another share.
    fn limit(&mut self) {
        let chunks = 1 + self.random.below(ROOM);
        let before = self.disk.bytes();
        self.spool.limit((chunks * RECORD + chunks.div_ceil(2) * PREAMBLE) as u64);
        assert_eq!(self.disk.bytes(), before);
    }

    fn fill_or_empty_the_disk(&mut self) {
        let room = self.random.below(600);
        self.disk.limit_room((room < 300).then_some(room));
    }

    /// Ends the run. The next one counts from zero: found chunks count as accepted when they are
    /// read.
    fn crash(&mut self) {
        self.out.clear();
        self.disk = self.disk.snapshot();
        self.spool = small(&self.disk, ROOM);
        (self.arrived_lines, self.accepted_lines) = (0, 0);
    }

    fn check(&self) {
        let SpoolTally { found_lines, dropped_lines, .. } = self.spool.tally();
        let waiting = self.spool.waiting_lines();
        let accounted = self.arrived_lines + dropped_lines + waiting;
        assert_eq!(self.accepted_lines + found_lines, accounted, "every line is somewhere, once");
        let room = ROOM * RECORD + ROOM.div_ceil(2) * PREAMBLE;
        assert!(self.disk.bytes() <= room, "{} bytes of {room}", self.disk.bytes());
        let most = self.spool.max_bytes();
        assert!(self.disk.bytes() as u64 <= most, "{} bytes of {most}", self.disk.bytes());
    }
}

struct Label(u64, usize);

impl Drop for Label {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} step {}", self.0, self.1);
        }
    }
}

#[test]
fn every_line_is_accounted_for() {
    for seed in 0..300 {
        let mut label = Label(seed, 0);
        let mut trial = Trial::new(seed);
        for step in 0..300 {
            label.1 = step;
            trial.step();
        }
    }
}
