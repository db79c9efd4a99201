//! Each rule of delivery as a scenario of chunks that are one line long.

use super::*;

mod twin;

/// Returns a chunk of `lines` lines of ten bytes each, identified by its first byte.
fn chunk(name: u8, flush: u64, lines: u32) -> Rc<Chunk> {
    let text = format!("{}23456789\n", char::from(name)).repeat(lines as usize);
    Chunk::new(text.into_bytes(), lines, flush)
}

/// Pushes a closed flush for each letter, numbered from 1, of one chunk of ten lines each.
fn filled(resend: Resend, names: &str) -> Outbox {
    let mut outbox = Outbox::new(1000, resend, 2);
    for (name, flush) in names.bytes().zip(1..) {
        assert_eq!(outbox.push(chunk(name, flush, 10)), 0);
        outbox.close(flush);
    }
    outbox
}

/// Writes this number of bytes, chunk by chunk, as a link does.
fn write(outbox: &mut Outbox, mut bytes: usize) {
    while bytes > 0 {
        let head = outbox.head().expect("something to write").len().min(bytes);
        outbox.wrote(head);
        bytes -= head;
    }
}

fn deliver(outbox: &mut Outbox, bytes: usize) {
    write(outbox, bytes);
    outbox.acknowledged_except(0);
}

/// Returns the letters of the chunks that are still to be written, in order. A `'` follows the
/// letter of a chunk that was begun.
fn unsent(outbox: &Outbox) -> String {
    let items = outbox.window.items.range(outbox.window.cursor..);
    let mut names: String = items.map(|item| char::from(item.chunk.bytes()[0])).collect();
    if outbox.window.offset > 0 {
        names.insert(1, '\'');
    }
    names
}

fn held(outbox: &Outbox) -> String {
    outbox.window.items.iter().map(|item| char::from(item.chunk.bytes()[0])).collect()
}

/// Lines of pushed chunks that have not arrived.
pub(in crate::sink) fn waiting_lines(outbox: &Outbox) -> u64 {
    let pushed = outbox.window.items.iter().filter(|item| item.spool_place().is_none());
    pushed.filter(|item| !item.arrived).map(|item| u64::from(item.chunk.lines())).sum()
}

#[test]
fn chunks_are_sent_oldest_first_and_whole() {
    let mut outbox = filled(Resend::Flush, "ab");
    assert_eq!(outbox.head().unwrap(), chunk(b'a', 1, 10).bytes());
    outbox.wrote(30);
    assert_eq!(outbox.head().unwrap(), &chunk(b'a', 1, 10).bytes()[30..]);
    outbox.wrote(70);
    assert_eq!(outbox.head().unwrap(), chunk(b'b', 2, 10).bytes());
    outbox.wrote(100);
    assert_eq!(outbox.head(), None);
    assert_eq!((outbox.unsent_bytes(), outbox.unacked_bytes()), (0, 200));
    assert!(!outbox.is_drained());
}

#[test]
fn a_chunk_has_arrived_when_its_last_byte_is_acknowledged() {
    let mut outbox = filled(Resend::Flush, "abc");
    write(&mut outbox, 250);
    for (outstanding, arrived, lines) in
        [(250, false, 0), (151, false, 0), (150, true, 10), (150, false, 10), (50, true, 20)]
    {
        assert_eq!(outbox.acknowledged_except(outstanding), arrived, "{outstanding} outstanding");
        assert_eq!(outbox.tally().delivered_lines, lines);
        assert_eq!(outbox.unacked_bytes(), outstanding);
        assert_eq!(outbox.queued_bytes(), outstanding + 50);
    }
    outbox.acknowledged_except(0);
    assert!(!outbox.is_drained(), "a part of the last chunk is still to be written");
    deliver(&mut outbox, 50);
    assert!(outbox.is_drained());
}

#[test]
fn more_outstanding_than_was_written_means_nothing() {
    let mut outbox = filled(Resend::Flush, "a");
    write(&mut outbox, 100);
    assert!(!outbox.acknowledged_except(101), "a FIN counts as a byte");
    assert_eq!(outbox.unacked_bytes(), 100);
}

