//! A UDP destination over real sockets: sending, resting and looking its name up again.

use std::net::UdpSocket;

use super::*;
use crate::config::{InfluxTransport, Remote, Repeater, Resend};
use crate::encode::repeated::{PacketTransport, Repeated};
use crate::sink::last_move::MOVING;
use crate::sink::platform::SystemPlatform;
use crate::sink::testing::{
    Rig, answer_look_ups, datagrams, feed, influxdb_with, logged, patiently, with_host,
};

const MINUTE: Duration = Duration::from_secs(60);

fn receiver() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn to(address: SocketAddr) -> Destination {
    influxdb_with(address, |influxdb| influxdb.protocol = InfluxTransport::Udp)
}

fn rig(receiver: &UdpSocket) -> Rig {
    let config = to(receiver.local_addr().unwrap());
    Rig::new(&config)
}

impl Rig {
    /// Returns the next packet. Advances the clock until it arrives.
    fn packet(&mut self, receiver: &UdpSocket) -> String {
        let mut buffer = [0; 65536];
        patiently("a packet", || {
            self.turn();
            self.advance(Duration::from_millis(1));
            let length = receiver.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        })
    }
}

fn rests_until(datagrams: &Datagrams) -> Option<Tick> {
    if let UdpState::Resting { until } = datagrams.state { Some(until) } else { None }
}

#[test]
fn a_flush_goes_out_in_packets_of_whole_lines_and_in_bursts() {
    let receiver = receiver();
    let mut rig = rig(&receiver);
    let text: String = (0..4000).map(|nth| format!("series.number.{nth:04} value=1 1\n")).collect();
    rig.flush(&text);
    rig.turn();
    assert!(!rig.sink.is_drained(), "a burst is not a flush");
    assert_eq!(rig.sink.deadline(), Some(rig.now.tick + Duration::from_millis(1)));
    let mut received = String::new();
    while received.len() < text.len() {
        let packet = rig.packet(&receiver);
        assert!(packet.len() <= 1432 && packet.ends_with('\n'), "{packet}");
        received += &packet;
    }
    assert!(received == text);
    assert!(rig.sink.is_drained());
    rig.turn();
    assert_eq!((rig.sink.deadline(), rig.sink.figures().state), (None, "up"));
}

#[test]
fn while_no_process_listens_the_queue_keeps_new_chunks() {
    let receiver = receiver();
    let address = receiver.local_addr().unwrap();
    let mut rig = rig(&receiver);
    drop(receiver);
    logged();
    rig.flush("a value=1 1\n");
    rig.until_state("backing_off");
    assert_eq!(rig.sink.figures().last_error.unwrap(), "Connection refused (os error 111)");
    rig.flush("b value=1 2\n");
    for _ in 0..10 {
        rig.turn();
    }
    assert!(!rig.sink.is_drained(), "it waits");
    let receiver = UdpSocket::bind(address).unwrap();
    receiver.set_nonblocking(true).unwrap();
    assert_eq!(rig.packet(&receiver), "b value=1 2\n");
    rig.advance(MINUTE);
    rig.sink.poll_acks(rig.now);
    let log = logged();
    let lines_with = |word: &str| log.iter().filter(|(_, line)| line.contains(word)).count();
    assert_eq!(
        (lines_with("error=\"Connection refused"), lines_with("recovered")),
        (1, 1),
        "{log:?}"
    );
}

#[test]
fn an_outage_that_another_address_ends_is_logged_to_its_end() {
    let [down, up] = [receiver(), receiver()];
    let mut rig = rig(&down);
    drop(down);
    rig.flush("a value=1 1\n");
    rig.until_state("backing_off");
    logged();
    rig.sink.reconfigure(&to(up.local_addr().unwrap()), feed(), rig.now);
    rig.flush("b value=1 2\n");
    assert_eq!(rig.packet(&up), "b value=1 2\n");
    rig.advance(MINUTE);
    rig.sink.poll_acks(rig.now);
    let lines = logged();
    let recovered: Vec<_> = lines.iter().filter(|(_, line)| line.contains("recovered")).collect();
    assert!(recovered.len() == 1 && recovered[0].0 == Level::Info, "{lines:?}");
}

