//! What is sent arrives: the library and the binary against sockets of our own.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use statsd_bench::{Plan, Sender, Sent, Traffic, Workload};

fn receiver() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout above 0");
    let address = socket.local_addr().expect("a bound socket");
    (socket, address)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("a packet");
    buffer.truncate(length);
    buffer
}

/// Few enough packets to wait in a receive buffer of the default size. The last one is cut.
#[test]
fn udp_packets_arrive_as_built() {
    let traffic = Traffic::build(&Workload::W2);
    let (socket, address) = receiver();
    let sent = Sender::udp(address).unwrap().send(&traffic, Plan::lines(3000));
    let packets: Vec<_> = traffic.packets(3000).collect();
    for packet in &packets {
        assert_eq!(receive(&socket), packet.bytes);
    }
    let bytes = packets.iter().map(|packet| packet.bytes.len() as u64).sum();
    let packets = packets.len() as u64;
    assert_eq!(sent, Sent { lines: 3000, packets, bytes, errors: 0, seconds: sent.seconds });
}

#[test]
fn tcp_bytes_arrive_in_order() {
    let traffic = Traffic::build(&Workload { tags: true, ..Workload::W2 });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received
    });
    let sent = Sender::tcp(address).unwrap().send(&traffic, Plan::lines(22_222));
    assert_eq!((sent.lines, sent.errors), (22_222, 0));
    let wanted: Vec<u8> = traffic.packets(22_222).flat_map(|it| it.bytes).copied().collect();
    assert_eq!(reader.join().unwrap(), wanted);
}

#[test]
fn a_rate_and_a_duration_are_kept() {
    let traffic = Traffic::build(&Workload { packet: 1, ..Workload::W2 });
    let (_socket, address) = receiver();
    let plan = Plan::lasting(Duration::from_millis(200)).at(1000);
    let sent = Sender::udp(address).unwrap().send(&traffic, plan);
    // Upper bounds only: a busy machine may not let us send in time.
    assert!((1..=300).contains(&sent.lines), "{sent:?}");
    assert!(sent.seconds >= 0.2);
}

#[test]
fn packets_that_come_back_are_counted() {
    let traffic = Traffic::build(&Workload { packet: 1, ..Workload::W2 });
    let (socket, address) = receiver();
    drop(socket);
    let sent = Sender::udp(address).unwrap().send(&traffic, Plan::lines(500));
    assert_eq!((sent.lines, sent.packets), (500, 500));
    assert!(sent.errors > 0);
}

#[test]
fn a_broken_tcp_connection_ends_the_run() {
    let traffic = Traffic::build(&Workload::W2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = Sender::tcp(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    let sent = sender.send(&traffic, Plan::lines(u64::MAX));
    assert_eq!(sent.errors, 1);
}

#[test]
fn the_binary_sends_and_sums_up() {
    let (socket, address) = receiver();
    let output = Command::new(env!("CARGO_BIN_EXE_statsd-bench"))
        .args(["send", "--to", &address.to_string(), "--count", "20"])
        .args(["--load", "W1", "--rate", "2000"])
        .output()
        .unwrap();
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(summary.starts_with("sent 20 lines in 20 packets, "), "{summary}");
    assert!(summary.contains("dropped by the kernel at the socket: 0 packets"), "{summary}");
    for _ in 0..20 {
        let line = receive(&socket);
        assert!(line.starts_with(b"bench.web.api.c.") && line.ends_with(b"|c\n"));
    }
}