#[test]
fn a_break_goes_back_as_far_as_resend_sets() {
    // Five flushes: a and b delivered and retained, c written, d begun, e not yet.
    for (resend, again, in_doubt) in
        [(Resend::Flush, "abcde", 0), (Resend::Unacked, "cde", 0), (Resend::Never, "e", 20)]
    {
        let mut outbox = filled(resend, "abcde");
        deliver(&mut outbox, 200);
        write(&mut outbox, 150);
        outbox.acknowledged_except(120);
        assert!(outbox.broke().is_none());
        assert_eq!(unsent(&outbox), again, "{resend:?}");
        assert_eq!(outbox.tally().in_doubt, in_doubt);
        assert_eq!(outbox.unacked_bytes(), 0);
        assert_eq!(outbox.unsent_bytes(), again.len() * 100);
        let rest = outbox.unsent_bytes();
        deliver(&mut outbox, rest);
        assert!(outbox.is_drained());
        assert_eq!(outbox.tally().delivered_lines + in_doubt, 50, "no line counts twice");
    }
}

/// A reload that sets `resend = none` while delivered flushes are being sent again must not count
/// their lines as lost.
#[test]
fn delivered_lines_that_are_sent_again_when_a_reload_forbids_it_count_in_both_figures() {
    let mut outbox = filled(Resend::Flush, "ab");
    deliver(&mut outbox, 200);
    assert!(outbox.broke().is_none());
    outbox.reconfigure(1000, Resend::Never, 2);
    write(&mut outbox, 100);
    assert!(outbox.broke().is_none());
    let OutboxTally { delivered_lines, in_doubt, twice_lines, .. } = outbox.tally();
    assert_eq!((delivered_lines, in_doubt, twice_lines), (20, 10, 10));
}

#[test]
fn lines_count_as_resent_when_they_are_sent_again_and_not_before() {
    let mut outbox = filled(Resend::Flush, "abc");
    deliver(&mut outbox, 100);
    write(&mut outbox, 50);
    outbox.broke();
    outbox.broke();
    assert_eq!(outbox.tally().resent_lines, 0);
    write(&mut outbox, 101);
    assert_eq!(outbox.tally().resent_lines, 20, "a, and b that was begun");
    write(&mut outbox, 199);
    assert_eq!(outbox.tally().resent_lines, 20, "c goes out for the first time");
    assert_eq!(outbox.tally().sent_bytes, 450);
}

#[test]
fn the_last_whole_flushes_delivered_are_retained() {
    let mut outbox = filled(Resend::Flush, "");
    for (name, flush, kept_half, kept) in
        [(b'a', 1, "a", "a"), (b'b', 2, "ab", "ab"), (b'c', 3, "abc", "bc"), (b'd', 4, "bcd", "cd")]
    {
        outbox.push(chunk(name, flush, 10));
        outbox.close(flush);
        deliver(&mut outbox, 50);
        assert_eq!(held(&outbox), kept_half);
        deliver(&mut outbox, 50);
        assert_eq!(held(&outbox), kept);
    }
}

#[test]
fn late_chunks_are_retained_as_long_as_the_chunks_that_arrive_with_them() {
    let mut outbox = filled(Resend::Flush, "abcd");
    for (name, flush, kept) in [(b'e', 5, "abcde"), (b'f', 6, "abcdef"), (b'g', 7, "fg")] {
        outbox.push(chunk(name, flush, 10));
        outbox.close(flush);
        let bytes = outbox.unsent_bytes();
        deliver(&mut outbox, bytes);
        assert_eq!(held(&outbox), kept);
    }
}

#[test]
fn a_flush_that_may_still_grow_is_retained_beside_the_whole_ones() {
    let mut outbox = filled(Resend::Flush, "a");
    deliver(&mut outbox, 100);
    outbox.push(chunk(b'b', 2, 10));
    outbox.close(2);
    deliver(&mut outbox, 100);
    outbox.push(chunk(b'c', 3, 10));
    deliver(&mut outbox, 100);
    assert_eq!(held(&outbox), "abc");
    outbox.push(chunk(b'C', 3, 10));
    deliver(&mut outbox, 100);
    assert_eq!(held(&outbox), "abcC");
    outbox.close(3);
    assert_eq!(held(&outbox), "bcC");
}

#[test]
fn an_outage_ages_no_chunk() {
    let mut outbox = filled(Resend::Flush, "ab");
    deliver(&mut outbox, 200);
    outbox.broke();
    for (name, flush) in (b'c'..=b'h').zip(3..) {
        outbox.push(chunk(name, flush, 10));
        outbox.close(flush);
    }
    assert_eq!(unsent(&outbox), "abcdefgh");
}

#[test]
fn without_resend_flush_no_flush_is_retained() {
    for resend in [Resend::Unacked, Resend::Never] {
        let mut outbox = filled(resend, "abc");
        deliver(&mut outbox, 200);
        assert_eq!(held(&outbox), "c");
        assert_eq!(outbox.held_bytes(), 100);
    }
}

