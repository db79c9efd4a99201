//! A whole queue that must be emptied is emptied in slices, one share in each turn.

use super::*;
use crate::sink::Sinks;
use crate::sink::sink::Sink;
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::testing::{ScriptedNames, logged, patiently, with_queue};

/// The most that one turn may move: the share, and the chunk that passes it.
const SHARE: usize = (256 << 10) + CHUNK_BYTES;
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS: usize = 200;
const LINES_OF_CHUNK: usize = 10_000;
const LINES: u64 = (CHUNKS * LINES_OF_CHUNK) as u64;

fn spool(disk: &MemoryDisk) -> Spool {
    Spool::open(Box::new(disk.clone()), "plaintext", 1 << 30).unwrap()
}

/// A sink that reaches no peer, with [`CHUNKS`] in its queue.
fn full(disk: Option<&MemoryDisk>) -> Rig {
    let unused = listener().local_addr().unwrap();
    let mut rig = Rig::new(&carbon(unused));
    disk.into_iter().for_each(|disk| rig.sink.attach(spool(disk)));
    for _ in 0..CHUNKS {
        rig.flush(&"a 1 1\n".repeat(LINES_OF_CHUNK));
    }
    rig
}

fn leave(rig: &mut Rig) {
    rig.sink.begin_removal(rig.now.tick, rig.now, rig.poll.registry());
    assert!(rig.sink.is_removal_due(rig.now.tick));
}

#[test]
fn a_removed_destination_is_spilled_in_slices_without_waiting_for_the_disk() {
    let disk = MemoryDisk::default();
    let mut rig = full(Some(&disk));
    leave(&mut rig);
    let (mut turns, mut before) = (0, 0);
    loop {
        turns += 1;
        let is_done = rig.sink.spill_some();
        assert!(disk.bytes() - before <= SHARE, "{} bytes in a turn", disk.bytes() - before);
        before = disk.bytes();
        if is_done {
            break;
        }
        assert!(rig.sink.pump(rig.now, rig.poll.registry()) && !rig.sink.is_drained());
    }
    assert!(turns >= CHUNKS / 6, "{turns} turns");
    let figures = rig.sink.figures();
    assert_eq!((figures.dropped_lines, figures.queue_bytes, disk.syncs()), (0, 0, 0));
    assert_eq!(account(&rig.sink).spooled, LINES);
}

#[test]
fn without_a_spool_its_lines_are_counted_in_slices() {
    let mut rig = full(None);
    leave(&mut rig);
    let (mut before, mut is_done) = (0, false);
    while !is_done {
        is_done = rig.sink.spill_some();
        let dropped = rig.sink.figures().dropped_lines;
        assert!((dropped - before) <= (SHARE / 6) as u64, "{} in a turn", dropped - before);
        before = dropped;
    }
    assert_eq!(rig.sink.figures().dropped_lines, LINES);
}

#[test]
fn a_stop_during_a_spill_finishes_it_and_waits_for_the_disk() {
    let disk = MemoryDisk::default();
    let mut rig = full(Some(&disk));
    leave(&mut rig);
    assert!(!rig.sink.spill_some());
    assert!(rig.sink.needs_spill());
    rig.sink.spill();
    assert_eq!((account(&rig.sink).spooled, disk.syncs()), (LINES, 1));
}

/// Shows that a stop reports the lines that the disk did not take, whether it is full or not
/// writable.
#[test]
fn a_stop_reports_the_lines_that_the_disk_did_not_store() {
    for error in [libc::EROFS, libc::EIO, libc::ENOSPC] {
        logged();
        let disk = MemoryDisk::default();
        let mut rig = full(Some(&disk));
        disk.fail_writes(Some(error));
        rig.sink.spill();
        let lines: Vec<_> = logged().into_iter().map(|(_, line)| line).collect();
        let shown = format!("state=spooled spooled_lines=0 lost_lines={LINES} ");
        assert!(lines.iter().any(|line| line.contains(&shown)), "{error}: {lines:?}");
        assert_eq!(rig.sink.figures().dropped_lines, LINES);
    }
}

