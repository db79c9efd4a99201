//! The link's states, each entered and left over real sockets.

use std::io::Write;
use std::net::TcpListener;

use super::*;
use crate::config::Resend;
use crate::sink::Sink;
use crate::sink::spool::Spool;
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::testing::{
    Rig, ScriptedNames, account, carbon, deafen, feed, link, listener, logged, patiently,
    with_queue, with_resend,
};

mod logs;
mod refusals;
mod names;

const SECOND: Duration = Duration::from_secs(1);
/// A connection is trusted this long after its first bytes.
const PROOF: Duration = Duration::from_secs(2);

fn rig(listener: &TcpListener) -> Rig {
    Rig::new(&carbon(listener.local_addr().unwrap()))
}

/// The state that the link is in, its last error, and how long until its deadline.
fn situation(rig: &Rig) -> (&'static str, Option<String>, Option<Duration>) {
    let figures = rig.sink.figures();
    let wait = rig.sink.deadline().map(|deadline| deadline - rig.now.tick);
    (figures.state, figures.last_error, wait)
}

/// Returns an address at which no process listens.
fn unused_address() -> SocketAddr {
    listener().local_addr().unwrap()
}

fn assert_within(wait: Duration, millis: std::ops::RangeInclusive<u128>) {
    assert!(millis.contains(&wait.as_millis()), "{wait:?} is not in {millis:?} ms");
}

#[test]
fn the_connection_is_opened_at_the_start_and_kept_without_anything_to_send() {
    let listener = listener();
    let mut rig = rig(&listener);
    let _client = rig.accept(&listener);
    rig.until_state("up");
    rig.advance(SECOND);
    rig.turn();
    assert_eq!(situation(&rig), ("up", None, None));
}

#[test]
fn an_idle_connection_does_not_wake_the_loop() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    assert_eq!(situation(&rig), ("up", None, None));
    assert!(!rig.sink.pump(rig.now, rig.poll.registry()));
}

#[test]
fn a_refused_connection_is_retried_with_growing_waits() {
    let mut rig = Rig::new(&carbon(unused_address()));
    rig.flush("a 1 1\n");
    for range in [100..=200, 200..=400, 400..=800, 800..=1600] {
        rig.until_state("backing_off");
        assert_eq!(rig.sink.figures().last_error.unwrap(), "Connection refused (os error 111)");
        let early = rig.sink.deadline().unwrap() - rig.now.tick - Duration::from_millis(1);
        rig.advance(early);
        rig.turn();
        assert_eq!(rig.sink.figures().state, "backing_off", "not before the deadline");
        assert_within(early + rig.advance_to_deadline(), range);
        rig.sink.timeout(rig.now, rig.poll.registry());
    }
    assert_eq!(rig.sink.figures().reconnects, 0);
    assert!(rig.sink.figures().last_exception.is_some());
}

#[test]
fn two_destinations_that_fail_together_are_not_retried_together() {
    let to = carbon(unused_address());
    let waits = [0, 1].map(|index| {
        let mut rig = Rig::new(&to);
        rig.sink = Sink::new(index, &to, feed(), &ScriptedNames, 7, None);
        rig.until_state("backing_off");
        rig.advance_to_deadline()
    });
    assert_ne!(waits[0], waits[1]);
}

#[test]
fn after_an_outage_all_arrives_and_attempts_count_from_zero() {
    let address = unused_address();
    let mut rig = Rig::new(&carbon(address));
    rig.flush("a 1 1\n");
    for _ in 0..6 {
        rig.until_state("backing_off");
        rig.advance_to_deadline();
        rig.sink.timeout(rig.now, rig.poll.registry());
    }
    rig.flush("a 1 2\n");
    rig.until_state("backing_off");
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\na 1 2\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    rig.advance(PROOF); // or it would count as closed early
    rig.turn();
    drop(client);
    rig.until_state("backing_off");
    assert_within(rig.advance_to_deadline(), 100..=200);
}

