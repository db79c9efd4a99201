//! A whole sink against real sockets, on a clock of the test's own.

use std::time::Duration;

use super::testing::{Rig, account, carbon, feed, listener, with_queue};
use crate::encode::chunk::Chunk;
use crate::sink::spool::Spool;
use crate::time::UnixTime;

mod slices;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_figures_show_how_the_last_flush_went() {
    let listener = listener();
    let mut rig = Rig::new(&carbon(listener.local_addr().unwrap()));
    let fresh = rig.sink.figures();
    assert_eq!((fresh.last_flush, fresh.last_exception, fresh.state), (None, None, "idle"));
    rig.flush("a 1 1\nb 1 1\n");
    assert_eq!(rig.sink.figures().queue_bytes, 12);
    let mut client = rig.accept(&listener);
    rig.advance(SECOND * 2);
    rig.until_received(&mut client, "a 1 1\nb 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    let figures = rig.sink.figures();
    assert_eq!((figures.queue_bytes, figures.sent_bytes, figures.flush_length), (0, 12, 12));
    assert_eq!(figures.last_flush.map(UnixTime::as_secs), Some(1_000_002));
    let took = figures.flush_time.as_millis();
    assert!((1500..=2000).contains(&took), "{took} ms, less what the acknowledgement is old");
    assert_eq!(figures.state, "up");
}

#[test]
fn a_flush_has_not_arrived_before_its_end_is_known() {
    let listener = listener();
    let mut rig = Rig::new(&carbon(listener.local_addr().unwrap()));
    rig.sink.flush_started(rig.now, 1);
    rig.sink.push(Chunk::new(b"a 1 1\n".to_vec(), 1, 1));
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    assert_eq!(rig.sink.figures().last_flush, None);
    rig.sink.flush_ended(rig.now, 1);
    assert_eq!(rig.sink.figures().flush_length, 6);
}

#[test]
fn an_overflow_is_counted_and_the_rest_arrives() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::new(&with_queue(30, carbon(address)));
    for second in 1..=9 {
        rig.flush(&format!("a 1 {second}\n"));
    }
    assert_eq!(rig.sink.figures().dropped_lines, 4);
    assert_eq!(rig.sink.figures().last_flush, None);
    assert_eq!(rig.sink.figures().queue_bytes, 30);
    assert!(rig.sink.overflow.current.is_some());
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 5\na 1 6\na 1 7\na 1 8\na 1 9\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    assert!(rig.sink.overflow.current.is_none());
}

#[test]
fn a_full_queue_holds_the_sweep_only_while_the_link_moves() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::new(&with_queue(20 << 20, carbon(address)));
    let text = "a 1 1\n".repeat((20 << 20) / 6);
    rig.flush(&text);
    assert!(!rig.sink.holds_sweep(rig.now.tick), "the link is not up");
    let mut client = rig.accept(&listener);
    rig.until("a first write", |sink| sink.figures().sent_bytes > 0);
    assert!(rig.sink.holds_sweep(rig.now.tick));
    rig.advance(SECOND);
    assert!(!rig.sink.holds_sweep(rig.now.tick), "nothing moved for a second");
    rig.until_received(&mut client, &text);
    assert!(!rig.sink.holds_sweep(rig.now.tick), "the queue is empty");
}

#[test]
fn a_destination_that_is_being_removed_does_not_hold_the_sweep() {
    let listener = listener();
    let mut rig = Rig::new(&with_queue(20 << 20, carbon(listener.local_addr().unwrap())));
    rig.flush(&"a 1 1\n".repeat((20 << 20) / 6));
    let _client = rig.accept(&listener);
    rig.until("a first write", |sink| sink.figures().sent_bytes > 0);
    assert!(rig.sink.holds_sweep(rig.now.tick));
    rig.sink.begin_removal(rig.now.tick + 60 * SECOND, rig.now, rig.poll.registry());
    assert!(!rig.sink.holds_sweep(rig.now.tick));
}

#[test]
fn a_turn_writes_its_share_and_asks_for_another() {
    let listener = listener();
    let mut rig = Rig::new(&carbon(listener.local_addr().unwrap()));
    rig.sink.flush_started(rig.now, 1);
    for _ in 0..20 {
        rig.sink.push(Chunk::new(b"a 1 1\n".to_vec(), 1, 1));
    }
    let _client = rig.accept(&listener);
    rig.until("the first share", |sink| sink.figures().sent_bytes > 0);
    assert_eq!(rig.sink.figures().sent_bytes, 8 * 6);
    assert!(rig.sink.pump(rig.now, rig.poll.registry()));
    assert!(!rig.sink.pump(rig.now, rig.poll.registry()));
    assert_eq!(rig.sink.figures().sent_bytes, 20 * 6);
}
