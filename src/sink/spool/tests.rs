//! Each promise of the spool as a scenario. Chunks have 100 bytes and ten lines, and are identified
//! by their first byte.

use std::rc::Rc;

use super::testing::MemoryDisk;
use super::*;
use crate::encode::chunk::{CHUNK_BYTES, Chunk};

mod damage;
mod random;

const RECORD: usize = HEAD + 100;

fn chunk(name: char) -> Rc<Chunk> {
    Chunk::new(format!("{name}23456789\n").repeat(10).into_bytes(), 10, 1)
}

fn open(disk: &MemoryDisk) -> Spool {
    Spool::open(Box::new(disk.clone()), "plaintext", 1 << 20).unwrap()
}

/// A spool that takes `records` chunks in all, two in a segment.
fn small(disk: &MemoryDisk, records: usize) -> Spool {
    let room = (records * RECORD + records.div_ceil(2) * PREAMBLE) as u64;
    let mut spool = Spool::open(Box::new(disk.clone()), "plaintext", room).unwrap();
    spool.segment_bytes = (PREAMBLE + 2 * RECORD) as u64;
    spool
}

fn save(spool: &mut Spool, names: &str) {
    names.chars().for_each(|name| spool.save(&chunk(name)));
}

/// Hands out up to `count` chunks.
fn hand_out(spool: &mut Spool, count: usize) -> Vec<Record> {
    std::iter::from_fn(|| spool.take_next()).take(count).collect()
}

fn names(records: &[Record]) -> String {
    records.iter().map(|record| char::from(record.bytes[0])).collect()
}

/// Reads and releases all there is.
fn drain(spool: &mut Spool) -> String {
    let records = hand_out(spool, usize::MAX);
    records.iter().for_each(|record| spool.release(record.place));
    names(&records)
}

#[test]
fn chunks_are_handed_out_unchanged_oldest_first() {
    let mut spool = small(&MemoryDisk::default(), 100);
    assert!(!spool.has_more() && spool.take_next().is_none());
    save(&mut spool, "abcde");
    let records = hand_out(&mut spool, 2);
    assert_eq!((names(&records), records[0].lines), ("ab".into(), 10));
    assert_eq!(records[0].bytes, chunk('a').bytes());
    save(&mut spool, "f");
    assert_eq!(names(&hand_out(&mut spool, 9)), "cdef");
    assert!(!spool.has_more());
}

#[test]
fn unreleased_chunks_are_handed_out_again_and_marked() {
    let mut spool = small(&MemoryDisk::default(), 100);
    save(&mut spool, "abcd");
    let records = hand_out(&mut spool, 4);
    for record in &records[..3] {
        spool.note_begun(record.place);
    }
    spool.note_arrived(records[0].place);
    spool.note_arrived(records[1].place);
    spool.release(records[0].place);
    assert_eq!(spool.waiting_lines(), 20);
    spool.recall(records[1].place);
    let again = hand_out(&mut spool, 9);
    assert_eq!(names(&again), "bcd");
    let known: Vec<_> = again.iter().map(|record| (record.arrived, record.begun)).collect();
    assert_eq!(known, [(true, true), (false, true), (false, false)]);
}

#[test]
fn a_segment_is_removed_when_all_of_it_is_released() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    save(&mut spool, "abcde");
    assert_eq!(disk.numbers(), [1, 2, 3]);
    let records = hand_out(&mut spool, 5);
    for (at, left) in
        [(0, vec![1, 2, 3]), (1, vec![2, 3]), (2, vec![2, 3]), (3, vec![3]), (4, vec![])]
    {
        spool.release(records[at].place);
        assert_eq!(disk.numbers(), left, "{at} released");
    }
    assert_eq!(spool.waiting_bytes(), 0);
    save(&mut spool, "f");
    assert_eq!((disk.numbers(), drain(&mut spool)), (vec![4], "f".into()));
}

#[test]
fn a_full_spool_drops_its_oldest_segment_and_reports_it_once() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 6);
    save(&mut spool, "abcdef");
    assert_eq!(spool.tally().dropped_lines, 0);
    save(&mut spool, "g");
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (20, vec![SpoolEvent::Full]));
    save(&mut spool, "hi");
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (40, vec![]));
    assert!(disk.bytes() <= 6 * RECORD + 3 * PREAMBLE);
    assert_eq!(drain(&mut spool), "efghi");
    assert_eq!(spool.waiting_lines(), 0);
}