#[test]
fn an_early_poll_ends_an_outage_but_a_healthy_link_waits_for_the_tick() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let client = rig.accept(&listener);
    deafen(&client.stream);
    rig.until_state("up");
    rig.until("the write", |sink| sink.figures().sent_bytes > 0);
    rig.sink.poll_acks(rig.now);
    // The first chunk may have arrived before the client went deaf. The next one has not.
    rig.flush("a 1 2\n");
    rig.turn();
    assert_eq!(situation(&rig).2, Some(30 * SECOND), "nothing but the write timeout");
    rig.sink.drain(rig.now, rig.poll.registry());
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(rig.advance_to_deadline().as_millis());
        rig.turn();
    }
    assert_eq!(waits, [10, 20, 40, 50, 50]);
}

#[test]
fn a_destination_that_comes_back_while_it_is_spilled_has_no_poll_of_the_old_connection() {
    let listener = listener();
    let to = carbon(listener.local_addr().unwrap());
    let mut rig = Rig::new(&to);
    rig.flush("a 1 1\n");
    let client = rig.accept(&listener);
    rig.until("the write", |sink| sink.figures().sent_bytes > 0);
    deafen(&client.stream);
    rig.flush("a 1 2\n");
    rig.turn();
    rig.sink.begin_removal(rig.now.tick + SECOND, rig.now, rig.poll.registry());
    assert!(rig.sink.deadline().unwrap() < rig.now.tick + SECOND, "a poll is planned");
    rig.advance(SECOND);
    rig.sink.spill_some();
    rig.sink.reconfigure(&to, feed(), rig.now);
    assert_eq!(situation(&rig), ("idle", None, None));
}

#[test]
fn a_close_by_the_peer_is_a_break_even_if_all_was_delivered() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.sink.poll_acks(rig.now);
    drop(client);
    rig.until_state("backing_off");
    assert_eq!(situation(&rig).1.unwrap(), "closed by the peer");
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.flush("a 1 2\n");
    rig.until_received(&mut client, "a 1 1\na 1 2\n");
    let figures = rig.sink.figures();
    assert_eq!((figures.reconnects, figures.resent_lines, figures.sent_bytes), (1, 1, 18));
}

/// Shows that the chunk in flight goes to the spool at a stop, and to another address after a
/// reload, also if two connections have broken at it while others arrived.
#[test]
fn a_connection_that_the_server_closes_costs_no_chunk() {
    const LINES: usize = 100_000;
    for is_stop in [true, false] {
        let [first, second] = [listener(), listener()];
        let to = with_resend(Resend::Unacked, carbon(first.local_addr().unwrap()));
        let mut rig = Rig::new(&to);
        let disk = MemoryDisk::default();
        rig.sink.attach(Spool::open(Box::new(disk), "plaintext", 64 << 20).unwrap());
        for text in [&*"some.name 1 1000000000\n".repeat(LINES), "b 1 1\n", "c 1 1\n"] {
            rig.flush(text);
        }
        let outbox = &mut rig.sink.outbox;
        for _ in 0..2 {
            for _ in 0..3 {
                outbox.wrote(50);
                outbox.acknowledged_except(10);
                assert!(outbox.broke().is_none());
            }
            outbox.wrote(6);
            outbox.acknowledged_except(0);
        }
        let _client = rig.accept(&first); // reads nothing
        rig.until("the first bytes", |sink| sink.figures().sent_bytes > 400);
        if is_stop {
            logged();
            rig.sink.spill();
            assert_eq!(account(&rig.sink).spooled, LINES as u64);
            let lines = logged();
            let shown = format!("state=spooled spooled_lines={LINES} reason=");
            assert!(lines.iter().any(|(_, line)| line.contains(&shown)), "{lines:?}");
        } else {
            let to = with_resend(Resend::Unacked, carbon(second.local_addr().unwrap()));
            rig.sink.reconfigure(&to, feed(), rig.now);
            let mut client = rig.accept(&second);
            rig.until_received(&mut client, &"some.name 1 1000000000\n".repeat(LINES));
        }
        assert_eq!(rig.sink.figures().dropped_lines, 0);
    }
}

#[test]
fn an_attempt_at_the_old_address_is_no_failure_after_a_reload() {
    let mut rig = Rig::new(&carbon(unused_address()));
    rig.until_state("backing_off");
    logged();
    let listener = listener();
    rig.sink.reconfigure(&carbon(listener.local_addr().unwrap()), feed(), rig.now);
    rig.until_state("up");
    let lines = logged();
    let is_warning = |line: &&(Level, String)| line.0 <= Level::Warn;
    assert_eq!(lines.iter().find(is_warning), None, "the new address was dialled at once");
}