#[test]
fn each_outage_is_logged_at_once_with_its_end() {
    let mut receiver = receiver();
    let address = receiver.local_addr().unwrap();
    let mut rig = rig(&receiver);
    logged();
    for _ in 0..2 {
        drop(receiver);
        rig.flush("a value=1 1\n");
        rig.until_state("backing_off");
        receiver = UdpSocket::bind(address).unwrap();
        receiver.set_nonblocking(true).unwrap();
        rig.flush("b value=1 2\n");
        assert_eq!(rig.packet(&receiver), "b value=1 2\n");
        rig.advance(MOVING);
        rig.sink.poll_acks(rig.now);
    }
    let log = logged();
    let logged_at = |wanted: Level, word: &str| {
        log.iter().filter(|(level, line)| *level == wanted && line.contains(word)).count()
    };
    let ends = logged_at(Level::Info, "recovered");
    assert_eq!((logged_at(Level::Warn, "backing_off"), ends), (2, 2), "{log:?}");
}

#[test]
fn a_name_is_looked_up_again_every_minute_and_followed() {
    let old = receiver();
    let new = receiver();
    let mut rig = Rig::new(&with_host("influx.test", to(old.local_addr().unwrap())));
    answer_look_ups("echo 127.0.0.1:$PORT");
    rig.flush("a value=1 1\n");
    assert_eq!(rig.packet(&old), "a value=1 1\n");
    assert_eq!(rig.sink.figures().state, "up");
    // A look-up that fails changes nothing.
    answer_look_ups("echo error: no such name");
    rig.advance(MINUTE);
    rig.until_asked_again();
    rig.flush("b value=1 2\n");
    assert_eq!(rig.packet(&old), "b value=1 2\n");
    let moved = format!("echo {}", new.local_addr().unwrap());
    answer_look_ups(moved.leak());
    rig.advance(MINUTE);
    rig.until_asked_again();
    rig.flush("c value=1 3\n");
    assert_eq!(rig.packet(&new), "c value=1 3\n");
}

impl Rig {
    fn until_asked_again(&mut self) {
        patiently("the look-up", || {
            self.turn();
            self.advance(Duration::from_millis(1));
            let name = &datagrams(&mut self.sink).resolver;
            (!name.is_running() && name.due().is_some_and(|due| due > self.now.tick)).then_some(())
        });
    }
}

#[test]
fn an_unknown_name_is_looked_up_again_with_growing_waits() {
    let receiver = receiver();
    let mut rig = Rig::new(&with_host("influx.test", to(receiver.local_addr().unwrap())));
    answer_look_ups("echo error: no such name");
    rig.flush("a value=1 1\n");
    let mut waits = Vec::new();
    for _ in 0..3 {
        rig.until_state("backing_off");
        assert_eq!(rig.sink.figures().last_error.unwrap(), "no such name");
        let at = rests_until(datagrams(&mut rig.sink)).unwrap();
        waits.push(at - rig.now.tick);
        rig.advance(at - rig.now.tick);
        // On a busy machine the child of the last look-up may still run. The server checks for its
        // end at deadlines, so time must pass.
        patiently("another look-up", || {
            rig.turn();
            rig.advance(Duration::from_millis(1));
            (rig.sink.figures().state == "resolving").then_some(())
        });
    }
    assert!(waits[2] >= Duration::from_millis(400), "{waits:?}");
    assert!(!rig.sink.is_drained());
}

/// Shows that repeated packets are dropped whole while no process listens, and that every line is
/// counted, also those of a partly sent chunk.
#[test]
fn packets_repeated_to_no_process_are_counted_by_the_chunk() {
    let receiver = receiver();
    let address = receiver.local_addr().unwrap();
    let kind = DestinationKind::Repeater(Repeater { protocol: PacketTransport::Datagrams });
    let remote = Remote { host: address.ip().to_string(), port: address.port() };
    let net = Net { remote, ..Net::default() };
    let mut repeated = Repeated::default();
    repeated.want(|transport| transport == PacketTransport::Datagrams);
    for _ in 0..40_000 {
        repeated.packet(b"a:1|c\nb:2|c\n");
    }
    let to = Destination::new("repeater", kind);
    let advice = Rc::new(Advice::new(&to));
    let datagrams = Datagrams::new(0, &to, &net, advice, &SystemPlatform, 7);
    let mut outbox = Outbox::new(64 << 20, Resend::Never, 1);
    repeated.take().for_each(|(_, chunk)| _ = outbox.push(chunk));
    let begun = framed(outbox.head().unwrap()).length;
    outbox.wrote(begun);
    datagrams.drop_all(&mut outbox);
    let tally = outbox.tally();
    assert!(outbox.is_drained());
    assert_eq!(tally.dropped_lines, 2 * 39_999, "all but the one that was sent");
    assert_eq!(tally.delivered_lines + tally.dropped_lines - tally.twice_lines, 2 * 40_000);
}
