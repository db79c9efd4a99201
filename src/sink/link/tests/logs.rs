//! Log lines about outages, and how often they are written.

use super::*;
use crate::encode::chunk::Chunk;
use crate::sink::testing::fields;

#[test]
fn an_outage_is_one_warning_and_one_recovery() {
    logged();
    let address = unused_address();
    let mut rig = Rig::new(&with_queue(20, carbon(address)));
    for second in 1..=5 {
        rig.flush(&format!("a 1 {second}\n"));
        rig.until_state("backing_off");
        rig.advance_to_deadline();
        rig.sink.timeout(rig.now, rig.poll.registry());
    }
    rig.until_state("backing_off");
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 3\na 1 4\na 1 5\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    let none =
        |lines: &[(Level, String)]| lines.iter().all(|(_, line)| !line.contains("recovered"));
    let mut lines = logged();
    assert!(none(&lines), "only carbon's kernel has acknowledged them: {lines:?}");
    rig.advance_to_deadline();
    rig.turn();
    lines.extend(logged());
    let loud: Vec<_> = lines.into_iter().filter(|(level, _)| *level < Level::Debug).collect();
    let refused = "sink=carbon state=backing_off address=ADDRESS error=\"Connection refused (os error 111)\" attempts=1 retry_ms="
        .replace("ADDRESS", &address.to_string());
    let expected = [
        (Level::Warn, refused.as_str()),
        (Level::Warn, "sink=carbon queue=full held_bytes=18"),
        (Level::Info, "sink=carbon queue=drained spooled_lines=0 dropped_lines=2"),
        (Level::Info, "sink=carbon state=up address=127.0.0.1:"),
    ];
    assert_eq!(loud.len(), expected.len(), "{loud:?}");
    for ((level, line), (expected_level, start)) in loud.iter().zip(expected) {
        assert!(*level == expected_level && fields(line).starts_with(start), "{level} {line}");
    }
    assert!(loud[3].1.contains(" attempts=6 outage_seconds="), "{}", loud[3].1);
    assert!(loud[3].1.starts_with("the destination has recovered "), "{}", loud[3].1);
    assert!(loud[3].1.ends_with(" dropped_lines=2 queued_bytes=0"), "{}", loud[3].1);
}

/// Shows that a reload to another address, the usual repair, does not hide the end of an outage.
#[test]
fn an_outage_that_another_address_ends_is_logged_to_its_end() {
    logged();
    let mut rig = Rig::new(&carbon(unused_address()));
    rig.flush("a 1 1\n");
    rig.until_state("backing_off");
    let loud = || logged().into_iter().filter(|(level, _)| *level < Level::Debug);
    assert_eq!(loud().count(), 1);
    // The first new address is down, too.
    rig.sink.reconfigure(&carbon(unused_address()), feed(), rig.now);
    rig.until("a failure there", |sink| sink.outlet.outages().attempts() == 1);
    let again: Vec<_> = loud().collect();
    assert!(again.len() == 1 && again[0].1.contains(" attempts=1 "), "{again:?}");
    let listener = listener();
    rig.advance(3 * SECOND);
    rig.sink.reconfigure(&carbon(listener.local_addr().unwrap()), feed(), rig.now);
    let mut client = rig.accept(&listener);
    rig.until_received(&mut client, "a 1 1\n");
    rig.until("the acknowledgement", |sink| sink.is_drained());
    rig.advance(PROOF);
    rig.turn();
    let (level, line) = loud().next().unwrap();
    assert_eq!(level, Level::Info);
    assert!(line.starts_with("the destination has recovered sink=carbon state=up "), "{line}");
    assert!(line.contains(" attempts=0 outage_seconds=5"), "{line}");
    assert_eq!(rig.sink.figures().state, "up");
}