#[test]
fn a_broken_connection_is_opened_again_without_anything_to_resend() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::new(&with_resend(Resend::Unacked, carbon(address)));
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    drop(client);
    rig.until_state("backing_off");
    rig.advance_to_deadline();
    let _client = rig.accept(&listener);
    rig.until_state("up");
    assert_eq!(rig.sink.figures().resent_lines, 0);
}

#[test]
fn a_peer_that_accepts_and_closes_is_dialled_with_waits() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let mut waits = Vec::new();
    for _ in 0..6 {
        drop(rig.accept(&listener));
        rig.until_state("backing_off");
        waits.push(rig.advance_to_deadline());
    }
    // The first peer may have acknowledged the chunk before it closed. After that no arrival is
    // new.
    assert!(waits[5] >= Duration::from_millis(1600), "{waits:?}");
}

#[test]
fn a_reset_is_a_break_and_a_torn_chunk_is_sent_again_whole() {
    let listener = listener();
    let mut rig = rig(&listener);
    let text = "a 1 1\n".repeat(3_000_000); // more than the buffers of both ends hold
    rig.flush(&text);
    let client = rig.accept(&listener);
    rig.until("a part to be written", |sink| sink.figures().sent_bytes > 0);
    client.reset();
    rig.until_state("backing_off");
    assert!(rig.sink.figures().sent_bytes < text.len() as u64);
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, &text);
}

#[test]
fn a_closed_window_that_is_answered_is_a_stall_and_no_break() {
    logged();
    let listener = listener();
    let mut rig = rig(&listener);
    let text = "a 1 1\n".repeat(3_000_000);
    rig.flush(&text);
    let mut client = rig.accept(&listener);
    let mut last = 0;
    // Until the kernel accepts no bytes for a while: both buffers are full.
    let mut quiet = 0;
    rig.until("the buffers to fill", |sink| {
        let sent = sink.figures().sent_bytes;
        quiet = if sent > last { 0 } else { quiet + 1 };
        last = sent;
        sent > 0 && quiet > 100
    });
    for _ in 0..20 {
        let wait = rig.advance_to_deadline();
        assert!(wait >= SECOND * 29, "not a busy wait: {wait:?}");
        assert!(rig.sink.unacknowledged_for(rig.now.tick) >= Some(wait));
        rig.turn();
        assert_eq!((situation(&rig).0, rig.sink.figures().is_up), ("stalled", false));
    }
    rig.until_received(&mut client, &text);
    rig.until("the acknowledgement", |sink| sink.is_drained());
    assert_eq!(rig.sink.unacknowledged_for(rig.now.tick), None);
    assert_eq!((situation(&rig).0, rig.sink.figures().is_up), ("up", true));
    assert_eq!(rig.sink.figures().reconnects, 0);
    let about_it = |(_, line): &(Level, String)| line.starts_with("the destination");
    let lines: Vec<_> = logged().into_iter().filter(about_it).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for ((level, line), (expected, state)) in
        lines.iter().zip([(Level::Warn, "stalled"), (Level::Info, "up")])
    {
        assert_eq!(*level, expected, "{line}");
        assert!(line.contains(&format!("sink=carbon state={state} address=127.0.0.1:")), "{line}");
    }
}

/// Shows that new points win over old ones: the kernel takes only a little of the queue.
#[test]
fn a_peer_that_reads_nothing_costs_the_oldest_chunks() {
    let listener = listener();
    let to = with_queue(1 << 20, carbon(listener.local_addr().unwrap()));
    let mut rig = Rig::new(&to);
    let mut client = rig.accept(&listener);
    for flush in 0..100 {
        rig.flush(&format!("a {flush} 1\n").repeat(8192));
        rig.turn();
    }
    assert!(rig.sink.figures().dropped_lines > 0);
    rig.until_text(&mut client, &"a 99 1\n".repeat(8192));
    assert!(client.received.starts_with("a 0 1\n"), "what was written first cannot be dropped");
    assert!(!client.received.contains("a 50 1\n"), "the middle was the oldest that could be");
}

