//! Peers that close each connection right after the first bytes. Their TCP has acknowledged the
//! bytes, and their process has read none.

use super::*;
use crate::config::{Carbon, DestinationKind, Protocol};
use crate::sink::SinkFigures;
use crate::sink::testing::{Client, logged};

/// Turns the loop until a connection has sent something, and closes it. Returns what was sent.
fn refuse(rig: &mut Rig, listener: &TcpListener) -> String {
    let mut client = rig.accept(listener);
    patiently("the first bytes", || {
        rig.turn();
        client.read().unwrap();
        (!client.received.is_empty()).then_some(())
    });
    rig.sink.poll_acks(rig.now); // TCP's acknowledgements are read
    let Client { stream, received } = client;
    drop(stream);
    rig.until_state("backing_off");
    received
}

fn refuse_often(rig: &mut Rig, listener: &TcpListener, times: u32) -> Vec<Duration> {
    let mut waits = Vec::new();
    for _ in 0..times {
        refuse(rig, listener);
        waits.push(rig.advance_to_deadline());
    }
    waits
}

fn loud() -> Vec<String> {
    let loud = |(level, line)| (level < Level::Debug).then_some(line);
    logged().into_iter().filter_map(loud).collect()
}

/// Shows that lines which a peer has not read count as in doubt, and that the log has a hint and no
/// recovery. Once the peer reads, all lines are sent.
#[test]
fn a_peer_that_refuses_the_data_is_detected() {
    logged();
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    rig.flush("a 1 2\n");
    refuse_often(&mut rig, &listener, 3);
    assert_eq!(rig.sink.figures().in_doubt, 0, "it may be an accident");
    rig.flush("a 1 3\n");
    let waits = refuse_often(&mut rig, &listener, 6);
    assert!(waits[5] >= Duration::from_secs(12), "{waits:?}");
    let SinkFigures { in_doubt, dropped_lines, last_error, last_flush, .. } = rig.sink.figures();
    assert_eq!((in_doubt, dropped_lines), (3, 0), "each line once, though sent many times");
    let hint = "[carbon] protocol = plaintext is for carbon's port 2003; a port for pickle, such as 2004, takes protocol = pickle";
    assert!(last_error.unwrap().contains(hint));
    let lines = loud();
    assert!(lines.iter().all(|line| !line.contains("recovered")), "{lines:?}");
    let shown: Vec<_> = lines.iter().filter(|line| line.contains("state=refused")).collect();
    assert!(shown.len() == 1 && shown[0].contains(hint), "{lines:?}");
    assert!(shown[0].contains(" connections=4 in_doubt=3 queued_bytes=18 "), "{lines:?}");
    assert!(last_flush.is_some(), "as far as TCP can tell");
    rig.turn();
    let mut client = rig.accept(&listener);
    rig.until("a first chunk", |sink| sink.figures().state == "up");
    patiently("a first chunk", || {
        rig.turn();
        client.read().unwrap();
        (!client.received.is_empty()).then_some(())
    });
    assert_eq!(client.received.len(), 6, "one chunk until the connection has lasted");
    assert!(!rig.sink.pump(rig.now, rig.poll.registry()), "the loop does not spin");
    assert!(rig.sink.deadline().unwrap() - rig.now.tick <= PROOF);
    rig.advance(PROOF);
    patiently("all", || {
        rig.turn();
        client.read().unwrap();
        (client.received.len() == 18).then_some(())
    });
    let mut received: Vec<_> = client.received.lines().collect();
    received.sort_unstable();
    assert_eq!(received, ["a 1 1", "a 1 2", "a 1 3"]);
    rig.until("the acknowledgement", |sink| sink.is_drained());
    assert!(loud().iter().any(|line| line.contains("recovered")));
    let figures = rig.sink.figures();
    assert_eq!((figures.in_doubt, figures.dropped_lines), (3, 0));
}

/// Shows that without a resend of acknowledged chunks the first early close already counts its
/// lines.
#[test]
fn lines_that_are_not_sent_again_are_in_doubt_at_once() {
    for resend in [Resend::Unacked, Resend::Never] {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let mut rig = Rig::new(&with_resend(resend, carbon(address)));
        rig.flush("a 1 1\nb 1 1\n");
        refuse(&mut rig, &listener);
        assert_eq!(rig.sink.figures().in_doubt, 2, "{resend:?}");
        rig.advance_to_deadline();
        // The later chunks are kept with `unacked`. One is sent on each connection, not always the
        // newest.
        let last = if resend == Resend::Never { 8 } else { 4 };
        for flush in 2..=last {
            rig.flush("a 1 2\n");
            refuse(&mut rig, &listener);
            rig.advance_to_deadline();
            assert_eq!(rig.sink.figures().in_doubt, 1 + flush, "{resend:?}");
        }
    }
}

