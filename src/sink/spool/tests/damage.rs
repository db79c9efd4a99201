//! Damage that a crash, another program or a bad disk may leave.

use super::*;

/// Six chunks in three segments, left by an earlier run.
fn left() -> MemoryDisk {
    let disk = MemoryDisk::default();
    save(&mut small(&disk, 100), "abcdef");
    disk
}

#[test]
fn a_torn_tail_is_cut_off_at_any_byte_with_one_warning() {
    for torn in 1..2 * RECORD + PREAMBLE {
        let disk = left();
        let length = PREAMBLE + 2 * RECORD - torn;
        disk.change(3, |file| file.truncate(length));
        let mut spool = open(&disk);
        let whole = length.saturating_sub(PREAMBLE) / RECORD;
        assert_eq!(drain(&mut spool), &"abcdef"[..4 + whole], "{torn} bytes torn off");
        let in_a_record = length > PREAMBLE && !(length - PREAMBLE).is_multiple_of(RECORD);
        assert_eq!(spool.take_events().len(), usize::from(in_a_record), "{torn} bytes torn off");
        assert_eq!(disk.bytes(), 0);
    }
}

#[test]
fn damage_costs_the_rest_of_its_segment_and_no_other() {
    for at in PREAMBLE..PREAMBLE + RECORD {
        let disk = left();
        disk.change(2, |file| file[at] ^= 0x40);
        let mut spool = open(&disk);
        assert_eq!(drain(&mut spool), "abef", "byte {at}");
        let cut = SpoolEvent::Damaged { segment: 2, at: PREAMBLE as u64, bytes: 2 * RECORD as u64 };
        assert_eq!(spool.take_events(), [cut]);
    }
}

#[test]
fn a_foreign_file_is_set_aside() {
    let disk = left();
    disk.change(2, |file| file[13] = b'2');
    let mut spool = open(&disk);
    assert_eq!((disk.numbers(), disk.set_aside()), (vec![1, 2, 3], vec![]), "not yet");
    spool.set_aside_foreign();
    assert_eq!(spool.take_events(), [SpoolEvent::Foreign { segment: 2 }]);
    assert_eq!((disk.set_aside(), drain(&mut spool)), (vec![2], "abef".into()));
    let other = Spool::open(Box::new(left()), "pickle", 1 << 20).unwrap();
    assert_eq!(other.waiting_bytes(), 0);
}

/// Shows that a reload that is refused after it has opened a spool has lost nothing.
#[test]
fn a_spool_that_is_opened_and_not_used_stays_as_it_was() {
    let disk = left();
    disk.change(2, |file| file[13] = b'2');
    let before = disk.bytes();
    for format in ["plaintext", "pickle"] {
        drop(Spool::open(Box::new(disk.clone()), format, 1).unwrap());
        assert_eq!((disk.bytes(), disk.set_aside()), (before, vec![]));
    }
    assert_eq!(drain(&mut open(&disk)), "abef");
}

#[test]
fn a_torn_note_means_to_read_all_that_is_there() {
    for note in [&b""[..], b"1234567890123456", b"12345678901234567890", &[0; 64]] {
        let mut disk = left();
        disk.write_note(note).unwrap();
        assert_eq!(drain(&mut open(&disk)), "abcdef");
    }
}

#[test]
fn a_note_ahead_of_all_segments_is_no_harm() {
    let disk = left();
    let mut spool = open(&disk);
    drain(&mut spool);
    for segment in 1..=3 {
        disk.change(segment, |file| file.extend_from_slice(b"old"));
    }
    let mut spool = open(&disk);
    save(&mut spool, "g");
    assert_eq!(drain(&mut spool), "g");
}

#[test]
fn a_disk_that_cannot_be_read_ends_soon() {
    let disk = left();
    let mut spool = open(&disk);
    disk.fail_reads(Some(libc::EIO));
    assert!(spool.take_next().is_none());
    let events = spool.take_events();
    assert!(matches!(events[0], SpoolEvent::Failing { what: DiskCall::Read, .. }), "{events:?}");
    disk.fail_reads(None);
    save(&mut spool, "g");
    assert_eq!(drain(&mut spool), "g");
}

#[test]
fn chunks_that_cannot_be_read_now_are_read_later() {
    let disk = left();
    let mut spool = open(&disk);
    disk.fail_reads(Some(libc::EMFILE));
    for _ in 0..3 {
        assert!(spool.take_next().is_none() && spool.has_more() && spool.is_resting());
        spool.wake();
        assert!(!spool.is_resting());
    }
    let events = spool.take_events();
    assert!(matches!(events[..], [SpoolEvent::Failing { what: DiskCall::Read, .. }]), "{events:?}");
    disk.fail_reads(None);
    assert_eq!(drain(&mut spool), "abcdef");
    assert_eq!(
        (spool.tally().dropped_lines, spool.take_events()),
        (0, vec![SpoolEvent::Recovered])
    );
}

#[test]
fn a_smaller_share_at_the_next_start_drops_nothing() {
    let disk = left();
    let mut spool = small(&disk, 2);
    assert_eq!((disk.numbers(), drain(&mut spool)), (vec![1, 2, 3], "abcdef".into()));
}

#[test]
fn a_sync_reaches_the_disk() {
    let disk = left();
    open(&disk).sync().unwrap();
    assert_eq!(disk.syncs(), 1);
}

#[test]
fn a_removed_segment_is_damage_and_costs_no_other_segment() {
    for (lost, left) in [(1, "cdef"), (2, "abef"), (3, "abcd")] {
        let disk = MemoryDisk::default();
        let mut spool = small(&disk, 100);
        save(&mut spool, "abcdef");
        disk.lose(lost);
        assert_eq!(drain(&mut spool), left);
        let bytes = (PREAMBLE + 2 * RECORD) as u64;
        assert_eq!(spool.take_events(), [SpoolEvent::Missing { segments: 1, bytes, lines: 20 }]);
        assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (20, 0));
        assert_eq!(disk.numbers(), [0_u64; 0], "nothing is made in its place");
    }
}

#[test]
fn the_segment_that_is_written_to_is_missed_at_the_next_write() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk);
    save(&mut spool, "abc");
    disk.lose(1);
    save(&mut spool, "de");
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (30, 20));
    assert_eq!(drain(&mut spool), "de");
}

#[test]
fn a_removed_folder_is_noticed_at_the_next_flush_write_or_stop() {
    for what in ["flush", "write", "stop"] {
        let disk = MemoryDisk::default();
        let mut spool = small(&disk, 100);
        save(&mut spool, "abcde");
        let out = hand_out(&mut spool, 1);
        disk.lose_all();
        match what {
            "flush" => spool.wake(),
            "write" => save(&mut spool, "f"),
            _ => spool.sync().unwrap(),
        }
        assert_eq!(spool.tally().dropped_lines, 40, "{what}: `a` may still arrive");
        spool.note_arrived(out[0].place);
        spool.release(out[0].place);
        save(&mut spool, "g");
        assert_eq!(drain(&mut spool), if what == "write" { "fg" } else { "g" });
        assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (40, 0), "{what}");
    }
}

#[test]
fn handed_out_lines_of_a_removed_segment_are_lost_only_if_they_are_recalled() {
    let disk = MemoryDisk::default();
    let mut spool = small(&disk, 100);
    save(&mut spool, "abcd");
    let out = hand_out(&mut spool, 2);
    disk.lose(1);
    spool.recall(out[0].place);
    assert_eq!(drain(&mut spool), "cd");
    assert_eq!((spool.tally().dropped_lines, spool.waiting_lines()), (20, 0));
}
