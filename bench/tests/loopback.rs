//! What is sent arrives: the sender against sockets of our own.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use statsd_bench::{Mix, Packing, Plan, Sender, Sent, Stop, Traffic, Workload};

const PATIENCE: Duration = Duration::from_secs(10);

fn receiver() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout above 0");
    let address = socket.local_addr().expect("a bound socket");
    (socket, address)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("a packet");
    buffer.truncate(length);
    buffer
}

/// Few enough packets to wait in a receive buffer of the default size.
#[test]
fn udp_packets_arrive_as_built() {
    let traffic = Traffic::build(&Workload::default()).unwrap();
    let (socket, address) = receiver();
    let lines = traffic.payloads().take(70).map(|payload| payload.lines).sum();
    let sent = Sender::udp(address).unwrap().send(&traffic, Plan::lines(lines));
    let mut bytes = 0;
    for payload in traffic.payloads().take(70) {
        assert_eq!(receive(&socket), payload.bytes);
        bytes += payload.bytes.len() as u64;
    }
    assert_eq!(sent, Sent { lines, packets: 70, bytes, errors: 0, ..sent });
    assert!(sent.seconds > 0.0);
}

#[test]
fn the_last_udp_packet_is_cut_to_the_exact_line() {
    let traffic = Traffic::build(&Workload::default()).unwrap();
    let (socket, address) = receiver();
    Sender::udp(address).unwrap().send(&traffic, Plan::lines(3));
    let packet = receive(&socket);
    assert!(packet.ends_with(b"\n"));
    assert_eq!(packet.iter().filter(|&&byte| byte == b'\n').count(), 3);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads while the sender sends")]
fn tcp_bytes_arrive_in_order() {
    let traffic = Traffic::build(&Workload { tags: true, ..Workload::default() }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received
    });
    let sent = Sender::tcp(address).unwrap().send(&traffic, Plan::lines(2 * traffic.lines()));
    let pass: Vec<u8> = traffic.payloads().flat_map(|payload| payload.bytes).copied().collect();
    assert_eq!(reader.join().unwrap(), [&pass[..], &pass[..]].concat());
    assert_eq!((sent.lines, sent.errors), (2 * traffic.lines(), 0));
}

#[test]
fn a_rate_and_a_duration_are_kept() {
    let traffic = Traffic::build(&Workload { mix: Mix::COUNTERS, ..Workload::default() }).unwrap();
    let (_socket, address) = receiver();
    let stop = Stop::After(Duration::from_millis(200));
    let sent = Sender::udp(address).unwrap().send(&traffic, Plan { rate: None, stop }.at(1000));
    // Upper bounds only: a busy machine may not let us send in time.
    assert!((1..=300).contains(&sent.lines), "{sent:?}");
    assert!(sent.seconds >= 0.2);
}

#[test]
fn packets_that_nobody_hears_are_counted() {
    let packing = Packing::Lines(1);
    let traffic = Traffic::build(&Workload { packing, ..Workload::default() }).unwrap();
    let (socket, address) = receiver();
    drop(socket);
    let sent = Sender::udp(address).unwrap().send(&traffic, Plan::lines(500));
    assert_eq!((sent.lines, sent.packets), (500, 500));
    assert!(sent.errors > 0);
}

#[test]
fn a_broken_tcp_connection_ends_the_run() {
    let traffic = Traffic::build(&Workload::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = Sender::tcp(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    let sent = sender.send(&traffic, Plan::lines(u64::MAX));
    assert_eq!(sent.errors, 1);
}