#[test]
fn retained_chunks_are_removed_first_then_the_oldest_unsent() {
    let mut outbox = filled(Resend::Flush, "abcdefghij");
    deliver(&mut outbox, 100);
    write(&mut outbox, 50); // a is retained, b begun
    for (name, dropped, left) in
        [(b'k', 0, "bcdefghijk"), (b'l', 10, "bdefghijkl"), (b'm', 10, "befghijklm")]
    {
        assert_eq!(outbox.push(chunk(name, 11, 10)), dropped);
        assert_eq!(held(&outbox), left);
    }
    let OutboxTally { dropped_lines, displaced_lines, in_doubt, .. } = outbox.tally();
    assert_eq!((dropped_lines, displaced_lines, in_doubt), (20, 10, 0));
    assert_eq!(outbox.held_bytes(), 1000);
}

#[test]
fn chunks_that_arrived_before_a_break_are_in_doubt_when_removed() {
    let mut outbox = filled(Resend::Flush, "abcdefghij");
    deliver(&mut outbox, 100);
    outbox.broke();
    outbox.push(chunk(b'k', 11, 10));
    assert_eq!(held(&outbox), "bcdefghijk");
    let OutboxTally { dropped_lines, displaced_lines, in_doubt, .. } = outbox.tally();
    assert_eq!((dropped_lines, displaced_lines, in_doubt), (0, 0, 10));
}

#[test]
fn arrived_chunks_are_removed_first_even_while_they_wait_for_a_resend() {
    let mut outbox = filled(Resend::Flush, "abcdefghij");
    deliver(&mut outbox, 200);
    outbox.broke();
    write(&mut outbox, 50); // a is begun again, so it stays
    assert_eq!(outbox.push(chunk(b'k', 11, 10)), 0);
    assert_eq!(held(&outbox), "acdefghijk");
    assert_eq!(outbox.push(chunk(b'l', 11, 10)), 10);
    assert_eq!(held(&outbox), "adefghijkl");
}

#[test]
fn chunks_in_flight_stay_and_the_new_chunk_is_dropped() {
    let mut outbox = filled(Resend::Flush, "abcdefghij");
    write(&mut outbox, 950);
    assert_eq!(outbox.push(chunk(b'k', 11, 10)), 10);
    assert_eq!(held(&outbox), "abcdefghij");
    outbox.broke();
    assert_eq!(outbox.push(chunk(b'k', 11, 10)), 10);
    assert_eq!(held(&outbox), "bcdefghijk", "without a connection all may go");
}

#[test]
fn a_chunk_larger_than_the_whole_queue_is_dropped_at_once() {
    let mut outbox = Outbox::new(1000, Resend::Flush, 2);
    assert_eq!(outbox.push(chunk(b'a', 1, 101)), 101);
    assert!(outbox.is_drained());
    assert_eq!(outbox.held_bytes(), 0);
}

/// A connection that breaks once it has carried the head in part. Returns the letter of a chunk
/// dropped for it.
fn break_at_head(outbox: &mut Outbox) -> Option<char> {
    let again = outbox.window.items.range(outbox.window.cursor..).take_while(|item| item.arrived);
    let again: usize = again.map(|item| item.chunk.len()).sum();
    deliver(outbox, again);
    write(outbox, 50);
    outbox.acknowledged_except(10);
    outbox.broke().map(|chunk| char::from(chunk.bytes()[0]))
}

#[test]
fn a_peer_that_takes_nothing_costs_no_chunk() {
    for resend in [Resend::Flush, Resend::Unacked] {
        let mut outbox = filled(resend, "abcd");
        deliver(&mut outbox, 100);
        for _ in 0..100 {
            assert_eq!(break_at_head(&mut outbox), None);
        }
        let rest = outbox.unsent_bytes();
        deliver(&mut outbox, rest);
        assert_eq!((outbox.tally().delivered_lines, outbox.tally().dropped_lines), (40, 0));
    }
}

