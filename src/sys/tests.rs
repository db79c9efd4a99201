//! Each function against real loopback sockets.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::batch::{ControlRoom, RecvBatch};
use super::*;

fn udp(address: &str) -> UdpSocket {
    UdpSocket::bind(address).unwrap()
}

fn texts(batch: &mut RecvBatch, socket: &impl AsFd) -> Vec<String> {
    batch.fill(socket.as_fd(), ControlRoom::PIECES).unwrap();
    let next = || {
        let datagram = batch.next()?;
        let text = String::from_utf8_lossy(datagram.bytes).into_owned();
        batch.consume(text.len());
        Some(text)
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn a_datagram_can_be_taken_in_parts() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let to = here.local_addr().unwrap();
    if enable_gro(here.as_fd()).is_err() {
        eprintln!("SKIPPED: this kernel merges no datagrams");
        return;
    }
    set_int(there.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 5).unwrap();
    there.send_to(b"a:1|cb:2|cc:3", to).unwrap();
    let mut batch = RecvBatch::new();
    batch.fill(here.as_fd(), ControlRoom::PIECES).unwrap();
    let mut seen = Vec::new();
    while let Some(datagram) = batch.next() {
        seen.push((datagram.bytes.to_vec(), datagram.is_rest));
        let taken = datagram.bytes.len().min(3);
        batch.consume(taken);
    }
    let expected = [("a:1|c", false), ("|c", true), ("b:2|c", false), ("|c", true), ("c:3", false)];
    let expected: Vec<_> =
        expected.iter().map(|(text, is_rest)| (text.as_bytes().to_vec(), *is_rest)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_batch_holds_exactly_what_one_call_received() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let to = here.local_addr().unwrap();
    let mut batch = RecvBatch::new();
    for round in [vec!["a:1|c", "long name:2|c", ""], vec!["b"]] {
        for text in &round {
            there.send_to(text.as_bytes(), to).unwrap();
        }
        assert_eq!(texts(&mut batch, &here), round);
    }
    let empty = batch.fill(here.as_fd(), ControlRoom::PIECES).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_full_batch_leaves_the_rest_for_the_next_call() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    for n in 0..70 {
        there.send_to(format!("n:{n}|g").as_bytes(), here.local_addr().unwrap()).unwrap();
    }
    let mut batch = RecvBatch::new();
    let mut all = texts(&mut batch, &here);
    assert_eq!(all.len(), 64);
    all.extend(texts(&mut batch, &here));
    assert_eq!(all, (0..70).map(|n| format!("n:{n}|g")).collect::<Vec<_>>());
}

#[test]
fn datagrams_in_one_piece_come_apart() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let to = here.local_addr().unwrap();
    if enable_gro(here.as_fd()).is_err() {
        eprintln!("SKIPPED: this kernel merges no datagrams");
        return;
    }
    set_int(there.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 5).unwrap();
    for text in ["a:1|cb:2|cc:3", "d:4|c", "e"] {
        there.send_to(text.as_bytes(), to).unwrap();
    }
    let mut batch = RecvBatch::new();
    assert_eq!(texts(&mut batch, &here), ["a:1|c", "b:2|c", "c:3", "d:4|c", "e"]);
}

#[test]
fn the_largest_udp_datagram_is_whole_and_a_larger_unix_one_says_it_is_not() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    there.send_to(&[7; 65_507], here.local_addr().unwrap()).unwrap();
    let mut batch = RecvBatch::new();
    batch.fill(here.as_fd(), ControlRoom::PIECES).unwrap();
    let datagram = batch.next().unwrap();
    assert_eq!((datagram.bytes, datagram.truncated), (&[7; 65_507][..], false));
    batch.consume(65_507);

    let (here, there) = UnixDatagram::pair().unwrap();
    there.send(&[8; 70_000]).unwrap();
    batch.fill(here.as_fd(), ControlRoom::PIECES).unwrap();
    let datagram = batch.next().unwrap();
    assert_eq!((datagram.bytes.len(), datagram.truncated), (65_600, true));
}