#[test]
fn a_destination_configured_again_during_a_spill_gets_all_chunks() {
    let disk = MemoryDisk::default();
    let listener = listener();
    let config = carbon(listener.local_addr().unwrap());
    let mut rig = Rig::new(&config);
    rig.sink.attach(spool(&disk));
    for second in 0..CHUNKS {
        rig.flush(&format!("a 1 {second:06}\n").repeat(1000));
    }
    rig.sink.begin_removal(rig.now.tick, rig.now, rig.poll.registry());
    assert!(!rig.sink.spill_some());
    assert!(disk.bytes() > 0);
    rig.sink.reconfigure(&config, feed(), rig.now);
    rig.flush("b 1 1\n"); // after it the spool is sent
    let mut client = rig.accept(&listener);
    let length = CHUNKS * 1000 * "a 1 000000\n".len() + "b 1 1\n".len();
    patiently("all of it", || {
        rig.advance(Duration::from_millis(10)); // acknowledgements are polled by this clock
        rig.turn();
        client.read().unwrap();
        (client.received.len() >= length).then_some(())
    });
    let mut lines: Vec<_> = client.received.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), client.received.len()), (CHUNKS + 1, length));
}

#[test]
fn a_smaller_queue_is_reached_in_slices() {
    let disk = MemoryDisk::default();
    let mut rig = full(Some(&disk));
    let unused = listener().local_addr().unwrap();
    let smaller = with_queue(1 << 20, carbon(unused));
    rig.sink.reconfigure(&smaller, feed(), rig.now);
    assert!(disk.bytes() <= SHARE, "{} bytes in the reload's turn", disk.bytes());
    let mut before = disk.bytes();
    let mut more = true;
    while more {
        more = rig.sink.tidy();
        assert!(disk.bytes() - before <= SHARE, "{} bytes in a turn", disk.bytes() - before);
        before = disk.bytes();
    }
    let account = account(&rig.sink);
    assert!(account.held_bytes <= 1 << 20, "{account:?}");
    assert_eq!(account.spooled + account.queued, LINES);
}

#[test]
fn a_smaller_share_of_the_spool_costs_no_chunk_until_others_need_the_room() {
    let [first, second] = [MemoryDisk::default(), MemoryDisk::default()];
    let mut rig = full(Some(&first));
    leave(&mut rig);
    while !rig.sink.spill_some() {}
    let before = first.bytes();
    let max_size = before as u64 + (1 << 20);
    rig.sink.limit_spool(max_size / 2);
    rig.sink.tidy();
    let unused = listener().local_addr().unwrap();
    let mut sinks = Sinks::default();
    let large = sinks.add(|_| rig.sink);
    assert_eq!(large.figures().spool_limit, Some(before as u64));
    let small = sinks.add(|index| {
        Sink::new(index, &with_queue(1, carbon(unused)), feed(), &ScriptedNames, 7, None)
    });
    small.attach(spool(&second));
    assert!(!sinks.bound_spools(max_size), "there is room");
    assert_eq!(first.bytes(), before);
    // Chunks of 64 KiB, of which all but the first MiB need room.
    for flush in 1..=20 {
        let chunk = Chunk::new("a 1 1\n".repeat(LINES_OF_CHUNK).into_bytes(), 10_000, flush);
        sinks.at(1).unwrap().push(chunk);
        let mut files = first.numbers().len();
        while sinks.bound_spools(max_size) {
            files -= 1;
            assert_eq!(first.numbers().len(), files, "one in a turn");
        }
        assert!((first.bytes() + second.bytes()) as u64 <= max_size);
    }
    assert!(first.bytes() < before && second.bytes() > 1 << 20);
    let [large, small] = [0, 1].map(|index| account(sinks.at(index).unwrap()));
    assert_eq!(large.spooled + large.dropped, LINES);
    assert!(large.dropped > 0 && small.dropped == 0, "{large:?} {small:?}");
}