/// Shows that a peer that reads for a while and then closes is not taken for a refusing one.
#[test]
fn acknowledgements_of_a_peer_that_closes_later_count() {
    for resend in [Resend::Flush, Resend::Unacked, Resend::Never] {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let mut rig = Rig::new(&with_resend(resend, carbon(address)));
        for _ in 0..8 {
            rig.flush("a 1 1\n");
            let client = rig.accept(&listener);
            rig.until("the acknowledgement", |sink| {
                sink.figures().sent_bytes > 0 && sink.figures().state == "up"
            });
            rig.sink.poll_acks(rig.now);
            rig.until("the acknowledgement", |sink| sink.is_drained());
            rig.advance(PROOF);
            rig.turn();
            drop(client);
            rig.until_state("backing_off");
            assert!(rig.advance_to_deadline() <= Duration::from_millis(200), "a new outage");
        }
        assert_eq!(rig.sink.figures().in_doubt, 0, "{resend:?}");
    }
}

#[test]
fn the_hint_is_of_the_protocol_that_is_sent() {
    let address = unused_address();
    let kind = DestinationKind::Carbon(Carbon { protocol: Protocol::Pickle, pickle_batch: 500 });
    let pickle = Destination { name: "carbon.second".into(), kind, ..carbon(address) };
    let advice = Advice::new(&pickle);
    let hint = advice.wrong_protocol();
    assert!(hint.starts_with("[carbon.second] protocol = pickle is for carbon's port 2004;"));
    assert!(hint.ends_with("2003, takes protocol = plaintext"), "{hint}");
}

/// Shows that a stop waits until an early close is unlikely, and that lines lost by then are
/// reported.
#[test]
fn a_stop_does_not_take_a_refusing_peer_for_one_that_has_all() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush("a 1 1\n");
    refuse_often(&mut rig, &listener, 5);
    rig.sink.drain(rig.now, rig.poll.registry());
    refuse(&mut rig, &listener);
    assert!(!rig.sink.is_drained());
    logged();
    rig.sink.spill();
    let lines = loud();
    assert!(lines[0].contains("state=abandoned lost_lines=1 "), "{lines:?}");
}

/// A peer that reads `bytes` of each connection and breaks it.
fn break_after(rig: &mut Rig, listener: &TcpListener, bytes: usize) -> String {
    let mut client = rig.accept(listener);
    patiently("the bytes, or a connection that lasts", || {
        rig.advance(Duration::from_millis(100));
        rig.turn();
        client.read().unwrap();
        (client.received.len() >= bytes).then_some(())
    });
    client.received
}

/// Shows that new data gets through to a peer that breaks each connection before the resent chunks
/// have passed.
#[test]
fn new_chunks_pass_though_no_connection_lasts_for_the_old_ones() {
    let listener = listener();
    let mut rig = rig(&listener);
    let old = "old 1 1\n".repeat(1000);
    rig.flush(&old);
    rig.flush(&old);
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, &(old.clone() + &old));
    rig.until("the acknowledgement", |sink| sink.is_drained());
    rig.advance(PROOF);
    rig.turn();
    client.reset();
    rig.until_state("backing_off");
    let mut seen = String::new();
    for nth in 1..=10 {
        rig.flush(&format!("new.{nth} 1 {nth}\n"));
    }
    for _ in 0..30 {
        rig.advance_to_retry();
        seen += &break_after(&mut rig, &listener, 8000);
        rig.until_state("backing_off");
    }
    for nth in 1..=10 {
        assert!(seen.contains(&format!("new.{nth} 1 {nth}\n")), "new.{nth} never passes");
    }
    assert_eq!(rig.sink.figures().dropped_lines, 0);
}

/// Shows that a stop waits a moment for the peer to close a connection that has just begun, and no
/// longer.
#[test]
fn a_stop_waits_a_moment_for_a_peer_that_closes_at_once() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.sink.drain(rig.now, rig.poll.registry());
    rig.flush("a 1 1\n");
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    patiently("the acknowledgement", || {
        rig.turn();
        rig.sink.poll_acks(rig.now);
        rig.sink.outbox.is_drained().then_some(())
    });
    assert!(!rig.sink.is_drained());
    assert_eq!(rig.advance_to_deadline(), Duration::from_millis(100));
    rig.turn();
    assert!(rig.sink.is_drained());
    drop(client);
    rig.until_state("backing_off");
    assert!(!rig.sink.is_drained(), "the connection closed early, so the line has not arrived");
}