#[test]
fn the_kernel_says_what_it_granted_and_what_it_dropped() {
    let (here, there) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let granted = force_receive_buffer(here.as_fd(), 16 * 1024).unwrap();
    assert_eq!(granted, 16 * 1024);
    assert_eq!(socket_drops(here.as_fd()).unwrap(), 0);
    for _ in 0..100 {
        there.send_to(&[0; 1000], here.local_addr().unwrap()).unwrap();
    }
    let mut batch = RecvBatch::new();
    let held = texts(&mut batch, &here).len();
    assert_eq!(socket_drops(here.as_fd()).unwrap() as usize, 100 - held);
}

/// Shows that a buffer that a privileged parent has granted survives an unprivileged request.
#[test]
fn an_unprivileged_request_never_lowers_the_receive_buffer() {
    let socket = udp("127.0.0.1:0");
    let granted = force_receive_buffer(socket.as_fd(), 64 << 20).unwrap();
    // The version 3 of the header, for this thread alone, and two sets of no capabilities.
    let header = [0x2008_0522_u32, 0];
    let none = [0_u32; 6];
    // SAFETY: the kernel reads both, which are as long as version 3 says.
    let dropped = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(dropped, 0);
    assert_eq!(force_receive_buffer(socket.as_fd(), granted).unwrap(), granted);
    assert_eq!(force_receive_buffer(socket.as_fd(), granted / 2).unwrap(), granted);
}

#[test]
#[allow(clippy::disallowed_methods)] // a test may block, and reads the clock to give up
fn bytes_are_outstanding_until_the_peer_acknowledges() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let opened = std::time::Instant::now();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_nonblocking(true).unwrap();
    assert_eq!(outstanding(stream.as_fd()).unwrap(), 0);
    // The peer does not read. Bytes that do not fit its receive buffer stay on this side, and its
    // window is closed.
    let mut written = 0;
    while let Ok(n) = stream.write(&[b'x'; 65_536]) {
        written += n;
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while peer_activity(stream.as_fd()).unwrap().owes_answer {
        assert!(
            std::time::Instant::now() < deadline,
            "the peer does not say that its window is closed"
        );
    }
    let left = outstanding(stream.as_fd()).unwrap();
    assert!((1..written).contains(&left), "{left} of {written}");
    // The last acknowledgement is not older than the connection.
    let last_ack = peer_activity(stream.as_fd()).unwrap().last_ack;
    let age = opened.elapsed();
    assert!(last_ack <= age + Duration::from_millis(100), "{last_ack:?} of {age:?}");
}

#[test]
fn what_is_no_socket_is_an_error() {
    let file = tempfile::tempfile().unwrap();
    assert!(outstanding(file.as_fd()).is_err());
    assert!(peer_activity(file.as_fd()).is_err());
    assert!(socket_drops(file.as_fd()).is_err());
    assert!(force_receive_buffer(file.as_fd(), 1).is_err());
    assert!(RecvBatch::new().fill(file.as_fd(), ControlRoom::NONE).is_err());
}

#[test]
fn descriptors_are_counted_without_listing_them() {
    if known_open_files().is_none() {
        eprintln!("SKIPPED: this kernel does not count the open descriptors");
        return;
    }
    let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let known = known_open_files().unwrap();
    let listed = std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests open some at the same time.
    assert!(known >= files.len() && known.abs_diff(listed) < 100, "{known}, {listed} are listed");
}

#[cfg(target_env = "gnu")]
#[test]
fn small_blocks_that_are_freed_are_not_collected() {
    // SAFETY: it takes nothing, and returns numbers.
    let collected = || unsafe { libc::mallinfo2() }.smblks;
    merge_freed_blocks_at_once();
    let mut blocks: Vec<_> = (0..10_000).map(|_| Some(Box::new([0_u8; 24]))).collect();
    let before = collected();
    blocks.iter_mut().step_by(2).for_each(|block| *block = None);
    let more = collected().saturating_sub(before);
    assert!(more < 100, "{more} of 5,000");
}