#[test]
fn a_spool_that_is_over_its_share_grows_no_further_and_falls_to_it() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 8);
    save(&mut spool, "abcdefgh");
    let before = disk.bytes();
    let share = (2 * (PREAMBLE + 2 * RECORD)) as u64; // half of what it has
    spool.limit(share);
    spool.segment_bytes = (PREAMBLE + 2 * RECORD) as u64;
    assert_eq!((disk.bytes(), spool.max_bytes()), (before, before as u64));
    save(&mut spool, "ij"); // one segment makes room for both
    assert_eq!((spool.tally().dropped_lines, disk.bytes()), (20, before));
    hand_out(&mut spool, 4).iter().for_each(|record| spool.release(record.place));
    assert_eq!(spool.max_bytes(), share);
    save(&mut spool, "k");
    assert_eq!((spool.tally().dropped_lines, drain(&mut spool)), (40, "ijk".into()));
}

#[test]
fn handed_out_lines_are_lost_only_if_they_are_recalled() {
    let mut spool = small(&MemoryDisk::default(), 4);
    save(&mut spool, "abcd");
    let records = hand_out(&mut spool, 2);
    save(&mut spool, "e"); // a and b are dropped, but they may still arrive
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (0, 50));
    spool.note_arrived(records[0].place);
    spool.release(records[0].place);
    spool.recall(records[1].place);
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (10, 30));
    assert_eq!(drain(&mut spool), "cde");
}

#[test]
fn a_full_disk_is_a_full_spool() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    save(&mut spool, "abcd");
    disk.limit_room(Some(50));
    save(&mut spool, "e");
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (20, vec![SpoolEvent::Full]));
    assert_eq!(drain(&mut spool), "cde");
    disk.limit_room(Some(0));
    save(&mut spool, "f");
    let what = SpoolEvent::Failing { what: DiskCall::Write, reason: "no storage space".into() };
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (30, vec![what]));
    assert_eq!(disk.bytes(), 0, "nothing torn is left");
    disk.limit_room(None);
    save(&mut spool, "g");
    assert_eq!(drain(&mut spool), "g");
}

/// Shows that the log shows the end of a failure at the next flush, also if no chunk comes that
/// must be saved.
#[test]
fn a_disk_that_works_again_is_reported_before_the_next_chunk_is_saved() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    disk.limit_room(Some(0));
    save(&mut spool, "a");
    spool.wake();
    let events = spool.take_events();
    assert!(
        matches!(events[..], [SpoolEvent::Failing { what: DiskCall::Write, .. }]),
        "{events:?}"
    );
    disk.limit_room(Some(CHUNK_BYTES - 1));
    spool.wake();
    assert_eq!((spool.take_events(), disk.bytes()), (vec![], 0), "too little for a chunk");
    disk.limit_room(None);
    spool.wake();
    assert_eq!((spool.take_events(), disk.bytes()), (vec![SpoolEvent::Recovered], 0));
    spool.wake();
    assert_eq!(spool.take_events(), []);
    save(&mut spool, "b");
    assert_eq!((drain(&mut spool), spool.take_events()), ("b".into(), vec![]));
}

/// With many destinations, the share of one is less than a segment, or than a chunk.
#[test]
fn a_small_spool_never_exceeds_its_limit() {
    for (limit, keeps) in [(50_000, 0), (100_000, 1), (200_000, 2), (400_000, 5)] {
        let disk = MemoryDisk::default();
        let mut spool = Spool::open(Box::new(disk.clone()), "plaintext", limit).unwrap();
        for _ in 0..20 {
            spool.save(&Chunk::new(vec![b'x'; 64 << 10], 10, 1));
            assert!(disk.bytes() as u64 <= limit, "{} of {limit} bytes", disk.bytes());
        }
        assert!(spool.waiting_lines() >= keeps * 10, "{} of {limit}", spool.waiting_lines());
        assert_eq!(spool.waiting_lines() + spool.tally().dropped_lines, 200, "{limit}");
    }
}

#[test]
fn a_limit_of_the_size_of_files_ends_a_segment_and_drops_nothing() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk);
    disk.limit_segments(Some(PREAMBLE + 2 * RECORD + 50));
    save(&mut spool, "abcde");
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (0, vec![]));
    assert_eq!(disk.numbers().len(), 3);
    assert_eq!(drain(&mut spool), "abcde");
    disk.limit_segments(Some(PREAMBLE + 50)); // no chunk fits
    save(&mut spool, "fg");
    assert_eq!(spool.tally().dropped_lines, 20);
    disk.limit_segments(None);
    save(&mut spool, "h");
    assert_eq!(drain(&mut spool), "h");
}