#[test]
fn after_a_chunk_breaks_connections_the_next_is_sent_first_and_it_is_dropped_in_the_end() {
    let mut outbox = filled(Resend::Unacked, "abcd");
    for (breaks, unsent_then) in [(3, "bacd"), (3, "cad")] {
        for _ in 0..breaks {
            assert_eq!(break_at_head(&mut outbox), None);
        }
        assert_eq!(unsent(&outbox), unsent_then);
        deliver(&mut outbox, 100); // the chunk that was sent first instead
    }
    assert_eq!(break_at_head(&mut outbox), Some('a'), "two others have passed");
    assert_eq!(unsent(&outbox), "d");
    assert_eq!(outbox.tally().dropped_lines, 10);
    assert_eq!(break_at_head(&mut outbox), None, "with d at the head counting starts afresh");
}

/// Fails twice at the chunk `a`, while `b` and `c` arrive. Another failure would drop it.
fn nearly_dropped() -> Outbox {
    let mut outbox = filled(Resend::Unacked, "abcd");
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(break_at_head(&mut outbox), None);
        }
        deliver(&mut outbox, 100);
    }
    assert_eq!(unsent(&outbox), "ad");
    outbox
}

#[test]
fn a_connection_that_the_server_closes_is_no_failure_of_the_chunk_in_flight() {
    let mut outbox = nearly_dropped();
    for _ in 0..3 {
        write(&mut outbox, 50);
        outbox.disconnected();
        assert_eq!((unsent(&outbox).as_str(), outbox.tally().dropped_lines), ("ad", 0));
    }
    assert_eq!(break_at_head(&mut outbox), Some('a'), "this one was closed by the peer");
}

#[test]
fn failures_at_one_peer_do_not_count_at_the_next() {
    let mut outbox = nearly_dropped();
    outbox.forget_breaks();
    assert_eq!(break_at_head(&mut outbox), None);
    assert_eq!(unsent(&outbox), "ad");
}

#[test]
fn a_chunk_alone_is_never_dropped() {
    let mut outbox = filled(Resend::Flush, "a");
    for _ in 0..100 {
        assert_eq!(break_at_head(&mut outbox), None);
    }
    assert_eq!(unsent(&outbox), "a");
}

#[test]
fn a_connection_that_carried_nothing_proves_nothing() {
    let mut outbox = filled(Resend::Unacked, "abc");
    for _ in 0..100 {
        assert!(outbox.broke().is_none());
    }
    assert_eq!(unsent(&outbox), "abc");
}

#[test]
fn the_failures_of_an_acknowledged_chunk_are_forgotten() {
    let mut outbox = filled(Resend::Unacked, "abcdef");
    for name in "abcdef".chars() {
        for _ in 0..2 {
            assert_eq!(break_at_head(&mut outbox), None, "{name}");
        }
        deliver(&mut outbox, 100);
    }
    assert_eq!(outbox.tally().delivered_lines, 60);
}

#[test]
fn the_newest_whole_flush_has_nothing_waiting() {
    let mut outbox = filled(Resend::Flush, "ab");
    assert_eq!(outbox.newest_whole_flush(), 0);
    deliver(&mut outbox, 150);
    assert_eq!(outbox.newest_whole_flush(), 1);
    outbox.broke();
    assert_eq!(outbox.newest_whole_flush(), 1, "it has arrived, though it is sent again");
    deliver(&mut outbox, 200);
    assert_eq!(outbox.newest_whole_flush(), 2);
    outbox.push(chunk(b'c', 3, 10));
    deliver(&mut outbox, 100);
    assert_eq!(outbox.newest_whole_flush(), 2, "more of it may come");
    outbox.close(3);
    assert_eq!(outbox.newest_whole_flush(), 3);
}

#[test]
fn a_refused_chunk_is_dropped_and_the_next_is_not() {
    let mut outbox = Outbox::new(1 << 20, Resend::Unacked, 1);
    for (flush, text) in [(1, "a 1\nb 1\n"), (2, "c 1\n")] {
        let lines = u32::try_from(text.lines().count()).unwrap();
        outbox.push(Chunk::new(text.into(), lines, flush));
    }
    outbox.close(2);
    assert_eq!(outbox.refuse_in_flight(), None, "nothing is written");
    outbox.wrote(8);
    let refused = outbox.refuse_in_flight().unwrap();
    assert_eq!(refused.bytes(), b"a 1\nb 1\n");
    assert_eq!((outbox.tally().dropped_lines, outbox.unacked_bytes()), (2, 0));
    assert_eq!((outbox.queued_bytes(), outbox.newest_whole_flush()), (4, 1));
    assert_eq!(outbox.head(), Some(&b"c 1\n"[..]));
    outbox.wrote(4);
    assert!(outbox.acknowledged_except(0) && outbox.is_drained());
    assert_eq!(outbox.tally().delivered_lines, 1);
}
