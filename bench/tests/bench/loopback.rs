//! What is sent arrives: the library and the binary against sockets of our own.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::mpsc;
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

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads while the binary sends")]
fn the_binary_sends_and_sums_up() {
    let (socket, address) = receiver();
    let (ready, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..20 {
            ready.send(receive(&socket)).unwrap();
        }
    });
    let output = Command::new(env!("CARGO_BIN_EXE_statsd-bench"))
        .args(["send", "--to", &address.to_string(), "--count", "20"])
        .args(["--mix", "c=100", "--lines-per-packet", "1", "--rate", "2000"])
        .output()
        .unwrap();
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(summary.starts_with("sent 20 lines in 20 packets, "), "{summary}");
    for _ in 0..20 {
        let line = lines.recv_timeout(PATIENCE).unwrap();
        assert!(line.starts_with(b"bench.web.api.c.") && line.ends_with(b"|c\n"));
    }
}

#[test]
fn the_binary_alone_prints_its_help_and_a_mistake_exits_with_2() {
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_statsd-bench")).args(args).output().unwrap()
    };
    assert!(run(&[]).status.success());
    assert_eq!(run(&[]).stdout, run(&["-h"]).stdout);
    let mistake = run(&["send", "--fast"]);
    assert_eq!(mistake.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&mistake.stderr).contains("'--fast'"));
}