#[test]
fn on_a_full_disk_the_oldest_segment_is_dropped_even_if_it_is_the_only_one() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk);
    save(&mut spool, "abcd");
    assert_eq!(disk.numbers(), [1]);
    disk.limit_room(Some(50));
    save(&mut spool, "e");
    assert_eq!((spool.tally().dropped_lines, spool.take_events()), (40, vec![SpoolEvent::Full]));
    save(&mut spool, "fgh");
    assert_eq!(drain(&mut spool), "efgh");
}

#[test]
fn a_disk_that_fails_but_is_not_full_costs_no_saved_chunk() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    save(&mut spool, "abcd");
    disk.fail_writes(Some(libc::EROFS));
    save(&mut spool, "ef");
    assert_eq!(spool.tally().dropped_lines, 20);
    disk.fail_writes(None);
    save(&mut spool, "g");
    assert_eq!(drain(&mut spool), "abcdg");
}

#[test]
fn a_dropped_chunk_of_a_dropped_segment_is_counted_once() {
    let mut spool = small(&MemoryDisk::default(), 4);
    save(&mut spool, "ab");
    let records = hand_out(&mut spool, 2);
    save(&mut spool, "cdef"); // a and b are dropped for room
    spool.recall(records[0].place);
    spool.drop_recalled(records[0].place, 10);
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (20, 40));
}

#[test]
fn numbers_that_no_segment_of_ours_has_are_set_aside() {
    let disk = MemoryDisk::default();
    save(&mut open(&disk), "a");
    disk.change(u64::MAX, |bytes| bytes.extend(preamble("plaintext")));
    let mut note = [0xff; 20];
    let checksum = crc32fast::hash(&note[..16]);
    note[16..].copy_from_slice(&checksum.to_le_bytes());
    disk.clone().write_note(&note).unwrap();
    let mut spool = open(&disk);
    spool.set_aside_foreign();
    assert_eq!(disk.set_aside(), [u64::MAX]);
    save(&mut spool, "b");
    assert_eq!(drain(&mut spool), "ab");
}

#[test]
fn a_note_may_be_ahead_of_the_data_that_a_power_cut_has_left() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk);
    save(&mut spool, "abc");
    hand_out(&mut spool, 2).iter().for_each(|record| spool.release(record.place));
    spool.write_due_note(); // writes the note
    disk.change(1, |bytes| bytes.truncate(PREAMBLE + RECORD));
    let mut spool = open(&disk);
    assert_eq!(spool.waiting_bytes(), 0);
    save(&mut spool, "d");
    assert_eq!(drain(&mut spool), "d");
}

#[test]
fn a_dropped_chunk_is_passed_over_also_when_others_are_sent_again() {
    let mut spool = small(&MemoryDisk::default(), 100);
    save(&mut spool, "abcd");
    let records = hand_out(&mut spool, 2);
    spool.note_arrived(records[0].place);
    spool.recall(records[0].place);
    spool.drop_recalled(records[1].place, 10);
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (10, 20));
    let again = hand_out(&mut spool, 2);
    assert_eq!(names(&again), "ac");
    spool.recall(again[1].place);
    let rest = hand_out(&mut spool, 9);
    assert_eq!(names(&rest), "cd");
    spool.release(again[0].place);
    rest.iter().for_each(|record| spool.release(record.place));
    assert_eq!((spool.waiting_bytes(), spool.waiting_lines()), (0, 0));
}

#[test]
fn the_next_run_continues_after_the_last_release() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    save(&mut spool, "abcdef");
    let records = hand_out(&mut spool, 4);
    spool.release(records[0].place);
    spool.release(records[1].place);
    spool.release(records[2].place);
    drop(spool);
    let mut spool = open(&disk);
    assert_eq!(spool.waiting_bytes(), (3 * RECORD) as u64);
    save(&mut spool, "g");
    assert_eq!(drain(&mut spool), "defg");
    assert_eq!(spool.tally(), SpoolTally { saved_lines: 10, found_lines: 30, dropped_lines: 0 });
    assert_eq!(disk.numbers(), [0_u64; 0]);
}

#[test]
fn found_chunks_that_are_dropped_unread_are_counted() {
    let disk = MemoryDisk::default();
    save(&mut small(&disk, 6), "abcdef");
    let mut spool = small(&disk, 6);
    assert_eq!(names(&hand_out(&mut spool, 1)), "a");
    save(&mut spool, "ghi");
    assert_eq!(spool.tally(), SpoolTally { saved_lines: 30, found_lines: 40, dropped_lines: 30 });
    assert_eq!(drain(&mut spool), "efghi");
}