#[test]
fn a_peer_that_does_not_answer_times_out() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(300);
    let mut to = carbon(address);
    to.net.as_mut().unwrap().write_timeout = patience;
    let mut rig = Rig::new(&to);
    rig.flush("a 1 1\n");
    let client = rig.accept(&listener);
    rig.until("the first write", |sink| sink.figures().sent_bytes > 0);
    deafen(&client.stream);
    rig.flush("a 1 2\n");
    rig.turn();
    // The kernel's clock cannot be set, so the test must really wait until the silence is long
    // enough.
    patiently("the write timeout", || {
        rig.advance(Duration::from_millis(1));
        rig.turn();
        (rig.sink.figures().state == "backing_off").then_some(())
    });
    assert_eq!(situation(&rig).1.unwrap(), "no acknowledgement");
}

#[test]
fn an_old_silence_does_not_count_for_a_new_write() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    rig.advance(3600 * SECOND);
    deafen(&client.stream);
    rig.flush("a 1 2\n");
    rig.turn();
    rig.sink.poll_acks(rig.now);
    assert_eq!(situation(&rig), ("up", None, Some(30 * SECOND)));
}

#[test]
fn a_connect_that_is_not_answered_times_out_and_events_alone_do_not_make_it_up() {
    let listener = listener();
    deafen(&listener);
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    rig.turn();
    for _ in 0..3 {
        let generation = link(&mut rig.sink).generation;
        rig.sink.ready(generation, rig.now, rig.poll.registry());
        assert_eq!(situation(&rig), ("connecting", None, Some(5 * SECOND)));
    }
    rig.advance_to_deadline();
    rig.turn();
    assert_eq!(situation(&rig).1.unwrap(), "no answer to the connect");
    assert_eq!(situation(&rig).0, "backing_off");
}

#[test]
fn a_stale_event_finds_nothing() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    drop(rig.accept(&listener));
    let stale = link(&mut rig.sink).generation;
    rig.until_state("backing_off");
    rig.advance_to_deadline();
    rig.sink.timeout(rig.now, rig.poll.registry());
    assert_eq!(situation(&rig).0, "connecting");
    patiently("the connect", || rig.sink_is_established());
    rig.sink.ready(stale, rig.now, rig.poll.registry());
    assert_eq!(situation(&rig).0, "connecting");
    let current = link(&mut rig.sink).generation;
    rig.sink.ready(current, rig.now, rig.poll.registry());
    assert_eq!(situation(&rig).0, "up");
}

impl Rig {
    /// Advances to the next dial, past all other deadlines before it.
    fn advance_to_retry(&mut self) -> Duration {
        let LinkState::BackingOff { until } = link(&mut self.sink).state else {
            panic!("not backing off")
        };
        let wait = until - self.now.tick;
        self.advance(wait);
        wait
    }

    fn until_reaped(&mut self) {
        patiently("the child to be reaped", || {
            let resolver = &mut link(&mut self.sink).resolver;
            if let Some(due) = resolver.deadline() {
                resolver.reap(due);
            }
            // The next look-up runs only if the child of the last one is reaped.
            (resolver.is_running() || resolver.is_due(self.now.tick)).then_some(())
        });
    }

    fn sink_is_established(&mut self) -> Option<()> {
        let LinkState::Connecting { socket, .. } = &link(&mut self.sink).state else { return None };
        socket.is_established().unwrap().then_some(())
    }
}

#[test]
fn bytes_from_the_peer_are_discarded() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    let mut said = 0;
    while said < 1 << 20 {
        said += client.stream.write(&[b'x'; 10_000]).unwrap_or(0);
        rig.turn();
    }
    rig.until_received(&mut client, "a 1 1\n");
    assert_eq!(situation(&rig).0, "up");
}

#[test]
fn a_connection_to_itself_is_a_failure() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let own = socket.local_addr().unwrap();
    socket.connect(&own).unwrap();
    let stream = mio::net::TcpStream::from_std(socket.into());
    assert_eq!(stream.is_established().unwrap_err().to_string(), "connected to itself");
}

#[test]
fn a_drain_cuts_a_wait_short() {
    let address = unused_address();
    let mut to = carbon(address);
    to.net.as_mut().unwrap().reconnect_min = 20 * SECOND;
    let mut rig = Rig::new(&to);
    rig.flush("a 1 1\n");
    rig.until_state("backing_off");
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    rig.sink.drain(rig.now, rig.poll.registry());
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.outbox.is_drained());
    rig.advance(Duration::from_millis(100)); // time for a peer that reads nothing to close it
    rig.until("the end", |sink| sink.is_drained());
}