#[test]
fn lines_that_a_full_queue_costs_are_counted_in_the_log_each_minute() {
    logged();
    let mut rig = Rig::new(&with_queue(20, carbon(unused_address())));
    for _ in 0..6 {
        rig.flush("a 1 1\na 1 1\n");
        rig.advance(20 * SECOND);
        rig.sink.poll_acks(rig.now);
    }
    let lines = logged();
    let dropped: Vec<_> = lines.iter().filter(|(_, line)| line.contains("queue=full")).collect();
    assert_eq!(dropped.len(), 2, "{lines:?}");
    assert!(dropped[0].1.contains(" dropping=oldest "), "{dropped:?}");
    let start = "the queue is still full, and lines are dropped sink=carbon queue=full held_bytes=12 dropped_lines=6 hint=";
    assert!(dropped[1].1.starts_with(start), "{dropped:?}");
}

/// Uses a peer that reads what it gets and closes the connection, again and again.
#[test]
fn a_connection_that_comes_and_goes_is_one_warning_a_minute() {
    logged();
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::new(&with_resend(Resend::Unacked, carbon(address)));
    for second in 1..=4 {
        rig.flush(&format!("a 1 {second}\n"));
        let mut client = rig.accept(&listener);
        rig.until_received(&mut client, &format!("a 1 {second}\n"));
        rig.until("the acknowledgement", |sink| sink.is_drained());
        rig.advance(PROOF);
        rig.turn();
        drop(client);
        rig.until_state("backing_off");
        rig.advance(if second == 3 { 60 * SECOND } else { SECOND });
        rig.sink.timeout(rig.now, rig.poll.registry());
    }
    let warnings: Vec<_> =
        logged().into_iter().filter(|(level, _)| *level == Level::Warn).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(!warnings[0].1.contains("outages_before"), "{warnings:?}");
    assert!(warnings[1].1.contains(" attempts=1 outages_before=2 retry_ms="), "{warnings:?}");
}

/// Uses a peer that reads nothing, so that a large chunk is in flight when the sink ends.
#[test]
fn lines_in_flight_at_the_end_are_logged_if_they_are_not_kept() {
    for (resend, expected) in [(Resend::Never, Some(100_000)), (Resend::Unacked, None)] {
        let listener = listener();
        let mut rig = Rig::new(&with_resend(resend, carbon(listener.local_addr().unwrap())));
        rig.flush(&"some.name 1 1000000000\n".repeat(100_000));
        let _client = rig.accept(&listener);
        rig.until("the first bytes", |sink| sink.figures().sent_bytes > 0);
        logged();
        rig.sink.spill();
        let unconfirmed = logged().into_iter().find(|(_, line)| line.contains("state=unconfirmed"));
        let expected = expected.map(|lines| {
            let text = format!("sink=carbon state=unconfirmed in_doubt={lines} reason=");
            (Level::Warn, text)
        });
        match (&unconfirmed, &expected) {
            (Some((level, line)), Some((expected_level, start))) => {
                assert!(level == expected_level && fields(line).starts_with(start), "{line}");
            }
            (None, None) => {}
            other => panic!("{resend:?}: {other:?}"),
        }
    }
}

#[test]
fn a_chunk_dropped_as_poison_is_logged_with_its_first_line() {
    logged();
    let mut rig = Rig::new(&carbon(unused_address()));
    link(&mut rig.sink).log.log_poison(&Chunk::new(b"a\xff 1 1\nb 1 1\n".to_vec(), 2, 1));
    let (level, line) = logged().remove(0);
    assert_eq!(level, Level::Warn);
    assert!(fields(&line).starts_with("sink=carbon dropped_lines=2 reason="), "{line}");
    assert!(line.ends_with(r#"first_line="a\xff 1 1""#), "{line}");
}

#[test]
fn a_queue_too_short_for_the_retained_flushes_is_logged_once() {
    logged();
    let listener = listener();
    let config = with_queue(16, carbon(listener.local_addr().unwrap()));
    let mut rig = Rig::new(&config);
    let mut client = rig.accept(&listener);
    let mut all = String::new();
    for text in ["a 1 1\n", "a 1 2\n", "a 1 3\n", "a 1 4\n"] {
        rig.flush(text);
        all += text;
        rig.until_received(&mut client, &all);
        rig.sink.poll_acks(rig.now);
    }
    let warnings: Vec<_> =
        logged().into_iter().filter(|(level, _)| *level == Level::Warn).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        fields(&warnings[0].1).starts_with("sink=carbon queue=short held_bytes=12"),
        "{warnings:?}"
    );
}
